import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFailed, onTestFinished } from "vitest";
import { RecordingBackend, RUN_HEADER } from "./backend.ts";
import { freePorts, GatewayProcess, type GatewayConfig, type Ports } from "./gateway.ts";
import { Random } from "./random.ts";
import { FATE_POLICIES, Traffic, type TrafficOptions } from "./traffic.ts";

/** What is shown of a gateway's output when its test fails. */
const OUTPUT_SHOWN = 4000;
/** With TAILRACE_KEEP=1 the directories of failed tests stay. */
const KEEP_FAILED = process.env["TAILRACE_KEEP"] === "1";

/**
 * One test's gateway, backends and clients, in a directory of its own. Everything ends with the
 * test. A gateway started again has the same directory and ports. Tests that build on each other
 * share one.
 */
export class Stage {
  readonly directory: string;
  readonly random = Random.fromEnvironment();
  /** Starts so far; the run in which a span arrived is known by it (see otlpForwarder). */
  run = 0;
  #ports: Ports | undefined;
  readonly #gateways: GatewayProcess[] = [];
  readonly #backends: RecordingBackend[] = [];
  readonly #traffic: Traffic[] = [];
  #failed = false;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Call in a test. @param directory a place for its data; a temporary one by default. */
  static open(directory?: string): Stage {
    const stage = Stage.openShared(directory);
    onTestFailed(() => stage.show());
    onTestFinished(async () => await stage.close());
    return stage;
  }

  /** For several tests: call show() when one of them failed, and close() after the last. */
  static openShared(directory?: string): Stage {
    return new Stage(directory ?? fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-e2e-")));
  }

  /** A backend that is up. */
  async backend(options: { keepSpans?: boolean } = {}): Promise<RecordingBackend> {
    const backend = new RecordingBackend(options);
    this.#backends.push(backend);
    return await backend.up();
  }

  /** Starts the gateway and waits until it is ready. */
  async start(config: GatewayConfig): Promise<GatewayProcess> {
    const gateway = await this.launch(config);
    await gateway.ready();
    return gateway;
  }

  /** As start, without waiting. */
  async launch(config: GatewayConfig): Promise<GatewayProcess> {
    this.#ports ??= await freePorts();
    return this.watch(await GatewayProcess.launch(this.directory, config, this.#ports));
  }

  /** Ends and shows a gateway that was started otherwise as one of this stage's. */
  watch(gateway: GatewayProcess): GatewayProcess {
    this.#gateways.push(gateway);
    return gateway;
  }

  /** Clients of the gateway, sending. */
  traffic(options: Partial<TrafficOptions> = {}): Traffic {
    const own = this.#ports;
    const ports = options.ports ?? (own === undefined ? undefined : () => [own.port]);
    if (ports === undefined) throw new Error("traffic starts after a gateway");
    const traffic = new Traffic({ random: this.random, ...options, ports });
    this.#traffic.push(traffic);
    return traffic.start();
  }

  /** Settings of a gateway under test: quick to decide, to retry and to end. */
  config(
    forwarders: readonly GatewayConfig[], more: GatewayConfig = {},
  ): GatewayConfig {
    return { DrainDelay: "100ms", MaxTraces: 100_000, ForwardTo: forwarders, ...more };
  }

  /** Forwards to `backend`, and says which run does. The next start is meant. */
  otlpForwarder(name: string, backend: RecordingBackend, more: GatewayConfig = {}): GatewayConfig {
    return {
      Type: "otlp", Name: name, URL: backend.url, BatchTimeout: "50ms", RetryInitial: "50ms",
      RetryMax: "500ms", Timeout: "5s", Headers: { [RUN_HEADER]: String(this.run) }, ...more,
    };
  }

  /** Stops what runs and removes the directory. */
  async close(): Promise<void> {
    await Promise.all(this.#gateways.filter((gateway) => gateway.running)
      .map(async (gateway) => await gateway.kill()));
    await Promise.all(this.#traffic.map(async (traffic) => await traffic.stop()));
    for (const backend of this.#backends) await backend.down();
    if (this.#failed && KEEP_FAILED) process.stderr.write(`its data is in ${this.directory}\n`);
    else fs.rmSync(this.directory, { recursive: true, force: true });
  }

  /** Writes the seed, and the last words of its gateways. */
  show(): void {
    this.#failed = true;
    process.stderr.write(`seed: TAILRACE_SEED=${this.random.seed}\n`);
    this.#gateways.forEach((gateway, index) => {
      process.stderr.write(
        `gateway ${index + 1} of the failed test wrote:\n${gateway.output.slice(-OUTPUT_SHOWN)}\n`);
    });
  }
}

/** A sampler that judges the traffic's traces by what their spans say. */
export function fateSampler(decisionWait: string, more: GatewayConfig = {}): GatewayConfig {
  return { DecisionWait: decisionWait, Policies: FATE_POLICIES, ...more };
}
