// The settings as the rest of the gateway sees them. Field types follow from the table in
// settings.ts; units are in the names. Settings are frozen and can be cloned to other threads.

import type { ClusterRows } from "./cluster-rows.ts";
import type { Address, FieldsOf } from "./setting-row.ts";
import type {
  FILE_FORWARDER, FORWARDER, LISTENER, ListenerType, OTLP_FORWARDER, TOP_LEVEL,
  TRACE_SAMPLE,
} from "./settings.ts";

export type { Address };

/** A listener; `address` is where it binds. */
export interface ListenerSettings extends FieldsOf<typeof LISTENER> {
  readonly type: ListenerType;
}

/** A sampler. `policies` passed `validatePolicies`; the sampling folder knows their type. */
export interface TraceSampleSettings extends FieldsOf<typeof TRACE_SAMPLE> {
  readonly policies: readonly unknown[];
}

interface ForwarderBase extends FieldsOf<typeof FORWARDER> {
  /** Null: every span is forwarded. */
  readonly traceSample: TraceSampleSettings | null;
}

/** Posts OTLP over HTTP. `token` is resolved from file and environment; empty sends none. */
export interface OtlpForwarderSettings extends ForwarderBase,
  Omit<FieldsOf<typeof OTLP_FORWARDER>, "defaultAuthToken" | "authTokenEnvVar"> {
  readonly type: "otlp";
  readonly token: string;
}

/** Writes OTLP JSON lines. `path` is absolute. */
export interface FileForwarderSettings extends ForwarderBase, FieldsOf<typeof FILE_FORWARDER> {
  readonly type: "file";
}

export type ForwarderSettings = OtlpForwarderSettings | FileForwarderSettings;

/** How a node takes part; the original's `new` and `existing` are read as seed and join. */
export type ClusterOperation = "seed" | "join" | "client";

/** Rows that become other fields; of an address of etcd, single and plural become one list. */
export type SettledClusterRow =
  | "clusterOperation" | "clusterSecret" | "clusterLeaseTtlMs" | "clusterCapacity"
  | "listenRebalanceAddress" | "advertiseRebalanceAddress"
  | "listenOnPeerAddress" | "listenOnPeerAddresses"
  | "advertisePeerAddress" | "advertisedPeerAddresses"
  | "listenOnClientAddress" | "listenOnClientAddresses"
  | "advertiseClientAddress" | "advertisedClientAddresses"
  | "etcdMetricsAddress" | "etcdListenOnMetricsAddresses";

/** What makes this node part of a cluster. Addresses of etcd are host:port, or URLs. */
export interface ClusterSettings extends Omit<ClusterRows, SettledClusterRow> {
  readonly operation: ClusterOperation;
  /** Never empty. */
  readonly serverName: string;
  readonly clusterName: string;
  /** Weight of this node's share, 1 or more. */
  readonly capacity: number;
  readonly leaseTtlSeconds: number;
  /** Where the other nodes' parts and decisions come in, and what other nodes are told to dial. */
  readonly rebalance: {
    readonly listen: Address;
    /** host:port. */
    readonly advertise: string;
  };
  /** Of the first listener, as clients reach it; empty when it cannot be known. */
  readonly ingestAddress: string;
  /** Empty: no proof is asked for. */
  readonly secret: string;
  /** None of these five is ever empty. */
  readonly listenPeerAddresses: readonly string[];
  readonly advertisePeerAddresses: readonly string[];
  readonly listenClientAddresses: readonly string[];
  readonly advertiseClientAddresses: readonly string[];
  readonly metricsAddresses: readonly string[];
}

/** Everything an operator decides. Paths are absolute; `workers` is the number of lanes. */
export interface Settings
  extends Omit<FieldsOf<typeof TOP_LEVEL>, "backupLocation" | keyof ClusterRows> {
  /** Null on a single node. */
  readonly cluster: ClusterSettings | null;
  /** Absolute directory of the log and the outboxes. */
  readonly dataDirectory: string;
  readonly listenFrom: readonly ListenerSettings[];
  readonly forwardTo: readonly ForwarderSettings[];
}
