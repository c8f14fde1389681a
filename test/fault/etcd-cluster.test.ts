// Three nodes with real servers, on which is done what happens to servers. The tests build on each
// other: the cluster goes through all of it.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../engine/base/clock.ts";
import type { StoreEvent } from "../../engine/cluster/cluster-store.ts";
import { Membership } from "../../engine/cluster/membership.ts";
import { countShards, planMap } from "../../engine/cluster/shard-map.ts";
import {
  getJson, hasEtcd, killServer, nodePlace, removePlaces, TestNode, v2Members, type NodePlace,
} from "../support/etcd-nodes.ts";
import { mapMember } from "../support/map-members.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;
const LEASE_TTL_SECONDS = 6;
/** Three tries of 1.5 s. */
const CALL_MS_MAX = 5_000;

const places: NodePlace[] = [];
const nodes: TestNode[] = [];

function member(index: number): Membership {
  return new Membership(
    { self: mapMember(places[index]!.name), leaseTtlSeconds: LEASE_TTL_SECONDS },
    {
      mapChanged: () => {}, nodesChanged: () => {}, leaseLost: () => {}, mayRenew: () => true,
      takenOut: () => {}, reachesOthers: () => true,
      failed: (error) => nodes[index]!.failures.push(error),
    },
    { store: nodes[index]!.cluster.store, clock: systemClock },
  );
}

async function leaderIndex(): Promise<number> {
  const answers = await Promise.all(places.map(async ({ host, metricsPort }) => {
    const reply = await fetch(`http://${host}:${metricsPort}/metrics`);
    return /^etcd_server_is_leader 1$/m.test(await reply.text());
  }));
  return answers.indexOf(true);
}

async function timed<T>(work: Promise<T>): Promise<number> {
  const startedMs = performance.now();
  await work;
  return performance.now() - startedMs;
}

