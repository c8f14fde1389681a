import { describe, expect, it } from "vitest";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET,
} from "../../../../engine/part/part-layout.ts";
import { FORMAT_OTLP_JSON } from "../../../../engine/ring/payload-layout.ts";
import { GROUP_WORDS, SPAN_GROUP, SPAN_WORDS } from "../../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import { scanPayload } from "../../../../engine/wire/scan-payload.ts";
import { plainParts } from "../../../support/scan-check.ts";
import {
  SPAN, TRACE, codeFor, index, matcher, partFor, partOf, requestOf, scan, scanText,
} from "./scan-harness.ts";

const text = (key: string, stringValue: string): unknown => ({ key, value: { stringValue } });

describe("scanOtlpJson", () => {
  it("finds nothing in an empty request, and says its format", () => {
    for (const request of ["{}", " { } ", "{\"resourceSpans\":[]}", "{\"resourceSpans\":null}",
      "{\"resourceSpans\":[{}]}", "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[]},{}]}]}"]) {
      expect(scanText(request)).toBe(SCAN_OK);
      expect([index.spanCount, index.partCount, index.groupCount]).toEqual([0, 0, 0]);
      expect(index.format).toBe(FORMAT_OTLP_JSON);
    }
  });

  it("reads a request as exporters write it", () => {
    expect(scanText(JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: [text("peer", "checkout-7")], droppedAttributesCount: 0 },
          scopeSpans: [{ scope: { name: "s", version: "1", attributes: [] }, spans: [
            {
              ...SPAN, name: "get /", kind: 2, startTimeUnixNano: "5", flags: 257,
              endTimeUnixNano: "9223372036854775809", traceState: "a=b",
              attributes: [{ key: "a", value: { intValue: "-5" } }, text("x", "y")],
              status: { code: 2, message: "no" }, events: [{ timeUnixNano: "1", name: "e" }],
              links: [{ traceId: TRACE, spanId: SPAN.spanId, attributes: [] }],
            },
            { traceId: "FF".repeat(16), spanId: "01".repeat(8), startTimeUnixNano: 1, kind: 3 },
          ] }],
        },
        { scopeSpans: [{ spans: [{ ...SPAN, startTimeUnixNano: "4", status: { code: 1 } }] }] },
      ],
    }))).toBe(SCAN_OK);
    expect(plainParts(index)).toMatchObject([
      { traceId: TRACE, startNs: 4n, endNs: 2n ** 63n + 1n, bits: 0b100110n, spans: 2,
        flags: FLAG_STATUS_ERROR | FLAG_STATUS_OK },
      { traceId: "ff".repeat(16), startNs: 1n, endNs: 0n, bits: 0b110n, spans: 1,
        flags: FLAG_ROOT | FLAG_STATUS_UNSET },
    ]);
    expect(index.groupCount).toBe(2);
  });

  it("is what payloads of its format are scanned with", () => {
    const payload = new Uint8Array(Buffer.from(JSON.stringify(requestOf(SPAN))));
    expect(scanPayload(FORMAT_OTLP_JSON, payload, 0, payload.length, matcher, index)).toBe(SCAN_OK);
    expect(index.spanCount).toBe(1);
  });
});

