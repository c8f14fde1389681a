import { describe, expect, it } from "vitest";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import {
  keptByPolicy, keptWithoutPolicy, KEPT_NO_SAMPLER, KEPT_UNKNOWN, LOST_RECORD_CORRUPT, lostIndex,
  statusIndex,
} from "../../../engine/telemetry/label-values.ts";
import type { LabelNames } from "../../../engine/telemetry/metric-layout.ts";
import {
  DECISION_LAG_SECONDS, FORWARD_SECONDS, HTTP_REQUESTS, LOG_COMMIT_SECONDS, METRICS,
  SPANS_DROPPED, SPANS_IN_FLIGHT, SPANS_KEPT, SPANS_LOST, SPANS_RECEIVED, TRACES_LIVE,
} from "../../../engine/telemetry/metric-table.ts";
import { MetricsPage } from "../../../engine/telemetry/metrics-page.ts";
import { SnapshotReader } from "../../../engine/telemetry/snapshot.ts";
import { parseExposition, valueOf } from "./exposition.ts";

const ODD_NAME = 'back"end\\\n1';
const names: LabelNames = {
  forwarders: [
    { name: "backend", receives: true }, { name: ODD_NAME, receives: true }, null,
    { name: "removed", receives: false },
  ],
  policySets: [
    [
      { name: "errors", samplerSlot: 0 }, { name: "slow", samplerSlot: 0 },
      { name: "former", samplerSlot: 3 },
    ],
    [{ name: "slow", samplerSlot: 0 }, { name: "slow", samplerSlot: 1 }],
  ],
};

interface Setup {
  readonly lanes: readonly CounterBlock<"lane">[];
  readonly door: CounterBlock<"door">;
  readonly forward: CounterBlock<"forward">;
  readonly page: MetricsPage;
  reads(): number;
}

function setup(labels: LabelNames = names): Setup {
  const lanes = [createCounterBlock("lane"), createCounterBlock("lane")];
  const door = createCounterBlock("door");
  const forward = createCounterBlock("forward");
  const reader = new SnapshotReader({ lanes, doors: [door], forwards: [forward] });
  let reads = 0;
  const page = new MetricsPage({ names: labels, version: "1.2.3", processMetrics: false }, {
    readBlocks: () => {
      reads++;
      return reader.readBlocks();
    },
  });
  return {
    lanes: lanes.map((memory) => new CounterBlock("lane", memory)),
    door: new CounterBlock("door", door),
    forward: new CounterBlock("forward", forward),
    page,
    reads: () => reads,
  };
}

