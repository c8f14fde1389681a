// What a front door is, whatever HTTP engine is behind it. door.ts puts it together; the rules that
// every engine shares are in door-core.ts and below it.

import type { Clock } from "../base/clock.ts";
import type { LogLevel } from "../base/log.ts";
import type { HealthWords } from "../part/health-words.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { DoorCounters } from "./door-counters.ts";
import type { DoorLimits } from "./door-limits.ts";
import type { EngineName } from "./http-engine.ts";
import type { LaneEnds } from "./lane-rings.ts";
import type { Reasons } from "./replies.ts";
import type { Route } from "./routes.ts";
import type { TlsFileNames } from "./tls-files.ts";

/** One address and the routes it serves; health paths come on top. */
export interface ListenerOptions {
  readonly name: string;
  readonly host: string;
  /** 0: any free port, see `FrontDoor.port`. */
  readonly port: number;
  readonly routes: readonly Route[];
  /** Absent: plain HTTP. */
  readonly tls?: TlsFileNames;
  /** Origins of web pages that may send from a browser; none: CORS is not spoken at all. */
  readonly allowedOrigins?: readonly string[];
  /** Tokens of which a request must carry one; none: every request is taken. */
  readonly acceptTokens?: readonly string[];
  /** X-Gateway-Name of every answer; empty: none. */
  readonly gatewayName?: string;
}

/** Everything a door is made of. */
export interface FrontDoorOptions {
  /** Of listeners without TLS; "node" takes its place where uWebSockets.js cannot be loaded. */
  readonly engine: EngineName;
  /** At most LISTENERS_MAX. */
  readonly listeners: readonly ListenerOptions[];
  readonly lanes: readonly LaneEnds[];
  readonly limits: DoorLimits;
  /** Texts of the reason codes of MALFORMED, by code. */
  readonly reasons: Reasons;
}

/** Where a caught throw came from. */
export type FailureSource = "callback" | "completions";

/** What a door uses and does not own. */
export interface FrontDoorDependencies {
  readonly clock: Clock;
  readonly health: HealthWords;
  readonly counters: DoorCounters;
  /** The main thread's wake word; the door is the only one that waits on it. */
  readonly wake: WakeWord;
  /** Called after each turn of the completion pump and at least once a second. */
  readonly onTurn: () => void;
  /**
   * A throw that was caught: a bug. From "callback" it cost one request, which was answered 500 or
   * cut off; from "completions" replies may be missing, so the process should end.
   */
  readonly onFailure: (error: unknown, source: FailureSource) => void;
  /** What the operator should know. */
  readonly log: (level: LogLevel, message: string, fields: Record<string, unknown>) => void;
}

/**
 * Takes requests and answers them. Owned by the main thread.
 * Life: listen → beginDrain → stopListening → idle (with a deadline of the caller's) → close.
 */
export interface FrontDoor {
  /**
   * Opens every listener, exclusively, and starts to answer.
   * @throws GatewayError ADDRESS_IN_USE; then no listener is open.
   */
  listen(): Promise<void>;
  /** Port of an open listener. */
  port(listener: string): number;
  /** What serves an open listener. */
  engineOf(listener: string): EngineName;
  /** Answers what the lanes completed; the door does it by itself on every wake. */
  drainCompletions(): number;
  /** Health paths answer 404, replies end their connections; requests are still taken. */
  beginDrain(): void;
  /** Closes the listening sockets. New requests on living connections are answered 503. */
  stopListening(): void;
  /** Requests begun and not answered, and aborted ones that a lane still has. */
  inFlight(): number;
  /** Memory of bodies that are not complete. */
  unfinishedBytes(): number;
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>;
  /** Ends every connection and the pump. What is still in flight is cut off: see `idle`. */
  close(): Promise<void>;
}
