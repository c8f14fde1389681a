// Signals, exit codes and the books: what a supervisor and its operator see of the process.

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BalanceWatch } from "../support/balance-watch.ts";
import {
  freePorts, GatewayProcess, IS_SECOND_RUN, type GatewayConfig,
} from "../support/gateway.ts";
import { ALL_IS_WELL, duplicates, reckonAll, reckonSampled } from "../support/reckoning.ts";
import { readSpanFiles } from "../support/span-files.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { postSpans, spanKey, type Fate, type SentSpan } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;

function newSpan(stage: Stage, traceId: string, fate: Fate, marked = false): SentSpan {
  return { traceId, spanId: stage.random.hex(8), fate, marked };
}

/** Sends `count` traces of two spans, half of them to be kept. @returns their spans. */
async function sendTraces(
  stage: Stage, gateway: GatewayProcess, count: number,
): Promise<SentSpan[]> {
  const sent: SentSpan[] = [];
  for (let trace = 0; trace < count; trace++) {
    const traceId = stage.random.hex(16);
    const fate = trace % 2 === 0 ? "keep" : "drop";
    const spans = [newSpan(stage, traceId, fate), newSpan(stage, traceId, fate)];
    expect(await postSpans(gateway.port, spans)).toBe(200);
    sent.push(...spans);
  }
  return sent;
}

function keysOf(spans: readonly SentSpan[], fate?: Fate): string[] {
  return spans.filter((span) => fate === undefined || span.fate === fate).map(spanKey).toSorted();
}

