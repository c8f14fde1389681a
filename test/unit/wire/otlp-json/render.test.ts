import { describe, expect, it } from "vitest";
import { OtlpJsonRenderer } from "../../../../engine/wire/otlp-json/render.ts";
import { encodeSuffix } from "../../../../engine/wire/otlp-proto/suffix.ts";
import { indexOtlp } from "../../../support/json-index.ts";
import { decodeRequest, type DecodedSpan } from "../../../support/otlp-builder.ts";
import { readFields } from "../../../support/proto-wire.ts";
import { checkOutput, renderRecord, type RenderOptions } from "../../../support/render-check.ts";

const renderer = new OtlpJsonRenderer();
const TRACE_ID = "5b8efff798038103d269b633813fc60c";
const SPAN_ID = "eee19b7ec3c1b174";

function rendered(request: unknown, options: RenderOptions = {}): DecodedSpan[] {
  const text = typeof request === "string" ? request : JSON.stringify(request);
  const body = new TextEncoder().encode(text);
  const { bytes } = renderRecord(renderer, body, indexOtlp(body), options);
  checkOutput(bytes);
  return decodeRequest(bytes);
}

function request(...spans: unknown[]): unknown {
  return { resourceSpans: [{ scopeSpans: [{ spans }] }] };
}

/** The one span of a request whose span has these members beside its ids. */
function one(members: Record<string, unknown>): DecodedSpan {
  const spans = rendered(request({ traceId: TRACE_ID, spanId: SPAN_ID, ...members }));
  expect(spans.length).toBe(1);
  return spans[0]!;
}

