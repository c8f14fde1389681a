// Which path takes which formats. A listener has a list of routes; health paths are on all of them.

import { FORMAT_OTLP_PROTO } from "../ring/payload-layout.ts";

/** A path that takes spans. Replies are those of OTLP/HTTP. */
export interface Route {
  readonly path: string;
  /** The one method it takes, as in the request line. */
  readonly method: string;
  /** Media type, in lower case and without parameters, to the FORMAT_ of a lane's scanner. */
  readonly formats: ReadonlyMap<string, number>;
}

export const PROTOBUF_TYPE = "application/x-protobuf";

/** OTLP/HTTP with binary protobuf. Source: OTLP specification 1.x, "OTLP/HTTP Request". */
export const OTLP_TRACES: Route = {
  path: "/v1/traces",
  method: "POST",
  formats: new Map([[PROTOBUF_TYPE, FORMAT_OTLP_PROTO]]),
};

export const HEALTH_PATH = "/healthz";
export const READY_PATH = "/readyz";
