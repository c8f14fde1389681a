import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LOOK_MS } from "../../../engine/cluster/map-keeper.ts";
import { MAP_KEY } from "../../../engine/cluster/membership.ts";
import { ABANDONED_MS, MEMBERS_MAX_LINKED } from "../../../engine/cluster/next-members.ts";
import { NODES_PREFIX } from "../../../engine/cluster/node-registry.ts";
import { encodeMap } from "../../../engine/cluster/shard-map-codec.ts";
import { planMap } from "../../../engine/cluster/shard-map.ts";
import { KeeperCluster, TTL_MS, type KeeperNode } from "../../support/keeper-cluster.ts";
import { mapMember } from "../../support/map-members.ts";

let cluster: KeeperCluster;

beforeEach(() => { cluster = new KeeperCluster(); });
afterEach(async () => { await cluster.close(); });

describe("a cluster", () => {
  it("begins with a map of its first node, and takes in others as they come", async () => {
    const first = await cluster.started(mapMember("a"));
    expect(cluster.members).toEqual(["first-of-a"]);
    expect(first.keeper.isInForce).toBe(true);
    const second = await cluster.started(mapMember("b"));
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    expect(second.keeper.isInForce).toBe(true);
    expect(second.keeper.counts.proposed).toBe(0);
    expect(first.log).toEqual([
      "info: the cluster's map has 1 members",
      'info: "b" joined the cluster: 2048 of 4096 shards moved there',
    ]);
  });

  it("asks for nothing while all is as it should be", async () => {
    const first = await cluster.started(mapMember("a"));
    await cluster.started(mapMember("b"));
    await cluster.pass(1_000);
    first.store.calls.length = 0;
    await cluster.pass(10_000);
    expect(first.store.calls).not.toContain("list");
    expect(cluster.epoch).toBe(2);
  });

  it("of nodes that start together has them all, one map after the other", async () => {
    const names = ["a", "b", "c", "d"];
    const made = names.map((name) => cluster.node(mapMember(name)));
    await Promise.all(made.map(async ({ membership, keeper }) => {
      await membership.start();
      keeper.start();
    }));
    await cluster.pass(2_000);
    expect(cluster.members).toEqual(names.map((name) => `first-of-${name}`));
    expect(made.map(({ keeper }) => keeper.isInForce)).toEqual([true, true, true, true]);
  });

  it("has a node that started again at once, and says so", async () => {
    const first = await cluster.started(mapMember("a"));
    const former = await cluster.started(mapMember("b"));
    former.store.isDown = true; // killed: its lease lives
    await former.keeper.close();
    await cluster.started(mapMember("b", { incarnation: "second-of-b" }));
    expect(cluster.members).toEqual(["first-of-a", "second-of-b"]);
    expect(first.log.at(-1))
      .toBe('info: "b" returned to the cluster: 2048 of 4096 shards wait for reports there');
  });

  it("removes a node that is gone one TTL after its key vanished, not before", async () => {
    const first = await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    await cluster.pass(TTL_MS);
    second.store.isDown = true;
    const acknowledgedMs = second.membership.lastAcknowledgedSentMs;
    await cluster.pass(TTL_MS);
    expect(first.membership.nodes).toHaveLength(1);
    await cluster.pass(acknowledgedMs + 2 * TTL_MS - 100 - cluster.etcd.nowMs);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    await cluster.pass(LOOK_MS * 4);
    expect(cluster.members).toEqual(["first-of-a"]);
    expect(first.log.at(-1))
      .toBe('info: "b" left the cluster: 2048 of 4096 shards moved to others');
  });

  it("takes a node back that was removed, once it lives again", async () => {
    await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    second.store.isDown = true;
    await cluster.pass(3 * TTL_MS);
    expect(cluster.members).toEqual(["first-of-a"]);
    expect(second.keeper.isInForce).toBe(false);
    second.store.isDown = false;
    await cluster.pass(2 * TTL_MS);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    expect(second.keeper.isInForce).toBe(true);
  });

  it("repeats its map when a member registered anew, and that one waits for it", async () => {
    const first = await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    const before = cluster.epoch;
    second.blockedUntilMs = Number.POSITIVE_INFINITY;
    first.blockedUntilMs = Number.POSITIVE_INFINITY;
    cluster.etcd.endLease(cluster.etcd.leaseOf(`${NODES_PREFIX}b`)!);
    await cluster.pass(TTL_MS / 2);
    expect(second.membership.isRegistered).toBe(true);
    expect(second.keeper.isInForce).toBe(false);
    second.blockedUntilMs = 0;
    await cluster.pass(1_000);
    expect(second.keeper.isInForce).toBe(true);
    expect(cluster.epoch).toBe(before + 1);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
  });

  it("does not remove a member of which only the news has not come yet", async () => {
    const first = await cluster.started(mapMember("a"));
    await cluster.pass(3 * TTL_MS);
    const nodesWatch = [...cluster.etcd.watches].filter(({ prefix }) => prefix === NODES_PREFIX);
    nodesWatch.forEach((watching) => cluster.etcd.watches.delete(watching)); // it has gone deaf
    const second = await cluster.started(mapMember("b"));
    await second.membership.proposeMap(
      planMap(second.membership.map, [mapMember("a"), mapMember("b")]));
    await cluster.pass(3 * TTL_MS);
    expect(first.membership.nodes).toHaveLength(1);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    expect(cluster.epoch).toBe(2);
  });

  it("does not count a member whose key was deleted by hand, until it is back", async () => {
    await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    cluster.etcd.remove(`${NODES_PREFIX}b`);
    await cluster.pass(100);
    expect(second.keeper.isInForce).toBe(false);
    await cluster.pass(TTL_MS - 1_000);
    expect(second.membership.isRegistered).toBe(false);
    expect(second.log.at(-1)).toBe("taken out");
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    await cluster.pass(2_000);
    expect(cluster.members).toEqual(["first-of-a"]);
    await cluster.pass(TTL_MS);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    expect(second.keeper.isInForce).toBe(true);
  });

  it("puts a map that was deleted by hand again", async () => {
    await cluster.started(mapMember("a"));
    cluster.etcd.remove(MAP_KEY);
    await cluster.pass(2 * LOOK_MS);
    expect(cluster.epoch).toBe(2);
    expect(cluster.members).toEqual(["first-of-a"]);
  });
});

