// JSON numbers as exact 64-bit integers in two halves: times and integers of 19 digits do not fit a
// float64. Any form of the grammar is read by its value: 5, 5.0, 50e-1 and 0.5e1 are the same.

import { endOfNumber } from "./cursor.ts";

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const TWO_32 = 4_294_967_296;

/** Words of `decimal`: what the last readDecimal() found. */
export const DECIMAL_HIGH = 0;
export const DECIMAL_LOW = 1;
/** Bits of DECIMAL_ below. */
export const DECIMAL_FORM = 2;
/** Magnitude of the last number, cut to an integer, and bits about it. One thread. */
export const decimal = new Uint32Array(3);

/** Less than zero; -0 is not. */
export const DECIMAL_NEGATIVE = 1;
/** It is no integer: digits other than 0 were cut. */
export const DECIMAL_FRACTION = 2;
/** The magnitude does not fit 64 bits; its halves mean nothing. */
export const DECIMAL_HUGE = 4;

const HIGH = DECIMAL_HIGH;
const LOW = DECIMAL_LOW;
const FORM = DECIMAL_FORM;

// Four digits in a word, the first in the lowest byte.
const ZEROS = 0x30303030;
/** Added to a byte above 9 it sets the top bit. */
const ABOVE_NINE = 0x76767676;
const TOPS = 0x80808080 | 0;
/** Digits that are read eight at a time, at most. */
const EIGHTS_DIGITS = 16;
/** Digits that always fit 64 bits; after eights there are at most seven. */
const SAFE_DIGITS = 19;
const UNIT = 1 / TWO_32;
/** A larger exponent acts like this one: no payload has as many digits. */
const EXPONENT_MAX = 1 << 29;

/**
 * Reads the number that begins at `at` into `decimal`.
 * @param view of the same memory as `bytes`, offset by offset.
 * @returns the offset after it, or a scan code with its sign changed.
 */
export function readDecimal(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  let next = at;
  let low = 0;
  let about = 0;
  const eightsEnd = Math.min(end - 7, at + EIGHTS_DIGITS);
  while (next < eightsEnd) {
    const first = view.getInt32(next, true) ^ ZEROS;
    const second = view.getInt32(next + 4, true) ^ ZEROS;
    const strange = (first + ABOVE_NINE) | first | (second + ABOVE_NINE) | second;
    if ((strange & TOPS) !== 0) break;
    const eight = Math.imul(fourDigits(first), 10_000) + fourDigits(second);
    low = (Math.imul(low, 100_000_000) + eight) | 0;
    about = about * 100_000_000 + eight;
    next += 8;
  }
  let rest = 0;
  let power = 1;
  const tailEnd = Math.min(end, at + SAFE_DIGITS);
  while (next < tailEnd) {
    const digit = bytes[next]! - ZERO;
    if (digit < 0 || digit > 9) break;
    rest = Math.imul(rest, 10) + digit;
    power = Math.imul(power, 10);
    next++;
  }
  const isPlain = next > at && (bytes[at] !== ZERO || next === at + 1);
  if (!isPlain || (next < end && continuesNumber(bytes[next]!))) {
    return readAnyDecimal(bytes, at, end);
  }
  // The low half is exact; `about` is off by far less than half of the high half's unit.
  low = (Math.imul(low, power) + rest) | 0;
  about = about * power + rest;
  decimal[LOW] = low;
  decimal[HIGH] = Math.floor((about - (low >>> 0)) * UNIT + 0.5);
  decimal[FORM] = 0;
  return next;
}

/** Value of four bytes below ten, the first in the lowest. */
function fourDigits(digits: number): number {
  const pairs = Math.imul(digits, 10) + (digits >>> 8);
  return Math.imul(pairs & 0xff, 100) + ((pairs >>> 16) & 0xff);
}

function continuesNumber(byte: number): boolean {
  return (byte >= ZERO && byte <= NINE) || byte === POINT || (byte | 0x20) === 0x65;
}

/** Any number of the grammar, digit by digit. */
function readAnyDecimal(bytes: Uint8Array, at: number, end: number): number {
  const after = endOfNumber(bytes, at, end);
  if (after < 0) return after;
  decimal[HIGH] = 0;
  decimal[LOW] = 0;
  decimal[FORM] = 0;
  const digitsAt = bytes[at] === MINUS ? at + 1 : at;
  let pointAt = digitsAt;
  while (pointAt < after && isDigit(bytes[pointAt]!)) pointAt++;
  let digitsEnd = pointAt;
  if (pointAt < after && bytes[pointAt] === POINT) {
    digitsEnd++;
    while (digitsEnd < after && isDigit(bytes[digitsEnd]!)) digitsEnd++;
  }
  let left = pointAt - digitsAt + readExponent(bytes, digitsEnd, after);
  for (let next = digitsAt; next < digitsEnd; next++) {
    if (next === pointAt) continue;
    const digit = bytes[next]! - ZERO;
    if (left > 0) appendDigit(digit);
    else if (digit !== 0) decimal[FORM] = decimal[FORM]! | DECIMAL_FRACTION;
    left--;
  }
  const isSome = (decimal[HIGH]! | decimal[LOW]!) !== 0;
  while (isSome && left > 0 && (decimal[FORM]! & DECIMAL_HUGE) === 0) {
    appendDigit(0);
    left--;
  }
  const isZero = (decimal[HIGH]! | decimal[LOW]! | decimal[FORM]!) === 0;
  if (bytes[at] === MINUS && !isZero) decimal[FORM] = decimal[FORM]! | DECIMAL_NEGATIVE;
  return after;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

/** The exponent written in bytes[at, end), which begins with an e when there is one. */
function readExponent(bytes: Uint8Array, at: number, end: number): number {
  if (at === end) return 0;
  const isNegative = bytes[at + 1] === MINUS;
  let exponent = 0;
  for (let next = at + 1; next < end; next++) {
    if (!isDigit(bytes[next]!)) continue;
    exponent = Math.min(exponent * 10 + bytes[next]! - ZERO, EXPONENT_MAX);
  }
  return isNegative ? -exponent : exponent;
}

function appendDigit(digit: number): void {
  if ((decimal[FORM]! & DECIMAL_HUGE) !== 0) return;
  const low = decimal[LOW]! * 10 + digit;
  const high = decimal[HIGH]! * 10 + Math.floor(low / TWO_32);
  decimal[LOW] = low % TWO_32;
  decimal[HIGH] = high % TWO_32;
  if (high >= TWO_32) decimal[FORM] = decimal[FORM]! | DECIMAL_HUGE;
}
