// Objects that are checked as a whole and noted nowhere: each known field has its type, whatever is
// unknown is passed over, null is as good as absent. What policies do not ask about but a renderer
// may write goes through here.

import { SCAN_BAD_JSON, SCAN_BAD_NUMBER, SCAN_TOO_DEEP, SCAN_WRONG_TYPE } from "../scan-codes.ts";
import {
  CLOSE_ARRAY, CLOSE_OBJECT, COMMA, JSON_NESTING_MAX, OPEN_ARRAY, OPEN_OBJECT, QUOTE, lastString,
  skipSpace, skipValue,
} from "./cursor.ts";
import {
  DECIMAL_FORM, DECIMAL_FRACTION, DECIMAL_HIGH, DECIMAL_HUGE, DECIMAL_LOW, DECIMAL_NEGATIVE,
  decimal, readDecimal,
} from "./decimal.ts";
import { expectBoolean, expectNull, expectNumber, expectString, startsNumber } from "./expect.ts";
import { FIELD_UNKNOWN, FieldNames } from "./field-names.ts";
import { ID_NOT_HEX, SPAN_ID_DIGITS, TRACE_ID_DIGITS, checkSpanId } from "./hex-id.ts";
import { endOfText } from "./text.ts";

export const TYPE_ANY = 0;
export const TYPE_STRING = 1;
export const TYPE_NUMBER = 2;
export const TYPE_BOOLEAN = 3;
/** Integers as numbers or as strings, as proto3 has them in JSON. */
export const TYPE_U32 = 4;
export const TYPE_I32 = 5;
export const TYPE_U64 = 6;
export const TYPE_I64 = 7;
/** A number, or a string with a number, "NaN", "Infinity" or "-Infinity". */
export const TYPE_DOUBLE = 8;
/** An int32, or a name: which ones there are is not checked. */
export const TYPE_ENUM = 9;
/** A string; one that is neither empty nor an id of this kind sets `idFault.found`. */
export const TYPE_TRACE_ID = 10;
export const TYPE_SPAN_ID = 11;
/** An object of the inner shape; twice in one object is refused. */
export const TYPE_OBJECT = 12;
/** An array of such objects; twice in one object is refused, and null is no element. */
export const TYPE_OBJECTS = 13;

export type FieldType =
  | typeof TYPE_ANY | typeof TYPE_STRING | typeof TYPE_NUMBER | typeof TYPE_BOOLEAN
  | typeof TYPE_U32 | typeof TYPE_I32 | typeof TYPE_U64 | typeof TYPE_I64 | typeof TYPE_DOUBLE
  | typeof TYPE_ENUM | typeof TYPE_TRACE_ID | typeof TYPE_SPAN_ID | typeof TYPE_OBJECT
  | typeof TYPE_OBJECTS;

const BAD = -SCAN_BAD_JSON;
const WRONG = -SCAN_WRONG_TYPE;
const BAD_NUMBER = -SCAN_BAD_NUMBER;
const LOWER_N = 0x6e;
const I64_MIN_HIGH = 0x8000_0000;
/** Texts of a double that are no numbers. */
const NO_NUMBERS = new FieldNames(["NaN", "Infinity", "-Infinity"]);

/** Whether an id in what was checked is of a wrong size or not of digits. Only set here: whoever
 *  asks puts it back. One thread. */
export const idFault = { found: false };

/** A field of a shape. */
export interface ShapeField {
  readonly name: string;
  readonly type: FieldType;
  /** Of TYPE_OBJECT and TYPE_OBJECTS. */
  readonly inner?: Shape;
}

/** The known fields of one kind of object. */
export class Shape {
  names: FieldNames;
  types: Int32Array;
  inner: (Shape | null)[];
  /** At most one of its fields may be there. */
  readonly isOneOf: boolean;

  constructor(fields: readonly ShapeField[], isOneOf = false) {
    this.names = new FieldNames([]);
    this.types = new Int32Array(0);
    this.inner = [];
    this.isOneOf = isOneOf;
    this.define(fields);
  }

  /** Gives it its fields; once more for shapes that contain themselves. */
  define(fields: readonly ShapeField[]): void {
    this.names = new FieldNames(fields.map(({ name }) => name));
    this.types = Int32Array.from([TYPE_ANY, ...fields.map(({ type }) => type)]);
    this.inner = [null, ...fields.map(({ inner }) => inner ?? null)];
  }
}

