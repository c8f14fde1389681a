// Bounds that are reached on purpose: what then happens is decided early, refused or counted, and
// what was acknowledged still goes where it belongs.

import { describe, expect, it } from "vitest";
import type { GatewayProcess } from "../support/gateway.ts";
import { encodeRequest, type SpanInput } from "../support/otlp-builder.ts";
import { ALL_IS_WELL, duplicates, reckonSampled } from "../support/reckoning.ts";
import { FATE_POLICIES, post, spanKey } from "../support/traffic.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 30_000;
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
      { Workers: 2, MaxTraceBytes: "8KiB" }));
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
    expect(await decisions(gateway, "byte_limit")).toBe(2);
    expect(await gateway.metric("tailrace_spans_in_flight")).toBe(2);
    const triggers = new Set(backend.spans.map((span) => span.attributes["tailrace.trigger"]));
    expect([...triggers].toSorted()).toEqual(["byte_limit", "late_span"]);
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
    }, "400 MiB came in", 25_000);
    await traffic.stop();
    expect(largest).toBeGreaterThan(200 * MIB);
    expect(largest).toBeLessThan(300 * MIB);
    expect(await decisions(gateway, "storage_pressure")).toBeGreaterThan(100);
    expect([...traffic.answers.keys()].filter((status) => status !== 200 && status !== 503))
      .toEqual([]);
    expect(traffic.impatient).toBe(0);
    expect((await gateway.stop()).code).toBe(0);
    expect(reckonSampled(traffic, backend)).toEqual(ALL_IS_WELL);
    expect(duplicates(backend)).toEqual([]);
  }, TEST_MS);
