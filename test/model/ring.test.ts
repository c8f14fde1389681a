// Random actions on rings with tiny capacities, against plain arrays, near the wrap of sequences.

import { afterAll, beforeAll, expect, test } from "vitest";
import { Worker } from "node:worker_threads";
import {
  ByteRingConsumer, ByteRingProducer, createByteRing, messageBytesMax,
} from "../../engine/ring/byte-ring.ts";
import {
  SlotRingConsumer, SlotRingProducer, createSlotRing,
} from "../../engine/ring/slot-ring.ts";
import { WakeWord, createWakeWord } from "../../engine/ring/wake-word.ts";
import { type CompiledEngine, compileEngine } from "../support/compile-engine.ts";
import { Random } from "../support/random.ts";

const seedOfRun = Random.fromEnvironment().seed;
console.log(`ring model seed ${seedOfRun} (TAILRACE_SEED repeats it)`);

interface Live { at: number; bytes: number; fill: number }

function playByteRing(seed: number): void {
  const random = new Random(seed);
  const below = (count: number) => random.below(count);
  const capacity = 64 << below(4);
  const memory = createByteRing(capacity, -8 * below(3 * capacity));
  const producer = new ByteRingProducer(memory);
  const consumer = new ByteRingConsumer(memory);
  const live: Live[] = [];
  let held = 0;
  let fill = 0;
  for (let step = 0; step < 400; step++) {
    const action = below(10);
    if (action < 5) {
      const wanted = below(random.chance(0.1) ? capacity : messageBytesMax(capacity) + 1);
      const at = producer.reserve(wanted);
      if (at < 0) {
        const refusable = live.length > 0 || wanted > messageBytesMax(capacity);
        expect(refusable, "an empty ring refused").toBe(true);
        continue;
      }
      expect(at % 8).toBe(0);
      expect(at + wanted).toBeLessThanOrEqual(capacity);
      for (const other of live) {
        const apart = at + wanted <= other.at - 8 || at - 8 >= other.at + other.bytes;
        expect(apart, "a reservation overlaps a live message").toBe(true);
      }
      if (random.chance(0.1)) continue;
      const bytes = random.chance(0.3) ? below(wanted + 1) : wanted;
      fill = (fill + 1) & 0xff;
      producer.bytes.fill(fill, at, at + bytes);
      producer.publish(bytes);
      live.push({ at, bytes, fill });
    } else if (action < 8) {
      const at = consumer.peek();
      const expected = live[held];
      expect(at).toBe(expected?.at ?? -1);
      if (expected === undefined) continue;
      expect(consumer.messageBytes).toBe(expected.bytes);
      if (random.chance(0.2)) continue;
      consumer.advance();
      held++;
    } else {
      for (const message of live.slice(0, held)) {
        const bytes = consumer.bytes.slice(message.at, message.at + message.bytes);
        expect(bytes.every((byte) => byte === message.fill), "held bytes changed").toBe(true);
      }
      if (action === 8 && consumer.peek() >= 0) {
        consumer.release();
        held++;
      } else {
        consumer.releaseAll();
      }
      live.splice(0, held);
      held = 0;
      expect(consumer.heldBytes()).toBe(0);
    }
    expect(producer.usedBytes()).toBe(consumer.usedBytes());
    expect(producer.usedBytes()).toBeLessThanOrEqual(capacity);
    expect(producer.usedBytes() === 0).toBe(live.length === 0);
  }
}

test("a byte ring behaves like a list of messages, across wraps of its u32 sequences", () => {
  for (let game = 0; game < 150; game++) {
    try {
      playByteRing(seedOfRun + game);
    } catch (error) {
      throw new Error(`game with seed ${seedOfRun + game}`, { cause: error });
    }
  }
});

function playSlotRing(seed: number): void {
  const random = new Random(seed);
  const below = (count: number) => random.below(count);
  const slots = 1 << below(5);
  const slotWords = 1 + below(5);
  const memory = createSlotRing(slots, slotWords, -below(3 * slots));
  const producer = new SlotRingProducer(memory);
  const consumer = new SlotRingConsumer(memory);
  const staged: number[] = [];
  const visible: number[] = [];
  let unflushed = 0;
  let value = 0;
  for (let step = 0; step < 500; step++) {
    const action = below(8);
    const taken = staged.length + visible.length + unflushed;
    if (action < 3) {
      const at = producer.reserve();
      expect(at >= 0).toBe(taken < slots);
      if (at < 0) continue;
      value++;
      for (let word = 0; word < slotWords; word++) producer.words[at + word] = value * 8 + word;
      producer.publish();
      staged.push(value);
    } else if (action === 3) {
      expect(producer.flush()).toBe(staged.length > 0);
      visible.push(...staged.splice(0));
    } else if (action < 7) {
      const at = consumer.peek();
      expect(at >= 0).toBe(visible.length > 0);
      if (at < 0) continue;
      const expected = visible.shift()!;
      for (let word = 0; word < slotWords; word++) {
        expect(consumer.words[at + word]).toBe(expected * 8 + word);
      }
      consumer.release();
      unflushed++;
    } else {
      expect(consumer.flush()).toBe(unflushed > 0);
      unflushed = 0;
    }
    expect(producer.free()).toBe(slots - staged.length - visible.length - unflushed);
    expect(consumer.waiting()).toBe(visible.length);
  }
}

