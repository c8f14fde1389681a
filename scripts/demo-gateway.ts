// The gateway of the demo: a process of its own on free ports with data in a temporary directory,
// or one that runs already.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { StatusReport } from "../engine/telemetry/status-report.ts";
import type { TraceReport } from "../engine/telemetry/trace-report.ts";
import { RARE_ROUTE } from "./demo-shop.ts";

/** Where a gateway listens on 127.0.0.1. */
export interface DemoPorts {
  readonly otlp: number;
  readonly zipkin: number;
  readonly admin: number;
}

/** What the demo's own gateway keeps, by policy; in the order in which it asks them. */
export const POLICIES = [
  {
    keeps: "a span has the status ERROR",
    policy: { name: "errors", type: "status_code", status_code: { status_codes: ["ERROR"] } },
  },
  {
    keeps: "it took longer than 500 ms",
    policy: { name: "slow", type: "latency", latency: { threshold_ms: 500 } },
  },
  {
    keeps: `http.route is ${RARE_ROUTE}, which is rare`,
    policy: {
      name: "returns", type: "string_attribute",
      string_attribute: { key: "http.route", values: [RARE_ROUTE] },
    },
  },
  {
    keeps: "its id is among 10 % of all ids",
    policy: {
      name: "tenth", type: "probabilistic", probabilistic: { sampling_percentage: 10 },
    },
  },
] as const;
export const DECISION_WAIT_MS = 3_000;

const HOST = "127.0.0.1";
const MAIN = join(dirname(dirname(fileURLToPath(import.meta.url))), "engine/main.js");
const READY_MS = 20_000;
const STOP_MS = 20_000;
const ANSWER_MS = 5_000;
const POLL_MS = 100;
const OUTPUT_CHARACTERS_MAX = 100_000;

/** A gateway to send to and to ask. */
export class DemoGateway {
  readonly ports: DemoPorts;
  /** Null for one that the demo did not start. */
  readonly directory: string | null;
  readonly #child: ChildProcess | null;
  #output = "";
  #exitCode: number | null = null;

  private constructor(ports: DemoPorts, directory: string | null, child: ChildProcess | null) {
    this.ports = ports;
    this.directory = directory;
    this.#child = child;
    const take = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
    };
    child?.stdout?.on("data", take);
    child?.stderr?.on("data", take);
    child?.once("exit", (code, signal) => {
      this.#exitCode = code ?? -1;
      if (signal !== null) this.#output += `\nended by ${signal}\n`;
    });
    // However the demo ends, its gateway ends with it.
    process.once("exit", () => child?.kill("SIGKILL"));
  }

  /** One that runs already. */
  static attach(ports: DemoPorts): DemoGateway {
    return new DemoGateway(ports, null, null);
  }

  /** Starts one; call `ready` next. */
  static async start(): Promise<DemoGateway> {
    const ports = await freePorts();
    const directory = mkdtempSync(join(tmpdir(), "tailrace-demo-"));
    const file = join(directory, "gateway.conf");
    writeFileSync(file, `${JSON.stringify(ownConfig(directory, ports), null, 2)}\n`);
    // A process group of its own: Ctrl-C is for the demo, which then stops its gateway.
    const child = spawn(process.execPath, [MAIN, "--configfile", file], {
      cwd: directory, stdio: ["ignore", "pipe", "pipe"], detached: true,
      env: Object.fromEntries(Object.entries(process.env)
        .filter(([name]) => !/^(?:TAILRACE|SFX|SIGNALFX)_/.test(name))),
    });
    return new DemoGateway(ports, directory, child);
  }

  get otlpUrl(): string {
    return `http://${HOST}:${this.ports.otlp}/v1/traces`;
  }

  get zipkinUrl(): string {
    return `http://${HOST}:${this.ports.zipkin}/api/v2/spans`;
  }

  get adminUrl(): string {
    return `http://${HOST}:${this.ports.admin}`;
  }

  get keptDirectory(): string | null {
    return this.directory === null ? null : join(this.directory, "kept");
  }

  /** What it wrote last. */
  get output(): string {
    return this.#output;
  }

  /** Null when it takes spans, else why it does not. */
  async whyNotReady(): Promise<string | null> {
    const endMs = Date.now() + (this.#child === null ? 0 : READY_MS);
    do {
      if (this.#exitCode !== null) return `the gateway ended while it started:\n${this.#output}`;
      const status = await this.#get("/readyz").then((answer) => answer.status, () => 0);
      if (status === 200) return null;
      await sleep(POLL_MS);
    } while (Date.now() < endMs);
    return this.#child === null
      ? `nothing answers at ${this.adminUrl}/readyz: start a gateway first`
      : `the gateway is not ready after ${READY_MS / 1000} s:\n${this.#output}`;
  }

  async status(): Promise<StatusReport> {
    return await (await this.#get("/status")).json() as StatusReport;
  }

  /** Null when the gateway knows nothing of the trace. */
  async trace(traceId: string): Promise<TraceReport | null> {
    const answer = await this.#get(`/traces/${traceId}`);
    if (answer.ok) return await answer.json() as TraceReport;
    await answer.body?.cancel();
    return null;
  }

  /** Stops it and removes its log; the kept spans stay. @returns its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child === null || this.directory === null) return 0;
    this.#child.kill("SIGTERM");
    for (const endMs = Date.now() + STOP_MS; this.#exitCode === null && Date.now() < endMs;) {
      await sleep(POLL_MS);
    }
    this.#child.kill("SIGKILL"); // nothing to do when it has ended
    rmSync(join(this.directory, "data"), { recursive: true, force: true });
    return this.#exitCode;
  }

  /** Removes everything, kept spans too. */
  discard(): void {
    if (this.directory !== null) rmSync(this.directory, { recursive: true, force: true });
  }

  async #get(path: string): Promise<Response> {
    return await fetch(`${this.adminUrl}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) });
  }
}

function ownConfig(directory: string, ports: DemoPorts): object {
  return {
    LogDir: "-",
    AdminAddress: `${HOST}:${ports.admin}`,
    BackupLocation: join(directory, "data"),
    Workers: 2,
    MaxTraces: 100_000,
    DrainDelay: "100ms",
    ListenFrom: [
      { Type: "otlp", ListenAddr: `${HOST}:${ports.otlp}` },
      { Type: "signalfx", ListenAddr: `${HOST}:${ports.zipkin}` },
    ],
    ForwardTo: [{
      Type: "file", Name: "kept", Path: join(directory, "kept"),
      TraceSample: {
        DecisionWait: `${DECISION_WAIT_MS}ms`, Policies: POLICIES.map(({ policy }) => policy),
      },
    }],
  };
}

/** Ports that nobody listens on. All are held until the last is found, so they differ. */
async function freePorts(): Promise<DemoPorts> {
  const servers = [createServer(), createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, HOST, resolve);
    });
    ports.push((server.address() as AddressInfo).port); // it listens on TCP
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const [otlp, zipkin, admin] = ports as [number, number, number];
  return { otlp, zipkin, admin };
}
