// A real door on a free port, with lanes that are loops on the same thread, and raw HTTP clients.

import { connect, type Socket } from "node:net";
import { systemClock } from "../../../engine/base/clock.ts";
import { DoorCounters } from "../../../engine/front-door/door-counters.ts";
import type { DoorLimits } from "../../../engine/front-door/door-limits.ts";
import type { LaneEnds } from "../../../engine/front-door/lane-rings.ts";
import { Door, type LoadUws } from "../../../engine/front-door/door.ts";
import type { ListenerOptions } from "../../../engine/front-door/front-door.ts";
import type { EngineName } from "../../../engine/front-door/http-engine.ts";
import { OTLP_ROUTES, SIGNALFX_ROUTES } from "../../../engine/front-door/routes.ts";
import { HealthWords, createHealthWords } from "../../../engine/part/health-words.ts";
import {
  ByteRingConsumer, ByteRingProducer, createByteRing,
} from "../../../engine/ring/byte-ring.ts";
import {
  COMPLETION_WORDS, PAYLOAD_ARRIVAL_HIGH, PAYLOAD_ARRIVAL_LOW, PAYLOAD_BODY_BYTES,
  PAYLOAD_ENCODING, PAYLOAD_FORMAT, PAYLOAD_HEADER_BYTES, PAYLOAD_REQUEST,
} from "../../../engine/ring/payload-layout.ts";
import {
  SlotRingConsumer, SlotRingProducer, createSlotRing,
} from "../../../engine/ring/slot-ring.ts";
import { WakeWord, createWakeWord } from "../../../engine/ring/wake-word.ts";

export interface Payload {
  lane: number;
  requestId: number;
  format: number;
  encoding: number;
  arrivalMs: number;
  body: Buffer;
}

/** [verdict, rejected spans, reason code] */
export type Judge = (payload: Payload) => [number, number, number];

/** The worker's side of a lane, stepped by the event loop. */
export class FakeLane {
  readonly ends: LaneEnds;
  paused = false;
  judge: Judge = () => [0, 0, 0];
  readonly payloads: Payload[] = [];
  private readonly lane: number;
  private readonly consumer: ByteRingConsumer;
  private readonly producer: SlotRingProducer;
  private readonly main: WakeWord;

  constructor(
    lane: number, ringBytes: number, mainWake: SharedArrayBuffer, completionSlots = 4,
  ) {
    const payloads = createByteRing(ringBytes, -64);
    const completions = createSlotRing(completionSlots, COMPLETION_WORDS, -2);
    this.lane = lane;
    this.main = new WakeWord(mainWake);
    this.consumer = new ByteRingConsumer(payloads);
    this.producer = new SlotRingProducer(completions);
    this.ends = {
      payloads: new ByteRingProducer(payloads),
      completions: new SlotRingConsumer(completions),
      wake: new WakeWord(createWakeWord()),
    };
  }

  step(): void {
    if (this.paused) return;
    for (let at = this.consumer.peek(); at >= 0; at = this.consumer.peek()) {
      const slot = this.producer.reserve();
      if (slot < 0) break;
      const payload = this.read(at);
      this.payloads.push(payload);
      this.producer.words.set([payload.requestId, ...this.judge(payload)], slot);
      this.producer.publish();
      this.consumer.advance();
    }
    this.consumer.releaseAll();
    if (this.producer.flush()) this.main.wake();
  }

  /** Sends a completion that belongs to nothing. */
  completeFalsely(requestId: number): void {
    this.producer.words.set([requestId, 0, 0, 0], this.producer.reserve());
    this.producer.publish();
    this.producer.flush();
    this.main.wake();
  }

  private read(at: number): Payload {
    const { words, bytes } = this.consumer;
    const word = (index: number) => words[(at >>> 2) + index]!;
    const bodyAt = at + PAYLOAD_HEADER_BYTES;
    if (this.consumer.messageBytes !== PAYLOAD_HEADER_BYTES + word(PAYLOAD_BODY_BYTES)) {
      throw new Error("the message is not as long as its header says");
    }
    return {
      lane: this.lane,
      requestId: word(PAYLOAD_REQUEST),
      format: word(PAYLOAD_FORMAT),
      encoding: word(PAYLOAD_ENCODING),
      arrivalMs: word(PAYLOAD_ARRIVAL_HIGH) * 2 ** 32 + word(PAYLOAD_ARRIVAL_LOW),
      body: Buffer.from(bytes.slice(bodyAt, bodyAt + word(PAYLOAD_BODY_BYTES))),
    };
  }
}

/** False on a Node.js or system that uWebSockets.js has no binary for. */
export const HAS_UWS = await import("../../../engine/front-door/uws-engine.ts")
  .then(() => true, (error: unknown) => {
    process.stdout.write(`only Node's engine: ${String(error).split("\n", 1)[0]}\n`);
    return false;
  });
/** Every test of what an engine does runs on both. */
export const ENGINES: readonly EngineName[] = HAS_UWS ? ["uws", "node"] : ["node"];
/** Of the listener "signalfx". */
export const GATEWAY_NAME = "node-1";

