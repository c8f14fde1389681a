// Members that their cluster takes out while they are away, and members that leave.

import fs from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdMembers } from "../../engine/cluster/etcd-members.ts";
import {
  etcdClient, hasEtcd, killServer, nodePlace, removePlaces, TestNode, v2Members, type NodePlace,
} from "../support/etcd-nodes.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;
/** Short, and longer than a start takes. */
const CHANGES = {
  startupGraceMs: 8_000, unhealthyMemberTtlMs: 1_000, cleanUpIntervalMs: 700,
  removeMemberTimeoutMs: 15_000,
};

const places: NodePlace[] = [];
const nodes: TestNode[] = [];

function setAside(place: NodePlace): string[] {
  return fs.readdirSync(place.directory).filter((name) => name.startsWith("etcd.removed-"));
}

async function names(): Promise<string[]> {
  return (await v2Members(places[0]!)).map(({ name }) => name);
}

async function join(index: number): Promise<TestNode> {
  return await TestNode.open(places[index]!, {
    operation: "join", targets: places, changes: CHANGES,
  });
}

describe.skipIf(!hasEtcd())("a member of three", () => {
  beforeAll(async () => {
    for (const number of [1, 2, 3]) places.push(await nodePlace(`gateway-${number}`, 100 + number));
    nodes.push(await TestNode.open(places[0]!, { operation: "seed", changes: CHANGES }));
    nodes.push(await join(1), await join(2));
  }, LIMIT_MS);

  afterAll(async () => {
    for (const node of nodes) await node.close();
    removePlaces(places);
  }, LIMIT_MS);

  it("that hangs is removed as dead, and joins anew when it is back", async () => {
    const victim = nodes[2]!;
    const former = (await v2Members(places[0]!))[2]!;
    const pid = victim.pid;
    // It becomes known for the grace period meanwhile: new members are left alone.
    killServer(pid, "SIGSTOP");
    try {
      await until(async () => (await names()).length === 2, "it is removed", 20_000);
    } finally {
      killServer(pid, "SIGCONT");
    }
    const others = nodes.slice(0, 2);
    // The members may tell of it before whoever removed it has the answer.
    const removals = (): number =>
      others.reduce((sum, { cluster }) => sum + (cluster.server?.removals ?? 0), 0);
    await until(() => removals() > 0, "one of the others has removed it");
    await until(async () => (await names()).includes("gateway-3"), "it is back", 20_000);
    expect(removals()).toBe(1);
    expect(others.filter((node) => node.logged(/was dead and is removed/))).toHaveLength(1);
    await until(() => victim.pid > 0 && victim.pid !== pid, "another server runs");
    const again = (await v2Members(places[0]!)).find(({ name }) => name === former.name);
    expect(again?.id).not.toBe(former.id);
    expect(setAside(places[2]!)).toHaveLength(1);
    expect(victim.failures).toEqual([]);
    // As when the answer was lost, and it is asked for again.
    const client = etcdClient(places[0]!);
    await expect(new EtcdMembers(client).remove(former.id)).resolves.toBeUndefined();
    client.close();
    await until(async () => await victim.cluster.store.get("/gateway/cluster/name")
      .then((entry) => entry?.value === "test", () => false), "it serves");
  }, LIMIT_MS);

  it("leaves on a drain, and joins anew at its next start", async () => {
    const node = nodes[2]!;
    expect(await node.cluster.leave()).toBe(true);
    expect(await names()).toEqual(["gateway-1", "gateway-2"]);
    await node.close();
    expect(node.cluster.server?.restarts).toBeLessThan(3);
    nodes[2] = await join(2);
    expect(await names()).toHaveLength(3);
    expect(setAside(places[2]!)).toHaveLength(2);
  }, LIMIT_MS);

  it("with a lost disk takes its former place", async () => {
    const node = nodes[2]!;
    const former = (await v2Members(places[0]!))[2]!;
    await node.close();
    fs.rmSync(places[2]!.directory, { recursive: true });
    nodes[2] = await join(2);
    const again = (await v2Members(places[0]!))[2]!;
    expect(again.name).toBe(former.name);
    expect(again.id).not.toBe(former.id);
    expect(nodes[2].logged(/was dead and is removed/)).toBe(true);
  }, LIMIT_MS);
});
