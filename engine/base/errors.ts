/** Every expected failure of the control plane has a code; the text says what to do. */
export type ErrorCode =
  | "CONFIG_INVALID"
  | "CONFIG_MISSING"
  | "ADDRESS_IN_USE"
  | "DATA_DIRECTORY"
  | "DATA_IN_USE"
  | "LOG_VERSION"
  | "LANE_DIED"
  | "CLUSTER_ETCD_MISSING"
  | "CLUSTER_ETCD_FAILED"
  | "CLUSTER_EXISTS"
  | "CLUSTER_FORMAT"
  | "CLUSTER_LEASE_GONE"
  | "CLUSTER_NAME_MISMATCH"
  | "CLUSTER_SERVER_NAME_TAKEN"
  | "CLUSTER_STORE_UNAVAILABLE"
  | "CLUSTER_UNREACHABLE";

/** An expected failure: a stable code, a sentence for the operator, the facts behind it. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode, message: string, detail: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = "GatewayError";
    this.code = code;
    this.detail = detail;
  }
}
