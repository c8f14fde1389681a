import { spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./ports.ts";
import { Scrape } from "./scrape.ts";
import { until } from "./until.ts";

const MAIN = path.resolve(import.meta.dirname, "../../dist/engine/main.js");
const OUTPUT_CHARACTERS_MAX = 1_000_000;
/** Time to start and recover on a busy machine. */
const READY_MS = 20_000;
const STOP_MS = 20_000;
const GET_MS = 10_000;
/** Looks in a row, tens of milliseconds apart, at which nothing was open. */
const SETTLED_LOOKS = 5;
/** The turn that was under way may have published before, and one may be left out. */
const TURNS_TOLD = 3;

export interface ExitState {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Where a gateway listens; a restart takes the same ones. */
export interface Ports {
  readonly port: number;
  readonly adminPort: number;
}

/** What a gateway is started with beside its arguments. */
export interface Surroundings {
  /** Descriptor of its standard output; the harness reads it otherwise. */
  readonly stdout?: number;
  /** Arguments of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** Variables added. */
  readonly env?: Readonly<Record<string, string>>;
}

export type GatewayConfig = Readonly<Record<string, unknown>>;

/**
 * HTTP engine of every gateway of this run that does not name its own. The second run, on "node",
 * leaves out what would say nothing new: repetitions, and what happens behind the door.
 */
export const TEST_ENGINE = process.env["TAILRACE_TEST_ENGINE"] === "node" ? "node" : "uws";
export const IS_SECOND_RUN = TEST_ENGINE === "node";

/** Processes that run: they end with the one that runs the test, however that ends. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** This process's variables, without those that would be settings of the gateway. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env)
    .filter(([name]) => !/^(?:TAILRACE|SFX|SIGNALFX)_/.test(name)));
}

export async function freePorts(): Promise<Ports> {
  return { port: await freePort(), adminPort: await freePort() };
}

/** The built gateway as a real process, driven over its ports as a user would. */
export class GatewayProcess {
  readonly port: number;
  readonly adminPort: number;
  readonly exited: Promise<ExitState>;
  readonly #child: ChildProcess;
  #output = "";

  private constructor(child: ChildProcess, ports: Ports) {
    this.#child = child;
    this.port = ports.port;
    this.adminPort = ports.adminPort;
    const take = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    running.add(child);
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        running.delete(child);
        resolve({ code, signal });
      });
    });
  }

  /** Starts with `config` written into `directory`; ports are filled in. Returns when ready. */
  static async start(
    directory: string, config: GatewayConfig, ports?: Ports,
  ): Promise<GatewayProcess> {
    const gateway = await GatewayProcess.launch(directory, config, ports);
    await gateway.ready();
    return gateway;
  }

  /** As start, without waiting for readiness. */
  static async launch(
    directory: string, config: GatewayConfig, ports?: Ports,
  ): Promise<GatewayProcess> {
    const own = ports ?? await freePorts();
    return GatewayProcess.launchText(directory, JSON.stringify({
      LogDir: "-",
      HttpEngine: TEST_ENGINE,
      AdminAddress: `127.0.0.1:${own.adminPort}`,
      ListenFrom: [{ Type: "otlp", ListenAddr: `127.0.0.1:${own.port}` }],
      ...config,
    }, null, 2), own);
  }

  /** Launches with the very text of a configuration file, right or wrong. */
  static launchText(
    directory: string, text: string, ports: Ports, around: Surroundings = {},
  ): GatewayProcess {
    fs.mkdirSync(directory, { recursive: true });
    const file = path.join(directory, "gateway.conf");
    fs.writeFileSync(file, text);
    return GatewayProcess.launchWith(directory, ["--configfile", file], ports, around);
  }

  /** Launches in `directory` with any arguments. */
  static launchWith(
    directory: string, args: readonly string[], ports: Ports = { port: 0, adminPort: 0 },
    around: Surroundings = {},
  ): GatewayProcess {
    const own = [...around.nodeArgs ?? [], MAIN, ...args];
    return GatewayProcess.launchCommand(directory, [process.execPath, ...own], ports, around);
  }

  /** Launches what some other command makes a gateway of. */
  static launchCommand(
    directory: string, [file, ...args]: readonly [string, ...string[]], ports: Ports,
    around: Omit<Surroundings, "nodeArgs"> = {},
  ): GatewayProcess {
    const child = spawn(file, args, {
      cwd: directory, stdio: ["ignore", around.stdout ?? "pipe", "pipe"],
      env: { ...cleanEnvironment(), ...around.env },
    });
    return new GatewayProcess(child, ports);
  }

  get ports(): Ports {
    return { port: this.port, adminPort: this.adminPort };
  }

  /** What it wrote to standard output and standard error. */
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
  async ready(limitMs = READY_MS): Promise<void> {
    await until(async () => {
      if (!this.running) {
        const { code, signal } = await this.exited;
        throw new Error(`the gateway ended while starting (${signal ?? code}):\n${this.#output}`);
      }
      const reply = await this.get("/readyz").catch(() => undefined);
      return reply?.status === 200;
    }, () => `the gateway is ready; it wrote:\n${this.#output}`, limitMs);
  }

  /** GET from the admin address. */
  async get(pathname: string): Promise<{ status: number; body: string }> {
    const reply = await fetch(`http://127.0.0.1:${this.adminPort}${pathname}`, {
      signal: AbortSignal.timeout(GET_MS),
    });
    return { status: reply.status, body: await reply.text() };
  }

  /** The metrics page. */
  async scrape(): Promise<Scrape> {
    const { body } = await this.get("/metrics");
    return new Scrape(body);
  }

  /** Sum of a metric's samples whose labels contain every given pair. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    return (await this.scrape()).sum(name, labels);
  }

  /** Waits until every span is decided and every kept one delivered, and stays so for a moment. */
  async settled(limitMs = 20_000): Promise<void> {
    await this.#told(limitMs); // a reply may be quicker than the numbers of its commit
    let looks = 0;
    await until(async () => {
      const page = await this.scrape();
      const open = page.sum("tailrace_spans_in_flight") + page.sum("tailrace_outbox_spans");
      looks = open === 0 ? looks + 1 : 0;
      return looks === SETTLED_LOOKS;
    }, () => `every span is decided and delivered; the gateway wrote:\n${this.#output}`, limitMs);
    await this.#told(limitMs);
  }

  /** Waits until every worker has published what it did before this call. */
  async #told(limitMs: number): Promise<void> {
    const turns = async (): Promise<number[]> => {
      const { lanes } = JSON.parse((await this.get("/status")).body) as {
        lanes: { turns: number }[];
      };
      return lanes.map((lane) => lane.turns);
    };
    const before = await turns();
    await until(async () => (await turns()).every((count, lane) => {
      return count >= before[lane]! + TURNS_TOLD;
    }), "every worker has gone on", limitMs);
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
  async stop(limitMs = STOP_MS): Promise<ExitState> {
    this.signal("SIGTERM");
    return await this.ended(limitMs);
  }

  /** The end of the process, which something else began. */
  async ended(limitMs = STOP_MS): Promise<ExitState> {
    const late = new AbortController();
    const ended = await Promise.race([
      this.exited, sleep(limitMs, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    if (ended !== undefined) return ended;
    await this.kill();
    throw new Error(`the gateway did not end in ${limitMs} ms:\n${this.#output}`);
  }
}
