// One run of the whole chain: load generator → gateway → sink, each a process of its own.
// Everything is read from outside: answers by the generator, time and memory from /proc, sums from
// /status, /metrics and the balance sheet that the gateway prints when it ends.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { rounded, type BenchResult } from "../result.ts";
import { GatewayProcess, type GatewayEnd } from "./gateway-process.ts";
import { acceptedRequests, runLoad, Sink, type LoadResult, type SinkResult } from "./load.ts";
import { otlpJsonPayload, zipkinPayload } from "./json-payload.ts";
import { otlpPayload, referenceShape, type Payload } from "./payload.ts";
import { cpuTime, residentBytes, type CpuTime } from "./process-facts.ts";

const MIB = 1024 * 1024;
const CLOSED = "The balance closes";
/** Beyond DecisionWait, for deciding and delivering what the load left behind. */
const SETTLE_MS = 60_000;
/** After the last answer, for the last parts to reach their traces. */
const FOLD_MS = 5_000;
const SAMPLE_PERCENT = 10;
const REMOVE = { recursive: true, force: true, maxRetries: 10 } as const;
const EXIT_INTERRUPTED = 130;

const PAYLOADS = {
  "otlp-proto": otlpPayload, "otlp-json": otlpJsonPayload, "zipkin-json": zipkinPayload,
} as const;

/** What is done to the gateway. */
export interface Scenario {
  readonly name: string;
  readonly format: keyof typeof PAYLOADS;
  readonly spansPerBody: number;
  readonly connections: number;
  readonly seconds: number;
  /** Open loop at this rate; 0: closed loop. */
  readonly spansPerSecond: number;
  /** 0: as many as the time allows. */
  readonly requestsMax: number;
  /** Bodies in a row that a trace has two spans in: traces have 2 × spread spans. */
  readonly spread: number;
  readonly decisionWaitSeconds: number;
  /** Wait until all is decided and delivered before the gateway is stopped; else it stays. */
  readonly settle: boolean;
  /** Live traces that the run must pass to count; 0: any. */
  readonly tracesLiveMin: number;
  /** Between two looks at memory and live traces. */
  readonly sampleMs: number;
  readonly seed: number;
}

/** Peaks of a run. */
interface Peaks {
  residentBytes: number;
  tracesLive: number;
}

/** Everything seen while the gateway lived and at its end. */
interface Observation {
  readonly payload: Payload;
  readonly load: LoadResult;
  readonly idleBytes: number;
  readonly peaks: Peaks;
  readonly cpuBefore: CpuTime;
  readonly settled: boolean;
  readonly metrics: ReadonlyMap<string, number>;
  readonly end: GatewayEnd;
  readonly sink: SinkResult;
}

/** Runs a scenario; a `fault` means it does not count. Needs Linux and a C compiler. */
export async function runScenario(scenario: Scenario): Promise<BenchResult> {
  const sink = await Sink.start();
  const directory = mkdtempSync(join(tmpdir(), "tailrace-chain-"));
  let gateway: GatewayProcess | null = null;
  const onInterrupt = (): void => {
    void gateway?.kill();
    rmSync(directory, REMOVE); // gigabytes
    process.exit(EXIT_INTERRUPTED);
  };
  process.on("SIGINT", onInterrupt); // not once: a second one would end us in the middle of it
  try {
    const listener = scenario.format === "zipkin-json" ? "signalfx" : "otlp";
    const settings = tenthTo(sink.url, scenario.decisionWaitSeconds);
    gateway = await GatewayProcess.start(directory, listener, settings);
    return resultOf(scenario, await observe(scenario, gateway, sink, directory));
  } catch (error) {
    throw new Error(`${scenario.name} failed; the gateway said:\n${gateway?.output ?? "nothing"}`,
      { cause: error });
  } finally {
    process.off("SIGINT", onInterrupt);
    await gateway?.kill();
    await sink.stop();
    rmSync(directory, REMOVE);
  }
}

