// THE table: every setting with its type, default, range and sentence. Validation, the typed
// settings, environment variables (TAILRACE_ and the name, top level only) and REFERENCE.md follow.
// Nothing is read again while the gateway runs: a change needs a restart.

import { CLUSTER_ROWS } from "./cluster-rows.ts";
import { HOUR_MS, MINUTE_MS, SECOND_MS } from "./durations.ts";
import { BODY_BYTES_MAX, DECISION_WAIT_MS_MAX, LANES_MAX } from "./limits.ts";
import type { Rows } from "./setting-row.ts";
import { GIB, KIB, MIB, TIB } from "./sizes.ts";

/** Masks of forwarders are 16 bits wide. */
export const FORWARDERS_MAX = 16;
/** More listeners of one kind than this is a mistake, not a deployment. */
export const LISTENERS_MAX = 16;

export const LISTENER_TYPES = ["otlp", "signalfx"] as const;
export type ListenerType = (typeof LISTENER_TYPES)[number];
/** Where a listener of a type binds that does not say; that of signalfx is the original's. */
export const LISTEN_ADDRESSES: Readonly<Record<ListenerType, string>> = {
  otlp: "127.0.0.1:4318", signalfx: "127.0.0.1:12345",
};
export const FORWARDER_TYPES = ["otlp", "file"] as const;

/** Where the log lies when no BackupLocation is given. */
export const DATA_DIRECTORY_DEFAULT = "./data";

/** What a TraceSample without Policies does. */
export const DEFAULT_POLICIES = [
  { name: "errors", type: "status_code", status_code: { status_codes: ["ERROR"] } },
  { name: "slow", type: "latency", latency: { threshold_ms: 500 } },
  { name: "normal", type: "probabilistic", probabilistic: { sampling_percentage: 10 } },
] as const;

