// Which shard a trace belongs to. Every member, every version and every run must answer the same,
// so nothing here may change: MurmurHash3 (x86, 32-bit, seed 0) with the id's four big-endian words
// as its blocks, and of that the high 12 bits. Unseeded on purpose, and unrelated to the table
// hash: a table that holds only its own shards would otherwise use only some of its slots.
// Source: Appleby, MurmurHash3.cpp.

/** Slices of the trace id space; each has one owner. Never changes. */
export const SHARDS = 4096;

const SHARD_SHIFT = 20;
const BLOCK_MULTIPLIER_1 = 0xcc9e2d51;
const BLOCK_MULTIPLIER_2 = 0x1b873593;
const ID_BYTES = 16;

/** Shard of the trace id in `words[at..at+3]`: 0..4095. */
export function shardOf(words: Uint32Array, at: number): number {
  return stableHash(words, at) >>> SHARD_SHIFT;
}

/** Shares are halves of halves, down to one in 65,536. */
export const SHARE_LEVEL_MAX = 16;

/**
 * Whether the trace at `words[at..at+3]` is of the one in 2^level that everybody agrees on. Who is
 * in at a level is in at all lower ones. Unrelated to its shard: of other bits of the same hash.
 */
export function isInShare(words: Uint32Array, at: number, level: number): boolean {
  return (stableHash(words, at) & ((1 << level) - 1)) === 0;
}

/** All 32 bits, as i32. */
function stableHash(words: Uint32Array, at: number): number {
  let hash = 0;
  for (let word = 0; word < 4; word++) {
    let block = Math.imul(words[at + word]!, BLOCK_MULTIPLIER_1);
    block = (block << 15) | (block >>> 17);
    hash ^= Math.imul(block, BLOCK_MULTIPLIER_2);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= ID_BYTES;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
