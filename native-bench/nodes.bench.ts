// What a cluster costs: the same load on one node and on three, as fast as 33 connections get
// answers, each trace's spans at all three nodes. The three share the processors of one machine,
// so the figure that counts is spans per CPU-second of all of them, against the single node's.
// Needs etcd.

import { runNodes } from "./load/cluster-run.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 20_261_129;
const WARM_SECONDS = 20;
const SECONDS = 40;
const NODES = 3;
const SMOKE_REQUESTS = 300;

export async function run({ smoke }: BenchOptions): Promise<BenchResult> {
  const load = {
    warmSeconds: smoke ? 0 : WARM_SECONDS, seconds: SECONDS,
    requestsMax: smoke ? SMOKE_REQUESTS : 0, seed: SEED,
  };
  const single = await runNodes({ ...load, nodes: 1 });
  const cluster = await runNodes({ ...load, nodes: NODES });
  const faults = [single.fault, cluster.fault].filter((text) => text !== "");
  // The same requests: which traces are kept depends on their ids, not on who judges them.
  if (smoke && single.spansKept !== cluster.spansKept) faults.push("not the same was kept");
  const fault = faults.join("; ");
  return {
    name: "nodes",
    spansPerSecond: cluster.spansPerSecond,
    detail: {
      seed: SEED, nodes: NODES, spansAccepted: cluster.spansAccepted,
      spansPerCpuSecond: cluster.spansPerCpuSecond,
      singleSpansPerCpuSecond: single.spansPerCpuSecond,
      ofSingle: rounded(cluster.spansPerCpuSecond / single.spansPerCpuSecond),
      cpuSeconds: rounded(cluster.cpuSeconds), cpuSystemSeconds: rounded(cluster.cpuSystemSeconds),
      etcdCpuSeconds: rounded(cluster.etcdCpuSeconds), singleCpuSeconds: rounded(single.cpuSeconds),
      singleCpuSystemSeconds: rounded(single.cpuSystemSeconds),
      singleSpansPerSecond: single.spansPerSecond, p50Ms: cluster.p50Ms, p99Ms: cluster.p99Ms,
      memoryMib: cluster.memoryMib, spansKept: cluster.spansKept,
      lastJoinMs: cluster.lastJoinMs,
      ...(smoke && { resultHash: `${cluster.spansAccepted}-${cluster.spansKept}` }),
      ...(fault !== "" && { fault }),
    },
  };
}

await runWhenMain(import.meta.url, run);
