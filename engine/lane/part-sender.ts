// Parts on their way from this holder to the owners of their traces: one slot ring to each lane,
// itself included, and in a cluster one to the coordinator for all other nodes. Parts of a record
// just appended stay invisible until its commit. What finds no room stays in the log, and a cursor
// says where to go on: unsent parts are never kept in memory.

import { NOBODY, SELF } from "../cluster/cluster-words.ts";
import { assert } from "../base/assert.ts";
import { shardOf } from "../hash/shard-of.ts";
import {
  HOLDER_SET_SHIFT, HOLDER_TO_SHIFT, KIND_COMPLETE, KIND_EPOCH, KIND_PART, MESSAGE_AGAIN,
  MESSAGE_AGE_MS, MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_HOLDER, MESSAGE_INDEX, MESSAGE_KIND,
  MESSAGE_UNDECIDED, PART_WORDS,
} from "../part/part-layout.ts";
import type { SlotRingProducer } from "../ring/slot-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import type { Destinations } from "./destinations.ts";
import { OWN_BITS, type ForeignSets } from "./foreign-sets.ts";
import type { ShardTable } from "./shard-table.ts";

export interface PartSenderParts {
  /** By lane; in a cluster one more, to the coordinator. */
  readonly rings: readonly SlotRingProducer[];
  /** Of the same threads. */
  readonly wakes: readonly WakeWord[];
  readonly shards: ShardTable;
  readonly destinations: Destinations;
  readonly foreign: ForeignSets;
}

/** Sends parts. Written by its lane only. */
export class PartSender {
  readonly #lane: number;
  readonly #lanes: number;
  readonly #rings: readonly SlotRingProducer[];
  readonly #wakes: readonly WakeWord[];
  readonly #shards: ShardTable;
  readonly #destinations: Destinations;
  readonly #foreign: ForeignSets;
  /** 1: the ring must hear of the epoch before anything else. */
  readonly #owesEpoch: Uint8Array;
  /** A record of this turn whose parts did not all fit: sent from the log after the commit. */
  restGeneration = 0;
  restEntry = 0;
  restIndex = 0;
  /** The rest is of a record that is not committed yet. */
  #restStaged = false;

  constructor(lane: number, lanes: number, parts: PartSenderParts) {
    const { rings, wakes } = parts;
    assert(rings.length === wakes.length, "a ring and a wake word for every thread");
    this.#lane = lane;
    this.#lanes = lanes;
    this.#rings = rings;
    this.#wakes = wakes;
    this.#shards = parts.shards;
    this.#destinations = parts.destinations;
    this.#foreign = parts.foreign;
    this.#owesEpoch = new Uint8Array(rings.length);
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

  /**
   * Sends one part to its owner as it comes, its bits those of this node's policies. A node that
   * cannot take it, or decides by other policies, falls behind; false when the owner is a lane of
   * this node and its ring is full.
   */
  sendPart(
    index: RecordIndex, part: number, generation: number, entry: number, undecided: number,
    ageMs: number, again: boolean,
  ): boolean {
    const shard = shardOf(index.parts, part * PART_WORDS);
    const owner = this.#shards.owners[shard]!;
    if (owner !== SELF) {
      const { live } = this.#destinations;
      if (live[owner] === 0) return true; // behind already, or nobody yet: the walk will come by
      const isOwn = this.#foreign.bits[owner] === OWN_BITS; // else the walk folds it again
      if (isOwn && this.#shards.words?.isCongested(owner) !== true && this.sendTo(
        owner, shard, index, part, generation, entry, undecided, ageMs, again)) return true;
      this.#destinations.fallBehind(owner, generation, entry);
      return true;
    }
    return this.sendTo(SELF, shard, index, part, generation, entry, undecided, ageMs, again);
  }

