import { describe, expect, it } from "vitest";
import {
  ABANDONED_MS, MEMBERS_MAX_LINKED, planMembers, refusedNodes, type NextMembersInput,
} from "../../../engine/cluster/next-members.ts";
import { planMap, type MapMember } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";

const [A, B, C] = [mapMember("a"), mapMember("b"), mapMember("c")];
const UNKNOWN = Number.POSITIVE_INFINITY;

function plan(
  members: readonly MapMember[] | null, living: readonly MapMember[],
  changes: Partial<NextMembersInput> = {},
): MapMember[] | null {
  return planMembers({
    map: members === null ? null : planMap(null, members), living, self: A, nowMs: 1_000,
    blockedUntilMs: Number.NEGATIVE_INFINITY, decidesUntilMs: () => UNKNOWN, removesFromMs: 0,
    ...changes,
  });
}

describe("the first map", () => {
  it("has all nodes that live", () => {
    expect(plan(null, [B, A])).toEqual([A, B]);
    expect(plan([], [B, A])).toEqual([A, B]);
  });

  it("is not proposed by a node that is not registered", () => {
    expect(plan(null, [B])).toBeNull();
    expect(plan(null, [mapMember("a", { incarnation: "former" })])).toBeNull();
  });
});

describe("a member proposes", () => {
  it("nothing while all is as it should be", () => {
    expect(plan([A, B], [B, A])).toBeNull();
  });

  it("nothing while it has promised not to", () => {
    expect(plan([A], [A, B], { blockedUntilMs: 1_001 })).toBeNull();
    expect(plan([A], [A, B], { blockedUntilMs: 1_000 })).toEqual([A, B]);
  });

  it("nothing while it is not registered", () => {
    expect(plan([A, B], [B, C])).toBeNull();
  });

  it("to add who lives and is not in the map", () => {
    expect(plan([A, C], [C, B, A])).toEqual([A, B, C]);
  });

  it.each<Partial<MapMember>>([
    { capacity: 9 }, { policySet: "other" }, { ingestAddress: "http://127.0.0.1:1" },
    { rebalanceAddress: "127.0.0.1:1" },
  ])("to renew what has changed of one: %o", (changes) => {
    const changed = mapMember("b", changes);
    expect(plan([A, B], [A, changed])).toEqual([A, changed]);
  });

  it("itself in the place of its former process at once, whatever it may not remove", () => {
    const self = mapMember("a", { incarnation: "second" });
    expect(plan([A, B], [self, B], { self, removesFromMs: UNKNOWN })).toEqual([self, B]);
  });

  it("itself under another name at once, and not under one that is taken", () => {
    const self = mapMember("z", { logId: A.logId, incarnation: "second" });
    expect(plan([A, B], [self, B], { self })).toEqual([B, self]);
    const named = mapMember("b", { logId: A.logId, incarnation: "second" });
    expect(plan([A, B], [named], { self: named })).toBeNull();
    expect(plan([A, B], [named], { self: named, decidesUntilMs: () => 1_000 })).toEqual([named]);
    expect(plan([A], [named], { self: named })).toEqual([named]);
  });

  it("two that have changed names when both former ones can decide no more", () => {
    const [b, c] = [B, C].map(({ name }, index) =>
      mapMember(name, { logId: [C, B][index]!.logId, incarnation: "second" })) as [
        MapMember, MapMember];
    const over = (names: string) => ({ name }: MapMember): number =>
      names.includes(name) ? 1_000 : 1_001;
    expect(plan([A, B, C], [A, b, c], { decidesUntilMs: over("b") })).toBeNull();
    expect(plan([A, B, C], [A, b, c], { decidesUntilMs: over("bc") })).toEqual([A, b, c]);
  });

  it("another process in the place of its former one when that can decide no more", () => {
    const next = mapMember("b", { incarnation: "second" });
    expect(plan([A, B], [A, next], { decidesUntilMs: () => 1_001 })).toBeNull();
    expect(plan([A, B], [A, next], { decidesUntilMs: () => 1_000 })).toEqual([A, next]);
  });

  it("to remove who is gone when that one can decide no more", () => {
    const asked: string[] = [];
    const gone = (untilMs: number): MapMember[] | null => plan([A, B], [A], {
      decidesUntilMs: ({ name }) => {
        asked.push(name);
        return untilMs;
      },
    });
    expect(gone(UNKNOWN)).toBeNull();
    expect(gone(1_001)).toBeNull();
    expect(gone(1_000)).toEqual([A]);
    expect(new Set(asked)).toEqual(new Set(["b"]));
  });

  it("to remove nobody soon after it became one", () => {
    const decidesUntilMs = (): number => 0;
    expect(plan([A, B], [A], { decidesUntilMs, removesFromMs: 1_001 })).toBeNull();
    expect(plan([A, B], [A, C], { decidesUntilMs, removesFromMs: 1_001 })).toEqual([A, B, C]);
  });

  it("to remove nobody who lives, whatever is said of it", () => {
    expect(plan([A, B], [A, B], { decidesUntilMs: () => 0 })).toBeNull();
  });

  it("a node with the name of another log when that log's is removed", () => {
    const other = mapMember("b", { logId: "other" });
    expect(plan([A, B], [A, other])).toBeNull();
    expect(plan([A, B], [A, other], { decidesUntilMs: () => 1_000 })).toEqual([A, other]);
  });

  it("a log once, though two names have it until one's lease ends", () => {
    const renamed = mapMember("z", { logId: B.logId, incarnation: "second" });
    expect(plan([A, B], [A, B, renamed])).toBeNull();
    expect(plan([A], [A, B, renamed])).toEqual([A, B]);
  });
});

