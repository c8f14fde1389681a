// The settings as the rest of the gateway sees them. Field types follow from the table in
// settings.ts; units are in the names. Settings are frozen and can be cloned to other threads.

import type { Address, FieldsOf } from "./setting-row.ts";
import type {
  FILE_FORWARDER, FORWARDER, LISTENER, OTLP_FORWARDER, TOP_LEVEL, TRACE_SAMPLE,
} from "./settings.ts";

export type { Address };

/** A listener; `address` is where it binds. */
export interface ListenerSettings extends FieldsOf<typeof LISTENER> {
  readonly type: "otlp";
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

/** Everything an operator decides. Paths are absolute; `workers` is the number of lanes. */
export interface Settings
  extends Omit<FieldsOf<typeof TOP_LEVEL>, "clusterOperation" | "backupLocation"> {
  /** Absolute directory of the log and the outboxes. */
  readonly dataDirectory: string;
  readonly listenFrom: readonly ListenerSettings[];
  readonly forwardTo: readonly ForwarderSettings[];
}
