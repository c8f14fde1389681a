// The coordinator thread: the admin listener, questions to lanes, the lanes' log lines.

import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../engine/base/assert.ts";
import { systemClock } from "../engine/base/clock.ts";
import { GatewayError } from "../engine/base/errors.ts";
import { errorText, Log, type LogOptions } from "../engine/base/log.ts";
import { ClusterNode } from "../engine/cluster/cluster-node.ts";
import type { ClusterReport } from "../engine/cluster/cluster-report.ts";
import type { ClusterPlan } from "../engine/cluster/node-plan.ts";
import type { ReadPolicySet } from "../engine/cluster/peer-policy-sets.ts";
import { Control } from "../engine/lane/control.ts";
import { explainTrace } from "../engine/lane/explain-trace.ts";
import { LaneInquiry, shardOfHex } from "../engine/lane/lane-inquiry.ts";
import { AttributeMatcher } from "../engine/part/attribute-matcher.ts";
import { HealthWords } from "../engine/part/health-words.ts";
import { ringFill } from "../engine/ring/ring-fill.ts";
import { WakeWord } from "../engine/ring/wake-word.ts";
import { hashPolicySetText, readPolicySet } from "../engine/sampling/policy-set-text.ts";
import { AdminServer } from "../engine/telemetry/admin-server.ts";
import type { Health } from "../engine/telemetry/health.ts";
import { balanceSheet } from "../engine/telemetry/balance-sheet.ts";
import { clusterMetrics } from "../engine/telemetry/cluster-metrics.ts";
import { NODES_BEHIND, SHARDS_CLOSED } from "../engine/telemetry/metric-table.ts";
import type { TraceReport } from "../engine/telemetry/trace-report.ts";
import { LossWatch } from "../engine/telemetry/loss-watch.ts";
import { logMetrics } from "../engine/telemetry/log-metrics.ts";
import { MetricsPage } from "../engine/telemetry/metrics-page.ts";
import type { LabelNames } from "../engine/telemetry/metric-layout.ts";
import { SnapshotReader, type CounterMemory } from "../engine/telemetry/snapshot.ts";
import type { GatewayFacts } from "../engine/telemetry/gateway-facts.ts";
import { statusReport, type StatusReport } from "../engine/telemetry/status-report.ts";

/** What the thread gets when it starts. */
export interface CoordinatorPlan {
  readonly admin: { readonly host: string; readonly port: number } | null;
  readonly version: string;
  readonly names: LabelNames;
  readonly counters: CounterMemory;
  readonly health: SharedArrayBuffer;
  readonly wake: SharedArrayBuffer;
  /** By lane. */
  readonly questions: readonly SharedArrayBuffer[];
  readonly reports: readonly SharedArrayBuffer[];
  readonly laneWakes: readonly SharedArrayBuffer[];
  readonly log: LogOptions;
  readonly control: SharedArrayBuffer;
  /** Payload rings, by lane. */
  readonly payloads: readonly SharedArrayBuffer[];
  readonly facts: GatewayFacts;
  /** Null on a single node. */
  readonly cluster: ClusterPlan | null;
}

/** The lanes' lines are looked for this often when nobody wakes this thread. */
const SLEEP_MS = 1_000;
/** In a cluster the fence and frames that wait are looked at this often. */
const CLUSTER_SLEEP_MS = 100;
/**
 * Between two looks at what lanes have for other nodes, while they have something. Frames gather
 * what comes meanwhile: a frame costs two system calls and as many wake-ups whatever is in it, and
 * nothing that travels is waited for in milliseconds.
 */
const PACE_MS = 10;
/** Lost spans are told of this often, with how many they were. */
const LOSSES_MS = 10_000;
const PLACED_POLL_MS = 20;
const LOST = "acknowledged spans were lost";

const plan = workerData as CoordinatorPlan;
const port = parentPort;
assert(port !== null, "the coordinator runs in a thread of its own");

const log = new Log(plan.log);
const health = new HealthWords(plan.health);
const reader = new SnapshotReader(plan.counters);
const control = new Control(plan.control);
const wake = new WakeWord(plan.wake);
const inquiry = new LaneInquiry(plan.questions, plan.reports, plan.laneWakes, (line) => {
  log.say(line.severity, line.message, line.fields);
});
const page = new MetricsPage(
  { names: plan.names, version: plan.version, processMetrics: true },
  { readBlocks: () => reader.readBlocks() });
let stopping = false;
let cluster: ClusterNode | null = null;
const leaving = new AbortController();
const losses = new LossWatch();
let lossesAtMs = 0;

function healthNow(): Health {
  const { ready, draining } = health;
  if (draining) return { ready: false, draining, reasons: ["stopping"] };
  const reasons = ready ? [] : ["recovering the log"];
  if (cluster !== null) reasons.push(...cluster.reasons(closedShards()));
  else if (plan.cluster !== null) reasons.push("not in the cluster yet");
  return { ready: reasons.length === 0, draining, reasons };
}

