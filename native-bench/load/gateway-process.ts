// The built gateway as a real process, seen from outside: settings in a file, ports, /proc.

import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { StatusReport } from "../../engine/telemetry/status-report.ts";
import { builtFile } from "../checkout.ts";
import { cpuTime, whileAlive, type CpuTime } from "./process-facts.ts";

const START_MS = 30_000;
const STOP_MS = 120_000;
const POLL_MS = 20;
const OUTPUT_CHARACTERS = 1_000_000;

/** How a gateway ended. */
export interface GatewayEnd {
  readonly exitCode: number | null;
  /** The last that was seen of its processor time, at most POLL_MS before its end. */
  readonly cpu: CpuTime;
  readonly output: string;
}

/** One gateway. Started by `start`, ended once by `stop` or `kill`. */
export class GatewayProcess {
  readonly port: number;
  readonly #adminPort: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  #output = "";

  private constructor(child: ChildProcess, port: number, adminPort: number) {
    this.#child = child;
    this.port = port;
    this.#adminPort = adminPort;
    const take = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    this.#exited = new Promise((resolve) => child.once("close", (code) => resolve(code)));
  }

  /**
   * Starts and waits until it is ready.
   * @param directory of its own, for the settings file and the log.
   * @param listener type of its listener.
   * @param settings beside addresses and the place of the log.
   */
  static async start(
    directory: string, listener: "otlp" | "signalfx", settings: Readonly<Record<string, unknown>>,
  ): Promise<GatewayProcess> {
    const port = await freePort();
    const adminPort = await freePort();
    const file = join(directory, "gateway.conf");
    writeFileSync(file, JSON.stringify({
      LogDir: "-", BackupLocation: join(directory, "data"),
      AdminAddress: `127.0.0.1:${adminPort}`,
      ListenFrom: [{ Type: listener, ListenAddr: `127.0.0.1:${port}` }],
      ...settings,
    }, null, 2));
    const main = builtFile("engine/main.ts");
    const child = spawn(process.execPath, [main, "--configfile", file], {
      cwd: directory, stdio: ["ignore", "pipe", "pipe"],
    });
    const gateway = new GatewayProcess(child, port, adminPort);
    await gateway.#ready();
    return gateway;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the gateway did not start");
    return pid;
  }

  /** The last of what it printed. */
  get output(): string {
    return this.#output;
  }

  /** GET /status. */
  async status(): Promise<StatusReport> {
    return JSON.parse(await this.#get("/status")) as StatusReport; // the same build wrote it
  }

  /** Samples of /metrics by name and labels, as in `name{label="value"}`. */
  async metrics(): Promise<Map<string, number>> {
    const samples = new Map<string, number>();
    for (const line of (await this.#get("/metrics")).split("\n")) {
      if (line === "" || line.startsWith("#")) continue;
      const gap = line.lastIndexOf(" ");
      samples.set(line.slice(0, gap), Number(line.slice(gap + 1)));
    }
    return samples;
  }

  /** SIGTERM, and its end. @throws when it does not end. */
  async stop(): Promise<GatewayEnd> {
    const { pid } = this;
    let cpu = cpuTime(pid);
    let ended = false;
    void this.#exited.then(() => { ended = true; });
    this.#child.kill("SIGTERM");
    const deadline = performance.now() + STOP_MS;
    while (!ended) {
      if (performance.now() > deadline) {
        await this.kill();
        throw new Error(`the gateway did not stop in ${STOP_MS} ms:\n${this.#output}`);
      }
      await sleep(POLL_MS);
      cpu = later(cpu, whileAlive(() => cpuTime(pid)));
    }
    return { exitCode: await this.#exited, cpu, output: this.#output };
  }

  /** SIGKILL; nothing happens when it has ended already. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + START_MS;
    for (;;) {
      const reply = await fetch(this.#url("/readyz")).catch(() => null); // not listening yet
      if (reply?.status === 200) return;
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        await this.kill();
        throw new Error(`the gateway did not start:\n${this.#output}`);
      }
      await sleep(POLL_MS);
    }
  }

  async #get(path: string): Promise<string> {
    const reply = await fetch(this.#url(path));
    const text = await reply.text();
    if (reply.status !== 200) throw new Error(`${path} answered ${reply.status}: ${text}`);
    return text;
  }

  #url(path: string): string {
    return `http://127.0.0.1:${this.#adminPort}${path}`;
  }
}

/** The kernel zeroes some of a dying process: the larger of two looks is the later one. */
function later(before: CpuTime, now: CpuTime | null): CpuTime {
  if (now === null || now.user + now.system < before.user + before.system) return before;
  return {
    ...now, mainThread: Math.max(before.mainThread, now.mainThread),
    busiestOther: Math.max(before.busiestOther, now.busiestOther),
  };
}

export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo; // a TCP server has one
      server.close(() => resolve(port));
    });
  });
}
