// The forwarder thread: all forwarders on one event loop.

import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../engine/base/clock.ts";
import { assert } from "../engine/base/assert.ts";
import { Log, type LogOptions } from "../engine/base/log.ts";
import { ForwarderLoop, type ForwarderLoopOptions } from "../engine/forward/forwarder-loop.ts";
import { ForwardMirror } from "../engine/telemetry/forward-mirror.ts";

/** What the thread gets when it starts. */
export interface ForwarderPlan extends ForwarderLoopOptions {
  readonly counters: SharedArrayBuffer;
  readonly log: LogOptions;
}

/** Counters are copied to shared memory this often. */
const PUBLISH_MS = 200;

const plan = workerData as ForwarderPlan;
const port = parentPort;
assert(port !== null, "the forwarder runs in a thread of its own");

const log = new Log(plan.log);
const loop = new ForwarderLoop(plan, {
  clock: systemClock,
  random: () => Math.random(),
  report: ({ level, forwarder, message, detail }) => {
    log.say(level, message, { forwarder, ...detail });
  },
});
const mirror = new ForwardMirror(plan.counters);
plan.forwarders.forEach(({ slot }, index) => {
  mirror.attach(slot, loop.counters[index]!); // one per forwarder, in order
});
const publishing = setInterval(() => mirror.publish(), PUBLISH_MS);
const stop = new AbortController();
const running = loop.run(stop.signal);

port.on("message", (message: { kind: "flush"; withinMs: number }) => {
  void flush(message.withinMs);
});
port.postMessage({ kind: "running" });

/** Ends the work and the thread; rejections are uncaught and end the process. */
async function flush(withinMs: number): Promise<void> {
  stop.abort();
  await running;
  const report = await loop.flush(withinMs);
  clearInterval(publishing);
  mirror.publish();
  assert(port !== null, "the forwarder runs in a thread of its own");
  port.postMessage({ kind: "flushed", report });
  log.close();
  port.close();
}
