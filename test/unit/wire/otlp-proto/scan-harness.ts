import { expect } from "vitest";
import { scanOtlpProto } from "../../../../engine/wire/otlp-proto/scan.ts";
import { RecordIndex } from "../../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import {
  encodeKeyValue, encodeSpan, type AttributeValue, type SpanInput,
} from "../../../support/otlp-builder.ts";
import { oracleScan } from "../../../support/otlp-oracle.ts";
import { ProtoWriter } from "../../../support/proto-wire.ts";
import {
  CHECK_PREDICATES, checkMatcher, expectIndex, plainParts, type PlainPart,
} from "../../../support/scan-check.ts";

export const TRACE = "0102030405060708090a0b0c0d0e0f10";
export const SPAN: SpanInput = {
  traceId: TRACE, spanId: "00000000000000ff", parentSpanId: "aa00000000000000",
};
export const SPANS_MAX = 100;
export const matcher = checkMatcher();
export const index = new RecordIndex({ spansMax: SPANS_MAX, hashSeed: 1 });

export function scan(payload: Uint8Array): number {
  return scanOtlpProto(payload, 0, payload.length, matcher, index);
}

/** A request around the bytes of Span messages. */
export function requestOf(...spans: Uint8Array[]): Uint8Array {
  const scope = new ProtoWriter();
  for (const span of spans) scope.bytes(2, span);
  const resource = new ProtoWriter().bytes(2, scope.build());
  return new ProtoWriter().bytes(1, resource.build()).build();
}

/** The part of a good span with more fields after its own, as the oracle has it too. */
export function partOf(more: ProtoWriter = new ProtoWriter(), span: SpanInput = SPAN): PlainPart {
  const payload = requestOf(new ProtoWriter().raw(encodeSpan(span)).raw(more.build()).build());
  expect(scan(payload)).toBe(SCAN_OK);
  expectIndex(index, payload, oracleScan(payload)!, CHECK_PREDICATES);
  expect(index.partCount).toBe(1);
  return plainParts(index)[0]!;
}

/** Scan code for a good span with more fields after its own; the oracle accepts or not alike. */
export function codeFor(more: ProtoWriter): number {
  const payload = requestOf(new ProtoWriter().raw(encodeSpan(SPAN)).raw(more.build()).build());
  const code = scan(payload);
  expect(oracleScan(payload) === null).toBe(code !== SCAN_OK);
  return code;
}

/** Predicate bits of a span with one attribute. */
export function bitsOf(key: string, value: AttributeValue): bigint {
  return partOf(new ProtoWriter().bytes(9, encodeKeyValue(key, value))).bits;
}
