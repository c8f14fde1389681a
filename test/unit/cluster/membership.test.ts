import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import { MAP_KEY, Membership } from "../../../engine/cluster/membership.ts";
import {
  POLICY_SET_BYTES_MAX, POLICY_SETS_MAX, POLICY_SETS_PREFIX,
} from "../../../engine/cluster/policy-set-store.ts";
import { encodeMap } from "../../../engine/cluster/shard-map-codec.ts";
import { planMap, type MapMember } from "../../../engine/cluster/shard-map.ts";
import { mapMember } from "../../support/map-members.ts";
import { MemoryCluster, MemoryStore } from "../../support/memory-store.ts";

const TTL_SECONDS = 10;
const TTL_MS = TTL_SECONDS * 1_000;

interface Node {
  readonly membership: Membership;
  readonly store: MemoryStore;
  readonly told: string[];
  readonly failures: GatewayError[];
  reachesOthers: boolean;
}

let cluster: MemoryCluster;
let nodes: Node[];

function node(self: MapMember): Node {
  const store = new MemoryStore(cluster);
  const told: string[] = [];
  const failures: GatewayError[] = [];
  const membership: Membership = new Membership({ self, leaseTtlSeconds: TTL_SECONDS }, {
    mapChanged: ({ epoch }) => told.push(`map ${epoch}`),
    nodesChanged: () => told.push("nodes"),
    leaseLost: () => told.push("lease lost"),
    mayRenew: () => true,
    takenOut: (pauseMs) => told.push(`taken out for ${pauseMs}`),
    reachesOthers: () => made.reachesOthers,
    failed: (error) => failures.push(error as GatewayError),
  }, { store, clock: { monotonicMs: () => cluster.nowMs, wallMs: () => cluster.nowMs } });
  const made: Node = { membership, store, told, failures, reachesOthers: true };
  nodes.push(made);
  return made;
}

async function started(self: MapMember): Promise<Node> {
  const made = node(self);
  await made.membership.start();
  await pass(50);
  return made;
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    cluster.advance(50);
    await vi.advanceTimersByTimeAsync(50);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  cluster = new MemoryCluster();
  nodes = [];
});
afterEach(async () => {
  for (const { membership, store } of nodes) {
    store.isDown = false;
    await membership.close();
  }
  expect(cluster.watches.size).toBe(0);
  expect(cluster.leaseIds).toEqual([]);
  vi.useRealTimers();
});

describe("the nodes", () => {
  it("know each other as they registered themselves", async () => {
    const first = await started(mapMember("a", { capacity: 7 }));
    const second = await started(mapMember("b"));
    const both = [mapMember("a", { capacity: 7 }), mapMember("b")];
    expect(first.membership.nodes).toEqual(both);
    expect(second.membership.nodes).toEqual(both);
    await second.membership.close();
    expect(first.membership.nodes).toEqual(both.slice(0, 1));
  });

  it("are gone one TTL after their last keepalive, and may decide until one more has passed",
    async () => {
      const first = await started(mapMember("a"));
      const second = await started(mapMember("b"));
      expect(first.membership.decidesUntilMs("b")).toBe(Number.POSITIVE_INFINITY);
      second.store.isDown = true;
      const cutMs = cluster.nowMs;
      await pass(TTL_MS + 500);
      expect(first.membership.nodes).toEqual([mapMember("a")]);
      const until = first.membership.decidesUntilMs("b");
      expect(until).toBeGreaterThan(cutMs + TTL_MS);
      expect(until).toBeGreaterThanOrEqual(
        second.membership.lastAcknowledgedSentMs + second.membership.leaseTtlMs);
      expect(until).toBeLessThanOrEqual(cluster.nowMs + TTL_MS);
      second.store.isDown = false;
      await pass(1_000);
      expect(first.membership.decidesUntilMs("b")).toBe(Number.POSITIVE_INFINITY);
      expect(second.told).toContain("lease lost");
    });

  it("that were never seen may decide for one TTL after the start", async () => {
    const first = await started(mapMember("a"));
    expect(first.membership.decidesUntilMs("never")).toBeGreaterThanOrEqual(1_000 + TTL_MS);
    expect(first.membership.decidesUntilMs("never")).toBeLessThanOrEqual(cluster.nowMs + TTL_MS);
  });

  it("take their former incarnation's place at once", async () => {
    const former = await started(mapMember("a", { incarnation: "one" }));
    former.store.isDown = true; // killed: its lease lives
    const next = await started(mapMember("a", { incarnation: "two" }));
    expect(next.membership.isRegistered).toBe(true);
    expect(next.membership.nodes.map(({ incarnation }) => incarnation)).toEqual(["two"]);
    await pass(2 * TTL_MS);
    expect(next.membership.nodes.map(({ incarnation }) => incarnation)).toEqual(["two"]);
  });

  it("wait for a name whose node has just ended", async () => {
    const former = await started(mapMember("a", { logId: "other" }));
    former.store.isDown = true;
    const next = await started(mapMember("a"));
    expect(next.membership.isRegistered).toBe(false);
    await pass(TTL_MS + 1_000);
    expect(next.membership.isRegistered).toBe(true);
    expect(next.failures).toEqual([]);
    former.store.isDown = false;
    await pass(3 * TTL_MS);
    expect(former.failures.map(({ code }) => code)).toEqual(["CLUSTER_SERVER_NAME_TAKEN"]);
  });

  it("do not take the name of one that lives", async () => {
    await started(mapMember("a", { logId: "other" }));
    const next = await started(mapMember("a"));
    await pass(3 * TTL_MS);
    expect(next.membership.isRegistered).toBe(false);
    expect(next.failures.map(({ code }) => code)).toEqual(["CLUSTER_SERVER_NAME_TAKEN"]);
    expect(next.failures[0]!.message).toContain("give this one its own ServerName");
  });

  it("refuse what a newer version registered", async () => {
    const first = await started(mapMember("a"));
    cluster.write("/tailrace/nodes/b", JSON.stringify({ format: 2 }), null);
    expect(first.failures[0]!.code).toBe("CLUSTER_FORMAT");
    expect(first.failures[0]!.message).toContain("upgrade this node");
  });
});

