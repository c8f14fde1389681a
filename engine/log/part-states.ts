// What is still to do for the parts of one generation. A part's state is one u32:
//   low 16 bits: samplers, by forwarder slot, that have not decided
//   high 16 bits: forwarders, by slot, that owe an acknowledgement         0 = settled
//
// Parts are numbered by record: the parts of the record at `entry` are firsts[entry] - 1 … +
// counts. Memory runs ahead of the log: a change counts at once here and is staged into the next
// commit. A commit that failed leaves the changes dirty, so they are staged again; records that
// were added in it are forgotten by rollBack(). That is sound as long as nothing else is told
// before the commit.
//
// One thread writes: the lane that holds the generation.

import { assert } from "../base/assert.ts";
import { PART_SPANS, PART_WORDS } from "../part/part-layout.ts";
import {
  STATES_CHANGED_ONLY, STATES_COUNT, STATES_ENTRY, STATES_GENERATION, STATES_HEADER_WORDS,
} from "./entry-layout.ts";
import type { WordWriter } from "./word-writer.ts";

/** Bits of the undecided samplers in a state. */
export const UNDECIDED_BITS = 0x0000_ffff;
/** Bits of the forwarders that owe an acknowledgement. */
export const OWED_BITS = 0xffff_0000;

const ENTRIES_FIRST = 256;
const PARTS_FIRST = 1024;
const SPANS_SATURATED = 0xffff;
/** (index, state) pairs under one header, so that any record fits values of the log. */
const PAIRS_MAX = 65_536;
// Flags of an entry.
const RECORD_DIRTY = 1;
const RECORD_LOGGED = 2;

const SPANS_AT = PART_SPANS;
const PART = PART_WORDS;

/** Expected sizes, so that a generation like the last one does not grow step by step. */
export interface PartStatesHint {
  readonly entries: number;
  readonly parts: number;
}

/** States of the parts of one generation. */
export class PartStates {
  readonly generation: number;
  readonly pairsMax: number;
  /** Parts with a state other than 0. */
  unsettledParts = 0;
  partCount = 0;
  recordCount = 0;
  /** Highest entry of a record; 0 without one. */
  lastEntry = 0;
  stateOfPart: Uint32Array;
  spansOfPart: Uint16Array;
  changedParts: Uint8Array;
  firsts: Uint32Array;
  counts: Uint32Array;
  flags: Uint8Array;
  /** Spans of parts with SPANS_SATURATED or more, by part number. */
  readonly manySpans = new Map<number, number>();
  /** Entries of the records whose changes are not committed, oldest first. */
  dirty: number[] = [];
  stagedCount = 0;
  markParts = 0;
  markRecords = 0;
  markEntry = 0;

  constructor(
    generation: number, hint: PartStatesHint = { entries: 0, parts: 0 }, pairsMax = PAIRS_MAX,
  ) {
    assert(pairsMax >= 1, "a run has at least one pair");
    this.generation = generation;
    this.pairsMax = pairsMax;
    const entries = Math.max(hint.entries, ENTRIES_FIRST);
    const parts = Math.max(hint.parts, PARTS_FIRST);
    this.stateOfPart = new Uint32Array(parts);
    this.spansOfPart = new Uint16Array(parts);
    this.changedParts = new Uint8Array(parts);
    this.firsts = new Uint32Array(entries);
    this.counts = new Uint32Array(entries);
    this.flags = new Uint8Array(entries);
  }

  /** Records with changes that no commit has. */
  get dirtyRecords(): number {
    return this.dirty.length;
  }

  /** Memory held now, for the memory budget. */
  bytes(): number {
    return this.stateOfPart.length * 7 + this.firsts.length * 9 + this.manySpans.size * 64
      + this.dirty.length * 8;
  }

  /**
   * Adds the record at `entry`, above all before it.
   * @param parts PART_WORDS each, for the spans of each part; borrowed until return.
   */
  addRecord(entry: number, parts: Uint32Array, count: number, initialState: number): void {
    const first = this.#addEntry(entry, count, initialState);
    for (let index = 0; index < count; index++) {
      this.#setSpans(first + index, parts[index * PART + SPANS_AT]!);
    }
  }

  /** The same at recovery, where the spans of each part are words of their own. */
  addRecovered(entry: number, spans: Uint32Array, at: number, count: number, state: number): void {
    const first = this.#addEntry(entry, count, state);
    for (let index = 0; index < count; index++) this.#setSpans(first + index, spans[at + index]!);
  }

  /** True when this generation has such a part. Numbers from outside are checked with it. */
  has(entry: number, index: number): boolean {
    return entry < this.counts.length && index < this.counts[entry]!;
  }

  /** Parts of the record at `entry`; 0 when there is none. */
  partsOf(entry: number): number {
    return entry < this.counts.length ? this.counts[entry]! : 0;
  }