describe("a newcomer", () => {
  it("waits long for members that may be frozen, and says so", async () => {
    cluster.etcd.write(MAP_KEY, encodeMap(planMap(null, [mapMember("a"), mapMember("b")])), null);
    const newcomer = await cluster.started(mapMember("z"));
    expect(newcomer.log.at(-1)).toBe('warn: none of the cluster\'s members ("a", "b") has a lease: '
      + "start one of them with its data; without any this node keeps its spans, and begins a new "
      + "map in 670 s");
    await cluster.pass(ABANDONED_MS);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    await cluster.pass(TTL_MS + 2 * LOOK_MS);
    expect(cluster.members).toEqual(["first-of-z"]);
    expect(newcomer.keeper.isInForce).toBe(true);
  });

  it("takes over from a lone member that is gone after one TTL", async () => {
    cluster.etcd.write(MAP_KEY, encodeMap(planMap(null, [mapMember("a")])), null);
    await cluster.started(mapMember("z"));
    await cluster.pass(TTL_MS - 1_000);
    expect(cluster.members).toEqual(["first-of-a"]);
    await cluster.pass(2_000);
    expect(cluster.members).toEqual(["first-of-z"]);
  });

  it("that finds no room is told of", async () => {
    const many = Array.from(
      { length: MEMBERS_MAX_LINKED - 1 }, (_, index) => mapMember(`n${100 + index}`));
    const first = mapMember("a");
    cluster.etcd.write(MAP_KEY, encodeMap(planMap(null, [first, ...many])), null);
    const lease = cluster.etcd.grant(3_600);
    for (const member of many) {
      cluster.etcd.write(NODES_PREFIX + member.name,
        JSON.stringify({ format: 1, member, leaseTtlMs: lease.ttlMs }), lease.id);
    }
    const member = await cluster.started(mapMember("a"));
    const refused = await cluster.started(mapMember("z"));
    await cluster.pass(1_000);
    expect(cluster.members).toHaveLength(MEMBERS_MAX_LINKED);
    expect(cluster.members).not.toContain("first-of-z");
    expect(refused.keeper.isInForce).toBe(false);
    for (const { keeper, log } of [member, refused]) {
      expect(keeper.counts.refused).toBe(1);
      expect(log.at(-1)).toContain('"z" cannot join: a cluster has at most 190 members');
    }
    cluster.etcd.endLease(lease.id);
  });
});

