// One request to Node's HTTP server, and its slot in the core. What is peculiar to Node, and how it
// is met here:
//
// - a body that nobody reads is buffered and then stalls its connection: it is always read; what
//   comes after the answer is counted and dropped, up to a bound.
// - a response that ends its connection does so at once, and the client may lose the answer to a
//   body that it still sends: such a response ends when the body has.
// - a refused request with Expect: 100-continue ends its connection by itself, unread.

import type { IncomingMessage, ServerResponse } from "node:http";
import { ANSWERED } from "./door-core.ts";
import { DISCARD_BYTES_MAX, HEADER_BYTES_MAX } from "./door-limits.ts";
import type { DoorListener } from "./door-listener.ts";
import { type EngineContext, type Exchange, originHeaders } from "./http-engine.ts";
import type { NodeConnection } from "./node-connection.ts";
import { CLOSE_ASKED, CLOSE_NEVER, CLOSE_NOW, REFUSE_HEADERS } from "./refusals.ts";
import type { Reply } from "./reply.ts";
import type { RequestHeaders } from "./request-headers.ts";

const NO_SLOT = -1;
const NO_BYTES = new Uint8Array(0);
/** Of the request line besides method and target, with the empty line at the end. */
const REQUEST_LINE_BYTES = "  HTTP/1.1\r\n\r\n".length;
const HEADER_LINE_BYTES = ": \r\n".length;

/** A request from its headers to its answer. */
export class NodeExchange implements Exchange {
  /** Nothing of the request is still to come. */
  complete = false;
  /** It was not answered, and its client is there. */
  open = true;
  private readonly context: EngineContext;
  private readonly listener: DoorListener;
  private readonly connection: NodeConnection;
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private slot = NO_SLOT;
  private allowOrigin = "";
  /** Content-Length, below 0 without. */
  private announcedBytes = -1;
  private receivedBytes = 0;
  private discardedBytes = 0;

  constructor(
    context: EngineContext, listener: DoorListener, connection: NodeConnection,
    request: IncomingMessage, response: ServerResponse,
  ) {
    this.context = context;
    this.listener = listener;
    this.connection = connection;
    this.request = request;
    this.response = response;
  }

  /** The parser has seen the end of the request. */
  get ended(): boolean {
    return this.request.complete;
  }

  /** The headers are here. @param headers an object to read them into. */
  begin(headers: RequestHeaders, expectsContinue: boolean): void {
    const { request, response, context: { core } } = this;
    this.connection.begin(this);
    // Faults of a connection end it, and its end ends the exchange: nothing is left to do then.
    request.on("error", () => {});
    response.on("error", () => {});
    request.on("data", (chunk: Buffer) => this.onChunk(chunk));
    request.on("end", () => this.onEnd());
    try {
      const { method = "" } = request;
      if (readHeaders(request, headers) > HEADER_BYTES_MAX) {
        this.send(core.refuse(this.listener, headers, REFUSE_HEADERS));
        return;
      }
      const slot = core.begin(this.listener, method, pathOf(request.url ?? ""), headers, this);
      this.allowOrigin = core.allowOrigin;
      this.announcedBytes = headers.contentLength;
      if (slot !== ANSWERED) {
        this.slot = slot;
        if (expectsContinue) response.writeContinue();
        return;
      }
      this.complete = !headers.hasBody();
      this.send(core.reply);
    } catch (error) {
      this.fail(error);
    }
  }

