import { describe, expect, it } from "vitest";
import { isInShare, shardOf } from "../../../engine/hash/shard-of.ts";
import { StorageSampler } from "../../../engine/lane/storage-sampler.ts";
import { AttributeMatcher } from "../../../engine/part/attribute-matcher.ts";
import { FORMAT_OTLP_PROTO } from "../../../engine/ring/payload-layout.ts";
import { DecisionMemory } from "../../../engine/traces/decision-memory.ts";
import { TraceTable } from "../../../engine/traces/trace-table.ts";
import { RecordIndex } from "../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../engine/wire/scan-codes.ts";
import { scanPayload } from "../../../engine/wire/scan-payload.ts";
import { decodeRequest, encodeRequest } from "../../support/otlp-builder.ts";
import { Random } from "../../support/random.ts";

const LEVEL = 2;
const SPANS_PER_TRACE = 3;

function wordsOf(traceId: string): Uint32Array {
  return Uint32Array.from([0, 8, 16, 24].map((at) => parseInt(traceId.slice(at, at + 8), 16)));
}

function samplerOf(lane: number, lanes: number) {
  const table = new TraceTable({ rowsMax: 100, linksMax: 100, seed: 1 });
  const memory = new DecisionMemory({
    fullMax: 16, fullMs: 1000, fingerprintBytes: 4096, seed: 2,
  });
  const index = (): RecordIndex => new RecordIndex({ spansMax: 10_000, hashSeed: 3 });
  const matcher = new AttributeMatcher([]);
  const sampler = new StorageSampler({ table, memory, matcher, index: index() }, lane, lanes);
  return { sampler, table, matcher, index: index() };
}

/** Samples a body of these traces. @returns trace ids of the spans stored, and spans evicted. */
function sample(parts: ReturnType<typeof samplerOf>, traces: readonly string[], level: number) {
  const spans = traces.flatMap((traceId) => Array.from({ length: SPANS_PER_TRACE }, (_, span) => ({
    traceId, spanId: `00000000000000${10 + span}`, name: "work", attributes: { key: "value" },
  })));
  const body = encodeRequest([{ resource: { "service.name": "one" }, spans }]);
  const scanned = scanPayload(
    FORMAT_OTLP_PROTO, body, 0, body.length, parts.matcher, parts.index);
  expect(scanned).toBe(SCAN_OK);
  const evicted = parts.sampler.sample(
    FORMAT_OTLP_PROTO, body, 0, body.length, parts.index, level);
  const stored = decodeRequest(parts.sampler.bytes.subarray(0, parts.sampler.end));
  return { evicted, stored };
}

describe("the sampler of what is stored", () => {
  const random = Random.fromEnvironment();
  const traces = Array.from({ length: 200 }, () => random.hex(16));

  it("stores the same whole traces on every lane, and says how many each stands for", () => {
    const expected = traces.filter((traceId) => isInShare(wordsOf(traceId), 0, LEVEL));
    for (const [lane, lanes] of [[0, 1], [0, 2], [1, 2], [6, 7]] as const) {
      const { evicted, stored } = sample(samplerOf(lane, lanes), traces, LEVEL);
      expect(stored.map(({ traceId }) => traceId))
        .toEqual(expected.flatMap((traceId) => [traceId, traceId, traceId]));
      expect(evicted).toBe((traces.length - expected.length) * SPANS_PER_TRACE);
      for (const { attributes } of stored) {
        expect(attributes).toEqual({ "key": "value", "tailrace.stored_rate": { double: 4 } });
      }
    }
  });

  it("stores nothing of a body whose traces are all outside the share", () => {
    const outside = traces.filter((traceId) => !isInShare(wordsOf(traceId), 0, LEVEL));
    const { evicted, stored } = sample(samplerOf(0, 1), outside, LEVEL);
    expect(stored).toEqual([]);
    expect(evicted).toBe(outside.length * SPANS_PER_TRACE);
  });

  it("goes on to store traces that its lane knows, unmarked", () => {
    const outside = traces.filter((traceId) => !isInShare(wordsOf(traceId), 0, LEVEL));
    const own = outside.find((traceId) => shardOf(wordsOf(traceId), 0) % 2 === 1)!;
    const foreign = outside.find((traceId) => shardOf(wordsOf(traceId), 0) % 2 === 0)!;
    const parts = samplerOf(1, 2);
    parts.table.insert(wordsOf(own), 0);
    parts.table.insert(wordsOf(foreign), 0);
    const { evicted, stored } = sample(parts, [own, foreign], LEVEL);
    expect(new Set(stored.map(({ traceId }) => traceId))).toEqual(new Set([own]));
    expect(stored.map(({ attributes }) => attributes["tailrace.stored_rate"]))
      .toEqual([undefined, undefined, undefined]);
    expect(evicted).toBe(SPANS_PER_TRACE);
  });
});
