// Memory limits against the real process.

import { describe, expect, it } from "vitest";
import { BalanceWatch } from "../support/balance-watch.ts";
import { encodeRequest } from "../support/otlp-builder.ts";
import { ALL_IS_WELL, reckonSampled } from "../support/reckoning.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { post } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;

function spans(stage: Stage, traceId: string, count: number) {
  return Array.from({ length: count }, () => ({
    traceId, spanId: stage.random.hex(8), name: "work", attributes: { "test.fate": "keep" },
  }));
}

describe("MemoryLimit", () => {
  it("that is too small is refused with one that works, and that one makes MaxTraces fit",
    async () => {
      const stage = Stage.open();
      const backend = await stage.backend();
      const config = (memoryLimit: string) => stage.config(
        [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("1s") })],
        { Workers: 2, MaxTraces: 4_000_000, MemoryLimit: memoryLimit });
      const refused = await stage.launch(config("64MiB"));
      expect(await refused.ended()).toEqual({ code: 2, signal: null });
      const smallest = /set "MemoryLimit": "(\d+MiB)"/.exec(refused.output)?.[1];
      expect(refused.output).toContain("MemoryLimit is too small");
      const gateway = await stage.start(config(smallest!)); // the test fails without it
      await until(() => /MaxTraces is \d+, to fit MemoryLimit/.test(gateway.output),
        "the banner says that MaxTraces was made to fit");
      const watch = new BalanceWatch(gateway);
      const traffic = stage.traffic({ spansPerSecond: 6000 });
      await until(async () => await gateway.metric("tailrace_traces_live") > 500,
        "traces are held");
      await until(() => traffic.answersWith(200) > 300, "spans are taken");
      await traffic.stop();
      await gateway.settled();
      expect((await watch.stop()).faults).toEqual([]);
      expect(await gateway.metric("tailrace_trace_rows_max")).toBeLessThan(20_000);
      expect((await gateway.stop()).code).toBe(0);
      expect(reckonSampled(traffic, backend).missing).toEqual(ALL_IS_WELL.missing);
    }, TEST_MS);
});

describe("traces", () => {
  it("that fitted MaxTraces before a restart and do not fit after it are judged while it starts",
    async () => {
      const stage = Stage.open();
      const backend = await stage.backend();
      const config = (maxTraces: number) => stage.config(
        [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") })],
        { Workers: 1, MaxTraces: maxTraces, OnShutdown: "decide" });
      const before = await stage.start(config(100_000));
      // More than the rows and the ring between lanes hold.
      for (let body = 0; body < 25; body++) {
        const traces = Array.from({ length: 2000 }, () => stage.random.hex(16));
        const all = traces.flatMap((traceId) => spans(stage, traceId, 1));
        expect(await post(before.port, encodeRequest([{ spans: all }]))).toBe(200);
      }
      await before.kill();
      const again = await stage.start(config(1000));
      expect(await again.metric("tailrace_traces_live")).toBeLessThanOrEqual(1000);
      expect((await again.stop()).code).toBe(0);
      expect(again.output).toContain("The balance closes");
      expect(backend.received.size).toBe(50_000);
    }, TEST_MS);

  it("when parts run short, the one with the most parts is judged, however young", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const gateway = await stage.start(stage.config(
      [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("10m") })],
      { Workers: 1, MaxTraces: 1000, OnShutdown: "decide" }));
    const light = Array.from({ length: 300 }, () => stage.random.hex(16));
    for (const traceId of light) {
      await post(gateway.port, encodeRequest([{ spans: spans(stage, traceId, 1) }]));
    }
    const heavy = stage.random.hex(16);
    for (let part = 0; part < 5_800; part += 100) {
      await Promise.all(Array.from({ length: 100 }, async () => {
        await post(gateway.port, encodeRequest([{ spans: spans(stage, heavy, 1) }]));
      }));
    }
    const stateOf = async (traceId: string): Promise<unknown> =>
      (JSON.parse((await gateway.get(`/traces/${traceId}`)).body) as { state: unknown }).state;
    await until(async () => await stateOf(heavy) === "decided", "the heavy one is judged");
    const states = await Promise.all([light[0]!, light[150]!, light[299]!].map(stateOf));
    expect(states).toEqual(["waiting", "waiting", "waiting"]);
    expect(await gateway.metric("tailrace_decisions_total", { trigger: "memory_pressure" }))
      .toBe(1);
    expect((await gateway.stop()).code).toBe(0);
    expect(backend.received.size).toBe(300 + 5_800);
  }, TEST_MS);

  it("of 200,000 spans over both lanes is judged once at its limit; all of it arrives",
    async () => {
      const stage = Stage.open();
      const backend = await stage.backend();
      const gateway = await stage.start(stage.config(
        // The backend reads its 90 MB in this very process.
        [stage.otlpForwarder("kept", backend,
          { TraceSample: fateSampler("10m"), Timeout: "60s" })],
        { Workers: 2, MaxTraceSpans: 50_000, OnShutdown: "decide" }));
      const watch = new BalanceWatch(gateway);
      const one = stage.random.hex(16);
      let sent = 0;
      while (sent < 200_000) {
        await Promise.all(Array.from({ length: 4 }, async () => {
          const body = encodeRequest([{ spans: spans(stage, one, 5_000) }]);
          expect(await post(gateway.port, body)).toBe(200);
          sent += 5_000;
        }));
      }
      await until(() => backend.received.size === sent, "all of it arrives", 90_000);
      const page = await gateway.scrape();
      expect(page.sum("tailrace_decisions_total")).toBe(1);
      expect(page.sum("tailrace_decisions_total", { trigger: "span_limit" })).toBe(1);
      expect(page.sum("tailrace_late_spans_total")).toBeGreaterThan(100_000);
      expect(page.sum("tailrace_traces_live")).toBe(0);
      expect((await watch.stop()).faults).toEqual([]);
      expect((await gateway.stop()).code).toBe(0);
    }, TEST_MS + 60_000);
});
