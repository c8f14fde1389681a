import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ClusterOperation, ClusterOptions } from "../../../engine/cluster/cluster-options.ts";
import type { ClusterGate, ClusterView } from "../../../engine/cluster/cluster-view.ts";
import { EtcdDirectory } from "../../../engine/cluster/etcd-directory.ts";
import type { InitialCluster } from "../../../engine/cluster/etcd-flags.ts";
import type { EtcdMember } from "../../../engine/cluster/etcd-members.ts";
import { StartPlan } from "../../../engine/cluster/start-plan.ts";
import { clusterOptions, type NodePlace } from "../../support/etcd-nodes.ts";

const OWN_PEER = "http://10.0.0.9:2380";
const GRACE_MS = 20_000;
const SIGNAL = new AbortController().signal;

/** A cluster that runs, in memory. */
class FakeCluster implements ClusterGate {
  members: EtcdMember[] = [member("a"), member("b")];
  clusterName: string | null = "test";
  isUp = true;
  readonly dead = new Set<string>();
  refusesAdds = 0;
  asked = 0;
  onAsk = (): void => {};

  async ask(): Promise<ClusterView | null> {
    this.asked++;
    this.onAsk();
    if (!this.isUp) return null;
    const { clusterName, members } = this;
    return { endpoint: "http://a:2379", clusterName, clusterId: "c1", members: [...members] };
  }

  async serves({ name }: EtcdMember): Promise<boolean> {
    return !this.dead.has(name);
  }

  async add(
    _view: ClusterView, peerUrls: readonly string[],
  ): Promise<{ member: EtcdMember; members: readonly EtcdMember[] }> {
    if (this.refusesAdds-- > 0) throw new Error("etcdserver: unhealthy cluster");
    const added = { id: "77", name: "", peerUrls, clientUrls: [], isLearner: true };
    this.members.push(added);
    return { member: added, members: this.members };
  }

  async remove(_view: ClusterView, id: string): Promise<void> {
    this.members = this.members.filter((each) => each.id !== id);
  }

  async update(_view: ClusterView, id: string, peerUrls: readonly string[]): Promise<void> {
    this.members = this.members.map((each) => (each.id === id ? { ...each, peerUrls } : each));
  }

  async promote(_view: ClusterView, id: string): Promise<void> {
    this.members = this.members
      .map((each) => (each.id === id ? { ...each, isLearner: false } : each));
  }
}

function member(name: string, changes: Partial<EtcdMember> = {}): EtcdMember {
  return {
    id: `id-${name}`, name, peerUrls: [`http://${name}:2380`], clientUrls: [`http://${name}:2379`],
    isLearner: false, ...changes,
  };
}

let root: string;
let directory: EtcdDirectory;
let cluster: FakeCluster;
let log: string[];
let nowMs: number;

function planOf(operation: ClusterOperation, changes: Partial<ClusterOptions> = {}): StartPlan {
  const place: NodePlace = {
    name: "own", host: "10.0.0.9", directory: root, clientPort: 2379, peerPort: 2380,
    metricsPort: 2381,
  };
  const target = { ...place, host: "a" };
  const options = {
    ...clusterOptions(place, { operation, targets: [place, target] }), startupGraceMs: GRACE_MS,
    ...changes,
  };
  return new StartPlan(options, {
    directory, gate: cluster, retryMs: 1, log: (level, message) => log.push(`${level} ${message}`),
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
  });
}

async function next(plan: StartPlan): Promise<InitialCluster> {
  return await plan.next(nowMs + GRACE_MS, SIGNAL);
}

function writeData(memberId?: string): void {
  mkdirSync(join(directory.dataPath, "member/wal"), { recursive: true });
  writeFileSync(join(directory.dataPath, "member/wal/0-0.wal"), "");
  if (memberId !== undefined) directory.writeIdentity({ memberId, clusterId: "c1" });
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tailrace-start-plan-"));
  directory = new EtcdDirectory(root);
  directory.prepare();
  cluster = new FakeCluster();
  log = [];
  nowMs = 1_000;
});
afterEach(() => rmSync(root, { recursive: true }));

