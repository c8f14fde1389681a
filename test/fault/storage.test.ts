// StorageLimit reached on purpose, under each policy: what gives way is what the operator chose, it
// is counted to the span, and it ends when there is room.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BalanceWatch } from "../support/balance-watch.ts";
import type { GatewayProcess } from "../support/gateway.ts";
import { encodeRequest } from "../support/otlp-builder.ts";
import { ProvingGround } from "../support/proving-ground.ts";
import { ALL_IS_WELL, duplicates, reckonAll, reckonSampled } from "../support/reckoning.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { post, spanKey } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const MIB = 1024 * 1024;
const LIMIT = 256 * MIB;
const KEEP_ALL = [{ name: "all", type: "always_sample" }];

interface Limits {
  readonly storageBytes: number;
  readonly storageLimitBytes: number;
  readonly storagePressure: string;
  readonly storedShare: number;
}

async function limitsOf(gateway: GatewayProcess): Promise<Limits> {
  return (JSON.parse((await gateway.get("/status")).body) as { limits: Limits }).limits;
}

describe("storage near its limit", () => {
  it.each([1, 2])("stores a share of new traces with hash-sample and %i workers, and counts the "
    + "others to the span", async (workers) => {
    const stage = Stage.open();
    const backend = await stage.backend({ keepSpans: true });
    const all = await stage.backend();
    const gateway = await stage.start(stage.config([
      stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") }),
      stage.otlpForwarder("all", all),
    ], {
      Workers: workers, StorageLimit: "256MiB", StoragePolicy: "hash-sample",
      OnShutdown: "decide",
    }));
    const watch = new BalanceWatch(gateway);
    const traffic = stage.traffic({ spansPerSecond: 4000, padding: 24_000 });
    const least = { share: 1 };
    await until(async () => {
      const limits = await limitsOf(gateway);
      least.share = Math.min(least.share, limits.storedShare);
      return await gateway.metric("tailrace_spans_evicted_total", { forwarder: "all" }) > 2_000;
    }, "spans are evicted", 40_000);
    const limits = await limitsOf(gateway);
    expect(limits).toMatchObject({ storagePressure: "policy", storageLimitBytes: LIMIT });
    expect(limits.storageBytes).toBeGreaterThan(0.85 * LIMIT);
    await traffic.stop();
    expect(least.share).toBeLessThan(1);
    expect([...traffic.answers.keys()]).toEqual([200]);
    expect(await gateway.metric("tailrace_pressure_decisions_total")).toBe(0);
    await until(async () => {
      return await gateway.metric("tailrace_outbox_spans", { forwarder: "all" }) === 0;
    }, "what was stored is delivered");
    const page = await gateway.scrape();
    const evicted = page.sum("tailrace_spans_evicted_total", { forwarder: "all" });
    expect(page.sum("tailrace_spans_evicted_total", { forwarder: "kept" })).toBe(evicted);
    expect(page.sum("tailrace_spans_received_total")).toBe(traffic.acknowledged.length);
    expect(all.received.size).toBe(traffic.acknowledged.length - evicted);
    expect((await watch.stop()).faults).toEqual([]);
    expect((await gateway.stop()).code).toBe(0);
    expect(gateway.output).toContain("storage is near its limit: only a share of the new traces");
    expect(gateway.output).toContain("The balance closes");
    expect([duplicates(all), duplicates(backend)]).toEqual([[], []]);
    // Of what was stored the policies' choice is whole.
    const stored = traffic.acknowledged.filter((span) => all.received.has(spanKey(span)));
    expect(stored.filter(({ fate }) => fate === "keep").every((span) => {
      return backend.received.has(spanKey(span));
    })).toBe(true);
    const rates = new Set(backend.spans.map(({ attributes }) => {
      return (attributes["tailrace.stored_rate"] as { double: number } | undefined)?.double ?? 0;
    }));
    // Those stored before say nothing; the others how many like them there were.
    expect(rates.has(0)).toBe(true);
    expect([...rates].filter((rate) => rate !== 0 && Math.log2(rate) % 1 !== 0)).toEqual([]);
    expect(rates.size).toBeGreaterThan(1);
    if (workers > 1) return;
    // One lane owns every trace: one that was begun to be stored is stored to its end.
    const begun = new Set<string>();
    const cut = new Set<string>();
    for (const span of traffic.acknowledged) {
      if (all.received.has(spanKey(span))) begun.add(span.traceId);
      else if (begun.has(span.traceId)) cut.add(span.traceId);
    }
    // Requests of several connections are in another order here than there.
    expect(cut.size).toBeLessThan(begun.size * 0.02);
  }, TEST_MS);

  it("refuses clients at the limit with refuse, judges nothing early, and heals when traces end",
    async () => {
      const stage = Stage.open();
      const backend = await stage.backend();
      const gateway = await stage.start(stage.config(
        [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("14s") })],
        { Workers: 2, StorageLimit: "256MiB", StoragePolicy: "refuse" }));
      const watch = new BalanceWatch(gateway);
      const traffic = stage.traffic({ spansPerSecond: 4000, padding: 24_000 });
      await until(() => traffic.answersWith(503) > 20, "clients are refused", 30_000);
      const limits = await limitsOf(gateway);
      expect(limits.storageBytes).toBeGreaterThan(0.96 * LIMIT);
      expect(limits.storageBytes).toBeLessThan(1.1 * LIMIT);
      expect(await gateway.metric("tailrace_payloads_shed_total", { reason: "storage_limit" }))
        .toBeGreaterThan(0);
      const takenBefore = traffic.answersWith(200);
      await until(() => traffic.answersWith(200) > takenBefore + 20, "they are served again",
        30_000);
      await traffic.stop();
      expect(await gateway.metric("tailrace_pressure_decisions_total")).toBe(0);
      await gateway.settled(40_000);
      expect((await watch.stop()).faults).toEqual([]);
      expect(traffic.impatient).toBe(0);
      expect(reckonSampled(traffic, backend)).toEqual(ALL_IS_WELL);
      await until(() => gateway.output.includes("well below its limit again"), "the end is said");
      expect((await limitsOf(gateway)).storagePressure).toBe("none");
      expect(gateway.output).toContain("storage is at its limit: clients are refused");
      expect((await gateway.stop()).code).toBe(0);
    }, TEST_MS);
});

