import { expect, test } from "vitest";
import { type JsonObject, OtlpJsonWriter } from "../../../engine/forward/otlp-json.ts";
import { encodeRequest, encodeSpan } from "../../support/otlp-builder.ts";
import { ProtoWriter } from "../../support/proto-wire.ts";
import { Random } from "../../support/random.ts";
import { TRACE_ID } from "./harness.ts";

function toJson(bytes: Uint8Array, writer = new OtlpJsonWriter()): JsonObject {
  return JSON.parse([...writer.request(Buffer.from(bytes))].join("")) as JsonObject;
}

/** A request around the bytes of one Span message. */
function around(span: Uint8Array): Uint8Array {
  const scopeSpans = new ProtoWriter().bytes(2, span).build();
  return new ProtoWriter().bytes(1, new ProtoWriter().bytes(2, scopeSpans).build()).build();
}

function spanOf(json: JsonObject): JsonObject {
  return (json as never as { resourceSpans: { scopeSpans: { spans: JsonObject[] }[] }[] })
    .resourceSpans[0]!.scopeSpans[0]!.spans[0]!;
}

/** Value of the only attribute of a span that has these AnyValue bytes. */
function valueOf(anyValue: Uint8Array, writer?: OtlpJsonWriter): unknown {
  const keyValue = new ProtoWriter().text(1, "k").bytes(2, anyValue).build();
  const span = spanOf(toJson(around(new ProtoWriter().bytes(9, keyValue).build()), writer));
  return (span as never as { attributes: { value: unknown }[] }).attributes[0]!.value;
}

test("the trace example of the OTLP specification comes out as it is published", () => {
  const bytes = encodeRequest([{
    resource: { "service.name": "my.service" },
    scope: {
      name: "my.library", version: "1.0.0",
      attributes: { "my.scope.attribute": "some scope attribute" },
    },
    spans: [{
      traceId: "5B8EFFF798038103D269B633813FC60C", spanId: "EEE19B7EC3C1B174",
      parentSpanId: "EEE19B7EC3C1B173", name: "I'm a server span",
      startNs: 1544712660000000000n, endNs: 1544712661000000000n, kind: 2,
      attributes: { "my.span.attr": "some value" },
    }],
  }]);
  expect(toJson(bytes)).toEqual({
    resourceSpans: [{
      resource: {
        attributes: [{ key: "service.name", value: { stringValue: "my.service" } }],
      },
      scopeSpans: [{
        scope: {
          name: "my.library", version: "1.0.0",
          attributes: [
            { key: "my.scope.attribute", value: { stringValue: "some scope attribute" } },
          ],
        },
        spans: [{
          traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174",
          parentSpanId: "eee19b7ec3c1b173", name: "I'm a server span",
          startTimeUnixNano: "1544712660000000000", endTimeUnixNano: "1544712661000000000",
          kind: 2, attributes: [{ key: "my.span.attr", value: { stringValue: "some value" } }],
        }],
      }],
    }],
  });
});

test("every field of a span, its events, links and status is written", () => {
  const bytes = encodeRequest([{
    resource: {}, resourceSchemaUrl: "r", scopeSchemaUrl: "s",
    spans: [{
      traceId: TRACE_ID, spanId: "0102030405060708", traceState: "a=b", flags: 0x80000101,
      droppedAttributesCount: 1, droppedEventsCount: 2, droppedLinksCount: 4_294_967_295,
      statusCode: 2, statusMessage: "no\nway",
      events: [{
        name: "e", timeNs: 18446744073709551615n, attributes: { a: true },
        droppedAttributesCount: 7,
      }],
      links: [{
        traceId: TRACE_ID, spanId: "1111111111111111", traceState: "c=d", attributes: { b: 1 },
        droppedAttributesCount: 8, flags: 1,
      }],
    }],
  }]);
  const json = toJson(bytes);
  expect(json).toMatchObject({
    resourceSpans: [{ schemaUrl: "r", scopeSpans: [{ schemaUrl: "s" }] }],
  });
  expect(spanOf(json)).toEqual({
    traceId: TRACE_ID, spanId: "0102030405060708", traceState: "a=b", flags: 0x80000101,
    droppedAttributesCount: 1, droppedEventsCount: 2, droppedLinksCount: 4_294_967_295,
    status: { code: 2, message: "no\nway" },
    events: [{
      name: "e", timeUnixNano: "18446744073709551615", droppedAttributesCount: 7,
      attributes: [{ key: "a", value: { boolValue: true } }],
    }],
    links: [{
      traceId: TRACE_ID, spanId: "1111111111111111", traceState: "c=d", flags: 1,
      droppedAttributesCount: 8, attributes: [{ key: "b", value: { intValue: "1" } }],
    }],
  });
});

