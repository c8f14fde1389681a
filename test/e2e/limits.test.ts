// At the bounds, against the real process: the largest spans, traces and bodies, more of everything
// than there is room for. What is accepted arrives, what is not is told so, memory stays bounded.

import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import { describe, expect, it } from "vitest";
import { IS_SECOND_RUN } from "../support/gateway.ts";
import { encodeResource } from "../support/otlp-builder.ts";
import { ProtoWriter, readFields } from "../support/proto-wire.ts";
import { ProvingGround } from "../support/proving-ground.ts";
import {
  type Answer, headOf, inParallel, RawClient, RawConnection, textOf,
} from "../support/raw-client.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 90_000;
const MIB = 1024 * 1024;
const GRPC_UNAVAILABLE = 14;
/** On a machine that does much else: what is blocked takes longer than this. */
const SERVED_MS_MAX = 10_000;
const KEEP_ALL = [{ name: "all", type: "always_sample" }];
const DROP_ALL = [{ name: "none", type: "string_attribute", string_attribute: {
  key: "absent", values: ["x"],
} }];
const LONG = "10m";

describe("a span", () => {
  it("of 10 MB is forwarded byte by byte", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 10, sampler: { DecisionWait: "500ms", Policies: KEEP_ALL },
    });
    const large = ground.bodyOf(10_000_000, "noise");
    const spanOf = (body: Uint8Array): Uint8Array => {
      return [1, 2, 2].reduce((bytes) => readFields(bytes)[0]!.bytes, body);
    };
    const expected = Buffer.from(spanOf(large.bytes));
    const arrived: boolean[] = [];
    ground.spans.onSpan = (body, at, end, span) => {
      if (span !== large.from) return;
      arrived.push(body.subarray(at, at + expected.length).equals(expected)
        && end - at > expected.length);
    };
    await ground.send(large);
    await ground.send(ground.body());
    await ground.close();
    expect(arrived).toEqual([true]);
  }, TEST_MS);
});

describe.runIf(!IS_SECOND_RUN)("a trace", () => {
  it("of a million spans is judged once and forwarded whole", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 1_000_000, sampler: { DecisionWait: "2s", Policies: KEEP_ALL },
      config: { MaxTraceSpans: 2_000_000 },
    });
    const memoryBefore = ground.memoryBytes();
    await inParallel(Array.from({ length: 100 }), 4, async () => {
      await ground.send(ground.body(10_000, { traceOf: () => 1 }));
    });
    const page = await ground.close();
    expect(page.sum("tailrace_decisions_total")).toBe(1);
    expect(page.sum("tailrace_spans_kept_total")).toBe(1_000_000);
    expect(ground.memoryBytes() - memoryBefore).toBeLessThan(400 * MIB);
  }, TEST_MS);

  it("of more spans than MaxTraceSpans is judged when it has them, and marked; the rest of it "
    + "follows", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 200_000, sampler: { DecisionWait: LONG, Policies: KEEP_ALL },
      config: { MaxTraceSpans: 50_000, Workers: 2 },
    });
    const marks = { incomplete: 0, bySpanLimit: 0, late: 0 };
    ground.spans.onSpan = (body, at, end) => {
      const text = body.toString("latin1", at, end);
      if (text.includes("tailrace.complete")) marks.incomplete++;
      if (text.includes("span_limit")) marks.bySpanLimit++;
      if (text.includes("late_span")) marks.late++;
    };
    for (let count = 0; count < 20; count++) {
      await ground.send(ground.body(10_000, { traceOf: () => 1 }));
    }
    const page = await ground.close();
    const triggers = page.samples("tailrace_decisions_total").filter(({ value }) => value > 0);
    expect(triggers.map(({ labels, value }) => [labels["trigger"], value]))
      .toEqual([["span_limit", 1]]);
    expect(marks.incomplete).toBe(200_000);
    expect(marks.bySpanLimit + marks.late).toBe(200_000);
    expect(marks.bySpanLimit).toBeGreaterThanOrEqual(50_000);
    expect(marks.late).toBe(page.sum("tailrace_late_spans_total"));
    const known = await ground.gateway.get(`/traces/${ground.spans.traceId(1)}`);
    expect(JSON.parse(known.body)).toMatchObject({ trigger: "span_limit", complete: false });
  }, TEST_MS);
});

