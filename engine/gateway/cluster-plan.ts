// From settings to what the coordinator's thread needs to be a node of a cluster.

import { createHmac } from "node:crypto";
import type { ClusterSettings } from "../../config/settings-types.ts";
import type { ClusterPlan, LaneRings } from "../cluster/node-plan.ts";
import type { SamplerInput } from "../sampling/compile.ts";
import { writePolicySet } from "../sampling/policy-set-text.ts";
import { DecisionMemory } from "../traces/decision-memory.ts";
import { clusterOptions } from "./cluster-settings.ts";
import type { SharedMemory } from "./shared-memory.ts";

/**
 * Seed of the fingerprints: the same on all nodes, so that they can be handed on, and nobody's
 * outside who does not know ClusterSecret.
 */
export function clusterFingerprintSeed({ clusterName, secret }: ClusterSettings): number {
  return createHmac("sha256", secret).update(`fingerprints of ${clusterName}`)
    .digest().readUInt32LE(0);
}

/**
 * @param searchPath as for clusterOptions.
 * @param policies samplers, and names of forwarders by slot.
 */
export function clusterPlan(
  settings: ClusterSettings, searchPath: string, logId: string,
  policies: { readonly samplers: readonly SamplerInput[]; readonly slotNames: readonly string[] },
  shared: SharedMemory,
): ClusterPlan | null {
  const [first] = shared.lanes;
  if (first === undefined || first.cluster === null) return null;
  return {
    options: clusterOptions(settings, searchPath), logId,
    policySet: writePolicySet(policies.samplers, policies.slotNames),
    slotNames: policies.slotNames,
    capacity: settings.capacity, ingestAddress: settings.ingestAddress,
    listen: settings.rebalance.listen, advertise: settings.rebalance.advertise,
    secret: settings.secret, leaseTtlSeconds: settings.leaseTtlSeconds,
    handoverTimeoutMs: settings.handoverTimeoutMs,
    fingerprintProof: DecisionMemory.proofOf(clusterFingerprintSeed(settings)),
    words: first.cluster,
    lanes: shared.lanes.map((lane, number): LaneRings => ({
      partsOut: lane.partsTo.at(-1)!, // the coordinator's come last
      partsIn: lane.partsFrom.at(-1)!,
      decisionsOut: lane.decisionsTo.at(-1)!,
      decisionsIn: lane.decisionsFrom.at(-1)!,
      wake: lane.wake.lanes[number]!,
    })),
  };
}
