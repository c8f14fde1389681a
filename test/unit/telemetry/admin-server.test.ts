import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import {
  ADMIN_LIMITS, AdminServer, type AdminLimits, type AdminServerDependencies,
} from "../../../engine/telemetry/admin-server.ts";
import type { Health } from "../../../engine/telemetry/health.ts";
import { normalTraceId, type TraceReport } from "../../../engine/telemetry/trace-report.ts";

const ID = "0af7651916cd43dd8448eb211c80319c";
const report: TraceReport = {
  traceId: ID, shard: 7, lane: 1, state: "decided", known: "full", spans: 8, bytes: 3_000,
  durationMs: 12.5, rootSeen: true, errorSeen: true, parts: 4, decidesInMs: null,
  startedAt: null, seenMsAgo: null, undecided: [],
  trigger: "decision_wait", decidedAt: "2026-01-02T03:04:05Z", complete: true,
  decisions: [{
    forwarder: "backend", decision: "keep", policy: "errors", sampleRate: 1,
    votes: [{ policy: "errors", vote: "sampled" }],
  }],
};

const servers: AdminServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map(async (server) => await server.close()));
});

interface Started {
  readonly server: AdminServer;
  readonly port: number;
  readonly reported: { what: string; cause: unknown }[];
  health: Health;
}

async function start(
  given: Partial<AdminServerDependencies> = {}, limits: Partial<AdminLimits> = {},
): Promise<Started> {
  const reported: { what: string; cause: unknown }[] = [];
  const state = { health: { ready: true, draining: false, reasons: [] } as Health };
  const server = new AdminServer({
    host: "127.0.0.1", port: 0, setting: "AdminAddress", limits: { ...ADMIN_LIMITS, ...limits },
  }, {
    page: { contentType: "text/plain; version=0.0.4", render: async () => "tailrace_up 1\n" },
    health: () => state.health,
    status: () => ({ version: "1.2.3" }),
    cluster: () => ({ name: "test" }),
    lookup: async (traceId) => traceId === ID ? report : null,
    report: (what, cause) => { reported.push({ what, cause }); },
    ...given,
  });
  const port = await server.start();
  servers.push(server);
  return Object.assign(state, { server, port, reported });
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

async function ask(port: number, path: string, options: http.RequestOptions = {}): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, path, agent: false, ...options });
    request.once("error", reject);
    request.once("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => { body += chunk; });
      response.once("end", () => resolve({
        status: response.statusCode ?? 0, headers: response.headers, body,
      }));
    });
    request.end();
  });
}

async function counted(server: AdminServer): Promise<Record<string, number>> {
  return Object.fromEntries(server.metrics().map((metric) =>
    [metric.name.replace(/^tailrace_admin_|_total$/g, ""), metric.collect()[0]?.value ?? -1]));
}