describe.runIf(!IS_SECOND_RUN)("a body", () => {
  it("of 50,000 traces is taken, again and again", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 300_000, sampler: { DecisionWait: "1s", Policies: KEEP_ALL },
      config: { MaxTraces: 400_000 },
    });
    const memoryBefore = ground.memoryBytes();
    ground.beginSteady();
    for (let count = 0; count < 4; count++) await ground.send(ground.body(50_000));
    expect(await ground.endSteady()).toBeLessThan(SERVED_MS_MAX);
    const page = await ground.close();
    expect(page.sum("tailrace_decisions_total")).toBeGreaterThanOrEqual(200_000);
    expect(ground.memoryBytes() - memoryBefore).toBeLessThan(600 * MIB);
  }, TEST_MS);

  it("may be full of the smallest spans there are", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 200_000, config: { MaxBodyBytes: 2 * MIB },
    });
    const spans = Math.floor((2 * MIB - 8) / 30);
    await ground.send(ground.body(spans));
    await ground.close();
  }, TEST_MS);

  it("of 100,000 services is forwarded with each span in its own", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 100_000, sampler: { DecisionWait: "1s", Policies: KEEP_ALL },
    });
    const resourceOf = (span: number): Uint8Array => {
      return encodeResource({ "service.name": `service-${span}` });
    };
    let strays = 0;
    ground.spans.onSpan = (body, at, _, span) => {
      // The resource lies right before its one span.
      const around = body.toString("latin1", Math.max(0, at - 40), at);
      if (!around.includes(`service-${span}`)) strays++;
    };
    for (let count = 0; count < 5; count++) {
      await ground.send(ground.body(20_000, { traceOf: (span) => span >> 2, resourceOf }));
    }
    await ground.close();
    expect(strays).toBe(0);
  }, TEST_MS);

  it("with a large resource around many spans does not leave as many times its size", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, { spansMax: 10_000 });
    const made = ground.body(5000);
    const attribute = new ProtoWriter().text(1, "large")
      .bytes(2, new ProtoWriter().bytes(7, new Uint8Array(3 * MIB)).build()).build();
    const resource = new ProtoWriter().bytes(1, attribute).build();
    const scopeSpans = readFields(made.bytes)[0]!.bytes;
    const bytes = Buffer.from(new ProtoWriter().bytes(1, Buffer.concat(
      [new ProtoWriter().bytes(1, resource).build(), scopeSpans])).build());
    await ground.send({ ...made, bytes });
    await ground.close();
    expect(ground.backend.bytes).toBeLessThan(4 * bytes.length);
  }, TEST_MS);
});

describe.runIf(!IS_SECOND_RUN)("more live traces than MaxTraces", () => {
  it.each([1, 2])("are judged early, the oldest first, with %i workers", async (workers) => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, {
      spansMax: 100_000, sampler: { DecisionWait: LONG, Policies: KEEP_ALL },
      config: { MaxTraces: 1000, Workers: workers, OnShutdown: "decide" },
    });
    let marked = 0;
    ground.spans.onSpan = (body, at, end) => {
      if (body.toString("latin1", at, end).includes("memory_pressure")) marked++;
    };
    await inParallel(Array.from({ length: 250 }), 4, async () => {
      await ground.send(ground.body(400, { traceOf: (span) => span >> 1 }));
    });
    await until(async () => await ground.gateway.metric("tailrace_spans_in_flight") <= 2000,
      "traces are judged until the others have room");
    const { gateway, spans } = ground;
    await until(async () => {
      return await gateway.metric("tailrace_outbox_spans") === 0;
    }, "what is kept is delivered");
    const page = await gateway.scrape();
    const live = page.sum("tailrace_traces_live");
    const early = page.sum("tailrace_decisions_total", { trigger: "memory_pressure" });
    expect(live).toBeGreaterThan(800);
    expect(live).toBeLessThanOrEqual(1000);
    expect(early).toBe(50_000 - live);
    expect(page.sum("tailrace_pressure_decisions_total")).toBe(early);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    // Those that came last keep their time, as far as bodies and the rings between lanes keep the
    // order.
    const oldest = workers === 1 ? 90_000 : 60_000;
    expect(spans.arrived(0, oldest)).toEqual({ never: 0, once: oldest, more: 0 });
    expect(marked).toBe(2 * early);
    expect((await gateway.stop()).code).toBe(0);
    expect(gateway.output).toContain("The balance closes");
    expect(spans.arrived()).toEqual({ never: 0, once: 100_000, more: 0 });
  }, TEST_MS);
});

