// The reading thread of ring.bench.ts: takes a given number of messages, hashes every word, answers
// with the hash. Sleeps as a lane does when there is nothing.

import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../engine/base/assert.ts";
import { ByteRingConsumer } from "../../engine/ring/byte-ring.ts";
import { SlotRingConsumer } from "../../engine/ring/slot-ring.ts";
import { WakeWord } from "../../engine/ring/wake-word.ts";
import { hashWords, type RingConsumerPlan } from "./ring-passage.ts";

const WAIT_MS = 100;
/** Messages between two releases: about what a lane takes in a turn. */
const MESSAGES_PER_RELEASE = 16;

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

const port = parentPort;
assert(port !== null, "the consumer runs in a thread of its own");
const plan = workerData as RingConsumerPlan;
const take = plan.kind === "bodies" ? takeBodies : takeSlots;
port.postMessage("ready");
port.postMessage(take(plan, new WakeWord(plan.wake), new WakeWord(plan.room)));
