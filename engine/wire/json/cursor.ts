// Walks JSON text in bytes without building anything. Offsets in, offsets out; a negative answer is
// a scan code with its sign changed. Every function stays below `end`, so cut text is refused and
// never read past.
//
// Strict, as JSON.parse is: no byte order mark, no trailing commas, no control characters in
// strings, numbers and literals exactly as the grammar says. What strings hold is not checked to be
// UTF-8: whoever renders one does that.
// Source: RFC 8259.

import { SCAN_BAD_JSON, SCAN_TOO_DEEP } from "../scan-codes.ts";

/** Values within values. Node's own parser has no bound; no tracing format comes near this one. */
export const JSON_NESTING_MAX = 100;

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const UPPER_E = 0x45;
const LOWER_E = 0x65;
const LOWER_U = 0x75;
const LOWER_T = 0x74;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;

// Rebound: imported bindings are live and cost a check in the loops.
const BAD = -SCAN_BAD_JSON;

/** What the last endOfString() found besides the end. One thread. */
export const lastString = {
  /** It has escapes: its bytes are not its text. */
  escaped: false,
};

/** First offset from `at` on that is no white space; may be `end`. */
export function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end) {
    const byte = bytes[next]!;
    if (byte > SPACE) return next;
    if (byte !== SPACE && byte !== LINE_FEED && byte !== CARRIAGE_RETURN && byte !== TAB) {
      return next;
    }
    next++;
  }
  return next;
}

/**
 * Offset of the closing quote of a string; `lastString` says whether it has escapes.
 * @param at first byte after the opening quote.
 */
export function endOfString(bytes: Uint8Array, at: number, end: number): number {
  lastString.escaped = false;
  let next = at;
  while (next < end) {
    const byte = bytes[next]!;
    if (byte === QUOTE) return next;
    if (byte < SPACE) return BAD;
    if (byte === BACKSLASH) {
      next = skipEscape(bytes, next + 1, end);
      if (next < 0) return next;
      lastString.escaped = true;
    } else {
      next++;
    }
  }
  return BAD;
}

/** Offset after an escape whose backslash lies before `at`. */
export function skipEscape(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return BAD;
  switch (bytes[at]) {
    case QUOTE: case BACKSLASH: case 0x2f: case 0x62: case 0x66: case 0x6e: case 0x72: case 0x74:
      return at + 1; // " \ / b f n r t
    case LOWER_U:
      if (end - at < 5) return BAD;
      for (let digit = at + 1; digit < at + 5; digit++) {
        if (hexDigit(bytes[digit]!) < 0) return BAD;
      }
      return at + 5;
    default:
      return BAD;
  }
}

/** Value of a hexadecimal digit in either case, -1 for any other byte. */
export function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= NINE) return byte - ZERO;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Offset after the number at `at`. */
export function endOfNumber(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  if (next < end && bytes[next] === MINUS) next++;
  if (next >= end) return BAD;
  if (bytes[next] === ZERO) next++;
  else next = skipDigits(bytes, next, end);
  if (next < 0) return next;
  if (next < end && bytes[next] === POINT) {
    next = skipDigits(bytes, next + 1, end);
    if (next < 0) return next;
  }
  if (next < end && (bytes[next] === LOWER_E || bytes[next] === UPPER_E)) {
    next++;
    if (next < end && (bytes[next] === PLUS || bytes[next] === MINUS)) next++;
    next = skipDigits(bytes, next, end);
  }
  return next;
}

/** Offset after one or more digits. */
function skipDigits(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end) {
    const byte = bytes[next]!;
    if (byte < ZERO || byte > NINE) break;
    next++;
  }
  return next === at ? BAD : next;
}

/** Offset after the literal that begins at `at`: true, false or null. */
export function endOfLiteral(bytes: Uint8Array, at: number, end: number): number {
  switch (bytes[at]) {
    case LOWER_T:
      return end - at >= 4 && bytes[at + 1] === 0x72 && bytes[at + 2] === 0x75
        && bytes[at + 3] === LOWER_E ? at + 4 : BAD;
    case LOWER_F:
      return end - at >= 5 && bytes[at + 1] === 0x61 && bytes[at + 2] === 0x6c
        && bytes[at + 3] === 0x73 && bytes[at + 4] === LOWER_E ? at + 5 : BAD;
    case LOWER_N:
      return end - at >= 4 && bytes[at + 1] === LOWER_U && bytes[at + 2] === 0x6c
        && bytes[at + 3] === 0x6c ? at + 4 : BAD;
    default:
      return BAD;
  }
}

/**
 * Offset after the value whose first byte lies at `at`, checked as a whole.
 * @param depth values around it; beyond JSON_NESTING_MAX the text is refused.
 */
export function skipValue(bytes: Uint8Array, at: number, end: number, depth: number): number {
  if (at >= end) return BAD;
  const byte = bytes[at]!;
  if (byte === QUOTE) {
    const close = endOfString(bytes, at + 1, end);
    return close < 0 ? close : close + 1;
  }
  if (byte === OPEN_OBJECT) return skipObject(bytes, at + 1, end, depth + 1);
  if (byte === OPEN_ARRAY) return skipArray(bytes, at + 1, end, depth + 1);
  if (byte === MINUS || (byte >= ZERO && byte <= NINE)) return endOfNumber(bytes, at, end);
  return endOfLiteral(bytes, at, end);
}

function skipObject(bytes: Uint8Array, at: number, end: number, depth: number): number {
  if (depth > JSON_NESTING_MAX) return -SCAN_TOO_DEEP;
  let next = skipSpace(bytes, at, end);
  if (next < end && bytes[next] === CLOSE_OBJECT) return next + 1;
  for (;;) {
    next = skipKey(bytes, next, end);
    if (next < 0) return next;
    next = skipValue(bytes, next, end, depth);
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_OBJECT) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}

/** Offset of the value behind the key whose quote lies at `at`. */
function skipKey(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || bytes[at] !== QUOTE) return BAD;
  const close = endOfString(bytes, at + 1, end);
  return close < 0 ? close : afterColon(bytes, close + 1, end);
}

/** Offset of the value behind a colon, white space around it passed; `at` follows the key. */
export function afterColon(bytes: Uint8Array, at: number, end: number): number {
  const colon = skipSpace(bytes, at, end);
  if (colon >= end || bytes[colon] !== COLON) return BAD;
  return skipSpace(bytes, colon + 1, end);
}

function skipArray(bytes: Uint8Array, at: number, end: number, depth: number): number {
  if (depth > JSON_NESTING_MAX) return -SCAN_TOO_DEEP;
  let next = skipSpace(bytes, at, end);
  if (next < end && bytes[next] === CLOSE_ARRAY) return next + 1;
  for (;;) {
    next = skipValue(bytes, next, end, depth);
    if (next < 0) return next;
    next = skipSpace(bytes, next, end);
    if (next >= end) return BAD;
    if (bytes[next] === CLOSE_ARRAY) return next + 1;
    if (bytes[next] !== COMMA) return BAD;
    next = skipSpace(bytes, next + 1, end);
  }
}
