// How each format's clients are answered. Source: OTLP specification 1.x, "OTLP/HTTP Response":
// every error carries a google.rpc.Status in the encoding of the request. Senders of Zipkin JSON
// get what the SignalFx gateway sent: `"OK"` as plain text, and errors as one line of it.

import { assert } from "../base/assert.ts";
import {
  FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON,
} from "../ring/payload-layout.ts";
import { FULL_SUCCESS_JSON, partialSuccessJson, statusJson } from "../wire/otlp-json/reply.ts";
import { FULL_SUCCESS, partialSuccess, statusBody } from "../wire/otlp-proto/reply.ts";
import { partialSuccessZipkin, ZIPKIN_SUCCESS } from "../wire/zipkin-json/reply.ts";
import { JSON_TYPE, PROTOBUF_TYPE } from "./routes.ts";

export const TEXT_TYPE = "text/plain; charset=utf-8";

/** Body of a reply and its type. */
export interface Content {
  readonly contentType: string;
  readonly body: Uint8Array | string;
}

/** What a format's clients understand. */
export interface ReplyStyle {
  readonly success: Content;
  /** Media types that a client of this kind may use, for people. */
  readonly types: string;
  partial(rejectedSpans: number, message: string): Content;
  error(grpcCode: number, message: string): Content;
}

const OTLP_TYPES = `${PROTOBUF_TYPE} and ${JSON_TYPE}`;

const OTLP_PROTO_STYLE: ReplyStyle = {
  success: { contentType: PROTOBUF_TYPE, body: FULL_SUCCESS },
  types: OTLP_TYPES,
  partial: (rejectedSpans, message) => {
    return { contentType: PROTOBUF_TYPE, body: partialSuccess(rejectedSpans, message) };
  },
  error: (grpcCode, message) => {
    return { contentType: PROTOBUF_TYPE, body: statusBody(grpcCode, message) };
  },
};

const OTLP_JSON_STYLE: ReplyStyle = {
  success: { contentType: JSON_TYPE, body: FULL_SUCCESS_JSON },
  types: OTLP_TYPES,
  partial: (rejectedSpans, message) => {
    return { contentType: JSON_TYPE, body: partialSuccessJson(rejectedSpans, message) };
  },
  error: (grpcCode, message) => {
    return { contentType: JSON_TYPE, body: statusJson(grpcCode, message) };
  },
};

const ZIPKIN_STYLE: ReplyStyle = {
  success: { contentType: TEXT_TYPE, body: ZIPKIN_SUCCESS },
  types: JSON_TYPE,
  partial: (rejectedSpans, message) => {
    return { contentType: JSON_TYPE, body: partialSuccessZipkin(rejectedSpans, message) };
  },
  error: (_grpcCode, message) => ({ contentType: TEXT_TYPE, body: message }),
};

/** Formats that there is a style for: all of them. */
export const STYLED_FORMATS: readonly number[] = [
  FORMAT_OTLP_PROTO, FORMAT_OTLP_JSON, FORMAT_ZIPKIN_JSON,
];

/** The style of a FORMAT_. */
export function styleOf(format: number): ReplyStyle {
  switch (format) {
    case FORMAT_OTLP_PROTO: return OTLP_PROTO_STYLE;
    case FORMAT_OTLP_JSON: return OTLP_JSON_STYLE;
    case FORMAT_ZIPKIN_JSON: return ZIPKIN_STYLE;
    default: assert(false, "every format has a style of replies");
  }
}
