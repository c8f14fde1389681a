// Both sides of witnessing. A decision exists when its witness and then its owner have committed
// it: the witness first, so that what an owner's log says was decided was decided.
//
//   as owner:    judged ─► asked ─► witnessed ─► (committed by the lane, told to the holders)
//                            └► parked ─► asked again ─► witnessed ─► with the next batch
//   as witness:  asked ─► remembered and staged ─► committed ─► answered
//
// Asking twice is harmless: votes of a decision never change, and a witness merges. So a lost
// answer, another connection or another witness means: ask again what is not answered.
//
// A batch waits for its slowest witness, but not for one that is gone: what lacks an answer for
// long is parked, still judged, and the others go on. As long as something is parked for a node,
// the owner judges nothing more that it would have to witness, so one batch is all that is ever
// parked.

import { NOBODY, SELF, NODES } from "../cluster/cluster-words.ts";
import { assert } from "../base/assert.ts";
import { shardOf } from "../hash/shard-of.ts";
import {
  DECISION_KIND, KIND_NODE_SHIFT, PLACE_BATCH_SHIFT, PLACE_INDEX_MASK, PLACE_LANE_SHIFT,
  WITNESS_EPOCH, WITNESS_PLACE,
} from "../part/decision-layout.ts";
import { MEMORY_WORDS } from "../traces/memory-layout.ts";
import { DecisionBatch } from "./decision-batch.ts";
import type { DecisionSender } from "./decision-sender.ts";
import type { ShardTable } from "./shard-table.ts";

/** Answers of a turn that wait for its commit; when they are used up, questions wait. */
const ANSWERS_MAX = 8192;
/**
 * An answer takes its own connection, which may be cut while that of the questions is not: nobody
 * here notices, so what is not answered is asked again.
 */
const ASK_AGAIN_MS = 2_000;
/** Several times what witnesses take that have much to do. */
const PARK_AFTER_MS = 500;
const BATCH_MASK = 0x3fff;

/** Written by its lane only. */
export class WitnessDesk {
  /** What is judged, committed and told together. */
  readonly batch: DecisionBatch;
  /** Decisions whose witnesses do not answer. Each keeps its place until all of it is done. */
  readonly parked: DecisionBatch;
  readonly #lane: number;
  readonly #shards: ShardTable;
  readonly #sender: DecisionSender;
  readonly #sessions = new Int32Array(NODES);
  /** By node: 1 while parked decisions lack its answer. */
  readonly #stuck = new Uint8Array(NODES);
  /** Parked decisions were answered. */
  #hasReturned = false;
  #number = 0;
  readonly #answerPlaces = new Uint32Array(ANSWERS_MAX);
  readonly #answerNodes = new Uint8Array(ANSWERS_MAX);
  #answers = 0;
  #committed = 0;

  constructor(lane: number, shards: ShardTable, sender: DecisionSender, batchMax: number) {
    assert(batchMax <= PLACE_INDEX_MASK + 1, "a place in a batch fits its bits");
    this.#lane = lane;
    this.#shards = shards;
    this.#sender = sender;
    this.batch = new DecisionBatch(batchMax);
    this.parked = new DecisionBatch(shards.clustered ? batchMax : 0);
  }

  /** True when something is judged and not told. */
  get isUnderWay(): boolean {
    return this.batch.count > 0 || this.parked.count > 0;
  }

  /** True when the decisions of a shard need a witness. */
  needsWitness(shard: number): boolean {
    return this.#shards.clustered && this.#shards.witnesses[shard] !== NOBODY;
  }

  /** True when parked decisions wait for the witness of this shard. */
  isStuck(shard: number): boolean {
    return this.parked.count > 0 && this.#stuck[this.#shards.witnesses[shard]!] === 1;
  }

  /** The batch was judged, from a place on: its witnesses are asked from here on. */
  begin(from: number, nowMs: number): void {
    const { batch } = this;
    batch.number = this.#nextNumber();
    batch.begunMs = nowMs;
    batch.askedMs = nowMs;
    batch.askAt = 0;
    for (let index = from; index < batch.count; index++) {
      if (this.needsWitness(shardOf(batch.words, index * MEMORY_WORDS))) batch.lacksAnswer(index);
    }
  }

  #nextNumber(): number {
    do this.#number = (this.#number + 1) & BATCH_MASK;
    while (this.parked.count > 0 && this.#number === this.parked.number);
    return this.#number;
  }

  /** True when every decision of the batch may be committed and take effect. */
  get ready(): boolean {
    return this.batch.unanswered === 0;
  }

  /** 0, or the number of a batch << 8 | the witness whose answers it lacks, the first of them. */
  get awaited(): number {
    for (const batch of [this.parked, this.batch]) {
      for (let index = 0; index < batch.count && batch.unanswered > 0; index++) {
        if (batch.asked[index] === SELF) continue;
        const witness = this.#witnessOf(batch, index);
        if (witness !== NOBODY) return (batch.number << 8) | witness;
      }
    }
    return 0;
  }

