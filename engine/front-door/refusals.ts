// Every way in which the door itself says no: one row each, so that status, text, counter and what
// becomes of the connection are decided in one place.

import {
  REQUEST_BAD_ENCODING, REQUEST_BAD_HTTP, REQUEST_BAD_TYPE, REQUEST_BODY_MEMORY, REQUEST_DRAINING,
  REQUEST_INTERNAL, REQUEST_MALFORMED, REQUEST_METHOD, REQUEST_NOT_FOUND, REQUEST_ORIGIN,
  REQUEST_RING_FULL, REQUEST_TIMEOUT, REQUEST_TOO_LARGE, REQUEST_UNAUTHORIZED,
  REQUEST_UNAVAILABLE,
} from "../telemetry/label-values.ts";
import {
  GRPC_INTERNAL, GRPC_INVALID_ARGUMENT, GRPC_PERMISSION_DENIED, GRPC_RESOURCE_EXHAUSTED,
  GRPC_UNAUTHENTICATED, GRPC_UNAVAILABLE, GRPC_UNIMPLEMENTED,
} from "../wire/otlp-proto/reply.ts";
import { HEADER_BYTES_MAX } from "./door-limits.ts";

/** Not refused. */
export const ADMITTED = 0;
export const REFUSE_CONFLICTING_LENGTH = 1;
export const REFUSE_BAD_LENGTH = 2;
export const REFUSE_TRANSFER_CODING = 3;
export const REFUSE_NOT_FOUND = 4;
export const REFUSE_METHOD = 5;
export const REFUSE_CONTENT_TYPE = 6;
export const REFUSE_CONTENT_ENCODING = 7;
/** Too large, and what is still to come is short enough to be read and thrown away. */
export const REFUSE_TOO_LARGE = 8;
/** Too large by its Content-Length, and not worth reading. */
export const REFUSE_FAR_TOO_LARGE = 9;
/** Too large, and nobody knows how much more is to come. */
export const REFUSE_GREW_TOO_LARGE = 10;
export const REFUSE_RINGS_FULL = 11;
export const REFUSE_BODY_MEMORY = 12;
export const REFUSE_REQUESTS = 13;
export const REFUSE_DRAINING = 14;
export const REFUSE_TIMEOUT = 15;
export const REFUSE_INTERNAL = 16;
export const REFUSE_UNAUTHORIZED = 17;
export const REFUSE_ORIGIN = 18;
/** The header block is too large; uws refuses it by itself. */
export const REFUSE_HEADERS = 19;

/** The connection lives on; what is left of the body is thrown away. */
export const CLOSE_NEVER = 0;
/** The client is asked to close; until it does, what it sends is thrown away. */
export const CLOSE_ASKED = 1;
/** The connection ends with the reply. */
export const CLOSE_NOW = 2;

/** A refusal. */
export interface Refusal {
  readonly status: number;
  readonly grpcCode: number;
  /** Label index of the counter of refused requests. */
  readonly counter: number;
  readonly text: string;
  readonly close: number;
  /** Name, value, …; those of status 503 carry Retry-After besides. */
  readonly headers: readonly string[];
}

function row(
  status: number, grpcCode: number, counter: number, text: string, close: number = CLOSE_NEVER,
  headers: readonly string[] = [],
): Refusal {
  return { status, grpcCode, counter, text, close, headers };
}

/**
 * All refusals by code; place 0 stands for ADMITTED and is never sent.
 * @param types media types that are taken, for people.
 */
export function refusals(maxBodyBytes: number, types: string): readonly Refusal[] {
  const tooLarge = `the body is larger than ${maxBodyBytes} bytes`;
  const argument = GRPC_INVALID_ARGUMENT;
  return [
    row(500, GRPC_INTERNAL, REQUEST_INTERNAL, "internal error"),
    row(400, argument, REQUEST_MALFORMED, "two Content-Length headers that differ", CLOSE_NOW),
    row(400, argument, REQUEST_MALFORMED, "Content-Length is not a number", CLOSE_NOW),
    row(501, GRPC_UNIMPLEMENTED, REQUEST_BAD_ENCODING,
      "the only Transfer-Encoding known here is chunked", CLOSE_NOW),
    row(404, GRPC_UNIMPLEMENTED, REQUEST_NOT_FOUND, "no such path"),
    row(405, GRPC_UNIMPLEMENTED, REQUEST_METHOD, "method not allowed here"),
    row(415, argument, REQUEST_BAD_TYPE,
      `content type not supported here; supported are ${types}`),
    row(415, argument, REQUEST_BAD_ENCODING,
      "content encoding not supported; supported are gzip, deflate and identity"),
    row(413, GRPC_RESOURCE_EXHAUSTED, REQUEST_TOO_LARGE, tooLarge),
    row(413, GRPC_RESOURCE_EXHAUSTED, REQUEST_TOO_LARGE, tooLarge, CLOSE_NOW),
    row(413, GRPC_RESOURCE_EXHAUSTED, REQUEST_TOO_LARGE, tooLarge, CLOSE_ASKED),
    row(503, GRPC_UNAVAILABLE, REQUEST_RING_FULL, "overloaded: the rings to the lanes are full"),
    row(503, GRPC_UNAVAILABLE, REQUEST_BODY_MEMORY,
      "overloaded: too much memory in bodies that are not complete"),
    row(503, GRPC_UNAVAILABLE, REQUEST_UNAVAILABLE, "overloaded: too many requests at once"),
    row(503, GRPC_UNAVAILABLE, REQUEST_DRAINING, "this instance is shutting down"),
    row(408, GRPC_UNAVAILABLE, REQUEST_TIMEOUT, "the body did not arrive in time", CLOSE_NOW),
    row(500, GRPC_INTERNAL, REQUEST_INTERNAL, "internal error"),
    row(401, GRPC_UNAUTHENTICATED, REQUEST_UNAUTHORIZED,
      "no access token that is known here; send one in X-SF-Token or as Authorization: Bearer",
      CLOSE_NEVER, ["WWW-Authenticate", "Bearer"]),
    row(403, GRPC_PERMISSION_DENIED, REQUEST_ORIGIN,
      "pages of this origin may not send spans here; see AllowedOrigins"),
    row(431, argument, REQUEST_BAD_HTTP,
      `the headers are larger than ${HEADER_BYTES_MAX} bytes`, CLOSE_NOW),
  ];
}
