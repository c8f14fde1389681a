// Checksum of the log's values: four interleaved polynomials over little-endian u32 words, mixed.
//
// Each word is multiplied by a power of an odd number, so a change of one word always changes the
// sum; other damage goes unseen once in four thousand million cases. In JavaScript this runs at
// twice the speed of zlib.crc32 (native-bench/log.bench.ts), and every byte is summed once when it
// is written and once when it is read for a forwarder.

const FACTOR = 0x9e3779b1 | 0; // an int32, or the sums would be doubles
const LANES = 4;

/**
 * Sum of bytes[at, end), `seed` included. `at` is a multiple of 4 counted from the memory's start.
 */
export function checksum(bytes: Uint8Array, at: number, end: number, seed: number): number {
  const count = (end - at) >>> 2;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, count);
  let a = seed | 0;
  let b = ~seed;
  let c = end - at;
  let d = FACTOR;
  const lanesEnd = count - (count % LANES);
  let index = 0;
  for (; index < lanesEnd; index += LANES) {
    a = (Math.imul(a, FACTOR) + words[index]!) | 0; // index + 3 < count
    b = (Math.imul(b, FACTOR) + words[index + 1]!) | 0;
    c = (Math.imul(c, FACTOR) + words[index + 2]!) | 0;
    d = (Math.imul(d, FACTOR) + words[index + 3]!) | 0;
  }
  for (; index < count; index++) a = (Math.imul(a, FACTOR) + words[index]!) | 0;
  for (let rest = at + count * 4; rest < end; rest++) b = (Math.imul(b, FACTOR) + bytes[rest]!) | 0;
  return mix(mix(mix(mix(a) ^ b) ^ c) ^ d) >>> 0;
}

/** Finaliser of MurmurHash3 (Appleby): a bijection, so nothing that differs becomes equal. */
function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
