// Registrations that are deleted while their leases live, with a real server.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../engine/base/clock.ts";
import type { EtcdClient } from "../../engine/cluster/etcd-client.ts";
import { EtcdStore } from "../../engine/cluster/etcd-store.ts";
import { NEVER_MS } from "../../engine/cluster/lease-keeper.ts";
import { MapKeeper } from "../../engine/cluster/map-keeper.ts";
import { Membership } from "../../engine/cluster/membership.ts";
import {
  etcdClient, hasEtcd, nodePlace, removePlaces, TestNode, type NodePlace,
} from "../support/etcd-nodes.ts";
import { mapMember } from "../support/map-members.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;
/** Shorter than a node would take, longer than the server grants at least. */
const TTL_SECONDS = 4;

interface Member {
  readonly membership: Membership;
  readonly keeper: MapKeeper;
  /** Pauses, as it was told of them. */
  readonly pauses: number[];
}

describe.skipIf(!hasEtcd())("a registration that is deleted", () => {
  let place: NodePlace;
  let node: TestNode;
  let client: EtcdClient;
  let store: EtcdStore;
  const failures: unknown[] = [];
  const members: Member[] = [];

  beforeAll(async () => {
    place = await nodePlace("gateway-1", 121);
    node = await TestNode.open(place, { operation: "seed" });
    client = etcdClient(place);
    store = new EtcdStore(client);
  }, LIMIT_MS);

  afterAll(async () => {
    for (const { membership, keeper } of members) {
      await keeper.close();
      await membership.close();
    }
    client?.close();
    await node?.close();
    removePlaces([place]);
  });

  async function started(name: string): Promise<Member> {
    const self = mapMember(name);
    const pauses: number[] = [];
    const failed = (error: unknown): void => { failures.push(error); };
    const membership: Membership = new Membership({ self, leaseTtlSeconds: TTL_SECONDS }, {
      mapChanged: () => keeper.consider(), nodesChanged: () => keeper.consider(),
      takenOut: (pauseMs) => pauses.push(pauseMs), reachesOthers: () => true,
      leaseLost: () => {}, mayRenew: () => true, failed,
    }, { store, clock: systemClock });
    const keeper = new MapKeeper({
      self, membership, clock: systemClock, random: Math.random, log: () => {}, failed,
      blockedUntilMs: () => NEVER_MS,
    });
    const made = { membership, keeper, pauses };
    members.push(made);
    await membership.start();
    keeper.start();
    await until(() => keeper.isInForce, `${name} is in the map`);
    return made;
  }

  const names = ({ membership }: Member): string[] =>
    membership.map?.members.map(({ name }) => name) ?? [];

  it("closes the fence, takes its node out of the map, and is made anew by it", async () => {
    const first = await started("a");
    const second = await started("b");
    const found = await store.get("/tailrace/nodes/b");
    expect(await store.compareAndDelete("/tailrace/nodes/b", found!.revision, null)).toBe(true);
    await until(() => second.pauses.length > 0, "it notices", 5_000);
    expect(second.membership.lastAcknowledgedSentMs).toBe(NEVER_MS);
    expect(second.membership.isRegistered).toBe(false);
    await until(() => names(first).join() === "a", "the map goes on without it", 20_000);
    await until(() => second.keeper.isInForce, "it is in the map again", 30_000);
    expect(names(first)).toEqual(["a", "b"]);
    expect(second.membership.lastAcknowledgedSentMs).toBeGreaterThan(0);
    expect(second.pauses).toEqual([TTL_SECONDS * 1_000 + 5_000]);
    expect(failures).toEqual([]);
  }, LIMIT_MS);

  it("goes only as it was seen, and only by one that is registered itself", async () => {
    const [first] = members;
    const listed = await first!.membership.listNodes();
    const [a, b] = [listed[0]!, listed[1]!];
    const former = { ...b, revision: b.revision - 1 };
    expect(await first!.membership.deleteNode(former, a)).toBe(false);
    expect(await first!.membership.deleteNode(b, { ...a, revision: a.revision - 1 })).toBe(false);
    const outcomes = await Promise.all([
      first!.membership.deleteNode(b, a), first!.membership.deleteNode(a, b),
    ]);
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    expect((await store.list("/tailrace/nodes/")).entries).toHaveLength(1);
  }, LIMIT_MS);
});
