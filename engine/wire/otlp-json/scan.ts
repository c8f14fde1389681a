// OTLP ExportTraceServiceRequest, JSON, to a RecordIndex: structure and types checked, spans
// folded, no object and no string built.
//
// { resourceSpans: [ { resource: { attributes }, schemaUrl,
//     scopeSpans: [ { scope, schemaUrl, spans: [ Span ] } ] } ] }
//
// Names are lowerCamelCase; others are unknown and passed over. Null is as good as absent, but no
// element of an array. Integers are numbers or strings, in any form that has their value (5, "5",
// 5.0, 5e0); ids are hexadecimal digits of either case; enum values are numbers or names. Of a name
// given twice the last value counts, except for known objects and arrays: a second one is refused,
// because nobody could say which of the two is meant. At most one value may be in an AnyValue.
// Strings may be any bytes.
//
// What a resource says holds for all spans around it, so scopes that come before their resource are
// passed over first and scanned when the rest of their ResourceSpans is known.
// Source: OTLP specification, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format".

import { assert } from "../../base/assert.ts";
import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import { FORMAT_OTLP_JSON } from "../../ring/payload-layout.ts";
import {
  CLOSE_ARRAY, CLOSE_OBJECT, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE, skipSpace, skipValue,
} from "../json/cursor.ts";
import { expectNull, expectString, refuseValue } from "../json/expect.ts";
import { FIELD_UNKNOWN, FieldNames } from "../json/field-names.ts";
import { RepeatedStarts } from "../json/repeated-starts.ts";
import { TYPE_U32, checkNumber, checkObject } from "../json/shape.ts";
import {
  GROUP_RESOURCE_AT, GROUP_RESOURCE_SCHEMA_AT, GROUP_SCOPE_AT, GROUP_SCOPE_SCHEMA_AT, GROUP_WORDS,
  type RecordIndex,
} from "../record-index.ts";
import { SCAN_BAD_JSON, SCAN_OK } from "../scan-codes.ts";
import { forgetSpans, scanSpan } from "./scan-span.ts";
import { scanAttributes } from "./scan-attributes.ts";
import { SCOPE } from "./scan-value.ts";

const REQUEST_FIELDS = new FieldNames(["resourceSpans"]);
const REQUEST_RESOURCE_SPANS = 1;
const RESOURCE_SPANS_FIELDS = new FieldNames(["resource", "scopeSpans", "schemaUrl"]);
const RESOURCE_SPANS_RESOURCE = 1;
const RESOURCE_SPANS_SCOPE_SPANS = 2;
const RESOURCE_SPANS_SCHEMA = 3;
/** Fields that may be there once. Bits. */
const RESOURCE_SPANS_ONCE = (1 << RESOURCE_SPANS_RESOURCE) | (1 << RESOURCE_SPANS_SCOPE_SPANS);
const RESOURCE_FIELDS = new FieldNames(["attributes", "droppedAttributesCount"]);
const RESOURCE_ATTRIBUTES = 1;
const RESOURCE_DROPPED = 2;
const SCOPE_SPANS_FIELDS = new FieldNames(["scope", "spans", "schemaUrl"]);
const SCOPE_SPANS_SCOPE = 1;
const SCOPE_SPANS_SPANS = 2;
const SCOPE_SPANS_SCHEMA = 3;
const SCOPE_SPANS_ONCE = (1 << SCOPE_SPANS_SCOPE) | (1 << SCOPE_SPANS_SPANS);

// Values around what has the name.
const RESOURCE_SPANS_DEPTH = 2;
const RESOURCE_DEPTH = 3;
const SCOPE_DEPTH = 5;

const BAD = -SCAN_BAD_JSON;

/** Kinds of elements of the three arrays of messages. */
const ELEMENT_RESOURCE_SPANS = 0;
const ELEMENT_SCOPE_SPANS = 1;
const ELEMENT_SPAN = 2;

const resourceStarts = new RepeatedStarts();

/**
 * Scans the payload bytes[start, end) into the index, which is reset first.
 * @param bytes may be shared memory, but nobody may write it meanwhile.
 * @returns SCAN_OK, or why the payload is refused as a whole (text in SCAN_REASONS): the index is
 * then incomplete and means nothing. Never throws for what the bytes say.
 */