test("a slot ring behaves like a list of slots, across wraps of its u32 sequences", () => {
  for (let game = 0; game < 150; game++) {
    try {
      playSlotRing(seedOfRun + game);
    } catch (error) {
      throw new Error(`game with seed ${seedOfRun + game}`, { cause: error });
    }
  }
});

// Two real threads: a worker sends checked messages, this thread answers each through a slot ring.

const WORKER = `
import { workerData } from "node:worker_threads";
const { ByteRingProducer } = await import(workerData.byteRingUrl);
const { SlotRingConsumer } = await import(workerData.slotRingUrl);
const { WakeWord } = await import(workerData.wakeWordUrl);
const producer = new ByteRingProducer(workerData.messages);
const answers = new SlotRingConsumer(workerData.answers);
const wakeMain = new WakeWord(workerData.mainWake);
const wakeSelf = new WakeWord(workerData.workerWake);
let state = workerData.seed >>> 0;
let sent = 0;
let answered = 0;
let sum = 0;
while (answered < workerData.count) {
  const snapshot = wakeSelf.snapshot();
  let progress = false;
  for (let burst = 0; burst < 50 && sent < workerData.count; burst++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const bytes = 8 + (state >>> 8) % (producer.messageBytesMax - 7);
    const at = producer.reserve(bytes);
    if (at < 0) break;
    producer.words[at >>> 2] = sent;
    producer.bytes.fill(sent & 0xff, at + 4, at + bytes);
    producer.publish(bytes);
    sent++;
    progress = true;
  }
  if (progress) wakeMain.wake();
  for (let at = answers.peek(); at >= 0; at = answers.peek()) {
    if (answers.words[at] !== answered) throw new Error("answers out of order");
    sum = (sum + answers.words[at + 1]) >>> 0;
    answers.release();
    answered++;
    progress = true;
  }
  if (answers.flush()) wakeMain.wake();
  if (!progress) wakeSelf.waitSync(snapshot, 5000);
}
process.exitCode = sum === workerData.count ? 0 : 3;
`;

let compiled: CompiledEngine;
beforeAll(() => {
  compiled = compileEngine([
    "engine/ring/byte-ring.ts", "engine/ring/slot-ring.ts", "engine/ring/wake-word.ts",
  ]);
}, 60_000);
afterAll(() => compiled.remove());

test("two threads exchange a hundred thousand messages and answers without loss", async () => {
  const count = 100_000;
  const messages = createByteRing(4096, -800_000);
  const answers = createSlotRing(32, 2, -50_000);
  const mainWake = createWakeWord();
  const workerWake = createWakeWord();
  const worker = new Worker(
    new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`),
    {
      workerData: {
        count, seed: seedOfRun, messages, answers, mainWake, workerWake,
        byteRingUrl: compiled.url("engine/ring/byte-ring.ts"),
        slotRingUrl: compiled.url("engine/ring/slot-ring.ts"),
        wakeWordUrl: compiled.url("engine/ring/wake-word.ts"),
      },
    },
  );
  let ended = false;
  const exit = new Promise<number>((resolve, reject) => {
    worker.on("exit", (code) => { ended = true; resolve(code); });
    worker.on("error", reject);
  });
  const consumer = new ByteRingConsumer(messages);
  const producer = new SlotRingProducer(answers);
  const wakeSelf = new WakeWord(mainWake);
  const wakeWorker = new WakeWord(workerWake);
  let received = 0;
  let timedOut = 0;
  while (received < count && !ended && timedOut < 5) {
    const snapshot = wakeSelf.snapshot();
    const before = received;
    for (let at = consumer.peek(); at >= 0; at = consumer.peek()) {
      const answerAt = producer.reserve();
      if (answerAt < 0) break;
      const bytes = consumer.messageBytes;
      if (consumer.words[at >>> 2] !== received) throw new Error("messages out of order");
      for (let index = at + 4; index < at + bytes; index++) {
        if (consumer.bytes[index] !== (received & 0xff)) throw new Error("a message was torn");
      }
      producer.words[answerAt] = received;
      producer.words[answerAt + 1] = 1;
      producer.publish();
      consumer.advance();
      received++;
    }
    consumer.releaseAll();
    producer.flush();
    if (received !== before) wakeWorker.wake();
    if (received !== before) continue;
    const waitedFrom = performance.now();
    await wakeSelf.waitAsync(snapshot, 2000);
    timedOut = performance.now() - waitedFrom > 1900 ? timedOut + 1 : 0;
  }
  expect(received).toBe(count);
  expect(await exit).toBe(0);
}, 60_000);

test("a thread that ends while it waits asynchronously harms nobody who wakes it", async () => {
  const memory = createWakeWord();
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    const { WakeWord } = await import(workerData.url);
    const word = new WakeWord(workerData.memory);
    void word.waitAsync(word.snapshot(), 60000);
    parentPort.postMessage("waiting");
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { memory, url: compiled.url("engine/ring/wake-word.ts") },
  });
  await new Promise((resolve) => { worker.once("message", resolve); });
  await worker.terminate();
  const word = new WakeWord(memory);
  for (let round = 0; round < 100; round++) word.wake();
  const wait = word.waitAsync(word.snapshot(), 10_000);
  word.wake();
  await wait;
});
