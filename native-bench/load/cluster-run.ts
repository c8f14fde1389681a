// Load on one gateway or on several that form a cluster: what a span costs all of them together.
// Each trace's spans reach different nodes. Time is of the gateways' processes; the etcd servers
// beside them are told apart.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sumOf, tenthTo } from "./chain-run.ts";
import { GatewayProcess, freePort, type GatewayEnd } from "./gateway-process.ts";
import { acceptedRequests, runLoad, Sink, type LoadResult } from "./load.ts";
import { otlpPayload, referenceShape } from "./payload.ts";
import { cpuTime, residentBytes, whileAlive, type CpuTime } from "./process-facts.ts";

const MIB = 1024 * 1024;
const CLOSED = "The balance closes";
const SPANS_PER_BODY = 100;
const CONNECTIONS = 33;
/** Bodies in a row that a trace has two spans in: traces have eight. */
const SPREAD = 4;
const DECISION_WAIT_SECONDS = 5;
const SETTLE_MS = 90_000;
const POLL_MS = 500;
const REMOVE = { recursive: true, force: true, maxRetries: 10 } as const;

export interface NodesOptions {
  readonly nodes: number;
  /** Before what is measured: each of several nodes has to compile its own code. */
  readonly warmSeconds: number;
  readonly seconds: number;
  /** 0: as many as the time allows. */
  readonly requestsMax: number;
  readonly seed: number;
}

/** All nodes together. */
export interface NodesResult {
  readonly spansAccepted: number;
  readonly spansPerSecond: number;
  readonly spansPerCpuSecond: number;
  readonly cpuSeconds: number;
  readonly cpuSystemSeconds: number;
  readonly etcdCpuSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly memoryMib: number;
  readonly spansKept: number;
  /** From the start of the last node until all were ready: etcd, lease, map, reports. */
  readonly lastJoinMs: number;
  /** Words why the run does not count; empty when it does. */
  readonly fault: string;
}

/** Starts, loads, waits until all is decided and delivered, stops. Several nodes need etcd. */
export async function runNodes(options: NodesOptions): Promise<NodesResult> {
  const sink = await Sink.start();
  const directory = mkdtempSync(join(tmpdir(), "tailrace-nodes-"));
  const gateways: GatewayProcess[] = [];
  try {
    const lastJoinMs = await startAll(gateways, options.nodes, directory, sink.url);
    return await measure(options, gateways, directory, lastJoinMs);
  } catch (error) {
    const said = gateways.map(({ output }) => output).join("\n");
    throw new Error(`the run failed; the gateways said:\n${said}`, { cause: error });
  } finally {
    await Promise.all(gateways.map(async (gateway) => await gateway.kill()));
    await sink.stop();
    rmSync(directory, REMOVE);
  }
}

/** @returns how long the last one took. */
async function startAll(
  gateways: GatewayProcess[], nodes: number, directory: string, sinkUrl: string,
): Promise<number> {
  const targets: string[] = [];
  let took = 0;
  for (let node = 0; node < nodes; node++) {
    const own = join(directory, String(node));
    mkdirSync(own);
    const settings = nodes === 1 ? {} : await clusterSettings(node, own, targets);
    const beganMs = performance.now();
    gateways.push(await GatewayProcess.start(own, "otlp", {
      ...tenthTo(sinkUrl, DECISION_WAIT_SECONDS), ...settings,
    }));
    took = performance.now() - beganMs;
  }
  return Math.round(took);
}

async function clusterSettings(
  node: number, directory: string, targets: string[],
): Promise<Record<string, unknown>> {
  const [client, peer, metrics, rebalance] = await Promise.all(
    Array.from({ length: 4 }, async () => `127.0.0.1:${await freePort()}`));
  const settings = {
    ClusterOperation: node === 0 ? "seed" : "join", ClusterName: "bench",
    ClusterSecret: "of-the-bench", ServerName: `node-${node}`,
    ClusterDataDir: join(directory, "etcd"),
    ListenOnClientAddress: client, AdvertiseClientAddress: client,
    ListenOnPeerAddress: peer, AdvertisePeerAddress: peer, ETCDMetricsAddress: metrics,
    ListenRebalanceAddress: rebalance, AdvertiseRebalanceAddress: rebalance,
    TargetClusterAddresses: [...targets],
  };
  targets.push(client!);
  return settings;
}

