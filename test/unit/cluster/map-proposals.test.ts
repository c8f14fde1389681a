import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { storeUnavailable } from "../../../engine/cluster/cluster-store.ts";
import { MAP_KEY } from "../../../engine/cluster/membership.ts";
import { encodeMap } from "../../../engine/cluster/shard-map-codec.ts";
import { planMap } from "../../../engine/cluster/shard-map.ts";
import { KeeperCluster, TTL_MS } from "../../support/keeper-cluster.ts";
import { mapMember } from "../../support/map-members.ts";

let cluster: KeeperCluster;

beforeEach(() => { cluster = new KeeperCluster(); });
afterEach(async () => { await cluster.close(); });

describe("a proposal", () => {
  it("waits for what was promised to others", async () => {
    const first = await cluster.started(mapMember("a"));
    first.blockedUntilMs = cluster.etcd.nowMs + 4_000;
    await cluster.started(mapMember("b"));
    await cluster.pass(3_800);
    expect(cluster.members).toEqual(["first-of-a"]);
    await cluster.pass(1_000);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
  });

  it("whose outcome is not known is open until another map is in force", async () => {
    const first = await cluster.started(mapMember("a"));
    const put = vi.spyOn(first.store, "compareAndSet")
      .mockRejectedValueOnce(storeUnavailable("a request that is on its way", null));
    const second = await cluster.started(mapMember("b"));
    expect(first.keeper.hasOpenProposal).toBe(true);
    await second.keeper.close();
    await second.membership.close();
    await cluster.pass(2_000);
    expect(put).toHaveBeenCalledTimes(2);
    expect(first.keeper.hasOpenProposal).toBe(false);
    expect(cluster.epoch).toBe(2);
    expect(cluster.members).toEqual(["first-of-a"]);
  });

  it("is open while its answer is waited for, and no more when that was lost and the map is seen",
    async () => {
      const first = await cluster.started(mapMember("a"));
      let wasOpen = false;
      const put = first.store.compareAndSet.bind(first.store);
      vi.spyOn(first.store, "compareAndSet").mockImplementationOnce(async (...call) => {
        wasOpen = first.keeper.hasOpenProposal;
        first.store.losesNextAnswer = true;
        return await put(...call);
      });
      await cluster.started(mapMember("b"));
      await cluster.pass(1_000);
      expect(wasOpen).toBe(true);
      expect(first.keeper.hasOpenProposal).toBe(false);
      expect(cluster.epoch).toBe(2);
    });

  it("that another map came before is planned again from that", async () => {
    const first = await cluster.started(mapMember("a"));
    const put = first.store.compareAndSet.bind(first.store);
    vi.spyOn(first.store, "compareAndSet").mockImplementationOnce(async (...call) => {
      const map = planMap(first.membership.map, [mapMember("a")]);
      cluster.etcd.write(MAP_KEY, encodeMap(map), null);
      return await put(...call);
    });
    await cluster.started(mapMember("b"));
    await cluster.pass(1_000);
    expect(first.keeper.counts).toMatchObject({ proposed: 2, overtaken: 1 });
    expect(cluster.epoch).toBe(3);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
  });

  it("is not made from a list that belongs to another map", async () => {
    const first = await cluster.started(mapMember("a"));
    const list = first.store.list.bind(first.store);
    vi.spyOn(first.store, "list").mockImplementationOnce(async (prefix) => {
      const listing = await list(prefix);
      const map = planMap(first.membership.map, [mapMember("a"), mapMember("b")]);
      cluster.etcd.write(MAP_KEY, encodeMap(map), null);
      return listing;
    });
    await cluster.started(mapMember("b"));
    await cluster.pass(1_000);
    expect(first.keeper.counts.proposed).toBe(1);
    expect(cluster.epoch).toBe(2);
  });

  it("is tried less and less often while etcd does not answer", async () => {
    const first = await cluster.started(mapMember("a"));
    const lists = vi.spyOn(first.store, "list")
      .mockRejectedValue(storeUnavailable("listing", null));
    await cluster.started(mapMember("b"));
    await cluster.pass(30_000);
    expect(lists.mock.calls.length).toBeGreaterThanOrEqual(5);
    expect(lists.mock.calls.length).toBeLessThanOrEqual(9);
    lists.mockRestore();
    await cluster.pass(10_000);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
  });

  it("ends with what only a bug can cause", async () => {
    const first = await cluster.started(mapMember("a"));
    vi.spyOn(first.store, "list").mockRejectedValueOnce(new Error("a bug"));
    await cluster.started(mapMember("b"));
    await cluster.pass(5_000);
    expect(first.failures.splice(0)).toEqual([new Error("a bug")]);
    expect(cluster.members).toEqual(["first-of-a"]);
  });
});

describe("leaving", () => {
  it("takes the node out at once and for good, and others do not take it back", async () => {
    const first = await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    const left = second.keeper.leave(1_000);
    expect(second.keeper.isInForce).toBe(false);
    await cluster.pass(200);
    expect(await left).toBe(true);
    expect(cluster.members).toEqual(["first-of-a"]);
    await cluster.pass(TTL_MS);
    expect(cluster.members).toEqual(["first-of-a"]);
    expect(cluster.epoch).toBe(3);
    expect(cluster.etcd.leaseIds).toHaveLength(1);
    expect(first.log.at(-1)).toContain('"b" left the cluster');
  });

  it("of the last one leaves a map without members, and the next begins from it", async () => {
    const first = await cluster.started(mapMember("a"));
    expect(await first.keeper.leave(1_000)).toBe(true);
    expect(cluster.members).toEqual([]);
    expect(cluster.epoch).toBe(2);
    await cluster.started(mapMember("b"));
    expect(cluster.members).toEqual(["first-of-b"]);
    expect(cluster.epoch).toBe(3);
  });

  it("of one that is no member is done with its lease", async () => {
    await cluster.started(mapMember("a"));
    cluster.nodes[0]!.blockedUntilMs = Number.POSITIVE_INFINITY;
    const second = await cluster.started(mapMember("b"));
    expect(await second.keeper.leave(1_000)).toBe(true);
    expect(cluster.epoch).toBe(1);
  });

  it("waits for what was promised, and says when there was no time for it", async () => {
    const first = await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    second.blockedUntilMs = cluster.etcd.nowMs + 500;
    const left = second.keeper.leave(1_000);
    await cluster.pass(1_000);
    expect(await left).toBe(true);
    first.blockedUntilMs = cluster.etcd.nowMs + 5_000;
    const last = first.keeper.leave(1_000);
    await cluster.pass(2_000);
    expect(await last).toBe(false);
    expect(cluster.members).toEqual(["first-of-a"]);
  });

  it("says when etcd does not take it", async () => {
    await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    second.store.isDown = true;
    const left = second.keeper.leave(1_000);
    await cluster.pass(2_000);
    expect(await left).toBe(false);
    expect(cluster.members).toEqual(["first-of-a", "first-of-b"]);
  });

  it("tries again when another map came before, or etcd did not answer once", async () => {
    await cluster.started(mapMember("a"));
    const second = await cluster.started(mapMember("b"));
    vi.spyOn(second.store, "compareAndSet")
      .mockRejectedValueOnce(storeUnavailable("once", null)).mockResolvedValueOnce(null);
    const left = second.keeper.leave(2_000);
    await cluster.pass(2_000);
    expect(await left).toBe(true);
    expect(cluster.members).toEqual(["first-of-a"]);
  });
});
