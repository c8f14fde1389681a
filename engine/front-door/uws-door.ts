// The front door on uWebSockets.js. It must live in the main thread: a worker that ends while a uws
// app is open aborts the process. What is peculiar to uws, and how it is met here:
//
// - a response is dead after end and after onAborted; touching it then throws. `UwsExchange.open`.
// - a chunk is detached when its callback returns: it is copied inside.
// - body callbacks go on after end until the body is over: what still comes is counted and dropped.
// - a throw in a callback ends the process or hangs the request: every callback catches.
// - a handler that returns without an abort handler aborts the process: it is attached first.
// - it takes two Content-Length headers and any transfer coding: checked in admission.
// - a second request before the first is answered ends the connection: onAborted.
// - endWithoutBody leaves the response open: HEAD is answered by an empty end.

import "./uws-environment.ts";
import * as uWS from "uWebSockets.js";
import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { assert } from "../base/assert.ts";
import { ANSWERED, DoorCore } from "./door-core.ts";
import { SWEEP_MS } from "./door-limits.ts";
import type {
  FailureSource, FrontDoor, FrontDoorDependencies, FrontDoorOptions, ListenerOptions,
} from "./front-door.ts";
import { portFault } from "./port-fault.ts";
import { CLOSE_ASKED, CLOSE_NEVER, CLOSE_NOW } from "./refusals.ts";
import { REQUEST_CONNECTIONS } from "../telemetry/label-values.ts";
import type { Reply } from "./replies.ts";
import { RequestHeaders } from "./request-headers.ts";
import type { Route } from "./routes.ts";

const NO_SLOT = -1;

/** One request to uws and its slot in the core. */
class UwsExchange {
  readonly response: HttpResponse;
  /** HEAD: the reply has headers only. */
  bodyless: boolean;
  slot: number;
  /** The response may be touched. */
  open: boolean;
  /** Nothing of the request is still to come. */
  complete: boolean;

  constructor(response: HttpResponse) {
    this.response = response;
    this.bodyless = false;
    this.slot = NO_SLOT;
    this.open = true;
    this.complete = false;
  }
}

interface OpenListener {
  readonly options: ListenerOptions;
  readonly app: TemplatedApp;
  /** Null once it is closed. */
  socket: us_listen_socket | null;
  readonly port: number;
}

/** A front door on uWebSockets.js. One per process, in the main thread. */
export class UwsDoor implements FrontDoor {
  private readonly core: DoorCore<UwsExchange>;
  private readonly options: FrontDoorOptions;
  private readonly dependencies: FrontDoorDependencies;
  private readonly headers = new RequestHeaders();
  private readonly listeners: OpenListener[] = [];
  private readonly addHeader: (name: string, value: string) => void;
  private readonly sendReply: (exchange: UwsExchange, reply: Reply) => void;
  private readonly writeCorked: () => void;
  /** What writeCorked writes: cork takes a function without arguments, so one serves all. */
  private corkedExchange: UwsExchange | null = null;
  private corkedReply: Reply | null = null;
  private closed = false;
  private connections = 0;
  private pump: Promise<void> | null = null;
  private sweptMs: number;

  constructor(options: FrontDoorOptions, dependencies: FrontDoorDependencies) {
    this.core = new DoorCore(options, dependencies);
    this.options = options;
    this.dependencies = dependencies;
    this.sweptMs = dependencies.clock.monotonicMs();
    this.addHeader = (name, value) => this.headers.add(name, value);
    this.sendReply = (exchange, reply) => this.send(exchange, reply);
    this.writeCorked = () => this.writeReply();
  }

  async listen(): Promise<void> {
    assert(this.pump === null, "a door listens once");
    for (const listener of this.options.listeners) {
      if (await this.open(listener)) continue;
      for (const opened of this.listeners.splice(0)) opened.app.close();
      throw await portFault(listener.name, listener.host, listener.port);
    }
    this.pump = this.pumpCompletions();
  }

  port(listener: string): number {
    const found = this.listeners.find((opened) => opened.options.name === listener);
    assert(found !== undefined, "an open listener has this name");
    return found.port;
  }

  drainCompletions(): number {
    return this.core.drainCompletions(this.sendReply);
  }

  beginDrain(): void {
    this.dependencies.health.draining = true;
  }

  stopListening(): void {
    this.core.refusing = true;
    for (const listener of this.listeners) {
      if (listener.socket !== null) uWS.us_listen_socket_close(listener.socket);
      listener.socket = null;
    }
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
    for (const listener of this.listeners) listener.app.close();
    this.dependencies.wake.wake();
    await this.pump;
  }

