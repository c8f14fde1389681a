// What the coordinator's thread needs to be a node of a cluster, as it is sent to it.

import type { ClusterOptions } from "./cluster-options.ts";

/** A lane's rings to and from the coordinator. */
export interface LaneRings {
  readonly partsOut: SharedArrayBuffer;
  readonly partsIn: SharedArrayBuffer;
  readonly decisionsOut: SharedArrayBuffer;
  readonly decisionsIn: SharedArrayBuffer;
  readonly wake: SharedArrayBuffer;
}

/** What the thread needs to be a node of a cluster; can be sent to it. */
export interface ClusterPlan {
  readonly options: ClusterOptions;
  readonly logId: string;
  readonly capacity: number;
  /** Of this node; the text is for the others. */
  readonly policySet: { readonly hash: string; readonly text: string };
  /** Names of forwarders by slot. */
  readonly slotNames: readonly string[];
  readonly ingestAddress: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly advertise: string;
  readonly secret: string;
  readonly leaseTtlSeconds: number;
  readonly handoverTimeoutMs: number;
  readonly fingerprintProof: number;
  readonly words: SharedArrayBuffer;
  readonly lanes: readonly LaneRings[];
}
