// Leases against a real server: lost by a hang, and ended by somebody else.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../engine/base/clock.ts";
import type { EtcdClient } from "../../engine/cluster/etcd-client.ts";
import { EtcdStore } from "../../engine/cluster/etcd-store.ts";
import { NEVER_MS } from "../../engine/cluster/lease-keeper.ts";
import { Membership } from "../../engine/cluster/membership.ts";
import {
  etcdClient, hasEtcd, killServer, nodePlace, removePlaces, TestNode, type NodePlace,
} from "../support/etcd-nodes.ts";
import { mapMember } from "../support/map-members.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;
/** Shorter than a node would take, longer than the server grants at least. */
const TTL_SECONDS = 4;

describe.skipIf(!hasEtcd())("the lease of a node", () => {
  let place: NodePlace;
  let node: TestNode;
  let client: EtcdClient;
  let store: EtcdStore;

  beforeAll(async () => {
    place = await nodePlace("gateway-1", 111);
    node = await TestNode.open(place, { operation: "seed" });
    client = etcdClient(place);
    store = new EtcdStore(client);
  }, LIMIT_MS);

  afterAll(async () => {
    client?.close();
    await node?.close();
    removePlaces([place]);
  });

  function member(name: string, lost: string[]): Membership {
    return new Membership(
      { self: mapMember(name), leaseTtlSeconds: TTL_SECONDS },
      {
        mapChanged: () => {}, nodesChanged: () => {}, mayRenew: () => true,
        reachesOthers: () => true, takenOut: (pauseMs) => lost.push(`taken out for ${pauseMs}`),
        leaseLost: () => lost.push(name), failed: (error) => lost.push(String(error)),
      },
      { store, clock: systemClock },
    );
  }

  it("that ended while the server hung is granted again, and the node registers anew", async () => {
    const lost: string[] = [];
    const membership = member("hung", lost);
    await membership.start();
    await until(() => membership.lastAcknowledgedSentMs > 0, "the lease is held");
    const before = membership.lastAcknowledgedSentMs;
    expect(membership.leaseTtlMs).toBe(TTL_SECONDS * 1_000);
    killServer(node.pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, (TTL_SECONDS + 2) * 1_000));
    // Nobody answered: nothing may have been acknowledged since.
    expect(membership.lastAcknowledgedSentMs).toBeLessThan(before + TTL_SECONDS * 1_000);
    killServer(node.pid, "SIGCONT");
    const resumedMs = performance.now();
    await until(() => membership.lastAcknowledgedSentMs > resumedMs, "a lease is held again");
    expect((await store.list("/tailrace/nodes/")).entries).toHaveLength(1);
    await membership.close();
    expect((await store.list("/tailrace/nodes/")).entries).toHaveLength(0);
  }, LIMIT_MS);

  it("that somebody ended closes the fence at once, and comes back", async () => {
    const lost: string[] = [];
    const membership = member("revoked", lost);
    await membership.start();
    await until(() => membership.lastAcknowledgedSentMs > 0, "the lease is held");
    const [leaseId] = (await client.etcd.leaseClient.leaseLeases()).leases.map(({ ID }) => ID);
    await store.revokeLease(leaseId!);
    await until(() => lost.length > 0, "the loss is noticed", 5_000);
    expect(lost).toEqual(["revoked"]);
    await until(() => membership.lastAcknowledgedSentMs !== NEVER_MS, "another lease is held");
    expect((await store.list("/tailrace/nodes/")).entries.map(({ key }) => key))
      .toEqual(["/tailrace/nodes/revoked"]);
    expect(membership.counts.leasesLost).toBe(1);
    await membership.close();
  }, LIMIT_MS);

  it("does not outlive one TTL when the node just ends", async () => {
    const lease = await store.grantLease(TTL_SECONDS);
    expect(await store.compareAndSet("/test/leased", 0, "x", lease.id)).not.toBeNull();
    await until(async () => await store.get("/test/leased") === null, "it is gone", 10_000);
    await expect(store.compareAndSet("/test/leased", 0, "x", lease.id))
      .rejects.toMatchObject({ code: "CLUSTER_LEASE_GONE" });
    expect(await store.renewLease(lease.id, "/test/leased", "/x")).toMatchObject({ held: false });
    await store.revokeLease(lease.id);
  }, LIMIT_MS);

  it("and the store's other answers are those of the port", async () => {
    const revision = await store.compareAndSet("/test/key", 0, "one", null);
    expect(revision).toBeGreaterThan(0);
    // The answer was lost and the call repeated: it is the same write.
    expect(await store.compareAndSet("/test/key", 0, "one", null)).toBe(revision);
    expect(await store.compareAndSet("/test/key", 0, "two", null)).toBeNull();
    expect(await store.compareAndSet("/test/key", revision!, "two", null)).toBe(revision! + 1);
    expect(await store.get("/test/key")).toEqual(
      { key: "/test/key", value: "two", revision: revision! + 1 });
    expect((await store.listKeys("/test/k")).entries).toEqual([
      { key: "/test/key", value: "", revision: revision! + 1 }]);
    expect(await store.compareAndDelete("/test/key", revision!, null)).toBe(false);
    expect(await store.compareAndDelete("/test/key", revision! + 1, null)).toBe(true);
    expect(await store.compareAndDelete("/test/key", revision! + 1, null)).toBe(true);
    expect(await store.get("/test/key")).toBeNull();
  });

  it("and a watch from before a compaction says that there is a gap", async () => {
    const first = await store.compareAndSet("/test/gap", 0, "1", null);
    const second = await store.compareAndSet("/test/gap", first!, "2", null);
    await client.etcd.kv.compact({ revision: second!, physical: true });
    const told: string[] = [];
    store.watch("/test/gap", first! - 2, {
      events: (events) => told.push(`${events.length} events`), gap: () => told.push("gap"),
    });
    await until(() => told.length > 0, "the watch says something");
    expect(told).toEqual(["gap"]);
  });
});
