import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  CAPACITY_MAX, countShards, MEMBERS_MAX, NO_OWNER, planMap, type MapMember, type ShardMap,
} from "../../../engine/cluster/shard-map.ts";
import { NO_WITNESS, planWitnesses } from "../../../engine/cluster/witnesses.ts";
import { SHARDS } from "../../../engine/hash/shard-of.ts";
import { mapDigest, mapMember } from "../../support/map-members.ts";

interface Golden {
  readonly steps: readonly {
    readonly members: readonly (readonly [string, number, string])[];
    readonly counts: readonly number[];
    readonly digest: string;
  }[];
}

const golden = JSON.parse(readFileSync(
  join(import.meta.dirname, "../../fixtures/cluster/shard-maps.json"), "utf8")) as Golden;

function equals(count: number): MapMember[] {
  return Array.from({ length: count }, (_, index) => mapMember(`node-${index}`));
}

function movedShards(before: ShardMap, after: ShardMap): number[] {
  return Array.from(before.owners.keys()).filter((shard) =>
    before.members[before.owners[shard]!]?.name !== after.members[after.owners[shard]!]?.name);
}

describe("a map of shards", () => {
  it("is the same as every version before planned it", () => {
    let map: ShardMap | null = null;
    for (const { members, counts, digest } of golden.steps) {
      map = planMap(map, members.map(([name, capacity, incarnation]) =>
        mapMember(name, { capacity, incarnation })));
      expect(countShards(map)).toEqual(counts);
      expect(mapDigest(map)).toBe(digest);
    }
  });

  it("gives the only member everything, without a witness", () => {
    const map = planMap(null, equals(1));
    expect(map.epoch).toBe(1);
    expect(new Set(map.owners)).toEqual(new Set([0]));
    expect(new Set(map.since)).toEqual(new Set([1]));
    expect(new Set(planWitnesses(map))).toEqual(new Set([NO_WITNESS]));
  });

  it("has no owners without members, and goes on from there", () => {
    const empty = planMap(planMap(null, equals(3)), []);
    expect(new Set(empty.owners)).toEqual(new Set([NO_OWNER]));
    const back = planMap(empty, equals(2));
    expect(back.epoch).toBe(3);
    expect(countShards(back)).toEqual([2048, 2048]);
    expect(new Set(back.since)).toEqual(new Set([3]));
  });

  it("takes exactly a newcomer's share, and moves nobody else's shards", () => {
    for (const count of [1, 2, 3, 7, 20, 99]) {
      const before = planMap(null, equals(count));
      const after = planMap(before, [...equals(count), mapMember("a-newcomer")]);
      const moved = movedShards(before, after);
      expect(after.members[0]!.name).toBe("a-newcomer");
      expect(new Set(moved.map((shard) => after.owners[shard]))).toEqual(new Set([0]));
      expect(moved.length).toBeLessThanOrEqual(Math.ceil(SHARDS / (count + 1)));
      expect(moved.length).toBeGreaterThanOrEqual(Math.floor(SHARDS / (count + 1)));
      for (const shard of moved) expect(after.since[shard]).toBe(2);
    }
  });

  it("moves only what a leaving member had", () => {
    const before = planMap(null, equals(5));
    const after = planMap(before, equals(5).filter(({ name }) => name !== "node-2"));
    expect(movedShards(before, after)).toEqual(
      Array.from(before.owners.keys()).filter((shard) => before.owners[shard] === 2));
    expect(countShards(after)).toEqual([1024, 1024, 1024, 1024]);
  });

  it("gives every member by its capacity", () => {
    const capacities = [1, 2, 4, 9];
    const members = capacities.map((capacity) => mapMember(`c${capacity}`, { capacity }));
    const map = planMap(null, members);
    expect(countShards(map)).toEqual([256, 512, 1024, 2304]);
  });

  it("moves shards of members whose capacity changed", () => {
    const before = planMap(null, equals(4));
    const after = planMap(before, [...equals(3), mapMember("node-3", { capacity: 5 })]);
    expect(countShards(after)).toEqual([512, 512, 512, 2560]);
    const moved = movedShards(before, after);
    expect(moved).toHaveLength(3 * 512);
    expect(new Set(moved.map((shard) => after.owners[shard]))).toEqual(new Set([3]));
  });

  it("leaves a new incarnation its shards, gained anew", () => {
    const before = planMap(null, equals(3));
    const after = planMap(before, [
      ...equals(2), mapMember("node-2", { incarnation: "second" }),
    ]);
    expect(after.owners).toEqual(before.owners);
    for (let shard = 0; shard < SHARDS; shard++) {
      expect(after.since[shard]).toBe(after.owners[shard] === 2 ? 2 : 1);
    }
  });

  it("tells members apart by every code unit, in an order that no locale changes", () => {
    const names = ["Ä", "a", "B", "b", "é", "z", "10", "9"];
    const map = planMap(null, names.map((name) => mapMember(name)));
    expect(map.members.map(({ name }) => name)).toEqual([...names].sort());
  });

  it("refuses what would not be a map", () => {
    expect(() => planMap(null, [mapMember("a"), mapMember("a")])).toThrow("one name");
    for (const capacity of [0, -1, 1.5, CAPACITY_MAX + 1, Number.NaN]) {
      expect(() => planMap(null, [mapMember("a", { capacity })])).toThrow("capacity");
    }
    expect(() => planMap(null, equals(MEMBERS_MAX + 1))).toThrow("more members");
    expect(countShards(planMap(null, equals(MEMBERS_MAX)))).toEqual(
      Array.from({ length: MEMBERS_MAX }, () => SHARDS / MEMBERS_MAX));
  });
});

describe("witnesses", () => {
  it("are other members than the owner, about as many shards each", () => {
    const map = planMap(null, equals(10));
    const witnesses = planWitnesses(map);
    const counts = Array.from({ length: 10 }, () => 0);
    witnesses.forEach((witness, shard) => {
      expect(witness).not.toBe(map.owners[shard]);
      counts[witness]!++;
    });
    for (const count of counts) expect(Math.abs(count - 409.6)).toBeLessThan(100);
  });

  it("change with a leaving member only where it was owner or witness", () => {
    const before = planMap(null, equals(8));
    const after = planMap(before, equals(8).slice(1));
    const [former, present] = [planWitnesses(before), planWitnesses(after)];
    for (let shard = 0; shard < SHARDS; shard++) {
      if (before.owners[shard] === 0 || former[shard] === 0) continue;
      expect(after.members[present[shard]!]!.name).toBe(before.members[former[shard]!]!.name);
    }
  });
});