export const TOP_LEVEL = {
  ServerName: {
    field: "serverName", kind: "headerValue", default: "", defaultDoc: "the host name",
    originalEnv: ["SFX_SERVER_NAME"],
    doc: "Name of this node; empty means the host name.",
  },
  ClusterName: {
    field: "clusterName", kind: "text", default: "gateway",
    originalEnv: ["SFX_GATEWAY_CLUSTER_NAME"],
    refuseEmpty: "gateway now requires configuring ClusterName at top level of config",
    doc: "Name of the cluster that this node belongs to.",
  },
  BackupLocation: {
    field: "backupLocation", kind: "path", default: DATA_DIRECTORY_DEFAULT,
    doc: "Directory of the log and the outboxes. The same key in a TraceSample means the same "
      + "directory: every one that is written must agree.",
  },
  LogDir: {
    field: "logDirectory", kind: "logPath", default: "-",
    doc: "Directory for gateway.log; \"-\" writes the log to standard output.",
  },
  LogFormat: {
    field: "logFormat", kind: "choice", values: ["json", "logfmt"], default: "json",
    emptyMeans: "logfmt",
    doc: "Form of a line of the log: a JSON object, or key=value pairs.",
  },
  LogMaxSize: {
    field: "logMegabytesMax", kind: "integer", default: 100, min: 1, max: 1_000_000,
    doc: "Size of gateway.log in MB (1,048,576 bytes) at which it is renamed to "
      + "gateway-<UTC time>.log and a new one begun.",
  },
  LogMaxBackups: {
    field: "logBackupsMax", kind: "integer", default: 10, min: 0, max: 10_000,
    doc: "Renamed log files that are kept; the oldest is deleted when there are more. 0 keeps "
      + "none.",
  },
  AdminAddress: {
    field: "adminAddress", kind: "address", default: "127.0.0.1:9464",
    doc: "Serves /metrics, /healthz, /readyz and /traces/{id}. It has no login: keep it private.",
  },
  HttpEngine: {
    field: "httpEngine", kind: "choice", values: ["uws", "node"], default: "uws",
    doc: "What serves the listeners: uWebSockets.js, or Node's own http server. Where "
      + "uWebSockets.js has no binary for this Node.js or system, \"node\" is taken by itself; it "
      + "always serves listeners with a TLSCertFile.",
  },
  Workers: {
    field: "workers", kind: "integer", default: 0, min: 1, max: LANES_MAX,
    zeroMeans: "one less than the processor cores, at least 1",
    doc: "Threads that scan, store and judge spans, each with a log of its own.",
  },
  Durability: {
    field: "durability", kind: "choice", values: ["process", "disk"], default: "process",
    doc: "What an answer of 200 survives: any death of the process, or also a loss of power "
      + "(an fsync before each answer).",
  },
  OnShutdown: {
    field: "onShutdown", kind: "choice", values: ["keep", "decide"], default: "keep",
    doc: "Undecided traces at a shutdown: keep them on disk for the next start, or decide now. In "
      + "a cluster they are always kept.",
  },
  MaxGracefulWaitTime: {
    field: "gracefulWaitMsMax", kind: "duration", default: "30s", min: 0, max: HOUR_MS,
    doc: "Longest time that a shutdown waits for forwarders; what is left stays on disk.",
  },
  DrainDelay: {
    field: "drainDelayMs", kind: "duration", default: "2s", min: 0, max: 10 * MINUTE_MS,
    doc: "Time from failing health checks to refusing connections: load balancers must notice.",
  },
  MaxBodyBytes: {
    field: "bodyBytesMax", kind: "size", default: "20MiB", min: KIB, max: BODY_BYTES_MAX,
    doc: "Largest request body after inflating; a larger one is answered 413.",
  },
  MaxInflateRatio: {
    field: "inflateRatioMax", kind: "integer", default: 100, min: 2, max: 10_000,
    doc: "A gzip body that inflates to more than this many times its size is refused.",
  },
  StorageLimit: {
    field: "storageLimitBytes", kind: "size", default: 0, min: 256 * MIB, max: 1_024 * TIB,
    zeroMeans: "80 % of the free disk at start",
    doc: "Most bytes that the logs and outboxes of this node may use.",
  },
  StoragePolicy: {
    field: "storagePolicy", kind: "choice", values: ["decide-early", "hash-sample", "refuse"],
    default: "decide-early",
    doc: "What gives way from 90 % of StorageLimit on: waiting (traces are judged early, oldest "
      + "first), new traces (a share of them, by the hash of their id, is not stored and counted "
      + "as evicted), or nothing. At the limit clients get 503, whatever the policy.",
  },
  MemoryLimit: {
    field: "memoryLimitBytes", kind: "size", default: 0, min: 64 * MIB, max: 16 * TIB,
    zeroMeans: "no other bound than MaxTraces and DecisionMemory",
    doc: "Most bytes that the tables of undecided traces and past decisions and the rings between "
      + "threads may reserve; MaxTraces is made smaller to fit.",
  },
  MaxTraces: {
    field: "tracesMax", kind: "integer", default: 4_000_000, min: 1_000, max: 64_000_000,
    doc: "Undecided traces held at once, all workers together; when full, the heaviest are decided "
      + "early.",
  },
  MaxTraceSpans: {
    field: "traceSpansMax", kind: "integer", default: 1_000_000, min: 1, max: 16_000_000,
    doc: "A trace with this many spans is decided at once; later spans follow the decision.",
  },
  MaxTraceBytes: {
    field: "traceBytesMax", kind: "size", default: "512MiB", min: KIB, max: 2 * GIB,
    doc: "A trace with this many bytes is decided at once; later spans follow the decision.",
  },
  DecisionMemory: {
    field: "decisionMemoryBytes", kind: "size", default: "64MiB", min: MIB, max: 4 * GIB,
    doc: "Memory for past decisions, all workers together, so that late spans follow their trace.",
  },
  ...CLUSTER_ROWS,
  ListenFrom: {
    kind: "structure", form: "array of objects", defaultDoc: "none",
    doc: "The listeners: where spans come in.",
  },
  ForwardTo: {
    kind: "structure", form: "array of objects", defaultDoc: "none",
    doc: `The forwarders, at most ${FORWARDERS_MAX}: where kept spans go.`,
  },
} as const satisfies Rows;

