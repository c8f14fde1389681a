// Keys and types of the original gateway that do nothing here, so that its files still load, and
// what is said of each.

/**
 * A key without effect. "quiet": nothing is missed. "deprecated": another setting does its work,
 * named by the sentence. "without_effect": what it changed in the original is not changed here.
 * "refused": to ignore it would do harm. Nothing is said where the value is empty.
 */
export interface OriginalKey {
  readonly name: string;
  readonly kind: "quiet" | "deprecated" | "without_effect" | "refused";
  /** After the key; null exactly where it is quiet. */
  readonly warning: string | null;
}

const quiet = (...names: string[]): OriginalKey[] =>
  names.map((name) => ({ name, kind: "quiet", warning: null }));
const deprecated = (name: string, warning: string): OriginalKey =>
  ({ name, kind: "deprecated", warning });
const ineffective = (name: string, warning: string): OriginalKey =>
  ({ name, kind: "without_effect", warning });
const refused = (name: string, warning: string): OriginalKey =>
  ({ name, kind: "refused", warning });

export const ORIGINAL_TOP_LEVEL: readonly OriginalKey[] = [
  ...quiet("EtcdServerStartTimeout"),
  ...quiet(
    "PprofAddr", "GracefulCheckInterval", "SilentGracefulTime", "MinimalGracefulWaitTime",
  ),
  deprecated("NumProcs", "use Workers for the number of threads"),
  ineffective("PidFilename", "no pid file is written; the supervisor knows the process"),
  ineffective("AdditionalDimensions", "add labels where the metrics are collected"),
  deprecated("StatsDelay", "metrics are served at AdminAddress, path /metrics"),
  deprecated(
    "InternalMetricsListenerAddress", "metrics are served at AdminAddress, path /metrics",
  ),
  deprecated("EmitDebugMetrics", "all metrics are always served at AdminAddress"),
  ineffective("LateThreshold", "late items are not counted"),
  ineffective("FutureThreshold", "items from the future are not counted"),
  deprecated("LocalDebugServer", "see AdminAddress"),
  ineffective("DebugFlag", "single requests are not traced through the log"),
];

const SPANS_UNCHANGED = "spans are forwarded as they came; change them in the sender, or behind "
  + "the gateway, or remove the key";
const WOULD_REVEAL = "to hide or remove tags is not supported, and without it what they hold would "
  + "be forwarded; remove the tags in the sender and then this key";

export const ORIGINAL_LISTENER: readonly OriginalKey[] = [
  ...quiet("JSONEngine", "Encrypted", "Dimensions"),
  ineffective("Timeout", "the time limits of a connection are fixed"),
  ineffective("AdditionalSpanTags", SPANS_UNCHANGED),
  ineffective("SpanNameReplacementRules", SPANS_UNCHANGED),
  ineffective("SpanNameReplacementBreakAfterMatch", SPANS_UNCHANGED),
  refused("ObfuscateSpanTags", WOULD_REVEAL),
  refused("RemoveSpanTags", WOULD_REVEAL),
];

export const ORIGINAL_FORWARDER: readonly OriginalKey[] = [
  ...quiet("DrainingThreads", "AdditionalDimensions", "FormatVersion"),
  deprecated("BufferSize", "spans wait on disk; see OutboxLimit"),
  deprecated("MaxDrainSize", "use BatchSpans and BatchBytes"),
  ineffective("UseAuthFromRequest", "the token is that of the forwarder"),
  deprecated("DisableCompression", "use Compression: \"none\""),
];

/** Those of the original, then those that come with a pasted tail_sampling block. */
export const ORIGINAL_TRACE_SAMPLE: readonly OriginalKey[] = [
  ...quiet("AdditionalDimensions", "Distributor"),
  deprecated("DebugLogging", "see GET /traces/{id} at AdminAddress"),
  deprecated("num_traces", "use MaxTraces at the top level"),
  deprecated("decision_cache", "use DecisionMemory at the top level"),
  ...quiet("expected_new_traces_per_sec"),
  ineffective("sample_on_first_match", "every policy votes, also after one that sampled"),
];

const METRICS_ONLY = "it takes metrics, and this version takes traces only: remove the listener "
  + "and let an OpenTelemetry Collector take the metrics";
const SIGNALFX_FORWARDER = "use \"otlp\" with the URL of an OTLP backend, for example an "
  + "OpenTelemetry Collector that exports to SignalFx";

/** Types of listeners of the original that do not exist here, and what to do. */
export const ORIGINAL_LISTENER_TYPES: Readonly<Record<string, string>> = {
  collectd: METRICS_ONLY, prometheus: METRICS_ONLY, carbon: METRICS_ONLY, wavefront: METRICS_ONLY,
};

/** Types of forwarders of the original that do not exist here, and what to do. */
export const ORIGINAL_FORWARDER_TYPES: Readonly<Record<string, string>> = {
  "signalfx": SIGNALFX_FORWARDER, "signalfx-json": SIGNALFX_FORWARDER,
  "carbon": "it sends metrics, and this version has traces only: remove the forwarder",
  "csv": "use \"file\" with a Path: it writes kept traces as lines of JSON",
};
