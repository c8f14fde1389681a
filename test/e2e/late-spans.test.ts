// One decision a trace and sampler: what comes after it follows it, and anybody can ask why.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { TraceReport } from "../../engine/telemetry/trace-report.ts";
import type { RecordingBackend } from "../support/backend.ts";
import type { GatewayConfig, GatewayProcess } from "../support/gateway.ts";
import { encodeRequest, type SpanInput } from "../support/otlp-builder.ts";
import { duplicates } from "../support/reckoning.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { post, spanKey } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const NO_ROOT = "00000000000000aa";
const STATUS_ERROR = 2;

function newSpan(stage: Stage, traceId: string, more: Partial<SpanInput> = {}): SpanInput {
  return {
    traceId, spanId: stage.random.hex(8), parentSpanId: NO_ROOT, name: "work",
    startNs: 1_700_000_000_000_000_000n, endNs: 1_700_000_000_001_500_000n, ...more,
  };
}

async function send(gateway: GatewayProcess, spans: readonly SpanInput[]): Promise<void> {
  expect(await post(gateway.port, encodeRequest([{ spans }]))).toBe(200);
}

async function report(gateway: GatewayProcess, traceId: string): Promise<TraceReport> {
  const { status, body } = await gateway.get(`/traces/${traceId}`);
  expect(status).toBe(200);
  return JSON.parse(body) as TraceReport;
}

function received(backend: RecordingBackend): string[] {
  return [...backend.received.keys()].toSorted();
}

function keys(spans: readonly SpanInput[]): string[] {
  return spans.map(spanKey).toSorted();
}

function withAttribute(key: string, value: string): Partial<SpanInput> {
  return { attributes: { [key]: value } };
}

it("late spans follow their trace, kept or dropped, through stops, kills and other numbers of "
  + "workers", async () => {
  const stage = Stage.open();
  const backend = await stage.backend({ keepSpans: true });
  const next = (workers: number): GatewayConfig => stage.config(
    [stage.otlpForwarder("kept", backend, { TraceSample: fateSampler("500ms") })],
    { Workers: workers });
  // More in one turn than a value of the log holds in one piece.
  const kept = Array.from({ length: 200 }, () => stage.random.hex(16));
  const dropped = Array.from({ length: 200 }, () => stage.random.hex(16));
  let gateway = await stage.start(next(2));
  const first = kept.map((id) => newSpan(stage, id, withAttribute("test.fate", "keep")));
  const expected = [...first];
  await send(gateway, [...first, ...dropped.map((id) => newSpan(stage, id))]);
  await gateway.settled();
  expect(received(backend)).toEqual(keys(first));
  const late: SpanInput[] = [];
  for (const [round, workers] of [2, 2, 3, 1, 3, 2].entries()) {
    if (round === 1) expect((await gateway.stop()).code).toBe(0);
    if (round > 1) await gateway.kill();
    if (round > 0) gateway = await stage.start(next(workers));
    const here = kept.map((id) => newSpan(stage, id));
    late.push(...here);
    expected.push(...here);
    // Judged alone these would be kept, and the others dropped.
    const lost = dropped.map((id) => newSpan(stage, id, withAttribute("test.fate", "keep")));
    await send(gateway, [...here, ...lost]);
    await gateway.settled();
    const page = await gateway.scrape();
    expect(page.sum("tailrace_late_spans_total", { decision: "keep" })).toBe(200);
    expect(page.sum("tailrace_late_spans_total", { decision: "drop" })).toBe(200);
    expect(page.sum("tailrace_decisions_total")).toBe(round === 0 ? 400 : 0);
  }
  expect(received(backend)).toEqual(keys(expected));
  const lateKeys = new Set(keys(late));
  for (const span of backend.spans) {
    expect(span.attributes["tailrace.policy"]).toBe("fate");
    expect(span.attributes["tailrace.trigger"])
      .toBe(lateKeys.has(spanKey(span)) ? "late_span" : "decision_wait");
    expect(span.attributes["tailrace.complete"])
      .toBe(lateKeys.has(spanKey(span)) ? false : undefined);
  }
}, TEST_MS);

