// The admin listener: metrics, health, status, and what became of one trace. For operators and
// their tools, on a loopback address by default; it holds no secrets and changes nothing. Runs on
// an event loop of its own thread, so a slow scrape never delays ingest.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { assert } from "../base/assert.ts";
import { GatewayError } from "../base/errors.ts";
import { ENDPOINTS, indexPage } from "./admin-index.ts";
import { healthzReply, readyzReply, type Health } from "./health.ts";
import type { ComputedMetric } from "./metrics-page.ts";
import { normalTraceId, type TraceReport } from "./trace-report.ts";

/** Bounds of the listener. What passes them is turned away and counted (see `metrics`). */
export interface AdminLimits {
  /** Connections at once; more are closed. A few scrapers and people need no more. */
  readonly connectionsMax: number;
  /** Trace lookups at once; more are answered 503. */
  readonly lookupsMax: number;
  /** A lookup that takes longer is answered 504. */
  readonly lookupMs: number;
  readonly headerBytesMax: number;
  readonly headersMs: number;
  readonly requestMs: number;
  /** A connection that does nothing for so long is closed. Longer than usual scrape intervals. */
  readonly idleMs: number;
  /** Answers under way get so long to finish at `close`. */
  readonly closeMs: number;
}

export const ADMIN_LIMITS: AdminLimits = {
  connectionsMax: 64, lookupsMax: 16, lookupMs: 5_000, headerBytesMax: 8_192, headersMs: 5_000,
  requestMs: 10_000, idleMs: 75_000, closeMs: 1_000,
};

export interface AdminServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The setting that names the address, for the error message when it is taken. */
  readonly setting: string;
  readonly limits?: AdminLimits;
}

export interface AdminServerDependencies {
  readonly page: { readonly contentType: string; render(): Promise<string> };
  readonly health: () => Health;
  /** JSON of GET /status. */
  readonly status: () => object;
  /** JSON of GET /cluster; null on a single node. */
  readonly cluster: () => object | null;
  /** Finds a trace by 32 lower-case hex digits; null: this node knows nothing about it. */
  readonly lookup: (traceIdHex: string) => Promise<TraceReport | null>;
  /** Told about every answer 500 and every error of the listener itself. */
  readonly report: (what: string, cause: unknown) => void;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const ADMIN_FAILED = "the admin listener failed: metrics and health may not be served; look at the"
  + " cause, and restart the gateway if they are not";
const ADMIN_BUG = "a request to the admin address failed in the gateway: please report this line";
const LOOKUP_FAILED = "a trace lookup failed after its client had got its answer: ask again";
const JSON_TYPE = "application/json; charset=utf-8";
const HTML_TYPE = "text/html; charset=utf-8";
const TRACES_PATH = "/traces/";
const METHODS = "GET, HEAD";

/** One HTTP listener. Started once, closed once. */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #limits: AdminLimits;
  readonly #dependencies: AdminServerDependencies;
  readonly #server: Server;
  #lookups = 0;
  #connectionsDropped = 0;
  #lookupsRefused = 0;
  #lookupsTimedOut = 0;

  constructor(options: AdminServerOptions, dependencies: AdminServerDependencies) {
    this.#options = options;
    this.#limits = options.limits ?? ADMIN_LIMITS;
    this.#dependencies = dependencies;
    this.#server = createServer({
      maxHeaderSize: this.#limits.headerBytesMax,
      headersTimeout: this.#limits.headersMs,
      requestTimeout: this.#limits.requestMs,
      keepAliveTimeout: this.#limits.idleMs,
      connectionsCheckingInterval: Math.min(1_000, this.#limits.headersMs),
    }, (request, response) => void this.#serve(request, response));
    this.#server.maxConnections = this.#limits.connectionsMax;
    this.#server.setTimeout(this.#limits.idleMs);
    this.#server.on("drop", () => { this.#connectionsDropped++; });
  }

