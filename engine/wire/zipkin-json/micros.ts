// Zipkin's microseconds as the nanoseconds of OTLP, exact to the last one.

import { takeInteger } from "../json/fields.ts";
import { integer } from "../json/number-text.ts";
import type { JsonReader } from "../json/reader.ts";

/** What the last takeMicros() found, and sums: low and high half. One thread. */
export const nanoseconds = new Uint32Array(2);

const numbers = nanoseconds;
const U32 = 4_294_967_296;
const NANOSECONDS_PER_MICROSECOND = 1000;

/**
 * Reads microseconds, cut off at the point, into `nanoseconds`.
 * @returns false when the value is no number, negative, or beyond 64 bits of nanoseconds.
 */
export function takeMicros(reader: JsonReader): boolean {
  if (!takeInteger(reader, true) || integer.negative) return false;
  const low = integer.halves[0]! * NANOSECONDS_PER_MICROSECOND; // both exact: below 2^42
  const carry = Math.floor(low / U32);
  const high = integer.halves[1]! * NANOSECONDS_PER_MICROSECOND + carry;
  if (high >= U32) return false;
  numbers[0] = low - carry * U32;
  numbers[1] = high;
  return true;
}

/** Adds to `nanoseconds`; what is beyond 64 bits becomes the last nanosecond there is. */
export function addNanoseconds(low: number, high: number): void {
  const lowSum = numbers[0]! + low;
  const carry = lowSum >= U32 ? 1 : 0;
  const highSum = numbers[1]! + high + carry;
  numbers[0] = highSum >= U32 ? U32 - 1 : lowSum - carry * U32;
  numbers[1] = Math.min(highSum, U32 - 1);
}
