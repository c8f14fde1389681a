// The attributes of a span or a resource: check them, find out which key a policy names, test its
// value.
//
// Exporters write an attribute in one way, and spans of a service have mostly the same attributes
// in the same order. So the start of the n-th one, up to its value, is compared with that of the
// n-th one of a span before:
//   {"key":"http.route","value":{"stringValue":"  or  {"key":"thread.id","value":{"intValue":
// A start that differs is read; an attribute written in another way, or with a list or an array as
// its value, takes the long way to the same answer.

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import {
  CLOSE_ARRAY, CLOSE_OBJECT, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE, lastString,
  skipSpace, skipValue,
} from "../json/cursor.ts";
import {
  DECIMAL_HIGH, DECIMAL_LOW, DECIMAL_FORM, DECIMAL_NEGATIVE, decimal,
} from "../json/decimal.ts";
import { expectBoolean, expectNull } from "../json/expect.ts";
import { FIELD_UNKNOWN } from "../json/field-names.ts";
import { RepeatedStarts } from "../json/repeated-starts.ts";
import { TYPE_DOUBLE, TYPE_I64, checkNumber, checkObject } from "../json/shape.ts";
import { endOfText } from "../json/text.ts";
import { findTextKey, testText } from "../json/text-match.ts";
import { SCAN_BAD_JSON, SCAN_WRONG_TYPE } from "../scan-codes.ts";
import {
  ANY_VALUE, KEY_VALUE, KEY_VALUE_KEY, KEY_VALUE_VALUE, VALUE_BOOL, VALUE_DOUBLE, VALUE_INT,
  VALUE_STRING,
} from "./scan-value.ts";

const BAD = -SCAN_BAD_JSON;
const SPACE = 0x20;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;

/**
 * Scans the array of attributes at `at`.
 * @param starts of the attributes of the same kind of object.
 * @param depth values around it.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function scanAttributes(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  starts: RepeatedStarts, depth: number,
): number {
  if (at >= end || bytes[at] !== OPEN_ARRAY) return expectNull(bytes, at, end, depth);
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_ARRAY) return next + 1;
  for (let number = 0; ; number++) {
    const size = starts.match(view, next, end, number);
    const valueAt = size !== 0
      ? next + size : readStart(bytes, view, next, end, matcher, starts, number);
    next = valueAt === 0
      ? scanLongWay(bytes, view, next, end, matcher, depth + 1)
      : scanValue(bytes, view, next, valueAt, end, matcher, starts.key, starts.kind, depth + 1);
    if (next < 0) return next;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_ARRAY) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next++;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
  }
}

/**
 * Reads the start of the attribute at `at` as exporters write it, and remembers it.
 * @returns offset of its value, in the quotes of a string; 0 when it is written in another way or
 * malformed.
 */
function readStart(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  starts: RepeatedStarts, number: number,
): number {
  if (at >= end || bytes[at] !== OPEN_OBJECT) return 0;
  const names = KEY_VALUE.names;
  const isKey = names.read(bytes, view, skipSpace(bytes, at + 1, end), end, FIELD_UNKNOWN);
  const keyAt = names.valueAt;
  if (isKey !== KEY_VALUE_KEY || keyAt < 0 || keyAt >= end || bytes[keyAt] !== QUOTE) return 0;
  const close = endOfText(bytes, view, keyAt + 1, end);
  if (close < 0) return 0;
  const isEscaped = lastString.escaped;
  const comma = skipSpace(bytes, close + 1, end);
  if (comma >= end || bytes[comma] !== COMMA) return 0;
  const valueName = skipSpace(bytes, comma + 1, end);
  const isValue = names.read(bytes, view, valueName, end, KEY_VALUE_KEY);
  const objectAt = names.valueAt;
  if (isValue !== KEY_VALUE_VALUE || objectAt < 0 || objectAt >= end) return 0;
  if (bytes[objectAt] !== OPEN_OBJECT) return 0;
  const members = ANY_VALUE.names;
  const kind = members.read(bytes, view, skipSpace(bytes, objectAt + 1, end), end, FIELD_UNKNOWN);
  const valueAt = members.valueAt;
  if (valueAt < 0 || valueAt >= end) return 0;
  if (kind === FIELD_UNKNOWN || kind > VALUE_DOUBLE) return 0;
  if (kind === VALUE_STRING && bytes[valueAt] !== QUOTE) return 0;
  const startEnd = kind === VALUE_STRING ? valueAt + 1 : valueAt;
  const key = findTextKey(matcher, bytes, keyAt + 1, close, isEscaped);
  starts.remember(number, at, startEnd - at, key, kind);
  return startEnd;
}