/** Settings of a gateway that keeps a tenth of all traces for a sink. */
export function tenthTo(sinkUrl: string, decisionWaitSeconds: number): Record<string, unknown> {
  return {
    DrainDelay: "0s",
    ForwardTo: [{
      Type: "otlp", Name: "sink", URL: sinkUrl, Compression: "none",
      TraceSample: {
        DecisionWait: `${decisionWaitSeconds}s`,
        Policies: [{
          name: "tenth", type: "probabilistic",
          probabilistic: { sampling_percentage: SAMPLE_PERCENT },
        }],
      },
    }],
  };
}

async function observe(
  scenario: Scenario, gateway: GatewayProcess, sink: Sink, directory: string,
): Promise<Observation> {
  const { seed, spansPerBody } = scenario;
  const shape = referenceShape(spansPerBody, 0, seed);
  const payload = PAYLOADS[scenario.format](shape);
  const idleBytes = residentBytes(gateway.pid);
  const peaks: Peaks = { residentBytes: idleBytes, tracesLive: 0 };
  const cpuBefore = cpuTime(gateway.pid);
  const ended = new AbortController();
  const [load] = await Promise.all([
    runLoad({
      directory, ports: [gateway.port], payload, connections: scenario.connections,
      seconds: scenario.seconds,
      requestsPerSecond: scenario.spansPerSecond / spansPerBody,
      requestsMax: scenario.requestsMax, spread: scenario.spread, seed,
    }).finally(() => ended.abort()),
    samplePeaks(gateway, peaks, scenario.sampleMs, ended.signal),
  ]);
  const settled = await settle(scenario, gateway, peaks);
  const metrics = await gateway.metrics();
  const end = await gateway.stop();
  return {
    payload, load, idleBytes, peaks, cpuBefore, settled, metrics, end, sink: await sink.stop(),
  };
}

async function samplePeaks(
  gateway: GatewayProcess, peaks: Peaks, everyMs: number, ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    await samplePeak(gateway, peaks);
    await sleep(everyMs);
  }
}

/** @returns spans that are undecided, or kept and not delivered. */
async function samplePeak(gateway: GatewayProcess, peaks: Peaks): Promise<number> {
  peaks.residentBytes = Math.max(peaks.residentBytes, residentBytes(gateway.pid));
  const { lanes, balance } = await gateway.status();
  const live = lanes.reduce((sum, lane) => sum + lane.tracesLive, 0);
  peaks.tracesLive = Math.max(peaks.tracesLive, live);
  return balance.forwarders.reduce((sum, each) => sum + each.inFlight + each.waiting, 0);
}

/**
 * Waits until nothing is undecided or undelivered, or, where that is not wanted, until as many
 * traces live as should: the last answers come before the last parts are folded. False when it
 * takes too long.
 */
async function settle(
  scenario: Scenario, gateway: GatewayProcess, peaks: Peaks,
): Promise<boolean> {
  const waitMs = scenario.settle ? scenario.decisionWaitSeconds * 1000 + SETTLE_MS : FOLD_MS;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const open = await samplePeak(gateway, peaks);
    if (scenario.settle ? open === 0 : peaks.tracesLive >= scenario.tracesLiveMin) return true;
    if (performance.now() > deadline) return false;
    await sleep(scenario.sampleMs);
  }
}

