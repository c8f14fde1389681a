// Configurations that a node of the simulation starts with. All keep the same traces for "backend",
// and hardly two have the same predicate bits or numbers of forwarders: bits and masks that are
// read by the wrong configuration keep what is to be dropped, and lose what is to be kept.

import { createHash } from "node:crypto";
import type { LaneForwarder, LanePlan, LaneSampler } from "../../engine/lane/lane-plan.ts";
import { FORWARDERS_MAX } from "../../engine/part/decision-layout.ts";
import type { PolicyConfig } from "../../engine/sampling/policy-config.ts";
import {
  readPolicySet, writePolicySet, type PublishedPolicySet,
} from "../../engine/sampling/policy-set-text.ts";
import type { ReadPolicySet } from "../../engine/cluster/peer-policy-sets.ts";
import type { Random } from "../support/random.ts";

export const DECISION_WAIT_MS = 1_000;
const EXTRA_WAIT_MS = 1_600;

export interface SimConfig {
  /** Slots of "backend" and of "extra": a data directory keeps them for good. */
  readonly backendSlot: number;
  readonly extraSlot: number;
  /** There is a second forwarder, which keeps other traces. */
  readonly hasExtra: boolean;
  /** The data directory has met it: its slot has a name. */
  readonly knowsExtra: boolean;
  /** A policy that never holds comes first. */
  readonly hasOther: boolean;
}

/** What all nodes have in a history without other configurations. */
export const PLAIN: SimConfig = {
  backendSlot: 0, extraSlot: 1, hasExtra: false, knowsExtra: false, hasOther: false,
};

export function firstConfig(random: Random): SimConfig {
  const backendSlot = random.below(2);
  return nextConfig({ ...PLAIN, backendSlot, extraSlot: 1 - backendSlot }, random);
}

/** What a node of a data directory may have after another start. */
export function nextConfig(config: SimConfig, random: Random): SimConfig {
  return { ...withExtra(config, random.chance(0.5)), hasOther: random.chance(0.5) };
}

export function withExtra(config: SimConfig, hasExtra: boolean): SimConfig {
  return { ...config, hasExtra, knowsExtra: hasExtra || config.knowsExtra };
}

const WANTED: PolicyConfig = {
  name: "wanted", type: "string_attribute",
  string_attribute: { key: "wanted", values: ["yes"] },
};
/** Spans without a mark have other = no; none has other = yes. */
const NEVER: PolicyConfig = {
  name: "never", type: "and",
  and: {
    and_sub_policy: ["no", "yes"].map((value) => ({
      type: "string_attribute" as const, string_attribute: { key: "other", values: [value] },
    })),
  },
};
const OTHERS: PolicyConfig = {
  name: "others", type: "string_attribute", string_attribute: { key: "other", values: ["no"] },
};

function samplerOf(
  slot: number, forwarder: string, decisionWaitMs: number, policies: readonly PolicyConfig[],
): LaneSampler {
  return { slot, forwarder, decisionWaitMs, decisionWaitAfterRootMs: 0, policies };
}

export function forwardersOf(config: SimConfig): LaneForwarder[] {
  const samplers = [samplerOf(config.backendSlot, "backend", DECISION_WAIT_MS,
    config.hasOther ? [NEVER, WANTED] : [WANTED])];
  if (config.hasExtra) {
    samplers.unshift(samplerOf(config.extraSlot, "extra", EXTRA_WAIT_MS, [OTHERS]));
  }
  return samplers.map((sampler) => ({
    slot: sampler.slot, name: sampler.forwarder, outboxAfterMs: 60_000,
    outboxBytesMax: 1 << 24, sampler,
  }));
}

export function slotNamesOf(config: SimConfig): LanePlan["slotNames"] {
  const { backendSlot, extraSlot, knowsExtra } = config;
  return Array.from({ length: FORWARDERS_MAX }, (_, slot) => {
    return slot === backendSlot ? "backend" : slot === extraSlot && knowsExtra ? "extra" : "";
  });
}

export function publishedOf(config: SimConfig): PublishedPolicySet {
  return writePolicySet(
    forwardersOf(config).map(({ sampler }) => sampler!), slotNamesOf(config)); // all have one
}

/** As the coordinator's thread reads a text. */
export function readNumbers(hash: string, text: string): ReadPolicySet {
  if (createHash("sha256").update(text).digest("hex") !== hash) throw new Error("another hash");
  const { set, slotNames } = readPolicySet(text);
  return {
    slotNames, samplersMask: set.samplers.reduce((mask, { slot }) => mask | (1 << slot), 0),
    hasSamePolicies: false,
  };
}
