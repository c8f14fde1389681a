import { expect, test } from "vitest";
import {
  FULL_SUCCESS_JSON, partialSuccessJson, statusJson,
} from "../../../engine/wire/otlp-json/reply.ts";
import { partialSuccessZipkin, ZIPKIN_SUCCESS } from "../../../engine/wire/zipkin-json/reply.ts";

test("OTLP JSON replies are ProtoJSON: int64 as strings, defaults left out", () => {
  expect(FULL_SUCCESS_JSON).toBe("{}");
  expect(partialSuccessJson(2, "why")).toBe(
    "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"why\"}}");
  expect(partialSuccessJson(0, "a warning")).toBe(
    "{\"partialSuccess\":{\"errorMessage\":\"a warning\"}}");
  expect(partialSuccessJson(2 ** 53 - 1, "x")).toContain("\"9007199254740991\"");
  expect(statusJson(3, "bad \"quotes\"\n")).toBe(
    "{\"code\":3,\"message\":\"bad \\\"quotes\\\"\\n\"}");
});

test("a Zipkin success is four bytes, and a partial one is something else", () => {
  expect(Buffer.from(ZIPKIN_SUCCESS)).toEqual(Buffer.from([0x22, 0x4f, 0x4b, 0x22]));
  expect(partialSuccessZipkin(2, "why")).toBe("{\"rejected_spans\":2,\"message\":\"why\"}");
});

test("counts that are none and errors without a code are bugs", () => {
  expect(() => partialSuccessJson(-1, "")).toThrow("counted");
  expect(() => partialSuccessJson(1.5, "")).toThrow("counted");
  expect(() => partialSuccessZipkin(-1, "")).toThrow("counted");
  expect(() => statusJson(0, "")).toThrow("not OK");
});