describe.skipIf(!hasEtcd())("three nodes", () => {
  beforeAll(async () => {
    for (const number of [1, 2, 3]) places.push(await nodePlace(`gateway-${number}`, 60 + number));
    nodes.push(await TestNode.open(places[0]!, { operation: "seed", targets: places }));
    // At once, as an orchestrator starts them: etcd takes one after the other.
    nodes.push(...await Promise.all(places.slice(1).map(async (place) =>
      await TestNode.open(place, { operation: "join", targets: places }))));
  }, LIMIT_MS);

  afterAll(async () => {
    for (const node of nodes) killServer(node.pid, "SIGCONT");
    await Promise.all(nodes.map(async (node) => await node.close()));
    removePlaces(places);
  }, LIMIT_MS);

  it("list themselves as the operator's guide shows", async () => {
    for (const place of places) {
      expect(await v2Members(place)).toEqual(places.map(({ name, host, clientPort, peerPort }) => ({
        id: expect.stringMatching(/^[0-9a-f]{8,16}$/) as string, name,
        clientURLs: [`http://${host}:${clientPort}`], peerURLs: [`http://${host}:${peerPort}`],
      })));
    }
    expect(await getJson(places[0]!, "/health")).toEqual({ health: "true" });
  });

  it("know the cluster's name, and each other's servers", async () => {
    expect((await nodes[2]!.cluster.store.get("/gateway/cluster/name"))?.value).toBe("test");
    await until(() => nodes.every(({ cluster }) => cluster.endpoints.length === 3), "endpoints");
  });

  it("agree on one map, whoever proposes it", async () => {
    const members = nodes.map((_, index) => member(index));
    try {
      for (const each of members) await each.start();
      await until(() => members.every((each) => each.nodes.length === 3), "all are registered");
      const proposals = await Promise.all(members.map(async (each) =>
        await each.proposeMap(planMap(each.map, each.nodes))));
      expect(proposals).toContain(true);
      await until(() => members.every(({ map }) => map?.epoch === 1), "the map is known");
      for (const { map } of members) {
        expect(map).toEqual(members[0]!.map);
        expect(countShards(map!)).toEqual([1366, 1365, 1365]);
      }
      await expect(members[1]!.proposeMap(planMap(null, members[1]!.nodes))).resolves.toBe(false);
    } finally {
      for (const each of members) expect(await each.close()).toBe(true);
    }
    const { entries } = await nodes[0]!.cluster.store.list("/tailrace/nodes/");
    expect(entries).toEqual([]);
  }, LIMIT_MS);

  it("go on without a killed server, and start it again", async () => {
    const [victim, other] = [nodes[1]!, nodes[2]!];
    const before = await v2Members(places[0]!);
    const former = victim.pid;
    killServer(former, "SIGKILL");
    expect(await timed(other.cluster.store.compareAndSet("/test/killed", 0, "x", null)))
      .toBeLessThan(CALL_MS_MAX);
    await until(() => victim.pid > 0 && victim.pid !== former, "another server runs", 10_000);
    await until(async () => JSON.stringify(await getJson(victim.place, "/health").catch(() => null))
      === "{\"health\":\"true\"}", "it serves", 15_000);
    expect(await v2Members(places[1]!)).toEqual(before);
    expect(victim.cluster.server?.restarts).toBe(1);
    expect(victim.logged(/^etcd has ended \(SIGKILL\)/)).toBe(true);
    expect((await victim.cluster.store.get("/test/killed"))?.value).toBe("x");
  }, LIMIT_MS);

  it("keep deadlines, leases and watches while the server that leads hangs", async () => {
    const leader = await leaderIndex();
    const index = (leader + 1) % 3;
    const node = nodes[index]!;
    const seen: StoreEvent[] = [];
    const events: string[] = [];
    const membership = member(index);
    await membership.start();
    await until(() => membership.lastAcknowledgedSentMs > 0, "the lease is held");
    const watch = node.cluster.store.watch("/test/hung/", 0, {
      events: (list) => seen.push(...list), gap: () => events.push("gap"),
    });
    killServer(nodes[leader]!.pid, "SIGSTOP");
    try {
      const stoppedMs = performance.now();
      // Longer than the TTL: without keepalives past the leader the lease would be gone.
      for (let round = 0; performance.now() - stoppedMs < 8_000; round++) {
        const ms = await timed(node.cluster.store
          .compareAndSet(`/test/hung/${round}`, 0, String(round), null)
          .then((revision) => revision !== null && events.push(`put ${round}`), () => null));
        expect(ms).toBeLessThan(CALL_MS_MAX);
        await sleep(200);
      }
      expect(performance.now() - membership.lastAcknowledgedSentMs).toBeLessThan(4_500);
      const puts = events.filter((event) => event.startsWith("put")).map((event) => event.slice(4));
      expect(puts.length).toBeGreaterThan(5);
      await until(() => puts.every((put) => seen.some(({ value }) => value === put)),
        "the watch has every write", 10_000);
      expect(new Set(seen.map(({ revision }) => revision)).size).toBe(seen.length);
      expect(membership.counts.leasesLost).toBe(0);
    } finally {
      killServer(nodes[leader]!.pid, "SIGCONT");
      watch.close();
    }
    expect(events).not.toContain("gap");
    await until(async () => (await v2Members(nodes[leader]!.place)).length === 3, "it is back");
    // A server of this age may revoke a lease when it comes back: then there is another one.
    await until(() => membership.isRegistered, "the node is registered");
    expect(await membership.close()).toBe(true);
  }, LIMIT_MS);

  it("come back with join when all were killed at once", async () => {
    const before = await v2Members(places[0]!);
    const pids = nodes.map(({ pid }) => pid);
    // As a power cut: gateways first, so that nobody starts a server again.
    await Promise.all(nodes.map(async (node) => {
      killServer(node.pid, "SIGKILL");
      await node.close();
    }));
    const again = await Promise.all(places.map(async (place) =>
      await TestNode.open(place, { operation: "join", targets: places })));
    nodes.splice(0, 3, ...again);
    expect(await v2Members(places[2]!)).toEqual(before);
    for (const { pid } of nodes) expect(pids).not.toContain(pid);
    expect((await nodes[1]!.cluster.store.get("/test/killed"))?.value).toBe("x");
    expect((await nodes[1]!.cluster.store.get("/gateway/cluster/name"))?.value).toBe("test");
  }, LIMIT_MS);
});
