// The holder's side of a lane: states of the parts in its log, and the decisions that arrive for
// them.
//
//   decision ─► state changes, counters ─► KEPT staged ─► commit ─► deliveries
//
// A decision acts on samplers that the part still waits for, so hearing it twice changes nothing.

import { assert } from "../base/assert.ts";
import type { LaneLog } from "../log/lane-log.ts";
import { KIND_KEPT } from "../log/entry-layout.ts";
import { UNDECIDED_BITS } from "../log/part-states.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_INDEX, DECISION_MASKS, DECISION_REASON,
  DECISION_VOTES_0, DECISION_WORDS, FORWARDERS_MAX,
} from "../part/decision-layout.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import {
  EVICTED_STORAGE_SAMPLED, evictedIndex, KEPT_NO_SAMPLER, keptByPolicy, keptWithoutPolicy,
} from "../telemetry/label-values.ts";
import {
  OUTBOX_SPANS, SPANS_DROPPED, SPANS_EVICTED, SPANS_IN_FLIGHT, SPANS_KEPT,
} from "../telemetry/metric-table.ts";
import type { Deliveries } from "./deliveries.ts";
import { WHOLE_RECORD, type KeptStore } from "./kept-store.ts";
import type { PolicySets } from "./policy-sets.ts";

/** Kept parts and records of one commit. */
const STAGED_MAX = 16_384;

export interface HolderParts {
  readonly log: LaneLog;
  readonly kept: KeptStore;
  readonly deliveries: Deliveries;
  readonly policySets: PolicySets;
  readonly counters: CounterBlock<"lane">;
}

/** Applies decisions to the parts that this lane holds. Written by its lane only. */
export class Holder {
  /** Forwarders with a sampler, by slot: the low half of every new part's state. */
  readonly samplersMask: number;
  /** Forwarders without one: they get every span. */
  readonly allMask: number;
  readonly initialState: number;
  readonly #parts: HolderParts;
  readonly #staged = new Uint32Array(STAGED_MAX);
  readonly #stagedWords = new Uint32Array(STAGED_MAX * DECISION_WORDS);
  readonly #record = new Uint32Array(DECISION_WORDS);
  #stagedCount = 0;
  #loggedCount = 0;
  /** Entries staged when the transaction began: what a rollback goes back to. */
  #markCount = 0;
  #stagedRecordSpans = 0;

  /** @param masks of forwarders: with a sampler, and without. */
  constructor(parts: HolderParts, masks: { readonly samplers: number; readonly all: number }) {
    assert((masks.samplers & masks.all) === 0, "a forwarder has a sampler or none");
    this.#parts = parts;
    this.samplersMask = masks.samplers;
    this.allMask = masks.all;
    this.initialState = (masks.samplers | (masks.all << 16)) >>> 0;
  }

  /** True when a decision or a record can be taken now. */
  roomForRecord(): boolean {
    return this.#stagedCount < STAGED_MAX && this.#parts.kept.room > 0;
  }

  /** Inside a transaction: a record was appended; forwarders without a sampler get all of it. */
  stageRecord(generation: number, entry: number, spans: number): void {
    this.#stagedRecordSpans += spans;
    if (this.allMask === 0) return;
    const record = this.#record;
    record.fill(0);
    record[DECISION_GENERATION] = generation;
    record[DECISION_ENTRY] = entry;
    record[DECISION_INDEX] = WHOLE_RECORD;
    record[DECISION_MASKS] = this.allMask << 16;
    this.#staged[this.#stagedCount++] = this.#parts.kept.add(record, 0);
  }

  /**
   * Applies the decision at words[at..] (decision layout).
   * @returns false when there is no room for what it keeps: leave it in its ring.
   */
  takeDecision(words: Uint32Array, at: number): boolean {
    if (!this.roomForRecord()) return false;
    const states = this.#parts.log.states(words[at + DECISION_GENERATION]!);
    const entry = words[at + DECISION_ENTRY]!;
    const index = words[at + DECISION_INDEX]!;
    if (states === undefined || !states.has(entry, index)) return true; // settled and gone
    const state = states.state(entry, index);
    const decided = state & words[at + DECISION_MASKS]! & UNDECIDED_BITS;
    if (decided === 0) return true; // heard before
    const kept = (words[at + DECISION_MASKS]! >>> 16) & decided;
    states.set(entry, index, (state & ~decided) | (kept << 16));
    this.#count(words, at, decided, kept, states.spans(entry, index));
    if (kept !== 0) this.#stage(words, at, decided, kept);
    return true;
  }