describe("the map", () => {
  it("is in force for all once one has put it", async () => {
    const first = await started(mapMember("a"));
    const second = await started(mapMember("b"));
    const planned = planMap(null, first.membership.nodes);
    expect(await first.membership.proposeMap(planned)).toBe(true);
    expect(first.membership.map).toEqual(planned);
    expect(second.membership.map).toEqual(planned);
    expect(await second.membership.proposeMap(planMap(null, [mapMember("b")]))).toBe(false);
  });

  it("changes only from the one in force", async () => {
    const first = await started(mapMember("a"));
    await first.membership.proposeMap(planMap(null, [mapMember("a")]));
    const [mine, theirs] = [["a", "b"], ["a", "c"]].map((names) =>
      planMap(first.membership.map, names.map((name) => mapMember(name))));
    const other = await started(mapMember("z"));
    expect(await other.membership.proposeMap(theirs!)).toBe(true);
    expect(await first.membership.proposeMap(mine!)).toBe(false);
    expect(first.membership.map).toEqual(theirs);
  });

  it("that was put while its answer was lost is in force once", async () => {
    const first = await started(mapMember("a"));
    first.store.losesNextAnswer = true;
    const planned = planMap(null, [mapMember("a")]);
    await expect(first.membership.proposeMap(planned)).rejects.toMatchObject(
      { code: "CLUSTER_STORE_UNAVAILABLE" });
    expect(first.membership.map).toEqual(planned);
    expect(first.told.filter((each) => each.startsWith("map"))).toEqual(["map 1"]);
  });

  it("is noticed by a keepalive when the watch has gone deaf", async () => {
    const first = await started(mapMember("a"));
    const second = await started(mapMember("b"));
    for (const watching of [...cluster.watches]) cluster.watches.delete(watching);
    await first.membership.proposeMap(planMap(null, [mapMember("a")]));
    expect(second.membership.map).toBeNull();
    await pass(TTL_MS / 4 + 100);
    expect(second.membership.map?.epoch).toBe(1);
  });

  it("is read anew when the history a watch needs was compacted", async () => {
    const first = node(mapMember("a"));
    vi.spyOn(first.store, "watch").mockImplementationOnce((prefix, revision, handlers) => {
      cluster.write(MAP_KEY, encodeMap(planMap(null, [mapMember("a")])), null);
      cluster.compact();
      return cluster.watch(prefix, revision, handlers);
    });
    await first.membership.start();
    await pass(50);
    expect(first.membership.map?.epoch).toBe(1);
    expect(first.membership.counts.resyncs).toBe(1);
  });

  it("that was deleted by hand is put again, from the one that was in force", async () => {
    const first = await started(mapMember("a"));
    await first.membership.proposeMap(planMap(null, [mapMember("a")]));
    cluster.remove(MAP_KEY);
    expect(first.membership.map?.epoch).toBe(1);
    const next = planMap(first.membership.map, [mapMember("a"), mapMember("b")]);
    expect(await first.membership.proposeMap(next)).toBe(true);
    expect(first.membership.map?.epoch).toBe(2);
  });

  it("of a newer format ends the membership with what to do", async () => {
    const first = await started(mapMember("a"));
    cluster.write(MAP_KEY, JSON.stringify({ format: 2 }), null);
    cluster.write(MAP_KEY, JSON.stringify({ format: 3 }), null);
    expect(first.failures).toHaveLength(1);
    expect(first.failures[0]!.message).toContain("upgrade this node");
  });
});

describe("policy sets", () => {
  it("are found by their hash, and stay while a member decides by them", async () => {
    const { membership } = await started(mapMember("a"));
    await membership.policySets.put("used", "policies", new Set());
    for (let number = 0; number < POLICY_SETS_MAX + 5; number++) {
      cluster.advance(1);
      await membership.policySets.put(`set-${number}`, `text ${number}`, new Set(["used"]));
    }
    expect(await membership.policySets.get("used")).toBe("policies");
    expect(await membership.policySets.get("set-0")).toBeNull();
    expect(await membership.policySets.get(`set-${POLICY_SETS_MAX + 4}`)).not.toBeNull();
    const stored = cluster.keys.filter((key) => key.startsWith(POLICY_SETS_PREFIX));
    expect(stored).toHaveLength(POLICY_SETS_MAX);
  });

  it("are written once, and refused when etcd would refuse them", async () => {
    const { membership } = await started(mapMember("a"));
    await membership.policySets.put("same", "text", new Set());
    const before = cluster.revision;
    await membership.policySets.put("same", "text", new Set());
    expect(cluster.revision).toBe(before);
    await expect(membership.policySets.put("big", "x".repeat(POLICY_SET_BYTES_MAX + 1), new Set()))
      .rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("the end of a membership", () => {
  it("leaves nothing behind", async () => {
    const first = await started(mapMember("a"));
    expect(await first.membership.close()).toBe(true);
    expect(cluster.keys).toEqual([]);
  });

  it("says when etcd does not take it", async () => {
    const first = await started(mapMember("a"));
    first.store.isDown = true;
    expect(await first.membership.close()).toBe(false);
    await pass(TTL_MS + 100);
    expect(cluster.keys).toEqual([]);
  });
});