export function scanOtlpJson(
  bytes: Uint8Array, start: number, end: number, matcher: AttributeMatcher, index: RecordIndex,
): number {
  assert(start >= 0, "a payload lies in its memory");
  assert(start <= end, "a payload lies in its memory");
  assert(end <= bytes.length, "a payload lies in its memory");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  index.reset();
  index.format = FORMAT_OTLP_JSON;
  matcher.beginPayload();
  resourceStarts.forget();
  forgetSpans();
  const at = skipSpace(bytes, start, end);
  const next = at < end && bytes[at] === OPEN_OBJECT
    ? scanRequest(bytes, view, start, at, end, matcher, index) : refuseValue(bytes, at, end, 0);
  if (next < 0) return -next;
  return skipSpace(bytes, next, end) === end ? SCAN_OK : SCAN_BAD_JSON;
}

function scanRequest(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let field = FIELD_UNKNOWN;
  let hasSpans = false;
  for (;;) {
    field = REQUEST_FIELDS.read(bytes, view, next, end, field);
    next = REQUEST_FIELDS.valueAt;
    if (next < 0) return next;
    if (field === REQUEST_RESOURCE_SPANS) {
      if (hasSpans) return BAD;
      hasSpans = true;
      next = scanArray(bytes, view, payloadAt, next, end, ELEMENT_RESOURCE_SPANS, matcher, index);
    } else {
      next = skipValue(bytes, next, end, 1);
    }
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}

/** Scans the array of messages of a kind at `at`, or null. */
function scanArray(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number, kind: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  const depth = RESOURCE_SPANS_DEPTH - 1 + kind * 2;
  if (at >= end || bytes[at] !== OPEN_ARRAY) return expectNull(bytes, at, end, depth);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_ARRAY) return next + 1;
  for (;;) {
    if (next >= end || bytes[next] !== OPEN_OBJECT) {
      return refuseValue(bytes, next, end, depth + 1);
    }
    if (kind === ELEMENT_SPAN) {
      next = scanSpan(bytes, view, payloadAt, next, end, matcher, index);
    } else if (kind === ELEMENT_SCOPE_SPANS) {
      next = scanScopeSpans(bytes, view, payloadAt, next, end, matcher, index);
    } else {
      next = scanResourceSpans(bytes, view, payloadAt, next, end, matcher, index);
    }
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_ARRAY) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}

function scanResourceSpans(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  matcher.beginResource();
  matcher.endResource();
  const firstGroup = index.groupCount;
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let resourceAt = 0;
  let resourceEnd = 0;
  let schemaAt = 0;
  let schemaEnd = 0;
  let scopesAt = 0;
  let seen = 0;
  let field = FIELD_UNKNOWN;
  for (;;) {
    field = RESOURCE_SPANS_FIELDS.read(bytes, view, next, end, field);
    next = RESOURCE_SPANS_FIELDS.valueAt;
    if (next < 0) return next;
    const from = next;
    if ((seen & RESOURCE_SPANS_ONCE & (1 << field)) !== 0) return BAD;
    if (field === RESOURCE_SPANS_RESOURCE) {
      next = scanResource(bytes, view, next, end, matcher);
      resourceAt = next > 0 && bytes[from] === OPEN_OBJECT ? from : 0;
      resourceEnd = resourceAt === 0 ? 0 : next;
    } else if (field === RESOURCE_SPANS_SCHEMA) {
      next = expectString(bytes, view, next, end, RESOURCE_SPANS_DEPTH + 1);
      schemaAt = next > from + 2 && bytes[from] === QUOTE ? from + 1 : 0;
      schemaEnd = schemaAt === 0 ? 0 : next - 1;
    } else if (field !== RESOURCE_SPANS_SCOPE_SPANS) {
      next = skipValue(bytes, next, end, RESOURCE_SPANS_DEPTH + 1);
    } else if ((seen & (1 << RESOURCE_SPANS_RESOURCE)) === 0) {
      scopesAt = next;
      next = skipValue(bytes, next, end, RESOURCE_SPANS_DEPTH + 1);
    } else {
      next = scanArray(bytes, view, payloadAt, next, end, ELEMENT_SCOPE_SPANS, matcher, index);
    }
    if (next < 0) return next;
    seen |= 1 << field;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) break;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
  if (scopesAt !== 0) {
    const after = scanArray(
      bytes, view, payloadAt, scopesAt, end, ELEMENT_SCOPE_SPANS, matcher, index,
    );
    if (after < 0) return after;
  }
  for (let group = firstGroup; group < index.groupCount; group++) {
    putGroup(index, group, GROUP_RESOURCE_AT, resourceAt, resourceEnd, payloadAt);
    putGroup(index, group, GROUP_RESOURCE_SCHEMA_AT, schemaAt, schemaEnd, payloadAt);
  }
  return next + 1;
}