  #stage(words: Uint32Array, at: number, decided: number, kept: number): void {
    const to = this.#loggedCount * DECISION_WORDS;
    for (let word = 0; word < DECISION_WORDS; word++) {
      this.#stagedWords[to + word] = words[at + word]!;
    }
    this.#stagedWords[to + DECISION_MASKS] = decided | (kept << 16);
    this.#staged[this.#stagedCount] = this.#parts.kept.add(this.#stagedWords, to);
    this.#stagedCount++;
    this.#loggedCount++;
  }

  #count(words: Uint32Array, at: number, decided: number, kept: number, spans: number): void {
    const { counters, policySets } = this.#parts;
    const policySet = (words[at + DECISION_REASON]! >>> 8) & 0xff;
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      const bit = 1 << slot;
      if ((decided & bit) === 0) continue;
      counters.addAt(SPANS_IN_FLIGHT, slot, -spans);
      if ((kept & bit) === 0) {
        counters.addAt(SPANS_DROPPED, slot, spans);
        continue;
      }
      // Policies of a set that only a former run had loaded have no labels.
      const policy = policySet === 0
        ? policySets.firstSampled(0, words, at + DECISION_VOTES_0, slot) : -1;
      counters.addAt(SPANS_KEPT, keptByPolicy(slot, policySet, policy), spans);
      counters.addAt(OUTBOX_SPANS, slot, spans);
    }
  }

  /** Nothing waits for a commit. */
  get clean(): boolean {
    return this.#stagedCount === 0;
  }

  /** The transaction begins: what records add from here is forgotten if it fails. */
  mark(): void {
    this.#markCount = this.#stagedCount;
    this.#stagedRecordSpans = 0;
  }

  /** Inside the transaction: logs the decisions that keep parts. */
  append(): void {
    if (this.#loggedCount === 0) return;
    const count = this.#loggedCount * DECISION_WORDS;
    this.#parts.log.appendWords(KIND_KEPT, this.#stagedWords, count);
  }

  /** The commit succeeded: deliveries begin. */
  committed(): void {
    this.#countRecords();
    for (let index = 0; index < this.#stagedCount; index++) {
      this.#parts.deliveries.queue(this.#staged[index]!);
    }
    this.#stagedCount = 0;
    this.#loggedCount = 0;
  }

  #countRecords(): void {
    const { counters } = this.#parts;
    const spans = this.#stagedRecordSpans;
    this.#stagedRecordSpans = 0;
    if (spans === 0) return;
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      if ((this.samplersMask & (1 << slot)) !== 0) counters.addAt(SPANS_IN_FLIGHT, slot, spans);
      if ((this.allMask & (1 << slot)) === 0) continue;
      counters.addAt(SPANS_KEPT, keptWithoutPolicy(KEPT_NO_SAMPLER, slot), spans);
      counters.addAt(OUTBOX_SPANS, slot, spans);
    }
  }

  /** Spans were acknowledged and not stored: no forwarder gets them. */
  countEvicted(spans: number): void {
    if (spans === 0) return;
    const all = this.samplersMask | this.allMask;
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      if ((all & (1 << slot)) === 0) continue;
      this.#parts.counters.addAt(SPANS_EVICTED, evictedIndex(slot, EVICTED_STORAGE_SAMPLED), spans);
    }
  }

  /** The commit failed: the transaction's records were never there; decisions stay staged. */
  failed(): void {
    for (let index = this.#markCount; index < this.#stagedCount; index++) {
      this.#parts.kept.drop(this.#staged[index]!);
    }
    this.#stagedCount = this.#markCount;
    this.#stagedRecordSpans = 0;
  }
}
