// From settings to what each thread gets when it starts.

import { randomBytes } from "node:crypto";
import path from "node:path";
import type {
  ForwarderSettings as ForwarderChoice, Settings,
} from "../../config/settings-types.ts";
import { LOG_TO_STDOUT } from "../base/log.ts";
import type { ForwarderSettings } from "../forward/forwarder-settings.ts";
import { KeptStore } from "../lane/kept-store.ts";
import type { LaneForwarder, LaneLimits, LanePlan } from "../lane/lane-plan.ts";
import type { DataDirectory } from "../log/data-directory.ts";
import type { PolicySet, SamplerInput } from "../sampling/compile.ts";
import { parsePolicies } from "../sampling/policy-config.ts";
import type { LabelNames } from "../telemetry/metric-layout.ts";
import { DecisionMemory } from "../traces/decision-memory.ts";
import { TraceTable } from "../traces/trace-table.ts";
import type { SharedMemory } from "./shared-memory.ts";

/**
 * Parts that the traces of a full table may have on average: records that one trace is spread over.
 */
const LINKS_PER_TRACE = 6;
/** Decisions remembered in full, in the process: those of a minute at 66,000 traces a second. */
const DECISIONS_FULL_MAX = 4_000_000;
const DECISIONS_FULL_MS = 60_000;
/** Kept parts of a lane that wait for forwarders; then decisions wait. */
const KEPT_PARTS_MAX = 262_144;
/** Smallest span that has ids, with the tag and size before it. */
const SPAN_BYTES_MIN = 30;
const GENERATION_BYTES = 128 * 1024 * 1024;
/**
 * A generation with records is sealed after this, so that quiet hours free their disk space too.
 */
const GENERATION_AGE_MS = 300_000;
const LOG_FILE = "gateway.log";

/** Bounds of each lane. */
export function laneLimits(settings: Settings): LaneLimits {
  const { workers } = settings;
  const share = (total: number): number => Math.ceil(total / workers);
  return {
    bodyBytesMax: settings.bodyBytesMax,
    inflateRatioMax: settings.inflateRatioMax,
    spansPerBodyMax: Math.ceil(settings.bodyBytesMax / SPAN_BYTES_MIN),
    traceRowsMax: share(settings.tracesMax),
    partLinksMax: share(settings.tracesMax * LINKS_PER_TRACE),
    spansPerTraceMax: settings.traceSpansMax,
    bytesPerTraceMax: settings.traceBytesMax,
    decisionsFullMax: share(DECISIONS_FULL_MAX),
    decisionsFullMs: DECISIONS_FULL_MS,
    fingerprintBytes: share(settings.decisionMemoryBytes),
    keptPartsMax: KEPT_PARTS_MAX,
    generationBytes: GENERATION_BYTES,
    generationAgeMs: GENERATION_AGE_MS,
  };
}

/** Memory that the tables of all lanes may take when they are full. */
export function tableBytes(settings: Settings): number {
  const limits = laneLimits(settings);
  return settings.workers * (TraceTable.bytesFor(limits.traceRowsMax, limits.partLinksMax)
    + DecisionMemory.bytesFor(limits.decisionsFullMax, limits.fingerprintBytes)
    + KeptStore.bytesFor(limits.keptPartsMax));
}

/** The samplers, under the slots of their forwarders. */
export function samplerInputs(settings: Settings, slots: readonly number[]): SamplerInput[] {
  return settings.forwardTo.flatMap((forwarder, index) => {
    const slot = slots[index]!; // one for each forwarder
    if (forwarder.traceSample === null) return [];
    const { policies } = parsePolicies(forwarder.traceSample.policies, ""); // loading checked them
    return [{ slot, forwarder: forwarder.name, policies }];
  });
}

/** One plan for each lane. */
export function lanePlans(
  settings: Settings, slots: readonly number[], data: DataDirectory, shared: SharedMemory,
): LanePlan[] {
  const samplers = samplerInputs(settings, slots);
  const forwarders = settings.forwardTo.map((forwarder, index): LaneForwarder => {
    const slot = slots[index]!; // one for each forwarder
    const input = samplers.find((sampler) => sampler.slot === slot);
    const { traceSample } = forwarder;
    return {
      slot, name: forwarder.name,
      sampler: input === undefined || traceSample === null ? null : {
        ...input, decisionWaitMs: traceSample.decisionWaitMs,
        decisionWaitAfterRootMs: traceSample.decisionWaitAfterRootMs,
      },
      outboxAfterMs: forwarder.outboxAfterMs,
      outboxBytesMax: Math.ceil(forwarder.outboxLimitBytes / settings.workers),
    };
  });
  const tableSeed = randomBytes(4).readUInt32LE();
  return shared.lanes.map((memory, lane) => ({
    lane, lanes: settings.workers, dataDirectory: data.path, durability: settings.durability,
    logId: data.logId, fingerprintSeed: data.fingerprintSeed, tableSeed, forwarders,
    slotNames: data.slots.names(), limits: laneLimits(settings), memory,
  }));
}

/** The forwarder thread's settings. */
export function forwarderSettings(
  settings: Settings, slots: readonly number[],
): ForwarderSettings[] {
  return settings.forwardTo.map((forwarder, index) => {
    return withSlot(forwarder, slots[index]!, settings.durability); // one slot each
  });
}

function withSlot(
  forwarder: ForwarderChoice, slot: number, durability: Settings["durability"],
): ForwarderSettings {
  // What only the lanes need stays here.
  const { traceSample: _sampled, outboxAfterMs: _after, outboxLimitBytes: _limit, ...rest }
    = forwarder;
  return rest.type === "file" ? { ...rest, slot, durability, requestsMax: 1 } : { ...rest, slot };
}

/** Texts of the metrics' labels. */
export function labelNames(
  slots: readonly number[], slotNames: readonly string[], policySet: PolicySet,
): LabelNames {
  const forwarders = slotNames.map((name, slot) => {
    return name === "" ? null : { name, receives: slots.includes(slot) };
  });
  return {
    forwarders,
    policySets: [policySet.policies.map(({ name, samplerSlot }) => ({ name, samplerSlot }))],
  };
}

/** Where log lines go. */
export function logFile(settings: Settings): string {
  const { logDirectory } = settings;
  return logDirectory === LOG_TO_STDOUT ? LOG_TO_STDOUT : path.join(logDirectory, LOG_FILE);
}