/** Writes where something lies that the group's spans share: two words, 0 when it is absent. */
function putGroup(
  index: RecordIndex, group: number, word: number, at: number, end: number, payloadAt: number,
): void {
  if (at === 0) return;
  index.groups[group * GROUP_WORDS + word] = at - payloadAt;
  index.groups[group * GROUP_WORDS + word + 1] = end - payloadAt;
}

/** Scans the Resource at `at`, or null; what it matches holds for all spans around it. */
function scanResource(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
): number {
  if (at >= end || bytes[at] !== OPEN_OBJECT) return expectNull(bytes, at, end, RESOURCE_DEPTH);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  matcher.beginResource();
  let field = FIELD_UNKNOWN;
  let hasAttributes = false;
  for (;;) {
    field = RESOURCE_FIELDS.read(bytes, view, next, end, field);
    next = RESOURCE_FIELDS.valueAt;
    if (next < 0) return next;
    if (field === RESOURCE_ATTRIBUTES) {
      if (hasAttributes) return BAD;
      hasAttributes = true;
      next = scanAttributes(bytes, view, next, end, matcher, resourceStarts, RESOURCE_DEPTH + 1);
    } else if (field === RESOURCE_DROPPED) {
      next = checkNumber(bytes, view, next, end, TYPE_U32, RESOURCE_DEPTH + 1);
    } else {
      next = skipValue(bytes, next, end, RESOURCE_DEPTH + 1);
    }
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) break;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
  matcher.endResource();
  return next + 1;
}

function scanScopeSpans(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  const group = index.groupCount;
  index.beginGroup(0, 0, 0, 0);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let scopeAt = 0;
  let scopeEnd = 0;
  let schemaAt = 0;
  let schemaEnd = 0;
  let seen = 0;
  let field = FIELD_UNKNOWN;
  for (;;) {
    field = SCOPE_SPANS_FIELDS.read(bytes, view, next, end, field);
    next = SCOPE_SPANS_FIELDS.valueAt;
    if (next < 0) return next;
    const from = next;
    if ((seen & SCOPE_SPANS_ONCE & (1 << field)) !== 0) return BAD;
    seen |= 1 << field;
    if (field === SCOPE_SPANS_SPANS) {
      next = scanArray(bytes, view, payloadAt, next, end, ELEMENT_SPAN, matcher, index);
    } else if (field === SCOPE_SPANS_SCOPE) {
      next = checkObject(bytes, view, next, end, SCOPE, SCOPE_DEPTH);
      scopeAt = next > 0 && bytes[from] === OPEN_OBJECT ? from : 0;
      scopeEnd = next;
    } else if (field === SCOPE_SPANS_SCHEMA) {
      next = expectString(bytes, view, next, end, SCOPE_DEPTH);
      schemaAt = next > from + 2 && bytes[from] === QUOTE ? from + 1 : 0;
      schemaEnd = next - 1;
    } else {
      next = skipValue(bytes, next, end, SCOPE_DEPTH);
    }
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) break;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
  if (index.groupCount > group) {
    putGroup(index, group, GROUP_SCOPE_AT, scopeAt, scopeEnd, payloadAt);
    putGroup(index, group, GROUP_SCOPE_SCHEMA_AT, schemaAt, schemaEnd, payloadAt);
  }
  return next + 1;
}
