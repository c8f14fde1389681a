// The coordinator thread: the admin listener, questions to lanes, the lanes' log lines.

import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../engine/base/assert.ts";
import { GatewayError } from "../engine/base/errors.ts";
import { writeLog } from "../engine/base/log.ts";
import { LaneInquiry } from "../engine/lane/lane-inquiry.ts";
import { HealthWords } from "../engine/part/health-words.ts";
import { WakeWord } from "../engine/ring/wake-word.ts";
import { AdminServer } from "../engine/telemetry/admin-server.ts";
import type { Health } from "../engine/telemetry/health.ts";
import { MetricsPage } from "../engine/telemetry/metrics-page.ts";
import type { LabelNames } from "../engine/telemetry/metric-layout.ts";
import { SnapshotReader, type CounterMemory } from "../engine/telemetry/snapshot.ts";
import { statusReport } from "../engine/telemetry/status-report.ts";

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
  readonly logFile: string;
}

/** The lanes' lines are looked for this often when nobody wakes this thread. */
const SLEEP_MS = 1_000;

const plan = workerData as CoordinatorPlan;
const port = parentPort;
assert(port !== null, "the coordinator runs in a thread of its own");

const health = new HealthWords(plan.health);
const reader = new SnapshotReader(plan.counters);
const wake = new WakeWord(plan.wake);
const inquiry = new LaneInquiry(plan.questions, plan.reports, plan.laneWakes, (line) => {
  writeLog(plan.logFile, line.severity, line.message, line.fields);
});
const page = new MetricsPage(
  { names: plan.names, version: plan.version, processMetrics: true },
  { readBlocks: () => reader.readBlocks() });
let stopping = false;

function healthNow(): Health {
  const { ready, draining } = health;
  const reasons = draining ? ["stopping"] : ready ? [] : ["recovering the log"];
  return { ready: ready && !draining, draining, reasons };
}

async function startAdmin(): Promise<AdminServer | null> {
  if (plan.admin === null) return null;
  const server = new AdminServer({ ...plan.admin, setting: "AdminAddress" }, {
    page,
    health: healthNow,
    status: () => statusReport(plan.version, healthNow(), reader.readBlocks(), plan.names),
    lookup: async (traceId) => await inquiry.ask(traceId),
    report: (what, cause) => writeLog(plan.logFile, "error", what, { cause: String(cause) }),
  });
  for (const metric of server.metrics()) page.add(metric);
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
  port.on("message", () => {
    stopping = true;
    wake.wake();
  });
  port.postMessage({ kind: "started", refused: null });
  while (!stopping) {
    const snapshot = wake.snapshot();
    inquiry.take();
    await wake.waitAsync(snapshot, SLEEP_MS);
  }
  inquiry.take();
  await admin?.close();
  port.close();
}

void run();
