// Text of JSON strings to UTF-8 that protobuf may carry: escapes are resolved, and what is no UTF-8
// becomes U+FFFD, because a backend refuses a whole batch for one bad string.
//
// Invalid bytes are replaced as decoders of the Web do it: one U+FFFD for the longest prefix of a
// sequence that could have gone on. A replacement can be longer than what it replaces, so a caller
// says how far the target may run ahead of the source; beyond that "?" takes its place, and a
// hostile text cannot become three times as long.
// Sources: RFC 8259 section 7; Unicode 16 table 3-7; WHATWG Encoding, "UTF-8 decoder".

import { QUOTE, hexDigit } from "./cursor.ts";

const BACKSLASH = 0x5c;
const QUESTION_MARK = 0x3f;
const LOWER_U = 0x75;
const REPLACEMENT = 0xfffd;
const REPLACEMENT_BYTES = 3;
const HIGH_SURROGATES = 0xd800;
const LOW_SURROGATES = 0xdc00;
const SURROGATES_END = 0xe000;

/** Where the last copy stopped. One thread. */
export const copied = {
  /** Offset in the source after what was read. */
  sourceEnd: 0,
  /** Offset in the target after what was written. */
  targetEnd: 0,
};
const stopped = copied;

/**
 * Copies the text of a JSON string, up to its closing quote or `end`; `copied` says where it
 * stopped, behind the quote. Never more bytes than it reads, but for replacements.
 * @param at first byte after the opening quote.
 * @param aheadMax target offset less source offset beyond which a replacement is one byte long.
 */
export function copyText(
  source: Uint8Array, at: number, end: number, target: Uint8Array, targetAt: number,
  aheadMax: number,
): void {
  let next = at;
  let to = targetAt;
  while (next < end) {
    const byte = source[next]!;
    if (byte > BACKSLASH && byte < 0x80) { // small letters, mostly
      target[to++] = byte;
      next++;
      continue;
    }
    if (byte === QUOTE) {
      stopped.sourceEnd = next + 1;
      stopped.targetEnd = to;
      return;
    }
    if (byte >= 0x80) {
      copyMultibyte(source, next, end, target, to, aheadMax);
    } else if (byte === BACKSLASH) {
      copyEscape(source, next + 1, end, target, to);
    } else {
      target[to++] = byte;
      next++;
      continue;
    }
    next = stopped.sourceEnd;
    to = stopped.targetEnd;
  }
  stopped.sourceEnd = end;
  stopped.targetEnd = to;
}

/** Copies bytes that are no string, as they stand; quotes and backslashes mean nothing. */
export function copyPlain(
  source: Uint8Array, at: number, end: number, target: Uint8Array, targetAt: number,
  aheadMax: number,
): void {
  let next = at;
  let to = targetAt;
  while (next < end) {
    const byte = source[next]!;
    if (byte < 0x80) {
      target[to++] = byte;
      next++;
    } else {
      copyMultibyte(source, next, end, target, to, aheadMax);
      next = stopped.sourceEnd;
      to = stopped.targetEnd;
    }
  }
  stopped.sourceEnd = end;
  stopped.targetEnd = to;
}

/** Copies one character of several bytes, or replaces what begins like one. */
function copyMultibyte(
  source: Uint8Array, at: number, end: number, target: Uint8Array, targetAt: number,
  aheadMax: number,
): void {
  const first = source[at]!;
  const wanted = sequenceBytes(first);
  let count = 1;
  while (count < wanted && at + count < end && continues(first, count, source[at + count]!)) {
    count++;
  }
  stopped.sourceEnd = at + count;
  if (count === wanted) {
    for (let byte = 0; byte < count; byte++) target[targetAt + byte] = source[at + byte]!;
    stopped.targetEnd = targetAt + count;
  } else if (count < REPLACEMENT_BYTES && targetAt - at > aheadMax) {
    target[targetAt] = QUESTION_MARK;
    stopped.targetEnd = targetAt + 1;
  } else {
    writeCharacter(target, targetAt, REPLACEMENT);
  }
}

/** Bytes of the character that begins with `first`; 9 when none does, which no sequence reaches. */
function sequenceBytes(first: number): number {
  if (first < 0xc2) return 9;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 9;
}

