// Exports a DecisionMemory in batches of bounded size, so that the lane can write what is
// remembered into the open log generation before an old one is removed. One sweep, begun after a
// generation was sealed and finished, carries everything whose only trace on disk may be in that
// generation or an older one:
//
// - full entries are visited by number; none ever changes its number;
// - one that grows old before its visit becomes a fingerprint at the young end of the ring, and the
//   ring is visited after the full entries, up to its end;
// - a fingerprint whose trace is decided again moves to the young end too;
// - what is remembered or merged after the sweep began is logged as a decision anyway, after the
//   seal.
//
// What the ring evicts meanwhile is not carried: it is forgotten, and counted.
//
// A sweep for some shards only visits the same and leaves out the rest: both kinds of entries say
// their shard, and it never changes, so all of this holds for the wanted ones.

import { assert } from "../base/assert.ts";
import { SHARDS, shardOf } from "../hash/shard-of.ts";
import { shardOfFingerprint, type DecisionMemory } from "./decision-memory.ts";
import {
  BATCH_ENTRIES_MAX, BATCH_FINGERPRINTS, BATCH_FULL, BATCH_HEADER_WORDS, BATCH_VERSION,
  FINGERPRINT_CHECK, FINGERPRINT_HASH, FINGERPRINT_MASKS, FINGERPRINT_WORDS, MEMORY_CHANGE,
  MEMORY_SINCE_MS, MEMORY_WORDS,
} from "./memory-layout.ts";

/** Entries looked at in one slice, exported or not: below 1 ms of a lane's time. */
const VISITS_MAX = 16_384;
const CHANGES_TOLD_APART = 2 ** 31;

/** A point in a memory's life, for exporting what changed after it. */
export interface MemoryMark {
  readonly changes: number;
  readonly fingerprints: number;
}

/** Everything that changes from now on will be younger than the mark. */
export function markMemory(memory: DecisionMemory): MemoryMark {
  return { changes: memory.changes, fingerprints: memory.fingerprints.appended };
}

/** One walk over a memory at a time; any number of sweeps may go over the same memory. */
export class MemorySweep {
  readonly memory: DecisionMemory;
  /** False from `exportAll` or `exportSince` until `slice` has come to the end. */
  done = true;
  firstChange = 0;
  everyChange = true;
  nextEntry = 1;
  lastEntry = 0;
  nextFingerprint = 0;
  /** By shard: 0 = left out. Null = everything is exported. */
  wanted: Uint8Array | null = null;

  constructor(memory: DecisionMemory) {
    this.memory = memory;
  }

  /**
   * Begins a sweep over everything remembered; one in progress is given up.
   * @param wanted SHARDS flags: 0 = left out; null = everything is exported. Borrowed and not to
   * be changed until the sweep is done.
   */
  exportAll(wanted: Uint8Array | null = null): void {
    this.begin(0, true, 0, wanted);
  }

  /** Begins a sweep over what was remembered, merged or loaded after the mark, and maybe more. */
  exportSince(mark: MemoryMark): void {
    const tooOld = this.memory.changes - mark.changes >= CHANGES_TOLD_APART;
    this.begin(mark.changes + 1, tooOld, mark.fingerprints);
  }

  begin(
    firstChange: number, everyChange: boolean, firstFingerprint: number,
    wanted: Uint8Array | null = null,
  ): void {
    assert(wanted === null || wanted.length === SHARDS, "there is a flag for each shard");
    this.wanted = wanted;
    this.firstChange = firstChange;
    this.everyChange = everyChange;
    this.nextEntry = 1;
    this.lastEntry = this.memory.full.touched;
    this.nextFingerprint = firstFingerprint;
    this.done = false;
  }

  /**
   * Writes the next batch to `target[at..]` and answers its words, at most `wordsMax`; 0 when this
   * slice found nothing to export. Go on until `done`. It ends when a slice holds more fingerprints
   * than grow old between two slices.
   */
  slice(target: Uint32Array, at: number, wordsMax: number): number {
    assert(wordsMax >= BATCH_HEADER_WORDS + MEMORY_WORDS, "a batch has room for an entry");
    assert(at + wordsMax <= target.length, "a batch fits its target");
    if (this.done) return 0;
    if (this.nextEntry <= this.lastEntry) return this.sliceFull(target, at, wordsMax);
    return this.sliceFingerprints(target, at, wordsMax);
  }

  sliceFull(target: Uint32Array, at: number, wordsMax: number): number {
    const full = this.memory.full;
    const words = full.words;
    const wanted = this.wanted;
    const room = entriesThatFit(wordsMax, MEMORY_WORDS);
    const visitEnd = Math.min(this.lastEntry + 1, this.nextEntry + VISITS_MAX);
    let to = at + BATCH_HEADER_WORDS;
    let count = 0;
    let entry = this.nextEntry;
    for (; entry < visitEnd && count < room; entry++) {
      const from = entry * MEMORY_WORDS;
      if (!full.isLive(entry)) continue;
      const sinceFirst = (words[from + MEMORY_CHANGE]! - this.firstChange) | 0;
      if (!this.everyChange && sinceFirst < 0) continue;
      if (wanted !== null && wanted[shardOf(words, from)] === 0) continue;
      for (let word = 0; word < MEMORY_SINCE_MS; word++) target[to + word] = words[from + word]!;
      for (let word = MEMORY_SINCE_MS; word < MEMORY_WORDS; word++) target[to + word] = 0;
      to += MEMORY_WORDS;
      count++;
    }
    this.nextEntry = entry;
    return this.finishBatch(target, at, BATCH_FULL, count, to);
  }

  sliceFingerprints(target: Uint32Array, at: number, wordsMax: number): number {
    const ring = this.memory.fingerprints;
    const words = ring.words;
    const wanted = this.wanted;
    const room = entriesThatFit(wordsMax, FINGERPRINT_WORDS);
    let sequence = Math.max(this.nextFingerprint, ring.oldestSequence());
    const visitEnd = Math.min(ring.appended, sequence + VISITS_MAX);
    let to = at + BATCH_HEADER_WORDS;
    let count = 0;
    for (; sequence < visitEnd && count < room; sequence++) {
      const from = ring.entryOf(sequence) * FINGERPRINT_WORDS;
      if (words[from + FINGERPRINT_MASKS] === 0) continue;
      const check = words[from + FINGERPRINT_CHECK]!;
      if (wanted !== null && wanted[shardOfFingerprint(check)] === 0) continue;
      target[to + FINGERPRINT_HASH] = words[from + FINGERPRINT_HASH]!;
      target[to + FINGERPRINT_CHECK] = check;
      target[to + FINGERPRINT_MASKS] = words[from + FINGERPRINT_MASKS]!;
      to += FINGERPRINT_WORDS;
      count++;
    }
    this.nextFingerprint = sequence;
    this.done = sequence >= ring.appended;
    return this.finishBatch(target, at, BATCH_FINGERPRINTS, count, to);
  }

  finishBatch(target: Uint32Array, at: number, kind: number, count: number, end: number): number {
    if (count === 0) return 0;
    target[at] = kind | (BATCH_VERSION << 8) | (count << 16);
    target[at + 1] = this.memory.seedProof;
    return end - at;
  }
}

function entriesThatFit(wordsMax: number, entryWords: number): number {
  return Math.min(Math.floor((wordsMax - BATCH_HEADER_WORDS) / entryWords), BATCH_ENTRIES_MAX);
}