export interface HarnessOptions {
  engine?: EngineName;
  /** Settings of both listeners. */
  listener?: Partial<ListenerOptions>;
  loadUws?: LoadUws;
  lanes?: number;
  ringBytes?: number;
  limits?: Partial<DoorLimits>;
  reasons?: string[];
}

/** A listening door and all that belongs to it. */
export interface Harness {
  door: Door;
  /** Of the listener "otlp". */
  port: number;
  /** Of the listener "signalfx". */
  zipkinPort: number;
  lanes: FakeLane[];
  counters: DoorCounters;
  health: HealthWords;
  failures: unknown[];
  /** Messages and fields of log lines. */
  logged: { level: string; message: string; fields: Record<string, unknown> }[];
  payloads(): Payload[];
  end(): Promise<void>;
}

export const TEST_LIMITS: DoorLimits = {
  maxBodyBytes: 400_000,
  unfinishedBodyBytes: 8 * 1024 * 1024,
  laneRingCreditBytes: 1024 * 1024,
  requestsMax: 1_000, connectionsMax: 1_000,
  bodyMs: 60_000,
  retryAfterSeconds: 7,
};

export async function openDoor(options: HarnessOptions = {}): Promise<Harness> {
  const mainWake = createWakeWord();
  const lanes: FakeLane[] = [];
  for (let lane = 0; lane < (options.lanes ?? 1); lane++) {
    lanes.push(new FakeLane(lane, options.ringBytes ?? 1024 * 1024, mainWake));
  }
  const counters = new DoorCounters();
  const health = new HealthWords(createHealthWords());
  health.ready = true;
  const failures: unknown[] = [];
  const logged: Harness["logged"] = [];
  const { listener } = options;
  const host = "127.0.0.1";
  const door = new Door({
    engine: options.engine ?? "uws",
    listeners: [
      { name: "otlp", host, port: 0, routes: OTLP_ROUTES, ...listener },
      {
        name: "signalfx", host, port: 0, routes: SIGNALFX_ROUTES, gatewayName: GATEWAY_NAME,
        ...listener,
      },
    ],
    lanes: lanes.map((lane) => lane.ends),
    limits: { ...TEST_LIMITS, ...options.limits },
    reasons: options.reasons ?? ["ok", "truncated"],
  }, {
    clock: systemClock, health, counters, wake: new WakeWord(mainWake),
    onTurn: () => {},
    onFailure: (error) => failures.push(error),
    log: (level, message, fields) => logged.push({ level, message, fields }),
  }, options.loadUws);
  await door.listen();
  const timer = setInterval(() => { for (const lane of lanes) lane.step(); }, 1);
  return {
    door, port: door.port("otlp"), zipkinPort: door.port("signalfx"), lanes, counters, health,
    failures, logged,
    payloads: () => lanes.flatMap((lane) => lane.payloads),
    end: async () => {
      clearInterval(timer);
      await door.close();
    },
  };
}

export interface RawReply { status: number; headers: Map<string, string>; body: Buffer }

/** A TCP client that writes what it is told and reads whole replies. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  isClosed = false;
  private received = Buffer.alloc(0);
  private waiters: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wakeWaiters();
    });
    // Resets are part of what is tested: a close follows every error.
    this.socket.on("error", () => this.wakeWaiters());
    this.closed = new Promise((resolve) => this.socket.on("close", () => {
      this.isClosed = true;
      this.wakeWaiters();
      resolve();
    }));
  }

  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) resolve();
      else this.socket.write(data, () => resolve());
    });
  }

  /** The next reply but 1xx ones; rejects when the connection ends first. @param to the method. */
  async reply(to = "POST"): Promise<RawReply> {
    for (;;) {
      const reply = this.parse(to !== "HEAD");
      if (reply !== null && reply.status >= 200) return reply;
      if (reply !== null) continue;
      if (this.isClosed) throw new Error("the connection ended without a reply");
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  private parse(hasBody: boolean): RawReply | null {
    const headEnd = this.received.indexOf("\r\n\r\n");
    if (headEnd < 0) return null;
    const text = this.received.subarray(0, headEnd).toString("latin1");
    const [statusLine, ...lines] = text.split("\r\n");
    const headers = new Map(lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const bodyBytes = hasBody ? Number(headers.get("content-length") ?? 0) : 0;
    const end = headEnd + 4 + bodyBytes;
    if (this.received.length < end) return null;
    const body = Buffer.from(this.received.subarray(headEnd + 4, end));
    this.received = this.received.subarray(end);
    return { status: Number(statusLine!.split(" ")[1]), headers, body };
  }

  private wakeWaiters(): void {
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}

/** Head of an OTLP request; `lines` are more header lines. */
export function head(lines: readonly string[], type = "application/x-protobuf"): string {
  const all = ["Host: door", `Content-Type: ${type}`, ...lines];
  return `POST /v1/traces HTTP/1.1\r\n${all.map((line) => `${line}\r\n`).join("")}\r\n`;
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `condition` holds, five seconds at most. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    if (condition()) return;
    await delay(5);
  }
  throw new Error(`never happened: ${what}`);
}

/** Bytes that differ from place to place, so that a lost or doubled piece shows. */
export function pattern(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) buffer[at] = (at * 31 + (at >>> 8) * 7) & 0xff;
  return buffer;
}
