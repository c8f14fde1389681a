// Bounds that are reached on purpose: what then happens is decided early, refused or counted, and
// what was acknowledged still goes where it belongs.

import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import { describe, expect, it } from "vitest";
import { BalanceWatch } from "../support/balance-watch.ts";
import type { GatewayConfig, GatewayProcess } from "../support/gateway.ts";
import { encodeRequest, type SpanInput } from "../support/otlp-builder.ts";
import { ALL_IS_WELL, duplicates, reckonSampled } from "../support/reckoning.ts";
import { FATE_POLICIES, post, spanKey } from "../support/traffic.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const MIB = 1024 * 1024;

function spansOf(stage: Stage, traceId: string, count: number, fate: string): SpanInput[] {
  return Array.from({ length: count }, () => ({
    traceId, spanId: stage.random.hex(8), parentSpanId: "00000000000000aa", name: "work",
    attributes: { "test.fate": fate },
  }));
}

async function send(gateway: GatewayProcess, spans: readonly SpanInput[]): Promise<void> {
  expect(await post(gateway.port, encodeRequest([{ spans }]))).toBe(200);
}

async function decisions(gateway: GatewayProcess, trigger: string): Promise<number> {
  return await gateway.metric("tailrace_decisions_total", { trigger });
}

describe("a trace", () => {
  it.each([
    ["MaxTraceSpans", { MaxTraceSpans: 50 }, "span_limit"],
    ["MaxTraceBytes", { MaxTraceBytes: "8KiB" }, "byte_limit"],
  ])("that reaches %s is decided at once, and its rest follows", async (_, limit, trigger) => {
    const stage = Stage.open();
    const backend = await stage.backend({ keepSpans: true });
    const gateway = await stage.start(stage.config(
      [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") })],
      { Workers: 2, ...limit }));
    const [large, dropped, small] = [1, 2, 3].map(() => stage.random.hex(16)) as [
      string, string, string];
    const sent: SpanInput[] = [];
    for (let body = 0; body < 20; body++) {
      const spans = spansOf(stage, large, 20, "keep");
      sent.push(...spans);
      await send(gateway, [...spans, ...spansOf(stage, dropped, 20, "drop")]);
    }
    await send(gateway, spansOf(stage, small, 2, "keep"));
    await until(() => backend.received.size === sent.length, "the large trace is delivered");
    expect([...backend.received.keys()].toSorted()).toEqual(sent.map(spanKey).toSorted());
    expect(await decisions(gateway, trigger)).toBe(2);
    expect(await gateway.metric("tailrace_spans_in_flight")).toBe(2);
    const triggers = new Set(backend.spans.map((span) => span.attributes["tailrace.trigger"]));
    expect([...triggers].toSorted()).toEqual(["late_span", trigger].toSorted());
    const complete = backend.spans.map((span) => span.attributes["tailrace.complete"]);
    expect(complete.every((value) => value === false)).toBe(true);
  }, TEST_MS);

  it("that a drop policy matches is decided before its time", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const drop = { name: "health", type: "drop", drop: { drop_sub_policy: [{
      name: "is-health", type: "string_attribute",
      string_attribute: { key: "url.path", values: ["/healthz"] },
    }] } };
    const gateway = await stage.start(stage.config(
      [stage.otlpForwarder("kept", backend, {
        TraceSample: { DecisionWait: "10m", Policies: [drop, ...FATE_POLICIES] },
      })], { Workers: 2, OnShutdown: "decide" }));
    const health = spansOf(stage, stage.random.hex(16), 1, "keep")
      .map((span) => ({ ...span, attributes: { ...span.attributes, "url.path": "/healthz" } }));
    const other = spansOf(stage, stage.random.hex(16), 1, "keep");
    await send(gateway, [...health, ...other]);
    await until(async () => (await decisions(gateway, "outcome_settled")) === 1, "one is decided");
    expect(await gateway.metric("tailrace_spans_in_flight")).toBe(1);
    expect((await gateway.stop()).code).toBe(0);
    expect([...backend.received.keys()]).toEqual(other.map(spanKey));
  }, TEST_MS);
});

