// The heaviest rows of a table, when it has to give some up: a second order over the rows that
// costs nothing until it is asked for. A slice of the table is looked at in one walk and sorted by
// weight, to a power of two, and age; an eighth of the slice is given out, then the next slice is
// looked at.
//
//   rows   ├──────── slice ────────┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈   key: weight class | age class
//   order  heaviest, oldest first … lightest, youngest      counting sort: two walks, no compares
//
// Of a million rows the heaviest cost some 0.7 µs each, about three times what the soonest cost.

import { assert } from "../base/assert.ts";
import {
  ROW_DEADLINE, ROW_SEEN_MS, ROW_WORDS,
} from "./row-layout.ts";
import type { TraceTable } from "./trace-table.ts";

/** Rows of a slice: a few milliseconds of a turn. */
const SLICE_ROWS = 32_768;
/** One in so many of a slice is given out before the next is looked at. */
const GIVEN_SHARE = 8;
const AGE_BITS = 6;
const AGE_CLASSES = 1 << AGE_BITS;
/** A weight is a u32: 33 classes, 0 among them. */
const KEYS = 33 * AGE_CLASSES;

/** Candidates of one table; belongs to the table's lane. */
export class HeavyRows {
  readonly #table: TraceTable;
  readonly #keys = new Uint16Array(SLICE_ROWS);
  readonly #starts = new Uint32Array(KEYS + 1);
  readonly #order: Uint32Array;
  readonly #sliceRows: number;
  #count = 0;
  #given = 0;
  #at = 0;
  /** Last row of the last slice. */
  #cursor = 0;
  #weightWord = 0;

  /** @param sliceRows for tests. */
  constructor(table: TraceTable, sliceRows = SLICE_ROWS) {
    assert(sliceRows >= 1, "a slice has rows");
    assert(sliceRows <= SLICE_ROWS, "a slice fits its keys");
    this.#table = table;
    this.#sliceRows = sliceRows;
    this.#order = new Uint32Array(sliceRows);
  }

  static bytesFor(): number {
    return SLICE_ROWS * 6 + (KEYS + 1) * 4;
  }

  /**
   * A scheduled row, among the heaviest; the caller takes it off the wheel, or gets it again.
   * @param weightWord word of the row that says its weight: ROW_LINKS or PART_BYTES.
   * @param nowLow low 32 bits of the clock that ROW_SEEN_MS is of.
   * @returns 0 when no row is scheduled.
   */
  next(weightWord: number, nowLow: number): number {
    const words = this.#table.words;
    if (weightWord !== this.#weightWord) this.#count = 0;
    this.#weightWord = weightWord;
    // Each look covers another slice: after all of them there is nothing.
    for (let looked = 0; looked <= this.#table.rowsTouched; looked += this.#sliceRows) {
      while (this.#at < this.#count && this.#given * GIVEN_SHARE < this.#count) {
        const row = this.#order[this.#at++]!;
        if (words[row * ROW_WORDS + ROW_DEADLINE] === 0) continue; // judged meanwhile
        this.#given++;
        return row;
      }
      this.#look(nowLow);
    }
    while (this.#at < this.#count) {
      const row = this.#order[this.#at++]!;
      if (words[row * ROW_WORDS + ROW_DEADLINE] !== 0) return row;
    }
    return 0;
  }

  /** Looks at the next slice and sorts it. */
  #look(nowLow: number): void {
    const { rowsTouched, words } = this.#table;
    if (this.#cursor >= rowsTouched) this.#cursor = 0;
    const first = this.#cursor + 1;
    const end = Math.min(rowsTouched, this.#cursor + this.#sliceRows) + 1;
    this.#cursor = end - 1;
    this.#at = 0;
    this.#given = 0;
    let oldest = 0;
    let youngest = 0xffff_ffff;
    for (let row = first; row < end; row++) {
      if (words[row * ROW_WORDS + ROW_DEADLINE] === 0) continue;
      const age = (nowLow - words[row * ROW_WORDS + ROW_SEEN_MS]!) >>> 0;
      if (age > oldest) oldest = age;
      if (age < youngest) youngest = age;
    }
    this.#sort(first, end, nowLow, oldest, Math.max(1, oldest - youngest + 1));
  }

  #sort(first: number, end: number, nowLow: number, oldest: number, range: number): void {
    const { words } = this.#table;
    const keys = this.#keys;
    const starts = this.#starts;
    starts.fill(0);
    for (let row = first; row < end; row++) {
      const at = row * ROW_WORDS;
      if (words[at + ROW_DEADLINE] === 0) {
        keys[row - first] = KEYS;
        continue;
      }
      const age = (nowLow - words[at + ROW_SEEN_MS]!) >>> 0;
      const youth = Math.floor((oldest - age) / range * AGE_CLASSES);
      const lightness = Math.clz32(words[at + this.#weightWord]!);
      const key = lightness << AGE_BITS | Math.min(youth, AGE_CLASSES - 1);
      keys[row - first] = key;
      starts[key + 1] = starts[key + 1]! + 1;
    }
    for (let key = 1; key <= KEYS; key++) starts[key] = starts[key]! + starts[key - 1]!;
    this.#count = starts[KEYS]!;
    for (let row = first; row < end; row++) {
      const key = keys[row - first]!;
      if (key === KEYS) continue;
      this.#order[starts[key]!] = row;
      starts[key] = starts[key]! + 1;
    }
  }
}