describe("groups", () => {
  /** What the group of each span points at: resource, scope, and their schema URLs. */
  const groupsOf = (request: string): string[][] => {
    expect(scanText(request)).toBe(SCAN_OK);
    return Array.from({ length: index.spanCount }, (_, span) => {
      const at = index.spans[span * SPAN_WORDS + SPAN_GROUP]! * GROUP_WORDS;
      return [0, 2, 4, 6].map((word) =>
        request.slice(index.groups[at + word], index.groups[at + word + 1]));
    });
  };
  const span = JSON.stringify(SPAN);
  const resource = "{\"attributes\":[{\"key\":\"peer\",\"value\":{\"stringValue\":\"GET\"}}]}";

  it("point at what is around their spans, wherever it stands", () => {
    const wanted = [[resource, "{ }", "r", "s"]];
    expect(groupsOf(`{"resourceSpans":[{"resource":${resource},"scopeSpans":[{"scope":{ },"spans":`
      + `[${span}],"schemaUrl":"s"}],"schemaUrl":"r"}]}`)).toEqual(wanted);
    expect(plainParts(index)[0]!.bits).toBe(2n);
    expect(groupsOf(`{"resourceSpans":[{"schemaUrl":"r","scopeSpans":[{"schemaUrl":"s","spans":`
      + `[${span}],"scope":{ }}],"resource": ${resource} }]}`)).toEqual(wanted);
    expect(plainParts(index)[0]!.bits, "of a resource that comes later").toBe(2n);
  });

  it("point at nothing where there is nothing", () => {
    for (const none of ["", "\"resource\":null,\"schemaUrl\":\"\",", "\"schemaUrl\":null,"]) {
      const scopeSpans = `[{"scope":null,"spans":[${span}]}]`;
      expect(groupsOf(`{"resourceSpans":[{${none}"scopeSpans":${scopeSpans}}]}`))
        .toEqual([["", "", "", ""]]);
      expect([...index.groups.slice(0, GROUP_WORDS)]).toEqual(Array(GROUP_WORDS).fill(0));
    }
  });

  it("are those of their own resource and scope, and only those that have spans", () => {
    const scope = (name: string, spans: string): string =>
      `{"scope":{"name":"${name}"},"spans":[${spans}]}`;
    const groups = groupsOf(`{"resourceSpans":[`
      + `{"scopeSpans":[${scope("a", span)},${scope("b", "{}")},${scope("c", `${span},${span}`)}],`
      + `"resource":{"x":1},"schemaUrl":"1"},`
      + `{"resource":{"x":2},"scopeSpans":[${scope("d", "")},${scope("e", span)}]},`
      + `{"scopeSpans":[${scope("f", span)}]}]}`);
    expect(groups).toEqual([
      ["{\"x\":1}", "{\"name\":\"a\"}", "1", ""], ["{\"x\":1}", "{\"name\":\"c\"}", "1", ""],
      ["{\"x\":1}", "{\"name\":\"c\"}", "1", ""], ["{\"x\":2}", "{\"name\":\"e\"}", "", ""],
      ["", "{\"name\":\"f\"}", "", ""],
    ]);
    expect([index.groupCount, index.refusedSpans]).toEqual([4, 1]);
  });

  it("do not hand what a resource matched to the next one", () => {
    expect(groupsOf(`{"resourceSpans":[{"resource":${resource},"scopeSpans":[{"spans":[${span}]}]},`
      + `{"scopeSpans":[{"spans":[${span.replace(TRACE, "0f".repeat(16))}]}]},`
      + `{"resource":{},"scopeSpans":[{"spans":[${span.replace(TRACE, "0e".repeat(16))}]}]}]}`))
      .toHaveLength(3);
    expect(plainParts(index).map(({ bits }) => bits)).toEqual([2n, 0n, 0n]);
  });
});

describe("fields of a span", () => {
  it("have times in any form of an integer, exact to the nanosecond", () => {
    const start = (value: string): bigint =>
      partFor(`"startTimeUnixNano":${value}`).startNs;
    expect(start("\"1790000000123456789\"")).toBe(1_790_000_000_123_456_789n);
    expect(start("1790000000123456789")).toBe(1_790_000_000_123_456_789n);
    expect(start("\"18446744073709551615\"")).toBe(2n ** 64n - 1n);
    expect(start("\"1.79e18\"")).toBe(1_790_000_000_000_000_000n);
    expect(start("1790000000000000000.0")).toBe(1_790_000_000_000_000_000n);
    for (const none of ["null", "0", "\"0\"", "-0"]) expect(start(none)).toBe(0n);
  });

  it("count with their last value", () => {
    const part = partFor("\"endTimeUnixNano\":\"9\",\"endTimeUnixNano\":\"4\","
      + "\"parentSpanId\":null,"
      + "\"startTimeUnixNano\":\"3\",\"startTimeUnixNano\":null,"
      + "\"status\":{\"code\":2,\"code\":1}");
    expect(part).toMatchObject({ startNs: 0n, endNs: 4n, flags: FLAG_ROOT | FLAG_STATUS_OK });
  });

  it("give the status by number or by name", () => {
    const flagsOf = (code: string): number => partFor(`"status":{"code":${code}}`).flags;
    for (const unset of ["0", "null", "\"STATUS_CODE_UNSET\"", "\"ERROR\"", "\"2\""]) {
      expect(flagsOf(unset)).toBe(FLAG_STATUS_UNSET);
    }
    for (const ok of ["1", "\"STATUS_CODE_OK\""]) expect(flagsOf(ok)).toBe(FLAG_STATUS_OK);
    for (const error of ["2", "2.0", "\"STATUS_CODE_ERROR\"", "\"STATUS\\u005fCODE_ERROR\""]) {
      expect(flagsOf(error)).toBe(FLAG_STATUS_ERROR);
    }
    for (const unknown of ["3", "-1", "-2147483648", "2147483647"]) {
      expect(flagsOf(unknown)).toBe(0);
    }
    expect(partFor("\"status\":null").flags).toBe(FLAG_STATUS_UNSET);
    expect(partFor("\"status\":{ }").flags).toBe(FLAG_STATUS_UNSET);
  });

  it("make a root of a span without parent, with an empty one or one of zeros", () => {
    const isRoot = (parentSpanId: unknown): boolean =>
      (partOf({ parentSpanId }).flags & FLAG_ROOT) !== 0;
    for (const parent of [undefined, null, "", "0".repeat(16)]) expect(isRoot(parent)).toBe(true);
    for (const parent of ["0".repeat(15) + "1", "8000000000000000", "ABCDEFABCDEFABCD"]) {
      expect(isRoot(parent)).toBe(false);
    }
  });

  it("are unknown by any other name", () => {
    expect(partFor("\"trace_id\":1,\"TraceId\":{},\"start_time_unix_nano\":\"7\",\"status_\":[]"))
      .toMatchObject({ traceId: TRACE, startNs: 0n });
  });
});

