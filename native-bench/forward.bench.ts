// The forwarder alone: messages as lanes render them, through the real ring, batches and OTLP
// client, to a sink in a process of its own. Without compression and with gzip level 1. The ring is
// filled by this thread too, which costs one copy of each message.

import { systemClock } from "../engine/base/clock.ts";
import { copyBytes } from "../engine/base/copy-bytes.ts";
import { createProgress, ForwarderLoop } from "../engine/forward/forwarder-loop.ts";
import type { OtlpForwarderSettings } from "../engine/forward/forwarder-settings.ts";
import {
  ACK_DELIVERED, ACK_OUTCOME, ACK_WORDS, MESSAGE_FLAGS, MESSAGE_ID, MESSAGE_PAYLOAD_AT,
  MESSAGE_PAYLOAD_BYTES, MESSAGE_SPANS,
} from "../engine/forward/message-layout.ts";
import { ByteRingProducer, createByteRing } from "../engine/ring/byte-ring.ts";
import { createSlotRing, SlotRingConsumer } from "../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../engine/ring/wake-word.ts";
import { Sink, type SinkResult } from "./load/load.ts";
import { otlpPayload, referenceShape } from "./load/payload.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 20_261_121;
const RING_BYTES = 64 * 1024 * 1024;
const ACK_SLOTS = 8_192;
/** What is kept of a body of a hundred spans. */
const SPANS_PER_MESSAGE = 10;
/** Different messages, taken in turn: more than gzip sees at once, so that ids do not compress. */
const PAYLOADS = 64;
const FLUSH_MS = 10_000;
const MIB = 1024 * 1024;
/** Between two fillings of the ring: what the loop rests too. */
const FILL_MS = 5;

/** `spansPerSecond` is without compression. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const messages = options.smoke ? 500 : 400_000;
  const plain = await forwardAll("none", messages);
  const gzip = await forwardAll("gzip", options.smoke ? messages : messages / 10);
  const fault = [plain.fault, gzip.fault].filter((text) => text !== "").join("; ");
  return {
    name: "forward",
    spansPerSecond: plain.spansPerSecond,
    detail: {
      seed: SEED, messages, spansPerMessage: SPANS_PER_MESSAGE,
      spansPerCpuSecond: plain.spansPerCpuSecond, sinkCpuSeconds: plain.sink.cpuSeconds,
      requests: plain.sink.requests,
      gzipSpansPerSecond: gzip.spansPerSecond, gzipSpansPerCpuSecond: gzip.spansPerCpuSecond,
      gzipShareOfBytes: rounded(gzip.sink.bytes / gzip.bytes),
      resultHash: `${plain.delivered}-${plain.bytes}-${gzip.delivered}-${gzip.bytes}`,
      ...(fault !== "" && { fault }),
    },
  };
}

interface Delivery {
  readonly spansPerSecond: number;
  readonly spansPerCpuSecond: number;
  readonly delivered: number;
  /** Before compression, as the forwarder counted them. */
  readonly bytes: number;
  readonly sink: SinkResult;
  readonly fault: string;
}

async function forwardAll(compression: "none" | "gzip", messages: number): Promise<Delivery> {
  const sink = await Sink.start();
  const feed = new Feed(messages);
  const loop = new ForwarderLoop({
    forwarders: [settings(sink.url, compression)], rings: [[feed.ring]], acks: [feed.acks],
    laneWakes: [createWakeWord()], wake: feed.wake, progress: createProgress(),
  }, { clock: systemClock, random: () => 0.5, report: () => {} });
  const stop = new AbortController();
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const running = loop.run(stop.signal);
  await feed.run();
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(cpuBefore);
  stop.abort();
  await running;
  await loop.flush(FLUSH_MS);
  const spans = messages * SPANS_PER_MESSAGE;
  const bytes = loop.counters.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  const counted = await sink.stop();
  const isWrong = feed.delivered !== messages
    || (compression === "none" && counted.bytes !== bytes);
  return {
    spansPerSecond: Math.round(spans / seconds),
    spansPerCpuSecond: Math.round((spans * 1e6) / (used.user + used.system)),
    delivered: feed.delivered, bytes, sink: counted,
    fault: isWrong ? `${compression}: the sink got something else than was sent` : "",
  };
}

/** Plays one lane: fills its ring, reads its acknowledgements. */
class Feed {
  readonly ring = createByteRing(RING_BYTES);
  readonly acks = createSlotRing(ACK_SLOTS, ACK_WORDS);
  readonly wake = createWakeWord();
  delivered = 0;
  readonly #messages: number;
  readonly #payloads: readonly Uint8Array[];

  constructor(messages: number) {
    this.#messages = messages;
    this.#payloads = Array.from({ length: PAYLOADS }, (_, number) =>
      otlpPayload(referenceShape(SPANS_PER_MESSAGE, 0, SEED + number)).body);
  }

  /** Until every message is acknowledged. */
  async run(): Promise<void> {
    const producer = new ByteRingProducer(this.ring);
    const acknowledgements = new SlotRingConsumer(this.acks);
    const forwarder = new WakeWord(this.wake);
    let published = 0;
    let answered = 0;
    while (answered < this.#messages) {
      const before = published;
      while (published < this.#messages && this.#publish(producer, published)) published++;
      if (published > before) forwarder.wake();
      for (let at = acknowledgements.peek(); at >= 0; at = acknowledgements.peek()) {
        if (acknowledgements.words[at + ACK_OUTCOME] === ACK_DELIVERED) this.delivered++;
        acknowledgements.release();
        answered++;
      }
      acknowledgements.flush();
      await new Promise((resolve) => setTimeout(resolve, FILL_MS));
    }
  }

  #publish(producer: ByteRingProducer, id: number): boolean {
    const payload = this.#payloads[id % PAYLOADS]!; // inside
    const at = producer.reserve(MESSAGE_PAYLOAD_AT + payload.length);
    if (at < 0) return false;
    const wordAt = at >>> 2;
    producer.words[wordAt + MESSAGE_ID] = id;
    producer.words[wordAt + MESSAGE_SPANS] = SPANS_PER_MESSAGE;
    producer.words[wordAt + MESSAGE_PAYLOAD_BYTES] = payload.length;
    producer.words[wordAt + MESSAGE_FLAGS] = 0;
    copyBytes(payload, 0, payload.length, producer.bytes, at + MESSAGE_PAYLOAD_AT);
    producer.publish(MESSAGE_PAYLOAD_AT + payload.length);
    return true;
  }
}

/** The defaults of a configured forwarder. */
function settings(url: string, compression: "none" | "gzip"): OtlpForwarderSettings {
  return {
    type: "otlp", slot: 0, name: "sink", url, compression, gzipLevel: 1, batchBytes: 4 * MIB,
    batchSpans: 8_192, batchMs: 200, timeoutMs: 30_000, requestsMax: 4, retryInitialMs: 500,
    retryMaxMs: 30_000, headers: {}, token: "", tokenHeader: "X-SF-Token",
  };
}

await runWhenMain(import.meta.url, run);
