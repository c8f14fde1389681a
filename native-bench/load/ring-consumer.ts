// The reading thread of ring.bench.ts: takes a given number of messages, hashes every word, answers
// with the hash. Sleeps as a lane does when there is nothing.

import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { ByteRingConsumer } from "../../engine/ring/byte-ring.ts";
import { SlotRingConsumer } from "../../engine/ring/slot-ring.ts";
import { WakeWord } from "../../engine/ring/wake-word.ts";

/** What the thread gets when it starts. */
export interface RingConsumerPlan {
  readonly kind: "bodies" | "slots";
  readonly memory: SharedArrayBuffer;
  readonly count: number;
  /** The consumer waits on it. */
  readonly wake: SharedArrayBuffer;
  /** The producer waits on it when the ring is full. */
  readonly room: SharedArrayBuffer;
}

const WAIT_MS = 100;
/** Messages between two releases: about what a lane takes in a turn. */
const MESSAGES_PER_RELEASE = 16;

/** Folds words [at, end) into a hash. */
export function hashWords(words: Uint32Array, at: number, end: number, hash: number): number {
  let next = hash;
  for (let word = at; word < end; word++) next = (Math.imul(next, 31) + words[word]!) | 0;
  return next;
}

function takeBodies(plan: RingConsumerPlan, wake: WakeWord, room: WakeWord): number {
  const ring = new ByteRingConsumer(plan.memory);
  let hash = 0;
  for (let taken = 0; taken < plan.count; ) {
    const snapshot = wake.snapshot();
    let at = ring.peek();
    if (at < 0) {
      wake.waitSync(snapshot, WAIT_MS);
      continue;
    }
    for (let batch = 0; at >= 0 && batch < MESSAGES_PER_RELEASE; batch++) {
      hash = hashWords(ring.words, at >>> 2, (at + ring.messageBytes) >>> 2, hash);
      ring.advance();
      taken++;
      at = ring.peek();
    }
    ring.releaseAll();
    room.wake();
  }
  return hash;
}

function takeSlots(plan: RingConsumerPlan, wake: WakeWord, room: WakeWord): number {
  const ring = new SlotRingConsumer(plan.memory);
  const { slotWords } = ring;
  let hash = 0;
  for (let taken = 0; taken < plan.count; ) {
    const snapshot = wake.snapshot();
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      hash = hashWords(ring.words, at, at + slotWords, hash);
      ring.release();
      taken++;
    }
    if (ring.flush()) room.wake();
    else wake.waitSync(snapshot, WAIT_MS);
  }
  return hash;
}

if (!isMainThread && parentPort !== null) {
  const plan = workerData as RingConsumerPlan;
  const take = plan.kind === "bodies" ? takeBodies : takeSlots;
  parentPort.postMessage("ready");
  parentPort.postMessage(take(plan, new WakeWord(plan.wake), new WakeWord(plan.room)));
}
