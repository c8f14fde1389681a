// Tokens in every place where an operator can put one, against a backend that says all it was sent
// back in the gateway's face. None may be seen anywhere.

import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { encodeRequest } from "../support/otlp-builder.ts";
import { freePorts, GatewayProcess, type GatewayConfig, type Ports } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const TOKENS = {
  header: "hdr-Zk3vQ0pT7w", bearer: "brr-9xLm2RtY5u", basicUser: "usr-Wq8zTn4e",
  basicPassword: "pwd-Jh6sXc1v", file: "def-P0oIu8Yt2r", variable: "env-M4nBv6Cx3z",
  named: "nam-L1kJh5Gf7d", query: "qry-A2sDf9Gh4j", accept: "acc-Q7wEr3Ty5u", short: "s7#x",
  odd: "odd-\"quoted\"&sl/ash",
} as const;
const ALL = Object.values(TOKENS);

function expectNoToken(place: string, text: string): void {
  const spellings = ALL.flatMap((token) => {
    const forms = [token, JSON.stringify(token).slice(1, -1), encodeURIComponent(token)];
    // What a cut leaves is of no use when it is short.
    return token.length > 8 ? [...forms, token.slice(0, 8)] : forms;
  });
  const basic = Buffer.from(`${TOKENS.basicUser}:${TOKENS.basicPassword}`).toString("base64");
  for (const spelling of [...spellings, basic]) {
    expect(text.includes(spelling), `${spelling} in ${place}:\n${text}`).toBe(false);
  }
}

