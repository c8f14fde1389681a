// Decisions that keep parts which this lane holds, from the decision until every chosen forwarder
// has the spans. DECISION_WORDS each, as logged; the unused last words are this store's:
//
// [14] forwarders that do not have the spans yet, by slot | [15] next free entry

import { assert } from "../base/assert.ts";
import {
  DECISION_INDEX, DECISION_MASKS, DECISION_WORDS,
} from "../part/decision-layout.ts";

const PENDING = DECISION_WORDS - 2;
const NEXT_FREE = DECISION_WORDS - 1;
/** DECISION_INDEX of an entry about all parts of a record: forwarders without a sampler. */
export const WHOLE_RECORD = 0xffff_ffff;

/** A slab of kept parts, numbered from 1. Written by its lane only. */
export class KeptStore {
  /** Replaced when recovery grows it. */
  words: Uint32Array;
  readonly entriesMax: number;
  count = 0;
  #touched = 0;
  #free = 0;

  constructor(entriesMax: number) {
    this.entriesMax = entriesMax;
    this.words = new Uint32Array((entriesMax + 1) * DECISION_WORDS);
  }

  static bytesFor(entriesMax: number): number {
    return (entriesMax + 1) * DECISION_WORDS * 4;
  }

  /** Recovery takes what a log has, whatever the bound: decisions wait until it is below again. */
  addRecovered(words: Uint32Array, at: number): number {
    if (this.#free === 0 && (this.#touched + 2) * DECISION_WORDS > this.words.length) {
      const larger = new Uint32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    return this.#put(words, at);
  }

  /** Entries that fit still; negative after a recovery that found more. */
  get room(): number {
    return this.entriesMax - this.count;
  }

  /** Copies the decision at words[at..]; its high mask says which forwarders it waits for. */
  add(words: Uint32Array, at: number): number {
    assert(this.count < this.entriesMax, "kept parts are added with room");
    return this.#put(words, at);
  }

  #put(words: Uint32Array, at: number): number {
    let entry = this.#free;
    if (entry === 0) entry = ++this.#touched;
    else this.#free = this.words[entry * DECISION_WORDS + NEXT_FREE]!;
    const to = entry * DECISION_WORDS;
    for (let word = 0; word < PENDING; word++) this.words[to + word] = words[at + word]!;
    this.words[to + PENDING] = words[at + DECISION_MASKS]! >>> 16;
    this.words[to + NEXT_FREE] = 0;
    this.count++;
    return entry;
  }

  /** Forwarders, by slot, that the entry waits for. */
  pending(entry: number): number {
    return this.words[entry * DECISION_WORDS + PENDING]!;
  }

  isWholeRecord(entry: number): boolean {
    return this.words[entry * DECISION_WORDS + DECISION_INDEX] === WHOLE_RECORD;
  }

  /** The forwarder of `slot` has the spans, or never will; the entry ends with the last one. */
  settle(entry: number, slot: number): void {
    const at = entry * DECISION_WORDS;
    const pending = this.words[at + PENDING]! & ~(1 << slot);
    this.words[at + PENDING] = pending;
    if (pending === 0) this.#release(entry);
  }

  /** Forgets an entry whose record was never committed. */
  drop(entry: number): void {
    this.words[entry * DECISION_WORDS + PENDING] = 0;
    this.#release(entry);
  }

  /** The next live entry after `entry`, 0 = none; for carrying all of them. */
  next(entry: number): number {
    for (let next = entry + 1; next <= this.#touched; next++) {
      if (this.words[next * DECISION_WORDS + PENDING] !== 0) return next;
    }
    return 0;
  }

  #release(entry: number): void {
    this.words[entry * DECISION_WORDS + NEXT_FREE] = this.#free;
    this.#free = entry;
    this.count--;
  }
}
