// Each format on its paths, and answers in the style that its clients know.

import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  ENCODING_GZIP, FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON,
} from "../../../engine/ring/payload-layout.ts";
import {
  ENGINES, GATEWAY_NAME, type Harness, RawClient, type RawReply, openDoor,
} from "./door-harness.ts";

const PROTOBUF = "application/x-protobuf";
const JSON_TYPE = "application/json";
const TEXT = "text/plain; charset=utf-8";

describe.each(ENGINES)("on the engine %s", (engine) => {
  let harness: Harness;
  beforeAll(async () => { harness = await openDoor({ engine }); });
  afterAll(() => harness.end());
  beforeEach(() => {
    for (const lane of harness.lanes) {
      lane.judge = () => [0, 0, 0];
      lane.payloads.length = 0;
    }
    expect(harness.failures).toEqual([]);
  });

  async function send(
    port: number, path: string, type: string | null, method = "POST",
  ): Promise<RawReply> {
    const client = new RawClient(port);
    const typeLine = type === null ? "" : `Content-Type: ${type}\r\n`;
    await client.send(
      `${method} ${path} HTTP/1.1\r\nHost: x\r\n${typeLine}Content-Length: 2\r\n\r\n[]`,
    );
    const reply = await client.reply(method);
    client.destroy();
    return reply;
  }

  const otlp = (type: string | null, path = "/v1/traces", method = "POST") =>
    send(harness.port, path, type, method);
  const zipkin = (type: string | null, path = "/v1/trace", method = "POST") =>
    send(harness.zipkinPort, path, type, method);

  test("OTLP in either encoding is told apart by its type, whatever its letters and parameters",
    async () => {
      const types: [string, number][] = [
        [PROTOBUF, FORMAT_OTLP_PROTO], [JSON_TYPE, FORMAT_OTLP_JSON],
        ["Application/JSON;charset=UTF-8", FORMAT_OTLP_JSON],
        ["application/json ; Charset=\"utf-8\"", FORMAT_OTLP_JSON],
        ["APPLICATION/X-PROTOBUF", FORMAT_OTLP_PROTO],
      ];
      for (const [type] of types) expect((await otlp(type)).status, type).toBe(200);
      expect(harness.payloads().map(({ format }) => format))
        .toEqual(types.map(([, format]) => format));
    });

  test("Zipkin JSON is taken on the paths of Zipkin and of the SignalFx gateway, also untyped",
    async () => {
      const types = [JSON_TYPE, "application/json; charset=UTF-8", "application/JSON", null, ""];
      for (const path of ["/api/v2/spans", "/v1/trace", "/api/v1/spans"]) {
        for (const type of types) {
          const reply = await zipkin(type, path);
          expect([path, type, reply.status]).toEqual([path, type, 200]);
          expect(reply.body.toString()).toBe("\"OK\"");
          expect(reply.headers.get("content-type")).toBe(TEXT);
          expect(reply.headers.get("x-gateway-name")).toBe(GATEWAY_NAME);
        }
      }
      expect(new Set(harness.payloads().map(({ format }) => format)))
        .toEqual(new Set([FORMAT_ZIPKIN_JSON]));
      expect(harness.payloads().length).toBe(15);
    });

  test("a listener takes the paths of its own kind only", async () => {
    expect((await otlp(JSON_TYPE, "/v1/trace")).status).toBe(404);
    expect((await zipkin(JSON_TYPE, "/v1/traces")).status).toBe(404);
    expect((await zipkin(JSON_TYPE, "/v1/trace/")).status).toBe(404);
    expect(harness.payloads()).toEqual([]);
  });

  test("a query belongs to no path", async () => {
    expect((await zipkin(JSON_TYPE, "/v1/trace?a=/x")).status).toBe(200);
    expect((await otlp(JSON_TYPE, "/v1/traces?")).status).toBe(200);
  });

  test("OTLP JSON is answered in JSON: whole, in part, and refused", async () => {
    const whole = await otlp(JSON_TYPE);
    expect([whole.headers.get("content-type"), whole.body.toString()]).toEqual([JSON_TYPE, "{}"]);
    harness.lanes[0]!.judge = () => [1, 2, 0];
    expect(JSON.parse((await otlp(JSON_TYPE)).body.toString())).toEqual({ partialSuccess: {
      rejectedSpans: "2", errorMessage: "2 spans have no usable trace id or span id",
    } });
    harness.lanes[0]!.judge = () => [2, 0, 1];
    const refused = await otlp(JSON_TYPE);
    expect(refused.status).toBe(400);
    expect(refused.headers.get("content-type")).toBe(JSON_TYPE);
    expect(JSON.parse(refused.body.toString()))
      .toEqual({ code: 3, message: "malformed body: truncated" });
  });

  test("Zipkin is answered as by the SignalFx gateway, and told what was not taken", async () => {
    harness.lanes[0]!.judge = () => [1, 2, 0];
    const partial = await zipkin(JSON_TYPE);
    expect([partial.status, partial.headers.get("content-type")]).toEqual([200, JSON_TYPE]);
    expect(JSON.parse(partial.body.toString())).toEqual({
      rejected_spans: 2, message: "2 spans have no usable trace id or span id",
    });
    harness.lanes[0]!.judge = () => [2, 0, 1];
    const refused = await zipkin(JSON_TYPE);
    expect([refused.status, refused.headers.get("content-type"), refused.body.toString()])
      .toEqual([400, TEXT, "malformed body: truncated"]);
    expect(refused.headers.get("x-gateway-name")).toBe(GATEWAY_NAME);
    harness.lanes[0]!.judge = () => [5, 0, 0];
    const overloaded = await zipkin(JSON_TYPE);
    expect([overloaded.status, overloaded.headers.get("retry-after")]).toEqual([503, "7"]);
  });

  test("what is refused before its body is refused in the style of its type, or of the listener",
    async () => {
      const cases: [Promise<RawReply>, number, string, RegExp][] = [
        [otlp("text/plain"), 415, PROTOBUF, /supported are application\/x-protobuf and/],
        [otlp(null), 415, PROTOBUF, /content type/],
        [otlp(JSON_TYPE, "/x"), 404, JSON_TYPE, /^\{"code":12,"message":"no such path"\}$/],
        [otlp(PROTOBUF, "/x"), 404, PROTOBUF, /no such path/],
        [otlp(JSON_TYPE, "/v1/traces", "PUT"), 405, JSON_TYPE, /^\{"code":12,/],
        [zipkin("application/x-thrift"), 415, TEXT, /^content type .* are application\/json$/],
        [zipkin(JSON_TYPE, "/x"), 404, TEXT, /^no such path$/],
        [zipkin(JSON_TYPE, "/v1/trace", "GET"), 405, TEXT, /^method not allowed here$/],
      ];
      for (const [answer, status, type, says] of cases) {
        const reply = await answer;
        expect([reply.status, reply.headers.get("content-type")]).toEqual([status, type]);
        expect(reply.body.toString()).toMatch(says);
        expect(reply.headers.get("allow")).toBe(status === 405 ? "POST" : undefined);
      }
    });

  test("a request as the JavaScript exporters send it, chunked and packed, arrives as it is",
    async () => {
      const packed = gzipSync("{\"resourceSpans\":[]}");
      const cut = Math.floor(packed.length / 2);
      const client = new RawClient(harness.port);
      await client.send([
        "POST /v1/traces HTTP/1.1", "User-Agent: OTel-OTLP-Exporter-JavaScript/0.223.1",
        "Content-Encoding: gzip", "Content-Type: application/json", "Host: 127.0.0.1:4318",
        "Connection: keep-alive", "Transfer-Encoding: chunked", "", "",
      ].join("\r\n"));
      for (const piece of [packed.subarray(0, cut), packed.subarray(cut)]) {
        await client.send(`${piece.length.toString(16)}\r\n`);
        await client.send(piece);
        await client.send("\r\n");
      }
      await client.send("0\r\n\r\n");
      const reply = await client.reply();
      client.destroy();
      expect([reply.status, reply.body.toString()]).toEqual([200, "{}"]);
      const [payload] = harness.payloads();
      expect(payload).toMatchObject({ format: FORMAT_OTLP_JSON, encoding: ENCODING_GZIP });
      expect(payload!.body.equals(packed)).toBe(true);
    });

  test("health answers carry no word of the format", async () => {
    const reply = await zipkin(null, "/healthz", "GET");
    expect([reply.status, reply.body.toString()]).toEqual([200, "OK"]);
  });
});
