// What GET /cluster says, and /status of a node in a cluster.


/** A member of the map in force, as this node sees it. */
export interface MemberReport {
  readonly name: string;
  readonly isSelf: boolean;
  readonly shards: number;
  readonly capacity: number;
  readonly hasLease: boolean;
  /** This node's connections to it are up; false for this node itself. */
  readonly linked: boolean;
  /** Its connections to this node are; false for this node itself. */
  readonly heard: boolean;
  /** For how long this node has waited for it without progress, ms; null: it does not wait. */
  readonly waitedForMs: number | null;
  /** False: it decides by other policies, or for other forwarders, or its policies are unknown. */
  readonly samePolicies: boolean;
  /** False: its policies are not known here, and nothing is sent to it. */
  readonly readsPolicies: boolean;
  /** Sent to it and not taken by its lanes. */
  readonly waitingBytes: number;
  readonly rebalanceAddress: string;
  readonly ingestAddress: string;
}

export interface ClusterReport {
  readonly name: string;
  readonly node: string;
  readonly operation: string;
  readonly epoch: number;
  readonly ready: boolean;
  /** False: no lease; spans are stored and nothing is decided. */
  readonly mayDecide: boolean;
  /** Etcd is lost by all members alike, and they go on by the map that they have. */
  readonly frozen: boolean;
  /** Shards of this node that wait for other nodes' reports, the most that a lane counts. */
  readonly closedShards: number;
  /** Members that this node took out of the map because they did not report. */
  readonly membersRemoved: number;
  /** Times that this node's own registration was deleted though its lease lived. */
  readonly takenOut: number;
  /** Nodes that are being sent what is undecided again, summed over lanes. */
  readonly nodesBehind: number;
  readonly leasesLost: number;
  readonly keepalivesFailed: number;
  readonly reconnects: number;
  readonly refusedHandshakes: number;
  readonly etcdEndpoints: readonly string[];
  readonly exchange: {
    readonly partsSent: number;
    readonly partsReceived: number;
    readonly partsRefused: number;
    readonly decisionsSent: number;
    readonly decisionsReceived: number;
    readonly framesHeld: number;
  };
  readonly members: readonly MemberReport[];
}

/** Since the process began. */
export interface ClusterTotals {
  /** Members that this node took out of the map because they did not report. */
  readonly removed: number;
  /** Times that its own registration was deleted though its lease lived. */
  readonly takenOut: number;
}