  /** State of a part that exists. */
  state(entry: number, index: number): number {
    return this.stateOfPart[this.#partAt(entry, index)]!;
  }

  /** Spans of a part that exists. */
  spans(entry: number, index: number): number {
    const part = this.#partAt(entry, index);
    const spans = this.spansOfPart[part]!;
    return spans < SPANS_SATURATED ? spans : this.manySpans.get(part)!; // set with the mark
  }

  /** Gives a part a new state; staged into the next commit when it differs. */
  set(entry: number, index: number, state: number): void {
    const part = this.#partAt(entry, index);
    const before = this.stateOfPart[part]!;
    const after = state >>> 0;
    if (before === after) return;
    this.stateOfPart[part] = after;
    if (before === 0) this.unsettledParts++;
    if (after === 0) this.unsettledParts--;
    this.changedParts[part] = 1;
    const flags = this.flags[entry]!;
    if ((flags & RECORD_DIRTY) !== 0) return;
    this.flags[entry] = flags | RECORD_DIRTY;
    this.dirty.push(entry);
  }

  /** Clears bits of a part's state. @returns the state after it. */
  clear(entry: number, index: number, mask: number): number {
    const state = this.stateOfPart[this.#partAt(entry, index)]! & ~mask;
    this.set(entry, index, state);
    return state >>> 0;
  }

  /**
   * First record after `entry` with a part that has any bit of `mask`; 0 when there is none.
   * A walk over all records costs their parts once; resume with the entry answered.
   */
  nextRecord(entry: number, mask: number): number {
    if (this.unsettledParts === 0) return 0;
    for (let next = entry + 1; next <= this.lastEntry; next++) {
      const first = this.firsts[next]! - 1;
      const end = first + this.counts[next]!;
      for (let part = first; part < end; part++) {
        if ((this.stateOfPart[part]! & mask) !== 0) return next;
      }
    }
    return 0;
  }

  /** First part of the record from `index` on with any bit of `mask`; -1 when there is none. */
  nextPart(entry: number, index: number, mask: number): number {
    const count = this.partsOf(entry);
    for (let next = index; next < count; next++) {
      if ((this.stateOfPart[this.firsts[entry]! - 1 + next]! & mask) !== 0) return next;
    }
    return -1;
  }

  /** Settles everything. @returns the spans of the parts that were not settled. */
  abandon(): number {
    let spans = 0;
    for (let entry = this.nextRecord(0, -1); entry !== 0; entry = this.nextRecord(entry, -1)) {
      for (let index = this.nextPart(entry, 0, -1); index >= 0;
        index = this.nextPart(entry, index + 1, -1)) {
        spans += this.spans(entry, index);
        this.set(entry, index, 0);
      }
    }
    return spans;
  }

  /** Remembers where a transaction begins. */
  mark(): void {
    this.markParts = this.partCount;
    this.markRecords = this.recordCount;
    this.markEntry = this.lastEntry;
  }

  /** True when a record was added since mark(). */
  addedSinceMark(): boolean {
    return this.recordCount !== this.markRecords;
  }

  /** The commit of what stageDirty() wrote failed: it stays dirty. */
  unstage(): void {
    this.stagedCount = 0;
  }

  /** Forgets the records added since mark(), and their changes. Those of older ones stay dirty. */
  rollBack(): void {
    this.stagedCount = 0;
    if (this.recordCount === this.markRecords) return;
    for (let part = this.markParts; part < this.partCount; part++) {
      if (this.stateOfPart[part] !== 0) this.unsettledParts--;
      this.stateOfPart[part] = 0;
      this.changedParts[part] = 0;
      this.manySpans.delete(part);
    }
    for (let entry = this.markEntry + 1; entry <= this.lastEntry; entry++) {
      this.firsts[entry] = 0;
      this.counts[entry] = 0;
      this.flags[entry] = 0;
    }
    this.dirty = this.dirty.filter((entry) => entry <= this.markEntry);
    this.partCount = this.markParts;
    this.recordCount = this.markRecords;
    this.lastEntry = this.markEntry;
  }

  /** Writes the changes of the dirty records. They stay dirty until committed(). */
  stageDirty(writer: WordWriter): void {
    for (const entry of this.dirty) this.#stageRecord(entry, writer);
    this.stagedCount = this.dirty.length;
  }

  /** What stageDirty() wrote is safe. */
  committed(): void {
    if (this.stagedCount === 0) return;
    assert(this.stagedCount === this.dirty.length, "no state changes while a commit runs");
    this.stagedCount = 0;
    this.#clean();
  }

  /** The changes so far came from the log. */
  recovered(): void {
    this.#clean();
  }

  /** Writes the whole state of every record whose state the log had to change. */
  stageSnapshot(writer: WordWriter): void {
    for (let entry = 1; entry <= this.lastEntry; entry++) {
      if (this.flags[entry] !== 0) this.#stageWholeRecord(entry, writer);
    }
  }

  /** Gives back memory that growth left over; nothing is added afterwards. */
  seal(): void {
    this.stateOfPart = this.stateOfPart.slice(0, this.partCount);
    this.spansOfPart = this.spansOfPart.slice(0, this.partCount);
    this.changedParts = this.changedParts.slice(0, this.partCount);
    this.firsts = this.firsts.slice(0, this.lastEntry + 1);
    this.counts = this.counts.slice(0, this.lastEntry + 1);
    this.flags = this.flags.slice(0, this.lastEntry + 1);
  }

  #clean(): void {
    for (const entry of this.dirty) {
      this.flags[entry] = RECORD_LOGGED;
      const first = this.firsts[entry]! - 1;
      this.changedParts.fill(0, first, first + this.counts[entry]!);
    }
    this.dirty.length = 0;
  }

  #addEntry(entry: number, count: number, initialState: number): number {
    assert(entry > this.lastEntry, "records are added in the order of their entries");
    if (entry >= this.firsts.length) this.#growEntries(entry + 1);
    const first = this.partCount;
    const end = first + count;
    if (end > this.stateOfPart.length) this.#growParts(end);
    this.firsts[entry] = first + 1;
    this.counts[entry] = count;
    this.stateOfPart.fill(initialState, first, end);
    if (initialState !== 0) this.unsettledParts += count;
    this.partCount = end;
    this.recordCount++;
    this.lastEntry = entry;
    return first;
  }

