// The front door: listeners on one or two HTTP engines, one core for all of them, and the pump that
// answers what the lanes completed. It lives in the main thread.
//
// uWebSockets.js serves plain listeners, where it has a binary for this Node.js and system. TLS
// listeners are always served by Node's own server: our version of uWebSockets.js can neither take
// a new certificate while it runs nor insist on a client's.

import { LISTENERS_MAX } from "../../config/settings.ts";
import { assert } from "../base/assert.ts";
import { ConnectionGate } from "./connection-gate.ts";
import { DoorCore } from "./door-core.ts";
import { DoorListener } from "./door-listener.ts";
import { SWEEP_MS } from "./door-limits.ts";
import type {
  FailureSource, FrontDoor, FrontDoorDependencies, FrontDoorOptions,
} from "./front-door.ts";
import type {
  EngineContext, EngineName, Exchange, HttpEngine, OpenListener,
} from "./http-engine.ts";
import { NodeEngine } from "./node-engine.ts";
import type { Reply } from "./reply.ts";

const NO_BINARY = "uWebSockets.js cannot be loaded on this Node.js or system: listeners are served "
  + "by Node's own HTTP server, which takes fewer requests a second";

/** How the uws engine is loaded; tests put something else in its place. */
export type LoadUws = () => Promise<{ UwsEngine: new (context: EngineContext) => HttpEngine }>;

const loadUwsEngine: LoadUws = async () => await import("./uws-engine.ts");

interface Served {
  readonly listener: DoorListener;
  readonly engine: EngineName;
  readonly open: OpenListener;
}

/** A front door. @throws GatewayError CONFIG_INVALID when a listener's TLS files are no use. */
export class Door implements FrontDoor {
  private readonly core: DoorCore<Exchange>;
  private readonly dependencies: FrontDoorDependencies;
  private readonly context: EngineContext;
  private readonly listeners: readonly DoorListener[];
  private readonly engineName: EngineName;
  private readonly loadUws: LoadUws;
  private readonly served: Served[] = [];
  private readonly sendReply: (exchange: Exchange, reply: Reply) => void;
  private closed = false;
  private pump: Promise<void> | null = null;
  private sweptMs: number;

  constructor(
    options: FrontDoorOptions, dependencies: FrontDoorDependencies, loadUws = loadUwsEngine,
  ) {
    assert(options.listeners.length <= LISTENERS_MAX, "listeners are bounded by the settings");
    this.listeners = options.listeners.map((each, number) => new DoorListener(each, number));
    this.engineName = options.engine;
    this.loadUws = loadUws;
    this.core = new DoorCore(options, dependencies);
    this.dependencies = dependencies;
    this.context = {
      core: this.core, dependencies,
      connections: new ConnectionGate(options.limits.connectionsMax, dependencies.counters),
      report: (error, source) => this.report(error, source),
    };
    this.sweptMs = dependencies.clock.monotonicMs();
    this.sendReply = (exchange, reply) => exchange.send(reply);
  }

  async listen(): Promise<void> {
    assert(this.pump === null, "a door listens once");
    const node = new NodeEngine(this.context);
    const isPlain = this.listeners.some((listener) => listener.tls === null);
    const plain = isPlain && this.engineName === "uws" ? await this.uwsOr(node) : node;
    try {
      for (const listener of this.listeners) {
        const engine = listener.tls === null ? plain : node;
        const open = await engine.open(listener);
        this.served.push({ listener, engine: engine.name, open });
      }
    } catch (error) {
      await this.closeListeners();
      throw error;
    }
    this.pump = this.pumpCompletions();
  }

  port(listener: string): number {
    return this.find(listener).open.port;
  }

  engineOf(listener: string): EngineName {
    return this.find(listener).engine;
  }

  drainCompletions(): number {
    return this.core.drainCompletions(this.sendReply);
  }

  beginDrain(): void {
    this.dependencies.health.draining = true;
  }

  stopListening(): void {
    this.core.refusing = true;
    for (const { open } of this.served) open.stopListening();
  }

  inFlight(): number {
    return this.core.table.taken;
  }

  unfinishedBytes(): number {
    return this.core.memory.heldBytes;
  }

  idle(): Promise<void> {
    return this.core.idle();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.closeListeners();
    this.dependencies.wake.wake();
    await this.pump;
  }

  private find(listener: string): Served {
    const found = this.served.find((each) => each.listener.options.name === listener);
    assert(found !== undefined, "an open listener has this name");
    return found;
  }

  private async closeListeners(): Promise<void> {
    await Promise.all(this.served.map(async ({ open }) => await open.close()));
  }

  private async uwsOr(other: HttpEngine): Promise<HttpEngine> {
    try {
      const { UwsEngine } = await this.loadUws();
      return new UwsEngine(this.context);
    } catch (error) {
      this.dependencies.log("warn", NO_BINARY, {
        node: process.version, platform: `${process.platform}-${process.arch}`,
        error: firstLine(error),
      });
      return other;
    }
  }

  /** Counts and tells. An onFailure that throws itself must not end the process: it is counted. */
  private report(error: unknown, source: FailureSource): void {
    const { counters, onFailure } = this.dependencies;
    counters.failures++;
    try {
      onFailure(error, source);
    } catch {
      counters.failures++;
    }
  }

  private async pumpCompletions(): Promise<void> {
    const { wake, clock, onTurn } = this.dependencies;
    while (!this.closed) {
      const snapshot = wake.snapshot();
      try {
        this.drainCompletions();
        if (clock.monotonicMs() - this.sweptMs >= SWEEP_MS) {
          this.sweptMs = clock.monotonicMs();
          this.core.expire(this.sendReply);
        }
        onTurn();
      } catch (error) {
        this.report(error, "completions");
      }
      await wake.waitAsync(snapshot, SWEEP_MS);
    }
  }
}

/** Loaders explain themselves over many lines; the first says what is missing. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}