function resultOf(scenario: Scenario, seen: Observation): BenchResult {
  const { load, end, sink, metrics, peaks, payload } = seen;
  const { spansPerBody } = scenario;
  const accepted = acceptedRequests(load) * spansPerBody;
  const cpu = end.cpu.user + end.cpu.system - seen.cpuBefore.user - seen.cpuBefore.system;
  const kept = sumOf(metrics, "tailrace_spans_kept_total");
  const fault = faultOf(scenario, seen, accepted, kept);
  const wasRefused = load.sent * spansPerBody !== accepted;
  return {
    name: scenario.name,
    spansPerSecond: Math.round(accepted / load.seconds),
    detail: {
      seed: scenario.seed, spansPerBody,
      bytesPerSpan: Math.round(payload.body.length / spansPerBody),
      spansPerTrace: 2 * scenario.spread, connections: scenario.connections,
      offeredSpansPerSecond: scenario.spansPerSecond || "closed loop",
      decisionWaitSeconds: scenario.decisionWaitSeconds, seconds: load.seconds,
      spansAccepted: accepted, spansDueAndNotSent: (load.due - load.sent) * spansPerBody,
      answers: listOf(Object.entries(load.status)), broken: load.broken,
      unanswered: load.unanswered,
      refusedBecause: listOf(reasons(metrics, "tailrace_requests_refused_total")),
      spansPerCpuSecond: Math.round(accepted / cpu), cpuSeconds: rounded(cpu),
      cpuSystemSeconds: rounded(end.cpu.system - seen.cpuBefore.system),
      cpuFrontDoorSeconds: rounded(end.cpu.mainThread - seen.cpuBefore.mainThread),
      cpuBusiestOtherThreadSeconds: rounded(end.cpu.busiestOther - seen.cpuBefore.busiestOther),
      p50Ms: load.p50Ms, p90Ms: load.p90Ms, p99Ms: load.p99Ms, maxMs: load.maxMs,
      memoryMib: Math.round(peaks.residentBytes / MIB),
      memoryIdleMib: Math.round(seen.idleBytes / MIB), tracesLivePeak: peaks.tracesLive,
      ...(scenario.tracesLiveMin > 0 && { bytesPerLiveTrace: bytesPerTrace(seen) }),
      spansKept: kept, spansForwarded: sumOf(metrics, "tailrace_spans_acknowledged_total"),
      sinkRequests: sink.requests, sinkBytes: sink.bytes,
      sinkCpuSeconds: sink.cpuSeconds, loadCpuSeconds: load.cpuSeconds,
      spansLost: lostOf(metrics),
      balance: end.output.includes(CLOSED) ? "closes" : "DOES NOT CLOSE",
      exitCode: end.exitCode ?? "killed",
      ...(scenario.requestsMax > 0 && !wasRefused && { resultHash: `${accepted}-${kept}` }),
      ...(fault !== "" && { fault }),
    },
  };
}

/** Everything that grew with the load, rings included. */
function bytesPerTrace({ peaks, idleBytes }: Observation): number {
  return Math.round((peaks.residentBytes - idleBytes) / peaks.tracesLive);
}

/** Why the run does not count; empty when it does. */
function faultOf(scenario: Scenario, seen: Observation, accepted: number, kept: number): string {
  const { load, metrics, end, settled, peaks } = seen;
  const faults: string[] = [];
  const received = sumOf(metrics, "tailrace_spans_received_total");
  const unknown = (load.broken + load.unanswered) * scenario.spansPerBody;
  if (received < accepted || received > accepted + unknown) {
    faults.push(`${accepted} spans were answered 2xx and ${received} received`);
  }
  if (lostOf(metrics) > 0) faults.push("spans were lost");
  if (!end.output.includes(CLOSED)) faults.push("the balance does not close");
  if (end.exitCode !== 0) faults.push(`the gateway ended with ${end.exitCode}`);
  if (scenario.settle && !settled) faults.push("not all was decided and delivered in time");
  const forwarded = sumOf(metrics, "tailrace_spans_acknowledged_total");
  if (scenario.settle && forwarded !== kept) {
    faults.push(`${kept} spans were kept and ${forwarded} forwarded`);
  }
  if (peaks.tracesLive < scenario.tracesLiveMin) {
    faults.push(`only ${peaks.tracesLive} traces lived at once`);
  }
  return faults.join("; ");
}

function lostOf(metrics: ReadonlyMap<string, number>): number {
  return sumOf(metrics, "tailrace_spans_lost_total")
    + sumOf(metrics, "tailrace_kept_spans_lost_total");
}

/** Sum of a metric's samples over all labels. */
export function sumOf(metrics: ReadonlyMap<string, number>, name: string): number {
  let sum = metrics.get(name) ?? 0;
  for (const [sample, value] of metrics) if (sample.startsWith(`${name}{`)) sum += value;
  return sum;
}

/** Samples of a metric that are not zero, by their label `reason`. */
function reasons(metrics: ReadonlyMap<string, number>, name: string): [string, number][] {
  return [...metrics]
    .filter(([sample, value]) => sample.startsWith(`${name}{`) && value > 0)
    .map(([sample, value]) => [/reason="([^"]*)"/.exec(sample)?.[1] ?? sample, value]);
}

function listOf(counts: readonly (readonly [string, number])[]): string {
  return counts.map(([name, count]) => `${name}: ${count}`).join(", ") || "none";
}