/** True when `byte` may stand at `place` of the sequence that begins with `first`. */
function continues(first: number, place: number, byte: number): boolean {
  if (first < 0xc2 || first > 0xf4) return false;
  if (place === 1) {
    if (first === 0xe0) return byte >= 0xa0 && byte <= 0xbf;
    if (first === 0xed) return byte >= 0x80 && byte <= 0x9f;
    if (first === 0xf0) return byte >= 0x90 && byte <= 0xbf;
    if (first === 0xf4) return byte >= 0x80 && byte <= 0x8f;
  }
  return byte >= 0x80 && byte <= 0xbf;
}

/** Resolves the escape whose backslash lies before `at`; an unknown one stands for itself. */
function copyEscape(
  source: Uint8Array, at: number, end: number, target: Uint8Array, targetAt: number,
): void {
  if (at >= end) {
    stopped.sourceEnd = end;
    stopped.targetEnd = targetAt;
    return;
  }
  const byte = source[at]!;
  if (byte === LOWER_U) {
    copyCodeUnit(source, at + 1, end, target, targetAt);
  } else if (byte >= 0x80) {
    // No JSON at all: the byte is read again as text of its own.
    stopped.sourceEnd = at;
    stopped.targetEnd = targetAt;
  } else {
    target[targetAt] = escapedByte(byte);
    stopped.sourceEnd = at + 1;
    stopped.targetEnd = targetAt + 1;
  }
}

function escapedByte(byte: number): number {
  switch (byte) {
    case 0x62: return 0x08; // \b
    case 0x66: return 0x0c; // \f
    case 0x6e: return 0x0a; // \n
    case 0x72: return 0x0d; // \r
    case 0x74: return 0x09; // \t
    default: return byte;
  }
}

/** Resolves \uXXXX, two of them when they are a pair; `at` is the first digit. */
function copyCodeUnit(
  source: Uint8Array, at: number, end: number, target: Uint8Array, targetAt: number,
): void {
  const unit = codeUnit(source, at, end);
  if (unit < 0) {
    // No JSON: nothing is known of how long it was meant to be.
    stopped.sourceEnd = at;
    stopped.targetEnd = targetAt;
    return;
  }
  stopped.sourceEnd = at + 4;
  if (unit < HIGH_SURROGATES || unit >= SURROGATES_END) {
    writeCharacter(target, targetAt, unit);
    return;
  }
  const low = unit < LOW_SURROGATES && at + 6 <= end && source[at + 4] === BACKSLASH
    && source[at + 5] === LOWER_U ? codeUnit(source, at + 6, end) : -1;
  if (low < LOW_SURROGATES || low >= SURROGATES_END) {
    writeCharacter(target, targetAt, REPLACEMENT);
    return;
  }
  writeCharacter(
    target, targetAt, 0x1_0000 + ((unit - HIGH_SURROGATES) << 10) + (low - LOW_SURROGATES),
  );
  stopped.sourceEnd = at + 10;
}

/** The number of four hexadecimal digits, -1 when there are not four. */
function codeUnit(source: Uint8Array, at: number, end: number): number {
  if (end - at < 4) return -1;
  let unit = 0;
  for (let digit = at; digit < at + 4; digit++) {
    const value = hexDigit(source[digit]!);
    if (value < 0) return -1;
    unit = (unit << 4) | value;
  }
  return unit;
}

function writeCharacter(target: Uint8Array, at: number, character: number): void {
  let next = at;
  if (character < 0x80) {
    target[next++] = character;
  } else if (character < 0x800) {
    target[next++] = 0xc0 | (character >> 6);
    target[next++] = 0x80 | (character & 0x3f);
  } else {
    if (character < 0x1_0000) {
      target[next++] = 0xe0 | (character >> 12);
    } else {
      target[next++] = 0xf0 | (character >> 18);
      target[next++] = 0x80 | ((character >> 12) & 0x3f);
    }
    target[next++] = 0x80 | ((character >> 6) & 0x3f);
    target[next++] = 0x80 | (character & 0x3f);
  }
  stopped.targetEnd = next;
}