  /**
   * Sends one part to a node, whatever the map says; false when its ring is full. Its bits must be
   * of that node's policies.
   */
  sendTo(
    node: number, shard: number, index: RecordIndex, part: number, generation: number,
    entry: number, undecided: number, ageMs: number, again: boolean,
  ): boolean {
    const number = node === SELF ? shard % this.#lanes : this.#lanes;
    const to = this.#reserve(number);
    if (to < 0) return false;
    const ring = this.#rings[number]!;
    const { words } = ring;
    const { parts } = index;
    const from = part * PART_WORDS;
    for (let word = 0; word < PART_WORDS; word++) words[to + word] = parts[from + word]!;
    words[to + MESSAGE_GENERATION] = generation;
    words[to + MESSAGE_ENTRY] = entry;
    words[to + MESSAGE_INDEX] = part;
    words[to + MESSAGE_HOLDER] = this.#lane | (node << HOLDER_TO_SHIFT)
      | (this.#foreign.numberOf(node) << HOLDER_SET_SHIFT);
    words[to + MESSAGE_AGE_MS] = ageMs;
    words[to + MESSAGE_UNDECIDED] = again ? undecided | MESSAGE_AGAIN : undecided;
    words[to + MESSAGE_KIND] = KIND_PART;
    ring.publish();
    return true;
  }

  #reserve(number: number): number {
    const ring = this.#rings[number]!;
    if (this.#owesEpoch[number] === 0) return ring.reserve();
    const to = ring.reserve();
    if (to < 0) return -1;
    ring.words[to] = this.#shards.epoch;
    ring.words[to + MESSAGE_KIND] = KIND_EPOCH;
    ring.publish();
    this.#owesEpoch[number] = 0;
    return ring.reserve();
  }

  /** The lane acts by another map: every receiver hears of it before the next part. */
  mapAdopted(): void {
    this.#owesEpoch.fill(1);
  }

  /**
   * Passes knowledge on to another lane, while logs are loaded.
   * @returns false when that lane's ring is full.
   */
  passOn(lane: number, words: Uint32Array, at: number, count: number, kind: number): boolean {
    return this.#pass(lane, SELF, words, at, count, kind);
  }

  /** Passes knowledge on to another node. @returns false when the coordinator's ring is full. */
  passToNode(node: number, words: Uint32Array, at: number, count: number, kind: number): boolean {
    return this.#pass(this.#lanes, node, words, at, count, kind);
  }

  #pass(
    number: number, node: number, words: Uint32Array, at: number, count: number, kind: number,
  ): boolean {
    assert(count <= MESSAGE_HOLDER, "what is passed on fits a slot");
    const ring = this.#rings[number]!;
    const to = this.#reserve(number);
    if (to < 0) return false;
    for (let word = 0; word < count; word++) ring.words[to + word] = words[at + word]!;
    ring.words[to + MESSAGE_HOLDER] = this.#lane | (node << HOLDER_TO_SHIFT);
    ring.words[to + MESSAGE_KIND] = kind;
    ring.publish();
    return true;
  }

  /**
   * Says that a node, or every lane of this one, has been sent all.
   * @returns false when a ring is full: say it again to all.
   */
  sayComplete(node: number, session: number): boolean {
    const first = node === SELF ? 0 : this.#lanes;
    const end = node === SELF ? this.#lanes : this.#lanes + 1;
    for (let number = first; number < end; number++) {
      const to = this.#reserve(number);
      if (to < 0) return false;
      const ring = this.#rings[number]!;
      ring.words[to] = this.#shards.epoch;
      ring.words[to + 1] = session;
      ring.words[to + MESSAGE_HOLDER] = this.#lane | (node << HOLDER_TO_SHIFT);
      ring.words[to + MESSAGE_KIND] = KIND_COMPLETE;
      ring.publish();
    }
    return true;
  }

  /** The commit succeeded: makes staged parts visible and wakes their owners. */
  flush(): void {
    this.#restStaged = false;
    for (let number = 0; number < this.#rings.length; number++) {
      if (this.#rings[number]!.flush()) this.#wakes[number]!.wake();
    }
  }

  /** The commit failed: staged parts were never there. */
  discard(): void {
    for (const ring of this.#rings) ring.discard();
    if (this.#restStaged) this.restEntry = 0;
    this.#restStaged = false;
    if (this.#shards.epoch > 0) this.#owesEpoch.fill(1); // it may have been among what is gone
  }
}

/** Numbers of nodes to which parts go: NOBODY never is one. */
export function isPeer(node: number): boolean {
  return node !== SELF && node !== NOBODY;
}
