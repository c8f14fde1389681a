import { expect } from "vitest";
import { RecordIndex } from "../../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import { scanZipkinJson } from "../../../../engine/wire/zipkin-json/scan.ts";
import {
  CHECK_PREDICATES, checkMatcher, expectIndex, plainParts, type PlainPart,
} from "../../../support/scan-check.ts";
import { zipkinOracle } from "../../../support/zipkin-oracle.ts";

export const TRACE = "0102030405060708090a0b0c0d0e0f10";
export const SPAN = { traceId: TRACE, id: "00000000000000ff", parentId: "aa00000000000000" };
export const SPANS_MAX = 100;
export const matcher = checkMatcher();
export const index = new RecordIndex({ spansMax: SPANS_MAX, hashSeed: 1 });

/** Scans text; accepted or not as the oracle says, and indexed alike. */
export function scanText(text: string): number {
  const payload = new Uint8Array(Buffer.from(text));
  const code = scanZipkinJson(payload, 0, payload.length, matcher, index);
  const expected = zipkinOracle(payload);
  expect(expected !== null).toBe(code === SCAN_OK);
  if (expected !== null) expectIndex(index, payload, expected, CHECK_PREDICATES);
  return code;
}

export function scan(...spans: unknown[]): number {
  return scanText(JSON.stringify(spans));
}

/** The part of a good span with more fields. */
export function partOf(more: Record<string, unknown>): PlainPart {
  expect(scan({ ...SPAN, ...more })).toBe(SCAN_OK);
  expect(index.partCount).toBe(1);
  return plainParts(index)[0]!;
}

/** The scan code of a good span whose text goes on with more members. */
export function codeFor(members: string): number {
  return scanText(`[${JSON.stringify(SPAN).slice(0, -1)},${members}}]`);
}
