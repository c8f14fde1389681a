// Both sides of witnessing. A decision exists when its witness and then its owner have committed
// it: the witness first, so that what an owner's log says was decided was decided.
//
//   as owner:    judged ─► asked ─► witnessed ─► (committed by the lane, told to the holders)
//   as witness:  asked ─► remembered and staged ─► committed ─► answered
//
// Asking twice is harmless: votes of a batch never change, and a witness merges. So a lost answer,
// another connection or another witness means: ask again what is not answered.

import { NOBODY, SELF, NODES } from "../cluster/cluster-words.ts";
import { assert } from "../base/assert.ts";
import { shardOf } from "../hash/shard-of.ts";
import {
  DECISION_KIND, KIND_NODE_SHIFT, PLACE_BATCH_SHIFT, PLACE_INDEX_MASK, PLACE_LANE_SHIFT,
  WITNESS_EPOCH, WITNESS_PLACE,
} from "../part/decision-layout.ts";
import { MEMORY_WORDS } from "../traces/memory-layout.ts";
import type { DecisionSender } from "./decision-sender.ts";
import type { ShardTable } from "./shard-table.ts";

/** Answers of a turn that wait for its commit; when they are used up, questions wait. */
const ANSWERS_MAX = 8192;
/**
 * An answer takes its own connection, which may be cut while that of the questions is not: nobody
 * here notices, so what is not answered is asked again.
 */
const ASK_AGAIN_MS = 2_000;
const BATCH_MASK = 0x3fff;

/** The decisions that the owner has judged and not told. */
export interface Batch {
  readonly batch: Uint32Array;
  /** Row of each; 0 = void. */
  readonly batchRows: Uint32Array;
  readonly batchCount: number;
}

/** Written by its lane only. */
export class WitnessDesk {
  readonly #lane: number;
  readonly #shards: ShardTable;
  readonly #sender: DecisionSender;
  /** By place in the batch: the node that was asked; SELF = needs no answer (any more). */
  readonly #asked: Uint8Array;
  readonly #sessions = new Int32Array(NODES);
  #number = 0;
  #count = 0;
  #unanswered = 0;
  /** When the batch was begun, or asked about again. */
  #askedMs = 0;
  /** Next of the batch to ask about. */
  #askAt = 0;
  readonly #answerPlaces = new Uint32Array(ANSWERS_MAX);
  readonly #answerNodes = new Uint8Array(ANSWERS_MAX);
  #answers = 0;
  #committed = 0;

  constructor(lane: number, shards: ShardTable, sender: DecisionSender, batchMax: number) {
    assert(batchMax <= PLACE_INDEX_MASK + 1, "a place in a batch fits its bits");
    this.#lane = lane;
    this.#shards = shards;
    this.#sender = sender;
    this.#asked = new Uint8Array(batchMax);
  }

  /** True when the decisions of a shard need a witness. */
  needsWitness(shard: number): boolean {
    return this.#shards.clustered && this.#shards.witnesses[shard] !== NOBODY;
  }

  /** A batch was judged: its witnesses are asked from here on. */
  begin({ batch, batchCount }: Batch): void {
    this.#number = (this.#number + 1) & BATCH_MASK;
    this.#count = batchCount;
    this.#unanswered = 0;
    this.#askAt = 0;
    for (let index = 0; index < batchCount; index++) {
      const asks = this.needsWitness(shardOf(batch, index * MEMORY_WORDS));
      this.#asked[index] = asks ? NOBODY : SELF;
      if (asks) this.#unanswered++;
    }
  }

  /** True when every decision of the batch may be committed and take effect. */
  get ready(): boolean {
    return this.#unanswered === 0;
  }

