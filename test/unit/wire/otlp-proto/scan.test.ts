import { describe, expect, it } from "vitest";
import { AttributeMatcher } from "../../../../engine/part/attribute-matcher.ts";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET,
} from "../../../../engine/part/part-layout.ts";
import { FORMAT_OTLP_PROTO } from "../../../../engine/ring/payload-layout.ts";
import { scanOtlpProto } from "../../../../engine/wire/otlp-proto/scan.ts";
import { SCAN_OK, SCAN_TRUNCATED } from "../../../../engine/wire/scan-codes.ts";
import {
  encodeAnyValue, encodeRequest, encodeResource, encodeSpan, type SpanInput,
} from "../../../support/otlp-builder.ts";
import { oracleScan } from "../../../support/otlp-oracle.ts";
import { ProtoWriter } from "../../../support/proto-wire.ts";
import { CHECK_PREDICATES, expectIndex, plainParts } from "../../../support/scan-check.ts";
import { SPAN, TRACE, bitsOf, index, matcher, partOf, requestOf, scan } from "./scan-harness.ts";

describe("scanOtlpProto", () => {
  it("finds nothing in an empty request, and says its format", () => {
    expect(scan(new Uint8Array(0))).toBe(SCAN_OK);
    expect([index.spanCount, index.partCount, index.groupCount]).toEqual([0, 0, 0]);
    expect(index.format).toBe(FORMAT_OTLP_PROTO);
  });

  it("reads a request as exporters write it", () => {
    const payload = encodeRequest([
      {
        resource: { "peer": "checkout-7" }, resourceSchemaUrl: "r", scope: { name: "s" },
        scopeSchemaUrl: "u",
        spans: [
          { ...SPAN, startNs: 5n, endNs: 2n ** 63n + 1n, statusCode: 2, attributes: { a: -5 } },
          { traceId: "ff".repeat(16), spanId: "01".repeat(8), startNs: 1n, endNs: 2n, kind: 3,
            events: [{ name: "e", attributes: { a: 1 } }], links: [{ ...SPAN }], flags: 257 },
        ],
      },
      { spans: [{ ...SPAN, startNs: 4n, endNs: 6n, statusCode: 1, statusMessage: "fine" }] },
    ]);
    expect(scan(payload)).toBe(SCAN_OK);
    expectIndex(index, payload, oracleScan(payload)!, CHECK_PREDICATES);
    expect(plainParts(index)).toMatchObject([
      { traceId: TRACE, startNs: 4n, endNs: 2n ** 63n + 1n, bits: 0b100110n, spans: 2,
        flags: FLAG_STATUS_ERROR | FLAG_STATUS_OK },
      { traceId: "ff".repeat(16), startNs: 1n, endNs: 2n, bits: 0b110n, spans: 1,
        flags: FLAG_ROOT | FLAG_STATUS_UNSET },
    ]);
    expect(index.groupCount).toBe(2);
  });

  it("gives the same answer wherever the payload lies, shared memory included", () => {
    const payload = encodeRequest([{ resource: { peer: "GET" }, spans: [SPAN, SPAN] }]);
    scan(payload);
    const [parts, spans] = [plainParts(index), index.spans.slice(0, 8)];
    const memory = new SharedArrayBuffer(payload.length + 50);
    const shared = new Uint8Array(memory, 3, payload.length + 40);
    shared.set(payload, 17);
    expect(scanOtlpProto(shared, 17, 17 + payload.length, matcher, index)).toBe(SCAN_OK);
    expect(plainParts(index)).toEqual(parts);
    expect(index.spans.slice(0, 8)).toEqual(spans);
  });

  it("reads a resource that comes after the spans, and one in several pieces", () => {
    const scope = new ProtoWriter().bytes(2, encodeSpan(SPAN)).build();
    const resourceSpans = new ProtoWriter()
      .bytes(1, encodeResource({ peer: "GET" })).bytes(2, scope)
      .bytes(1, encodeResource({ retry: true })).build();
    const payload = new ProtoWriter().bytes(1, resourceSpans).build();
    expect(scan(payload)).toBe(SCAN_OK);
    expect(plainParts(index)[0]!.bits).toBe(0b1010n);
  });

  it("forgets a resource with its ResourceSpans", () => {
    const payload = encodeRequest([
      { resource: { peer: "GET" }, spans: [SPAN] },
      { spans: [{ ...SPAN, traceId: "0f".repeat(16) }] },
    ]);
    expect(scan(payload)).toBe(SCAN_OK);
    expect(plainParts(index).map(({ bits }) => bits)).toEqual([2n, 0n]);
  });
});

