// Compares a scan with the oracle, and a rendering with what should be in it.

import { expect } from "vitest";
import { AttributeMatcher, type AttributePredicate } from "../../engine/part/attribute-matcher.ts";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PART_BITS_0, PART_BITS_1,
  PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_ID_0, PART_SPANS, PART_START_HIGH,
  PART_START_LOW, PART_WORDS,
} from "../../engine/part/part-layout.ts";
import {
  SPAN_AT, SPAN_BYTES, SPAN_PART, SPAN_WORDS, type RecordIndex,
} from "../../engine/wire/record-index.ts";
import type { OracleAttribute, OracleResult } from "./otlp-oracle.ts";

export const CHECK_PREDICATES: readonly AttributePredicate[] = [
  { kind: "number", key: "http.status", min: 500n, max: 599n },
  { kind: "string", key: "peer", values: ["GET", "checkout-7", "y".repeat(128)] },
  { kind: "regex", key: "peer", patterns: ["^checkout-[0-9]+$", "ETs"], cacheSize: 8 },
  { kind: "boolean", key: "retry", value: true },
  { kind: "boolean", key: "retry", value: false },
  { kind: "number", key: "a", min: null, max: -1n },
  { kind: "number", key: "a", min: 2n ** 31n, max: null },
  { kind: "string", key: "", values: ["GET"] },
  { kind: "string", key: "K".repeat(300), values: ["x".repeat(127)] },
];

/** A part as plain values. */
export interface PlainPart {
  readonly traceId: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly bits: bigint;
  readonly flags: number;
  readonly spans: number;
  readonly bytes: number;
}

export function checkMatcher(): AttributeMatcher {
  return new AttributeMatcher(CHECK_PREDICATES);
}

/** Parts of an index, in order. */
export function plainParts(index: RecordIndex): PlainPart[] {
  return Array.from({ length: index.partCount }, (_, part) => {
    const word = (offset: number): number => index.parts[part * PART_WORDS + offset]!;
    const pair = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);
    const id = [0, 1, 2, 3].map((offset) => word(PART_ID_0 + offset).toString(16).padStart(8, "0"));
    return {
      traceId: id.join(""),
      startNs: pair(word(PART_START_HIGH), word(PART_START_LOW)),
      endNs: pair(word(PART_END_HIGH), word(PART_END_LOW)),
      bits: pair(word(PART_BITS_1), word(PART_BITS_0)),
      flags: word(PART_FLAGS), spans: word(PART_SPANS), bytes: word(PART_BYTES),
    };
  });
}

/** Parts that the oracle's spans fold into, in order of first appearance. */
export function oracleParts(
  result: OracleResult, predicates: readonly AttributePredicate[],
): PlainPart[] {
  const parts = new Map<string, PlainPart>();
  for (const span of result.spans) {
    const statusFlags = [FLAG_STATUS_UNSET, FLAG_STATUS_OK, FLAG_STATUS_ERROR];
    const flags = (statusFlags[span.status] ?? 0) | (span.isRoot ? FLAG_ROOT : 0);
    const one: PlainPart = {
      traceId: span.traceId, startNs: span.startNs, endNs: span.endNs,
      bits: oracleBits(span.attributes, predicates), flags, spans: 1, bytes: span.bytes.length,
    };
    const part = parts.get(span.traceId);
    parts.set(span.traceId, part === undefined ? one : {
      traceId: span.traceId,
      startNs: part.startNs === 0n || (one.startNs !== 0n && one.startNs < part.startNs)
        ? one.startNs : part.startNs,
      endNs: one.endNs > part.endNs ? one.endNs : part.endNs,
      bits: part.bits | one.bits, flags: part.flags | one.flags, spans: part.spans + 1,
      bytes: part.bytes + one.bytes,
    });
  }
  return [...parts.values()];
}

/** Expects the index to hold exactly what the oracle found in the payload. */
export function expectIndex(
  index: RecordIndex, payload: Uint8Array, result: OracleResult,
  predicates: readonly AttributePredicate[],
): void {
  const parts = plainParts(index);
  expect(parts).toEqual(oracleParts(result, predicates));
  expect(index.refusedSpans).toBe(result.refusedSpans);
  expect(index.spanCount).toBe(result.spans.length);
  result.spans.forEach((span, number) => {
    const at = number * SPAN_WORDS;
    const spanAt = index.spans[at + SPAN_AT]!;
    const bytes = payload.subarray(spanAt, spanAt + index.spans[at + SPAN_BYTES]!);
    expect(Buffer.compare(bytes, span.bytes)).toBe(0);
    expect(parts[index.spans[at + SPAN_PART]!]!.traceId).toBe(span.traceId);
  });
}

function oracleBits(
  attributes: readonly OracleAttribute[], predicates: readonly AttributePredicate[],
): bigint {
  let bits = 0n;
  predicates.forEach((predicate, number) => {
    const key = Buffer.from(predicate.key).toString("latin1");
    const matches = attributes.some((each) => each.key === key && holds(predicate, each.value));
    if (matches) bits |= 1n << BigInt(number);
  });
  return bits;
}

/** Texts are latin1 here, one character a byte. */
function holds(predicate: AttributePredicate, value: OracleAttribute["value"]): boolean {
  switch (predicate.kind) {
    case "string":
      return typeof value === "string" && value !== ""
        && predicate.values.some((each) => Buffer.from(each).toString("latin1") === value);
    case "regex":
      return typeof value === "string" && value !== ""
        && predicate.patterns.some((pattern) => new RegExp(pattern).test(value));
    case "number":
      return typeof value === "bigint" && (predicate.min === null || value >= predicate.min)
        && (predicate.max === null || value <= predicate.max);
    case "boolean": return value === predicate.value;
  }
}