describe("the metrics page", () => {
  it("shows every declared metric with its type and help", async () => {
    const { page } = setup();
    const families = parseExposition(await page.render());
    for (const metric of METRICS) {
      expect(families.get(metric.name)).toMatchObject({ type: metric.kind, help: metric.help });
    }
    expect(valueOf(families, "tailrace_build_info", { version: "1.2.3", node: process.version }))
      .toBe(1);
    expect(page.contentType).toContain("version=0.0.4");
  });

  it("sums the lanes and escapes what an operator called a forwarder", async () => {
    const { lanes, page } = setup();
    lanes.forEach((lane, number) => {
      lane.addAt(SPANS_RECEIVED, 0, 10);
      lane.addAt(SPANS_DROPPED, 1, number + 1);
      lane.set(TRACES_LIVE, 4);
      lane.publish();
    });
    const families = parseExposition(await page.render());
    expect(valueOf(families, "tailrace_spans_received_total", { protocol: "otlp_http_protobuf" }))
      .toBe(20);
    expect(valueOf(families, "tailrace_spans_dropped_total", { forwarder: ODD_NAME })).toBe(3);
    expect(valueOf(families, "tailrace_traces_live")).toBe(8);
  });

  it("shows known label values at zero, and nameless ones only once they count", async () => {
    const { lanes, page } = setup();
    const before = parseExposition(await page.render());
    const lost = (forwarder: string): Record<string, string> =>
      ({ forwarder, reason: "record_corrupt" });
    expect(valueOf(before, "tailrace_spans_lost_total", lost("backend"))).toBe(0);
    expect(valueOf(before, "tailrace_spans_lost_total", lost("forwarder_2"))).toBeUndefined();
    expect(before.get("tailrace_spans_in_flight")?.samples).toHaveLength(3);
    expect(before.get("tailrace_http_requests_total")?.samples).toHaveLength(0);
    lanes[0]?.addAt(SPANS_LOST, lostIndex(2, LOST_RECORD_CORRUPT), 6);
    lanes[0]?.publish();
    const after = parseExposition(await page.render());
    expect(valueOf(after, "tailrace_spans_lost_total", lost("forwarder_2"))).toBe(6);
  });

  it("adds up a policy's name over policy sets, and tells forwarders apart", async () => {
    const { lanes: [lane], page } = setup();
    lane?.addAt(SPANS_KEPT, keptByPolicy(0, 0, 1), 1);
    lane?.addAt(SPANS_KEPT, keptByPolicy(0, 1, 0), 20);
    lane?.addAt(SPANS_KEPT, keptByPolicy(1, 1, 1), 300);
    lane?.addAt(SPANS_KEPT, keptWithoutPolicy(KEPT_NO_SAMPLER, 3), 4_000);
    lane?.addAt(SPANS_KEPT, keptWithoutPolicy(KEPT_UNKNOWN, 0), 50_000);
    lane?.addAt(SPANS_KEPT, keptByPolicy(0, 0, -1), 600_000);
    lane?.publish();
    const families = parseExposition(await page.render());
    const kept = (forwarder: string, policy: string): number | undefined =>
      valueOf(families, "tailrace_spans_kept_total", { forwarder, policy });
    expect(kept("backend", "slow")).toBe(21);
    expect(kept("backend", "errors")).toBe(0);
    expect(kept(ODD_NAME, "slow")).toBe(300);
    expect(kept("removed", "no_sampler")).toBe(4_000);
    expect(kept("backend", "unknown")).toBe(650_000);
    expect(families.get("tailrace_spans_kept_total")?.samples).toHaveLength(5);
  });

  it("writes histograms with cumulative buckets that end in the count", async () => {
    const { lanes, forward, page } = setup();
    const values = [0.00005, 0.0001, 0.0002, 0.3, 99];
    values.forEach((value, place) => lanes[place % 2]?.observe(LOG_COMMIT_SECONDS, value));
    lanes.forEach((lane) => lane.publish());
    forward.observeAt(FORWARD_SECONDS, 1, 0.02);
    forward.publish();
    const families = parseExposition(await page.render());
    const name = "tailrace_log_commit_seconds";
    const bucket = (le: string): number | undefined =>
      valueOf(families, name, { le }, `${name}_bucket`);
    for (const bound of LOG_COMMIT_SECONDS.bounds) {
      const below = values.filter((value) => value <= bound).length;
      expect(bucket(String(bound)), `le ${bound}`).toBe(below);
    }
    expect(bucket("+Inf")).toBe(5);
    expect(valueOf(families, name, {}, `${name}_count`)).toBe(5);
    expect(valueOf(families, name, {}, `${name}_sum`)).toBeCloseTo(99.30035, 6);
    const forwarded = "tailrace_forward_seconds";
    const labels = { forwarder: ODD_NAME };
    expect(valueOf(families, forwarded, labels, `${forwarded}_count`)).toBe(1);
    expect(valueOf(families, forwarded, { ...labels, le: "0.01" }, `${forwarded}_bucket`)).toBe(0);
    expect(valueOf(families, forwarded, { ...labels, le: "0.025" }, `${forwarded}_bucket`)).toBe(1);
    expect(valueOf(families, forwarded, { forwarder: "backend" }, `${forwarded}_count`)).toBe(0);
    expect(DECISION_LAG_SECONDS.bounds.length).toBeGreaterThan(5);
  });

  it("takes one snapshot a scrape", async () => {
    const { page, reads } = setup();
    const before = reads();
    await page.render();
    expect(reads()).toBe(before + 1);
    await Promise.all([page.render(), page.render()]);
    expect(reads()).toBe(before + 3);
  });

  it("says by how much the balance of each forwarder fails to close", async () => {
    const { lanes: [lane], page } = setup();
    lane?.addAt(SPANS_RECEIVED, 0, 10);
    lane?.addAt(SPANS_IN_FLIGHT, 0, 7);
    lane?.addAt(SPANS_IN_FLIGHT, 1, 12);
    lane?.publish();
    const families = parseExposition(await page.render());
    const difference = (forwarder: string): number | undefined =>
      valueOf(families, "tailrace_balance_difference_spans", { forwarder });
    expect(difference("backend")).toBe(3);
    expect(difference(ODD_NAME)).toBe(-2);
    expect(difference("removed")).toBe(0);
  });

  it("takes metrics of others and refuses a name twice", async () => {
    const { page, door } = setup();
    const metric = {
      name: "tailrace_members", help: "Members.", kind: "gauge" as const,
      collect: () => [{ labels: { state: "alive" }, value: 3 }],
    };
    page.add(metric);
    expect(() => page.add({ ...metric })).toThrow("already been registered");
    door.addAt(HTTP_REQUESTS, statusIndex(200), 1);
    door.addAt(HTTP_REQUESTS, statusIndex(999), 2);
    door.publish();
    const families = parseExposition(await page.render());
    expect(valueOf(families, "tailrace_members", { state: "alive" })).toBe(3);
    expect(valueOf(families, "tailrace_http_requests_total", { code: "200" })).toBe(1);
    expect(valueOf(families, "tailrace_http_requests_total", { code: "other" })).toBe(2);
  });

  it("refuses more names than there are cells for", () => {
    const forwarders = Array.from({ length: 17 }, () => null);
    expect(() => setup({ forwarders, policySets: [] })).toThrow("slots");
    const policySets = [[], [], [], [], []];
    expect(() => setup({ forwarders: [], policySets })).toThrow("policy sets");
  });
});

describe("the metrics of the process", () => {
  it("are the whole process's, or labelled with the thread they are of", async () => {
    const reader = new SnapshotReader({ lanes: [], doors: [], forwards: [] });
    const page = new MetricsPage({ names, version: "1.2.3", processMetrics: true }, {
      readBlocks: () => reader.readBlocks(),
    });
    await new Promise((resolve) => setTimeout(resolve, 60));
    const families = parseExposition(await page.render());
    expect(valueOf(families, "process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
    expect(valueOf(families, "process_cpu_seconds_total")).toBeGreaterThanOrEqual(0);
    expect(valueOf(families, "process_start_time_seconds")).toBeGreaterThan(1e9);
    expect(valueOf(families, "nodejs_heap_size_used_bytes", { thread: "coordinator" }))
      .toBeGreaterThan(1_000_000);
    expect(valueOf(families, "nodejs_eventloop_lag_max_seconds", { thread: "coordinator" }))
      .toBeGreaterThan(0);
    expect(families.get("nodejs_gc_duration_seconds")?.type).toBe("histogram");
    const unlabelled = [...families.values()]
      .filter((family) => family.name.startsWith("nodejs_"))
      .flatMap((family) => family.samples)
      .filter((sample) => sample.labels["thread"] === undefined);
    expect(unlabelled).toEqual([]);
  });
});