describe("fields of a span", () => {
  it("count with their last occurrence", () => {
    const part = partOf(new ProtoWriter()
      .fixed64(7, 9n).fixed64(7, 3n).fixed64(8, 9n).fixed64(8, 4n)
      .bytes(4, new Uint8Array(0)).bytes(1, Buffer.from("ab".repeat(16), "hex")));
    expect(part).toMatchObject({ traceId: "ab".repeat(16), startNs: 3n, endNs: 4n });
    expect(part.flags & FLAG_ROOT).toBe(FLAG_ROOT);
  });

  it("make a root of a span without parent, with an empty one or one of zeros", () => {
    const isRoot = (span: SpanInput): boolean =>
      (partOf(new ProtoWriter(), span).flags & FLAG_ROOT) !== 0;
    const { parentSpanId: _, ...orphan } = SPAN;
    expect(isRoot(orphan)).toBe(true);
    expect(isRoot({ ...SPAN, parentSpanId: "" })).toBe(true);
    expect(isRoot({ ...SPAN, parentSpanId: "00".repeat(8) })).toBe(true);
    expect(isRoot(SPAN)).toBe(false);
    expect(isRoot({ ...SPAN, parentSpanId: "0000000000000001" })).toBe(false);
    expect(isRoot({ ...SPAN, parentSpanId: "8000000000000000" })).toBe(false);
  });

  it("give the status, merged from all its pieces", () => {
    const flagsOf = (...statuses: ProtoWriter[]): number => {
      const more = new ProtoWriter();
      for (const status of statuses) more.bytes(15, status.build());
      return partOf(more).flags;
    };
    const code = (value: number | bigint): ProtoWriter => new ProtoWriter().number(3, value);
    expect(flagsOf()).toBe(FLAG_STATUS_UNSET);
    expect(flagsOf(code(0))).toBe(FLAG_STATUS_UNSET);
    expect(flagsOf(code(1))).toBe(FLAG_STATUS_OK);
    expect(flagsOf(code(2))).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf(code(2), new ProtoWriter().text(2, "later"))).toBe(FLAG_STATUS_ERROR);
    expect(flagsOf(code(2), code(1))).toBe(FLAG_STATUS_OK);
    expect(flagsOf(code(7)), "not known to OTLP").toBe(0);
    expect(flagsOf(code(2n ** 32n + 2n)), "an enum has 32 bits").toBe(FLAG_STATUS_ERROR);
    expect(flagsOf(new ProtoWriter().fixed32(3, 2)), "another wire type").toBe(FLAG_STATUS_UNSET);
  });

  it("are unknown fields when they have another wire type than their own", () => {
    const part = partOf(new ProtoWriter()
      .number(1, 5).number(2, 5).fixed32(4, 5).bytes(7, new Uint8Array(8)).number(8, 5)
      .fixed64(9, 5n).number(15, 2).fixed32(5, 1).text(6, "x"),
    { ...SPAN, startNs: 8n, endNs: 9n });
    expect(part).toMatchObject({ traceId: TRACE, startNs: 8n, endNs: 9n });
    expect(part.flags).toBe(FLAG_STATUS_UNSET);
  });

  it("may be followed by unknown ones of every wire type, groups included", () => {
    const part = partOf(new ProtoWriter()
      .number(17, -1n).fixed64(100, 1n).text(2_000, "later").fixed32(536_870_911, 1)
      .tag(20, 3).number(1, 1).tag(21, 3).text(5, "x").tag(21, 4).tag(20, 4));
    expect(part.spans).toBe(1);
  });
});

