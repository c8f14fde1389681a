// What happens to the etcd servers of a cluster, to a node without one, and to decisions when
// their shards move. Real gateways, real etcd, load all the time; afterwards the backend is
// compared with what clients were told. The tests build on each other: one cluster goes through
// all of it.

import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ClusterReport } from "../../engine/cluster/cluster-report.ts";
import type { TraceReport } from "../../engine/telemetry/trace-report.ts";
import { ClusterStage, type ClusterPlace } from "../support/cluster-stage.ts";
import { hasEtcd, v2Members } from "../support/etcd-nodes.ts";
import { ALL_IS_WELL, reckonSampled } from "../support/reckoning.ts";
import { Stage } from "../support/stage.ts";
import { postSpans, spanKey, type Fate, type SentSpan, type Traffic } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 180_000;
const LIMIT_MS = 60_000;
/** Past it a lease that nobody renewed has ended (ClusterLeaseTTL). */
const LEASE_MS = 10_000;

let stage: Stage;
let cluster: ClusterStage;
const places: ClusterPlace[] = [];

/** Clients that send each body to any of the nodes that run. */
function load(): Traffic {
  cluster.backend.forget();
  return stage.traffic({
    spansPerSecond: 1_500, ports: () => cluster.running.map(({ port }) => port),
  });
}

/** Waits until each trace has a decision. @returns reports, asked for at all nodes in turn. */
async function decided(traceIds: readonly string[]): Promise<Map<string, TraceReport>> {
  const found = new Map<string, TraceReport>();
  const { running } = cluster;
  for (const [index, traceId] of traceIds.entries()) {
    await until(async () => {
      const { status, body } = await running[index % running.length]!.get(`/traces/${traceId}`);
      if (status !== 200) return false; // on its way, or a lookup came too late
      const report = JSON.parse(body) as TraceReport;
      found.set(traceId, report);
      return report.state === "decided";
    }, `${traceId} is decided`, LIMIT_MS);
  }
  return found;
}

/**
 * One span of each trace to every node. @param says the fate that the spans ask for.
 * @param follows the fate of their traces.
 * @returns the spans, of the fate that they must have.
 */
async function sendToAll(
  traceIds: readonly string[], says: Fate, follows: Fate = says,
): Promise<SentSpan[]> {
  const sent: SentSpan[] = [];
  for (const { port } of cluster.running) {
    const spans = traceIds.map((traceId) => (
      { traceId, spanId: stage.random.hex(8), fate: says, marked: false }));
    expect(await postSpans(port, spans)).toBe(200);
    sent.push(...spans.map((span) => ({ ...span, fate: follows })));
  }
  return sent;
}

/** One decision: the first. When it was made is forgotten after a minute, what it was is not. */
function expectFormer(
  traceIds: readonly string[], decision: "keep" | "drop",
  before: ReadonlyMap<string, TraceReport>, after: ReadonlyMap<string, TraceReport>,
): void {
  for (const traceId of traceIds) {
    const [former, present] = [before.get(traceId)!, after.get(traceId)!];
    expect(former.decisions).toMatchObject([{ decision }]);
    expect(present.decisions).toMatchObject([{ decision }]);
    if (former.known !== "full" || present.known !== "full") continue;
    expect(present).toMatchObject({ trigger: former.trigger, decidedAt: former.decidedAt });
  }
}

async function reports(): Promise<ClusterReport[]> {
  return await Promise.all(places.map(async (place) => await cluster.report(place)));
}

/** @param died nodes of which a process was killed: nobody else may deliver a span twice. */
async function expectAllIsWell(
  traffic: Traffic, died: readonly ClusterPlace[] = [],
): Promise<void> {
  await traffic.stop();
  await cluster.settled();
  expect(traffic.acknowledged.length).toBeGreaterThan(1_000);
  expect(reckonSampled(traffic, cluster.backend, died.length === 0 ? 1 : 2)).toEqual(ALL_IS_WELL);
  expect(cluster.duplicatesBeside(died)).toEqual([]);
  for (const node of cluster.running) {
    const page = await node.scrape();
    expect(page.sum("tailrace_spans_lost_total")).toBe(0);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    expect(page.sum("tailrace_decision_conflicts_total")).toBe(0);
    expect(page.sum("tailrace_gates_forced_total")).toBe(0);
  }
}