  /** 0, or the number of the batch << 8 | the witness whose answers it lacks, the first of them. */
  awaited({ batch, batchRows }: Batch): number {
    if (this.#unanswered === 0) return 0;
    for (let index = 0; index < this.#count; index++) {
      if (this.#asked[index] === SELF || batchRows[index] === 0) continue;
      const witness = this.#shards.witnesses[shardOf(batch, index * MEMORY_WORDS)]!;
      if (witness !== NOBODY) return (this.#number << 8) | witness;
    }
    return 0;
  }

  /** Asks whoever has not been asked yet, as far as there is room. @returns true when it asked. */
  ask({ batch, batchRows }: Batch, nowMs: number): boolean {
    if (this.#unanswered === 0) {
      this.#askedMs = nowMs;
      return false;
    }
    this.#followSessions();
    if (nowMs - this.#askedMs > ASK_AGAIN_MS) {
      this.#askedMs = nowMs;
      this.#askAgain(() => true);
    }
    let asked = false;
    for (; this.#askAt < this.#count; this.#askAt++) {
      const index = this.#askAt;
      if (this.#asked[index] !== NOBODY || batchRows[index] === 0) continue;
      const at = index * MEMORY_WORDS;
      const witness = this.#shards.witnesses[shardOf(batch, at)]!;
      if (this.#sessions[witness] === 0) continue; // asked when there is a connection
      const place = index | (this.#lane << PLACE_LANE_SHIFT)
        | (this.#number << PLACE_BATCH_SHIFT);
      if (!this.#sender.askWitness(witness, batch, at, this.#shards.epoch, place)) return asked;
      this.#asked[index] = witness;
      asked = true;
    }
    return asked;
  }

  /** What was asked over a connection that is gone is asked again. */
  #followSessions(): void {
    const { words } = this.#shards;
    for (let node = 1; node < NODES; node++) {
      const session = words?.decisionsSession(node) ?? 0;
      if (session === this.#sessions[node]) continue;
      this.#sessions[node] = session;
      this.#askAgain((witness) => witness === node);
    }
  }

  #askAgain(wanted: (witness: number) => boolean): void {
    for (let index = 0; index < this.#count; index++) {
      const witness = this.#asked[index]!;
      if (witness !== SELF && witness !== NOBODY && wanted(witness)) this.#asked[index] = NOBODY;
    }
    this.#askAt = 0;
  }

  /** Another map: decisions of lost shards are void, the others go to their present witness. */
  mapChanged({ batch, batchRows }: Batch): void {
    for (let index = 0; index < this.#count; index++) {
      if (this.#asked[index] === SELF) continue;
      const shard = shardOf(batch, index * MEMORY_WORDS);
      const isVoid = batchRows[index] === 0;
      if (isVoid || this.#shards.witnesses[shard] === NOBODY) this.#answered(index);
      else if (this.#asked[index] !== this.#shards.witnesses[shard]) this.#asked[index] = NOBODY;
    }
    // Asked by the former map: a witness that has this one may have refused in silence.
    this.#askAgain(() => true);
  }

  #answered(index: number): void {
    this.#asked[index] = SELF;
    this.#unanswered--;
  }

  /** Nothing is under way any more. */
  clear(): void {
    this.#count = 0;
    this.#unanswered = 0;
  }

  /** Takes a witness's answer at words[at..]. */
  takeAnswer(words: Uint32Array, at: number): void {
    const place = words[at + WITNESS_PLACE]!;
    const index = place & PLACE_INDEX_MASK;
    if (place >>> PLACE_BATCH_SHIFT !== this.#number || index >= this.#count) return;
    const node = words[at + DECISION_KIND]! >>> KIND_NODE_SHIFT;
    if (this.#asked[index] === node) this.#answered(index);
  }

  /** Room for another question. */
  roomForAnswer(): boolean {
    return this.#answers < ANSWERS_MAX;
  }

  /**
   * Whether the decision at words[at..] is one that this node has to witness: asked by the owner
   * of the shard, by a map in which it had the shard already. Others are refused in silence: their
   * owner asks again by the next map, or owns the shard no more.
   */
  mayWitness(words: Uint32Array, at: number): boolean {
    const shard = shardOf(words, at);
    const node = words[at + DECISION_KIND]! >>> KIND_NODE_SHIFT;
    return this.#shards.owners[shard] === node && this.#shards.witnesses[shard] === SELF
      && this.#shards.since[shard]! <= words[at + WITNESS_EPOCH]!;
  }

  /**
   * The decision is staged for this turn's commit; its owner hears of it after that.
   * @param isEmpty nothing is staged: with nothing before it the answer waits for no commit.
   */
  stageAnswer(words: Uint32Array, at: number, isEmpty: boolean): void {
    assert(this.#answers < ANSWERS_MAX, "questions are taken with room for answers");
    this.#answerPlaces[this.#answers] = words[at + WITNESS_PLACE]!;
    this.#answerNodes[this.#answers] = words[at + DECISION_KIND]! >>> KIND_NODE_SHIFT;
    const waits = !isEmpty || this.#committed < this.#answers;
    this.#answers++;
    if (!waits) this.#committed = this.#answers;
  }

  /** The commit succeeded. */
  committed(): void {
    this.#committed = this.#answers;
  }

  /** Sends answers whose decisions are committed, as far as there is room. */
  answer(): boolean {
    let sent = 0;
    while (sent < this.#committed) {
      if (!this.#sender.tellWitnessed(this.#answerNodes[sent]!, this.#answerPlaces[sent]!)) break;
      sent++;
    }
    if (sent === 0) return false;
    this.#answerPlaces.copyWithin(0, sent, this.#answers);
    this.#answerNodes.copyWithin(0, sent, this.#answers);
    this.#answers -= sent;
    this.#committed -= sent;
    return true;
  }
}
