// Protobuf's wire, one value at a time, over bytes[at, end). Nothing is trusted and nothing is
// allocated: a function answers the offset after what it read, or a negative scan code, and leaves
// numbers in `read`, which the next call overwrites.
//
// Stricter than some decoders, so that what passes here passes in all of them: a varint has at most
// ten bytes and 64 bits, a tag or a length at most five bytes, a field number is never 0.
// Source: protobuf.dev "Encoding"; limits as in the C++ and Go runtimes.

import {
  SCAN_BAD_FIELD, SCAN_BAD_GROUP, SCAN_BAD_VARINT, SCAN_BAD_WIRE_TYPE, SCAN_TOO_DEEP,
  SCAN_TRUNCATED,
} from "../scan-codes.ts";

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_LENGTH = 2;
export const WIRE_GROUP_START = 3;
export const WIRE_GROUP_END = 4;
export const WIRE_FIXED32 = 5;

/** Messages and groups inside each other, the request being the first; the C++ and Java runtimes
 *  stop at 100 as well, so a deeper payload could not be read at its destination. */
export const NESTING_MAX = 100;

export const READ_LOW = 0;
export const READ_HIGH = 1;
/** Varint: low and high half. Tag: low. Length: low is the offset where the value ends. */
export const read = new Uint32Array(2);

// Rebound, here and in the files that read it: V8 folds a file's own constant into the code, and
// loads an exported one each time.
const numbers = read;
const LOW = READ_LOW;
const HIGH = READ_HIGH;

/** Reads a varint of up to 64 bits into both halves of `read`. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let low = 0;
  let high = 0;
  let shift = 0;
  let next = at;
  while (next < end) {
    const byte = bytes[next++]!;
    const bits = byte & 0x7f;
    if (shift < 28) {
      low |= bits << shift;
    } else if (shift === 28) {
      low |= bits << 28;
      high = bits >>> 4;
    } else {
      high |= bits << (shift - 32);
    }
    if (byte < 0x80) {
      numbers[LOW] = low;
      numbers[HIGH] = high;
      return shift === 63 && byte > 1 ? -SCAN_BAD_VARINT : next;
    }
    shift += 7;
    if (shift === 70) return -SCAN_BAD_VARINT;
  }
  return -SCAN_TRUNCATED;
}

/** Reads a tag into `read`: field number << 3 | wire type. There is one, so at < end. */
export function readTag(bytes: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!;
  if (byte < 0x80) {
    numbers[LOW] = byte;
    return byte < 8 ? -SCAN_BAD_FIELD : at + 1;
  }
  const next = readShortVarint(bytes, at, end);
  if (next < 0) return next;
  return numbers[LOW]! < 8 ? -SCAN_BAD_FIELD : next;
}

/** Reads a length; answers where the value begins and leaves in `read` where it ends. */
export function readLength(bytes: Uint8Array, at: number, end: number): number {
  let next = at + 1;
  let size = at < end ? bytes[at]! : 0x80;
  if (size >= 0x80) {
    next = readShortVarint(bytes, at, end);
    if (next < 0) return next;
    size = numbers[LOW]!;
  }
  if (size > end - next) return -SCAN_TRUNCATED;
  numbers[LOW] = next + size;
  return next;
}

/** Passes a varint without keeping it. */
export function skipVarint(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end) {
    const byte = bytes[next++]!;
    if (byte < 0x80) return next - at === 10 && byte > 1 ? -SCAN_BAD_VARINT : next;
    if (next - at === 10) return -SCAN_BAD_VARINT;
  }
  return -SCAN_TRUNCATED;
}

/** Passes the value of a field whose tag was read, groups included; `depth` as in message-check. */
export function skipValue(
  bytes: Uint8Array, at: number, end: number, tag: number, depth: number,
): number {
  switch (tag & 7) {
    case WIRE_VARINT: return skipVarint(bytes, at, end);
    case WIRE_FIXED64: return end - at >= 8 ? at + 8 : -SCAN_TRUNCATED;
    case WIRE_LENGTH: {
      const next = readLength(bytes, at, end);
      return next < 0 ? next : numbers[LOW]!;
    }
    case WIRE_GROUP_START: return skipGroup(bytes, at, end, tag, depth);
    case WIRE_GROUP_END: return -SCAN_BAD_GROUP;
    case WIRE_FIXED32: return end - at >= 4 ? at + 4 : -SCAN_TRUNCATED;
    default: return -SCAN_BAD_WIRE_TYPE;
  }
}

/** Passes the fields of a group up to and with the end-group of the same field number. */
function skipGroup(
  bytes: Uint8Array, at: number, end: number, groupTag: number, depth: number,
): number {
  if (depth >= NESTING_MAX) return -SCAN_TOO_DEEP;
  let next = at;
  while (next < end) {
    next = readTag(bytes, next, end);
    if (next < 0) return next;
    const tag = numbers[LOW]!;
    if ((tag & 7) === WIRE_GROUP_END) {
      return tag >>> 3 === groupTag >>> 3 ? next : -SCAN_BAD_GROUP;
    }
    next = skipValue(bytes, next, end, tag, depth + 1);
    if (next < 0) return next;
  }
  return -SCAN_BAD_GROUP;
}

/** A varint of at most five bytes and 32 bits: tags and lengths. */
function readShortVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  let next = at;
  for (let shift = 0; shift < 35; shift += 7) {
    if (next === end) return -SCAN_TRUNCATED;
    const byte = bytes[next++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      numbers[LOW] = value;
      return shift === 28 && byte > 0x0f ? -SCAN_BAD_VARINT : next;
    }
  }
  return -SCAN_BAD_VARINT;
}