  send(reply: Reply): void {
    if (!this.open) return;
    const { response, request, listener } = this;
    const close = this.closeOf(reply);
    this.open = false;
    this.slot = NO_SLOT;
    try {
      const headers = [...reply.headers, ...listener.headers, ...originHeaders(this.allowOrigin)];
      if (reply.contentType !== "") {
        headers.push("Content-Type", reply.contentType, "Content-Length", String(reply.bodyBytes));
      }
      if (close !== CLOSE_NEVER) headers.push("Connection", "close");
      response.writeHead(reply.code, reply.phrase, headers);
      const body = request.method === "HEAD" ? "" : reply.body;
      if (close === CLOSE_ASKED) {
        // The whole answer leaves now; that it is over, and the connection with it, later.
        if (body.length > 0) response.write(body);
        else response.flushHeaders();
      } else {
        response.end(body);
      }
      this.connection.answered(this, close !== CLOSE_NEVER);
    } catch (error) {
      this.context.report(error, "callback");
      this.connection.destroy();
    }
  }

  /** The connection has ended: there is nobody to answer. Does not throw. */
  abort(): void {
    if (!this.open) return;
    this.open = false;
    const { slot } = this;
    this.slot = NO_SLOT;
    try {
      if (slot !== NO_SLOT) this.context.core.abort(slot);
    } catch (error) {
      this.context.report(error, "callback");
    }
  }

  /** As abort, of a request whose fault was counted already. */
  abandon(): void {
    this.open = false;
    const { slot } = this;
    this.slot = NO_SLOT;
    if (slot !== NO_SLOT) this.context.core.abandon(slot);
  }

  private onChunk(chunk: Buffer): void {
    try {
      if (!this.open) {
        this.discard(chunk.length);
        return;
      }
      this.receivedBytes += chunk.length;
      this.takeBody(chunk, this.receivedBytes === this.announcedBytes);
    } catch (error) {
      this.fail(error);
    }
  }

  private onEnd(): void {
    try {
      if (this.open && !this.complete) this.takeBody(NO_BYTES, true);
      else if (!this.response.writableEnded && !this.open) this.response.end();
    } catch (error) {
      this.fail(error);
    }
  }

  private takeBody(chunk: Uint8Array, isLast: boolean): void {
    this.complete = isLast;
    const reply = this.context.core.bodyChunk(this.slot, chunk, isLast);
    if (reply !== null) this.send(reply);
  }

  private discard(bytes: number): void {
    this.context.dependencies.counters.discardedBytes += bytes;
    this.discardedBytes += bytes;
    if (this.discardedBytes > DISCARD_BYTES_MAX) this.connection.destroy();
  }

  /**
   * While draining every reply ends its connection; not before the client has sent its body and got
   * the answers that are due.
   */
  private closeOf(reply: Reply): number {
    if (!this.complete && this.announcedBytes > DISCARD_BYTES_MAX) return CLOSE_NOW;
    const draining = this.context.dependencies.health.draining && this.connection.openCount === 1;
    const close = draining && reply.close === CLOSE_NEVER ? CLOSE_ASKED : reply.close;
    return close === CLOSE_ASKED && this.complete ? CLOSE_NOW : close;
  }

  /** After a bug in a callback: the request is answered 500 or, if that fails too, cut off. */
  private fail(error: unknown): void {
    const { core, report } = this.context;
    report(error, "callback");
    try {
      const { slot } = this;
      this.slot = NO_SLOT;
      if (slot !== NO_SLOT) core.abandon(slot);
      if (this.open) this.send(core.internalError(this.listener));
    } catch (second) {
      report(second, "callback");
    }
  }
}

/**
 * Reads the headers of a request.
 * @returns bytes of its head: the parser's own bound leaves out everything between the values.
 */
function readHeaders(request: IncomingMessage, headers: RequestHeaders): number {
  const { rawHeaders, method = "", url = "" } = request;
  let bytes = method.length + url.length + REQUEST_LINE_BYTES;
  headers.reset();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!; // names and values in turn
    const value = rawHeaders[at + 1]!;
    bytes += name.length + value.length + HEADER_LINE_BYTES;
    headers.add(name.toLowerCase(), value);
  }
  return bytes;
}

/** A request target without its query. */
function pathOf(target: string): string {
  const queryAt = target.indexOf("?");
  return queryAt < 0 ? target : target.slice(0, queryAt);
}
