// Who may send: access tokens, and pages in browsers.

import { afterEach, describe, expect, test } from "vitest";
import {
  REQUEST_ORIGIN, REQUEST_UNAUTHORIZED, statusIndex,
} from "../../../engine/telemetry/label-values.ts";
import {
  ENGINES, type Harness, type HarnessOptions, RawClient, type RawReply, openDoor,
} from "./door-harness.ts";

const TOKENS = ["first-token", "s3cret/second+token=="];
const SHOP = "https://shop.example";

describe.each(ENGINES)("on the engine %s", (engine) => {
  let harness: Harness;
  const start = async (options: HarnessOptions): Promise<void> => {
    harness = await openDoor({ engine, ...options });
  };
  afterEach(async () => {
    expect(harness.failures).toEqual([]);
    await harness.end();
  });

  async function send(
    lines: readonly string[], more: { method?: string; path?: string; port?: number } = {},
  ): Promise<RawReply> {
    const { method = "POST", path = "/v1/traces", port = harness.port } = more;
    const client = new RawClient(port);
    const body = method === "POST" ? "abc" : "";
    const all = [
      "Host: x", ...(method === "POST" ? ["Content-Type: application/json"] : []),
      `Content-Length: ${body.length}`, ...lines,
    ];
    await client.send(`${method} ${path} HTTP/1.1\r\n${all.join("\r\n")}\r\n\r\n${body}`);
    const reply = await client.reply(method);
    client.destroy();
    return reply;
  }

  const preflight = (origin: string, lines: readonly string[] = []): Promise<RawReply> => send([
    `Origin: ${origin}`, "Access-Control-Request-Method: POST", ...lines,
  ], { method: "OPTIONS" });

  test("a request needs a known token, in either header", async () => {
    await start({ listener: { acceptTokens: TOKENS } });
    for (const token of TOKENS) {
      expect((await send([`X-SF-Token: ${token}`])).status).toBe(200);
      expect((await send([`x-sf-token:${token}`])).status).toBe(200);
      expect((await send([`Authorization: Bearer ${token}`])).status).toBe(200);
      expect((await send([`authorization: bearer   ${token}`])).status).toBe(200);
    }
    expect((await send(["X-SF-Token: wrong", `Authorization: Bearer ${TOKENS[0]}`])).status)
      .toBe(200);
    expect(harness.payloads().length).toBe(9);
  });

  test("without one it is refused in its style, unread, and told no token", async () => {
    await start({ listener: { acceptTokens: TOKENS } });
    const [first] = TOKENS;
    const wrong = [
      [], ["X-SF-Token: "], ["X-SF-Token: first-toke"], ["X-SF-Token: first-tokenn"],
      ["X-SF-Token: FIRST-TOKEN"], ["Authorization: Bearer"], ["Authorization: Bearer "],
      [`Authorization: Basic ${first}`], [`Authorization: ${first}`],
      [`Authorization: Bearer ${TOKENS.join(", ")}`], [`X-SF-Token: ${first}`, "X-SF-Token: x"],
      [`Cookie: X-SF-Token=${first}`],
    ];
    for (const lines of wrong) {
      const reply = await send(lines);
      expect([lines, reply.status]).toEqual([lines, 401]);
      expect(reply.headers.get("www-authenticate")).toBe("Bearer");
      expect(JSON.parse(reply.body.toString())).toMatchObject({ code: 16 });
      for (const token of TOKENS) expect(reply.body.toString()).not.toContain(token);
    }
    const zipkin = await send([], { port: harness.zipkinPort, path: "/v1/trace" });
    expect([zipkin.status, zipkin.headers.get("content-type")])
      .toEqual([401, "text/plain; charset=utf-8"]);
    expect(harness.payloads()).toEqual([]);
    expect(harness.counters.refused[REQUEST_UNAUTHORIZED]).toBe(wrong.length + 1);
    expect(harness.counters.answered[statusIndex(401)]).toBe(wrong.length + 1);
  });

  test("a refused connection can try again with a token", async () => {
    await start({ listener: { acceptTokens: TOKENS } });
    const client = new RawClient(harness.port);
    const type = "Content-Type: application/json\r\nContent-Length: 3\r\n";
    await client.send(`POST /v1/traces HTTP/1.1\r\nHost: x\r\n${type}\r\nabc`);
    expect((await client.reply()).status).toBe(401);
    await client.send(
      `POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-SF-Token: ${TOKENS[1]}\r\n${type}\r\nabc`);
    expect((await client.reply()).status).toBe(200);
    client.destroy();
  });

  test("health paths and preflights need none", async () => {
    await start({ listener: { acceptTokens: TOKENS, allowedOrigins: [SHOP] } });
    expect((await send([], { method: "GET", path: "/healthz" })).status).toBe(200);
    expect((await send([], { method: "GET", path: "/readyz" })).status).toBe(200);
    expect((await preflight(SHOP)).status).toBe(204);
    const page = await send([`Origin: ${SHOP}`]);
    expect([page.status, page.headers.get("access-control-allow-origin")]).toEqual([401, SHOP]);
  });

  test("a browser's preflight from an allowed origin is answered with what it asks for",
    async () => {
      await start({ listener: { allowedOrigins: [SHOP, "https://*.shop.example"] } });
      for (const origin of [SHOP, "https://www.shop.example", "https://a.b.shop.example"]) {
        const asked = "content-type,traceparent, x-sf-token";
        const reply = await preflight(origin, [`Access-Control-Request-Headers: ${asked}`]);
        expect(reply.status).toBe(204);
        expect(reply.body.length).toBe(0);
        expect(Object.fromEntries(reply.headers)).toMatchObject({
          "access-control-allow-origin": origin, "access-control-allow-methods": "POST",
          "access-control-allow-headers": asked, "access-control-max-age": "7200", vary: "Origin",
        });
      }
      expect(harness.counters.answered[statusIndex(204)]).toBe(3);
      expect(harness.payloads()).toEqual([]);
    });

  test("header names that nobody needs are not echoed", async () => {
    await start({ listener: { allowedOrigins: ["*"] } });
    for (const asked of ["a".repeat(1_025), "x y", "<script>", "a,,b", "a:b"]) {
      const reply = await preflight(SHOP, [`Access-Control-Request-Headers: ${asked}`]);
      expect(reply.status).toBe(204);
      expect(reply.headers.get("access-control-allow-headers")).toBe(undefined);
    }
  });

  test("what a page sends is answered so that it can read the answer, errors too", async () => {
    await start({ listener: { allowedOrigins: [SHOP] }, limits: { requestsMax: 1 } });
    const taken = await send([`Origin: ${SHOP}`]);
    expect(taken.status).toBe(200);
    const missing = await send([`Origin: ${SHOP}`], { path: "/v1/other" });
    expect(missing.status).toBe(404);
    const blocker = new RawClient(harness.port);
    await blocker.send("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      + "Content-Length: 10\r\n\r\n");
    let overloaded = await send([`Origin: ${SHOP}`]);
    for (let turn = 0; turn < 100 && overloaded.status === 200; turn++) {
      overloaded = await send([`Origin: ${SHOP}`]);
    }
    expect([overloaded.status, overloaded.headers.get("retry-after")]).toEqual([503, "7"]);
    for (const reply of [taken, missing, overloaded]) {
      expect(reply.headers.get("access-control-allow-origin")).toBe(SHOP);
      expect(reply.headers.get("access-control-expose-headers")).toBe("Retry-After");
      expect(reply.headers.get("vary")).toBe("Origin");
    }
    blocker.destroy();
  });

  test("with * every origin is allowed, and no answer differs by it", async () => {
    await start({ listener: { allowedOrigins: ["*"] } });
    for (const origin of [SHOP, "null", "http://localhost:3000"]) {
      expect((await preflight(origin)).headers.get("access-control-allow-origin")).toBe("*");
      const reply = await send([`Origin: ${origin}`]);
      expect([reply.status, reply.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
      expect(reply.headers.get("vary")).toBe(undefined);
    }
  });

  test("pages of other origins are refused before their body, and told nothing", async () => {
    await start({ listener: { allowedOrigins: [SHOP, "https://*.shop.example"] } });
    const others = [
      "https://evil.example", "http://shop.example", "https://shop.example.evil.example",
      "https://evilshop.example", "https://.shop.example", "https://shop.example:8443", "null",
    ];
    for (const origin of others) {
      for (const reply of [await preflight(origin), await send([`Origin: ${origin}`])]) {
        expect([origin, reply.status]).toEqual([origin, 403]);
        for (const name of reply.headers.keys()) expect(name).not.toMatch(/^access-control/);
      }
    }
    expect(harness.counters.refused[REQUEST_ORIGIN]).toBe(2 * others.length);
    expect(harness.payloads()).toEqual([]);
  });

  test("clients that are no browsers are not asked for an origin", async () => {
    await start({ listener: { allowedOrigins: [SHOP] } });
    const reply = await send([]);
    expect(reply.status).toBe(200);
    expect(reply.headers.get("access-control-allow-origin")).toBe(undefined);
  });

  test("without AllowedOrigins OPTIONS is a method like others, and an origin means nothing",
    async () => {
      await start({});
      const reply = await preflight(SHOP);
      expect([reply.status, reply.headers.get("allow")]).toEqual([405, "POST"]);
      const sent = await send([`Origin: ${SHOP}`]);
      expect(sent.status).toBe(200);
      expect(sent.headers.get("access-control-allow-origin")).toBe(undefined);
    });
});
