// Numbers as text, to what protobuf holds: 64-bit integers exactly, in two halves, and doubles as
// JSON.parse would read them. Text made of digits is read without making a string of it.

/** What the last readInteger() found. One thread. */
export const integer = {
  negative: false,
  /** Low and high half of its absolute value. */
  halves: new Uint32Array(2),
};

const found = integer;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
/** Digits that may go below and above the split; 20 of them are 2^64. */
const LOW_DIGITS = 9;
const DIGITS_MAX = 20;
const LOW_SCALE = 1e9;
const U16 = 65_536;
const U32 = 4_294_967_296;
const U64 = 18_446_744_073_709_551_616;
/** Digits whose number a double holds exactly, and the powers of ten that it does. */
const EXACT_DIGITS_MAX = 15;
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
/** Longest number that is read with a point or an exponent: beyond it nobody means one. */
const TEXT_BYTES_MAX = 512;

/**
 * Reads bytes[at, end) into `integer`. Digits are exact; a number with a point or an exponent is
 * rounded to a double first, and what is behind the point is cut off when `truncates`.
 * @returns false when it is no number, not whole, or its absolute value does not fit 64 bits.
 */
export function readInteger(
  bytes: Uint8Array, at: number, end: number, truncates: boolean,
): boolean {
  const negative = at < end && bytes[at] === MINUS;
  const first = negative ? at + 1 : at;
  const digits = end - first;
  found.negative = negative;
  if (digits < 1 || digits > DIGITS_MAX) return readRounded(bytes, at, end, truncates);
  const split = Math.max(first, end - LOW_DIGITS);
  let upper = 0;
  let lower = 0;
  for (let next = first; next < end; next++) {
    const digit = bytes[next]! - ZERO;
    if (digit < 0 || digit > 9) return readRounded(bytes, at, end, truncates);
    if (next < split) upper = upper * 10 + digit; // 11 digits at most
    else lower = lower * 10 + digit;
  }
  return setHalves(upper, lower);
}

/** The double that bytes[at, end) says; NaN when it is no number. */
export function readDouble(bytes: Uint8Array, at: number, end: number): number {
  const negative = at < end && bytes[at] === MINUS;
  let mantissa = 0;
  let digits = 0;
  let scale = -1;
  let next = negative ? at + 1 : at;
  for (; next < end; next++) {
    const byte = bytes[next]!;
    if (byte === POINT && scale < 0) {
      scale = 0;
    } else if (byte >= ZERO && byte < ZERO + 10 && digits < EXACT_DIGITS_MAX) {
      mantissa = mantissa * 10 + byte - ZERO;
      digits++;
      if (scale >= 0) scale++;
    } else {
      break;
    }
  }
  // A point needs digits on both sides, and a 0 before other digits is no number: as text then.
  if (next < end || digits === 0 || scale === 0 || digits === scale || leads(bytes, at, end)) {
    return readNumberText(bytes, at, end);
  }
  // Both are exact, so their quotient is rounded once and right.
  const value = scale > 0 ? mantissa / POWERS_OF_TEN[scale]! : mantissa;
  return negative ? -value : value;
}

/** True when the number at `at` begins with a 0 that another digit follows. */
function leads(bytes: Uint8Array, at: number, end: number): boolean {
  const first = bytes[at] === MINUS ? at + 1 : at;
  return bytes[first] === ZERO && first + 1 < end && bytes[first + 1] !== POINT;
}

function readNumberText(bytes: Uint8Array, at: number, end: number): number {
  if (end - at > TEXT_BYTES_MAX) return Number.NaN;
  let text = "";
  for (let next = at; next < end; next++) text += String.fromCharCode(bytes[next]!);
  return NUMBER.test(text) ? Number(text) : Number.NaN;
}

function readRounded(bytes: Uint8Array, at: number, end: number, truncates: boolean): boolean {
  const value = Math.abs(readNumberText(bytes, at, end));
  const whole = Math.trunc(value);
  if (!(whole < U64) || (whole !== value && !truncates)) return false;
  const high = Math.floor(whole / U32);
  found.halves[1] = high;
  found.halves[0] = whole - high * U32;
  return true;
}

/** Sets the halves to high × 10^9 + low; every product below stays exact. */
function setHalves(high: number, low: number): boolean {
  const highUpper = Math.floor(high / U16);
  const upper = highUpper * LOW_SCALE; // × 2^16; below 2^51
  const lower = (high - highUpper * U16) * LOW_SCALE + low; // below 2^47
  const upperTop = Math.floor(upper / U16);
  const lowerTop = Math.floor(lower / U32);
  const lowSum = (upper - upperTop * U16) * U16 + (lower - lowerTop * U32);
  const carry = lowSum >= U32 ? 1 : 0;
  const highWord = upperTop + lowerTop + carry;
  if (highWord >= U32) return false;
  found.halves[0] = lowSum - carry * U32;
  found.halves[1] = highWord;
  return true;
}
