import { describe, expect, it } from "vitest";
import { scanZipkinJson } from "../../../../engine/wire/zipkin-json/scan.ts";
import {
  SCAN_BAD_JSON, SCAN_OK, SCAN_TOO_DEEP, SCAN_TOO_MANY_SPANS, SCAN_WRONG_TYPE, SCAN_ZIPKIN_V1,
} from "../../../../engine/wire/scan-codes.ts";
import { JsonTrial } from "../../../support/json-fuzz.ts";
import { zipkinOracle } from "../../../support/zipkin-oracle.ts";
import { SPAN, SPANS_MAX, codeFor, index, matcher, scan, scanText } from "./scan-harness.ts";

/** Twice, so that the second span is read by what is remembered of the first. */
const EVERYTHING = JSON.stringify(Array(2).fill({
  ...SPAN, kind: "SERVER", name: "a \"b\" é", timestamp: 1_790_000_000_000_000, duration: 1.5,
  localEndpoint: { serviceName: "x", ipv4: "10.0.0.1", ipv6: "::1", port: 80 },
  remoteEndpoint: { serviceName: "y" }, annotations: [{ timestamp: 1, value: "v" }, {}],
  tags: { peer: "GET", error: "true", "otel.status_code": "OK" }, debug: true, shared: false,
  binaryAnnotations: [], unknown: [{ a: [1, "b", null, true, -1.5e-7] }],
}));

describe("Zipkin payloads that are refused", () => {
  it("are no array", () => {
    for (const text of ["{}", "\"\"", "1", "true", JSON.stringify(SPAN)]) {
      expect(scanText(text)).toBe(SCAN_WRONG_TYPE);
    }
  });

  it("are no JSON, or have something after it", () => {
    for (const text of ["", " ", "[", "[,]", "[]]", "[] x", "[]\0", "nul", "null null", "[{}",
      "[{},]", "\ufeff[]", "{", "[{\"a\"}]", "[{\"a\":}]", "[{\"a\":1,}]", "[{,}]", "[{}{}]",
      "['a']"]) {
      expect([text, scanText(text)]).toEqual([text, SCAN_BAD_JSON]);
    }
  });

  it("have elements that are no spans", () => {
    for (const element of ["null", "1", "\"x\"", "[]", "true"]) {
      expect(scanText(`[${element}]`)).toBe(SCAN_WRONG_TYPE);
      expect(scanText(`[{},${element}]`)).toBe(SCAN_WRONG_TYPE);
    }
  });

  it("have fields of other types than their own", () => {
    const values: Record<string, string> = {
      string: "\"x\"", number: "1", boolean: "true", object: "{}", array: "[]",
    };
    const types: Record<string, string> = {
      traceId: "string", id: "string", parentId: "string", name: "string", kind: "string",
      timestamp: "number", duration: "number", debug: "boolean", shared: "boolean",
      localEndpoint: "object", remoteEndpoint: "object", tags: "object", annotations: "array",
      binaryAnnotations: "array",
    };
    for (const [name, type] of Object.entries(types)) {
      expect(codeFor(`"${name}":null`)).toBe(SCAN_OK);
      for (const [other, value] of Object.entries(values)) {
        const code = other === type ? SCAN_OK : SCAN_WRONG_TYPE;
        expect([name, value, codeFor(`"${name}":${value}`)]).toEqual([name, value, code]);
      }
    }
  });

  it("have such fields in endpoints, annotations or tags", () => {
    for (const member of [
      "\"tags\":{\"a\":1}", "\"tags\":{\"a\":null}", "\"tags\":{\"a\":\"b\",\"c\":{}}",
      "\"tags\":{\"a\":true}", "\"localEndpoint\":{\"serviceName\":1}",
      "\"localEndpoint\":{\"port\":\"80\"}", "\"localEndpoint\":{\"ipv4\":[]}",
      "\"remoteEndpoint\":{\"ipv6\":false}", "\"remoteEndpoint\":{\"port\":\"80\"}",
      "\"annotations\":[null]", "\"annotations\":[1]", "\"annotations\":[{\"value\":1}]",
      "\"annotations\":[{\"timestamp\":\"1\"}]",
    ]) expect([member, codeFor(member)]).toEqual([member, SCAN_WRONG_TYPE]);
  });

  it("have an object or an array twice", () => {
    for (const [name, value] of [["tags", "{}"], ["localEndpoint", "{}"], ["annotations", "[]"],
      ["remoteEndpoint", "{}"], ["binaryAnnotations", "[]"]]) {
      expect(codeFor(`"${name}":${value},"${name}":${value}`)).toBe(SCAN_BAD_JSON);
    }
    expect(codeFor(String.raw`"tags":{},"t\u0061gs":{}`), "by an escaped name").toBe(SCAN_BAD_JSON);
    expect(codeFor("\"name\":\"a\",\"name\":\"b\"")).toBe(SCAN_OK);
    expect(codeFor("\"x\":{},\"x\":{}")).toBe(SCAN_OK);
  });

  it("are of version 1", () => {
    expect(codeFor("\"binaryAnnotations\":[{\"key\":\"lc\",\"value\":\"\"}]")).toBe(SCAN_ZIPKIN_V1);
    expect(codeFor("\"binaryAnnotations\":[{]")).toBe(SCAN_BAD_JSON);
    expect(codeFor("\"binaryAnnotations\":[ ]")).toBe(SCAN_OK);
  });

  it("are nested beyond the limit", () => {
    const nested = (depth: number): string => `"x":${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(codeFor(nested(98))).toBe(SCAN_OK);
    expect(codeFor(nested(99))).toBe(SCAN_TOO_DEEP);
    expect(codeFor(nested(50_000))).toBe(SCAN_TOO_DEEP);
    expect(scanText("[".repeat(50_000))).toBe(SCAN_TOO_DEEP);
  });

  it("have more spans than one payload may have", () => {
    const spans = Array.from({ length: SPANS_MAX }, () => SPAN);
    expect(scan(...spans)).toBe(SCAN_OK);
    const tooMany = new Uint8Array(Buffer.from(JSON.stringify([...spans, SPAN])));
    expect(scanZipkinJson(tooMany, 0, tooMany.length, matcher, index)).toBe(SCAN_TOO_MANY_SPANS);
    expect(scan(...spans, { ...SPAN, id: "" })).toBe(SCAN_OK);
    expect(index.refusedSpans).toBe(1);
  });

  it("are cut anywhere, and no byte past the cut is read", () => {
    const trial = new JsonTrial(scanZipkinJson, zipkinOracle, () => undefined);
    const payload = new Uint8Array(Buffer.from(EVERYTHING));
    expect(trial.checkSurrounded(payload)).toBe(SCAN_OK);
    for (let end = 0; end < payload.length; end++) {
      expect(trial.check(payload.slice(0, end))).toBe(SCAN_BAD_JSON);
      trial.checkGuarded(payload.slice(0, end));
    }
  });
});