describe("the admin listener", () => {
  it("serves the metrics page with its content type", async () => {
    const { port } = await start();
    const answer = await ask(port, "/metrics?collect=all");
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4");
    expect(answer.body).toBe("tailrace_up 1\n");
    expect(answer.headers["cache-control"]).toBe("no-store");
  });

  it("lists every page it has, and each of them answers", async () => {
    const { port } = await start();
    const index = await ask(port, "/");
    expect(index.headers["content-type"]).toContain("text/html");
    const links = [...index.body.matchAll(/href="([^"]+)"/g)].map((link) => link[1] ?? "");
    expect(links).toEqual(["/", "/metrics", "/healthz", "/readyz", "/status", "/cluster"]);
    for (const link of links) expect((await ask(port, link)).status).toBe(200);
    expect(index.body).toContain("/traces/");
  });

  it("answers HEAD as GET, without the body", async () => {
    const { port } = await start();
    for (const path of ["/metrics", "/healthz", `/traces/${ID}`, "/nothing", "/"]) {
      const get = await ask(port, path);
      const head = await ask(port, path, { method: "HEAD" });
      expect(head.status).toBe(get.status);
      expect(head.headers["content-length"]).toBe(String(Buffer.byteLength(get.body)));
      expect(head.body).toBe("");
    }
  });

  it("is live while it recovers, ready when it says so, and gone once it drains", async () => {
    const started = await start();
    const both = async (): Promise<number[]> => [
      (await ask(started.port, "/healthz")).status, (await ask(started.port, "/readyz")).status,
    ];
    expect(await both()).toEqual([200, 200]);
    started.health = { ready: false, draining: false, reasons: ["lane 0 replays its log"] };
    expect(await both()).toEqual([200, 503]);
    expect(JSON.parse((await ask(started.port, "/readyz")).body)).toEqual(started.health);
    expect((await ask(started.port, "/")).body).toContain("lane 0 replays its log");
    started.health = { ready: true, draining: true, reasons: [] };
    expect(await both()).toEqual([404, 503]);
    const agent = new http.Agent({ keepAlive: true });
    const draining = await ask(started.port, "/healthz", { agent });
    expect(JSON.parse(draining.body)).toEqual(started.health);
    expect(draining.headers.connection).toBe("close");
  });

  it("finds traces by 128-bit ids in any case and by padded 64-bit ids", async () => {
    const asked: string[] = [];
    const { port } = await start({
      lookup: async (traceId) => {
        asked.push(traceId);
        return { ...report, traceId };
      },
    });
    expect(JSON.parse((await ask(port, `/traces/${ID}`)).body)).toEqual(report);
    await ask(port, `/traces/${ID.toUpperCase()}?pretty`);
    await ask(port, "/traces/8448eb211c80319C");
    expect(asked).toEqual([ID, ID, "00000000000000008448eb211c80319c"]);
  });

  it("answers an unknown trace with 404 and what cannot be one with 400, and a hint", async () => {
    const { port } = await start();
    const unknown = await ask(port, "/traces/ffffffffffffffffffffffffffffffff");
    expect(unknown.status).toBe(404);
    expect(JSON.parse(unknown.body)).toMatchObject({ error: "trace_unknown" });
    const malformed = [
      "", "xyz", ID.slice(1), `${ID}0`, `${ID}/`, `%30${ID.slice(1)}`, "0".repeat(32),
      "0".repeat(16), `${ID.slice(1)}g`, "../metrics",
    ];
    for (const text of malformed) {
      const answer = await ask(port, `/traces/${text}`);
      expect(answer.status, text).toBe(400);
      const body = JSON.parse(answer.body) as { error: string; hint: string };
      expect(body.error).toBe("malformed_trace_id");
      expect(body.hint).toContain("32 or 16 hex digits");
      expect(answer.headers["content-type"]).toContain("application/json");
    }
  });

  it("answers 404 for other paths and 405 for other methods", async () => {
    const { port } = await start();
    for (const path of ["/metric", "/metrics/", "//", "/traces", "/healthz/../metrics"]) {
      const answer = await ask(port, path);
      expect(answer.status, path).toBe(404);
      expect(JSON.parse(answer.body)).toMatchObject({ error: "no_such_page" });
    }
    for (const path of ["/metrics", "/", `/traces/${ID}`]) {
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
        const answer = await ask(port, path, { method });
        expect(answer.status, `${method} ${path}`).toBe(405);
        expect(answer.headers.allow).toBe("GET, HEAD");
      }
    }
    expect((await ask(port, "/nothing", { method: "POST" })).status).toBe(404);
  });

  it("does not read the body of a request it turns away", async () => {
    const { port } = await start();
    const socket = net.connect(port, "127.0.0.1");
    socket.write("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc");
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 405 /);
  });

  it("answers 500 and reports when a page or a lookup fails, and goes on", async () => {
    const { port, reported } = await start({
      page: { contentType: "text/plain", render: async () => { throw new Error("page broke"); } },
      lookup: () => { throw new Error("lookup broke"); },
    });
    for (const path of ["/metrics", `/traces/${ID}`]) {
      const answer = await ask(port, path);
      expect(answer.status).toBe(500);
      expect(JSON.parse(answer.body)).toMatchObject({ error: "internal" });
      expect(answer.body).not.toContain("broke");
    }
    expect(reported.map((each) => (each.cause as Error).message))
      .toEqual(["page broke", "lookup broke"]);
    expect((await ask(port, "/healthz")).status).toBe(200);
  });
});

