// One Span message: a pass over its fields notes where the few that matter lie, then their numbers
// go into the index's registers. Attributes are tested as they come; everything else is checked for
// structure and passed. Of a field given more than once the last one holds, as protobuf says.
//
// Span { bytes trace_id = 1, span_id = 2; bytes parent_span_id = 4; fixed64 start = 7, end = 8;
//        KeyValue attributes = 9; Event events = 11; Link links = 13; Status status = 15; .. }

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PART_BITS_0, PART_BITS_1,
  PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_ID_0, PART_ID_1, PART_ID_2, PART_ID_3,
  PART_START_HIGH, PART_START_LOW,
} from "../../part/part-layout.ts";
import { REGISTER_SPAN_AT, type RecordIndex } from "../record-index.ts";
import { SCAN_BAD_FIELD, SCAN_OK, SCAN_TOO_MANY_SPANS, SCAN_TRUNCATED } from "../scan-codes.ts";
import { scanAttribute } from "./attribute-scan.ts";
import {
  READ_LOW, WIRE_LENGTH, read, readLength, readTag, readVarint, skipValue,
} from "./cursor.ts";
import { MESSAGE_EVENT, MESSAGE_LINK, MESSAGE_STATUS, checkMessage } from "./message-check.ts";

const TAG_TRACE_ID = 0x0a;
const TAG_SPAN_ID = 0x12;
const TAG_PARENT_SPAN_ID = 0x22;
const TAG_START = 0x39;
const TAG_END = 0x41;
const TAG_ATTRIBUTE = 0x4a;
const TAG_EVENT = 0x5a;
const TAG_LINK = 0x6a;
const TAG_STATUS = 0x7a;

const TAG_LINK_TRACE_ID = 0x0a; // Link.trace_id = 1
const TAG_LINK_SPAN_ID = 0x12; // Link.span_id = 2
const TAG_STATUS_CODE = 0x18; // Status.code = 3
const STATUS_UNSET = 0;
const STATUS_OK = 1;
const STATUS_ERROR = 2;

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
const numbers = read;
const LOW = READ_LOW;

// Rebound, as in cursor.ts.
const ID_0 = PART_ID_0;
const ID_1 = PART_ID_1;
const ID_2 = PART_ID_2;
const ID_3 = PART_ID_3;
const START_HIGH = PART_START_HIGH;
const START_LOW = PART_START_LOW;
const END_HIGH = PART_END_HIGH;
const END_LOW = PART_END_LOW;
const BITS_0 = PART_BITS_0;
const BITS_1 = PART_BITS_1;
const FLAGS = PART_FLAGS;
const BYTES = PART_BYTES;
const SPAN_AT = REGISTER_SPAN_AT;
const OK = SCAN_OK;

/** Messages around a field of a span: request, ResourceSpans, ScopeSpans, Span. */
const FIELD_DEPTH = 4;

// What the pass over a span's fields found. Offset 0 means absent: no value lies there, because its
// tag comes before it.
const TRACE_ID_AT = 0;
const TRACE_ID_END = 1;
const SPAN_ID_AT = 2;
const SPAN_ID_END = 3;
const PARENT_AT = 4;
const PARENT_END = 5;
const START_AT = 6;
const END_AT = 7;
const STATUS = 8;
/** 1 when a link has an id of a wrong size. */
const LINK_FAULT = 9;
const found = new Int32Array(10);

/**
 * Scans the Span bytes[at, end) and adds it to the index; one without valid ids is counted as
 * refused instead: decoders downstream refuse a whole batch for an id of a wrong size.
 * @param view of the same memory as `bytes`, offset by offset.
 * @param payloadAt where the payload begins.
 * @returns SCAN_OK or a scan code.
 */
export function scanSpan(
  bytes: Uint8Array, view: DataView, payloadAt: number, at: number, end: number,
  matcher: AttributeMatcher, index: RecordIndex,
): number {
  const code = findFields(bytes, at, end, matcher);
  if (code !== OK) return code;
  const registers = index.registers;
  if (!readIds(view, registers)) {
    index.refusedSpans++;
    return OK;
  }
  const startAt = found[START_AT]!;
  const endAt = found[END_AT]!;
  registers[START_HIGH] = startAt === 0 ? 0 : view.getUint32(startAt + 4, true);
  registers[START_LOW] = startAt === 0 ? 0 : view.getUint32(startAt, true);
  registers[END_HIGH] = endAt === 0 ? 0 : view.getUint32(endAt + 4, true);
  registers[END_LOW] = endAt === 0 ? 0 : view.getUint32(endAt, true);
  registers[BITS_0] = matcher.bits[0]!;
  registers[BITS_1] = matcher.bits[1]!;
  registers[FLAGS] = statusFlag(found[STATUS]!) | rootFlag(view);
  registers[BYTES] = end - at;
  registers[SPAN_AT] = at - payloadAt;
  return index.addSpan() ? OK : SCAN_TOO_MANY_SPANS;
}

/** The pass over the fields. */
function findFields(
  bytes: Uint8Array, at: number, end: number, matcher: AttributeMatcher,
): number {
  forgetSpan();
  matcher.beginSpan();
  let next = at;
  while (next < end) {
    let tag = bytes[next]!;
    if (tag < 0x80) {
      next++;
    } else {
      next = readTag(bytes, next, end);
      if (next < 0) return -next;
      tag = numbers[LOW]!;
    }
    if ((tag & 7) !== WIRE_LENGTH) {
      next = passNumber(bytes, next, end, tag);
      if (next < 0) return -next;
      continue;
    }
    if (next === end) return SCAN_TRUNCATED;
    const size = bytes[next]!;
    let valueEnd = next + 1 + size;
    if (size < 0x80) {
      if (valueEnd > end) return SCAN_TRUNCATED;
      next++;
    } else {
      next = readLength(bytes, next, end);
      if (next < 0) return -next;
      valueEnd = numbers[LOW]!;
    }
    const code = tag === TAG_ATTRIBUTE
      ? scanAttribute(bytes, next, valueEnd, matcher, FIELD_DEPTH)
      : noteField(bytes, next, valueEnd, tag);
    if (code !== OK) return code;
    next = valueEnd;
  }
  return OK;
}

