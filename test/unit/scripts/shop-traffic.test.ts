import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { builtFile } from "../../../native-bench/checkout.ts";
import { requestOf } from "../../../scripts/otlp-message.ts";
import { resourceOf, shopTrace, type ShopTrace } from "../../../scripts/shop-traffic.ts";
import { decodeRequest } from "../../support/otlp-builder.ts";
import { Random } from "../../support/random.ts";

const START_MS = 1_790_000_000_000;
const TRACES = 2_000;
const SEED = 20_261_121;

function madeTraces(): ShopTrace[] {
  const random = new Random(SEED);
  const chance = {
    random: () => random.word() / 2 ** 32,
    bytes: (count: number) => Buffer.from(random.hex(count), "hex"),
  };
  return Array.from({ length: TRACES }, () => shopTrace(START_MS, chance));
}

function durationMs({ spans }: ShopTrace): number {
  return Math.max(...spans.map(({ span }) => span.endMs))
    - Math.min(...spans.map(({ span }) => span.startMs));
}

describe("made-up traces of a shop", () => {
  const traces = madeTraces();
  const ofKind = (kind: ShopTrace["kind"]): ShopTrace[] =>
    traces.filter((trace) => trace.kind === kind);

  it("are mostly quick and well, with some slow and some failed ones", () => {
    for (const kind of ["error", "slow"] as const) {
      expect(ofKind(kind).length).toBeGreaterThan(TRACES * 0.03);
      expect(ofKind(kind).length).toBeLessThan(TRACES * 0.07);
    }
  });

  it("take more than 500 ms exactly when they are slow ones", () => {
    for (const trace of traces) expect(durationMs(trace) > 500).toBe(trace.kind === "slow");
  });

  it("hold an error exactly when they are failed ones", () => {
    for (const { kind, spans } of traces) {
      expect(spans.some(({ span }) => span.error !== null)).toBe(kind === "error");
    }
  });

  it("have one root, parents that exist, and children within their parents", () => {
    for (const { spans } of traces) {
      expect(spans.filter(({ span }) => span.parentSpanId === null)).toHaveLength(1);
      for (const { span } of spans) {
        if (span.parentSpanId === null) continue;
        const parent = spans.find((other) => other.span.spanId === span.parentSpanId)?.span;
        expect(parent?.startMs).toBeLessThanOrEqual(span.startMs);
        expect(parent?.endMs).toBeGreaterThanOrEqual(span.endMs);
      }
    }
  });

  it("come from several services", () => {
    for (const { spans } of traces) {
      expect(new Set(spans.map(({ service }) => service)).size).toBeGreaterThanOrEqual(4);
    }
  });
});

describe("a span as OTLP protobuf", () => {
  it("says what the object said", () => {
    const [trace] = madeTraces().filter(({ kind }) => kind === "error");
    const spans = trace!.spans.map(({ span }) => span);
    const decoded = decodeRequest(requestOf(resourceOf("payment"), spans));
    expect(decoded).toHaveLength(spans.length);
    decoded.forEach((read, index) => {
      const span = spans[index]!;
      expect(read).toMatchObject({
        traceId: trace!.traceIdHex, spanId: Buffer.from(span.spanId).toString("hex"),
        parentSpanId: Buffer.from(span.parentSpanId ?? []).toString("hex"), name: span.name,
        kind: span.kind, startNs: BigInt(Math.round(span.startMs)) * 1_000_000n,
        endNs: BigInt(Math.round(span.endMs)) * 1_000_000n,
        statusCode: span.error === null ? 0 : 2, statusMessage: span.error ?? "",
      });
      expect(read.resource).toMatchObject({ "service.name": "payment" });
    });
    expect(decoded[0]!.attributes).toMatchObject({ "http.response.status_code": 500n });
  });
});

describe("the command", () => {
  const run = (...words: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [builtFile("scripts/send-load.ts"), ...words],
      { encoding: "utf8" });

  it("says what it takes", () => {
    const { status, stdout } = run("--help");
    expect(status).toBe(0);
    for (const option of ["--port", "--seconds", "--rate"]) expect(stdout).toContain(option);
  });

  it("refuses what it does not know, and numbers out of range", () => {
    for (const words of ["--speed 9", "--rate 0", "--port x", "--seconds 1.5"]) {
      expect(run(...words.split(" ")).status, words).toBe(2);
    }
  });

  it("says what to do when no gateway is there", () => {
    const { status, stderr } = run("--port", "1");
    expect(status).toBe(1);
    expect(stderr).toContain("npm start");
  });
});