it("GET /traces/ID tells what is known of a trace, and why it was decided so", async () => {
  const stage = Stage.open();
  const backend = await stage.backend();
  const config = stage.config([stage.otlpForwarder("kept", backend, {
    TraceSample: fateSampler("2s"),
  })], { Workers: 2 });
  let gateway = await stage.start(config);
  const [kept, dropped] = [stage.random.hex(16), stage.random.hex(16)];
  await send(gateway, [
    newSpan(stage, kept, { ...withAttribute("test.fate", "keep"), statusCode: STATUS_ERROR }),
    newSpan(stage, kept, { parentSpanId: "" }), newSpan(stage, dropped),
  ]);
  expect(await report(gateway, kept)).toMatchObject({
    traceId: kept, state: "waiting", known: "row", spans: 2, durationMs: 1.5, rootSeen: true,
    errorSeen: true, parts: 1, undecided: ["kept"], trigger: null, decisions: [],
  });
  const { decidesInMs } = await report(gateway, dropped);
  expect(decidesInMs).toBeGreaterThan(0);
  expect(decidesInMs).toBeLessThan(3_000);
  await gateway.settled();
  const keptReport = {
    traceId: kept, state: "decided", known: "full", spans: 2, durationMs: 1.5, undecided: [],
    trigger: "decision_wait", complete: true, decisions: [{
      forwarder: "kept", decision: "keep", policy: "fate", sampleRate: 1, votes: [
        { policy: "fate", vote: "sampled" }, { policy: "mark", vote: "not_sampled" },
      ],
    }],
  };
  const droppedReport = {
    state: "decided", known: "full", spans: 1, undecided: [], trigger: "decision_wait",
    decisions: [{
      forwarder: "kept", decision: "drop", policy: null, sampleRate: null, votes: [
        { policy: "fate", vote: "not_sampled" }, { policy: "mark", vote: "not_sampled" },
      ],
    }],
  };
  expect(await report(gateway, kept)).toMatchObject(keptReport);
  expect(await report(gateway, dropped)).toMatchObject(droppedReport);
  const { decidedAt } = await report(gateway, kept);
  expect(Math.abs(Date.parse(decidedAt ?? "") - Date.now())).toBeLessThan(20_000);
  expect((await gateway.get(`/traces/${stage.random.hex(16)}`)).status).toBe(404);
  expect((await gateway.get("/traces/xyz")).status).toBe(400);
  await gateway.kill();
  gateway = await stage.start(config);
  expect(await report(gateway, kept)).toMatchObject(keptReport);
  expect(await report(gateway, dropped)).toMatchObject(droppedReport);
}, TEST_MS);

it("a root span ends the wait after DecisionWaitAfterRoot, and without one DecisionWait holds, "
  + "also after a restart", async () => {
  const stage = Stage.open();
  const backend = await stage.backend();
  const config = stage.config([stage.otlpForwarder("kept", backend, {
    TraceSample: fateSampler("60s", { DecisionWaitAfterRoot: "500ms" }),
  })], { Workers: 2 });
  const gateway = await stage.start(config);
  const [rooted, rootless, revived] =
    [stage.random.hex(16), stage.random.hex(16), stage.random.hex(16)];
  const keep = withAttribute("test.fate", "keep");
  const [child, root, after] = [
    newSpan(stage, rooted, keep), newSpan(stage, rooted, { parentSpanId: "" }),
    newSpan(stage, revived, { ...keep, parentSpanId: "" }),
  ];
  await send(gateway, [child, newSpan(stage, rootless, keep)]);
  await sleep(1_000);
  expect((await report(gateway, rooted)).state).toBe("waiting");
  await send(gateway, [root]);
  await until(() => backend.received.size === 2, "the trace with a root is delivered");
  expect(await report(gateway, rooted)).toMatchObject({ state: "decided", trigger: "root" });
  expect(await report(gateway, rootless)).toMatchObject({ state: "waiting", rootSeen: false });
  expect((await report(gateway, rootless)).decidesInMs).toBeGreaterThan(30_000);
  await send(gateway, [after]);
  await gateway.kill();
  const again = await stage.start(config);
  await until(() => backend.received.has(spanKey(after)), "the root is remembered");
  expect(await report(again, revived)).toMatchObject({ state: "decided", trigger: "root" });
  expect(await report(again, rootless)).toMatchObject({ state: "waiting" });
  expect((await report(again, rootless)).decidesInMs).toBeLessThan(60_000);
  expect(received(backend)).toEqual(keys([child, root, after]));
}, TEST_MS);