/** Stores one by one: a call of fill() costs more than all of them. */
function forgetSpan(): void {
  found[TRACE_ID_AT] = 0;
  found[TRACE_ID_END] = 0;
  found[SPAN_ID_AT] = 0;
  found[SPAN_ID_END] = 0;
  found[PARENT_AT] = 0;
  found[PARENT_END] = 0;
  found[START_AT] = 0;
  found[END_AT] = 0;
  found[STATUS] = 0;
  found[LINK_FAULT] = 0;
}

/** Passes a field that is not length-delimited, and notes the times. */
function passNumber(bytes: Uint8Array, at: number, end: number, tag: number): number {
  if (tag < 8) return -SCAN_BAD_FIELD;
  if (tag !== TAG_START && tag !== TAG_END) return skipValue(bytes, at, end, tag, FIELD_DEPTH);
  if (end - at < 8) return -SCAN_TRUNCATED;
  found[tag === TAG_START ? START_AT : END_AT] = at;
  return at + 8;
}

/** Notes or checks the length-delimited field bytes[at, end) that is no attribute. */
function noteField(bytes: Uint8Array, at: number, end: number, tag: number): number {
  switch (tag) {
    case TAG_TRACE_ID:
      found[TRACE_ID_AT] = at;
      found[TRACE_ID_END] = end;
      return OK;
    case TAG_SPAN_ID:
      found[SPAN_ID_AT] = at;
      found[SPAN_ID_END] = end;
      return OK;
    case TAG_PARENT_SPAN_ID:
      found[PARENT_AT] = at;
      found[PARENT_END] = end;
      return OK;
    case TAG_EVENT: return checkMessage(bytes, at, end, MESSAGE_EVENT, FIELD_DEPTH);
    case TAG_LINK: return noteLink(bytes, at, end);
    case TAG_STATUS: return noteStatus(bytes, at, end);
    default: return tag < 8 ? SCAN_BAD_FIELD : OK;
  }
}

/** Checks a Link; its ids must be empty or have their size. */
function noteLink(bytes: Uint8Array, at: number, end: number): number {
  const code = checkMessage(bytes, at, end, MESSAGE_LINK, FIELD_DEPTH);
  if (code !== OK) return code;
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    const tag = numbers[LOW]!;
    if (tag === TAG_LINK_TRACE_ID || tag === TAG_LINK_SPAN_ID) {
      next = readLength(bytes, next, end);
      const size = numbers[LOW]! - next;
      const expected = tag === TAG_LINK_TRACE_ID ? TRACE_ID_BYTES : SPAN_ID_BYTES;
      if (size !== 0 && size !== expected) found[LINK_FAULT] = 1;
      next += size;
    } else {
      next = skipValue(bytes, next, end, tag, FIELD_DEPTH + 1);
    }
  }
  return OK;
}

/** Checks a Status and notes its code; a second Status without a code leaves the first one's. */
function noteStatus(bytes: Uint8Array, at: number, end: number): number {
  const code = checkMessage(bytes, at, end, MESSAGE_STATUS, FIELD_DEPTH);
  if (code !== OK) return code;
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    const tag = numbers[LOW]!;
    if (tag === TAG_STATUS_CODE) {
      next = readVarint(bytes, next, end);
      found[STATUS] = numbers[LOW]!;
    } else {
      next = skipValue(bytes, next, end, tag, FIELD_DEPTH + 1);
    }
  }
  return OK;
}

/** Reads the trace id into the registers; false when an id of the span or of a link is invalid. */
function readIds(view: DataView, registers: Uint32Array): boolean {
  const traceAt = found[TRACE_ID_AT]!;
  if (found[TRACE_ID_END]! - traceAt !== TRACE_ID_BYTES) return false;
  const word0 = view.getUint32(traceAt);
  const word1 = view.getUint32(traceAt + 4);
  const word2 = view.getUint32(traceAt + 8);
  const word3 = view.getUint32(traceAt + 12);
  if ((word0 | word1 | word2 | word3) === 0) return false;
  const spanIdAt = found[SPAN_ID_AT]!;
  if (found[SPAN_ID_END]! - spanIdAt !== SPAN_ID_BYTES) return false;
  if ((view.getUint32(spanIdAt) | view.getUint32(spanIdAt + 4)) === 0) return false;
  const parentBytes = found[PARENT_END]! - found[PARENT_AT]!;
  if (parentBytes !== 0 && parentBytes !== SPAN_ID_BYTES) return false;
  registers[ID_0] = word0;
  registers[ID_1] = word1;
  registers[ID_2] = word2;
  registers[ID_3] = word3;
  return found[LINK_FAULT] === 0;
}

/** A span without parent is a root; so is one whose parent id is all zero, which some write. */
function rootFlag(view: DataView): number {
  const at = found[PARENT_AT]!;
  if (found[PARENT_END] === at) return FLAG_ROOT;
  return (view.getUint32(at) | view.getUint32(at + 4)) === 0 ? FLAG_ROOT : 0;
}

/** A code that OTLP does not know yet is no status that a policy could name. */
function statusFlag(status: number): number {
  if (status === STATUS_UNSET) return FLAG_STATUS_UNSET;
  if (status === STATUS_OK) return FLAG_STATUS_OK;
  return status === STATUS_ERROR ? FLAG_STATUS_ERROR : 0;
}