describe("spans without valid ids", () => {
  it("are counted and not indexed, and the others are", () => {
    const link = (more: object): object =>
      ({ links: [{ traceId: TRACE, spanId: SPAN.spanId }, more] });
    const refused = [
      { traceId: undefined }, { traceId: null }, { traceId: "" }, { traceId: "00".repeat(16) },
      { traceId: "01".repeat(15) }, { traceId: "01".repeat(17) }, { traceId: "g".repeat(32) },
      { spanId: undefined }, { spanId: "" }, { spanId: "00".repeat(8) }, { spanId: "01".repeat(7) },
      { spanId: "AQEBAQEBAQE=" }, { spanId: "01".repeat(16) }, { parentSpanId: "01" },
      { parentSpanId: "0".repeat(15) }, { parentSpanId: "x".repeat(16) },
      { traceId: `${TRACE.slice(1)}\u0010` }, { spanId: `${SPAN.spanId.slice(1)}\u0010` },
      link({ traceId: "01" }), link({ spanId: "01".repeat(9) }), link({ traceId: "g".repeat(32) }),
      link({ traceId: `${TRACE.slice(0, 31)}g` }), link({ spanId: "g".repeat(16) }),
    ];
    for (const fields of refused) {
      expect(scan(SPAN, { ...SPAN, ...fields }, SPAN)).toBe(SCAN_OK);
      expect([fields, index.refusedSpans, index.spanCount]).toEqual([fields, 1, 2]);
    }
    const accepted = [
      link({}), link({ traceId: "", spanId: null }), link({ spanId: "00".repeat(8) }),
      { traceId: `${"00".repeat(15)}01` }, { spanId: `01${"00".repeat(7)}` },
    ];
    for (const fields of accepted) {
      expect(scan({ ...SPAN, ...fields })).toBe(SCAN_OK);
      expect([index.refusedSpans, index.spanCount]).toEqual([0, 1]);
    }
    expect(codeFor(`"spanId":"\\u0030${"1".repeat(15)}"`), "escapes are no digits").toBe(SCAN_OK);
    expect(index.refusedSpans).toBe(1);
  });
});

