// HalfSipHash-1-3 with a 32-bit answer over the 16 bytes of a trace id: the id's four big-endian
// words are the message words, the seed makes the key. A keyed hash and not a mixing function,
// because clients choose trace ids: with MurmurHash3 and its kind one can build ids that collide
// under every seed. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), and
// its reference implementation for the 32-bit variant.

const STATE_2 = 0x6c796765;
const STATE_3 = 0x74656462;
/** SipHash's last block: the message length in its top byte. */
const LENGTH_BLOCK = 16 << 24;
const FINISH = 0xff;
/** Half of the key is the seed, the other half is drawn from it by an odd multiplier. */
const KEY_MULTIPLIER = 0x9e3779b1;
const KEY_WHITENING = 0x85ebca77;

/**
 * Hash of the trace id in `words[at..at+3]`, all 32 bits equally good, as i32: a u32 would be put
 * on the heap at every call that is not inlined (bench trace-table). Mask it or `>>> 0` it. Tables
 * are keyed with a seed nobody outside the process knows, fingerprints with one that stays in the
 * data directory.
 */
export function hashTraceId(words: Uint32Array, at: number, seed: number): number {
  const otherKey = Math.imul(seed, KEY_MULTIPLIER) ^ KEY_WHITENING;
  let v0 = seed | 0;
  let v1 = otherKey;
  let v2 = STATE_2 ^ seed;
  let v3 = STATE_3 ^ otherKey;
  // Rounds 0..3 take in the id, 4 the length, 5..7 finish.
  for (let round = 0; round < 8; round++) {
    const message = round < 4 ? words[at + round]! | 0 : round === 4 ? LENGTH_BLOCK : 0;
    if (round === 5) v2 ^= FINISH;
    v3 ^= message;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= message;
  }
  return v1 ^ v3;
}
