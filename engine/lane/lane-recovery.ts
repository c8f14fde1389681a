// What a former process left, brought back to life: decisions to the memories of the shards'
// present owners, kept parts that still owe to the deliveries, undecided parts to their owners
// again (FoldAgain).
//
// Phases: load (all lanes, while each drains what the others send it) → every undecided part is
// sent again → the doors open.

import { shardOf } from "../hash/shard-of.ts";
import { KIND_DECISIONS, KIND_KEPT, type WordsKind } from "../log/entry-layout.ts";
import type { LaneLog } from "../log/lane-log.ts";
import { UNDECIDED_BITS } from "../log/part-states.ts";
import type { PartStates } from "../log/part-states.ts";
import type { RecoveryReport } from "../log/recovery.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_INDEX, DECISION_MASKS, DECISION_REASON,
  DECISION_WORDS, FORWARDERS_MAX,
} from "../part/decision-layout.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import {
  KEPT_LOST_FORWARDER_REMOVED, keptLostIndex, LOST_FORWARDER_REMOVED, lostIndex,
} from "../telemetry/label-values.ts";
import {
  KEPT_SPANS_LOST, KEPT_SPANS_REPLAYED, OUTBOX_SPANS, SPANS_IN_FLIGHT, SPANS_LOST, SPANS_REPLAYED,
} from "../telemetry/metric-table.ts";
import { KIND_FINGERPRINT, KIND_REMEMBERED } from "../part/part-layout.ts";
import { LOADED, shardOfFingerprint, type DecisionMemory } from "../traces/decision-memory.ts";
import {
  BATCH_FULL, BATCH_HEADER_WORDS, FINGERPRINT_CHECK, FINGERPRINT_HASH, FINGERPRINT_MASKS,
  FINGERPRINT_WORDS, MEMORY_MASKS, MEMORY_REASON, MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import { WHOLE_RECORD, type KeptStore } from "./kept-store.ts";
import type { LaneClock } from "./lane-clock.ts";
import { decodeLogMeta } from "./log-meta.ts";
import type { PartSender } from "./part-sender.ts";
import type { PolicySets } from "./policy-sets.ts";

/** What is passed on becomes visible to the other lane this often. */
const PASSED_PER_FLUSH = 256;

export interface LaneRecoveryParts {
  readonly log: LaneLog;
  readonly memory: DecisionMemory;
  readonly kept: KeptStore;
  readonly policySets: PolicySets;
  readonly sender: PartSender;
  readonly clock: LaneClock;
  readonly counters: CounterBlock<"lane">;
}

interface Masks {
  readonly samplers: number;
  readonly all: number;
}

/** Runs once, before the lane takes payloads. */
export class LaneRecovery {
  readonly #in: LaneRecoveryParts;
  readonly #lane: number;
  readonly #lanes: number;
  readonly #masks: Masks;
  /**
   * Policy set numbers of this run by those of the generation, and whether its bits are current.
   */
  readonly #policySetNumbers = new Map<number, number[]>();
  /** Lanes of the run that wrote a generation. */
  readonly #lanesOf = new Map<number, number>();
  /** Forwarders that a part's KEPT words were found for, by part. */
  readonly #covered = new Map<string, number>();
  readonly #entries: number[] = [];
  /** Generations after this one are of this run. */
  #lastRecovered = 0;
  #passed = 0;
  #pause: (full: boolean) => void = () => undefined;

  constructor(parts: LaneRecoveryParts, lane: number, lanes: number, masks: Masks) {
    this.#in = parts;
    this.#lane = lane;
    this.#lanes = lanes;
    this.#masks = masks;
  }

  /**
   * Loads the log; kept parts wait for `queueKept`.
   * @param pause called now and then; with true when another lane's ring is full.
   */
  load(pause: (full: boolean) => void): RecoveryReport {
    this.#pause = pause;
    const { log } = this.#in;
    const report = log.recover({
      onMeta: (generation, bytes, at, end) => this.#takeMeta(generation, bytes, at, end),
      onWords: (kind, words, count, generation) => this.#takeWords(kind, words, count, generation),
    });
    for (const generation of log.generations()) {
      this.#lastRecovered = generation;
      this.#settleStates(generation, log.states(generation)!); // just listed
    }
    this.#covered.clear();
    return report;
  }

  /** Kept parts found, for the deliveries. */
  queueKept(queue: (entry: number) => void): void {
    for (const entry of this.#entries) queue(entry);
    this.#entries.length = 0;
  }

  #takeMeta(generation: number, bytes: Uint8Array, at: number, end: number): void {
    const meta = decodeLogMeta(bytes, at, end);
    this.#lanesOf.set(generation, meta.lanes);
    this.#policySetNumbers.set(generation, meta.policySets.map((summary) => {
      return this.#in.policySets.numberOf(summary);
    }));
  }

  #takeWords(kind: WordsKind, words: Uint32Array, count: number, generation: number): void {
    if (kind === KIND_KEPT) {
      for (let at = 0; at + DECISION_WORDS <= count; at += DECISION_WORDS) {
        this.#renumber(words, at + DECISION_REASON, generation);
        this.#takeKept(words, at);
      }
      return;
    }
    if (kind === KIND_DECISIONS) this.#takeDecisions(words, 0, count, generation);
    else this.#takeMemory(words, count, generation);
  }

  #takeDecisions(words: Uint32Array, first: number, end: number, generation: number): void {
    for (let at = first; at + MEMORY_WORDS <= end; at += MEMORY_WORDS) {
      if (words[at + MEMORY_MASKS] === 0) continue;
      this.#renumber(words, at + MEMORY_REASON, generation);
      this.#remember(words, at);
    }
  }

  /** Decisions exported again, each to the lane that owns its shard. */
  #takeMemory(words: Uint32Array, count: number, generation: number): void {
    const { memory } = this.#in;
    // Fingerprints of another seed (a copied log), or of the version that did not say their shards.
    if (memory.checkBatch(words, 0, count) !== LOADED) return;
    if ((words[0]! & 0xff) === BATCH_FULL) {
      this.#takeDecisions(words, BATCH_HEADER_WORDS, count, generation);
      return;
    }
    const batch = new Uint32Array(BATCH_HEADER_WORDS + FINGERPRINT_WORDS);
    batch[0] = (words[0]! & 0xffff) | (1 << 16);
    batch[1] = words[1]!;
    // Always by the shard: a log adopted by one run may be older than that run's number of lanes.
    for (let at = BATCH_HEADER_WORDS; at < count; at += FINGERPRINT_WORDS) {
      const owner = shardOfFingerprint(words[at + FINGERPRINT_CHECK]!) % this.#lanes;
      if (owner === this.#lane) {
        memory.loadFingerprint(words[at + FINGERPRINT_HASH]!, words[at + FINGERPRINT_CHECK]!,
          words[at + FINGERPRINT_MASKS]!);
        continue;
      }
      for (let word = 0; word < FINGERPRINT_WORDS; word++) {
        batch[BATCH_HEADER_WORDS + word] = words[at + word]!;
      }
      this.#passOn(owner, batch, 0, batch.length, KIND_FINGERPRINT);
    }
  }

  #passOn(lane: number, words: Uint32Array, at: number, count: number, kind: number): void {
    while (!this.#in.sender.passOn(lane, words, at, count, kind)) this.#pause(true);
    this.#passed++;
    if (this.#passed % PASSED_PER_FLUSH === 0) this.#pause(false);
  }

  /** Turns the number that a former run gave a policy set into this run's. */
  #renumber(words: Uint32Array, at: number, generation: number): void {
    const reason = words[at]!;
    const numbers = this.#policySetNumbers.get(generation);
    const number = numbers?.[(reason >>> 8) & 0xff];
    if (number !== undefined) words[at] = (reason & ~0xff00) | (number << 8);
  }

  #remember(words: Uint32Array, at: number): void {
    const { memory, clock } = this.#in;
    const owner = shardOf(words, at) % this.#lanes;
    if (owner === this.#lane) {
      memory.loadEntry(words, at, clock.nowMs, Math.floor(clock.wallMs / 1000));
    } else {
      this.#passOn(owner, words, at, MEMORY_WORDS, KIND_REMEMBERED);
    }
  }

  #takeKept(words: Uint32Array, at: number): void {
    const states = this.#in.log.states(words[at + DECISION_GENERATION]!);
    const entry = words[at + DECISION_ENTRY]!;
    const index = words[at + DECISION_INDEX]!;
    if (states === undefined || !states.has(entry, index)) return;
    const key = `${states.generation}/${entry}/${index}`;
    const covered = this.#covered.get(key) ?? 0;
    const owed = this.#known(states.state(entry, index) >>> 16);
    const kept = (words[at + DECISION_MASKS]! >>> 16) & owed & ~covered;
    if (kept === 0) return;
    words[at + DECISION_MASKS] = (words[at + DECISION_MASKS]! & 0xffff) | (kept << 16);
    this.#entries.push(this.#in.kept.addRecovered(words, at));
    this.#covered.set(key, covered | kept);
  }

  #known(mask: number): number {
    return mask & (this.#masks.samplers | this.#masks.all);
  }

  /** Counts what is replayed, and fits states to the forwarders that exist now. */
  #settleStates(generation: number, states: PartStates): void {
    for (let entry = states.nextRecord(0, -1); entry !== 0; entry = states.nextRecord(entry, -1)) {
      let whole = 0;
      for (let part = states.nextPart(entry, 0, -1); part >= 0;
        part = states.nextPart(entry, part + 1, -1)) {
        whole |= this.#settlePart(generation, states, entry, part);
      }
      if (whole !== 0) this.#addRest(generation, entry, WHOLE_RECORD, whole);
    }
  }

  /** @returns forwarders without a sampler that the part owes. */
  #settlePart(generation: number, states: PartStates, entry: number, part: number): number {
    const state = states.state(entry, part);
    const undecided = state & UNDECIDED_BITS & this.#masks.samplers;
    // A forwarder that lost its sampler since then gets every span.
    const unsampled = state & UNDECIDED_BITS & this.#masks.all;
    const owed = this.#known(state >>> 16) | unsampled;
    this.#giveUp(state & UNDECIDED_BITS & ~undecided & ~unsampled, (state >>> 16) & ~owed,
      states.spans(entry, part));
    states.set(entry, part, undecided | (owed << 16));
    const spans = states.spans(entry, part);
    const { counters } = this.#in;
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      if ((undecided & (1 << slot)) !== 0) {
        counters.addAt(SPANS_REPLAYED, slot, spans);
        counters.addAt(SPANS_IN_FLIGHT, slot, spans);
      }
      if ((owed & (1 << slot)) === 0) continue;
      counters.addAt(KEPT_SPANS_REPLAYED, slot, spans);
      counters.addAt(OUTBOX_SPANS, slot, spans);
    }
    const covered = this.#covered.get(`${generation}/${entry}/${part}`) ?? 0;
    const uncovered = owed & ~covered & this.#masks.samplers;
    if (uncovered !== 0) this.#addRest(generation, entry, part, uncovered);
    return owed & this.#masks.all;
  }

  /** Forwarders that are not configured any more get nothing: counted as replayed and lost. */
  #giveUp(undecided: number, owed: number, spans: number): void {
    if ((undecided | owed) === 0) return;
    const { counters } = this.#in;
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      if ((undecided & (1 << slot)) !== 0) {
        counters.addAt(SPANS_REPLAYED, slot, spans);
        counters.addAt(SPANS_LOST, lostIndex(slot, LOST_FORWARDER_REMOVED), spans);
      }
      if ((owed & (1 << slot)) === 0) continue;
      counters.addAt(KEPT_SPANS_REPLAYED, slot, spans);
      counters.addAt(KEPT_SPANS_LOST, keptLostIndex(slot, KEPT_LOST_FORWARDER_REMOVED), spans);
    }
  }

  /**
   * A part that owes without a decision in the log: kept, by a policy that is not known any more.
   */
  #addRest(generation: number, entry: number, part: number, mask: number): void {
    const words = new Uint32Array(DECISION_WORDS);
    words[DECISION_GENERATION] = generation;
    words[DECISION_ENTRY] = entry;
    words[DECISION_INDEX] = part;
    words[DECISION_MASKS] = mask << 16;
    this.#entries.push(this.#in.kept.addRecovered(words, 0));
  }

  /** Whether the bits of a generation's parts are those of the loaded policies. */
  isCurrent(generation: number): boolean {
    return generation > this.#lastRecovered || this.#policySetNumbers.get(generation)?.[0] === 0;
  }
}