describe("attributes", () => {
  it("are tested with their type and value", () => {
    expect(bitsOf("http.status", 500)).toBe(1n);
    expect(bitsOf("http.status", 600)).toBe(0n);
    expect(bitsOf("http.status", "500")).toBe(0n);
    expect(bitsOf("http.status", { double: 500 })).toBe(0n);
    expect(bitsOf("peer", "checkout-123")).toBe(4n);
    expect(bitsOf("peer", "y".repeat(128))).toBe(2n);
    expect(bitsOf("peer", "")).toBe(0n);
    expect(bitsOf("retry", true)).toBe(8n);
    expect(bitsOf("retry", false)).toBe(16n);
    expect(bitsOf("a", -1)).toBe(32n);
    expect(bitsOf("a", -(2n ** 63n))).toBe(32n);
    expect(bitsOf("a", 2n ** 31n)).toBe(64n);
    expect(bitsOf("a", 2n ** 63n - 1n)).toBe(64n);
    expect(bitsOf("a", 2n ** 31n - 1n)).toBe(0n);
    expect(bitsOf("K".repeat(300), "x".repeat(127))).toBe(256n);
    expect(bitsOf("", "GET")).toBe(128n);
    for (const value of [null, [], ["GET"], { list: { peer: "GET" } }, Buffer.from("GET")]) {
      expect(bitsOf("peer", value)).toBe(0n);
    }
  });

  it("are read at every size of a value, around the edges of its length", () => {
    for (const size of [1, 123, 124, 125, 126, 127, 128, 129, 16_380, 16_383, 16_384, 16_390]) {
      expect(bitsOf("peer", `${"z".repeat(size)}ETs`)).toBe(4n);
      expect(bitsOf("peer", "z".repeat(size))).toBe(0n);
      expect(bitsOf("z".repeat(size), "GET")).toBe(0n);
    }
  });

  it("are read however legally they are written", () => {
    const get = encodeAnyValue("GET");
    const withBits = (keyValue: ProtoWriter, more = new ProtoWriter()): bigint =>
      partOf(new ProtoWriter().bytes(9, keyValue.build()).raw(more.build())).bits;
    const key = (): ProtoWriter => new ProtoWriter().text(1, "peer");
    expect(withBits(new ProtoWriter().bytes(2, get).text(1, "peer")), "value first").toBe(2n);
    expect(withBits(new ProtoWriter().text(1, "x").bytes(2, get).text(1, "peer"))).toBe(2n);
    expect(withBits(key().bytes(2, get).text(1, "x")), "last key").toBe(0n);
    expect(withBits(key().bytes(2, encodeAnyValue("no")).bytes(2, get)), "last value").toBe(2n);
    expect(withBits(key().bytes(2, get).bytes(2, encodeAnyValue("no")))).toBe(0n);
    expect(withBits(key().bytes(2, get).bytes(2, encodeAnyValue(null))), "merged").toBe(2n);
    expect(withBits(key().bytes(2, get).bytes(2, encodeAnyValue({ double: 1 })))).toBe(0n);
    expect(withBits(key().bytes(2, get).bytes(2, encodeAnyValue({ list: {} })))).toBe(0n);
    expect(withBits(key().bytes(2, get).bytes(2, encodeAnyValue([])))).toBe(0n);
    expect(withBits(key().bytes(2, get).bytes(2, encodeAnyValue(new Uint8Array(1))))).toBe(0n);
    expect(withBits(key().bytes(2, get).number(3, 1)), "unknown field").toBe(2n);
    expect(withBits(key().bytes(2, get).number(2, 1)), "other wire type").toBe(2n);
    expect(withBits(key()), "no value").toBe(0n);
    expect(withBits(new ProtoWriter().bytes(2, get)), "no key is the empty key").toBe(128n);
    expect(withBits(new ProtoWriter()), "nothing").toBe(0n);
    const longSize = key().tag(2, 2).raw([get.length | 128, 128, 0]).raw(get);
    expect(withBits(longSize), "long length").toBe(2n);
    const longKeySize = new ProtoWriter().tag(1, 2).raw([0x84, 0]).raw(Buffer.from("peer"));
    expect(withBits(longKeySize.bytes(2, get)), "long length of the key").toBe(2n);
    const longTrue = new ProtoWriter().tag(2, 0).raw([0x80, 0x80, 0x80, 0x80, 0x80, 0x01]).build();
    expect(withBits(new ProtoWriter().text(1, "retry").bytes(2, longTrue)), "true").toBe(8n);
  });

  it("are refused when a long value says one byte more than there is", () => {
    for (const size of [127, 128, 16_383, 16_384, 16_512, 16_600]) {
      const value = new ProtoWriter().text(1, "x".repeat(size)).build().slice(0, -1);
      const keyValue = new ProtoWriter().text(1, "k").bytes(2, value).build();
      expect(scan(requestOf(new ProtoWriter().raw(encodeSpan(SPAN)).bytes(9, keyValue).build())))
        .toBe(SCAN_TRUNCATED);
    }
  });

  it("take regex time payload by payload", () => {
    let nowMs = 0;
    const clock = { monotonicMs: () => nowMs += 10, wallMs: () => 0 };
    const limits = { valueBytes: 100, valueWork: 1e6, payloadMs: 20 };
    const slow = new AttributeMatcher(
      [{ kind: "regex", key: "k", patterns: ["x"], cacheSize: 8 }], limits, clock,
    );
    for (const untested of [1, 2, 3]) {
      const spans = ["a", "b", "c"].map((text) =>
        encodeSpan({ ...SPAN, attributes: { k: `${text}${untested}` } }));
      const payload = requestOf(...spans);
      expect(scanOtlpProto(payload, 0, payload.length, slow, index)).toBe(SCAN_OK);
      expect(slow.untestedValues).toBe(untested);
    }
  });

  it("of a span do not reach the next one", () => {
    const payload = requestOf(
      encodeSpan({ ...SPAN, attributes: { peer: "GET" }, statusCode: 2 }),
      encodeSpan({ ...SPAN, traceId: "0f".repeat(16) }),
    );
    expect(scan(payload)).toBe(SCAN_OK);
    expect(plainParts(index)[1]).toMatchObject({ bits: 0n, flags: FLAG_STATUS_UNSET });
  });
});