describe("SIGTERM", () => {
  it("leaves undecided traces on disk, and after restarts everything came exactly once, "
    + "in every forwarder; the books close at every moment", async () => {
    const stage = Stage.open();
    const backends = { kept: await stage.backend(), all: await stage.backend() };
    const files = path.join(stage.directory, "files");
    const next = (workers: number): GatewayConfig => {
      stage.run++;
      return stage.config([
        stage.otlpForwarder("kept", backends.kept, { TraceSample: fateSampler("1s") }),
        stage.otlpForwarder("all", backends.all),
        { Type: "file", Name: "files", Path: files, BatchTimeout: "50ms" },
      ], { Workers: workers });
    };
    let gateway = await stage.start(next(2));
    const traffic = stage.traffic();
    for (const workers of [2, 3, 1]) {
      const watch = new BalanceWatch(gateway);
      await sleep(1200);
      const { scrapes, faults } = await watch.stop();
      expect(scrapes).toBeGreaterThan(5);
      expect(faults).toEqual([]);
      expect(await gateway.stop()).toEqual({ code: 0, signal: null });
      expect(gateway.output).toMatch(/The balance closes: .* wait on disk for the next start/);
      gateway = await stage.start(next(workers));
      await until(async () => await gateway.metric("tailrace_spans_replayed_total") > 0,
        "what was undecided is taken up again");
    }
    await sleep(500);
    await traffic.stop();
    const watch = new BalanceWatch(gateway);
    await gateway.settled();
    expect((await watch.stop()).faults).toEqual([]);
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(gateway.output).toContain("The balance closes: every span is accounted for.\n");
    expect(reckonSampled(traffic, backends.kept)).toEqual(ALL_IS_WELL);
    expect(reckonAll(traffic, backends.all)).toEqual(ALL_IS_WELL);
    expect([duplicates(backends.kept), duplicates(backends.all)]).toEqual([[], []]);
    const inFiles = readSpanFiles(files);
    expect([...inFiles].filter(([, times]) => times > 1)).toEqual([]);
    expect([...inFiles.keys()].toSorted()).toEqual([...backends.all.received.keys()].toSorted());
  }, TEST_MS);

  it("with OnShutdown decide judges everything and delivers it before the end", async () => {
    const stage = Stage.open();
    const backend = await stage.backend({ keepSpans: true });
    const config = stage.config(
      [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") })],
      { Workers: 2, OnShutdown: "decide" });
    const gateway = await stage.start(config);
    const sent = await sendTraces(stage, gateway, 100);
    expect(await gateway.metric("tailrace_spans_in_flight")).toBe(200);
    expect(backend.requests).toBe(0);
    expect((await gateway.stop()).code).toBe(0);
    expect(gateway.output).toContain("The balance closes: every span is accounted for.\n");
    expect([...backend.received.keys()].toSorted()).toEqual(keysOf(sent, "keep"));
    expect(duplicates(backend)).toEqual([]);
    expect(backend.spans[0]?.attributes).toMatchObject({
      "tailrace.policy": "fate", "tailrace.trigger": "shutdown", "tailrace.complete": false,
      "tailrace.incomplete_reason": "shutdown",
    });
    const again = await stage.start(config);
    expect(await again.metric("tailrace_spans_replayed_total")).toBe(0);
    expect(await again.metric("tailrace_kept_spans_replayed_total")).toBe(0);
    expect((await again.stop()).code).toBe(0);
    expect(duplicates(backend)).toEqual([]);
  }, TEST_MS);

  it("does not wait longer than MaxGracefulWaitTime for a backend; the rest comes after the next "
    + "start, once", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const config = stage.config([stage.otlpForwarder("all", backend)], {
      Workers: 2, MaxGracefulWaitTime: "1s",
    });
    const gateway = await stage.start(config);
    await backend.down();
    const sent = await sendTraces(stage, gateway, 50);
    const beganMs = performance.now();
    expect((await gateway.stop()).code).toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(8_000);
    expect(gateway.output).toContain("were not delivered in time");
    expect(gateway.output).toContain("The balance closes: every span is accounted for. 100 wait");
    await backend.up();
    const again = await stage.start(config);
    await again.settled();
    expect((await again.stop()).code).toBe(0);
    expect([...backend.received.keys()].toSorted()).toEqual(keysOf(sent));
    expect(duplicates(backend)).toEqual([]);
  }, TEST_MS);

  it("a second time ends the process at once, and nothing is lost", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const config = stage.config([stage.otlpForwarder("all", backend)], { Workers: 2 });
    const gateway = await stage.start(config);
    backend.hangs = true;
    const sent = await sendTraces(stage, gateway, 50);
    gateway.signal("SIGTERM");
    await until(() => gateway.output.includes("SIGTERM: stopping"), "the gateway stops");
    await sleep(500);
    expect(gateway.running).toBe(true);
    const beganMs = performance.now();
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - beganMs).toBeLessThan(5_000);
    await backend.down();
    backend.hangs = false;
    await backend.up();
    const again = await stage.start(config);
    await again.settled();
    expect([...backend.received.keys()].toSorted()).toEqual(keysOf(sent));
  }, TEST_MS);

  it("a second time in the middle of the work ends it as quickly", async () => {
    const stage = Stage.open();
    const backends = { kept: await stage.backend(), all: await stage.backend() };
    const next = (): GatewayConfig => {
      stage.run++;
      return stage.config([
        stage.otlpForwarder("kept", backends.kept, { TraceSample: fateSampler("500ms") }),
        stage.otlpForwarder("all", backends.all),
      ], { Workers: 3, DrainDelay: "10s" });
    };
    let gateway = await stage.start(next());
    const traffic = stage.traffic({ spansPerSecond: 8000, spansPerBody: 50 });
    for (let round = 0; round < (IS_SECOND_RUN ? 1 : 3); round++) {
      await sleep(300 + stage.random.below(500));
      gateway.signal("SIGTERM");
      await until(() => gateway.output.includes("SIGTERM: stopping"), "the gateway stops");
      await sleep(stage.random.below(200));
      const beganMs = performance.now();
      expect(await gateway.stop()).toEqual({ code: 0, signal: null });
      expect(performance.now() - beganMs).toBeLessThan(5_000);
      gateway = await stage.start(next());
    }
    await traffic.stop();
    await gateway.settled();
    expect(reckonSampled(traffic, backends.kept)).toEqual(ALL_IS_WELL);
    expect(reckonAll(traffic, backends.all)).toEqual(ALL_IS_WELL);
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);

  it("fails health checks for DrainDelay, while spans are still taken", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const gateway = await stage.start(stage.config(
      [stage.otlpForwarder("all", backend)], { DrainDelay: "2s" }));
    const health = async (): Promise<string> => {
      const reply = await fetch(`http://127.0.0.1:${gateway.port}/healthz`);
      return `${reply.status} ${await reply.text()}`;
    };
    expect(await health()).toBe("200 OK");
    gateway.signal("SIGTERM");
    await until(async () => (await health()) === "404 graceful shutdown", "/healthz answers 404");
    expect((await gateway.get("/healthz")).status).toBe(404);
    expect((await gateway.get("/readyz")).status).toBe(503);
    const sent = await sendTraces(stage, gateway, 5);
    expect((await gateway.ended()).code).toBe(0);
    expect([...backend.received.keys()].toSorted()).toEqual(keysOf(sent));
    expect(await postSpans(gateway.port, sent)).toBe(0);
  }, TEST_MS);
});

