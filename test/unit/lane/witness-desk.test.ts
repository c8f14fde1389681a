import { beforeEach, describe, expect, it } from "vitest";
import {
  ClusterWords, createClusterWords, createShardColumns, SELF,
} from "../../../engine/cluster/cluster-words.ts";
import { shardOf } from "../../../engine/hash/shard-of.ts";
import type { DecisionSender } from "../../../engine/lane/decision-sender.ts";
import { ShardTable } from "../../../engine/lane/shard-table.ts";
import { WitnessDesk } from "../../../engine/lane/witness-desk.ts";
import {
  DECISION_KIND, DECISION_WORDS, KIND_NODE_SHIFT, KIND_WITNESSED, PLACE_BATCH_SHIFT, WITNESS_PLACE,
} from "../../../engine/part/decision-layout.ts";
import { MEMORY_MASKS, MEMORY_WORDS } from "../../../engine/traces/memory-layout.ts";

const BATCH_MAX = 4;
const SESSION = 9;
/** Longer than a batch waits. */
const LONG_MS = 600;
/** A row for each decision, to know it by. */
const FIRST_ROW = 70;

/** A decision on a trace of its own. */
function decision(index: number): Uint32Array {
  const words = new Uint32Array(MEMORY_WORDS).fill(0x1234_5678 * (index + 1), 0, 4);
  words[MEMORY_MASKS] = 1;
  return words;
}

/** An owner's desk; nodes 3 and 4 witness two decisions of four each, and 3 is connected. */
class Fixture {
  readonly columns = createShardColumns();
  readonly asked: { node: number; place: number }[] = [];
  readonly desk: WitnessDesk;
  readonly shards: ShardTable;
  readonly words: ClusterWords;
  #epoch = 0;

  constructor() {
    const memory = createClusterWords();
    this.words = new ClusterWords(memory);
    this.shards = new ShardTable(memory, 0, 1);
    this.columns.owners.fill(SELF);
    this.witnesses(3, 3, 4, 4);
    this.words.setDecisionsSession(3, SESSION);
    const sender: Pick<DecisionSender, "askWitness"> = {
      askWitness: (node, _words, _at, _epoch, place) => {
        this.asked.push({ node, place });
        return true;
      },
    };
    this.desk = new WitnessDesk(0, this.shards, sender as DecisionSender, BATCH_MAX);
  }

