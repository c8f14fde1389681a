import { describe, expect, it } from "vitest";
import { NESTING_MAX } from "../../../../engine/wire/otlp-proto/cursor.ts";
import {
  SCAN_BAD_FIELD, SCAN_BAD_GROUP, SCAN_BAD_VARINT, SCAN_BAD_WIRE_TYPE, SCAN_OK, SCAN_REASONS,
  SCAN_TOO_DEEP, SCAN_TOO_MANY_SPANS, SCAN_TRUNCATED, SCAN_ZIPKIN_V1,
} from "../../../../engine/wire/scan-codes.ts";
import { encodeSpan } from "../../../support/otlp-builder.ts";
import { oracleScan } from "../../../support/otlp-oracle.ts";
import { ProtoWriter } from "../../../support/proto-wire.ts";
import { SPAN, SPANS_MAX, codeFor, requestOf, scan } from "./scan-harness.ts";

describe("payloads that are refused", () => {
  const raw = (...bytes: number[]): ProtoWriter => new ProtoWriter().raw(bytes);

  it("have a text for each reason", () => {
    expect(SCAN_REASONS.length).toBe(SCAN_ZIPKIN_V1 + 1);
  });

  it("are truncated", () => {
    for (const more of [raw(0x0a), raw(0x0a, 16), raw(0x4a, 200), raw(0x4a, 0x80), raw(0x39, 1, 2),
      raw(0x39), raw(0x85, 0x01, 1, 2, 3), raw(0x30), raw(0x30, 0x80), raw(0x85),
      raw(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), raw(0x41, 1, 2, 3, 4, 5, 6, 7)]) {
      expect(codeFor(more)).toBe(SCAN_TRUNCATED);
    }
  });

  it("have varints that are too long", () => {
    const ten = (last: number): number[] => [...Array.from({ length: 9 }, () => 0xff), last];
    expect(codeFor(raw(0x30, ...ten(1)))).toBe(SCAN_OK);
    expect(codeFor(raw(0x30, ...ten(2)))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(raw(0x30, ...ten(0x80), 0))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(raw(0x7a, 11, 0x18, ...ten(1)))).toBe(SCAN_OK);
    expect(codeFor(raw(0x7a, 11, 0x18, ...ten(2)))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(raw(0x7a, 12, 0x18, ...ten(0x81), 0))).toBe(SCAN_BAD_VARINT);
    const intValue = (...varint: number[]): ProtoWriter => new ProtoWriter().bytes(9,
      new ProtoWriter().text(1, "a").bytes(2, Uint8Array.of(0x18, ...varint)).build());
    expect(codeFor(intValue(...ten(1)))).toBe(SCAN_OK);
    expect(codeFor(intValue(...ten(2)))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(intValue(...ten(0x80), 1))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(intValue(0x80))).toBe(SCAN_TRUNCATED);
    expect(codeFor(raw(0x8a, 0x80, 0x80, 0x80, 0x00, 0))).toBe(SCAN_OK); // a tag of five bytes
    expect(codeFor(raw(0x8a, 0x80, 0x80, 0x80, 0x10, 0))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(raw(0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 0))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(raw(0x2a, 0x80, 0x80, 0x80, 0x80, 0x00))).toBe(SCAN_OK); // an empty name
    expect(codeFor(raw(0x2a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00))).toBe(SCAN_BAD_VARINT);
    expect(codeFor(raw(0x2a, 0x80, 0x80, 0x80, 0x80, 0x10))).toBe(SCAN_BAD_VARINT);
  });

  it("have field number 0", () => {
    for (const wireType of [0, 1, 2, 5]) {
      expect(codeFor(raw(wireType, 0, 0, 0, 0, 0, 0, 0, 0))).toBe(SCAN_BAD_FIELD);
    }
    expect(codeFor(raw(0x82, 0x00, 0))).toBe(SCAN_BAD_FIELD);
  });

  it("have unknown wire types, in spans and in messages within", () => {
    expect(codeFor(raw(0x0e))).toBe(SCAN_BAD_WIRE_TYPE);
    expect(codeFor(raw(0x0f))).toBe(SCAN_BAD_WIRE_TYPE);
    for (const field of [9, 11, 13, 15]) {
      expect(codeFor(new ProtoWriter().bytes(field, Uint8Array.of(0x0e)))).toBe(SCAN_BAD_WIRE_TYPE);
    }
  });

  it("have unbalanced groups", () => {
    const writer = (): ProtoWriter => new ProtoWriter();
    expect(codeFor(writer().tag(20, 4))).toBe(SCAN_BAD_GROUP);
    expect(codeFor(writer().tag(20, 3))).toBe(SCAN_BAD_GROUP);
    expect(codeFor(writer().tag(20, 3).tag(21, 4))).toBe(SCAN_BAD_GROUP);
    expect(codeFor(writer().tag(20, 3).tag(21, 3).tag(20, 4).tag(21, 4))).toBe(SCAN_BAD_GROUP);
    expect(codeFor(writer().tag(20, 3).number(1, 5).tag(20, 4))).toBe(SCAN_OK);
  });

  it("are broken deep inside: in events, links, arrays, lists, scopes and resources", () => {
    const broken = Uint8Array.of(0x0a, 5);
    const keyValue = new ProtoWriter().text(1, "k").bytes(2, broken).build();
    const lists = new ProtoWriter().bytes(6, new ProtoWriter().bytes(1, keyValue).build()).build();
    const arrays = new ProtoWriter().bytes(5, new ProtoWriter().bytes(1, broken).build()).build();
    for (const value of [lists, arrays]) {
      const attribute = new ProtoWriter().text(1, "k").bytes(2, value).build();
      expect(codeFor(new ProtoWriter().bytes(9, attribute))).toBe(SCAN_TRUNCATED);
    }
    expect(codeFor(new ProtoWriter().bytes(11, new ProtoWriter().bytes(3, keyValue).build())))
      .toBe(SCAN_TRUNCATED);
    expect(codeFor(new ProtoWriter().bytes(13, new ProtoWriter().bytes(4, keyValue).build())))
      .toBe(SCAN_TRUNCATED);
    expect(codeFor(new ProtoWriter().bytes(9, keyValue))).toBe(SCAN_TRUNCATED);
    const scope = new ProtoWriter().bytes(1, new ProtoWriter().bytes(3, keyValue).build()).build();
    const resources = [
      new ProtoWriter().bytes(2, scope), new ProtoWriter().bytes(1, broken),
      new ProtoWriter().bytes(1, new ProtoWriter().bytes(1, keyValue).build()),
      new ProtoWriter().bytes(1, new ProtoWriter().bytes(3, broken).build()),
      new ProtoWriter().raw([0x1a, 9]), new ProtoWriter().bytes(2, Uint8Array.of(0x1a, 9)),
      new ProtoWriter().raw([0x1a]),
    ];
    for (const resource of resources) {
      const payload = new ProtoWriter().bytes(1, resource.build()).build();
      expect(scan(payload)).toBe(SCAN_TRUNCATED);
      expect(oracleScan(payload)).toBeNull();
    }
  });

  it("are nested beyond the limit, by values or by groups", () => {
    const nested = (levels: number): Uint8Array => {
      let value = new ProtoWriter().build();
      for (let level = 0; level < levels; level++) {
        value = new ProtoWriter().bytes(5, new ProtoWriter().bytes(1, value).build()).build();
      }
      return new ProtoWriter().text(1, "k").bytes(2, value).build();
    };
    // Around the innermost value: four messages, the KeyValue, then two a level.
    const levels = Math.floor((NESTING_MAX - 6) / 2);
    expect(codeFor(new ProtoWriter().bytes(9, nested(levels)))).toBe(SCAN_OK);
    expect(codeFor(new ProtoWriter().bytes(9, nested(levels + 1)))).toBe(SCAN_TOO_DEEP);
    const groups = (count: number): ProtoWriter => {
      const writer = new ProtoWriter();
      for (let group = 0; group < count; group++) writer.tag(20, 3);
      for (let group = 0; group < count; group++) writer.tag(20, 4);
      return writer;
    };
    expect(codeFor(groups(NESTING_MAX - 4))).toBe(SCAN_OK);
    expect(codeFor(groups(NESTING_MAX - 3))).toBe(SCAN_TOO_DEEP);
    expect(codeFor(groups(100_000))).toBe(SCAN_TOO_DEEP);
  });

  it("have more spans than one payload may have", () => {
    const spans = Array.from({ length: SPANS_MAX }, () => encodeSpan(SPAN));
    expect(scan(requestOf(...spans))).toBe(SCAN_OK);
    expect(scan(requestOf(...spans, encodeSpan(SPAN)))).toBe(SCAN_TOO_MANY_SPANS);
    expect(scan(requestOf(...spans, encodeSpan({ ...SPAN, spanId: "" })))).toBe(SCAN_OK);
  });
});
