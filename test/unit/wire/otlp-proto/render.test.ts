import { describe, expect, it } from "vitest";
import { OtlpRenderer } from "../../../../engine/wire/otlp-proto/render.ts";
import { scanOtlpProto } from "../../../../engine/wire/otlp-proto/scan.ts";
import { encodeSuffix } from "../../../../engine/wire/otlp-proto/suffix.ts";
import { RecordIndex } from "../../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import {
  decodeRequest, encodeRequest, encodeResource, encodeScope, encodeSpan, type DecodedSpan,
  type GroupInput, type SpanInput,
} from "../../../support/otlp-builder.ts";
import { ProtoWriter, readFields, type ProtoField } from "../../../support/proto-wire.ts";
import { Random } from "../../../support/random.ts";
import { checkMatcher } from "../../../support/scan-check.ts";

const EMPTY = new Uint8Array(0);
const SUFFIX = encodeSuffix({
  policy: "errors", sampleRate: 4, trigger: "root", incompleteReason: null,
});
const ADDED = {
  "tailrace.policy": "errors", "tailrace.sample_rate": { double: 4 }, "tailrace.trigger": "root",
};
const renderer = new OtlpRenderer();

function span(trace: number, id: number, more: Partial<SpanInput> = {}): SpanInput {
  return {
    traceId: trace.toString(16).padStart(32, "0"), spanId: id.toString(16).padStart(16, "0"),
    name: `span ${id}`, startNs: BigInt(id), endNs: BigInt(id + 1), attributes: { a: id, b: "x" },
    ...more,
  };
}

function scanned(payload: Uint8Array): RecordIndex {
  const index = new RecordIndex({ spansMax: 10_000, hashSeed: 5 });
  expect(scanOtlpProto(payload, 0, payload.length, checkMatcher(), index)).toBe(SCAN_OK);
  return index;
}

/** The output for the wanted parts, in one piece, from an index read back as from a log. */
function render(
  payload: Uint8Array, wanted: number[], suffixes: readonly Uint8Array[] = [EMPTY],
): Uint8Array {
  const index = new RecordIndex({ spansMax: 1, hashSeed: 0 });
  const fresh = scanned(payload);
  const stored = new Uint8Array(fresh.encodedBytes());
  fresh.encodeInto(stored, 0);
  expect(index.decodeFrom(stored, 0, stored.length)).toBe(true);
  const record = new Uint8Array(payload.length + 33);
  record.set(payload, 32);
  renderer.prepare(record, 32, 32 + payload.length, index, Uint32Array.from(wanted), suffixes);
  const bytes = renderer.measure(0, index.spanCount);
  const target = Buffer.from(new SharedArrayBuffer(bytes + 20)).fill(0xee);
  expect(renderer.write(target, 7)).toBe(7 + bytes);
  renderer.release();
  const around = [...target.subarray(0, 7), ...target.subarray(7 + bytes)];
  expect(around.every((byte) => byte === 0xee)).toBe(true);
  return Uint8Array.from(target.subarray(7, 7 + bytes));
}

const GROUPS: GroupInput[] = [
  {
    resource: { "service.name": "a", list: [1, "x"] }, resourceSchemaUrl: "https://r",
    scope: { name: "scope-a", version: "1", attributes: { s: true } }, scopeSchemaUrl: "https://s",
    spans: [
      span(1, 1, { events: [{ name: "e", timeNs: 5n, attributes: { k: 1 } }], flags: 257 }),
      span(2, 2, { links: [{ traceId: "0f".repeat(16), spanId: "0f".repeat(8) }], statusCode: 2 }),
      span(1, 3, { traceState: "k=v", parentSpanId: "0000000000000001", statusMessage: "m" }),
    ],
  },
  { resource: { "service.name": "b" }, scope: { name: "scope-b" }, spans: [span(2, 4)] },
  { resource: { "service.name": "c" }, spans: [span(3, 5), span(1, 6)] },
];
const PAYLOAD = encodeRequest(GROUPS);

/** Spans of the payload whose span ids are given, as decoded. */
function spansOf(payload: Uint8Array, ...ids: number[]): DecodedSpan[] {
  return decodeRequest(payload).filter(({ spanId }) => ids.includes(Number.parseInt(spanId, 16)));
}

