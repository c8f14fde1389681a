// Zipkin v2 spans, JSON, to a RecordIndex: structure and types checked, spans folded, no object and
// no string built.
//
// The payload is an array of spans, see scan-span; null is an empty one. Names may come in any
// order, with any white space and escapes; unknown names are passed over, null is as good as
// absent, and of a name given twice the last value counts, except for objects and arrays, where a
// second one is refused. In tags a name given twice is tested twice.
// Source: Zipkin API v2 (zipkin2-api.yaml); what it leaves open is as the SignalFx gateway had it.

import { assert } from "../../base/assert.ts";
import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import { FORMAT_ZIPKIN_JSON } from "../../ring/payload-layout.ts";
import { CLOSE_ARRAY, COMMA, OPEN_ARRAY, OPEN_OBJECT, skipSpace } from "../json/cursor.ts";
import { expectNull, refuseValue } from "../json/expect.ts";
import type { RecordIndex } from "../record-index.ts";
import { SCAN_BAD_JSON, SCAN_OK } from "../scan-codes.ts";
import { scanSpan } from "./scan-span.ts";
import { forgetNames } from "./scan-tags.ts";

const BAD = -SCAN_BAD_JSON;
const SERVICE_NAME = new TextEncoder().encode("service.name");

/**
 * Scans the payload bytes[start, end) into the index, which is reset first.
 * @param bytes may be shared memory, but nobody may write it meanwhile.
 * @returns SCAN_OK, or why the payload is refused as a whole (text in SCAN_REASONS): the index is
 * then incomplete and means nothing. Never throws for what the bytes say.
 */
export function scanZipkinJson(
  bytes: Uint8Array, start: number, end: number, matcher: AttributeMatcher, index: RecordIndex,
): number {
  assert(start >= 0, "a payload lies in its memory");
  assert(start <= end, "a payload lies in its memory");
  assert(end <= bytes.length, "a payload lies in its memory");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  index.reset();
  index.format = FORMAT_ZIPKIN_JSON;
  index.beginGroup(0, 0, 0, 0);
  matcher.beginPayload();
  matcher.beginResource();
  matcher.endResource();
  forgetNames();
  const at = skipSpace(bytes, start, end);
  const next = at < end && bytes[at] === OPEN_ARRAY
    ? scanSpans(bytes, view, start, at, end, matcher, index) : expectNull(bytes, at, end, 0);
  if (next < 0) return -next;
  return skipSpace(bytes, next, end) === end ? SCAN_OK : SCAN_BAD_JSON;
}

function scanSpans(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  const serviceKey = matcher.findKey(SERVICE_NAME, 0, SERVICE_NAME.length);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_ARRAY) return next + 1;
  for (;;) {
    if (next >= end || bytes[next] !== OPEN_OBJECT) return refuseValue(bytes, next, end, 1);
    next = scanSpan(bytes, view, payloadAt, next, end, matcher, serviceKey, index);
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_ARRAY) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}
