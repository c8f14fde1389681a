// The JSON of GET /status: the balance sheet, the lanes' load, the forwarders and the process, for
// people and scripts without a Prometheus at hand. Fields are added, never renamed.

import { balanceSheet, closes, type BalanceSheet } from "./balance-sheet.ts";
import type { RunningState } from "./gateway-facts.ts";
import type { Health } from "./health.ts";
import {
  BATCH_DELIVERED, batchIndex, failureIndex, FORWARD_FAILURE_NAMES, REQUEST_REFUSED_NAMES,
} from "./label-values.ts";
import type { HistogramMetric, LabelNames } from "./metric-layout.ts";
import {
  DECISIONS_REMEMBERED, FORWARD_BATCHES, FORWARD_BYTES, FORWARD_IN_FLIGHT, FORWARD_RETRIES,
  FORWARD_UNKNOWN_OUTCOME_SPANS, LANE_BUSY_SECONDS, LANE_TURNS, LOG_BYTES, LOG_COMMIT_SECONDS,
  LOG_GENERATIONS, MEMORY_PRESSURE, OUTBOX_BYTES, PART_LINKS, REQUESTS_IN_FLIGHT,
  REQUESTS_REFUSED, STORAGE_BYTES, STORAGE_LIMIT_BYTES, STORAGE_PRESSURE, STORED_SHARE,
  TRACE_ROWS_MAX, TRACES_LIVE,
} from "./metric-table.ts";
import type { Snapshot } from "./snapshot.ts";

/** One lane's load. */
export interface LaneStatus {
  readonly lane: number;
  readonly tracesLive: number;
  readonly traceRowsMax: number;
  readonly partLinks: number;
  readonly decisionsRemembered: number;
  readonly logBytes: number;
  readonly logGenerations: number;
  readonly turns: number;
  readonly busySeconds: number;
  readonly commits: number;
  /** Of all transactions since the start; null before the first. */
  readonly commitMeanMs: number | null;
  /** Upper bound of the bucket that 99 % of them are in or below; null also past the last. */
  readonly commitP99Ms: number | null;
  /** What waits in the lane's payload ring; null where nobody asked. */
  readonly ringBytes: number | null;
  readonly ringCapacityBytes: number | null;
}

/** How a forwarder gets on with its destination; what it carries is in the balance. */
export interface ForwarderStatus {
  readonly name: string;
  readonly deliveredBatches: number;
  readonly deliveredBytes: number;
  /** Being sent, or waiting for a retry. */
  readonly inFlightBatches: number;
  /** Failed attempts by reason; all but "refused" are repeated. */
  readonly failedAttempts: readonly { readonly reason: string; readonly attempts: number }[];
  /** The most spans that can have come twice. */
  readonly unknownOutcomeSpans: number;
  readonly outboxBytes: number;
}

/** Storage and memory against their limits. */
export interface LimitStatus {
  readonly storageBytes: number;
  readonly storageLimitBytes: number;
  readonly storagePressure: string;
  readonly storedShare: number;
  readonly memoryPressure: string;
}

const STORAGE_STATES = ["none", "policy", "refusing"];
const MEMORY_STATES = ["none", "tables_held", "refusing"];

/** Everything at one moment. */
export interface StatusReport extends Health {
  readonly version: string;
  readonly balanceCloses: boolean;
  readonly balance: BalanceSheet;
  readonly limits: LimitStatus;
  readonly lanes: readonly LaneStatus[];
  readonly forwarders: readonly ForwarderStatus[];
  readonly requests: {
    readonly inFlight: number;
    readonly refusedByReason: readonly { readonly reason: string; readonly requests: number }[];
  };
  /** Null where the report is not that of a running process. */
  readonly process: RunningState | null;
  /** Threads whose numbers are those of an earlier read. */
  readonly staleBlocks: number;
}