describe("spans without valid ids", () => {
  it("are counted and not indexed, and the others are", () => {
    const refused: SpanInput[] = [
      { ...SPAN, traceId: "" }, { ...SPAN, traceId: "00".repeat(16) },
      { ...SPAN, traceId: "01".repeat(15) }, { ...SPAN, traceId: "01".repeat(17) },
      { ...SPAN, spanId: "" }, { ...SPAN, spanId: "00".repeat(8) },
      { ...SPAN, spanId: "01".repeat(7) }, { ...SPAN, spanId: "01".repeat(16) },
      { ...SPAN, parentSpanId: "01" }, { ...SPAN, parentSpanId: "01".repeat(9) },
      { ...SPAN, links: [{ traceId: "01", spanId: "01".repeat(8) }] },
      { ...SPAN, links: [{ traceId: TRACE, spanId: "01".repeat(9) }] },
    ];
    const accepted: SpanInput[] = [
      SPAN, { ...SPAN, links: [{ traceId: "", spanId: "" }] },
      { ...SPAN, traceId: `${"00".repeat(15)}01` }, { ...SPAN, spanId: `01${"00".repeat(7)}` },
    ];
    for (const span of refused) {
      const payload = requestOf(encodeSpan(SPAN), encodeSpan(span), encodeSpan(SPAN));
      expect(scan(payload)).toBe(SCAN_OK);
      expect([index.refusedSpans, index.spanCount]).toEqual([1, 2]);
    }
    for (const span of accepted) {
      expect(scan(requestOf(encodeSpan(span)))).toBe(SCAN_OK);
      expect([index.refusedSpans, index.spanCount]).toEqual([0, 1]);
    }
    expect(scan(requestOf(new Uint8Array(0)))).toBe(SCAN_OK);
    expect(index.refusedSpans).toBe(1);
  });

  it("leave no group behind", () => {
    expect(scan(requestOf(encodeSpan({ ...SPAN, traceId: "" })))).toBe(SCAN_OK);
    expect(index.groupCount).toBe(0);
  });
});