describe("an outbox", () => {
  it("of a dead backend is held to OutboxLimit, its oldest spans are counted, and its disk is "
    + "given back; the other backend gets everything", async () => {
    const stage = Stage.open();
    const alive = await stage.backend();
    const dead = await stage.backend();
    await dead.down();
    const gateway = await stage.start(stage.config([
      stage.otlpForwarder("alive", alive),
      stage.otlpForwarder("dead", dead, { OutboxLimit: "16MiB", OutboxAfter: "200ms" }),
    ], { Workers: 2, StorageLimit: "512MiB" }));
    const watch = new BalanceWatch(gateway);
    const traffic = stage.traffic({ spansPerSecond: 3000, padding: 8000 });
    await until(async () => {
      const page = await gateway.scrape();
      expect(page.sum("tailrace_outbox_bytes", { forwarder: "dead" })).toBeLessThan(24 * MIB);
      return page.sum("tailrace_kept_spans_lost_total", { reason: "outbox_limit" }) > 3_000;
    }, "the oldest spans are evicted", 30_000);
    await traffic.stop();
    await until(() => reckonAll(traffic, alive).missing.length === 0, "the other one gets all");
    await dead.up();
    await gateway.settled(30_000);
    expect((await watch.stop()).faults).toEqual([]);
    const page = await gateway.scrape();
    const lost = page.sum("tailrace_kept_spans_lost_total", { forwarder: "dead" });
    expect(page.sum("tailrace_kept_spans_lost_total", { reason: "outbox_limit" })).toBe(lost);
    expect(page.sum("tailrace_kept_spans_lost_total", { forwarder: "alive" })).toBe(0);
    expect(dead.received.size).toBe(traffic.acknowledged.length - lost);
    await until(async () => await gateway.metric("tailrace_outbox_bytes") < 4 * MIB,
      "its disk is given back");
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);

  it("of a dead backend leaves the log its room, however large OutboxLimit is", async () => {
    const stage = Stage.open();
    const alive = await stage.backend();
    const dead = await stage.backend();
    await dead.down();
    const gateway = await stage.start(stage.config([
      stage.otlpForwarder("alive", alive, { TraceSample: fateSampler("500ms") }),
      stage.otlpForwarder("dead", dead, { OutboxLimit: "64GiB", OutboxAfter: "100ms" }),
    ], { Workers: 2, StorageLimit: "256MiB", MaxGracefulWaitTime: "1s" }));
    const traffic = stage.traffic({ spansPerSecond: 4000, padding: 24_000 });
    await until(async () => {
      return await gateway.metric("tailrace_payload_bytes_received_total") > 400 * MIB;
    }, "more comes in than there is room for", 45_000);
    await traffic.stop();
    expect([...traffic.answers.keys()]).toEqual([200]);
    const page = await gateway.scrape();
    expect(page.sum("tailrace_kept_spans_lost_total", { reason: "outbox_limit" }))
      .toBeGreaterThan(0);
    expect(page.sum("tailrace_storage_bytes")).toBeLessThan(0.9 * LIMIT);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);

  it("of a removed forwarder counts into StorageLimit", async () => {
    const stage = Stage.open();
    const alive = await stage.backend();
    const dead = await stage.backend();
    await dead.down();
    const forwarders = [
      stage.otlpForwarder("alive", alive),
      stage.otlpForwarder("dead", dead, { OutboxAfter: "100ms" }),
    ];
    const before = await stage.start(stage.config(
      forwarders, { Workers: 2, MaxGracefulWaitTime: "1s" }));
    const traffic = stage.traffic({ spansPerSecond: 3000, padding: 8000 });
    await until(async () => await before.metric("tailrace_outbox_bytes") > 12 * MIB,
      "the outbox fills", 30_000);
    await traffic.stop();
    await until(() => reckonAll(traffic, alive).missing.length === 0, "the other one gets all");
    expect((await before.stop()).code).toBe(0);
    const again = await stage.start(stage.config([forwarders[0]!], { Workers: 2 }));
    // What the last run had not retired yet goes first: the rest is the outbox.
    await until(async () => await again.metric("tailrace_log_bytes") < 8 * MIB,
      "the log gives its disk back", 30_000);
    expect(await again.metric("tailrace_storage_bytes")).toBeGreaterThan(10 * MIB);
    expect((await again.stop()).code).toBe(0);
  }, TEST_MS);

  it.each([
    ["reaches a ring that is large enough for it", false],
    ["is given up and counted where no ring is, and holds up nothing", true],
  ])("with a message larger than MaxBodyBytes is now: it %s", async (_, forgotten) => {
    const stage = Stage.open();
    const backend = await stage.backend();
    await backend.down();
    const config = (maxBodyBytes: string) => stage.config(
      [stage.otlpForwarder("late", backend, { OutboxAfter: "100ms", RetryMax: "100ms" })],
      { Workers: 1, MaxBodyBytes: maxBodyBytes });
    const before = await stage.start(config("16MiB"));
    const large = { traceId: stage.random.hex(16), spanId: stage.random.hex(8) };
    const small = { traceId: stage.random.hex(16), spanId: stage.random.hex(8) };
    const padding = "x".repeat(9_000_000);
    const body = encodeRequest([{ spans: [{ ...large, name: "large", attributes: { padding } }] }]);
    expect(await post(before.port, body)).toBe(200);
    await sleep(300);
    const next = encodeRequest([{ spans: [{ ...small, name: "small" }] }]);
    expect(await post(before.port, next)).toBe(200);
    await sleep(2_000);
    await before.kill();
    if (forgotten) fs.rmSync(path.join(stage.directory, "data", "largest-body.json"));
    await backend.up();
    const again = await stage.start(config("1MiB"));
    await again.settled();
    expect(backend.received.has(spanKey(small))).toBe(true);
    expect(backend.received.has(spanKey(large))).toBe(!forgotten);
    const page = await again.scrape();
    expect(page.sum("tailrace_kept_spans_lost_total", { reason: "message_size" }))
      .toBe(forgotten ? 1 : 0);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    expect((await again.stop()).code).toBe(0);
    expect(again.output).toContain("The balance closes");
  }, TEST_MS);
});

describe("a body", () => {
  it("of 200,000 kept traces does not keep its lane busy for long", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 300_000, sampler: { DecisionWait: "500ms", Policies: KEEP_ALL },
      config: { MaxTraces: 400_000, Workers: 1 },
    });
    ground.beginSteady();
    const body = ground.body(200_000);
    await ground.send(body);
    const beganMs = performance.now();
    await until(() => ground.spans.arrived(body.from, body.from + body.count).never === 0,
      "all of them arrive", 40_000);
    const busySeconds = await ground.gateway.metric("tailrace_lane_busy_seconds_total");
    console.log(`200,000 kept traces of one body: ${Math.round(performance.now() - beganMs)} ms, `
      + `of which the lane worked ${busySeconds.toFixed(2)} s`);
    await ground.endSteady();
    await ground.close();
  }, TEST_MS);
});
