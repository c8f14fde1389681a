// One span of OTLP JSON: its ids, times and status go into the index's registers, its attributes
// are tested, everything else that a renderer may write is checked to be of its type.
//
// { traceId, spanId, parentSpanId: digits; startTimeUnixNano, endTimeUnixNano: u64, in quotes or
//   not; attributes: [KeyValue]; events: [Event]; links: [Link]; status: { message, code };
//   traceState, name: string; kind: enum; flags, dropped…Count: u32 }

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import { scratchText } from "../../part/scratch-text.ts";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PART_BITS_0, PART_BITS_1,
  PART_BYTES, PART_END_HIGH, PART_FLAGS, PART_ID_0, PART_START_HIGH,
} from "../../part/part-layout.ts";
import {
  CLOSE_OBJECT, COMMA, OPEN_OBJECT, QUOTE, lastString, skipSpace, skipValue,
} from "../json/cursor.ts";
import {
  DECIMAL_FORM, DECIMAL_HIGH, DECIMAL_LOW, DECIMAL_NEGATIVE, decimal, readDecimal,
} from "../json/decimal.ts";
import { expectNull, expectString } from "../json/expect.ts";
import { FIELD_UNKNOWN, FieldNames } from "../json/field-names.ts";
import {
  ID_NOT_HEX, ID_VALID, ID_ZERO, SPAN_ID_DIGITS, TRACE_ID_DIGITS, checkSpanId, readTraceId,
} from "../json/hex-id.ts";
import { RepeatedStarts } from "../json/repeated-starts.ts";
import {
  TYPE_ENUM, TYPE_U32, TYPE_U64, checkNumber, checkObjects, idFault,
} from "../json/shape.ts";
import { endOfText } from "../json/text.ts";
import { unescape } from "../json/unescape.ts";
import { REGISTER_SPAN_AT, type RecordIndex } from "../record-index.ts";
import { SCAN_BAD_JSON, SCAN_TOO_MANY_SPANS } from "../scan-codes.ts";
import { scanAttributes } from "./scan-attributes.ts";
import { EVENT, LINK } from "./scan-value.ts";

const FIELDS = new FieldNames([
  "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano",
  "attributes", "status", "events", "links", "flags", "traceState", "droppedAttributesCount",
  "droppedEventsCount", "droppedLinksCount",
]);
const FIELD_TRACE_ID = 1;
const FIELD_SPAN_ID = 2;
const FIELD_PARENT_SPAN_ID = 3;
const FIELD_NAME = 4;
const FIELD_KIND = 5;
const FIELD_START = 6;
const FIELD_END = 7;
const FIELD_ATTRIBUTES = 8;
const FIELD_STATUS = 9;
const FIELD_EVENTS = 10;
const FIELD_LINKS = 11;
const FIELD_FLAGS = 12;
const FIELD_TRACE_STATE = 13;
const FIELD_DROPPED_ATTRIBUTES = 14;
const FIELD_DROPPED_EVENTS = 15;
const FIELD_DROPPED_LINKS = 16;
/** Fields that hold objects or arrays: a second one in a span is refused. Bits. */
const ONCE = (1 << FIELD_ATTRIBUTES) | (1 << FIELD_STATUS) | (1 << FIELD_EVENTS)
  | (1 << FIELD_LINKS);

const STATUS_FIELDS = new FieldNames(["message", "code"]);
const STATUS_MESSAGE = 1;
const STATUS_CODE = 2;
/** Names of the codes 0 and up, as they are in protobuf. */
const STATUS_NAMES = new FieldNames([
  "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR",
]);
const STATUS_FLAGS = Int32Array.of(FLAG_STATUS_UNSET, FLAG_STATUS_OK, FLAG_STATUS_ERROR);

const BAD = -SCAN_BAD_JSON;
const SPACE = 0x20;