/**
 * Checks the value at `at`: null or an object of the shape.
 * @param depth values around it.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function checkObject(
  bytes: Uint8Array, view: DataView, at: number, end: number, shape: Shape, depth: number,
): number {
  if (at >= end || bytes[at] !== OPEN_OBJECT) return expectNull(bytes, at, end, depth);
  if (depth >= JSON_NESTING_MAX) return -SCAN_TOO_DEEP;
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  let field = FIELD_UNKNOWN;
  let seen = 0;
  for (;;) {
    field = shape.names.read(bytes, view, next, end, field);
    next = shape.names.valueAt;
    if (next < 0) return next;
    if (isCounted(bytes, next, end, shape, field)) {
      const bit = shape.isOneOf ? 1 : 1 << field;
      if ((seen & bit) !== 0) return BAD;
      seen |= bit;
    }
    next = checkField(bytes, view, next, end, shape, field, depth + 1);
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}

/** Whether a second field like this one, whose value lies at `at`, is refused. */
function isCounted(
  bytes: Uint8Array, at: number, end: number, shape: Shape, field: number,
): boolean {
  if (field === FIELD_UNKNOWN) return false;
  if (shape.isOneOf) return at >= end || bytes[at] !== LOWER_N;
  return shape.types[field]! >= TYPE_OBJECT;
}

/** Checks the value at `at`: null or an array of objects of the shape. */
export function checkObjects(
  bytes: Uint8Array, view: DataView, at: number, end: number, shape: Shape, depth: number,
): number {
  if (at >= end || bytes[at] !== OPEN_ARRAY) return expectNull(bytes, at, end, depth);
  if (depth >= JSON_NESTING_MAX) return -SCAN_TOO_DEEP;
  let next = skipSpace(bytes, at + 1, end);
  if (next < end && bytes[next] === CLOSE_ARRAY) return next + 1;
  for (;;) {
    const isNull = next < end && bytes[next] === LOWER_N;
    next = checkObject(bytes, view, next, end, shape, depth + 1);
    if (next < 0) return next;
    if (isNull) return WRONG;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_ARRAY) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}

function checkField(
  bytes: Uint8Array, view: DataView, at: number, end: number, shape: Shape, field: number,
  depth: number,
): number {
  switch (shape.types[field]) {
    case TYPE_STRING: return expectString(bytes, view, at, end, depth);
    case TYPE_NUMBER: return expectNumber(bytes, at, end, depth);
    case TYPE_BOOLEAN: return expectBoolean(bytes, at, end, depth);
    case TYPE_OBJECT: return checkObject(bytes, view, at, end, shape.inner[field]!, depth);
    case TYPE_OBJECTS: return checkObjects(bytes, view, at, end, shape.inner[field]!, depth);
    case TYPE_TRACE_ID: return checkId(bytes, view, at, end, TRACE_ID_DIGITS, depth);
    case TYPE_SPAN_ID: return checkId(bytes, view, at, end, SPAN_ID_DIGITS, depth);
    case TYPE_ANY: return skipValue(bytes, at, end, depth);
    default: return checkNumber(bytes, view, at, end, shape.types[field]!, depth);
  }
}

/** Passes the id at `at`; digits written as escapes are no digits. */
function checkId(
  bytes: Uint8Array, view: DataView, at: number, end: number, digits: number, depth: number,
): number {
  const next = expectString(bytes, view, at, end, depth);
  if (next < 0 || bytes[at] !== QUOTE || next === at + 2) return next;
  if (next - at !== digits + 2) {
    idFault.found = true;
    return next;
  }
  for (let from = at + 1; from < next - 1; from += SPAN_ID_DIGITS) {
    if (checkSpanId(view, from) === ID_NOT_HEX) idFault.found = true;
  }
  return next;
}

/** Checks a value of TYPE_U32 to TYPE_ENUM; a number that is one is in `decimal` afterwards. */
export function checkNumber(
  bytes: Uint8Array, view: DataView, at: number, end: number, type: number, depth: number,
): number {
  if (startsNumber(bytes, at, end)) {
    const after = readDecimal(bytes, view, at, end);
    return after < 0 || fits(type) ? after : BAD_NUMBER;
  }
  if (at >= end || bytes[at] !== QUOTE) return expectNull(bytes, at, end, depth);
  const close = endOfText(bytes, view, at + 1, end);
  if (close < 0) return close;
  if (type === TYPE_ENUM) return close + 1;
  if (type === TYPE_DOUBLE && !lastString.escaped
    && NO_NUMBERS.find(bytes, at + 1, close) !== FIELD_UNKNOWN) return close + 1;
  if (!startsNumber(bytes, at + 1, close)) return BAD_NUMBER;
  const after = readDecimal(bytes, view, at + 1, close);
  return after === close && fits(type) ? close + 1 : BAD_NUMBER;
}

/** Whether `decimal` is of the type. */
function fits(type: number): boolean {
  if (type === TYPE_DOUBLE) return true;
  const form = decimal[DECIMAL_FORM]!;
  if ((form & (DECIMAL_FRACTION | DECIMAL_HUGE)) !== 0) return false;
  const isNegative = (form & DECIMAL_NEGATIVE) !== 0;
  const high = decimal[DECIMAL_HIGH]!;
  const low = decimal[DECIMAL_LOW]!;
  switch (type) {
    case TYPE_U64: return !isNegative;
    case TYPE_U32: return !isNegative && high === 0;
    case TYPE_I64:
      return high < I64_MIN_HIGH || (isNegative && high === I64_MIN_HIGH && low === 0);
    default: return high === 0 && (low < I64_MIN_HIGH || (isNegative && low === I64_MIN_HIGH));
  }
}
