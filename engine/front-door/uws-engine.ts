// The adapter of uWebSockets.js. It must live in the main thread: a worker that ends while a uws
// app is open aborts the process. Only door.ts imports it, when a listener needs it: loading it
// ends in an error where uWebSockets.js has no binary. What is peculiar to uws, and how it is met:
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
import { ANSWERED } from "./door-core.ts";
import { DISCARD_BYTES_MAX } from "./door-limits.ts";
import type { DoorListener } from "./door-listener.ts";
import {
  type EngineContext, type Exchange, type HttpEngine, type OpenListener, originHeaders,
} from "./http-engine.ts";
import { askSystemCode, portFault } from "./port-fault.ts";
import { CLOSE_ASKED, CLOSE_NEVER, CLOSE_NOW } from "./refusals.ts";
import type { Reply } from "./reply.ts";
import { RequestHeaders } from "./request-headers.ts";

const NO_SLOT = -1;

/** One request to uws and its slot in the core. */
class UwsExchange implements Exchange {
  readonly response: HttpResponse;
  readonly listener: DoorListener;
  /** HEAD: the reply has headers only. */
  bodyless: boolean;
  slot: number;
  /** The response may be touched. */
  open: boolean;
  /** Nothing of the request is still to come. */
  complete: boolean;
  /** More of the body is to come than is worth reading, whatever the answer is. */
  tooLong: boolean;
  /** Access-Control-Allow-Origin of its answer, or "". */
  allowOrigin: string;
  private readonly engine: UwsEngine;

  constructor(response: HttpResponse, listener: DoorListener, engine: UwsEngine) {
    this.response = response;
    this.listener = listener;
    this.bodyless = false;
    this.slot = NO_SLOT;
    this.open = true;
    this.complete = false;
    this.tooLong = false;
    this.allowOrigin = "";
    this.engine = engine;
  }

  send(reply: Reply): void {
    this.engine.send(this, reply);
  }
}

/** uWebSockets.js. One per process, in the main thread. */
export class UwsEngine implements HttpEngine {
  readonly name = "uws";
  private readonly context: EngineContext;
  private readonly headers = new RequestHeaders();
  private readonly addHeader: (name: string, value: string) => void;
  private readonly writeCorked: () => void;
  /** What writeCorked writes: cork takes a function without arguments, so one serves all. */
  private corkedExchange: UwsExchange | null = null;
  private corkedReply: Reply | null = null;

  constructor(context: EngineContext) {
    this.context = context;
    this.addHeader = (name, value) => this.headers.add(name, value);
    this.writeCorked = () => this.writeReply();
  }

  async open(listener: DoorListener): Promise<OpenListener> {
    const { name, host, port } = listener.options;
    const app = uWS.App();
    app.filter((response, count) => this.onConnection(response, count));
    app.any("/*", (response, request) => this.onRequest(listener, response, request));
    const socket = await new Promise<us_listen_socket | false>((resolve) => {
      app.listen(host, port, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, resolve);
    });
    if (socket !== false) return new OpenUwsListener(app, socket);
    app.close();
    throw portFault(name, host, port, await askSystemCode(host, port));
  }

  /** Writes a whole reply in one packet. Afterwards the response is dead. Does not throw. */
  send(exchange: UwsExchange, reply: Reply): void {
    if (!exchange.open) return;
    this.corkedExchange = exchange;
    this.corkedReply = reply;
    try {
      exchange.response.cork(this.writeCorked);
    } catch (error) {
      exchange.open = false;
      this.context.report(error, "callback");
    }
    this.corkedExchange = null;
    this.corkedReply = null;
  }

  private onConnection(response: HttpResponse, count: number): void {
    const { connections } = this.context;
    try {
      if (count < 0) connections.leave();
      else if (!connections.enter()) response.close();
    } catch (error) {
      this.context.report(error, "callback");
    }
  }