it("more traces than MaxTraces are decided early, of equals the oldest, none refused", async () => {
  const stage = Stage.open();
  const backend = await stage.backend();
  const gateway = await stage.start(stage.config(
    [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") })],
    { Workers: 2, MaxTraces: 1000, OnShutdown: "decide" }));
  const watch = new BalanceWatch(gateway);
  const traces = Array.from({ length: 4000 }, () => stage.random.hex(16));
  const kept: SpanInput[] = [];
  for (let at = 0; at < traces.length; at += 100) {
    const spans = traces.slice(at, at + 100).flatMap((traceId, index) =>
      spansOf(stage, traceId, 1, index % 2 === 0 ? "keep" : "drop"));
    kept.push(...spans.filter((_, index) => index % 2 === 0));
    await send(gateway, spans);
  }
  await until(async () => (await decisions(gateway, "memory_pressure")) >= 2_800, "room is made");
  await sleep(300);
  const page = await gateway.scrape();
  expect(page.sum("tailrace_traces_live")).toBeLessThanOrEqual(1000);
  expect(page.sum("tailrace_traces_live")).toBeGreaterThan(500);
  expect(page.sum("tailrace_pressure_decisions_total")).toBeLessThan(3_500);
  const state = async (traceId: string | undefined): Promise<unknown> =>
    (JSON.parse((await gateway.get(`/traces/${traceId}`)).body) as { state: unknown }).state;
  expect(await state(traces[0])).toBe("decided");
  expect(await state(traces.at(-1))).toBe("waiting");
  expect((await watch.stop()).faults).toEqual([]);
  expect((await gateway.stop()).code).toBe(0);
  expect([...backend.received.keys()].toSorted()).toEqual(kept.map(spanKey).toSorted());
}, TEST_MS);

it("storage near its limit decides traces early and stays within it; nothing kept is lost",
  async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const gateway = await stage.start(stage.config(
      [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") })],
      { Workers: 2, StorageLimit: "256MiB", OnShutdown: "decide" }));
    const traffic = stage.traffic({ spansPerSecond: 4000, padding: 24_000 });
    let largest = 0;
    await until(async () => {
      const page = await gateway.scrape();
      largest = Math.max(largest, page.sum("tailrace_log_bytes"));
      return page.sum("tailrace_payload_bytes_received_total") > 400 * MIB;
    }, "400 MiB came in", 50_000);
    await traffic.stop();
    const refused = ["tailrace_requests_refused_total", "tailrace_payloads_shed_total"];
    const page = await gateway.scrape();
    const reasons = refused.flatMap((name) => page.samples(name))
      .filter(({ value }) => value > 0).map(({ labels, value }) => `${labels["reason"]} ${value}`);
    console.log(`answers: ${JSON.stringify([...traffic.answers])}`, ...reasons);
    expect(largest).toBeGreaterThan(200 * MIB);
    expect(largest).toBeLessThan(300 * MIB);
    expect(await decisions(gateway, "storage_pressure")).toBeGreaterThan(100);
    expect([...traffic.answers.keys()].filter((status) => status !== 200 && status !== 503))
      .toEqual([]);
    expect(traffic.impatient).toBe(0);
    expect((await gateway.stop()).code).toBe(0);
    expect(reckonSampled(traffic, backend)).toEqual(ALL_IS_WELL);
    expect(duplicates(backend)).toEqual([]);
  }, 2 * TEST_MS);

describe("a hostile client", () => {
  interface Attacked {
    readonly stage: Stage;
    readonly gateway: GatewayProcess;
    /** Sends honest spans and waits for them. */
    readonly sane: () => Promise<void>;
  }

  async function start(): Promise<Attacked> {
    const stage = Stage.open();
    const backend = await stage.backend();
    const config: GatewayConfig = stage.config(
      [stage.otlpForwarder("all", backend)], { Workers: 2, MaxBodyBytes: "1MiB" });
    const gateway = await stage.start(config);
    const sane = async (): Promise<void> => {
      const spans = spansOf(stage, stage.random.hex(16), 3, "keep");
      await send(gateway, spans);
      await until(() => spans.every((span) => backend.received.has(spanKey(span))),
        "honest spans go through");
    };
    return { stage, gateway, sane };
  }

  it("is told what is wrong with its body, and others are served", async () => {
    const { stage, gateway, sane } = await start();
    const good = encodeRequest([{ spans: spansOf(stage, stage.random.hex(16), 50, "keep") }]);
    // A kept connection, as clients have: a refusal may come before the body is out.
    const agent = new http.Agent({ keepAlive: true });
    const bomb = zlib.gzipSync(new Uint8Array(64 * MIB), { level: 9 });
    expect(await post(gateway.port, bomb, { agent, gzip: true })).toBe(413);
    expect(await post(gateway.port, new Uint8Array(2 * MIB), { agent })).toBe(413);
    expect(await post(gateway.port, good, { agent, gzip: true })).toBe(400);
    expect(await post(gateway.port, good.subarray(0, good.length - 7), { agent })).toBe(400);
    for (let attempt = 0; attempt < 200; attempt++) {
      const body = Uint8Array.from(good);
      for (let flip = 0; flip < 5; flip++) {
        body[stage.random.below(body.length)]! ^= 1 << stage.random.below(8); // below the length
      }
      expect([200, 400]).toContain(await post(gateway.port, body, { agent }));
    }
    agent.destroy();
    await sane();
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);

  it("that never finishes its requests holds up nobody", async () => {
    const { gateway, sane } = await start();
    const sockets = Array.from({ length: 200 }, () => {
      const socket = net.connect(gateway.port, "127.0.0.1");
      socket.on("error", () => undefined); // the gateway may cut it
      socket.write("POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
        + "Content-Length: 1000000\r\n\r\nhalf");
      return socket;
    });
    await sleep(300);
    await sane();
    for (const socket of sockets) socket.destroy();
    await until(async () => (await gateway.metric("tailrace_unfinished_body_bytes")) === 0,
      "their memory is given back");
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);
});
