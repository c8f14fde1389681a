// A cluster of real gateways with real etcd, spans of each trace entering at different nodes. After
// whatever happened, backends are compared with what clients were told.

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { ClusterStage, type ClusterPlace } from "../support/cluster-stage.ts";
import { hasEtcd } from "../support/etcd-nodes.ts";
import { ALL_IS_WELL, reckonSampled } from "../support/reckoning.ts";
import { Stage } from "../support/stage.ts";
import type { Traffic } from "../support/traffic.ts";

const TEST_MS = 180_000;
const LOAD_MS = 4_000;
/** Less than a lease lasts. */
const HANG_MS = 6_000;

const stages: ClusterStage[] = [];
afterEach(async () => {
  for (const cluster of stages.splice(0)) {
    await Promise.all(cluster.running.map(async (node) => await node.kill()));
    cluster.close();
  }
});

/** Three nodes under load; each body goes to any of those named, or to any that runs. */
async function three(): Promise<{
  cluster: ClusterStage; places: ClusterPlace[];
  load: (places?: readonly ClusterPlace[]) => Traffic;
}> {
  const stage = Stage.open();
  const cluster = new ClusterStage(stage, await stage.backend());
  stages.push(cluster);
  const places = [];
  for (const name of ["one", "two", "three"]) places.push(await cluster.place(name));
  return {
    cluster, places,
    load: (to) => stage.traffic({
      spansPerSecond: 1_500,
      ports: () => (to?.map((place) => cluster.node(place)) ?? cluster.running)
        .map(({ port }) => port),
    }),
  };
}

async function form(cluster: ClusterStage, places: readonly ClusterPlace[]): Promise<void> {
  for (const [index, place] of places.entries()) {
    await cluster.start(place, index === 0 ? "seed" : "join");
  }
  await cluster.formed(places.length);
}

async function expectAllIsWell(
  cluster: ClusterStage, traffic: Traffic, timesPerRunMax = 1,
): Promise<void> {
  await traffic.stop();
  await cluster.settled();
  expect(traffic.acknowledged.length).toBeGreaterThan(1_000);
  expect(reckonSampled(traffic, cluster.backend, timesPerRunMax)).toEqual(ALL_IS_WELL);
  for (const node of cluster.running) {
    const page = await node.scrape();
    expect(page.sum("tailrace_spans_lost_total")).toBe(0);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
  }
}

describe.skipIf(!hasEtcd())("a cluster under load", () => {
  it("of three nodes judges every trace once, whole; takes a fourth in; loses one that is killed "
    + "and returns", async () => {
    const { cluster, places, load } = await three();
    await form(cluster, places);
    const first = load();
    await sleep(LOAD_MS);
    await expectAllIsWell(cluster, first);
    const sent = await Promise.all(places.map(async (place) => await cluster.report(place)));
    expect(sent.every(({ exchange }) => exchange.partsSent > 100)).toBe(true);
    cluster.backend.forget();
    const traffic = load();
    await sleep(LOAD_MS);
    const fourth = await cluster.place("four");
    await cluster.start(fourth, "join");
    await cluster.formed(4);
    expect((await cluster.report(fourth)).members.map(({ shards }) => shards))
      .toEqual([1024, 1024, 1024, 1024]);
    await sleep(LOAD_MS);
    const [, second] = places;
    await cluster.node(second!).kill();
    await sleep(2_000);
    await cluster.start(second!, "join");
    await cluster.formed(4);
    await sleep(LOAD_MS);
    await expectAllIsWell(cluster, traffic, 2);
    for (const node of cluster.running) expect((await node.stop(30_000)).code).toBe(0);
  }, TEST_MS);

  it("goes on without a node that was killed, and with another in its place", async () => {
    const { cluster, places, load } = await three();
    await form(cluster, places);
    const traffic = load();
    await sleep(LOAD_MS);
    const [, , third] = places;
    // What only its disk has would be missing for as long as it is away: first all is settled.
    await expectAllIsWell(cluster, traffic);
    cluster.backend.forget();
    await cluster.cutPower(third!);
    const second = load();
    await sleep(LOAD_MS);
    const other = await cluster.place("other");
    await cluster.start(other, "join");
    await cluster.formed(3);
    await sleep(LOAD_MS);
    await expectAllIsWell(cluster, second, 2);
  }, TEST_MS);

  it("judges what the others witness while a node hangs and has its lease", async () => {
    const { cluster, places, load } = await three();
    await form(cluster, places);
    const [third, ...others] = places.toReversed();
    const traffic = load(others);
    await cluster.judging(places);
    const { epoch } = await cluster.report(others[0]!);
    cluster.node(third!).signal("SIGSTOP");
    await sleep(HANG_MS / 4); // what it had answered is told
    await cluster.judgingFor(others, HANG_MS / 2);
    const parked = await Promise.all(others.map(async (place) =>
      await cluster.node(place).metric("tailrace_decisions_parked")));
    expect((await cluster.report(others[0]!)).epoch).toBe(epoch);
    cluster.node(third!).signal("SIGCONT");
    expect(parked.every((decisions) => decisions > 0)).toBe(true);
    await expectAllIsWell(cluster, traffic);
    for (const place of others) {
      expect(await cluster.node(place).metric("tailrace_decisions_parked")).toBe(0);
    }
  }, TEST_MS);

  it("comes back after all its nodes lost power at once", async () => {
    const { cluster, places, load } = await three();
    await form(cluster, places);
    const traffic = load();
    await sleep(LOAD_MS);
    await Promise.all(places.map(async (place) => await cluster.cutPower(place)));
    await traffic.stop();
    await Promise.all(places.map(async (place) => await cluster.start(place, "join")));
    await cluster.formed(3);
    await expectAllIsWell(cluster, traffic, 2);
  }, TEST_MS);
});

describe.skipIf(!hasEtcd())("between two nodes", () => {
  it("that are cut apart, of which one is not heard, or hears nothing back, nothing is lost, and "
    + "all is decided when it is over", async () => {
    const { cluster, places, load } = await three();
    const [, second] = places;
    const proxy = await cluster.proxied(second!);
    await form(cluster, places);
    for (const way of ["cut", "there", "back"] as const) {
      const traffic = load();
      await sleep(LOAD_MS);
      if (way === "cut") proxy.cut();
      else proxy.swallow(way);
      await sleep(8_000);
      proxy.heal();
      await sleep(LOAD_MS);
      await expectAllIsWell(cluster, traffic);
      cluster.backend.forget();
    }
  }, TEST_MS);
});
