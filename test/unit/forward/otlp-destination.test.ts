import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../engine/base/clock.ts";
import {
  DELIVERED, FAILURE_NAMES, REFUSED_CONTENT, RETRY, type Outcome,
} from "../../../engine/forward/destination.ts";
import { ForwarderCounters } from "../../../engine/forward/forwarder-counters.ts";
import type { OtlpForwarderSettings } from "../../../engine/forward/forwarder-settings.ts";
import { OtlpDestination } from "../../../engine/forward/otlp-destination.ts";
import { otlp, payloadOf, until } from "./harness.ts";
import { ScriptedBackend } from "./scripted-backend.ts";

const endings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function backend(): Promise<ScriptedBackend> {
  const server = await ScriptedBackend.start();
  endings.push(() => server.stop());
  return server;
}

function destination(url: string, more: Partial<OtlpForwarderSettings> = {}): OtlpDestination {
  const made = new OtlpDestination(
    otlp(url, more), { clock: systemClock, counters: new ForwarderCounters() },
  );
  endings.unshift(() => made.close());
  return made;
}

const batch = { bytes: Buffer.from(payloadOf(0, 40)), spans: 40 };
const never = new AbortController().signal;
const failureOf = (outcome: Outcome): string => FAILURE_NAMES[outcome.failure]!;

test("a batch is posted as it is, with its type, token and configured headers", async () => {
  const server = await backend();
  const to = destination(server.url, {
    token: "secret", headers: { "X-Team": "shop", "User-Agent": "other" },
  });
  expect((await to.send(batch, never)).verdict).toBe(DELIVERED);
  const [request] = server.received;
  expect(request!.path).toBe("/v1/traces");
  expect(request!.body.equals(batch.bytes)).toBe(true);
  expect(request!.headers).toMatchObject({
    "content-type": "application/x-protobuf", "content-length": String(batch.bytes.length),
    "x-sf-token": "secret", "x-team": "shop", "user-agent": "other",
  });
  expect(request!.headers["content-encoding"]).toBeUndefined();
});

test("gzip makes the body smaller and says so", async () => {
  const server = await backend();
  const to = destination(`${server.url}?tenant=1`, { compression: "gzip" });
  expect((await to.send(batch, never)).verdict).toBe(DELIVERED);
  const [request] = server.received;
  expect(request!.path).toBe("/v1/traces?tenant=1");
  expect(request!.headers["content-encoding"]).toBe("gzip");
  expect(request!.wireBytes).toBeLessThan(batch.bytes.length / 2);
  expect(request!.body.equals(batch.bytes)).toBe(true);
});

test("user and password of an address become an authorization header", async () => {
  const server = await backend();
  await destination(server.url.replace("//", "//me:a%20b@")).send(batch, never);
  const expected = `Basic ${Buffer.from("me:a b").toString("base64")}`;
  expect(server.received[0]!.headers.authorization).toBe(expected);
});

test("a refused connection is a failure with a known outcome: nothing was sent", async () => {
  const server = await ScriptedBackend.start();
  await server.stop();
  const outcome = await destination(server.url).send(batch, never);
  expect(failureOf(outcome)).toBe("connect");
  expect(outcome).toMatchObject({ verdict: RETRY, unknown: false });
  expect(outcome.text).toContain("ECONNREFUSED");
});

test("a name that does not resolve is a connection failure", async () => {
  const outcome = await destination("http://nowhere.invalid:1/v1/traces").send(batch, never);
  expect(failureOf(outcome)).toBe("connect");
});

test("a connection cut before the answer leaves the outcome unknown", async () => {
  const server = await backend();
  server.answer = () => ({ reset: true });
  const outcome = await destination(server.url).send(batch, never);
  expect(failureOf(outcome)).toBe("reset");
  expect(outcome).toMatchObject({ verdict: RETRY, unknown: true });
});

test("no answer in time leaves the outcome unknown and ends the connection", async () => {
  const server = await backend();
  server.answer = (_, index) => ({ hang: index === 0 });
  const to = destination(server.url, { timeoutMs: 80 });
  const startedMs = performance.now();
  const outcome = await to.send(batch, never);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(75);
  expect(failureOf(outcome)).toBe("timeout");
  expect(outcome).toMatchObject({ verdict: RETRY, unknown: true });
  expect((await to.send(batch, never)).verdict).toBe(DELIVERED);
});

test("an abort ends a request at once", async () => {
  const server = await backend();
  server.answer = () => ({ hang: true });
  const abort = new AbortController();
  const sending = destination(server.url).send(batch, abort.signal);
  setTimeout(() => abort.abort(), 40);
  const outcome = await sending;
  expect(failureOf(outcome)).toBe("aborted");
  expect(outcome.unknown).toBe(true);
  expect(await destination(server.url).send(batch, abort.signal))
    .toMatchObject({ unknown: false });
  expect(server.received.length).toBe(1);
});

test("a request that is given up while it waits for a connection is never sent", async () => {
  const server = await backend();
  server.answer = () => ({ delayMs: 100 });
  const to = destination(server.url, { requestsMax: 1 });
  const abort = new AbortController();
  const first = to.send(batch, never);
  const second = to.send(batch, abort.signal);
  await until(() => server.received.length === 1, "the first request");
  abort.abort();
  expect(await second).toMatchObject({ verdict: RETRY, unknown: false });
  expect((await first).verdict).toBe(DELIVERED);
  expect((await to.send(batch, never)).verdict).toBe(DELIVERED);
  expect(server.received.length).toBe(2);
});

test("a status counts even when the rest of the answer never comes", async () => {
  const server = http.createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-length": 10 });
    response.write("part");
    setTimeout(() => request.socket.destroy(), 30);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endings.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const outcome = await destination(`http://127.0.0.1:${port}/`).send(batch, never);
  expect(outcome.verdict).toBe(DELIVERED);
});

test("an answer that comes before the body was read is the answer", async () => {
  const server = http.createServer((request, response) => {
    request.resume();
    response.writeHead(413).end("too much");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endings.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const large = { bytes: Buffer.alloc(8 * 1024 * 1024), spans: 1 };
  const outcome = await destination(`http://127.0.0.1:${port}/`).send(large, never);
  expect(outcome).toMatchObject({ verdict: REFUSED_CONTENT, text: "413 too much" });
});

test("what is no HTTP is a failed attempt", async () => {
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy()).resume();
    socket.end("SSH-2.0-OpenSSH\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endings.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  const outcome = await destination(`http://127.0.0.1:${port}/`).send(batch, never);
  expect(outcome.verdict).toBe(RETRY);
  expect(["reset", "connect"]).toContain(failureOf(outcome));
});

test.each([
  ["ftp://host/", {}, /is not an http\(s\) address/],
  ["nonsense", {}, /is not an http\(s\) address/],
  ["http://host/", { headers: { "bad name": "x" } }, /header "bad name" has a name or value/],
  ["http://host/", { token: "a\nb" }, /header "x-sf-token" has a name or value/],
  ["http://host/", { headers: { "Content-Length": "1" } }, /header "content-length" is set by/],
])("settings that no request could carry are refused at start: %s %o", (url, more, text) => {
  const make = (): OtlpDestination => new OtlpDestination(
    otlp(url, more), { clock: systemClock, counters: new ForwarderCounters() },
  );
  expect(make).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  expect(make).toThrow(text);
  if ("token" in more) expect(make).not.toThrow(more.token);
});
