// The `probabilistic` policy's arithmetic, bit for bit that of OpenTelemetry: a trace that a
// Collector with the same salt and percentage keeps is kept here.
//
//   hash = FNV-1a, 64 bits, over the salt's UTF-8 bytes and then the 16 bytes of the trace id
//   keep = hash <= threshold
//
// Source: opentelemetry-collector-contrib,
// tailsamplingprocessor/internal/sampling/probabilistic.go; FNV specification (draft-eastlake-fnv).
// 64-bit values are two halves; BigInt only at compile time.

/** Used by OpenTelemetry when `hash_salt` is empty. */
export const DEFAULT_HASH_SALT = "default-hash-seed";

const OFFSET_BASIS = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const PRIME_LOW = 0x1b3; // the prime is 2^40 + 0x1b3
const WORD_BITS = 32n;
const U64_MAX = 2n ** 64n - 1n;
const FRACTION_BITS = 52n;
const EXPONENT_BIAS = 1_023n;

/** FNV-1a state after the salt: every trace's hash starts from here. */
export function saltState(salt: string): bigint {
  let state = OFFSET_BASIS;
  for (const byte of Buffer.from(salt, "utf8")) state = ((state ^ BigInt(byte)) * PRIME) & U64_MAX;
  return state;
}

/**
 * Largest hash that is kept: floor((2^64 - 1) * (percentage / 100)), exact, with the ratio as the
 * float64 that the division gives. The Collector multiplies in a big.Float of 64 bits, which never
 * rounds across an integer: ratio * 2^64 has 53 significant bits, so it lies on the grid of 64-bit
 * floats of its size, and the ratio taken off it is between half a step and a step of that grid.
 */
export function keepThreshold(percentage: number): bigint {
  const ratio = percentage / 100;
  if (!(ratio > 0)) return 0n;
  if (ratio >= 1) return U64_MAX;
  const float = new DataView(new ArrayBuffer(8));
  float.setFloat64(0, ratio);
  const bits = float.getBigUint64(0);
  const biased = (bits >> FRACTION_BITS) & 0x7ffn; // the sign is 0
  const fraction = bits & ((1n << FRACTION_BITS) - 1n);
  const mantissa = biased === 0n ? fraction : fraction | (1n << FRACTION_BITS);
  const shift = EXPONENT_BIAS + FRACTION_BITS - (biased === 0n ? 1n : biased);
  return (U64_MAX * mantissa) >> shift;
}

/** High half of a 64-bit value as a signed word. */
export function highWord(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> WORD_BITS));
}

/** Low half of a 64-bit value as a signed word. */
export function lowWord(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

/**
 * Whether the trace id at words[at .. at + 4) hashes to at most the threshold. Allocates nothing.
 * The four 64-bit halves are signed words.
 * @returns 1 keep, 0 not.
 */
export function passesThreshold(
  words: Uint32Array, at: number,
  saltHigh: number, saltLow: number, thresholdHigh: number, thresholdLow: number,
): number {
  let high = saltHigh | 0;
  let low = saltLow | 0;
  for (let index = at; index < at + 4; index++) {
    const word = words[index]! | 0; // big-endian: its first byte is the highest
    for (let shift = 24; shift >= 0; shift -= 8) {
      low ^= (word >>> shift) & 0xff;
      // 64-bit times 2^40 + 0x1b3; the low half in two 16-bit steps so that nothing leaves 32 bits
      const first = (low & 0xffff) * PRIME_LOW;
      const second = (low >>> 16) * PRIME_LOW + (first >>> 16);
      high = (Math.imul(high, PRIME_LOW) + (second >>> 16) + (low << 8)) | 0;
      low = (second << 16) | (first & 0xffff);
    }
  }
  const hashHigh = high >>> 0;
  const limitHigh = thresholdHigh >>> 0;
  if (hashHigh !== limitHigh) return hashHigh < limitHigh ? 1 : 0;
  return low >>> 0 <= thresholdLow >>> 0 ? 1 : 0;
}