  #witnessOf({ words }: DecisionBatch, index: number): number {
    return this.#shards.witnesses[shardOf(words, index * MEMORY_WORDS)]!;
  }

  /** Asks whoever has not been asked yet, as far as there is room. @returns true when it asked. */
  ask(nowMs: number): boolean {
    if (this.batch.unanswered + this.parked.unanswered === 0) return false;
    this.#followSessions();
    const asked = this.#askFor(this.parked, nowMs);
    return this.#askFor(this.batch, nowMs) || asked;
  }

  #askFor(batch: DecisionBatch, nowMs: number): boolean {
    if (batch.unanswered === 0) return false;
    if (nowMs - batch.askedMs > ASK_AGAIN_MS) {
      batch.askedMs = nowMs;
      askAgain(batch, () => true);
    }
    let asked = false;
    for (; batch.askAt < batch.count; batch.askAt++) {
      const index = batch.askAt;
      if (batch.asked[index] !== NOBODY) continue;
      const witness = this.#witnessOf(batch, index);
      if (this.#sessions[witness] === 0) continue; // asked when there is a connection
      const place = index | (this.#lane << PLACE_LANE_SHIFT) | (batch.number << PLACE_BATCH_SHIFT);
      const at = index * MEMORY_WORDS;
      const { epoch } = this.#shards;
      if (!this.#sender.askWitness(witness, batch.words, at, epoch, place)) return asked;
      batch.asked[index] = witness;
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
      for (const batch of [this.parked, this.batch]) askAgain(batch, (asked) => asked === node);
    }
  }

  /** Takes out of the batch what lacks an answer for long, as far as there is room. */
  park(nowMs: number): void {
    const { batch, parked } = this;
    if (batch.unanswered === 0 || nowMs - batch.begunMs < PARK_AFTER_MS) return;
    if (parked.count === 0) {
      parked.number = this.#nextNumber();
      parked.askedMs = nowMs;
    }
    for (let index = 0; index < batch.count && parked.count < parked.max; index++) {
      if (batch.asked[index] === SELF) continue;
      this.#stuck[this.#witnessOf(batch, index)] = 1;
      parked.add(batch.words, index * MEMORY_WORDS, batch.rows[index]!);
      parked.lacksAnswer(parked.count - 1);
      batch.makeVoid(index);
    }
    if (batch.unanswered === 0) batch.compact();
  }

  /** Puts into the batch, which is empty, what was answered meanwhile. */
  unpark(): void {
    if (!this.#hasReturned) return;
    const { batch, parked } = this;
    assert(batch.count === 0, "parked decisions come back into an empty batch");
    this.#hasReturned = false;
    for (let index = 0; index < parked.count; index++) {
      const row = parked.rows[index]!;
      if (parked.asked[index] !== SELF || row === 0) continue;
      batch.add(parked.words, index * MEMORY_WORDS, row);
      parked.makeVoid(index);
    }
    if (parked.unanswered === 0) parked.clear();
    this.#findStuck();
  }

  #findStuck(): void {
    const { parked } = this;
    this.#stuck.fill(0);
    for (let index = 0; index < parked.count; index++) {
      if (parked.asked[index] !== SELF) this.#stuck[this.#witnessOf(parked, index)] = 1;
    }
  }

  /**
   * Another map, and decisions of lost shards are void: the others go to their present witness.
   * @param committed the batch is: it needs nobody any more.
   */
  mapChanged(committed: boolean): void {
    this.#hasReturned ||= this.parked.count > 0;
    for (const batch of committed ? [this.parked] : [this.parked, this.batch]) {
      for (let index = 0; index < batch.count; index++) {
        if (batch.asked[index] === SELF) continue;
        if (this.#witnessOf(batch, index) === NOBODY) batch.answered(index);
      }
      // Asked by the former map: a witness that has this one may have refused in silence.
      askAgain(batch, () => true);
    }
    this.#findStuck();
  }

  /** Nothing is under way any more. */
  clear(): void {
    this.batch.clear();
    this.parked.clear();
    this.#hasReturned = false;
    this.#stuck.fill(0);
  }

  /** Takes a witness's answer at words[at..]. */
  takeAnswer(words: Uint32Array, at: number): void {
    const place = words[at + WITNESS_PLACE]!;
    const number = place >>> PLACE_BATCH_SHIFT;
    const index = place & PLACE_INDEX_MASK;
    const node = words[at + DECISION_KIND]! >>> KIND_NODE_SHIFT;
    const batch = number === this.batch.number ? this.batch : this.parked;
    if (batch.number !== number || index >= batch.count || batch.asked[index] !== node) return;
    batch.answered(index);
    if (batch === this.parked) this.#hasReturned = true;
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

/** What was asked of such a node, and not answered, is asked again. */
function askAgain(batch: DecisionBatch, wanted: (node: number) => boolean): void {
  for (let index = 0; index < batch.count; index++) {
    const node = batch.asked[index]!;
    if (node !== SELF && node !== NOBODY && wanted(node)) batch.asked[index] = NOBODY;
  }
  batch.askAt = 0;
}
