// Values whose type a format fixes: passed and checked, null being as good as absent. Each function
// takes the offset of a value's first byte and answers the offset after it, or a scan code with its
// sign changed.

import { SCAN_WRONG_TYPE } from "../scan-codes.ts";
import { endOfLiteral, endOfNumber, skipValue } from "./cursor.ts";
import { endOfText } from "./text.ts";

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const WRONG = -SCAN_WRONG_TYPE;

/** A value of a type that does not belong here: malformed, or else of the wrong type. */
export function refuseValue(bytes: Uint8Array, at: number, end: number, depth: number): number {
  const next = skipValue(bytes, at, end, depth);
  return next < 0 ? next : WRONG;
}

/** Passes null, and refuses anything else. */
export function expectNull(bytes: Uint8Array, at: number, end: number, depth: number): number {
  if (at < end && bytes[at] === LOWER_N) return endOfLiteral(bytes, at, end);
  return refuseValue(bytes, at, end, depth);
}

/** Passes a string or null. */
export function expectString(
  bytes: Uint8Array, view: DataView, at: number, end: number, depth: number,
): number {
  if (at >= end || bytes[at] !== QUOTE) return expectNull(bytes, at, end, depth);
  const close = endOfText(bytes, view, at + 1, end);
  return close < 0 ? close : close + 1;
}

/** Passes a number or null. */
export function expectNumber(bytes: Uint8Array, at: number, end: number, depth: number): number {
  return startsNumber(bytes, at, end)
    ? endOfNumber(bytes, at, end) : expectNull(bytes, at, end, depth);
}

/** Passes a boolean or null. */
export function expectBoolean(bytes: Uint8Array, at: number, end: number, depth: number): number {
  return at < end && (bytes[at] === LOWER_T || bytes[at] === LOWER_F)
    ? endOfLiteral(bytes, at, end) : expectNull(bytes, at, end, depth);
}

export function startsNumber(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return false;
  const byte = bytes[at]!;
  return byte === MINUS || (byte >= ZERO && byte <= NINE);
}