describe("a node without data", () => {
  it("seeds when no target answers", async () => {
    cluster.isUp = false;
    expect(await next(planOf("seed"))).toEqual(
      { state: "new", members: [{ name: "own", peerUrls: [OWN_PEER] }] });
  });

  it("does not seed beside a cluster, whatever that one's name", async () => {
    for (const name of ["test", "other", null]) {
      cluster.clusterName = name;
      await expect(next(planOf("seed"))).rejects.toMatchObject({ code: "CLUSTER_EXISTS" });
    }
  });

  it("joins as a learner, then votes", async () => {
    const plan = planOf("join");
    expect(await next(plan)).toEqual({
      state: "existing",
      members: [
        { name: "a", peerUrls: ["http://a:2380"] }, { name: "b", peerUrls: ["http://b:2380"] },
        { name: "own", peerUrls: [OWN_PEER] },
      ],
    });
    expect(directory.readIdentity()).toEqual({ memberId: "77", clusterId: "c1" });
    expect(plan.addedMemberId).toBe("77");
    expect(cluster.members.at(-1)!.isLearner).toBe(true);
    await plan.promote(() => false, nowMs + GRACE_MS, SIGNAL);
    expect(cluster.members.at(-1)!.isLearner).toBe(false);
  });

  it("tries again while the cluster takes no member, is not there, or has no name", async () => {
    cluster.refusesAdds = 3;
    cluster.isUp = false;
    cluster.clusterName = null;
    cluster.onAsk = () => {
      if (cluster.asked === 3) cluster.isUp = true;
      if (cluster.asked === 5) cluster.clusterName = "test";
    };
    expect((await next(planOf("join"))).members).toHaveLength(3);
    expect(cluster.asked).toBe(8);
  });

  it("says what it waited for when the time is over", async () => {
    cluster.onAsk = () => { nowMs += 4_000; };
    cluster.refusesAdds = 1_000;
    await expect(next(planOf("join"))).rejects.toThrow(
      /within EtcdStartupGracePeriod: .*does not take another member now .*unhealthy cluster/);
    cluster.clusterName = null;
    await expect(next(planOf("join"))).rejects.toThrow(/has no name yet: is its seed running\?/);
    cluster.isUp = false;
    await expect(next(planOf("join"))).rejects.toThrow(/no address of TargetClusterAddresses/);
  });

  it("takes the place that an earlier try of it left unstarted", async () => {
    cluster.members.push(member("", { id: "5", peerUrls: [OWN_PEER], isLearner: true }));
    const plan = planOf("join");
    expect((await next(plan)).members).toHaveLength(3);
    expect(cluster.members).toHaveLength(3);
    expect(directory.readIdentity()?.memberId).toBe("5");
  });

  it("gives members that have not started some name", async () => {
    cluster.members.push(member("", { id: "6", peerUrls: ["http://late:2380"] }));
    expect((await next(planOf("join"))).members[2]).toEqual(
      { name: "unstarted-6", peerUrls: ["http://late:2380"] });
  });

  it("removes its dead former self at its own address at once", async () => {
    cluster.members.push(member("own", { peerUrls: [OWN_PEER] }));
    cluster.dead.add("own");
    expect((await next(planOf("join"))).members).toHaveLength(3);
    expect(cluster.members.map(({ id }) => id)).toEqual(["id-a", "id-b", "77"]);
  });

  it("removes a dead member of its name elsewhere after the usual time", async () => {
    cluster.members.push(member("own", { peerUrls: ["http://old:2380"] }));
    cluster.dead.add("own");
    const startMs = nowMs;
    cluster.onAsk = () => { nowMs += 1_000; };
    await next(planOf("join"));
    expect(nowMs - startMs).toBeGreaterThan(5_000);
    expect(nowMs - startMs).toBeLessThan(9_000);
    expect(log.join()).toContain("\"own\" was dead and is removed");
  });

  it("waits for a member of its name to end, and is refused when it lives on", async () => {
    cluster.members.push(member("own", { peerUrls: ["http://old:2380"] }));
    cluster.onAsk = () => { nowMs += 1_000; };
    await expect(next(planOf("join"))).rejects.toMatchObject({ code: "CLUSTER_SERVER_NAME_TAKEN" });
    expect(cluster.asked).toBeGreaterThan(4);
    cluster.asked = 0;
    cluster.onAsk = () => {
      if (cluster.asked === 3) cluster.members.pop();
    };
    expect((await next(planOf("join"))).members).toHaveLength(3);
  });

  it("is told to be a client of a cluster of seven", async () => {
    cluster.members = ["a", "b", "c", "d", "e", "f"].map((name) => member(name));
    await next(planOf("join"));
    expect(log).toEqual([]);
    cluster.members = [..."abcdefg"].map((name) => member(name));
    await next(planOf("join"));
    expect(log).toEqual([
      "warn the cluster has 7 members already: start further nodes with --cluster-op client, every "
      + "member takes part in every write"]);
  });
});