describe.skipIf(!hasEtcd())("a cluster of three nodes under load", () => {
  beforeAll(async () => {
    stage = Stage.openShared();
    cluster = new ClusterStage(stage, await stage.backend({ keepSpans: true }));
    for (const name of ["one", "two", "three"]) places.push(await cluster.place(name));
    for (const [index, place] of places.entries()) {
      await cluster.start(place, index === 0 ? "seed" : "join");
    }
    await cluster.formed(places.length);
  }, TEST_MS);

  beforeEach(({ onTestFailed }) => onTestFailed(() => stage.show()));

  afterAll(async () => {
    await Promise.all(cluster.running.map(async (node) => await node.kill()));
    cluster.close();
    await stage.close();
  }, LIMIT_MS);

  it("goes on deciding while the etcd server that leads hangs, and after its death", async () => {
    const traffic = load();
    await cluster.judging(places);
    const leader = await cluster.etcdLeader(places);
    cluster.signalEtcd(leader, "SIGSTOP");
    // Its election timeout is over, and then the leases that it had: all three find the others.
    await cluster.etcdLeader(places.filter((place) => place !== leader));
    await cluster.judgingFor(places, LEASE_MS);
    expect((await reports()).map(({ leasesLost }) => leasesLost)).toEqual([0, 0, 0]);
    await cluster.killEtcd(leader);
    await cluster.formed(3);
    await cluster.judging(places);
    await expectAllIsWell(traffic);
  }, TEST_MS);

  it("decides by a frozen map while all etcd servers hang, and by a living one afterwards",
    async () => {
      const traffic = load();
      await cluster.judging(places);
      const [{ epoch } = { epoch: 0 }] = await reports();
      for (const place of places) cluster.signalEtcd(place, "SIGSTOP");
      try {
        await until(async () => (await reports()).every(({ frozen }) => frozen),
          "the map is frozen", LIMIT_MS);
        await cluster.judgingFor(places, LEASE_MS);
        await until(async () => (await reports()).every((report) =>
          report.frozen && report.mayDecide && report.epoch === epoch), "it is the same map");
      } finally {
        for (const place of places) cluster.signalEtcd(place, "SIGCONT");
      }
      await until(async () => (await reports()).every(({ frozen, ready, members }) =>
        !frozen && ready && members.length === 3 && members.every(({ hasLease }) => hasLease)),
      "all have etcd again", LIMIT_MS);
      await cluster.judging(places);
      await expectAllIsWell(traffic);
    }, TEST_MS);

  it("has a node that runs no etcd, which takes its share, is killed, returns and leaves",
    async () => {
      const traffic = load();
      const client = await cluster.place("client");
      await cluster.start(client, "client");
      await cluster.formed(4);
      const { operation, members } = await cluster.report(client);
      expect({ operation, shards: members.map(({ shards }) => shards) })
        .toEqual({ operation: "client", shards: [1024, 1024, 1024, 1024] });
      expect(fs.existsSync(path.join(client.directory, "etcd"))).toBe(false);
      expect((await v2Members(places[0]!)).map(({ name }) => name))
        .toEqual(places.map(({ name }) => name).toSorted());
      await cluster.judging([...places, client]);
      await cluster.node(client).kill();
      await until(async () => (await reports()).every((report) =>
        report.members.some(({ name, linked }) => name === "client" && !linked)),
      "the others miss it", LIMIT_MS);
      await cluster.start(client, "client");
      await cluster.formed(4);
      await cluster.judging([...places, client]);
      await expectAllIsWell(traffic, [client]);
      // Of both fates, the latest ones: those it has judged in its second life among them.
      const recent = traffic.acknowledged.filter(({ fate }) => fate !== "mark").slice(-200);
      const found = await decided([...new Set(recent.map(({ traceId }) => traceId))]);
      for (const { traceId, fate } of recent) {
        expect(found.get(traceId)?.decisions).toMatchObject([{ decision: fate }]);
      }
      expect((await cluster.node(client).stop(30_000)).code).toBe(0);
      await cluster.formed(3);
    }, TEST_MS);

  it("lets late spans follow their traces after a node has returned and shards have moved",
    async () => {
      const traffic = load();
      const { backend } = cluster;
      const newIds = (): string[] => Array.from({ length: 100 }, () => stage.random.hex(16));
      const [kept, dropped] = [newIds(), newIds()];
      const first = await sendToAll(kept, "keep");
      const sent = [...first, ...await sendToAll(dropped, "drop")];
      const before = await decided([...kept, ...dropped]);
      await until(() => first.every((span) => backend.received.has(spanKey(span))),
        "the kept ones are delivered", LIMIT_MS);
      const [, second] = places;
      await cluster.node(second!).kill();
      await cluster.start(second!, "join");
      const fourth = await cluster.place("four");
      await cluster.start(fourth, "join");
      await cluster.formed(4);
      expect((await cluster.report(fourth)).members.map(({ shards }) => shards))
        .toEqual([1024, 1024, 1024, 1024]);
      // Judged alone they would have the other fate.
      const late = await sendToAll(kept, "drop", "keep");
      sent.push(...late, ...await sendToAll(dropped, "keep", "drop"));
      await cluster.judging([...places, fourth]);
      traffic.acknowledged.push(...sent);
      await expectAllIsWell(traffic, [second!]);
      const after = await decided([...kept, ...dropped]);
      expectFormer(kept, "keep", before, after);
      expectFormer(dropped, "drop", before, after);
      const lateKeys = new Set(late.map(spanKey));
      for (const span of backend.spans.filter((each) => lateKeys.has(spanKey(each)))) {
        expect(span.attributes["tailrace.trigger"]).toBe("late_span");
        if (after.get(span.traceId)?.known !== "full") continue;
        expect(span.attributes["tailrace.policy"]).toBe("fate");
      }
    }, TEST_MS);
});
