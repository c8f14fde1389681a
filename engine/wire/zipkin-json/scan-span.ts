// One Zipkin v2 span: its ids and times go into the index's registers, its tags are tested, the
// rest is checked to be of the type that it has in Zipkin, so that a renderer finds what it
// expects.
//
// { traceId, parentId, id, kind, name: string; timestamp, duration: number of µs;
//   debug, shared: boolean; localEndpoint, remoteEndpoint: { serviceName, ipv4, ipv6: string;
//   port: number }; annotations: [{ timestamp: number; value: string }]; tags: { …: string } }

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PART_BITS_0, PART_BITS_1,
  PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_ID_0, PART_START_HIGH, PART_START_LOW,
} from "../../part/part-layout.ts";
import {
  CLOSE_ARRAY, CLOSE_OBJECT, COMMA, OPEN_ARRAY, QUOTE, skipSpace, skipValue,
} from "../json/cursor.ts";
import {
  DECIMAL_FORM, DECIMAL_HIGH, DECIMAL_HUGE, DECIMAL_LOW, DECIMAL_NEGATIVE, decimal, readDecimal,
} from "../json/decimal.ts";
import { expectBoolean, expectNull, expectString, startsNumber }
  from "../json/expect.ts";
import { FIELD_UNKNOWN, FieldNames } from "../json/field-names.ts";
import {
  ID_NOT_HEX, ID_VALID, ID_ZERO, SPAN_ID_DIGITS, TRACE_ID_DIGITS, checkShortSpanId, checkSpanId,
  readShortTraceId, readTraceId,
} from "../json/hex-id.ts";
import { Shape, TYPE_NUMBER, TYPE_STRING, checkObject, checkObjects } from "../json/shape.ts";
import { endOfText } from "../json/text.ts";
import { REGISTER_SPAN_AT, type RecordIndex } from "../record-index.ts";
import { SCAN_BAD_JSON, SCAN_TOO_MANY_SPANS, SCAN_ZIPKIN_V1 } from "../scan-codes.ts";
import { scanEndpoint } from "./scan-endpoint.ts";
import {
  STATUS_CODE_ERROR, STATUS_CODE_OK, TAG_ERROR, TAG_STATUS_CODE, forgetTags, scanTags, tagStatus,
} from "./scan-tags.ts";

const FIELDS = new FieldNames([
  "traceId", "parentId", "id", "kind", "name", "timestamp", "duration", "localEndpoint", "tags",
  "remoteEndpoint", "annotations", "debug", "shared", "binaryAnnotations",
]);
const FIELD_TRACE_ID = 1;
const FIELD_PARENT_ID = 2;
const FIELD_ID = 3;
const FIELD_KIND = 4;
const FIELD_NAME = 5;
const FIELD_TIMESTAMP = 6;
const FIELD_DURATION = 7;
const FIELD_LOCAL_ENDPOINT = 8;
const FIELD_TAGS = 9;
const FIELD_REMOTE_ENDPOINT = 10;
const FIELD_ANNOTATIONS = 11;
const FIELD_DEBUG = 12;
const FIELD_SHARED = 13;
const FIELD_BINARY_ANNOTATIONS = 14;
/** Fields that hold objects or arrays: a second one in a span is refused, because which of the two
 *  counts would be anybody's guess. Bits. */
const ONCE = (1 << FIELD_LOCAL_ENDPOINT) | (1 << FIELD_TAGS) | (1 << FIELD_REMOTE_ENDPOINT)
  | (1 << FIELD_ANNOTATIONS) | (1 << FIELD_BINARY_ANNOTATIONS);

const ENDPOINT = new Shape([
  { name: "serviceName", type: TYPE_STRING }, { name: "ipv4", type: TYPE_STRING },
  { name: "ipv6", type: TYPE_STRING }, { name: "port", type: TYPE_NUMBER },
]);
const ANNOTATION = new Shape([
  { name: "timestamp", type: TYPE_NUMBER }, { name: "value", type: TYPE_STRING },
]);

const SPACE = 0x20;
const BAD = -SCAN_BAD_JSON;
const TWO_32 = 4_294_967_296;
const NS_PER_US = 1_000;

// Rebound: imported bindings are live and cost a check where they are used as index arithmetic.
const ID_0 = PART_ID_0;
const START_HIGH = PART_START_HIGH;
const START_LOW = PART_START_LOW;
const END_HIGH = PART_END_HIGH;
const END_LOW = PART_END_LOW;
const SPAN_AT = REGISTER_SPAN_AT;

