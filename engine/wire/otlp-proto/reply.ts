// Bodies of replies to OTLP exporters, protobuf. Source: OTLP specification 1.x, "OTLP/HTTP
// Response"; opentelemetry/proto/collector/trace/v1/trace_service.proto; google/rpc/status.proto.

import { assert } from "../../base/assert.ts";

/** ExportTraceServiceResponse without partial_success: everything was accepted. */
export const FULL_SUCCESS = new Uint8Array(0);

// google.rpc.Code values that a reply may carry.
export const GRPC_INVALID_ARGUMENT = 3;
export const GRPC_PERMISSION_DENIED = 7;
export const GRPC_UNAUTHENTICATED = 16;
export const GRPC_RESOURCE_EXHAUSTED = 8;
export const GRPC_UNIMPLEMENTED = 12;
export const GRPC_INTERNAL = 13;
export const GRPC_UNAVAILABLE = 14;

/** Longest text in a reply; longer ones are cut, because texts are ours and only for people. */
const MESSAGE_CHARACTERS_MAX = 1_024;

const TAG_PARTIAL_SUCCESS = 0x0a; // ExportTraceServiceResponse.partial_success = 1
const TAG_REJECTED_SPANS = 0x08; // ExportTracePartialSuccess.rejected_spans = 1
const TAG_ERROR_MESSAGE = 0x12; // ExportTracePartialSuccess.error_message = 2
const TAG_STATUS_CODE = 0x08; // google.rpc.Status.code = 1
const TAG_STATUS_MESSAGE = 0x12; // google.rpc.Status.message = 2

/**
 * ExportTraceServiceResponse that tells which spans were not taken.
 * @param rejectedSpans 0 turns the message into a warning, as the specification says.
 * @param message for the client's developer; at most MESSAGE_CHARACTERS_MAX characters are sent.
 */
export function partialSuccess(rejectedSpans: number, message: string): Uint8Array {
  assert(Number.isSafeInteger(rejectedSpans), "rejected spans are counted");
  assert(rejectedSpans >= 0, "rejected spans are counted");
  const partial: number[] = [];
  if (rejectedSpans > 0) {
    partial.push(TAG_REJECTED_SPANS);
    pushVarint(partial, rejectedSpans);
  }
  pushText(partial, TAG_ERROR_MESSAGE, message);
  const body: number[] = [TAG_PARTIAL_SUCCESS];
  pushVarint(body, partial.length);
  return Uint8Array.from(body.concat(partial));
}

/**
 * google.rpc.Status, the body of every 4xx and 5xx of OTLP/HTTP.
 * @param grpcCode one of the GRPC_ constants.
 */
export function statusBody(grpcCode: number, message: string): Uint8Array {
  assert(Number.isInteger(grpcCode), "a status has a code");
  assert(grpcCode > 0, "an error is not OK");
  const body: number[] = [TAG_STATUS_CODE];
  pushVarint(body, grpcCode);
  pushText(body, TAG_STATUS_MESSAGE, message);
  return Uint8Array.from(body);
}

function pushText(target: number[], tag: number, text: string): void {
  if (text === "") return;
  const encoded = new TextEncoder().encode(text.slice(0, MESSAGE_CHARACTERS_MAX));
  target.push(tag);
  pushVarint(target, encoded.length);
  for (const byte of encoded) target.push(byte);
}

function pushVarint(target: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    target.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  target.push(rest);
}
