// What a forwarder needs to know. The configuration file maps onto these types; nothing here reads
// it.

/** What every kind of forwarder has. */
export interface ForwarderCommonSettings {
  /** Stable place of the forwarder in every 16-bit mask, 0..15. */
  readonly slot: number;
  /** As configured: a label in metrics and logs. */
  readonly name: string;
  /** A batch is sent when it holds this many bytes; a larger message makes a batch of its own. */
  readonly batchBytes: number;
  /** A batch is sent when it holds this many spans or messages; the last message may pass it. */
  readonly batchSpans: number;
  /** A batch is sent this long after its first message, ms. */
  readonly batchMs: number;
  /** Batches in memory, those in flight or waiting for a retry included; then the rings fill. */
  readonly requestsMax: number;
  /** Upper bound of the first retry's random delay, ms; doubles with every attempt. */
  readonly retryInitialMs: number;
  /** Upper bound of every retry's random delay, ms. Retries never end. */
  readonly retryMaxMs: number;
}

/** OTLP/HTTP with protobuf bodies. */
export interface OtlpForwarderSettings extends ForwarderCommonSettings {
  readonly type: "otlp";
  /** The whole address, path included, such as http://127.0.0.1:4318/v1/traces. */
  readonly url: string;
  readonly compression: "gzip" | "none";
  /** 1 (fast) to 9. */
  readonly gzipLevel: number;
  /** From the start of a request, connecting included, to the end of its answer, ms. */
  readonly timeoutMs: number;
  /** Sent with every request; they win over the headers that the forwarder sets itself. */
  readonly headers: Readonly<Record<string, string>>;
  /** Empty: no token is sent. */
  readonly token: string;
  /** Name of the header that carries the token. */
  readonly tokenHeader: string;
}

/** Lines of OTLP JSON in rotated files. */
export interface FileForwarderSettings extends ForwarderCommonSettings {
  readonly type: "file";
  /** A file takes one batch at a time. */
  readonly requestsMax: 1;
  /** Directory of the files, made when missing: `<path>/traces-<UTC time>-<n>.jsonl`. */
  readonly path: string;
  /** A file that holds this many bytes gets no further line. */
  readonly maxFileBytes: number;
  /** A file this old gets no further line, ms. */
  readonly maxFileAgeMs: number;
  /** The oldest files beyond this many are removed, the present one counted. */
  readonly maxFiles: number;
  /** The oldest files are removed until all together hold no more; one line may pass it. */
  readonly maxBytes: number;
  /** "disk": a batch counts as written after fdatasync; "process": after write. */
  readonly durability: "process" | "disk";
}

export type ForwarderSettings = OtlpForwarderSettings | FileForwarderSettings;
