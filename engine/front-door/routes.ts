// Which path takes which formats. A listener has a list of routes; health paths are on all of them.
// A reply is in the style of the format that the body has, or would have had.

import { FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON } from "../ring/payload-layout.ts";

/** A path that takes spans. */
export interface Route {
  readonly path: string;
  /** The one method it takes, as in the request line. */
  readonly method: string;
  /**
   * Media type, in lower case and without parameters, to the FORMAT_ of a lane's scanner. The first
   * one is that of answers to requests of no type known here. "" stands for no Content-Type.
   */
  readonly formats: ReadonlyMap<string, number>;
}

export const PROTOBUF_TYPE = "application/x-protobuf";
export const JSON_TYPE = "application/json";
/** Requests without a Content-Type. */
const NO_TYPE = "";

/** OTLP/HTTP. Source: OTLP specification 1.x, "OTLP/HTTP Request". */
export const OTLP_TRACES: Route = {
  path: "/v1/traces",
  method: "POST",
  formats: new Map([[PROTOBUF_TYPE, FORMAT_OTLP_PROTO], [JSON_TYPE, FORMAT_OTLP_JSON]]),
};

/** Everything that a listener of type "otlp" takes. */
export const OTLP_ROUTES: readonly Route[] = [OTLP_TRACES];

/**
 * Everything that a listener of type "signalfx" takes: Zipkin JSON on the paths of Zipkin and of
 * the SignalFx gateway, which took a request without a Content-Type as JSON and either version of
 * Zipkin on either path.
 */
export const SIGNALFX_ROUTES: readonly Route[] = [
  "/api/v2/spans", "/v1/trace", "/api/v1/spans",
].map((path) => ({
  path,
  method: "POST",
  formats: new Map([[JSON_TYPE, FORMAT_ZIPKIN_JSON], [NO_TYPE, FORMAT_ZIPKIN_JSON]]),
}));

export const HEALTH_PATH = "/healthz";
export const READY_PATH = "/readyz";

/** The type without its parameters, in lower case. Source: RFC 9110, 8.3.1. */
export function mediaType(value: string): string {
  const parametersAt = value.indexOf(";");
  return (parametersAt < 0 ? value : value.slice(0, parametersAt)).trim().toLowerCase();
}

/** FORMAT_ of a request with this Content-Type, undefined for one that is not taken. */
export function formatOf(
  formats: ReadonlyMap<string, number>, contentType: string,
): number | undefined {
  // Nearly all clients write it as we do.
  return formats.get(contentType) ?? formats.get(mediaType(contentType));
}
