// Results of a regex by value, so that a value seen again costs a comparison and not a match.
//
// Sets of WAYS entries; a value belongs to the set that its hash picks, and the least recently used
// entry of that set makes room. So a lookup looks at WAYS entries at most, whatever values a client
// chooses, and nothing is allocated after construction.
// Entry: hash u32 | bytes u16 | result u8 | last use u32 | the value packed, VALUE_WORDS u32

import { assert } from "../base/assert.ts";
import { hashText, isPacked, packInto } from "./packed-text.ts";

const WAYS = 8;
/** Longer values are not cached: URLs fit, documents do not. */
const VALUE_BYTES_MAX = 256;
const VALUE_WORDS = VALUE_BYTES_MAX / 4;
/** Bounds the memory of a cache (4 MiB); a larger wish is cut, which costs speed, not results. */
export const REGEX_CACHE_ENTRIES_MAX = 16_384;

const NOT_CACHED = -1;
const U32_MAX = 0xffff_ffff;

/** One regex predicate's results. One thread. */
export class RegexCache {
  readonly entries: number;
  readonly setMask: number;
  readonly hashes: Uint32Array;
  /** Value size + 1; 0 means empty. */
  readonly sizes: Uint16Array;
  readonly results: Uint8Array;
  readonly lastUses: Uint32Array;
  readonly values: Uint32Array;
  uses: number;
  /** Hash of the value of the last find(), which add() takes over. */
  hash: number;

  /** @param entriesWanted rounded up to a power of two of at least WAYS; at most ENTRIES_MAX. */
  constructor(entriesWanted: number) {
    assert(entriesWanted >= 1, "a cache has entries");
    let entries = WAYS;
    while (entries < entriesWanted && entries < REGEX_CACHE_ENTRIES_MAX) entries *= 2;
    this.entries = entries;
    this.setMask = entries / WAYS - 1;
    this.hashes = new Uint32Array(entries);
    this.sizes = new Uint16Array(entries);
    this.results = new Uint8Array(entries);
    this.lastUses = new Uint32Array(entries);
    this.values = new Uint32Array(entries * VALUE_WORDS);
    this.uses = 0;
    this.hash = 0;
  }

  /** 1 or 0 as add() was told, or -1 when the bytes [at, end) of the view are not cached. */
  find(view: DataView, at: number, end: number): number {
    const size = end - at;
    if (size > VALUE_BYTES_MAX) return NOT_CACHED;
    const hash = hashText(view, at, end);
    this.hash = hash;
    const first = (hash & this.setMask) * WAYS;
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.hashes[entry] !== hash || this.sizes[entry] !== size + 1) continue;
      if (!isPacked(view, at, end, this.values, entry * VALUE_WORDS)) continue;
      this.lastUses[entry] = this.#use();
      return this.results[entry]!;
    }
    return NOT_CACHED;
  }

  /** Remembers the result of the value that find() just missed. */
  add(view: DataView, at: number, end: number, result: number): void {
    const size = end - at;
    if (size > VALUE_BYTES_MAX) return;
    const first = (this.hash & this.setMask) * WAYS;
    let oldest = first;
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.lastUses[entry]! < this.lastUses[oldest]!) oldest = entry;
    }
    this.hashes[oldest] = this.hash;
    this.sizes[oldest] = size + 1;
    this.results[oldest] = result;
    this.lastUses[oldest] = this.#use();
    packInto(view, at, end, this.values, oldest * VALUE_WORDS);
  }

  /** Number of this use; when it wraps all entries are equally old, which costs a few misses. */
  #use(): number {
    if (this.uses === U32_MAX) {
      this.lastUses.fill(0);
      this.uses = 0;
    }
    this.uses++;
    return this.uses;
  }
}
