// OTLP ExportTraceServiceRequest, protobuf, to a RecordIndex: structure checked, spans folded, no
// object built.
//
// request:       ResourceSpans resource_spans = 1
// ResourceSpans: Resource resource = 1; ScopeSpans scope_spans = 2; string schema_url = 3
// Resource:      KeyValue attributes = 1; EntityRef entity_refs = 3
// ScopeSpans:    InstrumentationScope scope = 1; Span spans = 2; string schema_url = 3
//
// Fields may come in any order, and a resource in several pieces, so a ResourceSpans is walked
// twice: its own fields first, its scopes then. Fields of later versions are passed over; a known
// field with another wire type than its own is such a field, as in protobuf's own decoders. Strings
// may be any bytes.
// Source: opentelemetry-proto 1.x; protobuf.dev "Encoding".

import { assert } from "../../base/assert.ts";
import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import type { RecordIndex } from "../record-index.ts";
import { FORMAT_OTLP_PROTO } from "../../ring/payload-layout.ts";
import { SCAN_OK } from "../scan-codes.ts";
import { scanAttribute } from "./attribute-scan.ts";
import { READ_LOW, read, readLength, readTag, skipValue } from "./cursor.ts";
import { MESSAGE_ENTITY_REF, MESSAGE_SCOPE, checkMessage } from "./message-check.ts";
import { scanSpan } from "./span-scan.ts";

export { SCAN_OK, SCAN_REASONS } from "../scan-codes.ts";

const TAG_RESOURCE_SPANS = 0x0a;
const TAG_RESOURCE = 0x0a;
const TAG_SCOPE_SPANS = 0x12;
const TAG_SCOPE = 0x0a;
const TAG_SPAN = 0x12;
const TAG_RESOURCE_ATTRIBUTE = 0x0a;
const TAG_ENTITY_REF = 0x1a;
const numbers = read;
const LOW = READ_LOW;

/**
 * Scans the payload bytes[start, end) into the index, which is reset first.
 * @param bytes may be shared memory, but nobody may write it meanwhile.
 * @returns SCAN_OK, or why the payload is refused as a whole (text in SCAN_REASONS): the index is
 * then incomplete and means nothing. Never throws for what the bytes say.
 */
export function scanOtlpProto(
  bytes: Uint8Array, start: number, end: number, matcher: AttributeMatcher, index: RecordIndex,
): number {
  assert(start >= 0, "a payload lies in its memory");
  assert(start <= end, "a payload lies in its memory");
  assert(end <= bytes.length, "a payload lies in its memory");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  index.reset();
  index.format = FORMAT_OTLP_PROTO;
  matcher.beginPayload();
  let next = start;
  while (next < end) {
    next = readTag(bytes, next, end);
    if (next < 0) return -next;
    const tag = numbers[LOW]!;
    if (tag !== TAG_RESOURCE_SPANS) {
      next = skipValue(bytes, next, end, tag, 1);
      if (next < 0) return -next;
      continue;
    }
    next = readLength(bytes, next, end);
    if (next < 0) return -next;
    const valueEnd = numbers[LOW]!;
    const code = scanResourceSpans(bytes, view, start, next, valueEnd, matcher, index);
    if (code !== SCAN_OK) return code;
    next = valueEnd;
  }
  return SCAN_OK;
}

function scanResourceSpans(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  const code = scanOwnFields(bytes, at, end, matcher);
  if (code !== SCAN_OK) return code;
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    const tag = numbers[LOW]!;
    if (tag !== TAG_SCOPE_SPANS) {
      next = skipValue(bytes, next, end, tag, 2);
      continue;
    }
    next = readLength(bytes, next, end);
    const valueEnd = numbers[LOW]!;
    index.beginGroup(at - payloadAt, end - payloadAt, next - payloadAt, valueEnd - payloadAt);
    const scopeCode = scanScopeSpans(bytes, view, payloadAt, next, valueEnd, matcher, index);
    if (scopeCode !== SCAN_OK) return scopeCode;
    next = valueEnd;
  }
  return SCAN_OK;
}

/** Checks the own fields of a ResourceSpans; what its resource matched holds for all its spans. */
function scanOwnFields(
  bytes: Uint8Array, at: number, end: number, matcher: AttributeMatcher,
): number {
  matcher.beginResource();
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    if (next < 0) return -next;
    const tag = numbers[LOW]!;
    if (tag !== TAG_RESOURCE) {
      next = skipValue(bytes, next, end, tag, 2);
      if (next < 0) return -next;
      continue;
    }
    next = readLength(bytes, next, end);
    if (next < 0) return -next;
    const valueEnd = numbers[LOW]!;
    const code = scanResource(bytes, next, valueEnd, matcher);
    if (code !== SCAN_OK) return code;
    next = valueEnd;
  }
  matcher.endResource();
  return SCAN_OK;
}

function scanResource(
  bytes: Uint8Array, at: number, end: number, matcher: AttributeMatcher,
): number {
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    if (next < 0) return -next;
    const tag = numbers[LOW]!;
    if (tag !== TAG_RESOURCE_ATTRIBUTE && tag !== TAG_ENTITY_REF) {
      next = skipValue(bytes, next, end, tag, 3);
      if (next < 0) return -next;
      continue;
    }
    next = readLength(bytes, next, end);
    if (next < 0) return -next;
    const valueEnd = numbers[LOW]!;
    const code = tag === TAG_ENTITY_REF
      ? checkMessage(bytes, next, valueEnd, MESSAGE_ENTITY_REF, 3)
      : scanAttribute(bytes, next, valueEnd, matcher, 3);
    if (code !== SCAN_OK) return code;
    next = valueEnd;
  }
  return SCAN_OK;
}

function scanScopeSpans(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    if (next < 0) return -next;
    const tag = numbers[LOW]!;
    if (tag !== TAG_SPAN && tag !== TAG_SCOPE) {
      next = skipValue(bytes, next, end, tag, 3);
      if (next < 0) return -next;
      continue;
    }
    next = readLength(bytes, next, end);
    if (next < 0) return -next;
    const valueEnd = numbers[LOW]!;
    const code = tag === TAG_SPAN
      ? scanSpan(bytes, view, payloadAt, next, valueEnd, matcher, index)
      : checkMessage(bytes, next, valueEnd, MESSAGE_SCOPE, 3);
    if (code !== SCAN_OK) return code;
    next = valueEnd;
  }
  return SCAN_OK;
}
