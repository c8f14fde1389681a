// Starts of cluster nodes that must not succeed: exit code 2 and one line that says what to do.

import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ClusterStage } from "../support/cluster-stage.ts";
import { hasEtcd } from "../support/etcd-nodes.ts";
import type { GatewayConfig } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";

const TEST_MS = 90_000;
const END_MS = 40_000;

const stages: ClusterStage[] = [];
afterEach(async () => {
  for (const cluster of stages.splice(0)) {
    await Promise.all(cluster.running.map(async (node) => await node.kill()));
    cluster.close();
  }
});

async function open(more: GatewayConfig = {}): Promise<ClusterStage> {
  const stage = Stage.open();
  const cluster = new ClusterStage(stage, await stage.backend(), more);
  stages.push(cluster);
  return cluster;
}

describe("a node of a cluster does not start", () => {
  it("without the program etcd, and says how to get it", async () => {
    const cluster = await open({ EtcdBinary: "/nowhere/etcd" });
    const node = await cluster.launch(await cluster.place("one"), "seed");
    expect((await node.ended(END_MS)).code).toBe(2);
    expect(node.output).toContain("EtcdBinary");
  }, TEST_MS);

  it("with an address at which nobody can reach it", async () => {
    const cluster = await open({ AdvertiseRebalanceAddress: "0.0.0.0:2382" });
    const node = await cluster.launch(await cluster.place("one"), "seed");
    expect((await node.ended(END_MS)).code).toBe(2);
    expect(node.output).toContain("AdvertiseRebalanceAddress");
    expect(node.output).toContain("not routable");
  }, TEST_MS);
});

describe.skipIf(!hasEtcd())("a node of a cluster does not start, with etcd", () => {
  it("when its rebalance address is in use", async () => {
    const cluster = await open();
    const place = await cluster.place("one");
    const server = net.createServer().listen(place.rebalancePort, place.host);
    const node = await cluster.launch(place, "seed");
    expect((await node.ended(END_MS)).code).toBe(2);
    expect(node.output).toContain("ListenRebalanceAddress");
    server.close();
  }, TEST_MS);

  it("in a cluster of another name, or beside a node of its own name", async () => {
    const cluster = await open();
    const one = await cluster.place("one");
    await cluster.start(one, "seed");
    const other = new ClusterStage(cluster.stage, cluster.backend, { ClusterName: "other" });
    stages.push(other);
    other.places.push(one);
    const stranger = await other.launch(await other.place("two"), "join");
    expect((await stranger.ended(END_MS)).code).toBe(2);
    expect(stranger.output).toContain("ClusterName");
    const twin = { ...await cluster.place("three"), name: "one" };
    const second = await cluster.launch(twin, "join");
    expect((await second.ended(END_MS)).code).toBe(2);
    expect(second.output).toContain("ServerName");
  }, TEST_MS);
});
