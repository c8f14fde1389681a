// The front door alone, as a process: real HTTP engine (uws, or the one that its argument names),
// admission, body assembly and rings, and in place of a lane an answer "accepted" to everything.
// front-door.bench.ts forks it.

import { systemClock } from "../../engine/base/clock.ts";
import { Door } from "../../engine/front-door/door.ts";
import { DoorCounters } from "../../engine/front-door/door-counters.ts";
import { BODY_MS_MAX, UNFINISHED_BODY_BYTES } from "../../engine/front-door/door-limits.ts";
import { OTLP_TRACES } from "../../engine/front-door/routes.ts";
import { createHealthWords, HealthWords } from "../../engine/part/health-words.ts";
import { ACCEPTED } from "../../engine/part/verdict.ts";
import { ByteRingConsumer, ByteRingProducer, createByteRing } from "../../engine/ring/byte-ring.ts";
import {
  COMPLETION_REASON, COMPLETION_REJECTED, COMPLETION_REQUEST, COMPLETION_VERDICT, COMPLETION_WORDS,
  PAYLOAD_BODY_BYTES, PAYLOAD_REQUEST,
} from "../../engine/ring/payload-layout.ts";
import {
  createSlotRing, SlotRingConsumer, SlotRingProducer,
} from "../../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../../engine/ring/wake-word.ts";

/** Sent to the parent when the door listens. */
export interface DoorReady {
  readonly port: number;
}

/** Sent to the parent when it asked for the end. */
export interface DoorReport {
  readonly payloads: number;
  readonly bodyBytes: number;
  /** From when the door listened. */
  readonly cpuSeconds: number;
  readonly failures: number;
}

const RING_BYTES = 64 * 1024 * 1024;
const REQUESTS_MAX = 16_384;
const WAIT_MS = 1_000;

let accepted = 0;
let bodyBytes = 0;
const mainWake = createWakeWord();
const laneWake = createWakeWord();
const payloads = createByteRing(RING_BYTES);
const completions = createSlotRing(REQUESTS_MAX, COMPLETION_WORDS);
const health = new HealthWords(createHealthWords());
const counters = new DoorCounters();
const door = new Door({
  engine: process.argv[2] === "node" ? "node" : "uws",
  listeners: [{ name: "otlp", host: "127.0.0.1", port: 0, routes: [OTLP_TRACES] }],
  lanes: [{
    payloads: new ByteRingProducer(payloads), completions: new SlotRingConsumer(completions),
    wake: new WakeWord(laneWake),
  }],
  limits: {
    maxBodyBytes: RING_BYTES / 4, unfinishedBodyBytes: UNFINISHED_BODY_BYTES,
    laneRingCreditBytes: RING_BYTES / 4, connectionsMax: REQUESTS_MAX, requestsMax: REQUESTS_MAX,
    bodyMs: BODY_MS_MAX, retryAfterSeconds: 1,
  },
  reasons: [],
}, {
  clock: systemClock, health, counters, wake: new WakeWord(mainWake),
  onTurn: () => {}, onFailure: (error) => process.stderr.write(`${String(error)}\n`),
  log: (_level, message) => process.stderr.write(`${message}\n`),
});

/** Plays the lane, on this thread: takes everything that waits and accepts it. */
async function acceptAll(): Promise<void> {
  const ring = new ByteRingConsumer(payloads);
  const answers = new SlotRingProducer(completions);
  const wake = new WakeWord(laneWake);
  const main = new WakeWord(mainWake);
  for (;;) {
    const snapshot = wake.snapshot();
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const slot = answers.reserve();
      if (slot < 0) break; // there is one for every request that can be open
      answers.words[slot + COMPLETION_REQUEST] = ring.words[(at >>> 2) + PAYLOAD_REQUEST]!;
      answers.words[slot + COMPLETION_VERDICT] = ACCEPTED;
      answers.words[slot + COMPLETION_REJECTED] = 0;
      answers.words[slot + COMPLETION_REASON] = 0;
      bodyBytes += ring.words[(at >>> 2) + PAYLOAD_BODY_BYTES]!;
      answers.publish();
      ring.advance();
      accepted++;
    }
    ring.releaseAll();
    if (answers.flush()) main.wake();
    await wake.waitAsync(snapshot, WAIT_MS);
  }
}

health.ready = true;
await door.listen();
const begun = process.cpuUsage();
void acceptAll();
process.on("message", () => {
  const used = process.cpuUsage(begun);
  const report: DoorReport = {
    payloads: accepted, bodyBytes, cpuSeconds: (used.user + used.system) / 1e6,
    failures: counters.failures,
  };
  process.send?.(report, () => process.exit(0));
});
process.on("disconnect", () => process.exit(1)); // nobody is left to measure for
process.send?.({ port: door.port("otlp") } satisfies DoorReady);