describe("a node that is no member", () => {
  const self = mapMember("z");
  const input = { self, decidesUntilMs: () => 1_000 };

  it("proposes nothing while a member lives, not even itself", () => {
    expect(plan([A, B], [self, B], { ...input, nowMs: 1_000 + ABANDONED_MS })).toBeNull();
    const back = mapMember("b", { incarnation: "second" });
    expect(plan([A, B], [self, back], { ...input, nowMs: 1_000 + ABANDONED_MS })).toBeNull();
  });

  it("begins anew when no member can decide, not even by a frozen map", () => {
    expect(plan([A, B], [self, C], { ...input, nowMs: 999 + ABANDONED_MS })).toBeNull();
    expect(plan([A, B], [self, C], { ...input, nowMs: 1_000 + ABANDONED_MS })).toEqual([C, self]);
  });

  it("does so as soon as a lone member is gone: its map is never frozen", () => {
    expect(plan([A], [self], { ...input, nowMs: 999 })).toBeNull();
    expect(plan([A], [self], { ...input, nowMs: 1_000 })).toEqual([self]);
  });

  it("does not when one of them is not known to be gone", () => {
    const decidesUntilMs = ({ name }: MapMember): number => name === "a" ? 0 : UNKNOWN;
    expect(plan([A, B], [self], { self, decidesUntilMs, nowMs: 1e12 })).toBeNull();
  });
});

describe("a map that is full", () => {
  const many = Array.from({ length: MEMBERS_MAX_LINKED - 1 }, (_, index) => mapMember(`n${index}`));

  it("takes the first by name, and keeps its members", () => {
    const next = plan([A, ...many.slice(1)], [A, ...many, B, C])!;
    expect(next).toHaveLength(MEMBERS_MAX_LINKED);
    expect(next.map(({ name }) => name)).toContain("b");
    expect(next.map(({ name }) => name)).not.toContain("c");
    expect(refusedNodes(next, [A, ...many, B, C]).map(({ name }) => name)).toEqual(["c", "n0"]);
    expect(plan(next, [A, ...many, B, C])).toBeNull();
  });

  it("refuses nobody before", () => {
    expect(refusedNodes([A, ...many.slice(1)], [A, ...many])).toEqual([]);
  });
});