test("attribute values of every type keep their type and their exact value", () => {
  const attributes = {
    text: 'quote " and 漢字', yes: true, no: false, least: -9223372036854775808n,
    most: 9223372036854775807n, half: 0.5, none: null, bytes: new Uint8Array([0, 255, 16]),
    nan: { double: NaN }, infinite: { double: -Infinity }, array: ["a", 2n, [false]],
    list: { list: { inner: { list: { deep: 1n } } } },
  };
  const span = spanOf(toJson(around(encodeSpan({
    traceId: TRACE_ID, spanId: "01", attributes,
  }))));
  const values = Object.fromEntries(
    (span as never as { attributes: { key: string; value: unknown }[] }).attributes
      .map(({ key, value }) => [key, value]),
  );
  expect(values).toEqual({
    text: { stringValue: 'quote " and 漢字' }, yes: { boolValue: true }, no: { boolValue: false },
    least: { intValue: "-9223372036854775808" }, most: { intValue: "9223372036854775807" },
    half: { doubleValue: 0.5 }, none: {}, bytes: { bytesValue: "AP8Q" },
    nan: { doubleValue: "NaN" }, infinite: { doubleValue: "-Infinity" },
    array: {
      arrayValue: {
        values: [
          { stringValue: "a" }, { intValue: "2" },
          { arrayValue: { values: [{ boolValue: false }] } },
        ],
      },
    },
    list: {
      kvlistValue: {
        values: [{
          key: "inner",
          value: { kvlistValue: { values: [{ key: "deep", value: { intValue: "1" } }] } },
        }],
      },
    },
  });
});

test("of a value that is given twice the last one counts", () => {
  expect(valueOf(new ProtoWriter().text(1, "a").number(3, 5).build())).toEqual({ intValue: "5" });
  expect(valueOf(new ProtoWriter().number(3, 5).text(1, "a").build()))
    .toEqual({ stringValue: "a" });
});

test("unknown fields and known fields of another wire type are skipped", () => {
  const span = new ProtoWriter().text(5, "name").number(99, 1).text(100, "x").fixed32(101, 1)
    .fixed64(102, 1n).text(6, "kind is no text").build();
  const writer = new OtlpJsonWriter();
  expect(spanOf(toJson(around(span), writer))).toEqual({ name: "name" });
  expect(writer.leftOut).toBe(0);
});

test("a resource given in two pieces is merged and may follow its spans", () => {
  const part = (key: string): Uint8Array => {
    const value = new ProtoWriter().text(1, key).build();
    const keyValue = new ProtoWriter().text(1, key).bytes(2, value).build();
    return new ProtoWriter().bytes(1, keyValue).build();
  };
  const resourceSpans = new ProtoWriter().bytes(1, part("a"))
    .bytes(2, new ProtoWriter().bytes(2, encodeSpan({ traceId: TRACE_ID, spanId: "01" })).build())
    .bytes(1, part("b")).build();
  const json = toJson(new ProtoWriter().bytes(1, resourceSpans).build());
  expect(json).toMatchObject({
    resourceSpans: [{ resource: { attributes: [{ key: "a" }, { key: "b" }] } }],
  });
});

test("an empty request, resource and scope give valid JSON", () => {
  expect(toJson(new Uint8Array(0))).toEqual({ resourceSpans: [] });
  expect(toJson(new Uint8Array([0x0a, 0]))).toEqual({ resourceSpans: [{ scopeSpans: [] }] });
  expect(toJson(new Uint8Array([0x0a, 2, 0x12, 0])))
    .toEqual({ resourceSpans: [{ scopeSpans: [{ spans: [] }] }] });
});

test("nesting beyond the limit is left out and counted", () => {
  let value = new ProtoWriter().text(1, "deepest").build();
  for (let level = 0; level < 500; level++) {
    value = new ProtoWriter().bytes(5, new ProtoWriter().bytes(1, value).build()).build();
  }
  const writer = new OtlpJsonWriter();
  const text = JSON.stringify(valueOf(value, writer));
  expect(text).not.toContain("deepest");
  expect(writer.leftOut).toBe(1);
});

test("a span of a million empty attributes is cut at the value limit and counted", () => {
  const span = new Uint8Array(2_000_000);
  for (let at = 0; at < span.length; at += 2) span[at] = 0x4a;
  const writer = new OtlpJsonWriter();
  const { attributes } = spanOf(toJson(around(span), writer)) as { attributes: unknown[] };
  expect(attributes.length).toBe(100_000);
  expect(writer.leftOut).toBe(1);
});

test("whatever the bytes are, the line is valid JSON", () => {
  const random = Random.fromEnvironment();
  console.log(`seed ${random.seed}`);
  const valid = encodeRequest([{
    resource: { "service.name": "shop" },
    spans: [{
      traceId: TRACE_ID, spanId: "0102030405060708", name: "n", attributes: { a: "b", c: 1 },
      events: [{ name: "e", attributes: { d: [1n, { list: { x: "y" } }] } }], statusCode: 1,
    }],
  }]);
  for (let end = 0; end <= valid.length; end++) toJson(valid.slice(0, end));
  for (let round = 0; round < 3_000; round++) {
    const bytes = valid.slice();
    for (let flips = random.below(4); flips >= 0; flips--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    expect(Object.keys(toJson(bytes)), `seed ${random.seed}, round ${round}`)
      .toEqual(["resourceSpans"]);
  }
});