/** The attributes that a JSON text of AnyValue becomes. */
function value(text: string): unknown {
  const spans = rendered(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${TRACE_ID}",
    "spanId":"${SPAN_ID}","attributes":[{"key":"k","value":${text}}]}]}]}]}`);
  return spans[0]!.attributes["k"];
}

const WHOLE = {
  traceId: TRACE_ID.toUpperCase(), spanId: SPAN_ID, parentSpanId: "eee19b7ec3c1b173",
  traceState: "a=b", name: "I'm a \"server\" span", kind: 2, flags: 4_294_967_041,
  startTimeUnixNano: "1544712660000000001", endTimeUnixNano: "18446744073709551615",
  attributes: [
    { key: "text", value: { stringValue: "x" } }, { key: "empty", value: { stringValue: "" } },
    { key: "none", value: {} }, { key: "", value: { boolValue: false } },
    { key: "list", value: { arrayValue: { values: [
      { intValue: "-1" }, { boolValue: true }, {}, { arrayValue: {} }, { kvlistValue: {} },
      { kvlistValue: { values: [{ key: "in", value: { doubleValue: 0.5 } }] } },
    ] } } },
  ],
  droppedAttributesCount: 4_294_967_295,
  events: [
    { timeUnixNano: "7", name: "e", attributes: [{ key: "a", value: { intValue: 9 } }],
      droppedAttributesCount: 2 },
    {},
  ],
  droppedEventsCount: 3,
  links: [{ traceId: TRACE_ID, spanId: SPAN_ID, traceState: "l=1", flags: 257,
    attributes: [{ key: "b", value: { bytesValue: "AQID" } }], droppedAttributesCount: 5 }],
  droppedLinksCount: 6,
  status: { message: "bad", code: 2 },
};

describe("OtlpJsonRenderer", () => {
  it("renders every field of a span", () => {
    const span = rendered({ resourceSpans: [{
      resource: {
        attributes: [{ key: "service.name", value: { stringValue: "shop" } }],
        droppedAttributesCount: 1,
      },
      schemaUrl: "https://r\\/é",
      scopeSpans: [{
        scope: {
          name: "lib", version: "1", attributes: [{ key: "s", value: { boolValue: true } }],
          droppedAttributesCount: 2,
        },
        schemaUrl: "https://s", spans: [WHOLE],
      }],
    }] })[0]!;
    expect(span).toEqual({
      traceId: TRACE_ID, spanId: SPAN_ID, parentSpanId: "eee19b7ec3c1b173", traceState: "a=b",
      name: "I'm a \"server\" span", kind: 2, flags: 4_294_967_041,
      startNs: 1_544_712_660_000_000_001n, endNs: 18_446_744_073_709_551_615n,
      attributes: {
        text: "x", empty: "", none: null, "": false,
        list: [-1n, true, null, [], { list: {} }, { list: { in: { double: 0.5 } } }],
      },
      droppedAttributesCount: -1, // the tests' reader has int32
      events: [
        { timeNs: 7n, name: "e", attributes: { a: 9n }, droppedAttributesCount: 2 },
        { timeNs: 0n, name: "", attributes: {}, droppedAttributesCount: 0 },
      ],
      droppedEventsCount: 3,
      links: [{
        traceId: TRACE_ID, spanId: SPAN_ID, traceState: "l=1", flags: 257,
        attributes: { b: Uint8Array.of(1, 2, 3) }, droppedAttributesCount: 5,
      }],
      droppedLinksCount: 6, statusCode: 2, statusMessage: "bad",
      resource: { "service.name": "shop" }, resourceSchemaUrl: "https://r\\/é",
      scope: { name: "lib", version: "1", attributes: { s: true } }, scopeSchemaUrl: "https://s",
    });
  });

  it("renders what a resource and a scope have beside attributes", () => {
    const body = new TextEncoder().encode(JSON.stringify({ resourceSpans: [{
      resource: { droppedAttributesCount: 300, entityRefs: [{
        schemaUrl: "u", type: "host", idKeys: ["host.id", ""], descriptionKeys: ["host.name"],
      }, null, {}] },
      scopeSpans: [{ scope: { droppedAttributesCount: 9 }, spans: [WHOLE] }],
    }] }));
    const [resourceSpans] = readFields(renderRecord(renderer, body, indexOtlp(body)).bytes);
    const [resource, scopeSpans] = readFields(resourceSpans!.bytes);
    const [count, entity, empty] = readFields(resource!.bytes);
    expect([count!.field, count!.number]).toEqual([2, 300n]);
    expect(readFields(entity!.bytes).map(({ field, bytes }) =>
      `${field}:${new TextDecoder().decode(bytes)}`))
      .toEqual(["1:u", "2:host", "3:host.id", "3:", "4:host.name"]);
    expect([empty!.field, empty!.bytes.length]).toEqual([3, 0]);
    const [scope] = readFields(scopeSpans!.bytes);
    expect(readFields(scope!.bytes)).toMatchObject([{ field: 4, number: 9n }]);
  });

  it("takes kinds and codes by number and by name", () => {
    const names = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    names.forEach((name, kind) => {
      expect(one({ kind: `SPAN_KIND_${name}` }).kind).toBe(kind);
      expect(one({ kind }).kind).toBe(kind);
    });
    ["UNSET", "OK", "ERROR"].forEach((name, code) => {
      expect(one({ status: { code: `STATUS_CODE_${name}` } }).statusCode).toBe(code);
    });
    expect(one({ kind: 77 }).kind).toBe(77);
    for (const kind of [-1, "SPAN_KIND_OTHER", 1.5, {}, [], true, null, 2 ** 31, ""]) {
      expect(one({ kind }).kind).toBe(0);
    }
  });

  it("takes 64-bit numbers exactly, as text and as numbers, and others as doubles", () => {
    const cases: [string, bigint | undefined | { double: number }][] = [
      ['"9007199254740993"', 9_007_199_254_740_993n], ["9007199254740993", 9_007_199_254_740_993n],
      ['"-9223372036854775808"', -(2n ** 63n)], ['"9223372036854775807"', 2n ** 63n - 1n],
      ["-9223372036854775808", -(2n ** 63n)], ['"9223372036854775808"', { double: 2 ** 63 }],
      ['"-9223372036854775809"', { double: -(2 ** 63) }], ["0", 0n], ['"-0"', 0n], ["1e3", 1000n],
      ['"2.0"', 2n], ["1.5", { double: 1.5 }], ['""', undefined], ['"x"', undefined],
      ["null", undefined], ["{}", undefined], ['"4294967296"', 2n ** 32n], ["true", undefined],
      ['"1\\u0032"', 12n], ["99999999999999999999999", { double: 1e23 }],
      ["1e400", undefined],
    ];
    for (const [text, expected] of cases) {
      expect(value(`{"intValue":${text}}`), text).toEqual(expected ?? null);
    }
    for (const text of ["18446744073709551615", '"18446744073709551615"']) {
      const spans = rendered(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${TRACE_ID}",
        "spanId":"${SPAN_ID}","startTimeUnixNano":${text}}]}]}]}`);
      expect(spans[0]!.startNs).toBe(2n ** 64n - 1n);
    }
    expect(one({ startTimeUnixNano: -1, endTimeUnixNano: "18446744073709551616" }))
      .toMatchObject({ startNs: 0n, endNs: 0n });
  });

  it("takes doubles as JSON reads them", () => {
    const texts = [
      "0", "-0", "0.1", "1.7976931348623157e308", "5e-324", "123456789012345.6",
      "0.30000000000000004", "1E5", "-2.5", "100", "9007199254740993", "1e400", "3.14159265358979",
      "0.000001", "12345678901234567890",
    ];
    for (const text of texts) {
      expect(value(`{"doubleValue":${text}}`), text).toEqual({ double: Number(text) });
      expect(value(`{"doubleValue":"${text}"}`), text).toEqual({ double: Number(text) });
    }
    expect(value('{"doubleValue":"NaN"}')).toEqual({ double: Number.NaN });
    expect(value('{"doubleValue":"Infinity"}')).toEqual({ double: Infinity });
    expect(value('{"doubleValue":"-Infinity"}')).toEqual({ double: -Infinity });
    for (const text of ['"1."', '"x"', '""', '".5"', '"01"', '"0x10"', "true", "[]", '" 1"']) {
      expect(value(`{"doubleValue":${text}}`), text).toBe(null);
    }
  });

  it("takes bytes as base64 of both alphabets, padded or not", () => {
    for (let size = 0; size < 40; size++) {
      const bytes = Uint8Array.from({ length: size }, (_, index) => 255 - index * 7 & 255);
      const base64 = Buffer.from(bytes).toString("base64");
      for (const text of [base64, base64.replaceAll("=", ""), base64.replaceAll("/", "\\/"),
        Buffer.from(bytes).toString("base64url")]) {
        expect(value(`{"bytesValue":"${text}"}`), text).toEqual(bytes);
      }
    }
    for (const text of ['"A"', '"A==="', '"AB=C"', '"A*BC"', "1", '"ABC=="']) {
      expect(value(`{"bytesValue":${text}}`), text).toBe(null);
    }
    expect(value(`{"bytesValue":"${Buffer.alloc(70_000, 5).toString("base64")}"}`))
      .toEqual(Uint8Array.from(Buffer.alloc(70_000, 5)));
  });

  it("leaves out null, unknown keys, wrong types and wrong ids", () => {
    const plain = one({});
    expect(one({
      name: null, kind: null, attributes: null, events: null, links: null, status: null,
      startTimeUnixNano: null, flags: null, traceState: null, parentSpanId: null,
      name_: "x", trace_id: "00", Name: "x", unknown: [{ deep: { er: [1, 2, "}"] } }],
    })).toEqual(plain);
    expect(one({
      name: 7, attributes: { key: "a" }, events: [1, null, "x", [{}]], links: "x", status: [],
      startTimeUnixNano: {}, flags: "x", traceState: {}, parentSpanId: 12,
      droppedAttributesCount: -1, droppedEventsCount: 2 ** 32,
    })).toEqual(plain);
    expect(one({ parentSpanId: "" }).parentSpanId).toBe("");
    expect(one({ links: [{ traceId: "12", spanId: "zz19b7ec3c1b1734" }] }).links[0])
      .toMatchObject({ traceId: "", spanId: "" });
    expect(value('{"stringValue":1}')).toBe(null);
    expect(value('{"boolValue":"true"}')).toBe(null);
    expect(value('{"arrayValue":[]}')).toBe(null);
    expect(value('{"stringValue":null,"intValue":"3"}')).toBe(3n);
  });

  it("knows keys and short texts that are written with escapes", () => {
    expect(rendered(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"\\u0074raceId":
      "\\u0035${TRACE_ID.slice(1)}","spanId":"${SPAN_ID}","na\\u006de":"x",
      "kind":"SPAN_KIND_\\u0053ERVER"}]}]}]}`)[0]).toMatchObject({
      traceId: TRACE_ID, name: "x", kind: 2,
    });
  });

  it("counts the last of a scalar given twice, and all elements of lists given twice", () => {
    expect(rendered(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${TRACE_ID}",
      "spanId":"${SPAN_ID}","name":"first","kind":1,"attributes":[{"key":"a"}],
      "name":"last","kind":3,"attributes":[{"key":"b"}]}]}]}]}`)[0]).toMatchObject({
      name: "last", kind: 3, attributes: { a: null, b: null },
    });
  });

  it("renders spans of wanted parts only, each with its suffix, in their groups", () => {
    const suffix = encodeSuffix({
      policy: "p", sampleRate: 2, trigger: "root", incompleteReason: null,
    });
    const span = (trace: number, name: string): unknown => ({
      traceId: String(trace).padStart(32, "0"), spanId: SPAN_ID, name,
    });
    const body = { resourceSpans: [
      { resource: { attributes: [{ key: "r", value: { intValue: 1 } }] }, schemaUrl: "u1",
        scopeSpans: [
          { scope: { name: "s1" }, spans: [span(1, "a"), span(2, "b")] },
          { scope: { name: "s2" }, schemaUrl: "u2", spans: [span(1, "c")] },
          { scope: { name: "s3" }, spans: [] },
        ] },
      { scopeSpans: [{ spans: [span(3, "d")] }] },
      { schemaUrl: "u3", scopeSpans: [{ spans: [span(1, "e")] }] },
    ] };
    const spans = rendered(body, { wanted: [2, 0, 1], suffixes: [new Uint8Array(0), suffix] });
    const ours = {
      "tailrace.policy": "p", "tailrace.sample_rate": { double: 2 }, "tailrace.trigger": "root",
    };
    expect(spans.map(({ name, scope, resource, attributes, resourceSchemaUrl, scopeSchemaUrl }) =>
      [name, scope.name, resource, attributes, resourceSchemaUrl, scopeSchemaUrl])).toEqual([
      ["a", "s1", { r: 1n }, ours, "u1", ""], ["c", "s2", { r: 1n }, ours, "u1", "u2"],
      ["d", "", {}, {}, "", ""], ["e", "", {}, ours, "u3", ""],
    ]);
    expect(rendered(body, { wanted: [0, 0, 0] })).toEqual([]);
    expect(renderer.spanCount).toBe(0);
    const encoded = new TextEncoder().encode(JSON.stringify(body));
    expect(readFields(renderRecord(renderer, encoded, indexOtlp(encoded)).bytes).length).toBe(3);
  });
});