  /** A map with these witnesses. */
  witnesses(...nodes: number[]): void {
    nodes.forEach((node, index) => {
      this.columns.witnesses[shardOf(decision(index), 0)] = node;
    });
    this.words.publish(++this.#epoch, this.columns);
    this.shards.adopt();
  }

  judge(...indexes: number[]): void {
    const from = this.desk.batch.count;
    for (const index of indexes) this.desk.batch.add(decision(index), 0, FIRST_ROW + index);
    this.desk.begin(from, 0);
    this.desk.ask(0);
  }

  answer({ node, place }: { node: number; place: number }): void {
    const slot = new Uint32Array(DECISION_WORDS);
    slot[WITNESS_PLACE] = place;
    slot[DECISION_KIND] = KIND_WITNESSED | (node << KIND_NODE_SHIFT);
    this.desk.takeAnswer(slot, 0);
  }

  /** Answers what was asked since the last call. */
  answerAll(): void {
    for (const question of this.asked.splice(0)) this.answer(question);
  }

  get rows(): number[] {
    const { rows, count } = this.desk.batch;
    return [...rows.subarray(0, count)].map((row) => row - FIRST_ROW);
  }

  /** The batch was committed and told. */
  sent(): void {
    expect(this.desk.ready).toBe(true);
    this.desk.batch.clear();
  }
}

let fixture: Fixture;
let desk: WitnessDesk;
beforeEach(() => {
  fixture = new Fixture();
  desk = fixture.desk;
});

describe("a batch that waits", () => {
  it("names the first witness whose answers it lacks, connected or not", () => {
    expect(desk.awaited).toBe(0);
    fixture.judge(0, 1, 2, 3);
    const { asked } = fixture;
    expect(asked).toHaveLength(2); // the other witness has no connection
    expect(desk.awaited).toBe((1 << 8) | 3);
    fixture.answer(asked[0]!);
    expect(desk.awaited).toBe((1 << 8) | 3);
    fixture.answer(asked[1]!);
    expect(desk.awaited).toBe((1 << 8) | 4);
    expect(desk.ready).toBe(false);
    desk.clear();
    expect(desk.awaited).toBe(0);
  });

  it("says which batch it is, and passes over what is void", () => {
    fixture.judge(0);
    fixture.answerAll();
    fixture.sent();
    fixture.judge(0, 1, 2, 3);
    desk.batch.makeVoid(0);
    desk.batch.makeVoid(1);
    expect(desk.awaited).toBe((2 << 8) | 4);
    expect(fixture.asked.every(({ place }) => place >>> PLACE_BATCH_SHIFT === 2)).toBe(true);
  });

  it("takes an answer from whom it asked, about what it asked, and from nobody else", () => {
    fixture.judge(0, 1);
    const [question] = fixture.asked;
    fixture.answer({ ...question!, node: 4 });
    fixture.answer({ ...question!, place: question!.place + (1 << PLACE_BATCH_SHIFT) });
    fixture.answer({ ...question!, place: question!.place + 2 });
    fixture.answer(question!);
    fixture.answer(question!);
    expect(desk.batch.unanswered).toBe(1);
  });
});

describe("a witness that does not answer", () => {
  const stuck = (index: number): boolean => desk.isStuck(shardOf(decision(index), 0));

  it("is not waited for longer than half a second; what it lacks is asked when it is back", () => {
    fixture.judge(0, 2, 1, 3);
    fixture.answerAll();
    desk.park(LONG_MS / 2);
    expect(desk.ready).toBe(false);
    desk.park(LONG_MS);
    expect(fixture.rows).toEqual([0, 1]);
    fixture.sent();
    expect([0, 1, 2, 3].map(stuck)).toEqual([false, false, true, true]);
    expect(desk.awaited & 0xff).toBe(4);
    desk.unpark();
    expect(fixture.rows).toEqual([]);
    fixture.words.setDecisionsSession(4, SESSION);
    desk.ask(LONG_MS);
    expect(fixture.asked.map(({ node }) => node)).toEqual([4, 4]);
    fixture.answer(fixture.asked[1]!);
    desk.unpark();
    expect(fixture.rows).toEqual([3]);
    expect(stuck(2)).toBe(true);
    fixture.judge(0);
    expect(desk.ready).toBe(false);
    fixture.answerAll();
    expect(fixture.rows).toEqual([3, 0]);
    fixture.sent();
    desk.unpark();
    expect(fixture.rows).toEqual([2]);
    fixture.sent();
    expect([desk.parked.count, desk.awaited, stuck(2)]).toEqual([0, 0, false]);
  });

  it("may answer a question of the batch after all: that is no answer to another one", () => {
    fixture.judge(0, 1);
    const questions = fixture.asked.splice(0);
    desk.park(LONG_MS);
    expect([desk.batch.count, desk.parked.count]).toEqual([0, 2]);
    fixture.judge(2);
    for (const question of questions) fixture.answer(question);
    expect([desk.batch.unanswered, desk.parked.unanswered]).toEqual([1, 2]);
    desk.ask(LONG_MS);
    fixture.answerAll();
    expect([desk.batch.unanswered, desk.parked.unanswered]).toEqual([1, 0]);
  });

  it("makes the batch wait when there is no more room for what it lacks", () => {
    fixture.judge(2, 3);
    desk.park(LONG_MS);
    fixture.judge(0, 1);
    desk.park(LONG_MS);
    expect(desk.parked.count).toBe(BATCH_MAX);
    fixture.judge(0);
    desk.park(LONG_MS);
    expect([desk.batch.count, desk.ready]).toEqual([1, false]);
    fixture.answerAll();
    expect(desk.ready).toBe(true);
  });

  it("is asked in another one's place by the next map, or nobody is; what is void is forgotten",
    () => {
      fixture.judge(2, 3);
      desk.park(LONG_MS);
      desk.parked.makeVoid(1);
      fixture.witnesses(3, 3, 3, 3);
      desk.mapChanged(true);
      expect([stuck(0), stuck(2)]).toEqual([true, true]);
      desk.ask(LONG_MS);
      expect(fixture.asked.map(({ node }) => node)).toEqual([3]);
      fixture.answerAll();
      desk.unpark();
      expect(fixture.rows).toEqual([2]);
      expect([desk.parked.count, stuck(0)]).toEqual([0, false]);
      fixture.sent();
      fixture.judge(2, 3);
      desk.park(LONG_MS);
      desk.parked.makeVoid(0);
      desk.parked.makeVoid(1);
      desk.mapChanged(false);
      desk.unpark();
      expect([desk.parked.count, desk.batch.count]).toEqual([0, 0]);
    });
});