export const LISTENER = {
  Type: {
    kind: "structure", form: LISTENER_TYPES.map((type) => `"${type}"`).join(" or "),
    defaultDoc: "required",
    doc: "Kind of listener: \"otlp\" takes OTLP over HTTP, protobuf or JSON, on /v1/traces; "
      + "\"signalfx\" takes Zipkin v2 JSON on /api/v2/spans and /v1/trace.",
  },
  Name: {
    field: "name", kind: "name", default: "", defaultDoc: "the Type",
    doc: "Name in logs and metrics; every listener needs its own.",
  },
  ListenAddr: {
    field: "address", kind: "address", default: LISTEN_ADDRESSES.otlp,
    defaultDoc: `"${LISTEN_ADDRESSES.otlp}"; for "signalfx" "${LISTEN_ADDRESSES.signalfx}"`,
    doc: "Where to listen; \":4318\" means every IPv4 address, \"[::]:4318\" every address.",
  },
  TLSCertFile: {
    field: "tlsCertFile", kind: "path", default: "", defaultDoc: "none: plain HTTP",
    doc: "Certificate chain, PEM, the listener's own first; read again when the file changes.",
  },
  TLSKeyFile: {
    field: "tlsKeyFile", kind: "path", default: "", defaultDoc: "none",
    doc: "Private key of the certificate, PEM; read again when the file changes.",
  },
  TLSClientCAFile: {
    field: "tlsClientCaFile", kind: "path", default: "", defaultDoc: "none: no client certificate",
    doc: "Certificates, PEM, of those who sign the clients' certificates; a client without such a "
      + "certificate is refused.",
  },
  AllowedOrigins: {
    field: "allowedOrigins", kind: "textList", default: [],
    doc: "Origins of web pages that may send spans from a browser, such as "
      + "\"https://shop.example\" or, with one star, \"https://*.shop.example\"; \"*\" means any. "
      + "Pages of other origins are then refused with 403; none: CORS is not spoken.",
  },
  AcceptTokens: {
    field: "acceptTokens", kind: "textList", default: [], secret: true,
    doc: "Access tokens of which a request must carry one, in X-SF-Token or as a Bearer token of "
      + "Authorization; none: every request is taken.",
  },
} as const satisfies Rows;

/** Keys of every forwarder. */
export const FORWARDER = {
  Type: {
    kind: "structure", form: FORWARDER_TYPES.map((type) => `"${type}"`).join(" or "),
    defaultDoc: "required",
    doc: "Kind of destination: \"otlp\" posts to an OTLP/HTTP backend, \"file\" writes JSON lines.",
  },
  Name: {
    field: "name", kind: "name", default: "", defaultDoc: "the Type",
    doc: "Name in logs, metrics and the outbox directory; every forwarder needs its own.",
  },
  BatchBytes: {
    field: "batchBytes", kind: "size", default: "4MiB", min: KIB, max: 32 * MIB,
    doc: "A batch is sent when it reaches this size, before compression.",
  },
  BatchSpans: {
    field: "batchSpans", kind: "integer", default: 8_192, min: 1, max: 1_000_000,
    doc: "A batch is sent when it holds this many spans.",
  },
  BatchTimeout: {
    field: "batchMs", kind: "duration", default: "200ms", min: 0, max: MINUTE_MS,
    doc: "A batch is sent when its first span has waited this long.",
  },
  RetryInitial: {
    field: "retryInitialMs", kind: "duration", default: "500ms", min: 10, max: MINUTE_MS,
    doc: "Upper bound of the first wait before a retry; it doubles with every attempt.",
  },
  RetryMax: {
    field: "retryMaxMs", kind: "duration", default: "30s", min: 10, max: HOUR_MS,
    doc: "Longest wait between two attempts. Attempts never end: the outbox bounds what waits.",
  },
  OutboxAfter: {
    field: "outboxAfterMs", kind: "duration", default: "5s", min: 100, max: 10 * MINUTE_MS,
    doc: "Kept spans that the destination has not taken for this long move to its outbox on disk.",
  },
  OutboxLimit: {
    field: "outboxLimitBytes", kind: "size", default: "1GiB", min: 16 * MIB, max: 64 * TIB,
    doc: "Most bytes of the outbox; when full, its oldest spans are evicted and counted as lost.",
  },
  TraceSample: {
    kind: "structure", form: "object", defaultDoc: "none: every span is forwarded",
    doc: "Which traces this forwarder gets.",
  },
} as const satisfies Rows;

