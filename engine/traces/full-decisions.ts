// Recent decisions in full: entries of MEMORY_WORDS, found by trace id, in a queue from oldest to
// newest. Entries are given out from the bottom and reused last in, first out; the queue is linked
// through them. A ring would walk through all of its memory however few decisions are live.

import { assert } from "../base/assert.ts";
import { HashIndex, INDEX_NUMBERS_MAX } from "./hash-index.ts";
import { MEMORY_NEXT, MEMORY_SINCE_MS, MEMORY_WORDS } from "./memory-layout.ts";

/** Decisions that can be kept in full: their numbers fit the index. */
export const FULL_MAX = INDEX_NUMBERS_MAX;
const INDEX_LOAD = 0.7;

/** Store of one DecisionMemory, which alone uses it. Entry 0 does not exist. */
export class FullDecisions {
  readonly entriesMax: number;
  /** Entry e is `words[e * MEMORY_WORDS ..]`, in memory layout. */
  readonly words: Uint32Array;
  readonly index: HashIndex;
  count = 0;
  /** Highest entry ever given out. */
  touched = 0;
  free = 0;
  oldest = 0;
  newest = 0;

  constructor(entriesMax: number) {
    assert(entriesMax <= FULL_MAX, "entriesMax is within FULL_MAX");
    this.entriesMax = entriesMax;
    this.words = new Uint32Array((entriesMax + 1) * MEMORY_WORDS);
    this.index = new HashIndex(entriesMax, INDEX_LOAD);
  }

  static bytesFor(entriesMax: number): number {
    return (entriesMax + 1) * MEMORY_WORDS * 4 + HashIndex.bytesFor(entriesMax, INDEX_LOAD);
  }

  /** The entry of the trace whose id is at `words[at..at+3]`, 0 = none. Hashes are i32 here. */
  find(words: Uint32Array, at: number, hash: number): number {
    const own = this.words;
    const index = this.index;
    let entry = index.first(hash);
    while (entry !== 0) {
      const entryAt = entry * MEMORY_WORDS;
      if (own[entryAt + 3] === words[at + 3] && own[entryAt + 2] === words[at + 2]
        && own[entryAt + 1] === words[at + 1] && own[entryAt] === words[at]) return entry;
      entry = index.next();
    }
    return 0;
  }

  /** A copy of the entry at `words[at..]` as the newest; 0 when entries or index have no room. */
  append(words: Uint32Array, at: number, hash: number, sinceMs: number): number {
    const own = this.words;
    const entry = this.free === 0 ? this.touched + 1 : this.free;
    if (entry > this.entriesMax) return 0;
    if (!this.index.insert(hash, entry)) return 0;
    const entryAt = entry * MEMORY_WORDS;
    if (this.free === 0) this.touched = entry;
    else this.free = own[entryAt + MEMORY_NEXT]!;
    for (let word = 0; word < MEMORY_SINCE_MS; word++) own[entryAt + word] = words[at + word]!;
    own[entryAt + MEMORY_SINCE_MS] = sinceMs;
    own[entryAt + MEMORY_NEXT] = 0;
    if (this.newest === 0) this.oldest = entry;
    else own[this.newest * MEMORY_WORDS + MEMORY_NEXT] = entry;
    this.newest = entry;
    this.count++;
    return entry;
  }

  /** Forgets the oldest entry. */
  removeOldest(hash: number): void {
    const own = this.words;
    const entry = this.oldest;
    assert(entry !== 0, "there is an oldest entry");
    this.index.remove(hash, entry);
    const entryAt = entry * MEMORY_WORDS;
    this.oldest = own[entryAt + MEMORY_NEXT]!;
    if (this.oldest === 0) this.newest = 0;
    own[entryAt] = 0;
    own[entryAt + 1] = 0;
    own[entryAt + 2] = 0;
    own[entryAt + 3] = 0;
    own[entryAt + MEMORY_NEXT] = this.free;
    this.free = entry;
    this.count--;
    assert((this.count === 0) === (this.oldest === 0), "the queue ends where the count does");
  }

  /** Whether the entry number is in use: a trace id is never all zero. */
  isLive(entry: number): boolean {
    const own = this.words;
    const at = entry * MEMORY_WORDS;
    return (own[at]! | own[at + 1]! | own[at + 2]! | own[at + 3]!) !== 0;
  }

  bytes(): number {
    return this.words.byteLength + this.index.bytes();
  }
}