/** Answers with everything it was sent, in several spellings. */
async function echoBackend(status: number): Promise<{ port: number; sent: () => string }> {
  let sent = "";
  const server = http.createServer((request, response) => {
    sent += `${request.url} ${JSON.stringify(request.headers)} `;
    const said = `${request.headers["x-sf-token"]} ${request.headers["x-api-key"]} `
      + `${request.headers.authorization} ${request.headers["x-odd"]} ${request.url} `
      + `${request.headers["x-short"]} ${JSON.stringify(request.headers)}`;
    request.resume().on("end", () => {
      response.writeHead(status, { "content-type": "text/plain" }).end(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, sent: () => sent };
}

function forwarders(port: number): GatewayConfig[] {
  const url = `http://127.0.0.1:${port}/v1/traces?api_key=${TOKENS.query}&mode=a`;
  const basic = Buffer.from(`${TOKENS.basicUser}:${TOKENS.basicPassword}`).toString("base64");
  const common = { Type: "otlp", BatchTimeout: "10ms", RetryInitial: "20ms", RetryMax: "50ms" };
  return [
    {
      ...common, Name: "one", URL: url, DefaultAuthToken: TOKENS.file,
      Headers: {
        "X-Api-Key": TOKENS.header, "Authorization": `Bearer ${TOKENS.bearer}`,
        "X-Odd": TOKENS.odd, "X-Short": TOKENS.short, "X-Tenant": "1",
      },
    },
    { ...common, Name: "two", URL: url },
    { ...common, Name: "three", URL: url, AuthTokenEnvVar: "TEAM_TOKEN" },
    { ...common, Name: "four", URL: url, Headers: { authorization: `Basic ${basic}` } },
  ];
}

const VARIABLES = { SIGNALFX_ACCESS_TOKEN: TOKENS.variable, TEAM_TOKEN: TOKENS.named };

function launch(
  stage: Stage, ports: Ports, config: GatewayConfig, args: GatewayConfig = {},
): GatewayProcess {
  const text = JSON.stringify({
    AdminAddress: `127.0.0.1:${ports.adminPort}`,
    ListenFrom: [{
      Type: "otlp", ListenAddr: `127.0.0.1:${ports.port}`, AcceptTokens: [TOKENS.accept],
    }],
    ...config, ...args,
  }, null, 2);
  return stage.watch(GatewayProcess.launchText(stage.directory, text, ports, { env: VARIABLES }));
}

describe("tokens of a running gateway", () => {
  it.each([["a backend that refuses", 400, "-"], ["a backend that fails", 503, "./logs"],
    ["a backend that knows no token", 401, "./logs"]] as const,
  )("are nowhere to be seen, with %s", async (_, status, logDir) => {
    const stage = Stage.open();
    const backend = await echoBackend(status);
    const ports = await freePorts();
    const config = stage.config(forwarders(backend.port), {
      LogDir: logDir, LogFormat: status === 401 ? "logfmt" : "json", MaxGracefulWaitTime: "1s",
    });
    const gateway = launch(stage, ports, config);
    await gateway.ready();
    const reply = await fetch(`http://127.0.0.1:${ports.port}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf", "x-sf-token": TOKENS.accept },
      body: encodeRequest([{
        spans: [{ traceId: stage.random.hex(16), spanId: stage.random.hex(8) }],
      }]),
    });
    expect(reply.status).toBe(200);
    expectNoToken("the reply", await reply.text());
    const logFile = path.join(stage.directory, "logs", "gateway.log");
    const written = (): string => logDir === "-" ? gateway.output
      : fs.readFileSync(logFile, "utf8");
    await until(() => ["one", "two", "three", "four"].every((name) => {
      return written().split("\n").some((line) => line.includes(name) && line.includes("answer"));
    }), written);
    for (const page of ["/status", "/metrics", "/readyz", "/", "/traces/nothing"]) {
      expectNoToken(page, (await gateway.get(page)).body);
    }
    await gateway.stop();
    // The backend did get them all, and sent them back; that is what was hidden.
    for (const token of ALL) {
      if (token === TOKENS.accept || token.startsWith("usr-") || token.startsWith("pwd-")) continue;
      expect(backend.sent()).toContain(JSON.stringify(token).slice(1, -1));
    }
    expect(written()).toContain("(hidden)");
    expect(written().includes("acknowledged spans were lost")).toBe(status < 500);
    expectNoToken("standard output and standard error", gateway.output);
    expectNoToken("the log", written());
  }, TEST_MS);
});

describe("a configuration that is refused", () => {
  const url = "http://127.0.0.1:1/v1/traces";
  const one = (more: GatewayConfig): GatewayConfig => {
    return { ForwardTo: [{ Type: "otlp", Name: "one", URL: url, ...more }] };
  };
  const { header, file, query, accept } = TOKENS;
  it.each<[string, GatewayConfig]>([
    ["headers that are a text", one({ Headers: header })],
    ["headers that are a list", one({ Headers: [header] })],
    ["a header that no request can carry", one({ Headers: { "X-A": `${header}\n` } })],
    ["a header with two values", one({ Headers: { "X-A": [header] } })],
    ["a reserved header", one({ Headers: { host: header } })],
    ["a header that has no name", one({ Headers: { "x y": header } })],
    ["a token that is a list", one({ DefaultAuthToken: [file] })],
    ["a token with a line end", one({ DefaultAuthToken: `${file}\n` })],
    ["a token twice", one({ DefaultAuthToken: file, defaultauthtoken: file })],
    ["a misspelled key", { ...one({ DefaultAuthTokn: file }), Workers: -1 }],
    ["a token as the variable's name", { ...one({ AuthTokenEnvVar: TOKENS.named }), Workers: -1 }],
    ["a user in the address", one({ URL: `http://${file}:${query}@127.0.0.1/v1/traces` })],
    ["a user in a wrong address", one({ URL: `htp://${file}:${query}@127.0.0.1/v1/traces` })],
    ["an address without its scheme", one({ URL: `${file}:${query}@127.0.0.1/v1/traces` })],
    ["a query in a wrong address", one({ URL: `ftp://127.0.0.1/v1/traces?key=${query}` })],
    ["a query in half an address", one({ URL: `http://?key=${query}` })],
    ["accepted tokens that are a text", {
      ...one({}), ListenFrom: [{ Type: "otlp", AcceptTokens: accept }],
    }],
    ["accepted tokens that are objects", {
      ...one({}), ListenFrom: [{ Type: "otlp", AcceptTokens: [{ token: accept }] }],
    }],
    ["accepted tokens with line ends", {
      ...one({}), ListenFrom: [{ Type: "otlp", AcceptTokens: [`${accept}\n`] }],
    }],
  ])("for %s shows none of them", async (_, config) => {
    const stage = Stage.open();
    const gateway = launch(stage, await freePorts(), config);
    expect((await gateway.ended()).code).toBe(2);
    expect(gateway.output).toContain("problem");
    expectNoToken("standard error", gateway.output);
  }, TEST_MS);

  it("for a variable's value shows neither", async () => {
    const stage = Stage.open();
    const gateway = stage.watch(GatewayProcess.launchText(
      stage.directory, JSON.stringify(one({})), await freePorts(),
      { env: { SIGNALFX_ACCESS_TOKEN: `${TOKENS.variable}\nx` } }));
    expect((await gateway.ended()).code).toBe(2);
    expect(gateway.output).toContain("SIGNALFX_ACCESS_TOKEN");
    expectNoToken("standard error", gateway.output);
  }, TEST_MS);
});