// Rebound: imported bindings are live and cost a check where they are used as index arithmetic.
const ID_0 = PART_ID_0;
const START_HIGH = PART_START_HIGH;
const END_HIGH = PART_END_HIGH;
const SPAN_AT = REGISTER_SPAN_AT;

/** Values around a field of a span: request, ResourceSpans, ScopeSpans and Span, and the arrays of
 *  the latter three. */
const FIELD_DEPTH = 7;

// What the pass over a span's fields found. One thread.
/** ID_ of hex-id for each of the three ids by its field; an absent one is ID_ZERO. */
const idStates = new Int8Array(FIELD_PARENT_SPAN_ID + 1);
const status = { flag: FLAG_STATUS_UNSET };
const attributeStarts = new RepeatedStarts();

/** Forgets what was remembered of the last payload. */
export function forgetSpans(): void {
  attributeStarts.forget();
}

/**
 * Scans the span whose `{` lies at `at` and adds it to the index; one without valid ids is counted
 * as refused instead: decoders downstream refuse a whole batch for an id of a wrong size.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function scanSpan(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  idStates[FIELD_TRACE_ID] = ID_ZERO;
  idStates[FIELD_SPAN_ID] = ID_ZERO;
  idStates[FIELD_PARENT_SPAN_ID] = ID_ZERO;
  status.flag = FLAG_STATUS_UNSET;
  idFault.found = false;
  const registers = index.registers;
  putTime(registers, START_HIGH, 0, 0);
  putTime(registers, END_HIGH, 0, 0);
  matcher.beginSpan();
  const next = scanFields(bytes, view, at, end, matcher, registers);
  if (next < 0) return next;
  const hasIds = idStates[FIELD_TRACE_ID] === ID_VALID && idStates[FIELD_SPAN_ID] === ID_VALID;
  const parent = idStates[FIELD_PARENT_SPAN_ID]!;
  if (!hasIds || parent === ID_NOT_HEX || idFault.found) {
    index.refusedSpans++;
    return next;
  }
  registers[PART_BITS_0] = matcher.bits[0]!;
  registers[PART_BITS_1] = matcher.bits[1]!;
  registers[PART_FLAGS] = status.flag | (parent === ID_ZERO ? FLAG_ROOT : 0);
  registers[PART_BYTES] = next - at;
  registers[SPAN_AT] = at - payloadAt;
  return index.addSpan() ? next : -SCAN_TOO_MANY_SPANS;
}

function putTime(registers: Uint32Array, word: number, high: number, low: number): void {
  registers[word] = high;
  registers[word + 1] = low;
}

function scanFields(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  registers: Uint32Array,
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
      case FIELD_SPAN_ID:
      case FIELD_PARENT_SPAN_ID:
        next = scanSpanId(bytes, view, next, end, field);
        break;
      case FIELD_START:
        next = scanTime(bytes, view, next, end, registers, START_HIGH);
        break;
      case FIELD_END:
        next = scanTime(bytes, view, next, end, registers, END_HIGH);
        break;
      case FIELD_ATTRIBUTES:
        next = scanAttributes(bytes, view, next, end, matcher, attributeStarts, FIELD_DEPTH);
        break;
      case FIELD_NAME:
        next = expectString(bytes, view, next, end, FIELD_DEPTH);
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

/** The other fields of a span. */
function checkOther(
  bytes: Uint8Array, view: DataView, at: number, end: number, field: number,
): number {
  switch (field) {
    case FIELD_KIND: return checkNumber(bytes, view, at, end, TYPE_ENUM, FIELD_DEPTH);
    case FIELD_STATUS: return scanStatus(bytes, view, at, end);
    case FIELD_EVENTS: return checkObjects(bytes, view, at, end, EVENT, FIELD_DEPTH);
    case FIELD_LINKS: return checkObjects(bytes, view, at, end, LINK, FIELD_DEPTH);
    case FIELD_TRACE_STATE: return expectString(bytes, view, at, end, FIELD_DEPTH);
    case FIELD_FLAGS:
    case FIELD_DROPPED_ATTRIBUTES:
    case FIELD_DROPPED_EVENTS:
    case FIELD_DROPPED_LINKS:
      return checkNumber(bytes, view, at, end, TYPE_U32, FIELD_DEPTH);
    default: return skipValue(bytes, at, end, FIELD_DEPTH);
  }
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
  return passOddId(bytes, view, at, end, FIELD_TRACE_ID);
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
  return passOddId(bytes, view, at, end, field);
}

