// Every bench by name, in the order of a span's way, and the ratios between them that mean
// something.

import {
  run as runChain, runLongWait, runMemory, runOtlpJson, runOverload, runSmall, runZipkin,
} from "./chain.bench.ts";
import { run as runCluster } from "./cluster.bench.ts";
import { run as runEvaluate } from "./evaluate.bench.ts";
import { run as runFloor } from "./floor.bench.ts";
import { run as runForward } from "./forward.bench.ts";
import { run as runFrontDoor } from "./front-door.bench.ts";
import { run as runLane } from "./lane.bench.ts";
import { run as runLog } from "./log.bench.ts";
import { run as runNodes } from "./nodes.bench.ts";
import { run as runPeer } from "./peer.bench.ts";
import { run as runRender } from "./render.bench.ts";
import type { BenchOptions, BenchResult } from "./result.ts";
import { run as runRing } from "./ring.bench.ts";
import { run as runScan } from "./scan.bench.ts";
import { run as runTraceTable } from "./trace-table.bench.ts";

/** One bench of the table. */
export interface Bench {
  readonly name: string;
  /** What its figure of spans a second means. */
  readonly about: string;
  readonly run: (options: BenchOptions) => BenchResult | Promise<BenchResult>;
  /** It runs C programs, or looks into /proc: see runsNative(). */
  readonly needsNative: boolean;
}

export const BENCHES: readonly Bench[] = [
  bench("floor", "walk over the protobuf fields in C", runFloor, true),
  bench("front-door", "HTTP alone, two spans a body", runFrontDoor, false),
  bench("ring", "bodies of 100 spans from thread to thread", runRing, false),
  bench("scan", "bytes to record index, one core", runScan, false),
  bench("log", "append and commit, one core", runLog, false),
  bench("trace-table", "fold, link, time, decide, forget, one core", runTraceTable, false),
  bench("evaluate", "traces judged by three policies, one core", runEvaluate, false),
  bench("cluster", "shards placed by the map of 100 nodes when one joins", runCluster, false),
  bench("peer", "parts as frames, written and read, one core", runPeer, false),
  bench("render", "kept spans from a record to a ring, one core", runRender, false),
  bench("forward", "kept spans to a backend, no compression", runForward, true),
  bench("lane", "log, scan, traces, decisions and rendering together", runLane, false),
  bench("chain", "everything, 32 connections, a tenth kept, judged after 5 s", runChain, true),
  bench("long-wait", "the same, judged after 30 s", runLongWait, true),
  bench("zipkin", "the same, Zipkin JSON", runZipkin, true),
  bench("otlp-json", "the same, OTLP JSON", runOtlpJson, true),
  bench("overload", "the same, 500,000 spans/s offered", runOverload, true),
  bench("memory", "the same, a million undecided traces", runMemory, true),
  bench("small", "the same, two spans a body", runSmall, true),
  bench("nodes", "three nodes in a cluster of one machine, and one alone", runNodes, true),
];

/** A stage's figure against the native one for the same bytes. */
export interface Ratio {
  readonly about: string;
  /** Bench and key of `detail`; an empty key means spans per second. */
  readonly stage: readonly [bench: string, key: string];
  readonly floor: readonly [bench: string, key: string];
}

export const RATIOS: readonly Ratio[] = [
  { about: "scan, of a walk in C", stage: ["scan", ""], floor: ["floor", "walkSpansPerSecond"] },
  { about: "log, of pwrite in C", stage: ["log", ""], floor: ["floor", "appendSpansPerSecond"] },
  { about: "ring, of memcpy in C", stage: ["ring", ""], floor: ["floor", "copySpansPerSecond"] },
  {
    about: "chain per CPU-second, of scan",
    stage: ["chain", "spansPerCpuSecond"], floor: ["scan", ""],
  },
];

function bench(
  name: string, about: string, run: Bench["run"], needsNative: boolean,
): Bench {
  return { name, about, run, needsNative };
}
