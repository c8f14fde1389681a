// What an HTTP engine is to the door. Two adapters exist, uws-engine.ts and node-engine.ts: each
// translates its engine's events into begin, bodyChunk and abort of the one core that all listeners
// share, and writes the replies that it gets.

import type { ConnectionGate } from "./connection-gate.ts";
import type { DoorCore } from "./door-core.ts";
import type { DoorListener } from "./door-listener.ts";
import type { FailureSource, FrontDoorDependencies } from "./front-door.ts";
import type { Reply } from "./reply.ts";

/** The engines by name, as in the settings. */
export type EngineName = "uws" | "node";

/** One request to the engine that it came through. */
export interface Exchange {
  /** Answers it, once; without effect when the client is gone. Does not throw. */
  send(reply: Reply): void;
}

/** What all engines of a door share. */
export interface EngineContext {
  readonly core: DoorCore<Exchange>;
  readonly connections: ConnectionGate;
  readonly dependencies: FrontDoorDependencies;
  /** Counts and tells a caught bug. Does not throw. */
  readonly report: (error: unknown, source: FailureSource) => void;
}

/** A listener that listens. */
export interface OpenListener {
  readonly port: number;
  /** Closes the listening socket; connections live on. May be called twice. */
  stopListening(): void;
  /** Ends every connection of the listener. */
  close(): Promise<void>;
}

/** An HTTP engine. */
export interface HttpEngine {
  readonly name: EngineName;
  /** Opens a listener. @throws GatewayError ADDRESS_IN_USE */
  open(listener: DoorListener): Promise<OpenListener>;
}

/** Headers, name, value, …, of an answer to a page; "" for none. Pages may read Retry-After. */
export function originHeaders(allowOrigin: string): readonly string[] {
  if (allowOrigin === "") return NO_HEADERS;
  const headers = [
    "Access-Control-Allow-Origin", allowOrigin, "Access-Control-Expose-Headers", "Retry-After",
  ];
  return allowOrigin === "*" ? headers : [...headers, "Vary", "Origin"];
}

const NO_HEADERS: readonly string[] = [];