  #setSpans(part: number, spans: number): void {
    if (spans < SPANS_SATURATED) {
      this.spansOfPart[part] = spans;
      return;
    }
    this.spansOfPart[part] = SPANS_SATURATED;
    this.manySpans.set(part, spans);
  }

  #partAt(entry: number, index: number): number {
    assert(this.has(entry, index), "the part exists");
    return this.firsts[entry]! - 1 + index;
  }

  /** The changed parts, or all unsettled ones when that is no longer. */
  #stageRecord(entry: number, writer: WordWriter): void {
    const first = this.firsts[entry]! - 1;
    const end = first + this.counts[entry]!;
    let changed = 0;
    let unsettled = 0;
    for (let part = first; part < end; part++) {
      if (this.changedParts[part] !== 0) changed++;
      if (this.stateOfPart[part] !== 0) unsettled++;
    }
    if (unsettled <= changed) this.#writePairs(entry, this.stateOfPart, unsettled, 0, writer);
    else this.#writePairs(entry, this.changedParts, changed, STATES_CHANGED_ONLY, writer);
  }

  #stageWholeRecord(entry: number, writer: WordWriter): void {
    const first = this.firsts[entry]! - 1;
    const end = first + this.counts[entry]!;
    let unsettled = 0;
    for (let part = first; part < end; part++) if (this.stateOfPart[part] !== 0) unsettled++;
    this.#writePairs(entry, this.stateOfPart, unsettled, 0, writer);
  }

  /** Pairs of the `pairs` parts that `chosen` has, in runs that fit a value. */
  #writePairs(
    entry: number, chosen: Uint32Array | Uint8Array, pairs: number, flag: number,
    writer: WordWriter,
  ): void {
    let part = this.firsts[entry]! - 1;
    let left = pairs;
    let runFlag = flag;
    do {
      const run = Math.min(left, this.pairsMax);
      let at = writer.reserve(STATES_HEADER_WORDS + run * 2);
      const words = writer.words;
      words[at + STATES_GENERATION] = this.generation;
      words[at + STATES_ENTRY] = entry;
      words[at + STATES_COUNT] = (run | runFlag) >>> 0;
      at += STATES_HEADER_WORDS;
      const runEnd = at + run * 2;
      for (; at < runEnd; part++) {
        if (chosen[part] === 0) continue;
        words[at] = part - (this.firsts[entry]! - 1);
        words[at + 1] = this.stateOfPart[part]!;
        at += 2;
      }
      left -= run;
      runFlag = STATES_CHANGED_ONLY; // only the first run of a whole record may reset the others
    } while (left > 0);
  }

  #growEntries(entries: number): void {
    const capacity = Math.max(entries, this.firsts.length * 2);
    const firsts = new Uint32Array(capacity);
    const counts = new Uint32Array(capacity);
    const flags = new Uint8Array(capacity);
    firsts.set(this.firsts);
    counts.set(this.counts);
    flags.set(this.flags);
    this.firsts = firsts;
    this.counts = counts;
    this.flags = flags;
  }

  #growParts(parts: number): void {
    const capacity = Math.max(parts, this.stateOfPart.length * 2);
    const states = new Uint32Array(capacity);
    const spans = new Uint16Array(capacity);
    const changed = new Uint8Array(capacity);
    states.set(this.stateOfPart);
    spans.set(this.spansOfPart);
    changed.set(this.changedParts);
    this.stateOfPart = states;
    this.spansOfPart = spans;
    this.changedParts = changed;
  }
}
