// The front door of the real process: TLS beside plain HTTP, tokens, origins, engines, and what the
// start says of all that.

import fs from "node:fs";
import https from "node:https";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Certificates, HAS_OPENSSL } from "../support/certificates.ts";
import { type GatewayConfig, GatewayProcess } from "../support/gateway.ts";
import { encodeRequest } from "../support/otlp-builder.ts";
import { freePort } from "../support/ports.ts";
import { RawBackend } from "../support/raw-backend.ts";
import { headOf, RawClient, RawConnection } from "../support/raw-client.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const TOKEN = "e2e-secret-token";
const WITHOUT_UWS = path.resolve(import.meta.dirname, "../support/without-uws.mjs");

function spanBody(stage: Stage): Uint8Array {
  const { random } = stage;
  return encodeRequest([{ spans: [{ traceId: random.hex(16), spanId: random.hex(8) }] }]);
}

interface BackendAndForwarder {
  readonly backend: RawBackend;
  readonly forwardTo: GatewayConfig[];
}

async function openBackend(): Promise<BackendAndForwarder> {
  const backend = await RawBackend.open(() => {});
  return {
    backend, forwardTo: [{ Type: "otlp", URL: backend.url, BatchTimeout: "20ms" }],
  };
}

/** It is ready a moment before it says so. */
async function said(gateway: GatewayProcess): Promise<void> {
  await until(() => gateway.output.includes("  admin    http"), "it says what it is");
}

/** Status of a POST of one span over TLS, and whose certificate was served. */
function postTls(
  port: number, body: Uint8Array, options: https.RequestOptions = {},
): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const request = https.request({
      host: "127.0.0.1", port, path: "/v1/traces", method: "POST", agent: false,
      rejectUnauthorized: false, headers: { "content-type": "application/x-protobuf" }, ...options,
    }, (response) => {
      const { subject } = (response.socket as import("node:tls").TLSSocket).getPeerCertificate();
      response.resume().once("end", () => {
        resolve([response.statusCode ?? 0, String(subject.CN)]);
      });
    });
    request.once("error", reject);
    request.end(body);
  });
}

