import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { request as httpRequest, Agent } from "node:http";
import {
  ACCEPTED, BAD_ENCODING, INTERNAL, MALFORMED, PARTIAL, TOO_LARGE, UNAVAILABLE,
} from "../../../engine/part/verdict.ts";
import { ENCODING_DEFLATE, ENCODING_GZIP } from "../../../engine/ring/payload-layout.ts";
import {
  REQUEST_BAD_TYPE, REQUEST_MALFORMED, REQUEST_METHOD, REQUEST_NOT_FOUND, statusIndex,
} from "../../../engine/telemetry/label-values.ts";
import { partialSuccess, statusBody } from "../../../engine/wire/otlp-proto/reply.ts";
import {
  ENGINES, type Harness, RawClient, head, openDoor, pattern, until,
} from "./door-harness.ts";

describe.each(ENGINES)("on the engine %s", (engine) => {
  let harness: Harness;
  beforeAll(async () => { harness = await openDoor({ engine, lanes: 2 }); });
  afterAll(() => harness.end());
  beforeEach(() => {
    for (const lane of harness.lanes) {
      lane.judge = () => [ACCEPTED, 0, 0];
      lane.payloads.length = 0;
    }
    expect(harness.failures).toEqual([]);
  });

  interface Answer { status: number; headers: Record<string, unknown>; body: Buffer }

  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  afterAll(() => agent.destroy());

  function post(
    body: Buffer, headers: Record<string, string> = {}, path = "/v1/traces", method = "POST",
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        port: harness.port, host: "127.0.0.1", path, method, agent,
        headers: { "content-type": "application/x-protobuf", ...headers },
      }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({
          status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks),
        }));
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  test("a payload reaches a lane as it was sent; the answer is 200 without a body", async () => {
    const body = pattern(70_000);
    const before = Date.now();
    const answer = await post(body);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/x-protobuf");
    expect(answer.body.length).toBe(0);
    const [payload] = harness.payloads();
    expect(payload!.body.equals(body)).toBe(true);
    expect(payload!.format).toBe(1);
    expect(payload!.encoding).toBe(0);
    expect(payload!.arrivalMs).toBeGreaterThanOrEqual(before);
    expect(payload!.arrivalMs).toBeLessThanOrEqual(Date.now());
    expect(harness.door.inFlight()).toBe(0);
  });

  test("an empty body is a valid request of no spans", async () => {
    expect((await post(Buffer.alloc(0))).status).toBe(200);
    expect(harness.payloads()[0]!.body.length).toBe(0);
  });

  test("media types ignore case and parameters, encodings are passed on", async () => {
    const type = { "content-type": "Application/X-Protobuf ; charset=utf-8" };
    expect((await post(Buffer.from("a"), type)).status).toBe(200);
    expect((await post(Buffer.from("b"), { "content-encoding": "GZIP" })).status).toBe(200);
    expect((await post(Buffer.from("c"), { "content-encoding": "deflate" })).status).toBe(200);
    expect((await post(Buffer.from("d"), { "content-encoding": "identity" })).status).toBe(200);
    const encodings = new Map(
      harness.payloads().map((payload) => [payload.body.toString(), payload.encoding]),
    );
    expect(encodings).toEqual(
      new Map([["a", 0], ["b", ENCODING_GZIP], ["c", ENCODING_DEFLATE], ["d", 0]]),
    );
  });

  test("what is not supported is told with a status and a Status message", async () => {
    const counted = () => [REQUEST_BAD_TYPE, REQUEST_METHOD, REQUEST_NOT_FOUND]
      .map((reason) => harness.counters.refused[reason]!);
    const before = counted();
    const type = await post(Buffer.from("x"), { "content-type": "text/plain" });
    expect(type.status).toBe(415);
    expect(type.headers["content-type"]).toBe("application/x-protobuf");
    const supported = "content type not supported here; supported are application/x-protobuf and "
      + "application/json";
    expect(type.body.equals(statusBody(3, supported))).toBe(true);
    const encoding = await post(Buffer.from("x"), { "content-encoding": "br" });
    expect(encoding.status).toBe(415);
    expect(encoding.body.toString()).toContain("gzip, deflate and identity");
    const method = await post(Buffer.from("x"), {}, "/v1/traces", "PUT");
    expect(method.status).toBe(405);
    expect(method.headers["allow"]).toBe("POST");
    const path = await post(Buffer.from("x"), {}, "/v2/traces");
    expect(path.status).toBe(404);
    expect(counted()).toEqual(before.map((count) => count + 1));
    expect(harness.payloads()).toEqual([]);
    expect((await post(Buffer.from("x"))).status).toBe(200);
  });

  test("a HEAD gets headers only and leaves its connection usable", async () => {
    expect((await post(Buffer.alloc(0), {}, "/healthz", "HEAD")).status).toBe(200);
    expect((await post(Buffer.alloc(0), {}, "/v1/traces", "HEAD")).status).toBe(405);
    const client = new RawClient(harness.port);
    await client.send("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await client.reply("HEAD")).status).toBe(200);
    await client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await client.reply()).body.toString()).toBe("OK");
    client.destroy();
  });

  test("each verdict has its status, its body and its counter", async () => {
    const cases: [number, number, number, number, Uint8Array | string][] = [
      [PARTIAL, 1, 0, 200, partialSuccess(1, "1 span has no usable trace id or span id")],
      [PARTIAL, 40, 0, 200, partialSuccess(40, "40 spans have no usable trace id or span id")],
      [MALFORMED, 0, 1, 400, statusBody(3, "malformed body: truncated")],
      [MALFORMED, 0, 99, 400, statusBody(3, "malformed body: code 99")],
      [TOO_LARGE, 0, 0, 413, "inflates to more than 400000 bytes"],
      [BAD_ENCODING, 0, 0, 400, "not in the encoding"],
      [UNAVAILABLE, 0, 0, 503, "cannot be stored now"],
      [INTERNAL, 0, 0, 500, "internal error"],
      [77, 0, 0, 500, "internal error"],
    ];
    for (const [verdict, rejected, reason, status, expected] of cases) {
      const index = statusIndex(status);
      const before = harness.counters.answered[index]!;
      for (const lane of harness.lanes) lane.judge = () => [verdict, rejected, reason];
      const answer = await post(Buffer.from("x"));
      expect(answer.status).toBe(status);
      expect(answer.headers["content-type"]).toBe("application/x-protobuf");
      if (typeof expected === "string") expect(answer.body.toString()).toContain(expected);
      else expect(answer.body.equals(expected)).toBe(true);
      expect(answer.headers["retry-after"]).toBe(status === 503 ? "7" : undefined);
      expect(harness.counters.answered[index]).toBe(before + 1);
    }
    expect(harness.counters.refused[REQUEST_MALFORMED]).toBeGreaterThanOrEqual(2);
  });

  test("health paths follow the shared words and take any method", async () => {
    expect((await post(Buffer.alloc(0), {}, "/healthz", "GET")).status).toBe(200);
    expect((await post(Buffer.alloc(0), {}, "/readyz", "GET")).status).toBe(200);
    expect((await post(Buffer.from("x"), {}, "/healthz", "POST")).body.toString()).toBe("OK");
    harness.health.ready = false;
    expect((await post(Buffer.alloc(0), {}, "/healthz", "GET")).status).toBe(503);
    const ready = await post(Buffer.alloc(0), {}, "/readyz", "GET");
    expect(ready.status).toBe(503);
    expect(ready.headers["retry-after"]).toBe("7");
    expect((await post(Buffer.from("x"))).status).toBe(200);
    harness.health.ready = true;
  });

  test("two Content-Length headers that differ are refused and end the connection", async () => {
    const client = new RawClient(harness.port);
    await client.send(head(["Content-Length: 3", "Content-Length: 30"]) + "abc");
    const reply = await client.reply();
    expect(reply.status).toBe(400);
    expect(reply.headers.get("connection")).toBe("close");
    // Node's parser refuses it before there is a request, also two that agree.
    expect(reply.body.toString()).toMatch(engine === "uws" ? /two Content-Length/ : /^$/);
    await client.closed;
    const same = new RawClient(harness.port);
    await same.send(head(["Content-Length: 3", "Content-Length: 3"]) + "abc");
    expect((await same.reply()).status).toBe(engine === "uws" ? 200 : 400);
    same.destroy();
    expect(harness.payloads().map((payload) => payload.body.toString()))
      .toEqual(engine === "uws" ? ["abc"] : []);
  });

  test("a body delimited in a way that is not understood ends the connection", async () => {
    const cases: [string, number][] = [
      ["Content-Length: 3, 3", 400], ["Content-Length: +3", 400], ["Content-Length: 0x3", 400],
      ["Transfer-Encoding: gzip, chunked", 501], ["Transfer-Encoding: identity", 501],
    ];
    for (const [line, status] of cases) {
      const client = new RawClient(harness.port);
      await client.send(`${head([line])}abc`);
      expect((await client.reply()).status, line).toBe(status);
      await client.closed;
    }
    expect(harness.payloads()).toEqual([]);
  });

  test("one connection carries many requests one after the other", async () => {
    const client = new RawClient(harness.port);
    for (let round = 0; round < 50; round++) {
      await client.send(head(["Content-Length: 2"]) + String(10 + round));
      expect((await client.reply()).status).toBe(200);
    }
    const expected = Array.from({ length: 50 }, (_, round) => String(10 + round));
    const bodies = harness.payloads().map((payload) => payload.body.toString());
    expect(bodies.toSorted()).toEqual(expected.toSorted());
    client.destroy();
  });

  test("equally empty lanes take turns, a fuller lane is passed over", async () => {
    for (let round = 0; round < 10; round++) await post(Buffer.from("x"));
    expect(harness.lanes.map((lane) => lane.payloads.length)).toEqual([5, 5]);
    const stalled = harness.lanes[1]!;
    stalled.paused = true;
    const before = harness.counters.payloads;
    const first = [post(pattern(50_000)), post(pattern(50_000))];
    await until(() => harness.counters.payloads === before + 2 && harness.door.inFlight() === 1,
      "one is answered, one waits");
    for (let round = 0; round < 6; round++) expect((await post(Buffer.from("y"))).status).toBe(200);
    expect(stalled.payloads.length).toBe(5);
    stalled.paused = false;
    for (const answer of await Promise.all(first)) expect(answer.status).toBe(200);
  });

  test("a completion that belongs to no request is counted and changes nothing", async () => {
    const before = harness.counters.staleCompletions;
    harness.lanes[0]!.completeFalsely(0xffff_0000);
    harness.lanes[0]!.completeFalsely(5_000);
    await until(() => harness.counters.staleCompletions === before + 2, "two stale completions");
    expect((await post(Buffer.from("x"))).status).toBe(200);
  });

  test("a header block of 15 KB passes, one of 17 KB is refused by the engine", async () => {
    expect((await post(Buffer.from("x"), { "x-token": "t".repeat(15_000) })).status).toBe(200);
    expect((await post(Buffer.from("x"), { "x-token": "t".repeat(17_000) })).status).toBe(431);
  });
});