describe("a member that is silent", () => {
  const MEMBERS = ["a", "b", "c"].map((name) => mapMember(name));

  function report(node: KeeperNode, names: readonly string[], connected: readonly string[]): void {
    node.keeper.reportSilence({
      silent: MEMBERS.filter(({ name }) => names.includes(name))
        .map((member) => ({ member, silentMs: 30_400 })),
      isConnected: ({ name }) => connected.includes(name),
    });
  }

  const warnings = ({ log }: KeeperNode): string[] =>
    log.filter((line) => line.startsWith("warn"));

  it("goes one TTL after its registration was deleted, and comes back by itself", async () => {
    const first = await cluster.started(MEMBERS[0]!);
    const second = await cluster.started(MEMBERS[1]!);
    const third = await cluster.started(MEMBERS[2]!);
    third.reachesOthers = false;
    report(first, ["c"], ["b"]);
    await cluster.pass(LOOK_MS);
    expect(cluster.etcd.read(`${NODES_PREFIX}c`)).toBeNull();
    expect(third.keeper.isInForce).toBe(false);
    expect(first.keeper.counts.removed).toBe(1);
    expect(warnings(first)).toEqual(['warn: "c" has not reported for 30 s though its lease lives: '
      + "it is taken out of the map, so that its traces go on elsewhere; it comes back by itself "
      + "when it reaches all members"]);
    await cluster.pass(TTL_MS - 1_000);
    expect(cluster.members).toHaveLength(3);
    await cluster.pass(2 * TTL_MS);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
    expect(second.keeper.isInForce).toBe(true);
    third.reachesOthers = true;
    await cluster.pass(1_000);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b", "first-of-c"]);
    expect(third.keeper.isInForce).toBe(true);
  });

  it("stays when whoever waits for it has no majority, which is told once", async () => {
    const first = await cluster.started(MEMBERS[0]!);
    await cluster.started(MEMBERS[1]!);
    await cluster.started(MEMBERS[2]!);
    for (let look = 0; look < 20; look++) {
      report(first, ["c"], ["c"]);
      await cluster.pass(2 * LOOK_MS);
    }
    expect(cluster.members).toHaveLength(3);
    expect(warnings(first)).toHaveLength(1);
    expect(warnings(first)[0]).toContain("no connections with most of the members");
    expect(first.keeper.counts.removed).toBe(0);
  });

  it("stays in a map of two, which is told", async () => {
    const first = await cluster.started(MEMBERS[0]!);
    await cluster.started(MEMBERS[1]!);
    report(first, ["b"], []);
    await cluster.pass(TTL_MS);
    expect(cluster.members).toHaveLength(2);
    expect(warnings(first)[0]).toContain("of two nodes nobody can say which one is cut off");
  });

  it("is not taken out by a node that may propose nothing", async () => {
    const first = await cluster.started(MEMBERS[0]!);
    await cluster.started(MEMBERS[1]!);
    await cluster.started(MEMBERS[2]!);
    first.blockedUntilMs = Number.POSITIVE_INFINITY;
    report(first, ["c"], ["b"]);
    await cluster.pass(TTL_MS);
    expect(cluster.etcd.read(`${NODES_PREFIX}c`)).not.toBeNull();
  });

  it("and wants the other out as well: only one of the two gets it", async () => {
    const [first, second, third] = [
      await cluster.started(MEMBERS[0]!), await cluster.started(MEMBERS[1]!),
      await cluster.started(MEMBERS[2]!),
    ];
    const listed = await first.membership.listNodes();
    const [a, b] = listed;
    const outcomes = await Promise.all([
      first.membership.deleteNode(b!, a!), second.membership.deleteNode(a!, b!),
    ]);
    expect(outcomes).toEqual([true, false]);
    await cluster.pass(2 * TTL_MS + 1_000);
    expect(third.keeper.isInForce).toBe(true);
    expect(cluster.members).toHaveLength(3);
  });
});

describe("a list of the nodes", () => {
  it("has them with the revision of their keys", async () => {
    const first = await cluster.started(mapMember("a"));
    await cluster.started(mapMember("b"));
    const listed = await first.membership.listNodes();
    expect(listed.map(({ member }) => member)).toEqual([mapMember("a"), mapMember("b")]);
    expect(listed.map(({ revision }) => revision))
      .toEqual(["a", "b"].map((name) => cluster.etcd.read(NODES_PREFIX + name)!.revision));
    expect(first.membership.mapRevision).toBe(cluster.etcd.read(MAP_KEY)!.revision);
  });

  it("refuses what a newer version registered, and what nobody did", async () => {
    const first = await cluster.started(mapMember("a"));
    await first.keeper.close();
    cluster.etcd.write(`${NODES_PREFIX}b`, JSON.stringify({ format: 2 }), null);
    await expect(first.membership.listNodes()).rejects.toMatchObject({ code: "CLUSTER_FORMAT" });
    cluster.etcd.write(`${NODES_PREFIX}b`, JSON.stringify({ format: 1, member: 7 }), null);
    await expect(first.membership.listNodes()).rejects.toMatchObject({ code: "CLUSTER_FORMAT" });
    first.failures.length = 0;
  });
});
