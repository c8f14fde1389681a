// How large the tables may be: as MaxTraces and DecisionMemory say, or smaller, so that they and
// the rings fit MemoryLimit.

import type { Settings } from "../../config/settings-types.ts";
import { GatewayError } from "../base/errors.ts";
import { Delivery } from "../lane/delivery.ts";
import { KeptStore } from "../lane/kept-store.ts";
import { DecisionMemory } from "../traces/decision-memory.ts";
import { HeavyRows } from "../traces/heavy-rows.ts";
import { TraceTable } from "../traces/trace-table.ts";

/**
 * Parts that the traces of a full table may have on average: records that one trace is spread over.
 */
const LINKS_PER_TRACE = 6;
/** Decisions remembered in full, in the process: those of a minute at 66,000 traces a second. */
const DECISIONS_FULL_MAX = 4_000_000;
/** They are written anew whenever generations go: no more than this share of the storage. */
const DECISIONS_STORAGE_SHARE = 1 / 16;
const DECISION_STORED_BYTES = 64;
/** Kept parts of a lane that wait for forwarders; then decisions wait. */
const KEPT_PARTS_MAX = 262_144;
/** Fewer traces than this are no use. */
const TRACES_MIN = 1000;
const MIB = 1024 * 1024;
/**
 * What a process needs beside tables and rings: bodies that are not complete and batches, and for
 * each worker its heap, states of parts and record indexes.
 */
const BESIDE_BYTES = 512 * MIB;
const BESIDE_LANE_BYTES = 512 * MIB;

/** Sizes of the tables of one lane. */
export interface TableSizes {
  readonly traceRowsMax: number;
  readonly partLinksMax: number;
  readonly decisionsFullMax: number;
  readonly fingerprintBytes: number;
  readonly keptPartsMax: number;
}

/** Of all lanes, and what they come to. */
export interface MemoryPlan {
  readonly lane: TableSizes;
  readonly tracesMax: number;
  readonly tableBytes: number;
  /** MaxTraces did not fit. */
  readonly shrunk: boolean;
  /** What the process is expected to stay below, from MemoryLimit; Infinity without it. */
  readonly processBytesMax: number;
}

/**
 * Tables that fit beside the rings.
 * @throws GatewayError CONFIG_INVALID when the smallest tables do not.
 */
export function planMemory(
  settings: Settings, ringBytes: number, storageLimitBytes: number,
): MemoryPlan {
  const bytesFor = (traces: number): number => {
    return tableBytes(sizesFor(settings, traces, storageLimitBytes), settings);
  };
  const limit = settings.memoryLimitBytes;
  let tracesMax = settings.tracesMax;
  if (limit > 0 && ringBytes + bytesFor(tracesMax) > limit) {
    tracesMax = largest(TRACES_MIN, tracesMax, (traces) => ringBytes + bytesFor(traces) <= limit);
    if (tracesMax < TRACES_MIN) throw tooSmall(settings, ringBytes + bytesFor(TRACES_MIN));
  }
  const beside = BESIDE_BYTES + settings.workers * BESIDE_LANE_BYTES;
  return {
    lane: sizesFor(settings, tracesMax, storageLimitBytes), tracesMax,
    tableBytes: bytesFor(tracesMax), shrunk: tracesMax < settings.tracesMax,
    processBytesMax: limit === 0 ? Infinity : limit + beside,
  };
}

function sizesFor(settings: Settings, traces: number, storageLimitBytes: number): TableSizes {
  const share = (total: number): number => Math.ceil(total / settings.workers);
  const stored = storageLimitBytes * DECISIONS_STORAGE_SHARE / DECISION_STORED_BYTES;
  // Under a memory limit no more are remembered in full than can be undecided.
  const remembered = settings.memoryLimitBytes === 0 ? DECISIONS_FULL_MAX : traces;
  return {
    traceRowsMax: share(traces),
    partLinksMax: share(traces * LINKS_PER_TRACE),
    decisionsFullMax: share(Math.floor(Math.min(DECISIONS_FULL_MAX, remembered, stored))),
    fingerprintBytes: share(settings.decisionMemoryBytes),
    keptPartsMax: KEPT_PARTS_MAX,
  };
}

/** Bytes that the tables of all lanes reserve. */
function tableBytes(sizes: TableSizes, settings: Settings): number {
  return settings.workers * (TraceTable.bytesFor(sizes.traceRowsMax, sizes.partLinksMax)
    + DecisionMemory.bytesFor(sizes.decisionsFullMax, sizes.fingerprintBytes)
    + KeptStore.bytesFor(sizes.keptPartsMax) + HeavyRows.bytesFor()
    + settings.forwardTo.length * Delivery.bytesFor(sizes.keptPartsMax));
}

/** The largest whole number from `least` to `most` that fits; least − 1 when none does. */
function largest(least: number, most: number, fits: (value: number) => boolean): number {
  let low = least - 1;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function tooSmall(settings: Settings, neededBytes: number): GatewayError {
  const needed = `${Math.ceil(neededBytes / MIB)}MiB`;
  return new GatewayError("CONFIG_INVALID",
    `MemoryLimit is too small: the rings of ${settings.workers} workers and `
    + `${settings.forwardTo.length} forwarders and the smallest tables need ${needed}: set `
    + `"MemoryLimit": "${needed}" or more, or lower Workers, MaxBodyBytes or DecisionMemory`,
    { memoryLimitBytes: settings.memoryLimitBytes, neededBytes });
}