/** Passes the value at `valueAt` and the end of the attribute that begins at `at`; tests it. */
function scanValue(
  bytes: Uint8Array, view: DataView, at: number, valueAt: number, end: number,
  matcher: AttributeMatcher, key: number, kind: number, depth: number,
): number {
  let next = valueAt;
  let close = 0;
  let isEscaped = false;
  if (kind === VALUE_STRING) {
    close = endOfText(bytes, view, valueAt, end);
    if (close < 0) return close;
    isEscaped = lastString.escaped;
    next = close + 1;
  } else {
    if (valueAt < end && bytes[valueAt] === LOWER_N) {
      return scanLongWay(bytes, view, at, end, matcher, depth);
    }
    next = passScalar(bytes, view, valueAt, end, kind, depth + 2);
    if (next < 0) return next;
  }
  if (end - next >= 2 && bytes[next] === CLOSE_OBJECT && bytes[next + 1] === CLOSE_OBJECT) {
    next += 2;
  } else {
    next = skipSpace(bytes, next, end);
    if (next >= end || bytes[next] !== CLOSE_OBJECT) {
      return scanLongWay(bytes, view, at, end, matcher, depth);
    }
    next = skipSpace(bytes, next + 1, end);
    if (next >= end || bytes[next] !== CLOSE_OBJECT) {
      return scanLongWay(bytes, view, at, end, matcher, depth);
    }
    next++;
  }
  if (key < 0) return next;
  if (kind === VALUE_STRING) testText(matcher, key, bytes, valueAt, close, isEscaped);
  else testScalar(bytes, valueAt, kind, key, matcher);
  return next;
}

/** Passes a value of the oneof that is no string; an integer is in `decimal` afterwards. */
function passScalar(
  bytes: Uint8Array, view: DataView, at: number, end: number, kind: number, depth: number,
): number {
  if (kind === VALUE_BOOL) return expectBoolean(bytes, at, end, depth);
  const type = kind === VALUE_INT ? TYPE_I64 : TYPE_DOUBLE;
  return checkNumber(bytes, view, at, end, type, depth);
}

/** Tests what passScalar() passed; doubles are named by no predicate. */
function testScalar(
  bytes: Uint8Array, at: number, kind: number, key: number, matcher: AttributeMatcher,
): void {
  if (kind === VALUE_BOOL) {
    matcher.testBoolean(key, bytes[at] === LOWER_T);
    return;
  }
  if (kind !== VALUE_INT) return;
  const low = decimal[DECIMAL_LOW]! | 0;
  const high = decimal[DECIMAL_HIGH]! | 0;
  if ((decimal[DECIMAL_FORM]! & DECIMAL_NEGATIVE) === 0) matcher.testInteger(key, high, low);
  else matcher.testInteger(key, low === 0 ? -high | 0 : ~high, -low | 0);
}

/** Any legal attribute: checked as a whole, then walked for what to test. */
function scanLongWay(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  depth: number,
): number {
  const isNull = at < end && bytes[at] === LOWER_N;
  const after = checkObject(bytes, view, at, end, KEY_VALUE, depth);
  if (after < 0) return after;
  if (isNull) return -SCAN_WRONG_TYPE;
  if (matcher.keyCount !== 0) testLongWay(bytes, view, at, end, matcher);
  return after;
}

/** Tests the attribute at `at`, known to be well-formed; of a key given twice the last counts. */
function testLongWay(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
): void {
  const names = KEY_VALUE.names;
  let keyAt = 0;
  let keyEnd = 0;
  let isEscaped = false;
  let valueAt = 0;
  let field = FIELD_UNKNOWN;
  let next = skipSpace(bytes, at + 1, end);
  while (bytes[next] !== CLOSE_OBJECT) {
    field = names.read(bytes, view, next, end, field);
    const from = names.valueAt;
    lastString.escaped = false;
    next = skipValue(bytes, from, end, 0);
    if (field === KEY_VALUE_KEY) {
      const isText = bytes[from] === QUOTE;
      keyAt = isText ? from + 1 : 0;
      keyEnd = isText ? next - 1 : 0;
      isEscaped = lastString.escaped;
    } else if (field === KEY_VALUE_VALUE) {
      valueAt = from;
    }
    next = afterComma(bytes, next, end);
  }
  const key = findTextKey(matcher, bytes, keyAt, keyEnd, isEscaped);
  if (key >= 0 && valueAt !== 0) testAnyValue(bytes, view, valueAt, end, matcher, key);
}

/** Tests the AnyValue at `at`, known to be well-formed and to have one member at most. */
function testAnyValue(
  bytes: Uint8Array, view: DataView, at: number, end: number, matcher: AttributeMatcher,
  key: number,
): void {
  if (bytes[at] !== OPEN_OBJECT) return;
  const members = ANY_VALUE.names;
  let kind = FIELD_UNKNOWN;
  let next = skipSpace(bytes, at + 1, end);
  while (bytes[next] !== CLOSE_OBJECT) {
    kind = members.read(bytes, view, next, end, kind);
    const from = members.valueAt;
    lastString.escaped = false;
    next = skipValue(bytes, from, end, 0);
    if (kind === VALUE_STRING && bytes[from] === QUOTE) {
      testText(matcher, key, bytes, from + 1, next - 1, lastString.escaped);
    } else if (kind === VALUE_BOOL && bytes[from] !== LOWER_N) {
      matcher.testBoolean(key, bytes[from] !== LOWER_F);
    } else if (kind === VALUE_INT && bytes[from] !== LOWER_N) {
      passScalar(bytes, view, from, end, kind, 0);
      testScalar(bytes, from, kind, key, matcher);
    }
    next = afterComma(bytes, next, end);
  }
}

/** In well-formed text: offset of the next member, or of the bracket after the last one. */
function afterComma(bytes: Uint8Array, at: number, end: number): number {
  const next = skipSpace(bytes, at, end);
  return bytes[next] === COMMA ? skipSpace(bytes, next + 1, end) : next;
}