/** Values around a field of a span: the array and the span. */
const FIELD_DEPTH = 2;

// What the pass over a span's fields found. One thread.
/** ID_ of hex-id for each of the three ids by its field; an absent one is ID_ZERO. */
const idStates = new Int8Array(FIELD_ID + 1);
/** Nanoseconds in halves; 0 when absent. */
const START = 0;
const DURATION = 2;
const times = new Uint32Array(4);

/**
 * Scans the span whose `{` lies at `at` and adds it to the index; one without valid ids is counted
 * as refused instead.
 * @param serviceKey the matcher's number of "service.name", or -1.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function scanSpan(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, serviceKey: number, index: RecordIndex,
): number {
  idStates[FIELD_TRACE_ID] = ID_ZERO;
  idStates[FIELD_PARENT_ID] = ID_ZERO;
  idStates[FIELD_ID] = ID_ZERO;
  times[START] = 0;
  times[START + 1] = 0;
  times[DURATION] = 0;
  times[DURATION + 1] = 0;
  forgetTags();
  matcher.beginSpan();
  const next = scanFields(bytes, view, at, end, matcher, serviceKey, index.registers);
  if (next < 0) return next;
  const hasIds = idStates[FIELD_TRACE_ID] === ID_VALID && idStates[FIELD_ID] === ID_VALID;
  const parent = idStates[FIELD_PARENT_ID]!;
  if (!hasIds || parent === ID_NOT_HEX) {
    index.refusedSpans++;
    return next;
  }
  const registers = index.registers;
  putTimes(registers);
  registers[PART_BITS_0] = matcher.bits[0]!;
  registers[PART_BITS_1] = matcher.bits[1]!;
  registers[PART_FLAGS] = statusFlag() | (parent === ID_ZERO ? FLAG_ROOT : 0);
  registers[PART_BYTES] = next - at;
  registers[SPAN_AT] = at - payloadAt;
  return index.addSpan() ? next : -SCAN_TOO_MANY_SPANS;
}

function scanFields(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  serviceKey: number, registers: Uint32Array,
): number {
  const names = FIELDS;
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let field = FIELD_UNKNOWN;
  let seen = 0;
  for (;;) {
    field = names.read(bytes, view, next, end, field);
    next = names.valueAt;
    if (next < 0) return next;
    const bit = 1 << field;
    if ((seen & bit & ONCE) !== 0) return BAD;
    seen |= bit;
    switch (field) {
      case FIELD_TRACE_ID:
        next = scanTraceId(bytes, view, next, end, registers);
        break;
      case FIELD_PARENT_ID:
      case FIELD_ID:
        next = scanSpanId(bytes, view, next, end, field);
        break;
      case FIELD_KIND:
      case FIELD_NAME:
        next = expectString(bytes, view, next, end, FIELD_DEPTH);
        break;
      case FIELD_TIMESTAMP:
        next = scanTime(bytes, view, next, end, START);
        break;
      case FIELD_DURATION:
        next = scanTime(bytes, view, next, end, DURATION);
        break;
      case FIELD_TAGS:
        next = scanTags(bytes, view, next, end, matcher);
        break;
      case FIELD_LOCAL_ENDPOINT:
        next = scanEndpoint(bytes, view, next, end, matcher, serviceKey);
        break;
      default:
        next = checkOther(bytes, view, next, end, field);
    }
    if (next < 0) return next;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next++;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
  }
}

/** Fields that no policy asks about. */
function checkOther(
  bytes: Uint8Array, view: DataView, at: number, end: number, field: number,
): number {
  switch (field) {
    case FIELD_DEBUG:
    case FIELD_SHARED: return expectBoolean(bytes, at, end, FIELD_DEPTH);
    case FIELD_REMOTE_ENDPOINT: return checkObject(bytes, view, at, end, ENDPOINT, FIELD_DEPTH);
    case FIELD_ANNOTATIONS: return checkObjects(bytes, view, at, end, ANNOTATION, FIELD_DEPTH);
    case FIELD_BINARY_ANNOTATIONS: return checkVersion(bytes, at, end);
    default: return skipValue(bytes, at, end, FIELD_DEPTH);
  }
}