describe("a node with data", () => {
  it.each(["seed", "join"] as const)("goes on with it when nobody answers: %s",
    async (operation) => {
      writeData("id-own");
      cluster.isUp = false;
      expect(await next(planOf(operation))).toMatchObject({ state: "existing" });
      expect(directory.hasData()).toBe(true);
      expect(cluster.asked).toBe(1);
    });

  it("goes on with it when the cluster has its member", async () => {
    writeData("id-own");
    cluster.members.push(member("own", { peerUrls: [OWN_PEER] }));
    await next(planOf("join"));
    expect(directory.hasData()).toBe(true);
    expect(cluster.members).toHaveLength(3);
  });

  it("without a note of its member is known by its name and address", async () => {
    writeData();
    cluster.members.push(member("own", { peerUrls: [OWN_PEER] }));
    await next(planOf("join"));
    expect(directory.hasData()).toBe(true);
  });

  it("tells the cluster its new address", async () => {
    writeData("id-own");
    cluster.members.push(member("own", { peerUrls: ["http://old:2380"] }));
    await next(planOf("join"));
    expect(cluster.members[2]!.peerUrls).toEqual([OWN_PEER]);
    expect(directory.hasData()).toBe(true);
  });

  it("is promoted when it had been killed as a learner", async () => {
    writeData("id-own");
    cluster.members.push(member("own", { peerUrls: [OWN_PEER], isLearner: true }));
    const plan = planOf("join");
    await next(plan);
    await plan.promote(() => false, nowMs + GRACE_MS, SIGNAL);
    expect(cluster.members[2]!.isLearner).toBe(false);
  });

  it.each(["seed", "join"] as const)("of a removed member sets it aside and joins anew: %s",
    async (operation) => {
      writeData("id-own");
      expect((await next(planOf(operation))).members).toHaveLength(3);
      expect(directory.hasData()).toBe(false);
      expect(readdirSync(root).filter((name) => name.startsWith("etcd.removed-"))).toHaveLength(1);
      expect(log.join()).toContain("its data is set aside");
    });

  it("of another cluster sets it aside and joins anew", async () => {
    writeData();
    directory.writeIdentity({ memberId: "id-own", clusterId: "c0" });
    cluster.members.push(member("own", { peerUrls: [OWN_PEER] }));
    cluster.dead.add("own");
    await next(planOf("join"));
    expect(directory.readIdentity()).toEqual({ memberId: "77", clusterId: "c1" });
  });

  it("stays where it is when the cluster has another name", async () => {
    writeData("id-own");
    cluster.clusterName = "other";
    await expect(next(planOf("join"))).rejects.toMatchObject({ code: "CLUSTER_NAME_MISMATCH" });
    expect(directory.hasData()).toBe(true);
  });

  it("gives up promoting when its server has ended, or the time is over", async () => {
    const plan = planOf("join");
    await next(plan);
    cluster.isUp = false;
    await plan.promote(() => true, nowMs + GRACE_MS, SIGNAL);
    cluster.onAsk = () => { nowMs += 5_000; };
    await plan.promote(() => false, nowMs + GRACE_MS, SIGNAL);
    expect(cluster.members.at(-1)!.isLearner).toBe(true);
  });
});