  /**
   * Listens; resolves with the port.
   * @throws GatewayError ADDRESS_IN_USE, or CONFIG_INVALID when the address cannot be used at all.
   */
  async start(): Promise<number> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException): void => reject(this.#listenError(cause));
      this.#server.once("error", failed);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", failed);
        this.#server.on("error", (cause) =>
          this.#dependencies.report(ADMIN_FAILED, cause));
        resolve();
      });
    });
    const address = this.#server.address();
    assert(address !== null && typeof address !== "string", "a TCP listener has an address");
    return (address as AddressInfo).port;
  }

  /** Accepts no more, lets answers under way finish for a moment, then closes every connection. */
  async close(): Promise<void> {
    const server = this.#server;
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const end = setTimeout(() => server.closeAllConnections(), this.#limits.closeMs);
    await closed;
    clearTimeout(end);
  }

  /** What the bounds turned away, for the metrics page. */
  metrics(): ComputedMetric[] {
    const counter = (name: string, help: string, value: () => number): ComputedMetric => ({
      name, help, kind: "counter", collect: () => [{ labels: {}, value: value() }],
    });
    return [
      counter("tailrace_admin_connections_dropped_total",
        "Connections to the admin listener beyond its limit.", () => this.#connectionsDropped),
      counter("tailrace_admin_lookups_refused_total",
        "Trace lookups beyond the limit of those at once.", () => this.#lookupsRefused),
      counter("tailrace_admin_lookups_timed_out_total",
        "Trace lookups that got no answer in time.", () => this.#lookupsTimedOut),
    ];
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: Reply;
    try {
      reply = await this.#answer(request);
    } catch (cause) {
      this.#dependencies.report(ADMIN_BUG, cause);
      reply = problem(500, "internal", "The reason is in the gateway's log.");
    }
    response.writeHead(reply.status, {
      "Content-Type": reply.contentType ?? JSON_TYPE,
      "Content-Length": Buffer.byteLength(reply.body),
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      ...reply.headers,
    });
    response.end(reply.body); // node leaves it out for HEAD
  }

  async #answer(request: IncomingMessage): Promise<Reply> {
    const url = request.url ?? "/";
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    const isTrace = path.startsWith(TRACES_PATH);
    if (!isTrace && !ENDPOINTS.some((endpoint) => endpoint.path === path)) {
      return problem(404, "no_such_page", "GET / lists what there is.");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      // The body is not read: close instead of waiting for its end.
      const headers = { Allow: METHODS, Connection: "close" };
      return { ...problem(405, "method_not_allowed", `Only ${METHODS} work here.`), headers };
    }
    if (isTrace) return await this.#trace(path.slice(TRACES_PATH.length));
    return await this.#page(path);
  }

  async #page(path: string): Promise<Reply> {
    const { page, health, status } = this.#dependencies;
    switch (path) {
      case "/metrics":
        return { status: 200, body: await page.render(), contentType: page.contentType };
      case "/healthz": {
        const reply = healthzReply(health());
        return reply.status === 200 ? reply : { ...reply, headers: { Connection: "close" } };
      }
      case "/readyz":
        return readyzReply(health());
      case "/cluster": {
        const cluster = this.#dependencies.cluster();
        if (cluster === null) {
          return problem(404, "no_cluster", "This node runs alone: see ClusterOperation.");
        }
        return { status: 200, body: `${JSON.stringify(cluster, null, 2)}\n` };
      }
      case "/status":
        return { status: 200, body: `${JSON.stringify(status(), null, 2)}\n` };
      default:
        return { status: 200, body: indexPage(health()), contentType: HTML_TYPE };
    }
  }

  async #trace(text: string): Promise<Reply> {
    const traceId = normalTraceId(text);
    if (traceId === null) {
      return problem(400, "malformed_trace_id",
        "A trace id is 32 or 16 hex digits, not all zero: GET /traces/<id>.");
    }
    if (this.#lookups >= this.#limits.lookupsMax) {
      this.#lookupsRefused++;
      const reply = problem(503, "too_many_lookups", "Ask again in a second.");
      return { ...reply, headers: { "Retry-After": "1" } };
    }
    const found = await this.#lookup(traceId);
    if (found === "timeout") {
      this.#lookupsTimedOut++;
      return problem(504, "lookup_timeout",
        "The lane that owns the trace is busy or stuck: see tailrace_lane_busy_seconds_total.");
    }
    if (found === null) {
      return problem(404, "trace_unknown", "No span of it arrived at this node within the time that"
        + " decisions are remembered, or another node of the cluster owns it.");
    }
    return { status: 200, body: `${JSON.stringify(found, null, 2)}\n` };
  }

  /** A lookup counts until it ends, so that stuck ones cannot pile up behind timeouts. */
  async #lookup(traceId: string): Promise<TraceReport | null | "timeout"> {
    this.#lookups++;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<"timeout">((resolve) => {
      timer = setTimeout(() => resolve("timeout"), this.#limits.lookupMs);
    });
    const lookup = this.#find(traceId).finally(() => { this.#lookups--; });
    let late = false;
    lookup.catch((cause: unknown) => {
      if (late) this.#dependencies.report(LOOKUP_FAILED, cause);
    });
    try {
      const found = await Promise.race([lookup, timeout]);
      late = found === "timeout";
      return found;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A rejection even where the lookup throws before its first wait. */
  async #find(traceId: string): Promise<TraceReport | null> {
    return await this.#dependencies.lookup(traceId);
  }

  #listenError(cause: NodeJS.ErrnoException): GatewayError {
    const { host, port, setting } = this.#options;
    const shown = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const detail = { host, port, setting };
    if (cause.code === "EADDRINUSE") {
      return new GatewayError("ADDRESS_IN_USE",
        `cannot listen on ${shown}: another process does. Stop it (ss -ltnp 'sport = :${port}' `
        + `names it), or set ${setting} to a free address.`, detail, cause);
    }
    return new GatewayError("CONFIG_INVALID",
      `cannot listen on ${shown} (${cause.code ?? "error"}). Set ${setting} to an address of this `
      + "machine and a port this user may open.", detail, cause);
  }
}

function problem(status: number, error: string, hint: string): Reply {
  return { status, body: `${JSON.stringify({ error, hint })}\n` };
}
