// Bodies of replies to OTLP exporters, JSON. Source: OTLP specification 1.x, "JSON Protobuf
// Encoding" and "OTLP/HTTP Response"; ProtoJSON: int64 is a decimal string, defaults are left out.

import { assert } from "../../base/assert.ts";

/** ExportTraceServiceResponse without partialSuccess: everything was accepted. */
export const FULL_SUCCESS_JSON = "{}";

/**
 * ExportTraceServiceResponse that tells which spans were not taken.
 * @param rejectedSpans 0 turns the message into a warning, as the specification says.
 */
export function partialSuccessJson(rejectedSpans: number, message: string): string {
  assert(Number.isSafeInteger(rejectedSpans), "rejected spans are counted");
  assert(rejectedSpans >= 0, "rejected spans are counted");
  const counted = rejectedSpans === 0 ? {} : { rejectedSpans: String(rejectedSpans) };
  return JSON.stringify({ partialSuccess: { ...counted, errorMessage: message } });
}

/**
 * google.rpc.Status, the body of every 4xx and 5xx of OTLP/HTTP.
 * @param grpcCode one of the GRPC_ constants of the protobuf replies.
 */
export function statusJson(grpcCode: number, message: string): string {
  assert(Number.isInteger(grpcCode), "a status has a code");
  assert(grpcCode > 0, "an error is not OK");
  return JSON.stringify({ code: grpcCode, message });
}
