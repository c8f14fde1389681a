// The rings between two threads: bodies through a byte ring from this thread to a worker (as from
// the front door to a lane), and slots of a part's size through a slot ring the same way. The
// worker hashes a word of every cache line, so that nothing is skipped; the same bodies through one
// thread show what the hand-over adds, and two ways to copy into shared memory what a copy costs.

import { Worker } from "node:worker_threads";
import { copyBytes } from "../engine/base/copy-bytes.ts";
import { MESSAGE_WORDS } from "../engine/part/part-layout.ts";
import { ByteRingConsumer, ByteRingProducer, createByteRing } from "../engine/ring/byte-ring.ts";
import { createSlotRing, SlotRingProducer } from "../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../engine/ring/wake-word.ts";
import { builtFile } from "./checkout.ts";
import { otlpPayload, referenceShape } from "./load/payload.ts";
import { hashWords, type RingConsumerPlan } from "./load/ring-passage.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 20_261_121;
const SPANS_PER_BODY = 100;
const RING_BYTES = 64 * 1024 * 1024;
/** As the front door: a ring is not filled beyond this. */
const CREDIT_BYTES = RING_BYTES / 4;
const SLOTS = 32_768;
/** Slots of one flush: about what one body gives. */
const SLOTS_PER_FLUSH = 64;
const WAIT_MS = 100;

interface Sizes {
  readonly bodies: number;
  readonly slots: number;
}

/** `spansPerSecond` is that of bodies of 100 spans between two threads. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const sizes: Sizes = options.smoke
    ? { bodies: 200, slots: 10_000 } : { bodies: 200_000, slots: 20_000_000 };
  const { body } = otlpPayload(referenceShape(SPANS_PER_BODY, 0, SEED));
  const copies = timeCopies(body, sizes.bodies);
  const alone = passAlone(body, sizes.bodies);
  const bodies = await passBodies(body, sizes.bodies);
  const slots = await passSlots(sizes.slots);
  return {
    name: "ring",
    spansPerSecond: Math.round((sizes.bodies * SPANS_PER_BODY) / bodies.seconds),
    detail: {
      seed: SEED, bodies: sizes.bodies, bodyBytes: body.length,
      mibPerSecond: Math.round((sizes.bodies * body.length) / bodies.seconds / 2 ** 20),
      microsecondsPerBody: rounded((bodies.seconds * 1e6) / sizes.bodies),
      microsecondsPerBodyInOneThread: rounded((alone.seconds * 1e6) / sizes.bodies),
      microsecondsPerCopy: copies.copyBytes, microsecondsPerCopyWithSet: copies.set,
      slots: sizes.slots, slotWords: MESSAGE_WORDS,
      nanosecondsPerSlot: rounded((slots.seconds * 1e9) / sizes.slots),
      resultHash: [alone.hash, bodies.hash, slots.hash].join("-"),
    },
  };
}

/**
 * Microseconds of a copy into shared memory: copyBytes(), and TypedArray.set. From an odd address,
 * as bodies come out of a socket's buffer: set then moves byte after byte.
 */
function timeCopies(body: Uint8Array, count: number): { copyBytes: number; set: number } {
  const { bytes } = new ByteRingProducer(createByteRing(RING_BYTES));
  const time = (copy: (at: number) => void): number => {
    let at = 0;
    const began = performance.now();
    for (let number = 0; number < count; number++) {
      copy(at);
      at = at + 2 * body.length > CREDIT_BYTES ? 0 : at + body.length;
    }
    return rounded(((performance.now() - began) * 1000) / count);
  };
  const copy = (at: number): void => copyBytes(body, 1, body.length, bytes, at);
  const set = (at: number): void => bytes.set(body.subarray(1), at);
  time(copy); // the pages become resident
  return { copyBytes: time(copy), set: time(set) };
}

interface Passage {
  readonly seconds: number;
  readonly hash: number;
}

/** Writing, copying and reading without a second thread. */
function passAlone(body: Uint8Array, count: number): Passage {
  const memory = createByteRing(RING_BYTES);
  const producer = new ByteRingProducer(memory);
  const consumer = new ByteRingConsumer(memory);
  let hash = 0;
  const began = performance.now();
  for (let number = 0; number < count; number++) {
    const at = producer.reserve(body.length);
    copyBytes(body, 0, body.length, producer.bytes, at);
    producer.publish(body.length);
    const from = consumer.peek() >>> 2;
    hash = hashWords(consumer.words, from, from + (consumer.messageBytes >>> 2), hash);
    consumer.release();
  }
  return { seconds: (performance.now() - began) / 1000, hash };
}

async function passBodies(body: Uint8Array, count: number): Promise<Passage> {
  const memory = createByteRing(RING_BYTES);
  const producer = new ByteRingProducer(memory);
  return await pass({ kind: "bodies", memory, count }, (consumerWake, room) => {
    for (let sent = 0; sent < count; ) {
      const snapshot = room.snapshot();
      const at = producer.usedBytes() < CREDIT_BYTES ? producer.reserve(body.length) : -1;
      if (at < 0) {
        room.waitSync(snapshot, WAIT_MS);
        continue;
      }
      copyBytes(body, 0, body.length, producer.bytes, at);
      producer.publish(body.length);
      consumerWake.wake();
      sent++;
    }
  });
}

async function passSlots(count: number): Promise<Passage> {
  const memory = createSlotRing(SLOTS, MESSAGE_WORDS);
  const producer = new SlotRingProducer(memory);
  return await pass({ kind: "slots", memory, count }, (consumerWake, room) => {
    for (let sent = 0; sent < count; ) {
      const snapshot = room.snapshot();
      const end = Math.min(count, sent + Math.min(SLOTS_PER_FLUSH, producer.free()));
      if (end === sent) {
        room.waitSync(snapshot, WAIT_MS);
        continue;
      }
      for (; sent < end; sent++) {
        const at = producer.reserve();
        for (let word = 0; word < MESSAGE_WORDS; word++) producer.words[at + word] = sent + word;
        producer.publish();
      }
      if (producer.flush()) consumerWake.wake();
    }
  });
}

/** Runs a consumer thread against `produce`; the time is that until the consumer has everything. */
async function pass(
  work: Pick<RingConsumerPlan, "kind" | "memory" | "count">,
  produce: (consumerWake: WakeWord, room: WakeWord) => void,
): Promise<Passage> {
  const plan: RingConsumerPlan = { ...work, wake: createWakeWord(), room: createWakeWord() };
  const worker = new Worker(builtFile("native-bench/load/ring-consumer.ts"), { workerData: plan });
  const failed = new Promise<never>((_, reject) => worker.once("error", reject));
  await Promise.race([new Promise((resolve) => worker.once("message", resolve)), failed]);
  const done = new Promise<number>((resolve) => worker.once("message", resolve));
  const began = performance.now();
  produce(new WakeWord(plan.wake), new WakeWord(plan.room));
  const hash = await Promise.race([done, failed]);
  const seconds = (performance.now() - began) / 1000;
  await worker.terminate();
  return { seconds, hash };
}

await runWhenMain(import.meta.url, run);
