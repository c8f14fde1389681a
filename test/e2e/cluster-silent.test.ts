// Two nodes of a real cluster that do not hear each other, while both reach etcd and the third: one
// of them is taken out of the map, the rest goes on, and it comes back when they hear each other.

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { ClusterStage } from "../support/cluster-stage.ts";
import { hasEtcd } from "../support/etcd-nodes.ts";
import { ALL_IS_WELL, reckonSampled } from "../support/reckoning.ts";
import { Stage } from "../support/stage.ts";
import type { Traffic } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 180_000;
/** Silence, the end of the removed node's time, and a map; a machine may be slow. */
const REMOVAL_MS = 60_000;
const RETURN_MS = 60_000;
const LOAD_MS = 3_000;

let stage: ClusterStage | null = null;
afterEach(async () => {
  if (stage === null) return;
  await Promise.all(stage.running.map(async (node) => await node.kill()));
  stage.close();
  stage = null;
});

async function expectAllIsWell(cluster: ClusterStage, traffic: Traffic): Promise<void> {
  await traffic.stop();
  await cluster.settled();
  expect(traffic.acknowledged.length).toBeGreaterThan(1_000);
  expect(reckonSampled(traffic, cluster.backend)).toEqual(ALL_IS_WELL);
  for (const node of cluster.running) {
    const page = await node.scrape();
    expect(page.sum("tailrace_spans_lost_total")).toBe(0);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
  }
}

describe.skipIf(!hasEtcd())("of three nodes two that do not hear each other", () => {
  it("lose one, go on, and have it back when they do", async () => {
    const own = Stage.open();
    const cluster = new ClusterStage(own, await own.backend(), { HandoverTimeout: "4s" });
    stage = cluster;
    const one = await cluster.place("one");
    const two = await cluster.place("two");
    const three = await cluster.place("three");
    const proxies = [await cluster.proxied(two), await cluster.proxied(three)];
    await cluster.start(one, "seed");
    await cluster.start(two, "join");
    const load = (): Traffic => own.traffic({
      spansPerSecond: 1_000, ports: () => cluster.running.map(({ port }) => port),
    });
    const first = load();
    await sleep(LOAD_MS);
    await expectAllIsWell(cluster, first);
    cluster.backend.forget();

    // The third gets shards from the second, and neither hears a word of the other. Nothing is
    // under way then: what the second just witnessed for the first it could not tell the third.
    proxies[0]!.swallowOf("three");
    proxies[1]!.swallowOf("two");
    await cluster.launch(three, "join");
    await until(async () => (await cluster.report(one)).members.length === 3, "it is in the map");
    const traffic = load();
    await until(async () => {
      const { ready, epoch, members } = await cluster.report(one);
      return ready && epoch > 3 && members.length === 2;
    }, "one of them is taken out, and the first goes on", REMOVAL_MS);
    const { members } = await cluster.report(one);
    const [out, heard] = members.some(({ name }) => name === "two") ? [three, two] : [two, three];
    expect((await cluster.report(out)).takenOut).toBeGreaterThan(0);
    const readiness = await cluster.node(out).get("/readyz");
    expect(readiness.status).toBe(503);
    expect(readiness.body).toContain("comes back by itself when it reaches all members");
    const pages = await Promise.all([one, heard].map(async (place) =>
      await cluster.node(place).scrape()));
    const removals = pages.map((page) => page.sum("tailrace_silent_members_removed_total"));
    expect(Math.max(...removals)).toBeGreaterThan(0);
    const before = cluster.backend.received.size;
    await sleep(LOAD_MS);
    expect(cluster.backend.received.size).toBeGreaterThan(before);

    for (const proxy of proxies) proxy.heal();
    await cluster.formed(3, RETURN_MS);
    await sleep(LOAD_MS);
    await expectAllIsWell(cluster, traffic);
  }, TEST_MS);
});