/** Passes null or an empty array of binary annotations; with any the span is one of version 1. */
function checkVersion(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || bytes[at] !== OPEN_ARRAY) return expectNull(bytes, at, end, FIELD_DEPTH);
  const next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_ARRAY) return next + 1;
  const after = skipValue(bytes, at, end, FIELD_DEPTH);
  return after < 0 ? after : -SCAN_ZIPKIN_V1;
}

/** Reads the trace id. As written: digits given as escapes are no digits. */
function scanTraceId(
  bytes: Uint8Array, view: DataView, at: number, end: number, registers: Uint32Array,
): number {
  const usualEnd = at + TRACE_ID_DIGITS + 1;
  if (usualEnd < end && bytes[at] === QUOTE && bytes[usualEnd] === QUOTE) {
    idStates[FIELD_TRACE_ID] = readTraceId(view, at + 1, registers, ID_0);
    if (idStates[FIELD_TRACE_ID] !== ID_NOT_HEX) return usualEnd + 1;
  }
  idStates[FIELD_TRACE_ID] = ID_ZERO;
  if (at >= end || bytes[at] !== QUOTE) return expectNull(bytes, at, end, FIELD_DEPTH);
  const close = endOfText(bytes, view, at + 1, end);
  if (close < 0) return close;
  idStates[FIELD_TRACE_ID] = readShortTraceId(bytes, at + 1, close, registers, ID_0);
  return close + 1;
}

/** Reads the id of the span or of its parent, in the same way. */
function scanSpanId(
  bytes: Uint8Array, view: DataView, at: number, end: number, field: number,
): number {
  const usualEnd = at + SPAN_ID_DIGITS + 1;
  if (usualEnd < end && bytes[at] === QUOTE && bytes[usualEnd] === QUOTE) {
    idStates[field] = checkSpanId(view, at + 1);
    if (idStates[field] !== ID_NOT_HEX) return usualEnd + 1;
  }
  idStates[field] = ID_ZERO;
  if (at >= end || bytes[at] !== QUOTE) return expectNull(bytes, at, end, FIELD_DEPTH);
  const close = endOfText(bytes, view, at + 1, end);
  if (close < 0) return close;
  idStates[field] = checkShortSpanId(bytes, at + 1, close);
  return close + 1;
}

/**
 * Reads a number of microseconds into `times`, in nanoseconds and cut to an integer. A negative one
 * or one past the range of nanoseconds counts as absent: senders do that, and keep their span.
 */
function scanTime(
  bytes: Uint8Array, view: DataView, at: number, end: number, word: number,
): number {
  times[word] = 0;
  times[word + 1] = 0;
  if (!startsNumber(bytes, at, end)) return expectNull(bytes, at, end, FIELD_DEPTH);
  const next = readDecimal(bytes, view, at, end);
  if (next < 0) return next;
  if ((decimal[DECIMAL_FORM]! & (DECIMAL_NEGATIVE | DECIMAL_HUGE)) !== 0) return next;
  const low = decimal[DECIMAL_LOW]! * NS_PER_US;
  const high = decimal[DECIMAL_HIGH]! * NS_PER_US + Math.floor(low / TWO_32);
  if (high >= TWO_32) return next;
  times[word] = high;
  times[word + 1] = low;
  return next;
}

/** Start and end from timestamp and duration; a span without a start has no end either. */
function putTimes(registers: Uint32Array): void {
  const startHigh = times[START]!;
  const startLow = times[START + 1]!;
  const hasStart = (startHigh | startLow) !== 0;
  const low = startLow + times[DURATION + 1]!;
  const high = startHigh + times[DURATION]! + (low >= TWO_32 ? 1 : 0);
  const isEndFit = hasStart && high < TWO_32;
  registers[START_HIGH] = startHigh;
  registers[START_LOW] = startLow;
  registers[END_HIGH] = isEndFit ? high : startHigh;
  registers[END_LOW] = isEndFit ? low : startLow;
}

/** As OpenTelemetry reads Zipkin: the status code's tag, or else the tag "error" unless "false". */
function statusFlag(): number {
  const code = tagStatus[TAG_STATUS_CODE]!;
  if (code === STATUS_CODE_OK) return FLAG_STATUS_OK;
  if (code === STATUS_CODE_ERROR || tagStatus[TAG_ERROR] !== 0) return FLAG_STATUS_ERROR;
  return FLAG_STATUS_UNSET;
}
