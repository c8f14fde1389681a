// Backends that are down, hang, crawl or refuse: each is its own forwarder's trouble alone.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { ALL_IS_WELL, duplicates, reckonAll, reckonSampled } from "../support/reckoning.ts";
import { readSpanFiles } from "../support/span-files.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { canMountTmpfs, tmpfs } from "../support/tmpfs.ts";
import { spanKey } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const MIB = 1024 * 1024;
/** Batches so small that rings fill within seconds. */
const SMALL = { BatchBytes: "256KiB", MaxRequests: 2, OutboxAfter: "200ms" };

const canMount = canMountTmpfs();
if (!canMount) console.log("skipped: a full disk needs a tmpfs, and mounting one needs root");

it("neither a dead, nor a hanging, nor a slow one keeps clients or other forwarders waiting, and "
  + "each gets everything in the end", async () => {
  const stage = Stage.open();
  const good = await stage.backend();
  const dead = await stage.backend();
  const hanging = await stage.backend();
  const slow = await stage.backend();
  await dead.down();
  hanging.hangs = true;
  slow.delayMs = 1_000;
  const gateway = await stage.start(stage.config([
    stage.otlpForwarder("good", good),
    stage.otlpForwarder("dead", dead, SMALL),
    stage.otlpForwarder("hanging", hanging, { ...SMALL, Timeout: "500ms" }),
    stage.otlpForwarder("slow", slow, { ...SMALL, TraceSample: fateSampler("500ms") }),
  ], { Workers: 2 }));
  const traffic = stage.traffic({ spansPerSecond: 3000, padding: 4000 });
  await sleep(6_000);
  await traffic.stop();
  const spans = traffic.acknowledged.length;
  expect(spans).toBeGreaterThan(5_000);
  expect([...traffic.answers.keys()]).toEqual([200]);
  expect(traffic.slowestMs).toBeLessThan(5_000);
  await until(() => good.received.size === spans, "the good one has everything", 5_000);
  expect(dead.received.size + hanging.received.size).toBe(0);
  for (const forwarder of ["dead", "hanging"]) {
    await until(async () => await gateway.metric("tailrace_outbox_spans", { forwarder }) === spans,
      `the outbox of ${forwarder} has everything`);
    expect(await gateway.metric("tailrace_outbox_bytes", { forwarder })).toBeGreaterThan(MIB);
  }
  const page = await gateway.scrape();
  expect(page.sum("tailrace_forward_unknown_outcome_total", { forwarder: "hanging" }))
    .toBeGreaterThan(0);
  await hanging.down();
  hanging.hangs = false;
  slow.delayMs = 0;
  await Promise.all([dead.up(), hanging.up()]);
  await gateway.settled();
  for (const backend of [good, dead, hanging]) {
    expect(reckonAll(traffic, backend)).toEqual(ALL_IS_WELL);
    expect(duplicates(backend)).toEqual([]);
  }
  expect(reckonSampled(traffic, slow)).toEqual(ALL_IS_WELL);
  expect(duplicates(slow)).toEqual([]);
  expect((await gateway.stop()).code).toBe(0);
}, TEST_MS);

it("what an outbox has no room for is given up, oldest first, and counted; the disk is left alone",
  async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    await backend.down();
    const gateway = await stage.start(stage.config([stage.otlpForwarder("dead", backend, {
      ...SMALL, OutboxLimit: "16MiB",
    })], { Workers: 1 }));
    const traffic = stage.traffic({ spansPerSecond: 4000, padding: 4000 });
    let largest = 0;
    await until(async () => {
      const page = await gateway.scrape();
      largest = Math.max(largest, page.sum("tailrace_outbox_bytes"));
      return page.sum("tailrace_kept_spans_lost_total", { reason: "outbox_limit" }) > 2_000;
    }, "the outbox is over its limit", 20_000);
    // Older spans that the forwarder has in memory came there meanwhile, once, as copies.
    await sleep(1_000);
    await traffic.stop();
    expect(largest).toBeLessThan(32 * MIB);
    await backend.up();
    await gateway.settled();
    const page = await gateway.scrape();
    const lost = page.sum("tailrace_kept_spans_lost_total", { reason: "outbox_limit" });
    expect(page.sum("tailrace_kept_spans_lost_total")).toBe(lost);
    expect(backend.received.size + lost).toBe(traffic.acknowledged.length);
    expect(duplicates(backend)).toEqual([]);
    const newest = traffic.acknowledged.slice(-500).map(spanKey);
    expect(newest.filter((key) => !backend.received.has(key))).toEqual([]);
    expect((await gateway.stop()).code).toBe(0);
    expect(gateway.output).toContain("The balance closes");
    expect(gateway.output).toContain("outbox_limit");
  }, TEST_MS);

it("a span that the backend refuses costs its neighbours nothing but those of its own payload",
  async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const other = await stage.backend();
    const gateway = await stage.start(stage.config([
      stage.otlpForwarder("picky", backend), stage.otlpForwarder("other", other),
    ], { Workers: 2 }));
    backend.judge = (spans) => spans.some(({ spanId }) => spanId.startsWith("00")) ? 400 : 200;
    const traffic = stage.traffic({ spansPerSecond: 2000 });
    await sleep(2_000);
    await traffic.stop();
    await gateway.settled();
    const refused = await gateway.metric(
      "tailrace_kept_spans_lost_total", { forwarder: "picky", reason: "backend_refused" });
    expect(refused).toBeGreaterThan(0);
    expect(backend.received.size + refused).toBe(traffic.acknowledged.length);
    const poisoned = traffic.acknowledged.filter(({ spanId }) => spanId.startsWith("00")).length;
    expect(refused).toBeLessThanOrEqual(poisoned * 20);
    expect(reckonAll(traffic, other)).toEqual(ALL_IS_WELL);
    expect((await gateway.stop()).code).toBe(0);
    expect(gateway.output).toContain("backend_refused");
  }, TEST_MS);

it.skipIf(!canMount)("a full disk under a file forwarder is its trouble alone", async () => {
  const stage = Stage.open();
  const other = await stage.backend();
  const disk = tmpfs(2 * MIB);
  const files = path.join(disk, "files");
  const gateway = await stage.start(stage.config([
    { Type: "file", Name: "files", Path: files, RetryInitial: "50ms", RetryMax: "200ms" },
    stage.otlpForwarder("other", other),
  ], { Workers: 2 }));
  const filler = path.join(disk, "filler");
  fs.writeFileSync(filler, new Uint8Array(MIB));
  const traffic = stage.traffic({ spansPerSecond: 2000 });
  await sleep(1_500);
  await traffic.stop();
  await until(() => other.received.size === traffic.acknowledged.length, "the other has all");
  expect(await gateway.metric("tailrace_outbox_spans", { forwarder: "files" })).toBeGreaterThan(0);
  fs.rmSync(filler);
  await gateway.settled();
  const inFiles = readSpanFiles(files);
  expect([...inFiles].filter(([, times]) => times > 1)).toEqual([]);
  expect([...inFiles.keys()].toSorted()).toEqual(traffic.acknowledged.map(spanKey).toSorted());
  expect((await gateway.stop()).code).toBe(0);
}, TEST_MS);
