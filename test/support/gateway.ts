import { spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const MAIN = path.resolve(import.meta.dirname, "../../dist/engine/main.js");

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

export interface ExitState {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built gateway as a real process, driven over its ports as a user would. */
export class GatewayProcess {
  readonly port: number;
  readonly adminPort: number;
  readonly exited: Promise<ExitState>;
  readonly #child: ChildProcess;
  #output = "";

  private constructor(child: ChildProcess, port: number, adminPort: number) {
    this.#child = child;
    this.port = port;
    this.adminPort = adminPort;
    const take = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-1_000_000);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
  }

  /** Starts with `config` written into `directory`; ports are filled in. Returns when ready. */
  static async start(
    directory: string, config: Record<string, unknown>,
    ports: { port?: number; adminPort?: number } = {},
  ): Promise<GatewayProcess> {
    const gateway = await GatewayProcess.launch(directory, config, ports);
    await gateway.ready();
    return gateway;
  }

  /** As start, without waiting for readiness. */
  static async launch(
    directory: string, config: Record<string, unknown>,
    ports: { port?: number; adminPort?: number } = {},
  ): Promise<GatewayProcess> {
    const port = ports.port ?? await freePort();
    const adminPort = ports.adminPort ?? await freePort();
    fs.mkdirSync(directory, { recursive: true });
    const file = path.join(directory, "gateway.conf");
    fs.writeFileSync(file, JSON.stringify({
      LogDir: "-",
      AdminAddress: `127.0.0.1:${adminPort}`,
      ListenFrom: [{ Type: "otlp", ListenAddr: `127.0.0.1:${port}` }],
      ...config,
    }));
    const child = spawn(process.execPath, [MAIN, "--configfile", file], {
      cwd: directory, stdio: ["ignore", "pipe", "pipe"],
    });
    return new GatewayProcess(child, port, adminPort);
  }

  get output(): string {
    return this.#output;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the gateway did not start");
    return pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when /readyz answers 200; fails with the gateway's output otherwise. */
  async ready(limitMs = 60_000): Promise<void> {
    const end = Date.now() + limitMs;
    while (Date.now() < end) {
      if (!this.running) throw new Error(`the gateway ended while starting:\n${this.#output}`);
      const reply = await this.get("/readyz").catch(() => undefined);
      if (reply?.status === 200) return;
      await sleep(20);
    }
    throw new Error(`the gateway was not ready in ${limitMs} ms:\n${this.#output}`);
  }

  /** GET from the admin address. */
  async get(pathname: string): Promise<{ status: number; body: string }> {
    const reply = await fetch(`http://127.0.0.1:${this.adminPort}${pathname}`);
    return { status: reply.status, body: await reply.text() };
  }

  /** Sum of a metric's samples whose labels contain every given pair. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const { body } = await this.get("/metrics");
    let sum = 0;
    for (const line of body.split("\n")) {
      if (!line.startsWith(name) || !(line[name.length] === "{" || line[name.length] === " ")) {
        continue;
      }
      const matches = Object.entries(labels).every(([key, value]) =>
        line.includes(`${key}="${value}"`));
      if (matches) sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    }
    return sum;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGKILL, as a crash or the OOM killer would end it. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }

  /** SIGTERM and the end of the process. */
  async stop(limitMs = 60_000): Promise<ExitState> {
    this.signal("SIGTERM");
    const ended = await Promise.race([this.exited, sleep(limitMs, undefined)]);
    if (ended === undefined) {
      await this.kill();
      throw new Error(`the gateway did not stop in ${limitMs} ms:\n${this.#output}`);
    }
    return ended;
  }
}
