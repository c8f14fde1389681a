// Parts on their way from this holder to the owners of their traces: one slot ring to each lane,
// itself included. Parts of a record just appended stay invisible until its commit. What finds no
// room stays in the log, and a cursor says where to go on: unsent parts are never kept in memory.

import { assert } from "../base/assert.ts";
import { shardOf } from "../hash/shard-of.ts";
import {
  KIND_PART, MESSAGE_AGAIN, MESSAGE_AGE_MS, MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_HOLDER,
  MESSAGE_INDEX, MESSAGE_KIND, MESSAGE_UNDECIDED, PART_WORDS,
} from "../part/part-layout.ts";
import type { SlotRingProducer } from "../ring/slot-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { RecordIndex } from "../wire/record-index.ts";

/** Sends parts. Written by its lane only. */
export class PartSender {
  readonly #lane: number;
  readonly #rings: readonly SlotRingProducer[];
  readonly #wakes: readonly WakeWord[];
  /** A record of this turn whose parts did not all fit: sent from the log after the commit. */
  restGeneration = 0;
  restEntry = 0;
  restIndex = 0;
  /** The rest is of a record that is not committed yet. */
  #restStaged = false;

  constructor(lane: number, rings: readonly SlotRingProducer[], wakes: readonly WakeWord[]) {
    assert(rings.length === wakes.length, "a ring and a wake word for every lane");
    this.#lane = lane;
    this.#rings = rings;
    this.#wakes = wakes;
  }

  /** True while a record's parts wait behind the cursor: take no payload then. */
  get hasRest(): boolean {
    return this.restEntry !== 0;
  }

  /** Stages the parts of the record just appended; they become visible with flush. */
  stage(index: RecordIndex, generation: number, entry: number, undecided: number): void {
    assert(!this.hasRest, "a record is staged when the last one is sent");
    const sent = this.sendFrom(index, 0, generation, entry, undecided, 0, false);
    if (sent === index.partCount) return;
    this.restGeneration = generation;
    this.restEntry = entry;
    this.restIndex = sent;
    this.#restStaged = true;
  }

  /** The rest of the record is sent. */
  endRest(): void {
    this.restEntry = 0;
  }

  /**
   * Sends parts [first, partCount) of one record as far as the rings have room.
   * @param undecided the same samplers for all of them.
   * @returns the first part that was not sent; partCount when all were.
   */
  sendFrom(
    index: RecordIndex, first: number, generation: number, entry: number, undecided: number,
    ageMs: number, again: boolean,
  ): number {
    for (let part = first; part < index.partCount; part++) {
      if (!this.sendPart(index, part, generation, entry, undecided, ageMs, again)) return part;
    }
    return index.partCount;
  }

  /** Sends one part; false when its owner's ring is full. */
  sendPart(
    index: RecordIndex, part: number, generation: number, entry: number, undecided: number,
    ageMs: number, again: boolean,
  ): boolean {
    const from = part * PART_WORDS;
    const { parts } = index;
    // Shards go to lanes in turn. A node of a cluster will ask the map first.
    const ring = this.#rings[shardOf(parts, from) % this.#rings.length]!;
    const to = ring.reserve();
    if (to < 0) return false;
    const { words } = ring;
    for (let word = 0; word < PART_WORDS; word++) words[to + word] = parts[from + word]!;
    words[to + MESSAGE_GENERATION] = generation;
    words[to + MESSAGE_ENTRY] = entry;
    words[to + MESSAGE_INDEX] = part;
    words[to + MESSAGE_HOLDER] = this.#lane;
    words[to + MESSAGE_AGE_MS] = ageMs;
    words[to + MESSAGE_UNDECIDED] = again ? undecided | MESSAGE_AGAIN : undecided;
    words[to + MESSAGE_KIND] = KIND_PART;
    ring.publish();
    return true;
  }

  /**
   * While logs are loaded: passes knowledge on to another lane.
   * @returns false when that lane's ring is full.
   */
  passOn(lane: number, words: Uint32Array, at: number, count: number, kind: number): boolean {
    assert(count <= MESSAGE_KIND, "what is passed on fits a slot");
    const ring = this.#rings[lane]!;
    const to = ring.reserve();
    if (to < 0) return false;
    ring.words.set(words.subarray(at, at + count), to);
    ring.words[to + MESSAGE_KIND] = kind;
    ring.publish();
    return true;
  }

  /** The commit succeeded: makes staged parts visible and wakes their owners. */
  flush(): void {
    this.#restStaged = false;
    for (let lane = 0; lane < this.#rings.length; lane++) {
      if (this.#rings[lane]!.flush()) this.#wakes[lane]!.wake();
    }
  }

  /** The commit failed: staged parts were never there. */
  discard(): void {
    for (const ring of this.#rings) ring.discard();
    if (this.#restStaged) this.restEntry = 0;
    this.#restStaged = false;
  }
}