  private onRequest(
    listener: DoorListener, response: HttpResponse, request: HttpRequest,
  ): void {
    const exchange = new UwsExchange(response, listener, this);
    try {
      response.onAborted(() => this.onAborted(exchange));
      response.onData((chunk, isLast) => this.onChunk(exchange, chunk, isLast));
      const method = request.getCaseSensitiveMethod();
      exchange.bodyless = method === "HEAD";
      this.headers.reset();
      request.forEach(this.addHeader);
      const { core } = this.context;
      const slot = core.begin(listener, method, request.getUrl(), this.headers, exchange);
      exchange.allowOrigin = core.allowOrigin;
      if (slot !== ANSWERED) {
        exchange.slot = slot;
        return;
      }
      exchange.complete = !this.headers.hasBody();
      exchange.tooLong = this.headers.contentLength > DISCARD_BYTES_MAX;
      this.send(exchange, core.reply);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  private onChunk(exchange: UwsExchange, chunk: ArrayBuffer, isLast: boolean): void {
    const { core, dependencies } = this.context;
    try {
      if (!exchange.open) {
        dependencies.counters.discardedBytes += chunk.byteLength;
        return;
      }
      exchange.complete = isLast;
      const reply = core.bodyChunk(exchange.slot, new Uint8Array(chunk), isLast);
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
      if (slot !== NO_SLOT) this.context.core.abort(slot);
    } catch (error) {
      this.context.report(error, "callback");
    }
  }

  /** Runs inside cork, where a throw would be lost in native code: it is caught here. */
  private writeReply(): void {
    const exchange = this.corkedExchange;
    const reply = this.corkedReply;
    if (exchange === null || reply === null) return;
    const { response } = exchange;
    const close = this.closeOf(exchange, reply);
    try {
      response.writeStatus(reply.status);
      if (reply.contentType !== "") response.writeHeader("Content-Type", reply.contentType);
      writeHeaders(response, reply.headers);
      writeHeaders(response, exchange.listener.headers);
      if (exchange.allowOrigin !== "") writeHeaders(response, originHeaders(exchange.allowOrigin));
      if (close === CLOSE_ASKED) response.writeHeader("Connection", "close");
      exchange.open = false;
      response.end(exchange.bodyless ? "" : reply.body, close === CLOSE_NOW);
    } catch (error) {
      exchange.open = false;
      this.context.report(error, "callback");
    }
  }

  /** While draining every reply ends its connection; not before the client has sent its body. */
  private closeOf(exchange: UwsExchange, reply: Reply): number {
    if (exchange.tooLong) return CLOSE_NOW;
    const { draining } = this.context.dependencies.health;
    const close = draining && reply.close === CLOSE_NEVER ? CLOSE_ASKED : reply.close;
    return close === CLOSE_ASKED && exchange.complete ? CLOSE_NOW : close;
  }

  /** After a bug in a callback: the request is answered 500 or, if that fails too, cut off. */
  private fail(exchange: UwsExchange, error: unknown): void {
    const { core, report } = this.context;
    report(error, "callback");
    try {
      const { slot } = exchange;
      exchange.slot = NO_SLOT;
      if (slot !== NO_SLOT) core.abandon(slot);
      if (exchange.open) this.send(exchange, core.internalError(exchange.listener));
    } catch (second) {
      report(second, "callback");
    }
  }
}

class OpenUwsListener implements OpenListener {
  readonly port: number;
  private readonly app: TemplatedApp;
  /** Null once it is closed. */
  private socket: us_listen_socket | null;

  constructor(app: TemplatedApp, socket: us_listen_socket) {
    this.app = app;
    this.socket = socket;
    this.port = uWS.us_socket_local_port(socket);
  }

  stopListening(): void {
    if (this.socket !== null) uWS.us_listen_socket_close(this.socket);
    this.socket = null;
  }

  close(): Promise<void> {
    this.app.close();
    return Promise.resolve();
  }
}

function writeHeaders(response: HttpResponse, headers: readonly string[]): void {
  for (let at = 0; at < headers.length; at += 2) {
    response.writeHeader(headers[at]!, headers[at + 1]!); // names and values in turn
  }
}
