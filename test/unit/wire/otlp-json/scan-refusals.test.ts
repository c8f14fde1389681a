import { describe, expect, it } from "vitest";
import { scanOtlpJson } from "../../../../engine/wire/otlp-json/scan.ts";
import {
  SCAN_BAD_JSON, SCAN_BAD_NUMBER, SCAN_OK, SCAN_TOO_DEEP, SCAN_TOO_MANY_SPANS, SCAN_WRONG_TYPE,
} from "../../../../engine/wire/scan-codes.ts";
import { JsonTrial } from "../../../support/json-fuzz.ts";
import { otlpJsonOracle } from "../../../support/otlp-json-oracle.ts";
import { SPAN, SPANS_MAX, TRACE, codeFor, index, matcher, requestOf, scan, scanText }
  from "./scan-harness.ts";

const VALUES: Record<string, string> = {
  string: "\"x\"", number: "1", boolean: "true", object: "{}", array: "[]",
};
const ATTRIBUTES = [
  { key: "peer", value: { stringValue: "a\"b" } }, { key: "a", value: { intValue: "-7" } },
  { key: "b", value: { boolValue: true } }, { key: "c", value: { doubleValue: "NaN" } },
  { value: { arrayValue: { values: [{ bytesValue: "AQ==" }, {}] } }, key: "d" },
  { key: "e", value: { kvlistValue: { values: [{ key: "k", value: { intValue: 1 } }] } } },
];
/** Its span twice, so that the second one is read by what is remembered of the first. */
const EVERYTHING = JSON.stringify({
  resourceSpans: [{
    scopeSpans: [{
      spans: Array(2).fill({
        ...SPAN, traceState: "a", flags: 1, name: "n", kind: "SPAN_KIND_CLIENT",
        startTimeUnixNano: "1790000000000000000", endTimeUnixNano: 1e3, attributes: ATTRIBUTES,
        droppedAttributesCount: "1", events: [{ timeUnixNano: "1", name: "e", attributes: [] }],
        droppedEventsCount: 1, links: [{ traceId: TRACE, spanId: "", flags: 0 }],
        droppedLinksCount: 1, status: { message: "m", code: "STATUS_CODE_OK" }, unknown: [{}, 1.5],
      }),
      scope: { name: "s", version: "1", attributes: ATTRIBUTES }, schemaUrl: "u",
    }],
    resource: { attributes: ATTRIBUTES, droppedAttributesCount: 0 }, schemaUrl: "r",
  }],
});

const REFUSALS: readonly number[] = [SCAN_WRONG_TYPE, SCAN_BAD_NUMBER];

/** The code of each JSON type as the value of a field. */
function expectTypes(accepted: readonly string[], write: (value: string) => number): void {
  expect(write("null")).toBe(SCAN_OK);
  for (const [type, value] of Object.entries(VALUES)) {
    const code = write(value);
    if (accepted.includes(type)) expect([type, code]).toEqual([type, SCAN_OK]);
    else expect([type, REFUSALS.includes(code)]).toEqual([type, true]);
  }
}

