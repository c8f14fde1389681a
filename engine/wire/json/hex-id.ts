// Trace and span ids as hexadecimal digits of either case, four at a time.

/** What an id is, besides its size. */
export const ID_VALID = 1;
export const ID_ZERO = 0;
export const ID_NOT_HEX = -1;

// Four digits in a word, the first in the lowest byte. Letters are the bytes with bit 6; they are
// read in lower case.
const BITS_6 = 0x40404040;
const ONES = 0x01010101;
const ZEROS = 0x30303030;
/** From "0" to "a". */
const LETTERS = 0x31;
/** Takes 9 to 15; takes 5 there with four more, for letters. */
const ROOM = 0x06060606;
const LETTER_ROOM_SHIFT = 2;
const ABOVE_DIGIT = 0xf0f0f0f0 | 0;

const WORD_DIGITS = 8;
export const TRACE_ID_DIGITS = 32;
export const SPAN_ID_DIGITS = 16;
const padded = new Uint8Array(TRACE_ID_DIGITS);
const paddedView = new DataView(padded.buffer);

/**
 * Reads the 32 digits at `at` into four words.
 * @returns ID_VALID, ID_ZERO or ID_NOT_HEX; the words mean nothing when it is no id.
 */
export function readTraceId(
  view: DataView, at: number, words: Uint32Array, wordAt: number,
): number {
  let strange = 0;
  let some = 0;
  for (let word = 0; word < 4; word++) {
    const from = at + word * WORD_DIGITS;
    let value = 0;
    for (let half = 0; half < WORD_DIGITS; half += 4) {
      const text = view.getInt32(from + half, true);
      const letters = (text >>> 6) & ONES;
      const plain = (text | ((text & BITS_6) >>> 1)) - ZEROS - Math.imul(letters, LETTERS);
      strange |= plain | (plain + ROOM + (letters << LETTER_ROOM_SHIFT));
      const digits = plain + Math.imul(letters, 10);
      const pairs = (digits << 4) | (digits >>> 8);
      value = (value << 16) | ((pairs & 0xff) << 8) | ((pairs >>> 16) & 0xff);
    }
    words[wordAt + word] = value;
    some |= value;
  }
  if ((strange & ABOVE_DIGIT) !== 0) return ID_NOT_HEX;
  return some === 0 ? ID_ZERO : ID_VALID;
}

/** ID_VALID, ID_ZERO or ID_NOT_HEX for the 16 digits at `at`. */
export function checkSpanId(view: DataView, at: number): number {
  let strange = 0;
  let some = 0;
  for (let digit = 0; digit < SPAN_ID_DIGITS; digit += 4) {
    const text = view.getInt32(at + digit, true);
    const letters = (text >>> 6) & ONES;
    const plain = (text | ((text & BITS_6) >>> 1)) - ZEROS - Math.imul(letters, LETTERS);
    strange |= plain | (plain + ROOM + (letters << LETTER_ROOM_SHIFT));
    some |= plain | letters;
  }
  if ((strange & ABOVE_DIGIT) !== 0) return ID_NOT_HEX;
  return some === 0 ? ID_ZERO : ID_VALID;
}

/** As readTraceId() for digits of any number up to 32; zeros are put before them. */
export function readShortTraceId(
  bytes: Uint8Array, at: number, end: number, words: Uint32Array, wordAt: number,
): number {
  if (end - at > TRACE_ID_DIGITS) return ID_NOT_HEX;
  pad(bytes, at, end, TRACE_ID_DIGITS);
  return readTraceId(paddedView, 0, words, wordAt);
}

/** As checkSpanId() for digits of any number up to 16; none are ID_ZERO. */
export function checkShortSpanId(bytes: Uint8Array, at: number, end: number): number {
  if (end - at > SPAN_ID_DIGITS) return ID_NOT_HEX;
  pad(bytes, at, end, SPAN_ID_DIGITS);
  return checkSpanId(paddedView, 0);
}

function pad(bytes: Uint8Array, at: number, end: number, digits: number): void {
  const zeros = digits - (end - at);
  padded.fill(0x30, 0, zeros);
  for (let offset = 0; offset < end - at; offset++) padded[zeros + offset] = bytes[at + offset]!;
}