/** Each lane counts all shards of the node by what it has heard. */
function closedShards(): number {
  return Math.ceil(reader.readBlocks().lane[SHARDS_CLOSED]! / plan.questions.length);
}

function clusterNow(): ClusterReport | null {
  return cluster?.report(closedShards(), reader.readBlocks().lane[NODES_BEHIND]!) ?? null;
}

async function join(): Promise<void> {
  assert(port !== null && plan.cluster !== null, "a node of a cluster has a plan for it");
  let isPlaced = false;
  const refuse = (error: unknown): void => {
    if (isPlaced || !(error instanceof GatewayError)) throw error; // ends the process
    port.postMessage({ kind: "joined", refused: { code: error.code, message: error.message } });
  };
  try {
    cluster = await ClusterNode.open(plan.cluster, leaving.signal, {
      clock: systemClock, random: Math.random, wake: () => wake.wake(),
      lookup: async (traceId) => await inquiry.ask(traceId),
      log: (level, message, fields) => log.say(level, message, fields ?? {}),
      readPolicySet: policySetReader(plan.cluster.policySet.text),
      failed: (error) => setImmediate(() => refuse(error)),
    });
  } catch (error) {
    refuse(error);
    return;
  }
  while (!cluster.isPlaced) await sleep(PLACED_POLL_MS, null, { signal: leaving.signal });
  isPlaced = true;
  port.postMessage({ kind: "joined", refused: null });
}

/** Compiles as the lanes will, matcher and all: what is wrong with a set is found here. */
function policySetReader(own: string): (hash: string, text: string) => ReadPolicySet {
  const { meaning: ownMeaning } = readPolicySet(own);
  return (hash, text) => {
    if (hashPolicySetText(text) !== hash) throw new Error("its text has another hash");
    const { set, slotNames, meaning } = readPolicySet(text);
    new AttributeMatcher(set.predicates);
    const samplersMask = set.samplers.reduce((mask, { slot }) => mask | (1 << slot), 0);
    return { slotNames, samplersMask, hasSamePolicies: meaning === ownMeaning };
  };
}

async function leave(): Promise<void> {
  leaving.abort();
  await cluster?.leave();
  cluster = null;
  port?.postMessage({ kind: "left" });
}

function statusNow(): StatusReport {
  return statusReport(plan.version, healthNow(), reader.readBlocks(), plan.names, {
    facts: plan.facts,
    uptimeSeconds: Math.round(process.uptime()),
    processId: process.pid,
    nodeVersion: process.versions.node,
    residentBytes: process.memoryUsage.rss(),
    storageBytes: control.storageBytes(),
    rings: plan.payloads.map(ringFill),
  });
}

function tellOfLosses(): void {
  if (performance.now() < lossesAtMs) return;
  lossesAtMs = performance.now() + LOSSES_MS;
  for (const loss of losses.look(balanceSheet(reader.readBlocks(), plan.names))) {
    log.error(LOST, { ...loss });
  }
}

async function startAdmin(): Promise<AdminServer | null> {
  if (plan.admin === null) return null;
  const server = new AdminServer({ ...plan.admin, setting: "AdminAddress" }, {
    page,
    health: healthNow,
    status: statusNow,
    cluster: clusterNow,
    lookup: async (traceId) => {
      const asked = await cluster?.lookup(traceId, shardOfHex(traceId));
      // A node of this cluster answers with what its own lanes say.
      const trace = asked === undefined ? await inquiry.ask(traceId) : asked as TraceReport | null;
      if (trace === null) return null;
      return explainTrace(trace, plan.facts.forwarders, statusNow(), Date.now());
    },
    report: (what, cause) => log.error(what, { cause: errorText(cause) }),
  });
  const clusterTotals = clusterMetrics(() => cluster?.totals ?? { removed: 0, takenOut: 0 });
  for (const metric of [...server.metrics(), ...logMetrics(log), ...clusterTotals]) {
    page.add(metric);
  }
  await server.start();
  return server;
}

async function run(): Promise<void> {
  assert(port !== null, "the coordinator runs in a thread of its own");
  let admin: AdminServer | null = null;
  try {
    admin = await startAdmin();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    port.postMessage({ kind: "started", refused: { code: error.code, message: error.message } });
    return;
  }
  port.on("message", ({ kind }: { kind: "join" | "leave" | "stop" }) => {
    if (kind === "join") void join();
    else if (kind === "leave") void leave();
    else stopping = true;
    wake.wake();
  });
  port.postMessage({ kind: "started", refused: null });
  while (!stopping) {
    const snapshot = wake.snapshot();
    inquiry.take();
    tellOfLosses();
    if (cluster?.run() === true) await sleep(PACE_MS);
    else await wake.waitAsync(snapshot, plan.cluster === null ? SLEEP_MS : CLUSTER_SLEEP_MS);
  }
  inquiry.take();
  lossesAtMs = 0;
  tellOfLosses();
  await admin?.close();
  log.close();
  port.close();
}

void run();