/** Puts the report together; pure. */
export function statusReport(
  version: string, health: Health, snapshot: Snapshot, names: LabelNames,
  process: RunningState | null = null,
): StatusReport {
  const balance = balanceSheet(snapshot, names);
  const { door } = snapshot;
  return {
    version,
    ...health,
    balanceCloses: closes(balance),
    balance,
    limits: limitStatus(snapshot),
    lanes: snapshot.lanes.map((cells, lane) => laneStatus(cells, lane, process)),
    forwarders: names.forwarders.flatMap((label, slot) => {
      return label === null ? [] : [forwarderStatus(snapshot, slot, label.name)];
    }),
    requests: {
      inFlight: door[REQUESTS_IN_FLIGHT] ?? 0,
      refusedByReason: REQUEST_REFUSED_NAMES
        .map((reason, index) => ({ reason, requests: door[REQUESTS_REFUSED + index] ?? 0 }))
        .filter(({ requests }) => requests > 0),
    },
    process,
    staleBlocks: snapshot.staleBlocks,
  };
}

function laneStatus(
  cells: Float64Array, lane: number, process: RunningState | null,
): LaneStatus {
  const ring = process?.rings[lane];
  return {
    lane,
    tracesLive: cells[TRACES_LIVE] ?? 0,
    traceRowsMax: cells[TRACE_ROWS_MAX] ?? 0,
    partLinks: cells[PART_LINKS] ?? 0,
    decisionsRemembered: cells[DECISIONS_REMEMBERED] ?? 0,
    logBytes: cells[LOG_BYTES] ?? 0,
    logGenerations: cells[LOG_GENERATIONS] ?? 0,
    turns: cells[LANE_TURNS] ?? 0,
    busySeconds: cells[LANE_BUSY_SECONDS] ?? 0,
    ...commitTimes(cells, LOG_COMMIT_SECONDS),
    ringBytes: ring?.bytes ?? null,
    ringCapacityBytes: ring?.capacityBytes ?? null,
  };
}

function commitTimes(
  cells: Float64Array, { at, bounds }: HistogramMetric<"lane", "plain">,
): Pick<LaneStatus, "commits" | "commitMeanMs" | "commitP99Ms"> {
  let commits = 0;
  for (let place = 0; place <= bounds.length; place++) commits += cells[at + place] ?? 0;
  if (commits === 0) return { commits, commitMeanMs: null, commitP99Ms: null };
  let below = 0;
  let place = -1;
  while (below < commits * 0.99) below += cells[at + ++place] ?? 0;
  const seconds = cells[at + bounds.length + 1] ?? 0;
  const bound = bounds[place];
  return {
    commits, commitMeanMs: seconds * 1000 / commits,
    commitP99Ms: bound === undefined ? null : bound * 1000,
  };
}

function forwarderStatus(
  { lane, forward }: Snapshot, slot: number, name: string,
): ForwarderStatus {
  const at = (index: number): number => forward[index] ?? 0;
  return {
    name,
    deliveredBatches: at(FORWARD_BATCHES + batchIndex(slot, BATCH_DELIVERED)),
    deliveredBytes: at(FORWARD_BYTES + slot),
    inFlightBatches: at(FORWARD_IN_FLIGHT + slot),
    failedAttempts: FORWARD_FAILURE_NAMES.flatMap((reason, failure) => {
      const attempts = failure === 0 ? 0 : at(FORWARD_RETRIES + failureIndex(slot, failure));
      return attempts === 0 ? [] : [{ reason, attempts }];
    }),
    unknownOutcomeSpans: at(FORWARD_UNKNOWN_OUTCOME_SPANS + slot),
    outboxBytes: lane[OUTBOX_BYTES + slot] ?? 0,
  };
}

function limitStatus({ lane }: Snapshot): LimitStatus {
  return {
    storageBytes: lane[STORAGE_BYTES] ?? 0,
    storageLimitBytes: lane[STORAGE_LIMIT_BYTES] ?? 0,
    storagePressure: STORAGE_STATES[lane[STORAGE_PRESSURE] ?? 0] ?? "unknown",
    storedShare: lane[STORED_SHARE] ?? 1,
    memoryPressure: MEMORY_STATES[lane[MEMORY_PRESSURE] ?? 0] ?? "unknown",
  };
}
