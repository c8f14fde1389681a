// Kept parts that wait for one forwarder, a turn's worth, in the order in which their records lie.

import { assert } from "../base/assert.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_WORDS,
} from "../part/decision-layout.ts";
import type { Delivery } from "./delivery.ts";
import type { KeptStore } from "./kept-store.ts";

/** Kept parts of one forwarder that are rendered in a turn. */
const PARTS_MAX = 2048;

// A sort key: generation, entry, place in the batch; exact in a float64.
const PLACE_RANGE = PARTS_MAX;
const ENTRY_RANGE = 2 ** 22;

/** Reused; one lane. */
export class KeptBatch {
  /** Numbers in the kept store, parts of a record together, records by generation and entry. */
  readonly entries = new Uint32Array(PARTS_MAX);
  readonly #kept: KeptStore;
  readonly #waiting = new Uint32Array(PARTS_MAX);
  readonly #keys = new Float64Array(PARTS_MAX);
  #count = 0;

  constructor(kept: KeptStore) {
    this.#kept = kept;
  }

  /** Copies what waits to `entries`, sorted. @returns how many. */
  take(delivery: Delivery): number {
    const count = Math.min(delivery.waiting, PARTS_MAX);
    const { words } = this.#kept;
    const keys = this.#keys.subarray(0, count);
    this.#count = count;
    delivery.first(this.#waiting, count);
    let oldest = Infinity;
    for (let place = 0; place < count; place++) {
      const at = this.#waiting[place]! * DECISION_WORDS;
      oldest = Math.min(oldest, words[at + DECISION_GENERATION]!);
    }
    for (let place = 0; place < count; place++) {
      const at = this.#waiting[place]! * DECISION_WORDS;
      const generation = words[at + DECISION_GENERATION]! - oldest;
      const entry = words[at + DECISION_ENTRY]!;
      assert(entry < ENTRY_RANGE, "entries of a generation fit their sort key");
      keys[place] = (generation * ENTRY_RANGE + entry) * PLACE_RANGE + place;
    }
    keys.sort();
    for (let place = 0; place < count; place++) {
      this.entries[place] = this.#waiting[keys[place]! % PLACE_RANGE]!;
    }
    return count;
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
