// Kept parts that wait for one forwarder, a turn's worth, in the order in which their records lie.

import { assert } from "../base/assert.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_WORDS,
} from "../part/decision-layout.ts";
import type { Delivery } from "./delivery.ts";
import type { KeptStore } from "./kept-store.ts";

/** Kept parts of one forwarder that are rendered in a turn. */
const PARTS_USUAL = 2048;
/**
 * The same of a record with very many parts: each batch reads its record anew and looks at all of
 * its spans, which is most of the work then.
 */
export const PARTS_OF_LARGE = 65_536;

// A sort key: generation, entry, place in the batch; exact in a float64.
const PLACE_RANGE = PARTS_USUAL;
const ENTRY_RANGE = 2 ** 22;

/** Reused; one lane. */
export class KeptBatch {
  /** Numbers in the kept store, parts of a record together, records by generation and entry. */
  readonly entries = new Uint32Array(PARTS_OF_LARGE);
  readonly #kept: KeptStore;
  readonly #waiting = new Uint32Array(PARTS_OF_LARGE);
  readonly #keys = new Float64Array(PARTS_USUAL);
  readonly #others = new Uint32Array(PARTS_USUAL);
  #count = 0;

  constructor(kept: KeptStore) {
    this.#kept = kept;
  }

  /**
   * Copies what waits to `entries`, sorted.
   * @param large what waits first is of a record with very many parts: more of these are taken.
   * @returns how many.
   */
  take(delivery: Delivery, large: boolean): number {
    if (large) return this.#takeLarge(delivery);
    const count = Math.min(delivery.waiting, PARTS_USUAL);
    delivery.first(this.#waiting, count);
    this.#sort(this.#waiting, count, 0);
    this.#count = count;
    return count;
  }

  /** All parts of the first record come first, what waits between them after it. */
  #takeLarge(delivery: Delivery): number {
    const most = Math.min(delivery.waiting, PARTS_OF_LARGE);
    delivery.first(this.#waiting, most);
    let same = 0;
    let others = 0;
    for (let place = 0; place < most && others < PARTS_USUAL; place++) {
      const entry = this.#waiting[place]!;
      if (this.#isSameRecord(entry)) this.entries[same++] = entry;
      else this.#others[others++] = entry;
    }
    this.#sort(this.#others, others, same);
    this.#count = same + others;
    return this.#count;
  }

  /** Sorts the first `count` of `waiting` into `entries`, from `to` on. */
  #sort(waiting: Uint32Array, count: number, to: number): void {
    const { words } = this.#kept;
    const keys = this.#keys.subarray(0, count);
    let oldest = Infinity;
    for (let place = 0; place < count; place++) {
      const at = waiting[place]! * DECISION_WORDS;
      oldest = Math.min(oldest, words[at + DECISION_GENERATION]!);
    }
    for (let place = 0; place < count; place++) {
      const at = waiting[place]! * DECISION_WORDS;
      const generation = words[at + DECISION_GENERATION]! - oldest;
      const entry = words[at + DECISION_ENTRY]!;
      assert(entry < ENTRY_RANGE, "entries of a generation fit their sort key");
      keys[place] = (generation * ENTRY_RANGE + entry) * PLACE_RANGE + place;
    }
    keys.sort();
    for (let place = 0; place < count; place++) {
      this.entries[to + place] = waiting[keys[place]! % PLACE_RANGE]!;
    }
  }

  /** Whether a kept part is of the record of what waits first. */
  #isSameRecord(entry: number): boolean {
    const { words } = this.#kept;
    const first = this.#waiting[0]! * DECISION_WORDS;
    const at = entry * DECISION_WORDS;
    return words[at + DECISION_ENTRY] === words[first + DECISION_ENTRY]
      && words[at + DECISION_GENERATION] === words[first + DECISION_GENERATION];
  }

  /** Generation of the entry at a place. */
  generationAt(place: number): number {
    return this.#kept.words[this.entries[place]! * DECISION_WORDS + DECISION_GENERATION]!;
  }

  /** First place after `at` that is of another generation. */
  endOfGeneration(at: number): number {
    const generation = this.generationAt(at);
    let end = at + 1;
    while (end < this.#count && this.generationAt(end) === generation) end++;
    return end;
  }

  /** First place after `at` that is of another record. */
  endOfRecord(at: number): number {
    const { words } = this.#kept;
    const generation = this.generationAt(at);
    const entry = words[this.entries[at]! * DECISION_WORDS + DECISION_ENTRY];
    let end = at + 1;
    while (end < this.#count && this.generationAt(end) === generation
      && words[this.entries[end]! * DECISION_WORDS + DECISION_ENTRY] === entry) end++;
    return end;
  }
}
