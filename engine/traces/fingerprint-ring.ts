// Decisions of which only a fingerprint is left: a ring of FINGERPRINT_WORDS entries and an index,
// under a byte budget. The newest takes the place of the oldest, one at a time: memory is used
// whole, age is exact, a lookup is one walk, and nothing is ever cleared or rotated at once.
//
// Two traces with equal fingerprints are of one shard and share 52 bits of seeded hash, which
// nobody outside can choose. With 8 million entries spread over all shards a new trace meets one
// once in two trillion; where all are of its own shard, because somebody chose them so, once in 500
// million.

import { assert } from "../base/assert.ts";
import { HashIndex, INDEX_NUMBERS_MAX } from "./hash-index.ts";
import {
  FINGERPRINT_CHECK, FINGERPRINT_HASH, FINGERPRINT_MASKS, FINGERPRINT_WORDS,
} from "./memory-layout.ts";

const INDEX_LOAD = 0.7;
/** 12 bytes of entry and 5.7 of index. */
const ENTRY_BYTES = FINGERPRINT_WORDS * 4 + 4 / INDEX_LOAD;

/** Ring of one DecisionMemory, which alone uses it. Entry 0 does not exist. */
export class FingerprintRing {
  readonly entriesMax: number;
  readonly words: Uint32Array;
  readonly index: HashIndex;
  count = 0;
  /** Fingerprints ever appended: the sequence number of the next one. */
  appended = 0;
  nextEntry = 1;
  /** Fingerprints that made room for younger ones, or found no slot in the index. */
  evictedTotal = 0;

  /** @param bytesMax budget of entries and index together, rounded down; at least one entry. */
  constructor(bytesMax: number) {
    const fixedBytes = HashIndex.bytesFor(1, INDEX_LOAD);
    const entries = Math.floor((bytesMax - fixedBytes) / ENTRY_BYTES);
    this.entriesMax = Math.min(Math.max(entries, 1), INDEX_NUMBERS_MAX);
    this.words = new Uint32Array((this.entriesMax + 1) * FINGERPRINT_WORDS);
    this.index = new HashIndex(this.entriesMax, INDEX_LOAD);
  }

  /** The entry with this fingerprint (hashes as i32), 0 = none. */
  find(hash: number, check: number): number {
    const own = this.words;
    const index = this.index;
    let entry = index.first(hash);
    while (entry !== 0) {
      const at = entry * FINGERPRINT_WORDS;
      const sameCheck = (own[at + FINGERPRINT_CHECK]! | 0) === check;
      if (sameCheck && (own[at + FINGERPRINT_HASH]! | 0) === hash) return entry;
      entry = index.next();
    }
    return 0;
  }

  masksOf(entry: number): number {
    return this.words[entry * FINGERPRINT_WORDS + FINGERPRINT_MASKS]!;
  }

  /** Remembers these masks as the newest, merged with an older entry of the same hashes (i32). */
  put(hash: number, check: number, masks: number): void {
    assert(masks !== 0, "a decision decides something: 0 marks an absent entry");
    const older = this.find(hash, check);
    const merged = older === 0 ? masks : (masks | this.take(older, hash)) >>> 0;
    const entry = this.nextEntry;
    const at = entry * FINGERPRINT_WORDS;
    const own = this.words;
    if (own[at + FINGERPRINT_MASKS] !== 0) {
      this.take(entry, own[at + FINGERPRINT_HASH]! | 0);
      this.evictedTotal++;
    }
    if (!this.index.insert(hash, entry)) {
      this.evictedTotal++;
      return;
    }
    own[at + FINGERPRINT_HASH] = hash;
    own[at + FINGERPRINT_CHECK] = check;
    own[at + FINGERPRINT_MASKS] = merged;
    this.count++;
    this.appended++;
    this.nextEntry = entry === this.entriesMax ? 1 : entry + 1;
  }

  /** Takes an entry out and answers its masks; its place in the ring stays empty until its turn. */
  take(entry: number, hash: number): number {
    const at = entry * FINGERPRINT_WORDS;
    const masks = this.words[at + FINGERPRINT_MASKS]!;
    assert(masks !== 0, "only a present entry is taken");
    this.index.remove(hash, entry);
    this.words[at + FINGERPRINT_MASKS] = 0;
    this.count--;
    return masks;
  }

  /** Lowest sequence number whose place has not been reused. */
  oldestSequence(): number {
    return Math.max(0, this.appended - this.entriesMax);
  }

  /** Entry of a sequence number from `oldestSequence()` to `appended - 1`. */
  entryOf(sequence: number): number {
    assert(sequence >= this.oldestSequence(), "the entry has not been overwritten");
    assert(sequence < this.appended, "the entry has been appended");
    return (sequence % this.entriesMax) + 1;
  }

  bytes(): number {
    return this.words.byteLength + this.index.bytes();
  }
}
