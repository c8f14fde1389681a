// What a cluster adds to a lane's turn: the map that it acts by, what other nodes ask and tell,
// its own questions to witnesses, and the walks that send parts again. On a single node every
// method does next to nothing.

import {
  DECISION_KIND, DECISION_REASON, KIND_DECISION, KIND_WITNESS,
} from "../part/decision-layout.ts";
import {
  HOLDER_PEER, KIND_COMPLETE, KIND_EPOCH, KIND_REMEMBERED, MESSAGE_HOLDER, MESSAGE_KIND,
} from "../part/part-layout.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import {
  DECISIONS_PARKED, DECISIONS_WITNESSED, DECISION_CONFLICTS, NODES_BEHIND, SHARDS_CLOSED,
} from "../telemetry/metric-table.ts";
import type { DecisionMemory } from "../traces/decision-memory.ts";
import { MEMORY_MASKS, MEMORY_REASON } from "../traces/memory-layout.ts";
import { COMMAND_RUN, type Control } from "./control.ts";
import type { FoldAgain } from "./fold-again.ts";
import type { ForeignSets } from "./foreign-sets.ts";
import type { Holder } from "./holder.ts";
import type { Knowledge } from "./knowledge.ts";
import type { LaneClock } from "./lane-clock.ts";
import type { Owner } from "./owner.ts";
import type { PartSender } from "./part-sender.ts";
import type { ShardTable } from "./shard-table.ts";
import type { WitnessDesk } from "./witness-desk.ts";

/**
 * Parts that were not decided this long after the longest wait are sent again: an answer may have
 * been lost in a way that nobody noticed.
 */
const OVERDUE_MS = 5_000;
const GAUGES_MS = 500;
const KIND_MASK = 0xff;

export interface ClusterTurnParts {
  readonly shards: ShardTable;
  readonly owner: Owner;
  readonly holder: Holder;
  readonly desk: WitnessDesk;
  readonly knowledge: Knowledge;
  readonly foldAgain: FoldAgain;
  readonly foreign: ForeignSets;
  readonly parts: PartSender;
  readonly memory: DecisionMemory;
  readonly control: Control;
  readonly clock: LaneClock;
  readonly counters: CounterBlock<"lane">;
}

/** Written by its lane only. */
export class ClusterTurn {
  readonly #in: ClusterTurnParts;
  readonly #lane: number;
  readonly #askAgainMs: number;
  #remembered = false;
  #againAtMs: number;
  #gaugesAtMs = 0;

  constructor(parts: ClusterTurnParts, lane: number, longestWaitMs: number) {
    this.#in = parts;
    this.#lane = lane;
    this.#askAgainMs = longestWaitMs + OVERDUE_MS;
    this.#againAtMs = parts.clock.nowMs + this.#askAgainMs;
  }

  /** @param committed the owner's batch is committed, and being told. */
  turn(committed: boolean): void {
    const { shards, control, clock, foldAgain } = this.#in;
    if (shards.words === null) return;
    shards.words.beat(this.#lane);
    this.#adopt(committed);
    this.#in.foreign.take();
    // What is under way at a stop is forgotten: its parts stay undecided.
    if (control.command !== COMMAND_RUN && !committed) this.#in.desk.clear();
    if (clock.nowMs >= this.#againAtMs) {
      this.#againAtMs = clock.nowMs + this.#askAgainMs;
      foldAgain.sendOverdueAgain(this.#askAgainMs);
    }
    if (clock.nowMs >= this.#gaugesAtMs) this.#gauge();
  }

  #gauge(): void {
    const { counters, shards, foldAgain, memory, clock, desk } = this.#in;
    this.#gaugesAtMs = clock.nowMs + GAUGES_MS;
    counters.set(SHARDS_CLOSED, shards.closedShards());
    counters.set(DECISIONS_PARKED, desk.parked.count);
    counters.set(NODES_BEHIND, foldAgain.waiting);
    counters.set(DECISION_CONFLICTS, memory.conflicts);
    shards.words?.setAwaited(this.#lane, desk.awaited);
  }

  #adopt(committed: boolean): void {
    const { shards, owner, desk, parts, foldAgain, foreign } = this.#in;
    const change = shards.adopt();
    if (change === null) return;
    foreign.adopted(shards.columns);
    parts.mapAdopted();
    if (change.hasLost) owner.dropLost(change, committed);
    desk.mapChanged(committed);
    foldAgain.mapChanged(change.gained, change.witnesses);
  }

  /** True when the owner's batch may be committed. What its witnesses did is then remembered. */
  get batchReady(): boolean {
    const { shards, desk, owner } = this.#in;
    if (shards.words === null) return true;
    if (!desk.ready || !shards.mayDecide()) return false;
    if (!this.#remembered) owner.rememberBatch();
    this.#remembered = true;
    return true;
  }

  /** A message of a part ring that is no part. @returns false when it must wait. */
  takeMessage(words: Uint32Array, at: number, committed: boolean): boolean {
    const { shards, knowledge, foreign, owner, clock } = this.#in;
    switch (words[at + MESSAGE_KIND]) {
      case KIND_EPOCH:
        // The other lane acts by a younger map: what follows in its ring was sent by that.
        if (words[at]! > shards.epoch) this.#adopt(committed);
        return true;
      case KIND_COMPLETE: {
        const holder = words[at + MESSAGE_HOLDER]! & KIND_MASK;
        if (holder < HOLDER_PEER) shards.laneCompleted(holder, words[at]!);
        else shards.completed(holder - HOLDER_PEER, words[at]!);
        return true;
      }
      default:
        if (!knowledge.room) return false;
        if (words[at + MESSAGE_KIND] === KIND_REMEMBERED
          && words[at + MESSAGE_HOLDER]! >= HOLDER_PEER) {
          foreign.renumber(words, at + MEMORY_REASON);
        }
        knowledge.take(words, at);
        owner.learnedMs = clock.nowMs;
        return true;
    }
  }

  /** A message of the coordinator's decision ring. @returns false when it must wait. */
  takeFromNode(words: Uint32Array, at: number): boolean {
    const { holder, desk, knowledge, counters, foreign } = this.#in;
    const kind = words[at + DECISION_KIND]! & KIND_MASK;
    if (kind === KIND_DECISION) {
      if (!holder.roomForRecord()) return false;
      foreign.renumber(words, at + DECISION_REASON);
      return holder.takeDecision(words, at);
    }
    if (kind !== KIND_WITNESS) {
      desk.takeAnswer(words, at);
      return true;
    }
    if (!knowledge.room || !desk.roomForAnswer()) return false;
    if (!desk.mayWitness(words, at)) return true;
    // Without masks it is about forwarders that this node does not have: nothing to remember.
    const isEmpty = words[at + MEMORY_MASKS] === 0;
    if (!isEmpty) {
      foreign.renumber(words, at + MEMORY_REASON);
      knowledge.takeDecision(words, at);
    }
    desk.stageAnswer(words, at, isEmpty);
    counters.add(DECISIONS_WITNESSED, 1);
    return true;
  }

  /** After the commit: answers owners, asks witnesses. @returns true when something left. */
  effects(): boolean {
    const { shards, desk, owner, clock } = this.#in;
    if (shards.words === null) return false;
    desk.park(clock.nowMs);
    if (owner.batch.count === 0) this.#remembered = false;
    const answered = desk.answer();
    return desk.ask(clock.nowMs) || answered;
  }
}