/** More keys of a forwarder of type "otlp". */
export const OTLP_FORWARDER = {
  URL: {
    field: "url", kind: "url", default: "", required: true, defaultDoc: "required",
    doc: "Where to post, with its path, for example \"http://127.0.0.1:14318/v1/traces\".",
  },
  Compression: {
    field: "compression", kind: "choice", values: ["gzip", "none"], default: "gzip",
    doc: "Content-Encoding of the requests.",
  },
  CompressionLevel: {
    field: "gzipLevel", kind: "integer", default: 1, min: 1, max: 9,
    doc: "Level of gzip; 6 costs about three times the processor time of 1.",
  },
  Timeout: {
    field: "timeoutMs", kind: "duration", default: "30s", min: 100, max: 10 * MINUTE_MS,
    doc: "Longest time for one request, from connecting to the last byte of the answer.",
  },
  MaxRequests: {
    field: "requestsMax", kind: "integer", default: 4, min: 1, max: 64,
    doc: "Batches in flight or waiting for a retry at once; each costs up to BatchBytes of memory.",
  },
  Headers: {
    field: "headers", kind: "headers", default: {}, secret: true,
    doc: "Headers added to every request.",
  },
  DefaultAuthToken: {
    field: "defaultAuthToken", kind: "headerValue", default: "", secret: true,
    doc: "Access token. Without one, the variable SIGNALFX_ACCESS_TOKEN is used.",
  },
  AuthTokenEnvVar: {
    field: "authTokenEnvVar", kind: "text", default: "",
    doc: "Name of a variable with the access token; when set it wins over DefaultAuthToken.",
  },
  AuthTokenHeader: {
    field: "tokenHeader", kind: "headerName", default: "X-SF-Token",
    doc: "Header that carries the access token.",
  },
} as const satisfies Rows;

/** More keys of a forwarder of type "file". */
export const FILE_FORWARDER = {
  Path: {
    field: "path", kind: "path", default: "", required: true, defaultDoc: "required",
    doc: "Directory of the files, made when missing; they are named traces-<time>-<number>.jsonl.",
  },
  MaxFileBytes: {
    field: "maxFileBytes", kind: "size", default: "128MiB", min: KIB, max: TIB,
    doc: "A file of this size is closed and a new one begun.",
  },
  MaxFileAge: {
    field: "maxFileAgeMs", kind: "duration", default: "1h", min: SECOND_MS, max: 720 * HOUR_MS,
    doc: "A file of this age is closed and a new one begun.",
  },
  MaxFiles: {
    field: "maxFiles", kind: "integer", default: 100, min: 1, max: 100_000,
    doc: "Files kept; the oldest is deleted when there are more.",
  },
  MaxBytes: {
    field: "maxBytes", kind: "size", default: "10GiB", min: KIB, max: 64 * TIB,
    doc: "Bytes of all files together; the oldest are deleted when there are more.",
  },
} as const satisfies Rows;

export const TRACE_SAMPLE = {
  BackupLocation: {
    kind: "structure", form: "path",
    defaultDoc: `the top-level one, else "${DATA_DIRECTORY_DEFAULT}"`,
    doc: "Directory of the log and the outboxes, as the top-level BackupLocation.",
  },
  ListenRebalanceAddress: {
    kind: "structure", form: "host:port", defaultDoc: "the top-level one",
    doc: "As the top-level ListenRebalanceAddress. On a single node without effect.",
  },
  AdvertiseRebalanceAddress: {
    kind: "structure", form: "host:port", defaultDoc: "the top-level one",
    doc: "As the top-level AdvertiseRebalanceAddress. On a single node without effect.",
  },
  IngestAddress: {
    kind: "structure", form: "host:port, or http://host:port", defaultDoc: "the top-level one",
    doc: "As the top-level IngestAddress. On a single node without effect.",
  },
  DecisionWait: {
    field: "decisionWaitMs", kind: "duration", default: "30s", min: 0, max: DECISION_WAIT_MS_MAX,
    doc: "A trace is judged this long after its first span.",
  },
  DecisionWaitAfterRoot: {
    field: "decisionWaitAfterRootMs", kind: "duration", default: "0s", min: 1,
    max: DECISION_WAIT_MS_MAX, zeroMeans: "only DecisionWait counts",
    doc: "A trace whose root span has arrived is judged this long after it, if that is sooner.",
  },
  Policies: {
    kind: "structure", form: "array of policies",
    defaultDoc: "errors, traces of more than 500 ms, and 10 % of all",
    doc: "Policies as in the OpenTelemetry tail_sampling processor.",
  },
} as const satisfies Rows;

/** Every object of the file, for the documentation and for hints about misplaced keys. */
export const SECTIONS: readonly { path: string; title: string; rows: Rows }[] = [
  { path: "", title: "the top level", rows: TOP_LEVEL },
  { path: "ListenFrom[]", title: "listeners", rows: LISTENER },
  { path: "ForwardTo[]", title: "forwarders", rows: FORWARDER },
  { path: "ForwardTo[]", title: "forwarders of type \"otlp\"", rows: OTLP_FORWARDER },
  { path: "ForwardTo[]", title: "forwarders of type \"file\"", rows: FILE_FORWARDER },
  { path: "ForwardTo[].TraceSample", title: "trace sampling", rows: TRACE_SAMPLE },
];
