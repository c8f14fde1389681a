// The JSON of GET /status: the balance sheet and each lane's load, for people and scripts without a
// Prometheus at hand.

import { balanceSheet, closes, type BalanceSheet } from "./balance-sheet.ts";
import type { Health } from "./health.ts";
import type { LabelNames } from "./metric-layout.ts";
import {
  DECISIONS_REMEMBERED, LANE_BUSY_SECONDS, LANE_TURNS, LOG_BYTES, LOG_GENERATIONS, PART_LINKS,
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
}

/** Everything at one moment. */
export interface StatusReport extends Health {
  readonly version: string;
  readonly balanceCloses: boolean;
  readonly balance: BalanceSheet;
  readonly lanes: readonly LaneStatus[];
  /** Threads whose numbers are those of an earlier read. */
  readonly staleBlocks: number;
}

/** Puts the report together; pure. */
export function statusReport(
  version: string, health: Health, snapshot: Snapshot, names: LabelNames,
): StatusReport {
  const balance = balanceSheet(snapshot, names);
  return {
    version,
    ...health,
    balanceCloses: closes(balance),
    balance,
    lanes: snapshot.lanes.map((cells, lane) => ({
      lane,
      tracesLive: cells[TRACES_LIVE] ?? 0,
      traceRowsMax: cells[TRACE_ROWS_MAX] ?? 0,
      partLinks: cells[PART_LINKS] ?? 0,
      decisionsRemembered: cells[DECISIONS_REMEMBERED] ?? 0,
      logBytes: cells[LOG_BYTES] ?? 0,
      logGenerations: cells[LOG_GENERATIONS] ?? 0,
      turns: cells[LANE_TURNS] ?? 0,
      busySeconds: cells[LANE_BUSY_SECONDS] ?? 0,
    })),
    staleBlocks: snapshot.staleBlocks,
  };
}
