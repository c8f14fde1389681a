// The whole chain, as a user would run it: HTTP in, judged on disk, a tenth of the traces out.
// Seven scenarios; `node dist/native-bench/chain.bench.js` runs the first.
//
//   reference  as fast as 32 connections get answers, everything decided and delivered at the end
//   long wait  the same with the default DecisionWait of 30 s: gigabytes are undecided, so that
//              every page of the log is a new one, and no trace's row is in the processor's caches
//   zipkin     Zipkin JSON as fast as answers come, otherwise as the reference
//   otlp-json  the same with OTLP JSON
//   overload   500,000 spans/s are offered whatever the answers are: what is refused, and how fast
//   memory     a million undecided traces at once
//   small      two spans a body, as from many small clients: what a request costs

import { runScenario, type Scenario } from "./load/chain-run.ts";
import { runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const REFERENCE: Scenario = {
  name: "chain", format: "otlp-proto", spansPerBody: 100, connections: 32, seconds: 60,
  spansPerSecond: 0, requestsMax: 0, spread: 4, decisionWaitSeconds: 5, settle: true,
  tracesLiveMin: 0, sampleMs: 1_000, seed: 20_261_121,
};
const LONG_WAIT: Scenario = { ...REFERENCE, name: "chain-long-wait", decisionWaitSeconds: 30 };
const ZIPKIN: Scenario = { ...REFERENCE, name: "chain-zipkin", format: "zipkin-json" };
const OTLP_JSON: Scenario = { ...REFERENCE, name: "chain-otlp-json", format: "otlp-json" };
/** More bodies than a lane's ring takes: the gateway has to refuse, not we to wait. */
const OVERLOAD: Scenario = {
  ...REFERENCE, name: "chain-overload", connections: 512, seconds: 30, spansPerSecond: 500_000,
};
const TRACES = 1_050_000;
/** Of a body of the reference: as many traces as pairs of spans. */
const TRACES_PER_BODY = 50;
/** Nothing is decided before the load is over: live traces are those that were sent. */
const MEMORY: Scenario = {
  ...REFERENCE, name: "chain-memory", seconds: 300, decisionWaitSeconds: 600, settle: false,
  requestsMax: requestsFor(TRACES), tracesLiveMin: 1_000_000,
};
const SMALL: Scenario = {
  ...REFERENCE, name: "chain-small", spansPerBody: 2, connections: 64, seconds: 20,
};
/** What smoke changes: few requests, all of them counted, so that sums can be compared. */
const BRIEF = { seconds: 20, requestsMax: 300, decisionWaitSeconds: 1, sampleMs: 100 };
const BRIEF_TRACES = 10_000;

export async function run(options: BenchOptions): Promise<BenchResult> {
  return await runScenario(options.smoke ? { ...REFERENCE, ...BRIEF } : REFERENCE);
}

export async function runLongWait(options: BenchOptions): Promise<BenchResult> {
  return await runScenario(options.smoke ? { ...LONG_WAIT, ...BRIEF } : LONG_WAIT);
}

export async function runZipkin(options: BenchOptions): Promise<BenchResult> {
  return await runScenario(options.smoke ? { ...ZIPKIN, ...BRIEF } : ZIPKIN);
}

export async function runOtlpJson(options: BenchOptions): Promise<BenchResult> {
  return await runScenario(options.smoke ? { ...OTLP_JSON, ...BRIEF } : OTLP_JSON);
}

export async function runOverload(options: BenchOptions): Promise<BenchResult> {
  const brief = { ...OVERLOAD, ...BRIEF, spansPerSecond: 40_000 };
  return await runScenario(options.smoke ? brief : OVERLOAD);
}

export async function runMemory(options: BenchOptions): Promise<BenchResult> {
  const brief = {
    ...MEMORY, ...BRIEF, decisionWaitSeconds: 600, requestsMax: requestsFor(BRIEF_TRACES),
    tracesLiveMin: BRIEF_TRACES,
  };
  return await runScenario(options.smoke ? brief : MEMORY);
}

export async function runSmall(options: BenchOptions): Promise<BenchResult> {
  return await runScenario(options.smoke ? { ...SMALL, ...BRIEF, requestsMax: 2_000 } : SMALL);
}

/** Each body begins a trace for every `spread`-th of its pairs of spans. */
function requestsFor(traces: number): number {
  return Math.ceil((traces * REFERENCE.spread) / TRACES_PER_BODY);
}

await runWhenMain(import.meta.url, run);
