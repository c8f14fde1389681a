// Three real gateways that get another configuration one after the other, under load. Meanwhile
// they decide by different policies, with different numbers of forwarders, on traces that all of
// them hold spans of.

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { ClusterStage, type ClusterPlace } from "../support/cluster-stage.ts";
import { hasEtcd } from "../support/etcd-nodes.ts";
import { ALL_IS_WELL, reckonSampled } from "../support/reckoning.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { FATE_POLICIES } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 180_000;
const MIXED_MS = 3_000;

/** Both hold for no span; every span has the first one's value. */
const NEVER = {
  name: "never", type: "and", and: {
    and_sub_policy: ["GET", "TRACE"].map((value) => ({
      type: "string_attribute",
      string_attribute: { key: "http.request.method", values: [value] },
    })),
  },
};
const EVERYTHING = {
  name: "everything", type: "string_attribute",
  string_attribute: { key: "http.request.method", values: ["GET"] },
};

const clusters: ClusterStage[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) {
    await Promise.all(cluster.running.map(async (node) => await node.kill()));
    cluster.close();
  }
});

async function decisions(cluster: ClusterStage): Promise<number[]> {
  return await Promise.all(cluster.running.map(async (node) => {
    return (await node.scrape()).sum("tailrace_decisions_total");
  }));
}

/** Every node decides, whatever the others have. */
async function expectDecisionsGoOn(cluster: ClusterStage): Promise<void> {
  const before = await decisions(cluster);
  await sleep(MIXED_MS);
  const after = await decisions(cluster);
  after.forEach((count, node) => expect(count).toBeGreaterThan(before[node]! + 50));
}

async function policiesOf(cluster: ClusterStage, place: ClusterPlace): Promise<boolean[]> {
  const { members } = await cluster.report(place);
  return members.map(({ samePolicies }) => samePolicies);
}

describe.skipIf(!hasEtcd())("a cluster whose nodes get other policies one after the other", () => {
  it("goes on deciding, tears no trace and loses none", async () => {
    const stage = Stage.open();
    const cluster = new ClusterStage(stage, await stage.backend());
    clusters.push(cluster);
    const extra = await stage.backend();
    const places = [];
    for (const name of ["one", "two", "three"]) places.push(await cluster.place(name));
    for (const [index, place] of places.entries()) {
      await cluster.start(place, index === 0 ? "seed" : "join");
    }
    await cluster.formed(3);
    const traffic = stage.traffic({
      spansPerSecond: 1_000, ports: () => cluster.running.map(({ port }) => port),
    });
    await sleep(2_000);
    cluster.forwarders = () => [
      stage.otlpForwarder("extra", extra, {
        TraceSample: { DecisionWait: "2500ms", Policies: [EVERYTHING] }, Timeout: "30s",
      }),
      cluster.kept(fateSampler("1500ms", { Policies: [NEVER, ...FATE_POLICIES] })),
    ];
    for (const [index, place] of places.entries()) {
      expect((await cluster.node(place).stop(30_000)).code).toBe(0);
      await cluster.start(place, "join");
      await cluster.formed(3);
      const same = await policiesOf(cluster, place);
      expect(same.filter(Boolean)).toHaveLength(index + 1);
      await until(async () => (await cluster.report(place)).members
        .every(({ isSelf, linked }) => isSelf || linked), "all are linked", 20_000);
      await expectDecisionsGoOn(cluster);
    }
    await traffic.stop();
    await cluster.settled();
    expect(traffic.acknowledged.length).toBeGreaterThan(1_000);
    expect(reckonSampled(traffic, cluster.backend, 2)).toEqual(ALL_IS_WELL);
    expect(extra.received.size).toBeGreaterThan(1_000);
    for (const node of cluster.running) {
      const page = await node.scrape();
      expect(page.sum("tailrace_spans_lost_total")).toBe(0);
      expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    }
  }, TEST_MS);
});
