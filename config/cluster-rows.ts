// Rows of the table for nodes that form a cluster. On a single node (no ClusterOperation) none of
// them has an effect. Names, defaults and variables are the original's where it had them.

import { HOUR_MS, MINUTE_MS, SECOND_MS } from "./durations.ts";
import type { FieldsOf, Rows } from "./setting-row.ts";

const ONE_ADDRESS = "host:port, or http://host:port";
const ADDRESSES = "an array of host:port, or http://host:port";

/** What these rows stand for where nothing is written. */
export const CLUSTER_DEFAULTS = {
  listenRebalance: "0.0.0.0:2382",
  listenPeer: "0.0.0.0:2380", advertisePeer: "127.0.0.1:2380",
  listenClient: "0.0.0.0:2379", advertiseClient: "127.0.0.1:2379",
  metrics: "127.0.0.1:2381",
} as const;

/** See the table in settings.ts. Of addresses and secrets, an empty text counts as not written. */
export const CLUSTER_ROWS = {
  ClusterOperation: {
    field: "clusterOperation", kind: "text", default: "",
    form: "\"seed\" (or \"new\"), \"join\" (or \"existing\"), \"client\", or \"\" for a single "
      + "node",
    originalEnv: ["SFX_CLUSTER_OPERATION"],
    doc: "How this node takes part in a cluster: \"seed\" begins one, \"join\" becomes a member of "
      + "its etcd, \"client\" only connects; empty runs it alone. The flag --cluster-op overrides "
      + "it.",
  },
  ClusterDataDir: {
    field: "clusterDataDirectory", kind: "path", default: "./etcd-data",
    originalEnv: ["SFX_CLUSTER_DATA_DIR"],
    doc: "Directory of the etcd server that seed and join run; it must outlive containers.",
  },
  TargetClusterAddresses: {
    field: "targetClusterAddresses", kind: "textList", default: [], form: ADDRESSES,
    originalEnv: ["SFX_TARGET_CLUSTER_ADDRESSES"],
    doc: "Client addresses of nodes through which this one finds its cluster when it starts; one "
      + "that runs is enough.",
  },
  ClusterSecret: {
    field: "clusterSecret", kind: "text", default: "", secret: true,
    doc: "Shared by all nodes of a cluster: connections between nodes prove that they know it. "
      + "Better in the variable than in a file.",
  },
  ListenRebalanceAddress: {
    field: "listenRebalanceAddress", kind: "text", default: "", form: "host:port",
    defaultDoc: `"${CLUSTER_DEFAULTS.listenRebalance}"`,
    doc: "Where this node listens for the other nodes' parts and decisions. The same key in a "
      + "TraceSample means the same: every one that is written must agree.",
  },
  AdvertiseRebalanceAddress: {
    field: "advertiseRebalanceAddress", kind: "text", default: "", form: "host:port",
    defaultDoc: "the host of AdvertiseClientAddress, with the port of ListenRebalanceAddress",
    doc: "Address at which the other nodes reach ListenRebalanceAddress. The same key in a "
      + "TraceSample means the same: every one that is written must agree.",
  },
  IngestAddress: {
    field: "ingestAddress", kind: "text", default: "", form: ONE_ADDRESS,
    defaultDoc: "http:// and the host of AdvertiseRebalanceAddress, with the port of the first "
      + "listener",
    doc: "Address of this node's listener as clients reach it; shown in the status of the cluster. "
      + "The same key in a TraceSample means the same: every one that is written must agree.",
  },
  ListenOnPeerAddress: {
    field: "listenOnPeerAddress", kind: "text", default: "", form: ONE_ADDRESS,
    defaultDoc: `"${CLUSTER_DEFAULTS.listenPeer}"`,
    originalEnv: ["SFX_LISTEN_ON_PEER_ADDRESS"],
    doc: "Where the etcd server listens for other etcd servers.",
  },
  ListenOnPeerAddresses: {
    field: "listenOnPeerAddresses", kind: "textList", default: [], form: ADDRESSES,
    originalEnv: ["SFX_LISTEN_ON_PEER_ADDRESSES"], doc: "More of ListenOnPeerAddress.",
  },
  AdvertisePeerAddress: {
    field: "advertisePeerAddress", kind: "text", default: "", form: ONE_ADDRESS,
    defaultDoc: `"${CLUSTER_DEFAULTS.advertisePeer}"`,
    originalEnv: ["SFX_ADVERTISE_PEER_ADDRESS"],
    doc: "Address at which the other nodes' etcd servers reach this one's.",
  },
  AdvertisedPeerAddresses: {
    field: "advertisedPeerAddresses", kind: "textList", default: [], form: ADDRESSES,
    originalEnv: ["SFX_ADVERTISED_PEER_ADDRESSES"], doc: "More of AdvertisePeerAddress.",
  },
  ListenOnClientAddress: {
    field: "listenOnClientAddress", kind: "text", default: "", form: ONE_ADDRESS,
    defaultDoc: `"${CLUSTER_DEFAULTS.listenClient}"`,
    originalEnv: ["SFX_LISTEN_ON_CLIENT_ADDRESS"],
    doc: "Where the etcd server listens for gateways and etcdctl.",
  },
  ListenOnClientAddresses: {
    field: "listenOnClientAddresses", kind: "textList", default: [], form: ADDRESSES,
    originalEnv: ["SFX_LISTEN_ON_CLIENT_ADDRESSES"], doc: "More of ListenOnClientAddress.",
  },
  AdvertiseClientAddress: {
    field: "advertiseClientAddress", kind: "text", default: "", form: ONE_ADDRESS,
    defaultDoc: `"${CLUSTER_DEFAULTS.advertiseClient}"`,
    originalEnv: ["SFX_ADVERTISE_CLIENT_ADDRESS"],
    doc: "Address at which other nodes reach this one's etcd server.",
  },
  AdvertisedClientAddresses: {
    field: "advertisedClientAddresses", kind: "textList", default: [], form: ADDRESSES,
    originalEnv: ["SFX_ADVERTISED_CLIENT_ADDRESSES"], doc: "More of AdvertiseClientAddress.",
  },
  ETCDMetricsAddress: {
    field: "etcdMetricsAddress", kind: "text", default: "", form: ONE_ADDRESS,
    defaultDoc: `"${CLUSTER_DEFAULTS.metrics}"`,
    originalEnv: ["SFX_ETCD_METRICS_ADDRESS"],
    doc: "Where the etcd server serves /metrics and /health.",
  },
  EtcdListenOnMetricsAddresses: {
    field: "etcdListenOnMetricsAddresses", kind: "textList", default: [], form: ADDRESSES,
    originalEnv: ["SFX_ETCD_LISTEN_ON_METRICS_ADDRESSES"], doc: "More of ETCDMetricsAddress.",
  },
  EtcdBinary: {
    field: "etcdBinary", kind: "text", default: "etcd",
    doc: "Program of the etcd server: a name to look for in PATH, or a path.",
  },
  UnhealthyMemberTTL: {
    field: "unhealthyMemberTtlMs", kind: "duration", default: "5s", min: SECOND_MS, max: HOUR_MS,
    originalEnv: ["SFX_UNHEALTHY_MEMBER_TTL"],
    doc: "How long an etcd member must have been unhealthy before it is removed from the cluster.",
  },
  RemoveMemberTimeout: {
    field: "removeMemberTimeoutMs", kind: "duration", default: "1s", min: 100, max: MINUTE_MS,
    originalEnv: ["SFX_REMOVE_MEMBER_TIMEOUT"],
    doc: "How long a node that shuts down tries to take itself out of etcd's members.",
  },
  EtcdDialTimeout: {
    field: "etcdDialTimeoutMs", kind: "duration", default: "5s", min: 500, max: MINUTE_MS,
    originalEnv: ["SFX_ETCD_DIAL_TIMEOUT"],
    doc: "How long a node that starts waits for the first answer of TargetClusterAddresses at each "
      + "look.",
  },
  EtcdClusterCleanUpInterval: {
    field: "etcdCleanUpIntervalMs", kind: "duration", default: "10s", min: SECOND_MS, max: HOUR_MS,
    originalEnv: ["SFX_ETCD_CLUSTER_CLEANUP_INTERVAL"],
    doc: "How often members look after each other.",
  },
  EtcdAutoSyncInterval: {
    field: "etcdAutoSyncIntervalMs", kind: "duration", default: "5s", min: 500, max: HOUR_MS,
    originalEnv: ["SFX_ETCD_AUTOSYNC_INTERVAL"],
    doc: "How often a node asks which etcd servers there are.",
  },
  EtcdStartupGracePeriod: {
    field: "etcdStartupGraceMs", kind: "duration", default: "120s", min: 5 * SECOND_MS,
    max: HOUR_MS, originalEnv: ["SFX_ETCD_STARTUP_GRACE_PERIOD"],
    doc: "Bounds the start of the cluster part; members known for less are not removed.",
  },
  EtcdHeartBeatInterval: {
    field: "etcdHeartbeatMs", kind: "duration", default: "500ms", min: 50, max: 10 * SECOND_MS,
    originalEnv: ["SFX_ETCD_HEARTBEAT_INTERVAL"],
    doc: "Heartbeat of etcd's leader; the same on all nodes.",
  },
  EtcdElectionTimeout: {
    field: "etcdElectionMs", kind: "duration", default: "5s", min: 500, max: 50 * SECOND_MS,
    originalEnv: ["SFX_ETCD_ELECTION_TIMEOUT"],
    doc: "Silence of the leader after which etcd elects another, at least five heartbeats; the "
      + "same on all nodes.",
  },
  EtcdSnapCount: {
    field: "etcdSnapshotCount", kind: "integer", default: 100_000, min: 1_000, max: 1_000_000_000,
    originalEnv: ["SFX_ETCD_SNAP_COUNT"], doc: "Transactions between snapshots of etcd.",
  },
  EtcdMaxSnapFiles: {
    field: "etcdSnapshotFilesMax", kind: "integer", default: 5, min: 0, max: 65_535,
    originalEnv: ["SFX_ETCD_MAX_SNAP_FILES"], doc: "Snapshot files that etcd keeps; 0 keeps all.",
  },
  EtcdMaxWalFiles: {
    field: "etcdWalFilesMax", kind: "integer", default: 5, min: 0, max: 65_535,
    originalEnv: ["SFX_ETD_MAX_WAL_FILES"], doc: "Log files that etcd keeps; 0 keeps all.",
  },
  EtcdClientCertFile: {
    field: "etcdClientCertFile", kind: "path", default: "", defaultDoc: "none: plain",
    doc: "Certificate chain, PEM, of this node: with it connections to etcd's client addresses, "
      + "this node's and others', are encrypted.",
  },
  EtcdClientKeyFile: {
    field: "etcdClientKeyFile", kind: "path", default: "", defaultDoc: "none",
    doc: "Its private key, PEM.",
  },
  EtcdClientTrustedCaFile: {
    field: "etcdClientTrustedCaFile", kind: "path", default: "", defaultDoc: "none",
    doc: "Certificates, PEM, of those who sign the certificates of etcd's client addresses.",
  },
  EtcdClientCertAuth: {
    field: "etcdClientCertAuth", kind: "choice", values: ["no", "yes"], default: "no",
    doc: "With \"yes\" clients of etcd must show a certificate of EtcdClientTrustedCaFile.",
  },
  EtcdPeerCertFile: {
    field: "etcdPeerCertFile", kind: "path", default: "", defaultDoc: "none: plain",
    doc: "Certificate chain, PEM, of this node: with it connections between etcd servers are "
      + "encrypted.",
  },
  EtcdPeerKeyFile: {
    field: "etcdPeerKeyFile", kind: "path", default: "", defaultDoc: "none",
    doc: "Its private key, PEM.",
  },
  EtcdPeerTrustedCaFile: {
    field: "etcdPeerTrustedCaFile", kind: "path", default: "", defaultDoc: "none",
    doc: "Certificates, PEM, of those who sign the certificates of etcd servers.",
  },
  EtcdPeerCertAuth: {
    field: "etcdPeerCertAuth", kind: "choice", values: ["no", "yes"], default: "no",
    doc: "With \"yes\" etcd servers must show each other a certificate of EtcdPeerTrustedCaFile.",
  },
  ClusterLeaseTTL: {
    field: "clusterLeaseTtlMs", kind: "duration", default: "10s", min: 10 * SECOND_MS,
    max: MINUTE_MS,
    doc: "How long etcd keeps this node after its last keepalive, in whole seconds; others take "
      + "its traces over after up to twice this.",
  },
  HandoverTimeout: {
    field: "handoverTimeoutMs", kind: "duration", default: "30s", min: SECOND_MS,
    max: 10 * MINUTE_MS,
    doc: "How long this node waits for a member that shows no progress before it takes it out of "
      + "the map, though its lease lives. Needs three members, and connections with most of them.",
  },
  ClusterCapacity: {
    field: "clusterCapacity", kind: "integer", default: 0, min: 1, max: 65_535,
    zeroMeans: "the number of Workers",
    doc: "Weight of this node's share of the traces.",
  },
} as const satisfies Rows;

/** The values of these rows as they were written. */
export type ClusterRows = FieldsOf<typeof CLUSTER_ROWS>;
