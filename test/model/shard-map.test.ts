// Random histories of members that come, go, start again and change their capacity. After each
// step the map must be as even as whole shards allow, and must have moved no more than that needs.

import { describe, expect, it } from "vitest";
import { decodeMap, encodeMap } from "../../engine/cluster/shard-map-codec.ts";
import {
  countShards, planMap, type MapMember, type ShardMap,
} from "../../engine/cluster/shard-map.ts";
import { planWitnesses } from "../../engine/cluster/witnesses.ts";
import { SHARDS } from "../../engine/hash/shard-of.ts";
import { mapDigest, mapMember } from "../support/map-members.ts";
import { Random } from "../support/random.ts";

const HISTORIES = 12;
const STEPS = 60;
const MEMBERS_MAX = 100;
const EVENNESS = 1.05;
const MOVES = 1.3;

type Members = Map<string, MapMember>;

/** One change, or several at once; says the newcomer when it was one member that joined alone. */
function change(random: Random, members: Members, weighted: boolean, step: number): string | null {
  const names = [...members.keys()];
  const kind = random.below(10);
  const isFull = members.size >= MEMBERS_MAX;
  if (members.size < 2 || (kind < 4 && !isFull)) {
    const name = `n${random.below(1000)}-${step}`;
    members.set(name, mapMember(name, { capacity: weighted ? 1 + random.below(16) : 4 }));
    return name;
  }
  const victim = names[random.below(names.length)]!;
  if (kind < 6) members.delete(victim);
  else if (kind < 8) {
    members.set(victim, { ...members.get(victim)!, incarnation: `again-${step}` });
  } else if (kind < 9 && weighted) {
    members.set(victim, { ...members.get(victim)!, capacity: 1 + random.below(16) });
  } else {
    for (let count = random.below(20); count > 0 && members.size < MEMBERS_MAX; count--) {
      members.set(`m${count}-${step}`, mapMember(`m${count}-${step}`, { capacity: 4 }));
    }
    if (members.size > 1) members.delete(victim);
  }
  return null;
}

function shuffled(random: Random, members: Members): MapMember[] {
  const list = [...members.values()];
  for (let at = list.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [list[at], list[other]] = [list[other]!, list[at]!];
  }
  return list;
}

function expectEven(map: ShardMap): void {
  const counts = countShards(map);
  const total = map.members.reduce((sum, { capacity }) => sum + capacity, 0);
  const perCapacity = (index: number): number => counts[index]! / map.members[index]!.capacity;
  const fullest = Math.max(...counts.map((_, index) => perCapacity(index)));
  const roomiest = Math.min(...map.members.map(({ capacity }, index) =>
    (counts[index]! + 1) / capacity));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(SHARDS);
  expect(fullest, "a shard more to the roomiest would be better").toBeLessThanOrEqual(roomiest);
  // Whole shards: one more than the share is as close as they can come to it.
  const smallest = Math.min(...map.members.map(({ capacity }) => capacity));
  const mean = SHARDS / total;
  expect(fullest).toBeLessThanOrEqual(Math.max(mean * EVENNESS, mean + 1 / smallest));
}

function expectWitnesses(map: ShardMap): void {
  const witnesses = planWitnesses(map);
  if (map.members.length < 2) return;
  for (let shard = 0; shard < SHARDS; shard++) {
    const witness = witnesses[shard]!;
    if (witness !== map.owners[shard] && witness < map.members.length) continue;
    expect.fail(`shard ${shard} has witness ${witness}`);
  }
}

function expectFewMoves(before: ShardMap, after: ShardMap, newcomer: string): void {
  const total = after.members.reduce((sum, { capacity }) => sum + capacity, 0);
  const own = after.members.find(({ name }) => name === newcomer)!.capacity;
  let moved = 0;
  for (let shard = 0; shard < SHARDS; shard++) {
    const from = before.members[before.owners[shard]!]?.name;
    const to = after.members[after.owners[shard]!]!.name;
    if (from === to) continue;
    moved++;
    if (to !== newcomer) expect.fail(`shard ${shard} moved from ${from} to ${to}`);
  }
  expect(moved).toBeLessThanOrEqual(Math.max(1, (SHARDS * own * MOVES) / total));
}

function expectSince(before: ShardMap, after: ShardMap): void {
  for (let shard = 0; shard < SHARDS; shard++) {
    const from = before.members[before.owners[shard]!];
    const to = after.members[after.owners[shard]!]!;
    const isSame = from?.name === to.name && from.incarnation === to.incarnation;
    if (after.since[shard] !== (isSame ? before.since[shard] : after.epoch)) {
      expect.fail(`shard ${shard} is owned since ${after.since[shard]}`);
    }
  }
}

describe("through random histories", () => {
  const seed = Random.fromEnvironment().seed;
  it.each(Array.from({ length: HISTORIES }, (_, index) => (seed + index) >>> 0))(
    "the map stays even and moves little, seed %i", (historySeed) => {
      const random = new Random(historySeed);
      const weighted = random.chance(0.5);
      const members: Members = new Map([["first", mapMember("first", { capacity: 4 })]]);
      let map = planMap(null, [...members.values()]);
      for (let step = 0; step < STEPS; step++) {
        const newcomer = change(random, members, weighted, step);
        const next = planMap(map, shuffled(random, members));
        expect(next.epoch).toBe(map.epoch + 1);
        expectEven(next);
        expectWitnesses(next);
        expectSince(map, next);
        if (newcomer !== null) expectFewMoves(map, next, newcomer);
        // Another node: the map from etcd, the members in another order.
        const other = planMap(decodeMap(encodeMap(map)), shuffled(random, members));
        expect(mapDigest(other)).toBe(mapDigest(next));
        map = next;
      }
    });
});