describe.runIf(HAS_OPENSSL)("TLS", () => {
  const made = new Certificates();
  afterAll(() => made.remove());

  it("is served beside plain HTTP on the chosen engine, with client certificates, tokens and a "
    + "new certificate while clients send", async () => {
    const stage = Stage.open();
    const { backend, forwardTo } = await openBackend();
    const authority = made.make({ name: "clients" });
    const client = made.make({ name: "client", by: authority });
    const first = made.make({ name: "first" });
    const [tlsPort, mutualPort, plainPort] = [await freePort(), await freePort(), await freePort()];
    const certFile = path.join(stage.directory, "tls.crt");
    const keyFile = path.join(stage.directory, "tls.key");
    fs.copyFileSync(first.cert, certFile);
    fs.copyFileSync(first.key, keyFile);
    const tls = { TLSCertFile: "tls.crt", TLSKeyFile: "tls.key" };
    const gateway = await stage.start(stage.config(forwardTo, { ListenFrom: [
      { Type: "otlp", Name: "plain", ListenAddr: `127.0.0.1:${plainPort}` },
      { Type: "otlp", Name: "tls", ListenAddr: `127.0.0.1:${tlsPort}`, ...tls,
        AcceptTokens: [TOKEN] },
      { Type: "otlp", Name: "mutual", ListenAddr: `127.0.0.1:${mutualPort}`, ...tls,
        TLSClientCAFile: authority.cert },
    ] }));
    await said(gateway);
    expect(gateway.output).toMatch(/takes {4}OTLP\/HTTP .*http:\/\/.*\[plain, (?:uws|node)\]/);
    expect(gateway.output).toMatch(/https:\/\/.*\/traces {2}\[tls, node, access token needed\]/);
    expect(gateway.output).toMatch(/\[mutual, node, client certificate needed\]/);
    const plain = new RawClient(plainPort, 1);
    expect(await plain.post(spanBody(stage))).toBe(200);
    plain.close();
    const headers = { "content-type": "application/x-protobuf", "x-sf-token": TOKEN };
    expect(await postTls(tlsPort, spanBody(stage), { headers })).toEqual([200, "first"]);
    expect((await postTls(tlsPort, spanBody(stage)))[0]).toBe(401);
    const as = { cert: fs.readFileSync(client.cert), key: fs.readFileSync(client.key) };
    expect((await postTls(mutualPort, spanBody(stage), as))[0]).toBe(200);
    await expect(postTls(mutualPort, spanBody(stage))).rejects.toThrow();
    const next = made.make({ name: "second" });
    fs.copyFileSync(next.key, keyFile);
    fs.copyFileSync(next.cert, certFile);
    let sent = 3;
    for (let subject = ""; subject !== "second"; sent++) {
      const [status, served] = await postTls(tlsPort, spanBody(stage), { headers });
      expect(status).toBe(200);
      subject = served;
      expect(sent).toBeLessThan(5_000);
    }
    await gateway.settled();
    expect(backend.spans).toBe(sent);
    await until(async () => {
      const page = await gateway.scrape();
      return page.sum("tailrace_requests_refused_total", { reason: "unauthorized" }) === 1
        && page.sum("tailrace_requests_refused_total", { reason: "tls" }) === 1;
    }, "what was refused is counted");
    const page = await gateway.scrape();
    const expiry = page.samples("tailrace_tls_certificate_expiry_seconds");
    expect(expiry.map(({ labels }) => labels["listener"])).toEqual(["tls", "mutual"]);
    for (const { value } of expiry) {
      expect(value * 1000 - Date.now()).toBeGreaterThan(29 * 86_400_000);
    }
    expect((await gateway.get("/status")).body).not.toContain(TOKEN);
    const { code } = await gateway.stop();
    expect(code).toBe(0);
    expect(gateway.output).not.toContain(TOKEN);
  }, TEST_MS);

  it("that cannot be served ends the start with exit code 2 and one line", async () => {
    const stage = Stage.open();
    const pair = made.make({ name: "one" });
    const other = made.make({ name: "other" });
    const cases: [GatewayConfig, RegExp][] = [
      [{ TLSCertFile: pair.cert, TLSKeyFile: other.key }, /is not the key of the certificate/],
      [{ TLSCertFile: "missing.crt", TLSKeyFile: pair.key }, /missing\.crt cannot be read \(ENO/],
      [{ TLSCertFile: pair.cert }, /needs TLSKeyFile/],
    ];
    for (const [keys, says] of cases) {
      const gateway = await stage.launch(stage.config([], {
        ListenFrom: [{ Type: "otlp", ListenAddr: "127.0.0.1:0", ...keys }],
      }));
      expect((await gateway.ended()).code).toBe(2);
      expect(gateway.output).toMatch(says);
      const lines = gateway.output.trim().split("\n").filter((line) => says.test(line));
      expect(lines.length).toBe(1);
      expect(gateway.output).not.toContain("    at ");
    }
  }, TEST_MS);
});

it("where uWebSockets.js cannot be loaded the gateway starts by itself on Node's server, and one "
  + "line says so", async () => {
  const stage = Stage.open();
  const { backend, forwardTo } = await openBackend();
  const port = await freePort();
  const adminPort = await freePort();
  const file = path.join(stage.directory, "gateway.conf");
  fs.writeFileSync(file, JSON.stringify(stage.config(forwardTo, {
    AdminAddress: `127.0.0.1:${adminPort}`, HttpEngine: "uws",
    ListenFrom: [{ Type: "otlp", ListenAddr: `127.0.0.1:${port}` }],
  })));
  const gateway = stage.watch(GatewayProcess.launchWith(
    stage.directory, ["--configfile", file], { port, adminPort },
    { nodeArgs: ["--import", WITHOUT_UWS] },
  ));
  await gateway.ready();
  await said(gateway);
  expect(gateway.output).toContain("[otlp, node]");
  const lines = gateway.output.split("\n")
    .filter((line) => line.includes("uWebSockets.js cannot be loaded"));
  expect(lines.length).toBe(1);
  expect(lines[0]).toContain("no binary");
  const client = new RawClient(port, 1);
  expect(await client.post(spanBody(stage))).toBe(200);
  client.close();
  await gateway.settled();
  expect(backend.spans).toBe(1);
  expect((await gateway.stop()).code).toBe(0);
}, TEST_MS);

it.each([
  "uws", "node",
])("pages of an allowed origin can send spans, on the engine %s", async (engine) => {
  const stage = Stage.open();
  const { backend, forwardTo } = await openBackend();
  const port = await freePort();
  const gateway = await stage.start(stage.config(forwardTo, {
    HttpEngine: engine,
    ListenFrom: [{
      Type: "otlp", ListenAddr: `127.0.0.1:${port}`, AllowedOrigins: ["https://*.shop.example"],
    }],
  }));
  const connection = await RawConnection.open(port);
  const body = Buffer.from(spanBody(stage));
  connection.write([
    "OPTIONS /v1/traces HTTP/1.1", "Host: x", "Origin: https://www.shop.example",
    "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type",
    "", "",
  ].join("\r\n"));
  expect(await connection.answers(1)).toEqual([204]);
  connection.write(headOf([
    "Origin: https://www.shop.example", `Content-Length: ${body.length}`,
  ]), body);
  expect(await connection.answers(2)).toEqual([204, 200]);
  expect(connection.text.match(/Access-Control-Allow-Origin: https:\/\/www\.shop\.example\r\n/g))
    .toHaveLength(2);
  connection.write(headOf(["Origin: https://evil.example", "Content-Length: 0"]));
  expect(await connection.answers(3)).toEqual([204, 200, 403]);
  connection.close();
  await gateway.settled();
  expect(backend.spans).toBe(1);
  expect((await gateway.stop()).code).toBe(0);
}, TEST_MS);
