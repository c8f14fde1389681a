// From settings to what each thread gets when it starts.

import { randomBytes } from "node:crypto";
import type {
  ForwarderSettings as ForwarderChoice, Settings,
} from "../../config/settings-types.ts";
import type { ForwarderSettings } from "../forward/forwarder-settings.ts";
import type { LaneForwarder, LaneLimits, LanePlan } from "../lane/lane-plan.ts";
import type { DataDirectory } from "../log/data-directory.ts";
import type { PolicySet, SamplerInput } from "../sampling/compile.ts";
import { parsePolicies } from "../sampling/policy-config.ts";
import type { LabelNames } from "../telemetry/metric-layout.ts";
import { clusterFingerprintSeed } from "./cluster-plan.ts";
import type { MemoryPlan } from "./memory-plan.ts";
import type { SharedMemory } from "./shared-memory.ts";

const DECISIONS_FULL_MS = 60_000;
/** Smallest span that has ids, with the tag and size before it. */
const SPAN_BYTES_MIN = 30;
const GENERATION_BYTES = 128 * 1024 * 1024;
/**
 * Of a small StorageLimit a lane's share is cut into as many at least: what is settled goes a
 * generation at a time.
 */
const GENERATIONS_MIN = 16;
const GENERATION_BYTES_MIN = 4 * 1024 * 1024;
/** Outboxes may fill this share of StorageLimit: dead backends must leave room for the log. */
const OUTBOX_SHARE = 0.5;
const OUTBOX_BYTES_MIN = 2 * 1024 * 1024;
/**
 * A generation with records is sealed after this, so that quiet hours free their disk space too.
 */
const GENERATION_AGE_MS = 300_000;

/** Bounds of each lane. */
function laneLimits(
  settings: Settings, memory: MemoryPlan, storageLimitBytes: number,
): LaneLimits {
  const share = Math.floor(storageLimitBytes / settings.workers / GENERATIONS_MIN);
  return {
    ...memory.lane,
    bodyBytesMax: settings.bodyBytesMax,
    inflateRatioMax: settings.inflateRatioMax,
    spansPerBodyMax: Math.ceil(settings.bodyBytesMax / SPAN_BYTES_MIN),
    spansPerTraceMax: settings.traceSpansMax,
    bytesPerTraceMax: settings.traceBytesMax,
    decisionsFullMs: DECISIONS_FULL_MS,
    generationBytes: Math.min(GENERATION_BYTES, Math.max(GENERATION_BYTES_MIN, share)),
    generationAgeMs: GENERATION_AGE_MS,
  };
}

/** Most bytes of each lane's outbox for a forwarder. */
function outboxBytes(
  settings: Settings, outboxLimitBytes: number, storageLimitBytes: number,
): number {
  const share = storageLimitBytes * OUTBOX_SHARE / settings.forwardTo.length;
  const bytes = Math.ceil(Math.min(outboxLimitBytes, share) / settings.workers);
  return Math.max(OUTBOX_BYTES_MIN, bytes);
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
  memory: MemoryPlan, storageLimitBytes: number,
): LanePlan[] {
  const limits = laneLimits(settings, memory, storageLimitBytes);
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
      outboxBytesMax: outboxBytes(settings, forwarder.outboxLimitBytes, storageLimitBytes),
    };
  });
  const tableSeed = randomBytes(4).readUInt32LE();
  return shared.lanes.map((own, lane) => ({
    lane, lanes: settings.workers, dataDirectory: data.path, durability: settings.durability,
    logId: data.logId, tableSeed, forwarders,
    fingerprintSeed: settings.cluster === null ? data.fingerprintSeed
      : clusterFingerprintSeed(settings.cluster),
    slotNames: data.slots.names(), limits, memory: own,
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
  settings: Settings, slots: readonly number[], slotNames: readonly string[],
  policySet: PolicySet,
): LabelNames {
  const forwarders = slotNames.map((name, slot) => {
    return name === "" ? null : { name, receives: slots.includes(slot) };
  });
  return {
    forwarders,
    policySets: [policySet.policies.map(({ name, samplerSlot }) => ({ name, samplerSlot }))],
    tlsListeners: settings.listenFrom.map(({ name, tlsCertFile }) => {
      return tlsCertFile === "" ? null : name;
    }),
  };
}
