// The front door alone with small bodies, driven by autocannon: what one request costs before any
// lane has seen it. autocannon shares the machine and is the slower of the two, so its requests a
// second are a lower bound; the door's processor time for a request is the figure to compare.

import { fork, type ChildProcess } from "node:child_process";
import autocannon, { type Result } from "autocannon";
import { builtFile } from "./checkout.ts";
import type { DoorReady, DoorReport } from "./load/door-process.ts";
import { otlpPayload, referenceShape } from "./load/payload.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 20_261_121;
const SPANS_PER_BODY = 2;
const CONNECTIONS = 32;
const SECONDS = 15;
const SMOKE_REQUESTS = 500;

/** `spansPerSecond` counts the spans of the bodies that were accepted. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const { body } = otlpPayload(referenceShape(SPANS_PER_BODY, 0, SEED));
  const door = fork(builtFile("native-bench/load/door-process.ts"), { stdio: "inherit" });
  try {
    const { port } = await messageOf<DoorReady>(door);
    const seen = await autocannon({
      url: `http://127.0.0.1:${port}/v1/traces`, method: "POST",
      headers: { "content-type": "application/x-protobuf" }, body: Buffer.from(body),
      connections: CONNECTIONS, duration: SECONDS,
      ...(options.smoke && { amount: SMOKE_REQUESTS }),
    });
    const report = messageOf<DoorReport>(door);
    door.send("report");
    return resultOf(options, seen, await report, body.length);
  } finally {
    door.kill();
  }
}

function resultOf(
  options: BenchOptions, seen: Result, door: DoorReport, bodyBytes: number,
): BenchResult {
  const requests = seen["2xx"];
  const faults = [
    seen.non2xx > 0 ? `${seen.non2xx} requests were refused` : "",
    seen.errors > 0 ? `${seen.errors} requests failed` : "",
    door.failures > 0 ? `${door.failures} failures in the door` : "",
    door.bodyBytes !== door.payloads * bodyBytes ? "bodies were not complete" : "",
  ].filter((fault) => fault !== "").join("; ");
  return {
    name: "front-door",
    spansPerSecond: Math.round((requests * SPANS_PER_BODY) / seen.duration),
    detail: {
      seed: SEED, spansPerBody: SPANS_PER_BODY, bodyBytes, connections: CONNECTIONS,
      requests, requestsPerSecond: Math.round(requests / seen.duration),
      p50Ms: seen.latency.p50, p90Ms: seen.latency.p90, p99Ms: seen.latency.p99,
      maxMs: rounded(seen.latency.max),
      spansPerCpuSecond: Math.round((door.payloads * SPANS_PER_BODY) / door.cpuSeconds),
      cpuMicrosecondsPerRequest: rounded((door.cpuSeconds * 1e6) / door.payloads),
      ...(options.smoke && { resultHash: `${door.payloads}-${door.bodyBytes}` }),
      ...(faults !== "" && { fault: faults }),
    },
  };
}

/** The next message of a process; rejects when it ends without one. */
function messageOf<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      reject(new Error(`the front door ended with ${code ?? "a signal"}`));
    };
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message as Message); // our own program's
    });
  });
}

await runWhenMain(import.meta.url, run);
