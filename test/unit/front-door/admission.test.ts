import { expect, test } from "vitest";
import { Admission, checkFraming } from "../../../engine/front-door/admission.ts";
import { DISCARD_BYTES_MAX } from "../../../engine/front-door/door-limits.ts";
import {
  ADMITTED, REFUSE_BAD_LENGTH, REFUSE_CONFLICTING_LENGTH, REFUSE_CONTENT_ENCODING,
  REFUSE_CONTENT_TYPE, REFUSE_FAR_TOO_LARGE, REFUSE_TOO_LARGE, REFUSE_TRANSFER_CODING,
} from "../../../engine/front-door/refusals.ts";
import { RequestHeaders } from "../../../engine/front-door/request-headers.ts";
import { OTLP_TRACES } from "../../../engine/front-door/routes.ts";
import {
  ENCODING_DEFLATE, ENCODING_GZIP, ENCODING_NONE, FORMAT_OTLP_PROTO,
} from "../../../engine/ring/payload-layout.ts";

type Lines = readonly (readonly [string, string])[];

function headersOf(lines: Lines): RequestHeaders {
  const headers = new RequestHeaders();
  headers.add("content-length", "999");
  headers.add("transfer-encoding", "left over");
  headers.reset();
  for (const [name, value] of lines) headers.add(name, value);
  return headers;
}

test("how a body is delimited must be beyond doubt", () => {
  const cases: [Lines, number][] = [
    [[], ADMITTED],
    [[["content-length", "0"]], ADMITTED],
    [[["content-length", "5"], ["content-length", "5"]], ADMITTED],
    [[["content-length", "5"], ["content-length", "05"]], ADMITTED],
    [[["content-length", "5"], ["content-length", "6"]], REFUSE_CONFLICTING_LENGTH],
    [[["content-length", "6"], ["content-length", "5"], ["content-length", "5"]],
      REFUSE_CONFLICTING_LENGTH],
    [[["content-length", "5"], ["content-length", "x"]], REFUSE_CONFLICTING_LENGTH],
    [[["content-length", ""]], REFUSE_BAD_LENGTH],
    [[["content-length", "-2"]], REFUSE_BAD_LENGTH],
    [[["content-length", "1e3"]], REFUSE_BAD_LENGTH],
    [[["content-length", "5,5"]], REFUSE_BAD_LENGTH],
    [[["transfer-encoding", "Chunked"]], ADMITTED],
    [[["transfer-encoding", "gzip, chunked"]], REFUSE_TRANSFER_CODING],
    [[["transfer-encoding", "chunked"], ["transfer-encoding", "chunked"]], REFUSE_TRANSFER_CODING],
    [[["transfer-encoding", "identity"]], REFUSE_TRANSFER_CODING],
  ];
  for (const [lines, expected] of cases) {
    expect(checkFraming(headersOf(lines)), JSON.stringify(lines)).toBe(expected);
  }
});

test("only requests that announce one have a body", () => {
  expect(headersOf([]).hasBody()).toBe(false);
  expect(headersOf([["content-length", "0"]]).hasBody()).toBe(false);
  expect(headersOf([["content-length", "1"]]).hasBody()).toBe(true);
  expect(headersOf([["transfer-encoding", "chunked"]]).hasBody()).toBe(true);
});

test("type, encoding and length decide in this order", () => {
  const type = ["content-type", "application/x-protobuf"] as const;
  const cases: [Lines, number, number][] = [
    [[type], ADMITTED, ENCODING_NONE],
    [[["content-type", "APPLICATION/x-protobuf;a=b"]], ADMITTED, ENCODING_NONE],
    [[["content-type", " application/x-protobuf ; a=b"]], ADMITTED, ENCODING_NONE],
    [[["content-type", "application/x-protobuf2"]], REFUSE_CONTENT_TYPE, 0],
    [[], REFUSE_CONTENT_TYPE, 0],
    [[type, ["content-encoding", "gzip"]], ADMITTED, ENCODING_GZIP],
    [[type, ["content-encoding", "X-Gzip"]], ADMITTED, ENCODING_GZIP],
    [[type, ["content-encoding", "deflate"]], ADMITTED, ENCODING_DEFLATE],
    [[type, ["content-encoding", "gzip, gzip"]], REFUSE_CONTENT_ENCODING, 0],
    [[type, ["content-encoding", "gzip"], ["content-encoding", "gzip"]],
      REFUSE_CONTENT_ENCODING, 0],
    [[type, ["content-encoding", "zstd"]], REFUSE_CONTENT_ENCODING, 0],
    [[type, ["content-length", "1000"]], ADMITTED, ENCODING_NONE],
    [[type, ["content-length", "1001"]], REFUSE_TOO_LARGE, 0],
    [[type, ["content-length", String(DISCARD_BYTES_MAX)]], REFUSE_TOO_LARGE, 0],
    [[type, ["content-length", String(DISCARD_BYTES_MAX + 1)]], REFUSE_FAR_TOO_LARGE, 0],
    [[type, ["content-length", "9".repeat(40)]], REFUSE_FAR_TOO_LARGE, 0],
  ];
  for (const [lines, expected, encoding] of cases) {
    const admission = new Admission();
    const label = JSON.stringify(lines);
    expect(admission.decide(OTLP_TRACES, headersOf(lines), 1_000), label).toBe(expected);
    if (expected !== ADMITTED) continue;
    expect(admission.encoding, label).toBe(encoding);
    expect(admission.format, label).toBe(FORMAT_OTLP_PROTO);
  }
});
