import { systemClock } from "../../../engine/base/clock.ts";
import type { ForwardEvent } from "../../../engine/forward/failure-log.ts";
import {
  createProgress, ForwarderLoop, type ForwarderLoopDependencies,
} from "../../../engine/forward/forwarder-loop.ts";
import type { ForwarderCounters } from "../../../engine/forward/forwarder-counters.ts";
import type {
  FileForwarderSettings, ForwarderSettings, OtlpForwarderSettings,
} from "../../../engine/forward/forwarder-settings.ts";
import {
  ACK_FORWARDER, ACK_MESSAGE_ID, ACK_OUTCOME, ACK_WORDS, MESSAGE_FLAGS, MESSAGE_ID,
  MESSAGE_PAYLOAD_AT, MESSAGE_PAYLOAD_BYTES, MESSAGE_SPANS,
} from "../../../engine/forward/message-layout.ts";
import { ByteRingProducer, createByteRing } from "../../../engine/ring/byte-ring.ts";
import { createSlotRing, SlotRingConsumer } from "../../../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../../../engine/ring/wake-word.ts";
import { encodeRequest, type SpanInput } from "../../support/otlp-builder.ts";

export const TRACE_ID = "5b8efff798038103d269b633813fc60c";

/** Settings for tests: everything quick. */
export function otlp(
  url: string, more: Partial<OtlpForwarderSettings> = {},
): OtlpForwarderSettings {
  return {
    type: "otlp", slot: 0, name: "backend", url, compression: "none", gzipLevel: 1,
    batchBytes: 64 * 1024, batchSpans: 1_000, batchMs: 10, timeoutMs: 2_000, requestsMax: 2,
    retryInitialMs: 5, retryMaxMs: 40, headers: {}, token: "", tokenHeader: "X-SF-Token", ...more,
  };
}

export function file(
  path: string, more: Partial<FileForwarderSettings> = {},
): FileForwarderSettings {
  return {
    type: "file", slot: 1, name: "file", path, batchBytes: 64 * 1024, batchSpans: 1_000,
    batchMs: 10, requestsMax: 1, retryInitialMs: 5, retryMaxMs: 40, maxFileBytes: 1_000_000,
    maxFileAgeMs: 3_600_000, maxFiles: 10, maxBytes: 10_000_000, durability: "process", ...more,
  };
}

/** Span id of the n-th span of a test. */
export function spanIdOf(n: number): string {
  return (n + 1).toString(16).padStart(16, "0");
}

/** Payload of one message: spans n … n + count − 1. */
export function payloadOf(n: number, count = 1, more: Partial<SpanInput> = {}): Uint8Array {
  const spans = Array.from({ length: count }, (_, index) => ({
    traceId: TRACE_ID, spanId: spanIdOf(n + index), name: `span ${n + index}`, ...more,
  }));
  return encodeRequest([{ resource: { "service.name": "shop" }, spans }]);
}

export interface Ack {
  readonly lane: number;
  readonly slot: number;
  readonly id: number;
  readonly outcome: number;
}

export interface HarnessOptions {
  readonly lanes?: number;
  readonly ringBytes?: number;
  readonly ackSlots?: number;
  readonly createDestination?: ForwarderLoopDependencies["createDestination"];
}

/** Plays the lanes of a forwarder loop that runs on this thread. */
export class Harness {
  readonly loop: ForwarderLoop;
  readonly events: ForwardEvent[] = [];
  readonly acks: Ack[] = [];
  readonly progress: Int32Array;
  readonly #producers: Map<string, ByteRingProducer>;
  readonly #ackRings: readonly SlotRingConsumer[];
  readonly #wake: WakeWord;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(forwarders: readonly ForwarderSettings[], options: HarnessOptions = {}) {
    const lanes = options.lanes ?? 1;
    this.#producers = new Map();
    const rings: (SharedArrayBuffer | null)[][] = [];
    for (let lane = 0; lane < lanes; lane++) {
      const ofLane = Array.from({ length: 16 }, (_, slot) => {
        if (!forwarders.some((forwarder) => forwarder.slot === slot)) return null;
        const memory = createByteRing(options.ringBytes ?? 1024 * 1024);
        this.#producers.set(`${lane}/${slot}`, new ByteRingProducer(memory));
        return memory;
      });
      rings.push(ofLane);
    }
    const memories = rings.map(() => createSlotRing(options.ackSlots ?? 4_096, ACK_WORDS));
    this.#ackRings = memories.map((memory) => new SlotRingConsumer(memory));
    const wake = createWakeWord();
    const progress = createProgress();
    this.progress = new Int32Array(progress);
    this.#wake = new WakeWord(wake);
    this.loop = new ForwarderLoop({
      forwarders, rings, acks: memories, laneWakes: rings.map(() => createWakeWord()), wake,
      progress,
    }, {
      clock: systemClock, random: () => 0.5, report: (event) => void this.events.push(event),
      ...(options.createDestination && { createDestination: options.createDestination }),
    });
    this.#running = this.loop.run(this.#stop.signal);
  }

  get counters(): ForwarderCounters {
    return this.loop.counters[0]!;
  }

  /** Publishes one message; false when the ring is full. */
  publish(payload: Uint8Array, id: number, spans: number, slot = 0, lane = 0): boolean {
    const ring = this.#producers.get(`${lane}/${slot}`)!;
    const at = ring.reserve(MESSAGE_PAYLOAD_AT + payload.length);
    if (at < 0) return false;
    ring.words[(at >>> 2) + MESSAGE_ID] = id;
    ring.words[(at >>> 2) + MESSAGE_SPANS] = spans;
    ring.words[(at >>> 2) + MESSAGE_PAYLOAD_BYTES] = payload.length;
    ring.words[(at >>> 2) + MESSAGE_FLAGS] = 0;
    ring.bytes.set(payload, at + MESSAGE_PAYLOAD_AT);
    ring.publish(MESSAGE_PAYLOAD_AT + payload.length);
    this.#wake.wake();
    return true;
  }

  /** Publishes `count` messages of one span each, with ids and span numbers from `first`. */
  publishSpans(first: number, count: number, slot = 0, lane = 0): void {
    for (let n = first; n < first + count; n++) {
      if (!this.publish(payloadOf(n), n, 1, slot, lane)) throw new Error("ring of a test is full");
    }
  }

  /** Reads the acknowledgement rings, as lanes do. */
  readAcks(): Ack[] {
    this.#ackRings.forEach((ring, lane) => {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        this.acks.push({
          lane, slot: ring.words[at + ACK_FORWARDER]!, id: ring.words[at + ACK_MESSAGE_ID]!,
          outcome: ring.words[at + ACK_OUTCOME]!,
        });
        ring.release();
      }
      ring.flush();
    });
    return this.acks;
  }

  /** Waits until that many acknowledgements have come, of one slot when given. */
  async acked(count: number, slot?: number): Promise<Ack[]> {
    const ofSlot = (): Ack[] =>
      this.readAcks().filter((ack) => slot === undefined || ack.slot === slot);
    await until(() => ofSlot().length >= count, `${count} acknowledgements`);
    return ofSlot();
  }

  async stop(withinMs = 200): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.loop.flush(withinMs);
  }

  /** Ends the loop without a flush. */
  async stopLoop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

/** Waits for a condition, at most `withinMs`. */
export async function until(
  condition: () => boolean, what: string, withinMs = 4_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
