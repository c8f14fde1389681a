// Keys of the original gateway that are taken and not used, so that its files still load.

/** A key without effect; `warning` says what to use instead, null where nothing is missed. */
export interface OriginalKey {
  readonly name: string;
  readonly warning: string | null;
}

const quiet = (...names: string[]): OriginalKey[] =>
  names.map((name) => ({ name, warning: null }));

/** Cluster keys are quiet: without a cluster operation the original did not use them either. */
export const ORIGINAL_TOP_LEVEL: readonly OriginalKey[] = [
  ...quiet(
    "ClusterDataDir", "TargetClusterAddresses", "ListenOnPeerAddress", "ListenOnPeerAddresses",
    "AdvertisePeerAddress", "AdvertisedPeerAddresses", "ListenOnClientAddress",
    "ListenOnClientAddresses", "AdvertiseClientAddress", "AdvertisedClientAddresses",
    "ETCDMetricsAddress", "EtcdListenOnMetricsAddresses", "EtcdSnapCount", "EtcdMaxSnapFiles",
    "EtcdMaxWalFiles", "UnhealthyMemberTTL", "RemoveMemberTimeout", "EtcdDialTimeout",
    "EtcdAutoSyncInterval", "EtcdClusterCleanUpInterval", "EtcdStartupGracePeriod",
    "EtcdHeartBeatInterval", "EtcdElectionTimeout", "EtcdServerStartTimeout",
  ),
  ...quiet(
    "PprofAddr", "GracefulCheckInterval", "SilentGracefulTime", "MinimalGracefulWaitTime",
  ),
  { name: "NumProcs", warning: "use Workers for the number of threads" },
  { name: "PidFilename", warning: "no pid file is written; the supervisor knows the process" },
  { name: "AdditionalDimensions", warning: "add labels where the metrics are collected" },
  { name: "LogMaxSize", warning: "rotate gateway.log from outside, or log to standard output" },
  { name: "LogMaxBackups", warning: "rotate gateway.log from outside, or log to standard output" },
  { name: "LogFormat", warning: "the format of the log is fixed" },
  { name: "StatsDelay", warning: "metrics are served at AdminAddress, path /metrics" },
  {
    name: "InternalMetricsListenerAddress",
    warning: "metrics are served at AdminAddress, path /metrics",
  },
  { name: "EmitDebugMetrics", warning: "all metrics are always served at AdminAddress" },
  { name: "LateThreshold", warning: "late items are not counted" },
  { name: "FutureThreshold", warning: "items from the future are not counted" },
  { name: "LocalDebugServer", warning: "see AdminAddress" },
  { name: "DebugFlag", warning: "single requests are not traced through the log" },
];

export const ORIGINAL_LISTENER: readonly OriginalKey[] = [
  ...quiet("JSONEngine", "Encrypted", "Dimensions"),
  { name: "Timeout", warning: "the time limits of a connection are fixed" },
];

export const ORIGINAL_FORWARDER: readonly OriginalKey[] = [
  ...quiet("DrainingThreads", "AdditionalDimensions", "FormatVersion"),
  { name: "BufferSize", warning: "spans wait on disk; see OutboxLimit" },
  { name: "MaxDrainSize", warning: "use BatchSpans and BatchBytes" },
  { name: "UseAuthFromRequest", warning: "the token is that of the forwarder" },
  { name: "DisableCompression", warning: "use Compression: \"none\"" },
];

export const ORIGINAL_TRACE_SAMPLE: readonly OriginalKey[] = [
  ...quiet(
    "AdditionalDimensions", "IngestAddress", "ListenRebalanceAddress", "AdvertiseRebalanceAddress",
    "Distributor",
  ),
  { name: "DebugLogging", warning: "see GET /traces/{id} at AdminAddress" },
];