describe("the bounds of the admin listener", () => {
  it("end a lookup that takes too long, and refuse more while those are stuck", async () => {
    const waiting: ((found: TraceReport | null) => void)[] = [];
    const { port, server } = await start({
      lookup: async () => await new Promise((resolve) => { waiting.push(resolve); }),
    }, { lookupsMax: 2, lookupMs: 40 });
    const first = await Promise.all([ask(port, `/traces/${ID}`), ask(port, `/traces/${ID}`)]);
    expect(first.map((answer) => answer.status)).toEqual([504, 504]);
    const refused = await ask(port, `/traces/${ID}`);
    expect(refused.status).toBe(503);
    expect(refused.headers["retry-after"]).toBe("1");
    for (const resolve of waiting) resolve(report);
    await sleep(5);
    const third = ask(port, `/traces/${ID}`);
    while (waiting.length < 3) await sleep(1);
    waiting[2]?.(report);
    expect((await third).status).toBe(200);
    expect(await counted(server))
      .toEqual({ connections_dropped: 0, lookups_refused: 1, lookups_timed_out: 2 });
  });

  it("report a lookup that fails after its timeout", async () => {
    let fail: (cause: Error) => void = () => {};
    const { port, reported } = await start({
      lookup: async () => await new Promise((_, reject) => { fail = reject; }),
    }, { lookupMs: 20 });
    expect((await ask(port, `/traces/${ID}`)).status).toBe(504);
    expect(reported).toEqual([]);
    fail(new Error("too late"));
    await sleep(5);
    expect(reported.map((each) => (each.cause as Error).message)).toEqual(["too late"]);
  });

  it("close connections beyond the limit and count them", async () => {
    const { port, server } = await start({}, { connectionsMax: 1 });
    const held = net.connect(port, "127.0.0.1");
    await new Promise((resolve) => held.once("connect", resolve));
    await sleep(5);
    await expect(ask(port, "/healthz")).rejects.toThrow(/ECONNRESET|socket hang up/);
    expect((await counted(server))["connections_dropped"]).toBe(1);
    held.destroy();
  });

  it("refuse headers beyond the limit, and headers that never end", async () => {
    const { port } = await start({}, { headerBytesMax: 1_024, headersMs: 50 });
    const large = await ask(port, "/healthz", { headers: { "X-Large": "x".repeat(2_000) } });
    expect(large.status).toBe(431);
    const slow = net.connect(port, "127.0.0.1");
    slow.write("GET /healthz HTTP/1.1\r\nHost: x\r\n");
    let text = "";
    for await (const chunk of slow) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("let an answer under way finish at close, and cut off one that does not", async () => {
    let render: (text: string) => void = () => {};
    const page = {
      contentType: "text/plain",
      render: async (): Promise<string> => await new Promise((resolve) => { render = resolve; }),
    };
    const quick = await start({ page });
    const answer = ask(quick.port, "/metrics");
    await sleep(20);
    const closed = quick.server.close();
    render("late but whole");
    expect((await answer).body).toBe("late but whole");
    await closed;
    await expect(ask(quick.port, "/healthz")).rejects.toThrow("ECONNREFUSED");
    const stuck = await start({ page }, { closeMs: 30 });
    const cut = expect(ask(stuck.port, "/metrics")).rejects.toThrow(/ECONNRESET|socket hang up/);
    await sleep(20);
    await stuck.server.close();
    await cut;
    await stuck.server.close();
  });
});

describe("starting the admin listener", () => {
  it("says what to do when the address is taken", async () => {
    const { port } = await start();
    const second = new AdminServer({ host: "127.0.0.1", port, setting: "AdminAddress" }, {
      page: { contentType: "", render: async () => "" }, status: () => ({}), cluster: () => null,
      health: () => ({ ready: true, draining: false, reasons: [] }), lookup: async () => null,
      report: () => {},
    });
    const error: unknown = await second.start().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({
      code: "ADDRESS_IN_USE", detail: { host: "127.0.0.1", port, setting: "AdminAddress" },
    });
    expect((error as Error).message).toContain(`127.0.0.1:${port}`);
    expect((error as Error).message).toContain("set AdminAddress");
    await second.close();
  });

  it("says which setting is wrong when the address is not this machine's", async () => {
    const server = new AdminServer({ host: "192.0.2.1", port: 9464, setting: "AdminAddress" }, {
      page: { contentType: "", render: async () => "" }, status: () => ({}), cluster: () => null,
      health: () => ({ ready: true, draining: false, reasons: [] }), lookup: async () => null,
      report: () => {},
    });
    await expect(server.start()).rejects.toMatchObject({
      code: "CONFIG_INVALID", message: expect.stringContaining("EADDRNOTAVAIL") as string,
    });
  });
});

describe("a trace id", () => {
  it("is normal with 32 lower-case digits", () => {
    expect(normalTraceId(ID)).toBe(ID);
    expect(normalTraceId("ABCDEF0123456789")).toBe("0000000000000000abcdef0123456789");
    expect(normalTraceId(`${ID}\n`)).toBeNull();
    expect(normalTraceId("0".repeat(32))).toBeNull();
  });
});
