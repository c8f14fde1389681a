// Whether a request may send its body, by its headers alone: pure, no engine and no side effects.

import { ENCODING_DEFLATE, ENCODING_GZIP, ENCODING_NONE } from "../ring/payload-layout.ts";
import {
  ADMITTED, REFUSE_BAD_LENGTH, REFUSE_CONFLICTING_LENGTH, REFUSE_CONTENT_ENCODING,
  REFUSE_CONTENT_TYPE, REFUSE_FAR_TOO_LARGE, REFUSE_TOO_LARGE, REFUSE_TRANSFER_CODING,
} from "./refusals.ts";
import { LENGTH_CONFLICTING, LENGTH_INVALID, type RequestHeaders } from "./request-headers.ts";
import { formatOf, type Route } from "./routes.ts";
import { DISCARD_BYTES_MAX } from "./door-limits.ts";

const ENCODING_UNKNOWN = -1;

/**
 * Faults in how the body is delimited. They end the connection whatever the path is, because two
 * readers could disagree where the next request begins. Source: RFC 9112, 6.1 and 6.3.
 * @returns ADMITTED or a REFUSE_ code.
 */
export function checkFraming(headers: RequestHeaders): number {
  if (headers.contentLength === LENGTH_CONFLICTING) return REFUSE_CONFLICTING_LENGTH;
  if (headers.contentLength === LENGTH_INVALID) return REFUSE_BAD_LENGTH;
  const coding = headers.transferEncoding;
  if (coding === "" || coding.toLowerCase() === "chunked") return ADMITTED;
  return REFUSE_TRANSFER_CODING;
}

/** What a route makes of a request's headers. One object serves all requests of a door. */
export class Admission {
  /** FORMAT_ of the last admitted request. */
  format = 0;
  /** ENCODING_ of the last admitted request. */
  encoding: number = ENCODING_NONE;

  /** @returns ADMITTED, with `format` and `encoding` set, or a REFUSE_ code. */
  decide(route: Route, headers: RequestHeaders, maxBodyBytes: number): number {
    const format = formatOf(route.formats, headers.contentType);
    if (format === undefined) return REFUSE_CONTENT_TYPE;
    const encoding = encodingOf(headers.contentEncoding);
    if (encoding === ENCODING_UNKNOWN) return REFUSE_CONTENT_ENCODING;
    if (headers.contentLength > maxBodyBytes) {
      return headers.contentLength > DISCARD_BYTES_MAX ? REFUSE_FAR_TOO_LARGE : REFUSE_TOO_LARGE;
    }
    this.format = format;
    this.encoding = encoding;
    return ADMITTED;
  }
}

/** Source: RFC 9110, 8.4.1; x-gzip means gzip. Lists of encodings are not supported. */
function encodingOf(value: string): number {
  if (value === "") return ENCODING_NONE;
  switch (value.trim().toLowerCase()) {
    case "":
    case "identity":
      return ENCODING_NONE;
    case "gzip":
    case "x-gzip":
      return ENCODING_GZIP;
    case "deflate":
      return ENCODING_DEFLATE;
    default:
      return ENCODING_UNKNOWN;
  }
}