/** Passes what is no id: nothing, which an empty string is too, or something of a wrong size. */
function passOddId(
  bytes: Uint8Array, view: DataView, at: number, end: number, field: number,
): number {
  idStates[field] = ID_ZERO;
  const next = expectString(bytes, view, at, end, FIELD_DEPTH);
  if (next > 0 && bytes[at] === QUOTE && next > at + 2) idStates[field] = ID_NOT_HEX;
  return next;
}

/** Reads a time in nanoseconds: nearly always 19 digits in quotes. */
function scanTime(
  bytes: Uint8Array, view: DataView, at: number, end: number, registers: Uint32Array, word: number,
): number {
  const isQuoted = at < end && bytes[at] === QUOTE;
  const next = isQuoted ? readDecimal(bytes, view, at + 1, end) : 0;
  if (next > 0 && next < end && decimal[DECIMAL_FORM] === 0 && bytes[next] === QUOTE) {
    putTime(registers, word, decimal[DECIMAL_HIGH]!, decimal[DECIMAL_LOW]!);
    return next + 1;
  }
  decimal[DECIMAL_HIGH] = 0;
  decimal[DECIMAL_LOW] = 0;
  const after = checkNumber(bytes, view, at, end, TYPE_U64, FIELD_DEPTH);
  putTime(registers, word, decimal[DECIMAL_HIGH]!, decimal[DECIMAL_LOW]!);
  return after;
}

/** Reads a Status; null and an empty one are unset. */
function scanStatus(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  if (at >= end || bytes[at] !== OPEN_OBJECT) return expectNull(bytes, at, end, FIELD_DEPTH);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let field = FIELD_UNKNOWN;
  for (;;) {
    field = STATUS_FIELDS.read(bytes, view, next, end, field);
    next = STATUS_FIELDS.valueAt;
    if (next < 0) return next;
    if (field === STATUS_CODE) next = scanStatusCode(bytes, view, next, end);
    else if (field === STATUS_MESSAGE) next = expectString(bytes, view, next, end, FIELD_DEPTH + 1);
    else next = skipValue(bytes, next, end, FIELD_DEPTH + 1);
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}

/** Reads the code: a number, one of the names, or null. An unknown name is unset; an unknown number
 *  is no status that a policy could name, as in protobuf. */
function scanStatusCode(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  status.flag = FLAG_STATUS_UNSET;
  if (at < end && bytes[at] === QUOTE) {
    const close = endOfText(bytes, view, at + 1, end);
    if (close < 0) return close;
    const name = lastString.escaped
      ? STATUS_NAMES.find(scratchText, 0, unescape(bytes, at + 1, close))
      : STATUS_NAMES.find(bytes, at + 1, close);
    if (name !== FIELD_UNKNOWN) status.flag = STATUS_FLAGS[name - 1]!;
    return close + 1;
  }
  decimal[DECIMAL_LOW] = 0;
  decimal[DECIMAL_FORM] = 0;
  const next = checkNumber(bytes, view, at, end, TYPE_ENUM, FIELD_DEPTH + 1);
  const isNegative = (decimal[DECIMAL_FORM]! & DECIMAL_NEGATIVE) !== 0;
  status.flag = isNegative ? 0 : STATUS_FLAGS[decimal[DECIMAL_LOW]!] ?? 0;
  return next;
}