describe("clients that stall", () => {
  it("a thousand of them do not slow the others down, and are ended", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, { spansMax: 100_000 });
    const memoryBefore = ground.memoryBytes();
    const body = ground.body(100).bytes;
    const beginnings = [
      [headOf([`Content-Length: ${body.length}`]), body.subarray(0, 1000)],
      [headOf(["Transfer-Encoding: chunked"]), "3e8\r\n", body.subarray(0, 900)],
      [headOf([`Content-Length: ${body.length}`])],
      [headOf([`Content-Length: ${body.length}`]).slice(0, 60)],
    ];
    const stalled = await Promise.all(Array.from({ length: 1000 }, async (_, index) => {
      const connection = await RawConnection.open(ground.gateway.port);
      connection.write(...beginnings[index % beginnings.length]!);
      return connection;
    }));
    ground.beginSteady();
    await until(async () => await ground.gateway.metric("tailrace_requests_in_flight") >= 750,
      "all of them are noticed");
    const unfinished = await ground.gateway.metric("tailrace_unfinished_body_bytes");
    expect(unfinished).toBeGreaterThanOrEqual(500 * 900);
    expect(unfinished).toBeLessThan(1000 * 8192);
    await until(() => stalled.every(({ ended }) => ended), "they are ended", 30_000);
    expect(await ground.endSteady()).toBeLessThan(SERVED_MS_MAX);
    expect(stalled.some(({ statuses }) => statuses.includes(200))).toBe(false);
    await ground.close();
    await until(async () => await ground.gateway.metric("tailrace_requests_in_flight") === 0,
      "nothing is left of them");
    expect(await ground.gateway.metric("tailrace_unfinished_body_bytes")).toBe(0);
    expect(ground.memoryBytes() - memoryBefore).toBeLessThan(150 * MIB);
  }, TEST_MS);

  it("in the middle of large bodies get 503 once their memory is used up; others are served",
    async () => {
      const stage = Stage.open();
      const ground = await ProvingGround.open(stage, { spansMax: 100_000 });
      const memoryBefore = ground.memoryBytes();
      ground.beginSteady();
      const half = Buffer.alloc(17_000_000);
      const stalled = await Promise.all(Array.from({ length: 20 }, async () => {
        const connection = await RawConnection.open(ground.gateway.port);
        connection.write(headOf(["Content-Length: 20000000"]), half);
        return connection;
      }));
      const refused = (): RawConnection[] => stalled.filter(({ text }) => text !== "");
      await until(() => refused().length >= 5, "there are too many of them");
      for (const { text } of refused()) {
        expect(text).toMatch(/^HTTP\/1\.1 503 /);
        expect(text).toMatch(/\r\nRetry-After: \d+\r\n/);
      }
      // Doubling blocks leave their halves to the garbage collector.
      expect(ground.memoryBytes() - memoryBefore).toBeLessThan(800 * MIB);
      for (const connection of stalled) connection.close();
      expect(await ground.endSteady()).toBeLessThan(SERVED_MS_MAX);
      await ground.close();
      await until(async () => {
        return await ground.gateway.metric("tailrace_unfinished_body_bytes") === 0;
      }, "their memory is given back");
    }, TEST_MS);
});

describe("a lane with more to do than it can", () => {
  it("answers 503 with Retry-After; who comes again is served, in bounded memory", async () => {
    const stage = Stage.open();
    const bodyBytes = 2 * MIB;
    const ground = await ProvingGround.open(stage, {
      spansMax: 100_000, sampler: { DecisionWait: "200ms", Policies: DROP_ALL },
      config: { MaxBodyBytes: bodyBytes },
    });
    const memoryBefore = ground.memoryBytes();
    // Small to send, large to store: as much as the inflate ratio allows.
    const bodies = Array.from({ length: 8 }, () => packed(ground, bodyBytes));
    const answers: Answer[] = [];
    const crowd = Array.from({ length: 300 }, (_, index) => bodies[index % bodies.length]!);
    const client = new RawClient(ground.gateway.port, crowd.length);
    await inParallel(crowd, crowd.length, async (body) => {
      for (let attempt = 1; attempt < 60; attempt++) {
        const answer = await client.send({ body, headers: { "content-encoding": "gzip" } });
        answers.push(answer);
        if (answer.status === 200) return;
        await sleep(1000 * Number(answer.headers["retry-after"]) * (0.5 + Math.random()));
      }
    });
    client.close();
    const turnedAway = answers.filter(({ status }) => status === 503);
    expect(turnedAway.length).toBeGreaterThan(0);
    for (const answer of turnedAway) {
      expect(answer.headers["retry-after"]).toMatch(/^[1-9]\d*$/);
      expect(textOf(answer).code).toBe(GRPC_UNAVAILABLE);
    }
    expect(answers.filter(({ status }) => status === 200).length).toBe(crowd.length);
    expect(answers.length).toBe(crowd.length + turnedAway.length);
    await until(async () => {
      return await ground.gateway.metric("tailrace_spans_dropped_total") === crowd.length;
    }, "every accepted span is judged");
    const page = await ground.gateway.scrape();
    expect(page.sum("tailrace_spans_received_total")).toBe(crowd.length);
    expect(page.sum("tailrace_balance_difference_spans")).toBe(0);
    expect(page.sum("tailrace_requests_refused_total", { reason: "ring_full" }))
      .toBe(turnedAway.length);
    // A commit takes 4 MiB and at most one body more, however small they were on the way.
    expect(page.sum("tailrace_log_commits_total"))
      .toBeGreaterThan(crowd.length * bodyBytes / (6 * MIB) * 0.9);
    expect(ground.memoryBytes() - memoryBefore).toBeLessThan(200 * MIB);
  }, TEST_MS);
});

/** A packed body that inflates to `bytes`, about seventy times its size. */
function packed(ground: ProvingGround, bytes: number): Buffer {
  const filling = Buffer.alloc(bytes - 100, "abcdefgh");
  for (let at = 0; at + 4 < filling.length; at += 600) filling.writeUInt32LE(at * 7919 >>> 0, at);
  const rest = new ProtoWriter().bytes(1000, filling).build();
  return zlib.gzipSync(ground.body(1, { rest }).bytes);
}