describe("attributes", () => {
  /** Predicate bits of a span with attributes as written. */
  const bitsFor = (...attributes: string[]): bigint =>
    partFor(`"attributes":[${attributes.join(",")}]`).bits;
  const bitsOf = (key: string, value: unknown): bigint =>
    bitsFor(JSON.stringify({ key, value }));

  it("are tested with their type and value", () => {
    expect(bitsOf("http.status", { intValue: 500 })).toBe(1n);
    expect(bitsOf("http.status", { intValue: "599" })).toBe(1n);
    expect(bitsOf("http.status", { intValue: "600" })).toBe(0n);
    expect(bitsOf("http.status", { stringValue: "500" })).toBe(0n);
    expect(bitsOf("http.status", { doubleValue: 500 })).toBe(0n);
    expect(bitsOf("peer", { stringValue: "checkout-123" })).toBe(4n);
    expect(bitsOf("peer", { stringValue: "" })).toBe(0n);
    expect(bitsOf("peer", { bytesValue: "GETs" })).toBe(0n);
    expect(bitsOf("peer", { arrayValue: { values: [{ stringValue: "GET" }] } })).toBe(0n);
    expect(bitsOf("peer", { kvlistValue: { values: [text("peer", "GET")] } })).toBe(0n);
    expect(bitsOf("retry", { boolValue: true })).toBe(8n);
    expect(bitsOf("retry", { boolValue: false })).toBe(16n);
    expect(bitsOf("", { stringValue: "GET" })).toBe(128n);
    expect(bitsOf("K".repeat(300), { stringValue: "x".repeat(127) })).toBe(256n);
    for (const none of [null, {}, { stringValue: null }, { x: "GET" }]) {
      expect(bitsOf("peer", none)).toBe(0n);
    }
  });

  it("are exact integers of 64 bits", () => {
    for (const negative of ["-1", "-9223372036854775808", "-4294967296", "-4294967297", "-10e-1"]) {
      expect(bitsOf("a", { intValue: negative })).toBe(32n);
    }
    for (const positive of ["2147483648", "9223372036854775807", "4294967296", "1e18"]) {
      expect(bitsOf("a", { intValue: positive })).toBe(64n);
    }
    for (const other of ["0", "-0", "2147483647", "1"]) {
      expect(bitsOf("a", { intValue: other })).toBe(0n);
    }
  });

  it("are read however legally they are written", () => {
    const get = "{\"stringValue\":\"GET\"}";
    expect(bitsFor(`{"value":${get},"key":"peer"}`), "value first").toBe(2n);
    expect(bitsFor(`{"key":"peer","value":${get},"x":[1]}`), "unknown field").toBe(2n);
    expect(bitsFor(`{"key":"peer","value":{"x":{},"stringValue":"GET"}}`)).toBe(2n);
    expect(bitsFor(`{"key":"peer","value":{"stringValue":"GET","x":null}}`)).toBe(2n);
    expect(bitsFor(`{"key":"peer","value":{"intValue":null,"stringValue":"GET"}}`)).toBe(2n);
    expect(bitsFor(`{"key":"peer","value":{"stringValue":"GET","intValue":null}}`)).toBe(2n);
    expect(bitsFor(`{"key":"x","value":${get},"key":"peer"}`), "last key").toBe(2n);
    expect(bitsFor(`{"key":"peer","value":${get},"key":null}`), "no key").toBe(128n);
    expect(bitsFor(`{"value":${get}}`), "no key is the empty one").toBe(128n);
    expect(bitsFor("{\"key\":\"peer\"}"), "no value").toBe(0n);
    expect(bitsFor("{}"), "nothing").toBe(0n);
    expect(bitsFor(" { \"key\" : \"peer\" , \"value\" : { \"stringValue\" : \"GET\" } } "),
      "white space").toBe(2n);
    expect(bitsFor(String.raw`{"k\u0065y":"p\u0065er","value":{"stringValue":"G\u0045T"}}`),
      "escapes").toBe(2n);
    expect(bitsFor("{\"key\":\"retry\",\"value\":{\"x\":1,\"boolValue\":false}}")).toBe(16n);
    expect(bitsFor("{\"key\":\"a\",\"value\":{\"x\":1,\"intValue\":\"-7\"}}")).toBe(32n);
  });

  it("of a span do not reach the next one, in whatever order they come", () => {
    const span = (traceId: string, ...attributes: unknown[]): unknown =>
      ({ ...SPAN, traceId: traceId.padStart(32, "0"), attributes });
    const int = (key: string, intValue: unknown): unknown => ({ key, value: { intValue } });
    expect(scan(
      span("1", int("x", 1), text("peer", "GET"), int("a", -1)),
      span("2", int("x", "1"), text("peer", "no"), int("a", 1)),
      span("3", text("peer", "GET"), int("x", 1)), span("4", text("x", "GET"), int("a", -1)),
      span("5"), span("6", int("x", 1), text("pear", "GET"), int("a", -1)),
    )).toBe(SCAN_OK);
    expect(plainParts(index).map(({ bits }) => bits)).toEqual([34n, 0n, 2n, 32n, 0n, 32n]);
  });

  it("are read beyond the places that are remembered", () => {
    const many = Array.from({ length: 100 }, (_, at) => text(`key.${at}`, "GET"));
    const attributes = [...many, text("peer", "GET")];
    expect(scan({ ...SPAN, attributes }, { ...SPAN, traceId: "0f".repeat(16), attributes }))
      .toBe(SCAN_OK);
    expect(plainParts(index).map(({ bits }) => bits)).toEqual([2n, 2n]);
  });
});