describe("OTLP JSON payloads that are refused", () => {
  it("are no object", () => {
    for (const text of ["[]", "null", "\"\"", "1", "true"]) {
      expect(scanText(text)).toBe(SCAN_WRONG_TYPE);
    }
  });

  it("are no JSON, or have something after it", () => {
    for (const text of ["", " ", "{", "{}}", "{} x", "{}\0", "{,}", "\ufeff{}", "{'a':1}",
      "{\"resourceSpans\"}", "{\"resourceSpans\":[}", "{\"resourceSpans\":[{}{}]}",
      "{\"resourceSpans\":[],}"]) {
      expect([text, scanText(text)]).toEqual([text, SCAN_BAD_JSON]);
    }
  });

  it("have fields of other types than their own, around spans", () => {
    const around = (resource: string, scopeSpans: string, more = "\"x\":1"): number =>
      scanText(`{"resourceSpans":[{"resource":${resource},"scopeSpans":${scopeSpans},${more}}]}`);
    expectTypes(["array"], (value) => scanText(`{"resourceSpans":${value}}`));
    expectTypes(["object"], (value) => around(value, "[]"));
    expectTypes(["array"], (value) => around("{}", value));
    expectTypes(["array"], (value) => scanText(`{"resourceSpans":[{"scopeSpans":${value}}]}`));
    expectTypes(["string"], (value) => around("{}", "[]", `"schemaUrl":${value}`));
    expectTypes(["array"], (value) => around(`{"attributes":${value}}`, "[]"));
    expectTypes(["number"], (value) => around(`{"droppedAttributesCount":${value}}`, "[]"));
    expectTypes(["object"], (value) => around("{}", `[{"scope":${value}}]`));
    expectTypes(["array"], (value) => around("{}", `[{"spans":${value}}]`));
    expectTypes(["string"], (value) => around("{}", `[{"schemaUrl":${value}}]`));
    expectTypes(["string"], (value) => around("{}", `[{"scope":{"name":${value}}}]`));
    expectTypes(["string"], (value) => around("{}", `[{"scope":{"version":${value}}}]`));
    expectTypes(["array"], (value) => around("{}", `[{"scope":{"attributes":${value}}}]`));
  });

  it("have such fields in spans, events, links, status and values", () => {
    const fields: Record<string, readonly string[]> = {
      traceId: ["string"], spanId: ["string"], parentSpanId: ["string"], traceState: ["string"],
      name: ["string"], kind: ["number", "string"], startTimeUnixNano: ["number"],
      endTimeUnixNano: ["number"], attributes: ["array"], events: ["array"], links: ["array"],
      status: ["object"], flags: ["number"], droppedAttributesCount: ["number"],
      droppedEventsCount: ["number"], droppedLinksCount: ["number"],
    };
    for (const [name, types] of Object.entries(fields)) {
      expectTypes(types, (value) => codeFor(`"${name}":${value}`));
    }
    expectTypes(["string"], (value) => codeFor(`"status":{"message":${value}}`));
    expectTypes(["number", "string"], (value) => codeFor(`"status":{"code":${value}}`));
    expectTypes(["number"], (value) => codeFor(`"events":[{"timeUnixNano":${value}}]`));
    expectTypes(["string"], (value) => codeFor(`"events":[{"name":${value}}]`));
    expectTypes(["array"], (value) => codeFor(`"events":[{"attributes":${value}}]`));
    expectTypes(["string"], (value) => codeFor(`"links":[{"traceId":${value}}]`));
    expectTypes(["string"], (value) => codeFor(`"links":[{"spanId":${value}}]`));
    expectTypes(["string"], (value) => codeFor(`"links":[{"traceState":${value}}]`));
    expectTypes(["number"], (value) => codeFor(`"links":[{"flags":${value}}]`));
    const attribute = (value: string): number => codeFor(`"attributes":[${value}]`);
    expectTypes(["string"], (value) => attribute(`{"key":${value}}`));
    expectTypes(["object"], (value) => attribute(`{"key":"k","value":${value}}`));
    const any = (member: string, types: readonly string[]): void =>
      expectTypes(types, (value) => attribute(`{"key":"k","value":{"${member}":${value}}}`));
    any("stringValue", ["string"]);
    any("boolValue", ["boolean"]);
    any("intValue", ["number"]);
    any("doubleValue", ["number"]);
    any("bytesValue", ["string"]);
    any("arrayValue", ["object"]);
    any("kvlistValue", ["object"]);
    expectTypes(["array"], (value) =>
      attribute(`{"key":"k","value":{"arrayValue":{"values":${value}}}}`));
    expectTypes(["array"], (value) =>
      attribute(`{"key":"k","value":{"kvlistValue":{"values":${value}}}}`));
  });

  it("have null or something else for a message in an array", () => {
    for (const element of ["null", "1", "\"x\"", "[]"]) {
      for (const request of [
        `{"resourceSpans":[${element}]}`, `{"resourceSpans":[{"scopeSpans":[${element}]}]}`,
        `{"resourceSpans":[{"scopeSpans":[{"spans":[${element}]}]}]}`,
        `{"resourceSpans":[{"resource":{"attributes":[${element}]}}]}`,
      ]) expect(scanText(request)).toBe(SCAN_WRONG_TYPE);
      for (const members of [`"attributes":[${element}]`, `"events":[${element}]`,
        `"links":[{},${element}]`,
        `"attributes":[{"key":"k","value":{"arrayValue":{"values":[${element}]}}}]`]) {
        expect(codeFor(members)).toBe(SCAN_WRONG_TYPE);
      }
    }
  });

  it("have numbers that their fields cannot hold", () => {
    const refused: Record<string, readonly string[]> = {
      startTimeUnixNano: ["-1", "18446744073709551616", "1.5", "\"\"", "\"x\"", "\"1x\"", "\"-1\"",
        "\" 1\"", "\"01\"", "\"1790000000000000000.5\"", "1e20", "\"18446744073709551616\"",
        "\"\\u0031\"", "\"99999999999999999999\""],
      flags: ["4294967296", "-1", "0.5", "\"4294967296\""], droppedLinksCount: ["-1", "1e10"],
      kind: ["2147483648", "-2147483649", "1.5"],
    };
    for (const [name, values] of Object.entries(refused)) {
      for (const value of values) {
        const code = codeFor(`"${name}":${value}`);
        expect([name, value, code]).toEqual([name, value, SCAN_BAD_NUMBER]);
      }
    }
    const integer = (value: string): number =>
      codeFor(`"attributes":[{"key":"a","value":{"intValue":${value}}}]`);
    for (const value of ["9223372036854775808", "\"-9223372036854775809\"", "1.5", "\"\"",
      "\"a\""]) {
      expect(integer(value)).toBe(SCAN_BAD_NUMBER);
    }
    for (const value of ["\"-9223372036854775808\"", "9223372036854775807", "-0", "1.0",
      "\"1e2\""]) {
      expect(integer(value)).toBe(SCAN_OK);
    }
    const double = (value: string): number =>
      codeFor(`"attributes":[{"key":"a","value":{"doubleValue":${value}}}]`);
    for (const value of ["\"\"", "\"nan\"", "\"1x\"", "\"+1\""]) {
      expect(double(value)).toBe(SCAN_BAD_NUMBER);
    }
    for (const value of ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "\"1.5\"", "1e999", "-0.0"]) {
      expect(double(value)).toBe(SCAN_OK);
    }
  });

  it("have an object or an array twice, or two values in one", () => {
    const once = [
      `{"resourceSpans":[],"resourceSpans":[]}`,
      `{"resourceSpans":[{"resource":{},"resource":{}}]}`,
      `{"resourceSpans":[{"scopeSpans":[],"scopeSpans":[]}]}`,
      `{"resourceSpans":[{"scopeSpans":[{"spans":[],"spans":[]}]}]}`,
      `{"resourceSpans":[{"scopeSpans":[{"scope":{},"scope":null}]}]}`,
      `{"resourceSpans":[{"resource":{"attributes":[],"attributes":[]}}]}`,
    ];
    for (const request of once) expect(scanText(request)).toBe(SCAN_BAD_JSON);
    for (const members of ["\"attributes\":[],\"attributes\":[]", "\"status\":{},\"status\":{}",
      "\"events\":[],\"events\":[]", "\"links\":null,\"links\":[]",
      "\"events\":[{\"attributes\":[],\"attributes\":[]}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{},\"value\":{}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"a\",\"intValue\":1}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"a\",\"stringValue\":\"a\"}}]"]) {
      expect([members, codeFor(members)]).toEqual([members, SCAN_BAD_JSON]);
    }
  });

  it("are nested beyond the limit", () => {
    const nested = (depth: number): string => `"x":${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(codeFor(nested(93))).toBe(SCAN_OK);
    expect(codeFor(nested(94))).toBe(SCAN_TOO_DEEP);
    const values = (levels: number): string => "\"attributes\":[{\"key\":\"k\",\"value\":"
      + "{\"arrayValue\":{\"values\":[".repeat(levels) + "]}}".repeat(levels) + "}]";
    expect(codeFor(values(30))).toBe(SCAN_OK);
    expect(codeFor(values(31))).toBe(SCAN_TOO_DEEP);
    expect(codeFor(values(20_000))).toBe(SCAN_TOO_DEEP);
  });

  it("have more spans than one payload may have", () => {
    const spans = Array.from({ length: SPANS_MAX }, () => SPAN);
    expect(scan(...spans)).toBe(SCAN_OK);
    const tooMany = new Uint8Array(Buffer.from(JSON.stringify(requestOf(...spans, SPAN))));
    expect(scanOtlpJson(tooMany, 0, tooMany.length, matcher, index)).toBe(SCAN_TOO_MANY_SPANS);
    expect(scan(...spans, { ...SPAN, spanId: "" })).toBe(SCAN_OK);
  });

  it("are cut anywhere, and no byte past the cut is read", () => {
    const trial = new JsonTrial(scanOtlpJson, otlpJsonOracle, () => undefined);
    const resourceFirst = EVERYTHING.replace(/\{"scopeSpans":(.*),("resource":.*),"schemaUrl":"r"/,
      "{$2,\"scopeSpans\":$1");
    expect(resourceFirst).not.toBe(EVERYTHING);
    for (const text of [EVERYTHING, resourceFirst]) {
      const payload = new Uint8Array(Buffer.from(text));
      expect(trial.checkSurrounded(payload)).toBe(SCAN_OK);
      for (let end = 0; end < payload.length; end++) {
        expect(trial.check(payload.slice(0, end))).toBe(SCAN_BAD_JSON);
        trial.checkGuarded(payload.slice(0, end));
      }
    }
  });
});
