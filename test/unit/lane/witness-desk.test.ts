import { describe, expect, it } from "vitest";
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
import { MEMORY_WORDS } from "../../../engine/traces/memory-layout.ts";

const BATCH_MAX = 4;
const SESSION = 9;

describe("a batch that waits", () => {
  const memory = createClusterWords();
  const columns = createShardColumns();
  columns.owners.fill(SELF);
  const batch = new Uint32Array(BATCH_MAX * MEMORY_WORDS);
  for (let index = 0; index < BATCH_MAX; index++) {
    batch.fill(0x1234_5678 * (index + 1), index * MEMORY_WORDS, index * MEMORY_WORDS + 4);
    columns.witnesses[shardOf(batch, index * MEMORY_WORDS)] = 3 + (index >>> 1);
  }
  const words = new ClusterWords(memory);
  words.publish(1, columns);
  words.setDecisionsSession(3, SESSION);
  const shards = new ShardTable(memory, 0, 1);
  shards.adopt();
  const asked: number[] = [];
  const sender: Pick<DecisionSender, "askWitness"> = {
    askWitness: (_node, _words, _at, _epoch, place) => {
      asked.push(place);
      return true;
    },
  };
  const desk = new WitnessDesk(0, shards, sender as DecisionSender, BATCH_MAX);
  const waiting = { batch, batchRows: new Uint32Array(BATCH_MAX).fill(7), batchCount: BATCH_MAX };

  function answer(node: number, place: number): void {
    const slot = new Uint32Array(DECISION_WORDS);
    slot[WITNESS_PLACE] = place;
    slot[DECISION_KIND] = KIND_WITNESSED | (node << KIND_NODE_SHIFT);
    desk.takeAnswer(slot, 0);
  }

  it("names the first witness whose answers it lacks, connected or not", () => {
    expect(desk.awaited(waiting)).toBe(0);
    desk.begin(waiting);
    desk.ask(waiting, 100);
    expect(asked).toHaveLength(2); // the other witness has no connection
    expect(desk.awaited(waiting)).toBe((1 << 8) | 3);
    answer(3, asked[0]!);
    expect(desk.awaited(waiting)).toBe((1 << 8) | 3);
    answer(3, asked[1]!);
    expect(desk.awaited(waiting)).toBe((1 << 8) | 4);
    desk.clear();
    expect(desk.awaited(waiting)).toBe(0);
  });

  it("says which batch it is, and passes over what is void", () => {
    desk.begin(waiting);
    waiting.batchRows.fill(0, 0, 2);
    expect(desk.awaited(waiting)).toBe((2 << 8) | 4);
    desk.ask(waiting, 200);
    expect(asked.every((place) => place >>> PLACE_BATCH_SHIFT === 1)).toBe(true);
  });
});