it("each sampler judges in its own time by its own policies; a forwarder without one gets all",
  async () => {
    const stage = Stage.open();
    const backends = {
      fast: await stage.backend({ keepSpans: true }),
      slow: await stage.backend({ keepSpans: true }),
      all: await stage.backend(),
    };
    const gateway = await stage.start(stage.config([
      stage.otlpForwarder("fast", backends.fast, { TraceSample: {
        DecisionWait: "500ms",
        Policies: [{
          name: "errors", type: "status_code", status_code: { status_codes: ["ERROR"] },
        }],
      } }),
      stage.otlpForwarder("slow", backends.slow, { TraceSample: {
        DecisionWait: "4s", Policies: [{
          name: "tenant", type: "string_attribute",
          string_attribute: { key: "tenant", values: ["gold"] },
        }],
      } }),
      stage.otlpForwarder("all", backends.all),
    ], { Workers: 2 }));
    const id = (): string => stage.random.hex(16);
    const error = { statusCode: STATUS_ERROR };
    const gold = withAttribute("tenant", "gold");
    const failing = newSpan(stage, id(), error);
    const golden = newSpan(stage, id(), gold);
    const both = newSpan(stage, id(), { ...error, ...gold });
    const neither = newSpan(stage, id());
    const early = newSpan(stage, id());
    await send(gateway, [failing, golden, both, neither, early]);
    await until(() => backends.fast.received.size === 2, "the fast sampler has decided");
    expect(await report(gateway, both.traceId)).toMatchObject({
      state: "partly_decided", undecided: ["slow"],
      decisions: [{ forwarder: "fast", decision: "keep", policy: "errors" }],
    });
    // The other worker's clock may tick later.
    await until(async () => (await report(gateway, early.traceId)).state === "partly_decided",
      "the fast sampler has decided on the early trace");
    // Too late for one sampler, in time for the other.
    const later = newSpan(stage, early.traceId, { ...error, ...gold });
    await send(gateway, [later]);
    await gateway.settled();
    expect(received(backends.fast)).toEqual(keys([failing, both]));
    expect(received(backends.slow)).toEqual(keys([golden, both, early, later]));
    expect(received(backends.all)).toEqual(keys([failing, golden, both, neither, early, later]));
    expect(Object.values(backends).flatMap((backend) => duplicates(backend))).toEqual([]);
    const policies = (backend: RecordingBackend): unknown[] =>
      [...new Set(backend.spans.map((span) => span.attributes["tailrace.policy"]))];
    expect(policies(backends.fast)).toEqual(["errors"]);
    expect(policies(backends.slow)).toEqual(["tenant"]);
    expect(await report(gateway, early.traceId)).toMatchObject({
      state: "decided", undecided: [], spans: 2, decisions: [
        { forwarder: "fast", decision: "drop" }, { forwarder: "slow", decision: "keep" },
      ],
    });
  }, TEST_MS);

it("eight forwarders get their own traces and no others, in two runs", async () => {
  const stage = Stage.open();
  const routes = [0, 1, 2, 3, 4, 5, 6];
  const backends = await Promise.all([...routes, 7].map(async () => await stage.backend()));
  const forwarders = backends.map((backend, route) => stage.otlpForwarder(`to-${route}`, backend,
    route === 7 ? {} : { TraceSample: {
      DecisionWait: "500ms", Policies: [{
        name: `route-${route}`, type: "string_attribute",
        string_attribute: { key: `route.${route}`, values: ["yes"] },
      }],
    } }));
  const expected: SpanInput[][] = backends.map(() => []);
  for (const run of [1, 2]) {
    // The order of the configuration does not matter: names have their places.
    const order = run === 1 ? forwarders : forwarders.toReversed();
    const gateway = await stage.start(stage.config(order, { Workers: 2 }));
    const spans: SpanInput[] = [];
    for (let trace = 0; trace < 300; trace++) {
      const traceId = stage.random.hex(16);
      const chosen = routes.filter(() => stage.random.chance(0.2));
      const attributes = Object.fromEntries(chosen.map((route) => [`route.${route}`, "yes"]));
      const pair = [newSpan(stage, traceId, { attributes }), newSpan(stage, traceId)];
      spans.push(...pair);
      for (const route of [...chosen, 7]) expected[route]!.push(...pair);
    }
    for (let at = 0; at < spans.length; at += 37) await send(gateway, spans.slice(at, at + 37));
    if (run === 1) expect((await gateway.stop()).code).toBe(0); // most are not decided yet
    else await gateway.settled();
  }
  backends.forEach((backend, route) => {
    expect({ route, keys: received(backend) }).toEqual({ route, keys: keys(expected[route]!) });
    expect(duplicates(backend)).toEqual([]);
  });
}, TEST_MS);