it("a gateway that was down for longer than any wait decides at once when it is back", async () => {
  const stage = Stage.open();
  const backend = await stage.backend();
  const config = stage.config(
    [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("600ms") })],
    { Workers: 2 });
  const gateway = await stage.start(config);
  const sent = await sendTraces(stage, gateway, 20);
  await gateway.kill();
  await sleep(6_000);
  const again = await stage.start(config);
  await again.settled();
  expect([...backend.received.keys()].toSorted()).toEqual(keysOf(sent, "keep"));
  expect((await again.stop()).code).toBe(0);
}, TEST_MS);

describe("a start that cannot be", () => {
  it("is refused with exit code 2 and all problems of the configuration", async () => {
    const stage = Stage.open();
    const gateway = stage.watch(GatewayProcess.launchText(stage.directory, `{
      "Workers": 1000,
      "OnShutdown": "explode",
      "ListenFrom": [{ "Type": "otlp", "ListenAddr": "nowhere" }],
      "ForwardTo": [{
        "Type": "otlp", "Name": "kept", "URL": "ftp://127.0.0.1/",
        "TraceSample": { "Policies": [{ "name": "a", "type": "guess" }] }
      }]
    }`, await freePorts()));
    expect((await gateway.ended()).code).toBe(2);
    expect(gateway.output).toContain("5 problems in the configuration");
    for (const named of ["Workers", "OnShutdown", "ListenAddr", "URL", "guess"]) {
      expect(gateway.output).toContain(named);
    }
    expect(fs.existsSync(path.join(stage.directory, "data"))).toBe(false);
  }, TEST_MS);

  it("is refused with exit code 2 when the file named is not there", async () => {
    const stage = Stage.open();
    const gateway = stage.watch(
      GatewayProcess.launchWith(stage.directory, ["--configfile", "absent.conf"]));
    expect((await gateway.ended()).code).toBe(2);
    expect(gateway.output).toContain("absent.conf");
  }, TEST_MS);

  it("is refused with exit code 2 when another process has an address or the data directory, and "
    + "that process goes on", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const first = await stage.start(stage.config([stage.otlpForwarder("all", backend)]));
    const elsewhere = path.join(stage.directory, "elsewhere");
    const config = stage.config([stage.otlpForwarder("all", backend)]);
    const own = await freePorts();
    const cases = [
      { directory: elsewhere, ports: { ...own, port: first.port }, says: String(first.port) },
      {
        directory: elsewhere, ports: { ...own, adminPort: first.adminPort },
        says: String(first.adminPort),
      },
      { directory: stage.directory, ports: own, says: `process ${first.pid}` },
    ];
    for (const { directory, ports, says } of cases) {
      const second = stage.watch(await GatewayProcess.launch(directory, config, ports));
      expect({ ...(await second.ended()), says }).toEqual({ code: 2, signal: null, says });
      expect(second.output).toContain(says);
      expect(second.output).not.toContain("a bug");
    }
    const sent = await sendTraces(stage, first, 5);
    await first.settled();
    expect([...backend.received.keys()].toSorted()).toEqual(keysOf(sent));
    expect((await first.stop()).code).toBe(0);
  }, TEST_MS);
});
