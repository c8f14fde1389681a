import { expect, test } from "vitest";
import {
  DELIVERED, FAILURE_NAMES, REFUSED, REFUSED_CONTENT, RETRY, RETRY_SUSPECT,
} from "../../../engine/forward/destination.ts";
import { outcomeOfAnswer } from "../../../engine/forward/otlp-answer.ts";
import { ProtoWriter } from "../../support/proto-wire.ts";

const PROTO = "application/x-protobuf";

function answer(status: number, body: Uint8Array | string = "", contentType = PROTO) {
  return outcomeOfAnswer({ status, contentType, retryAfterMs: 4_000, body: Buffer.from(body) });
}

test.each([
  [200, DELIVERED, "none"], [202, DELIVERED, "none"], [204, DELIVERED, "none"],
  [301, RETRY, "redirect"], [307, RETRY, "redirect"],
  [400, REFUSED_CONTENT, "refused"], [413, REFUSED_CONTENT, "refused"],
  [422, REFUSED_CONTENT, "refused"],
  [401, REFUSED, "refused"], [403, REFUSED, "refused"], [404, REFUSED, "refused"],
  [408, RETRY, "timeout"], [429, RETRY, "throttled"],
  [502, RETRY, "unavailable"], [503, RETRY, "unavailable"], [504, RETRY, "unavailable"],
  [500, RETRY_SUSPECT, "server_error"], [501, RETRY_SUSPECT, "server_error"],
])("status %i gives verdict %i and failure %s", (status, verdict, failure) => {
  const outcome = answer(status);
  expect(outcome.verdict).toBe(verdict);
  expect(FAILURE_NAMES[outcome.failure]).toBe(failure);
  expect(outcome.unknown).toBe(status === 502 || status === 504);
  const retried = verdict === RETRY || verdict === RETRY_SUSPECT;
  expect(outcome.retryAfterMs).toBe(retried ? 4_000 : -1);
});

test("a partial success is read from protobuf and from JSON", () => {
  const partial = new ProtoWriter().number(1, 3).text(2, "three are too old").build();
  const body = new ProtoWriter().bytes(1, partial).build();
  expect(answer(200, body)).toMatchObject({
    verdict: DELIVERED, rejectedSpans: 3, text: "three are too old",
  });
  const json = '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"three are too old"}}';
  expect(answer(200, json, "application/json; charset=utf-8")).toMatchObject({
    verdict: DELIVERED, rejectedSpans: 3, text: "three are too old",
  });
});

test("an empty, unreadable or absurd success is a success", () => {
  const negative = new ProtoWriter().bytes(1, new ProtoWriter().number(1, -1).build()).build();
  for (const body of [new Uint8Array(0), new Uint8Array([0x0a, 9]), negative]) {
    expect(answer(200, body)).toMatchObject({ verdict: DELIVERED, rejectedSpans: 0 });
  }
  for (const body of ["{}", "{", "null", "[1]", '{"partialSuccess":{"rejectedSpans":"x"}}']) {
    expect(answer(200, body, "application/json"))
      .toMatchObject({ verdict: DELIVERED, rejectedSpans: 0 });
  }
});

test("the backend's words are kept short and printable", () => {
  const status = new ProtoWriter().number(1, 3).text(2, "bad\nspan").build();
  expect(answer(400, status).text).toBe("400 bad.span");
  expect(answer(503, '{"code":14,"message":"full"}', "application/json").text).toBe("503 full");
  expect(answer(502, "<html>".repeat(1_000), "text/html").text.length).toBe(256);
});