describe("OtlpRenderer", () => {
  it("renders the spans of wanted parts with all that is around them", () => {
    expect(decodeRequest(render(PAYLOAD, [1, 0, 0]))).toEqual(spansOf(PAYLOAD, 1, 3, 6));
    expect(decodeRequest(render(PAYLOAD, [0, 1, 0]))).toEqual(spansOf(PAYLOAD, 2, 4));
    expect(decodeRequest(render(PAYLOAD, [0, 0, 1]))).toEqual(spansOf(PAYLOAD, 5));
    expect(decodeRequest(render(PAYLOAD, [1, 1, 1]))).toEqual(decodeRequest(PAYLOAD));
  });

  it("renders nothing when nothing is wanted", () => {
    expect(render(PAYLOAD, [0, 0, 0]).length).toBe(0);
    expect(render(EMPTY, []).length).toBe(0);
    expect(renderer.spanCount).toBe(0);
  });

  it("leaves out resources and scopes without a wanted span", () => {
    const fields = readFields(render(PAYLOAD, [0, 0, 1]));
    expect(fields.length).toBe(1);
    expect(readFields(fields[0]!.bytes).filter(({ field }) => field === 2).length).toBe(1);
  });

  it("appends to each span what its part is told", () => {
    const rendered = decodeRequest(render(PAYLOAD, [1, 0, 2], [SUFFIX, EMPTY]));
    expect(rendered.map(({ attributes }) => attributes)).toEqual([
      { a: 1n, b: "x", ...ADDED }, { a: 3n, b: "x", ...ADDED }, { a: 5n, b: "x" },
      { a: 6n, b: "x", ...ADDED },
    ]);
    const { attributes: _, ...rest } = rendered[0]!;
    const { attributes: __, ...before } = spansOf(PAYLOAD, 1)[0]!;
    expect(rest).toEqual(before);
  });

  it("gives outputs that are one request when laid end to end", () => {
    const both = Buffer.concat([render(PAYLOAD, [0, 1, 0]), render(PAYLOAD, [1, 0, 1])]);
    const expected = [...spansOf(PAYLOAD, 2, 4), ...spansOf(PAYLOAD, 1, 3, 5, 6)];
    expect(decodeRequest(both)).toEqual(expected);
  });

  it("passes on unknown fields and pieces of a resource, wherever they stand", () => {
    const scopeSpans = new ProtoWriter().number(9, 7).bytes(2, encodeSpan(span(1, 1)))
      .bytes(1, encodeScope({ name: "s" })).bytes(2, encodeSpan(span(2, 2))).text(77, "u").build();
    const resourceSpans = new ProtoWriter().bytes(2, scopeSpans)
      .bytes(1, encodeResource({ x: 1 })).tag(30, 3).number(1, 1).tag(30, 4)
      .bytes(2, scopeSpans).bytes(1, encodeResource({ y: 2 })).build();
    const payload = new ProtoWriter().number(5, 1).bytes(1, resourceSpans).build();
    const output = render(payload, [0, 1]);
    const [first, ...others] = readGroupFree(output);
    expect(others).toEqual([]);
    expect(first).toEqual([
      "1:0a070a017812021801", "group", "1:0a070a017912021802",
      ["9=7", "1:0a0173", "77:75", span(2, 2).spanId],
      ["9=7", "1:0a0173", "77:75", span(2, 2).spanId],
    ]);
  });

  it("never passes on refused spans", () => {
    const payload = encodeRequest([{ spans: [span(1, 1), span(1, 0), span(0, 3), span(1, 4)] }]);
    expect(decodeRequest(render(payload, [1]))).toEqual(spansOf(payload, 1, 4));
  });

  it("renders spans of every size around the edges of a length", () => {
    for (const size of [1, 40, 60, 127, 128, 16_250, 16_384, 70_000, 2_097_152]) {
      const payload = encodeRequest([{ spans: [span(1, 1, { name: "n".repeat(size) })] }]);
      const rendered = decodeRequest(render(payload, [1], [SUFFIX]));
      expect(rendered[0]!.name.length).toBe(size);
      expect(rendered[0]!.attributes).toEqual({ a: 1n, b: "x", ...ADDED });
    }
    for (let size = 16_100; size < 16_400; size += 7) {
      const payload = encodeRequest([{ spans: [span(1, 1, { name: "n".repeat(size) })] }]);
      expect(decodeRequest(render(payload, [1]))).toEqual(decodeRequest(payload));
    }
  });

  it("renders in pieces what it would render at once", () => {
    const random = Random.fromEnvironment();
    console.log(`render: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < 30; round++) {
      const groups = Array.from({ length: 1 + random.below(4) }, (_, group): GroupInput => ({
        resource: { group }, scope: { name: `s${group}` },
        spans: Array.from({ length: 1 + random.below(20) }, () =>
          span(1 + random.below(5), 1 + random.below(1_000))),
      }));
      const payload = encodeRequest(groups);
      const index = scanned(payload);
      const wanted = Uint32Array.from({ length: index.partCount }, () => random.below(3));
      const bytesMax = 100 + random.below(1_500);
      renderer.prepare(payload, 0, payload.length, index, wanted, [SUFFIX, EMPTY]);
      const pieces: Uint8Array[] = [];
      let wantedSpans = 0;
      for (let first = 0; first < index.spanCount;) {
        const end = renderer.planEnd(first, bytesMax);
        expect(end).toBeGreaterThan(first);
        const piece = Buffer.alloc(renderer.measure(first, end));
        if (renderer.spanCount > 1) expect(piece.length).toBeLessThanOrEqual(bytesMax);
        expect(renderer.write(piece, 0)).toBe(piece.length);
        wantedSpans += renderer.spanCount;
        pieces.push(piece);
        first = end;
      }
      const whole = decodeRequest(render(payload, [...wanted], [SUFFIX, EMPTY]));
      expect(decodeRequest(Buffer.concat(pieces))).toEqual(whole);
      expect(wantedSpans).toBe(whole.length);
    }
  });

  it("refuses a body that the index does not belong to, and memory that is too small", () => {
    const index = scanned(PAYLOAD);
    const wanted = Uint32Array.of(1, 1, 1);
    expect(() => renderer.prepare(PAYLOAD, 0, PAYLOAD.length - 1, index, wanted, [EMPTY]))
      .toThrow("the index belongs to the body");
    expect(() => renderer.prepare(PAYLOAD, 0, PAYLOAD.length + 1, index, wanted, [EMPTY]))
      .toThrow("the body lies in its memory");
    expect(() => renderer.prepare(PAYLOAD, 0, PAYLOAD.length, index, Uint32Array.of(1), [EMPTY]))
      .toThrow("each part is wanted or not");
    renderer.prepare(PAYLOAD, 0, PAYLOAD.length, index, wanted, [EMPTY]);
    const bytes = renderer.measure(0, index.spanCount);
    expect(() => renderer.write(Buffer.alloc(bytes), 1)).toThrow("room for the output");
    renderer.release();
    expect(() => renderer.measure(0, 1)).toThrow("prepare() comes first");
  });
});

/** The fields of each ResourceSpans as short texts; a group of field 30 as "group". */
function readGroupFree(output: Uint8Array): unknown[] {
  const group = Buffer.from([0xf3, 0x01, 0x08, 0x01, 0xf4, 0x01]);
  return readFields(output).map(({ bytes }) => {
    const at = Buffer.from(bytes).indexOf(group);
    expect(at).toBeGreaterThan(0);
    return [
      ...readFields(bytes.subarray(0, at)).map(describeField), "group",
      ...readFields(bytes.subarray(at + group.length)).map(describeField),
    ];
  });

  function describeField({ field, wireType, number, bytes }: ProtoField): unknown {
    if (wireType === 0) return `${field}=${number}`;
    if (field !== 2) return `${field}:${Buffer.from(bytes).toString("hex")}`;
    const isSpan = bytes[0] === 0x0a;
    if (isSpan) return Buffer.from(readFields(bytes)[1]!.bytes).toString("hex");
    return readFields(bytes).map(describeField);
  }
}