async function measure(
  { nodes, warmSeconds, seconds, requestsMax, seed }: NodesOptions,
  gateways: readonly GatewayProcess[], directory: string, lastJoinMs: number,
): Promise<NodesResult> {
  const payload = otlpPayload(referenceShape(SPANS_PER_BODY, 0, seed));
  const how = {
    directory, ports: gateways.map(({ port }) => port), payload, connections: CONNECTIONS,
    requestsPerSecond: 0, requestsMax, spread: SPREAD,
  };
  const warm = await runLoad({ ...how, seconds: warmSeconds, seed: seed + 1 });
  const wasSettled = await settle(gateways);
  const before = gateways.map(({ pid }) => cpuTime(pid));
  const etcdBefore = etcdSeconds(directory);
  const load = await runLoad({ ...how, seconds, seed });
  const settled = await settle(gateways) && wasSettled;
  const after = gateways.map(({ pid }) => cpuTime(pid));
  const memory = gateways.reduce((sum, { pid }) => sum + residentBytes(pid), 0);
  const etcdCpuSeconds = etcdSeconds(directory) - etcdBefore;
  const pages = await Promise.all(gateways.map(async (gateway) => await gateway.metrics()));
  const ends = await Promise.all(gateways.map(async (gateway) => await gateway.stop()));
  const spent = (of: (cpu: CpuTime) => number): number => after.reduce(
    (sum, cpu, node) => sum + of(cpu) - of(before[node]!), 0);
  const cpuSystemSeconds = spent(({ system }) => system);
  const cpuSeconds = spent(({ user }) => user) + cpuSystemSeconds;
  const accepted = acceptedRequests(load) * SPANS_PER_BODY;
  const kept = sumOfAll(pages, "tailrace_spans_kept_total");
  return {
    spansAccepted: accepted, spansPerSecond: Math.round(accepted / load.seconds),
    spansPerCpuSecond: Math.round(accepted / cpuSeconds), cpuSeconds, cpuSystemSeconds,
    etcdCpuSeconds, p50Ms: load.p50Ms, p99Ms: load.p99Ms, memoryMib: Math.round(memory / MIB),
    spansKept: kept, lastJoinMs: nodes === 1 ? 0 : lastJoinMs,
    fault: faultOf({ loads: [warm, load], kept, pages, ends, settled }),
  };
}

/** Nothing is undecided, or kept and not delivered, on any of them. False: not in time. */
async function settle(gateways: readonly GatewayProcess[]): Promise<boolean> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    let open = 0;
    for (const gateway of gateways) {
      const { balance } = await gateway.status();
      for (const { inFlight, waiting } of balance.forwarders) open += inFlight + waiting;
    }
    if (open === 0) return true;
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
}

/** Processor time of the etcd servers whose data are in the directory. */
function etcdSeconds(directory: string): number {
  let seconds = 0;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const command = whileAlive(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    if (command?.includes(`--data-dir=${directory}`) !== true) continue;
    const cpu = whileAlive(() => cpuTime(pid));
    seconds += cpu === null ? 0 : cpu.user + cpu.system;
  }
  return seconds;
}

interface Seen {
  readonly loads: readonly LoadResult[];
  readonly kept: number;
  readonly pages: readonly ReadonlyMap<string, number>[];
  readonly ends: readonly GatewayEnd[];
  readonly settled: boolean;
}

function faultOf({ loads, kept, pages, ends, settled }: Seen): string {
  const faults: string[] = [];
  const received = sumOfAll(pages, "tailrace_spans_received_total");
  let accepted = 0;
  let unknown = 0;
  for (const load of loads) {
    accepted += acceptedRequests(load) * SPANS_PER_BODY;
    unknown += (load.broken + load.unanswered) * SPANS_PER_BODY;
  }
  if (received < accepted || received > accepted + unknown) {
    faults.push(`${accepted} spans were answered 2xx and ${received} received`);
  }
  const lost = sumOfAll(pages, "tailrace_spans_lost_total")
    + sumOfAll(pages, "tailrace_kept_spans_lost_total");
  if (lost > 0) faults.push(`${lost} spans were lost`);
  if (!settled) faults.push("not all was decided and delivered in time");
  const forwarded = sumOfAll(pages, "tailrace_spans_acknowledged_total");
  if (settled && forwarded !== kept) faults.push(`${kept} were kept and ${forwarded} forwarded`);
  for (const { exitCode, output } of ends) {
    if (exitCode !== 0) faults.push(`a gateway ended with ${exitCode}`);
    if (!output.includes(CLOSED)) faults.push("a balance does not close");
  }
  return faults.join("; ");
}

/** Sum of a metric over all nodes. */
function sumOfAll(pages: readonly ReadonlyMap<string, number>[], name: string): number {
  return pages.reduce((sum, page) => sum + sumOf(page, name), 0);
}