  private open(options: ListenerOptions): Promise<boolean> {
    const routes = new Map(options.routes.map((route) => [route.path, route]));
    const app = uWS.App();
    app.filter((response, count) => this.onConnection(response, count));
    app.any("/*", (response, request) => this.onRequest(routes, response, request));
    return new Promise((resolve) => {
      const exclusive = uWS.LIBUS_LISTEN_EXCLUSIVE_PORT;
      app.listen(options.host, options.port, exclusive, (socket) => {
        if (socket !== false) {
          const port = uWS.us_socket_local_port(socket);
          this.listeners.push({ options, app, socket, port });
        }
        resolve(socket !== false);
      });
    });
  }

  /** Beyond the limit a connection ends at once: descriptors are what the log needs to work. */
  private onConnection(response: HttpResponse, count: number): void {
    this.connections += count;
    if (count < 0 || this.connections <= this.options.limits.connectionsMax) return;
    const { refused } = this.dependencies.counters;
    refused[REQUEST_CONNECTIONS] = refused[REQUEST_CONNECTIONS]! + 1; // an index of the table
    response.close();
  }

  private onRequest(
    routes: ReadonlyMap<string, Route>, response: HttpResponse, request: HttpRequest,
  ): void {
    const exchange = new UwsExchange(response);
    try {
      response.onAborted(() => this.onAborted(exchange));
      response.onData((chunk, isLast) => this.onChunk(exchange, chunk, isLast));
      const method = request.getCaseSensitiveMethod();
      exchange.bodyless = method === "HEAD";
      this.headers.reset();
      request.forEach(this.addHeader);
      const slot = this.core.begin(routes, method, request.getUrl(), this.headers, exchange);
      if (slot !== ANSWERED) {
        exchange.slot = slot;
        return;
      }
      exchange.complete = !this.headers.hasBody();
      this.send(exchange, this.core.reply);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  private onChunk(exchange: UwsExchange, chunk: ArrayBuffer, isLast: boolean): void {
    try {
      if (!exchange.open) {
        this.dependencies.counters.discardedBytes += chunk.byteLength;
        return;
      }
      exchange.complete = isLast;
      const reply = this.core.bodyChunk(exchange.slot, new Uint8Array(chunk), isLast);
      if (reply === null) return;
      exchange.slot = NO_SLOT;
      this.send(exchange, reply);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  private onAborted(exchange: UwsExchange): void {
    if (!exchange.open) return;
    exchange.open = false;
    try {
      const { slot } = exchange;
      exchange.slot = NO_SLOT;
      if (slot !== NO_SLOT) this.core.abort(slot);
    } catch (error) {
      this.report(error, "callback");
    }
  }

  /** Writes a whole reply in one packet. Afterwards the response is dead. Does not throw. */
  private send(exchange: UwsExchange, reply: Reply): void {
    if (!exchange.open) return;
    this.corkedExchange = exchange;
    this.corkedReply = reply;
    try {
      exchange.response.cork(this.writeCorked);
    } catch (error) {
      exchange.open = false;
      this.report(error, "callback");
    }
    this.corkedExchange = null;
    this.corkedReply = null;
  }

  /** Runs inside cork, where a throw would be lost in native code: it is caught here. */
  private writeReply(): void {
    const exchange = this.corkedExchange;
    const reply = this.corkedReply;
    if (exchange === null || reply === null) return;
    const { response } = exchange;
    const close = this.closeOf(exchange, reply);
    try {
      response.writeStatus(reply.status).writeHeader("Content-Type", reply.contentType);
      if (reply.retryAfter !== "") response.writeHeader("Retry-After", reply.retryAfter);
      if (reply.allow !== "") response.writeHeader("Allow", reply.allow);
      if (close === CLOSE_ASKED) response.writeHeader("Connection", "close");
      exchange.open = false;
      response.end(exchange.bodyless ? "" : reply.body, close === CLOSE_NOW);
    } catch (error) {
      exchange.open = false;
      this.report(error, "callback");
    }
  }

  /** While draining every reply ends its connection; not before the client has sent its body. */
  private closeOf(exchange: UwsExchange, reply: Reply): number {
    const draining = this.dependencies.health.draining;
    const close = draining && reply.close === CLOSE_NEVER ? CLOSE_ASKED : reply.close;
    return close === CLOSE_ASKED && exchange.complete ? CLOSE_NOW : close;
  }

  /** After a bug in a callback: the request is answered 500 or, if that fails too, cut off. */
  private fail(exchange: UwsExchange, error: unknown): void {
    this.report(error, "callback");
    try {
      const { slot } = exchange;
      exchange.slot = NO_SLOT;
      if (slot !== NO_SLOT) this.core.abandon(slot);
      if (exchange.open) this.send(exchange, this.core.internalError());
    } catch (second) {
      this.report(second, "callback");
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
