// Passes and compares runs of text several bytes at a time: most of a JSON payload is names and
// strings (native-bench/scan.bench.ts).

import { SCAN_BAD_JSON } from "../scan-codes.ts";
import { lastString, skipEscape } from "./cursor.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const BAD = -SCAN_BAD_JSON;

// Four bytes in a word. Less than: (w - n·0x01010101) & ~w has the top bit of every byte below n
// set; bits above the lowest one may be wrong, so only the lowest counts.
const ONES = 0x01010101;
const TOPS = 0x80808080 | 0;
const BACKSLASHES = 0x5c5c5c5c;
/** Exchanges the space (0x20) and the quote (0x22); control characters stay below 0x20. */
const QUOTES_BELOW = 0x02020202;
const AFTER_QUOTE = 0x21212121;

/**
 * As endOfString() of cursor, four bytes at a time.
 * @param view of the same memory as `bytes`, offset by offset.
 */
export function endOfText(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  lastString.escaped = false;
  const last = end - 4;
  let next = at;
  while (next <= last) {
    const word = view.getInt32(next, true);
    const low = word ^ QUOTES_BELOW;
    const other = word ^ BACKSLASHES;
    const stops = (((low - AFTER_QUOTE) & ~low) | ((other - ONES) & ~other)) & TOPS;
    if (stops === 0) {
      next += 4;
      continue;
    }
    next += (31 - Math.clz32(stops & -stops)) >> 3;
    const byte = bytes[next]!;
    if (byte === QUOTE) return next;
    if (byte !== BACKSLASH) return BAD;
    next = skipEscape(bytes, next + 1, end);
    if (next < 0) return next;
    lastString.escaped = true;
  }
  return endOfTail(bytes, next, end);
}

/**
 * The rest, byte by byte: the last three, or more after an escape. The loop of endOfString(), a
 * second time: shared, it makes a scan of Zipkin JSON 4 % slower (native-bench/scan.bench.ts).
 */
function endOfTail(bytes: Uint8Array, at: number, end: number): number {
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

/**
 * True when two texts of the same size are equal; both must lie in their memory. Compared as
 * float64: a word that is no number differs from itself, which only costs the answer "no", and -0
 * equals 0, so one of the two must be known to have no zero byte.
 * @param size in bytes, at least 4.
 */
export function isSameText(
  view: DataView, at: number, other: DataView, otherAt: number, size: number,
): boolean {
  if (size < 8) {
    return view.getInt32(at, true) === other.getInt32(otherAt, true)
      && view.getInt32(at + size - 4, true) === other.getInt32(otherAt + size - 4, true);
  }
  const last = size - 8;
  for (let offset = 0; offset < last; offset += 8) {
    if (view.getFloat64(at + offset, true) !== other.getFloat64(otherAt + offset, true)) {
      return false;
    }
  }
  return view.getFloat64(at + last, true) === other.getFloat64(otherAt + last, true);
}
