// The adapter of Node's own HTTP server, plain or with TLS. Its parser is strict: two readers
// cannot disagree where a request ends. What a client does wrong before there is a request is
// answered here, 400, 408 or 431, and ends the connection; nothing of it can end the process.

import { createServer as createPlainServer, type Server as PlainServer } from "node:http";
import type { IncomingMessage, ServerOptions, ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { REQUEST_BAD_HTTP, REQUEST_TLS, REQUEST_UNAVAILABLE } from "../telemetry/label-values.ts";
import {
  HANDSHAKE_MS_MAX, HEADER_BYTES_MAX, HEADERS_CHECK_MS, HEADERS_MS_MAX, PIPELINED_MAX,
  SILENCE_MS_MAX,
} from "./door-limits.ts";
import type { DoorListener } from "./door-listener.ts";
import type { EngineContext, HttpEngine, OpenListener } from "./http-engine.ts";
import { NodeConnection } from "./node-connection.ts";
import { NodeExchange } from "./node-exchange.ts";
import { portFault } from "./port-fault.ts";
import { phraseOf } from "./reply.ts";
import { RequestHeaders } from "./request-headers.ts";
import type { TlsFiles } from "./tls-files.ts";
import { TlsRenewal } from "./tls-renewal.ts";

const HTTP_OPTIONS: ServerOptions = {
  insecureHTTPParser: false,
  maxHeaderSize: HEADER_BYTES_MAX,
  keepAliveTimeout: SILENCE_MS_MAX,
  headersTimeout: HEADERS_MS_MAX,
  requestTimeout: 0, // the core ends slow bodies
  connectionsCheckingInterval: HEADERS_CHECK_MS,
  noDelay: true,
};

/** What the parser's faults are answered with; all others with 400. */
const STATUS_OF_FAULT: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408,
};
/** The client is gone, some of them in the middle of a request: nobody is there to answer. */
const NO_CLIENT = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "HPE_INVALID_EOF_STATE"]);

/** Node's HTTP server, a server for each listener. */
export class NodeEngine implements HttpEngine {
  readonly name = "node";
  private readonly context: EngineContext;

  constructor(context: EngineContext) {
    this.context = context;
  }

  async open(listener: DoorListener): Promise<OpenListener> {
    const { name, host, port } = listener.options;
    const opened = new OpenNodeListener(this.context, listener);
    try {
      await opened.listen(host, port);
    } catch (error) {
      await opened.close();
      throw portFault(name, host, port, (error as NodeJS.ErrnoException).code ?? String(error));
    }
    return opened;
  }
}

class OpenNodeListener implements OpenListener {
  private readonly context: EngineContext;
  private readonly listener: DoorListener;
  private readonly server: PlainServer | TlsServer;
  private readonly renewal: TlsRenewal | null = null;
  private readonly headers = new RequestHeaders();
  /** Every TCP connection, those within a TLS handshake included. */
  private readonly sockets = new Set<Socket>();
  /** By the socket that HTTP is spoken on. */
  private readonly connections = new WeakMap<Socket, NodeConnection>();
  private listening = false;
  port = 0;

  constructor(context: EngineContext, listener: DoorListener) {
    this.context = context;
    this.listener = listener;
    const { tls } = listener;
    if (tls === null) {
      this.server = createPlainServer(HTTP_OPTIONS);
      this.server.on("connection", (socket) => this.onHttp(socket));
    } else {
      const server = createTlsServer({ ...HTTP_OPTIONS, ...tlsOptions(tls) });
      server.on("secureConnection", (socket) => this.onHttp(socket));
      server.on("tlsClientError", (_error, socket) => {
        context.core.countEngineRefusal(0, REQUEST_TLS);
        socket.destroy();
      });
      this.server = server;
      this.renewal = new TlsRenewal(listener, tls, context.dependencies, (material) => {
        server.setSecureContext(material.context);
      });
    }
    this.attach();
  }

  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen({ host, port, exclusive: true }, () => {
        this.server.off("error", reject);
        resolve();
      });
    });
    this.listening = true;
    this.port = (this.server.address() as AddressInfo).port; // a TCP server that listens has one
    this.server.on("error", (error) => this.context.report(error, "callback"));
    this.renewal?.start();
  }

  stopListening(): void {
    this.renewal?.stop();
    if (!this.listening) return;
    this.listening = false;
    // Not that of http: it ends idle connections, whose next request would meet a reset, not a 503.
    NetServer.prototype.close.call(this.server);
  }

  async close(): Promise<void> {
    this.stopListening();
    const ended = [...this.sockets].map(async (socket) => {
      await new Promise<void>((resolve) => { socket.once("close", () => resolve()); });
    });
    for (const socket of this.sockets) socket.destroy();
    this.server.closeAllConnections();
    this.server.close(() => {}); // ends http's own timer; it does not listen any more
    await Promise.all(ended);
  }

  private attach(): void {
    const { server } = this;
    server.timeout = SILENCE_MS_MAX;
    server.maxHeadersCount = 0; // HEADER_BYTES_MAX bounds them; none may be dropped unseen
    server.on("connection", (socket) => this.onTcp(socket));
    server.on("request", (request, response) => this.onRequest(request, response, false));
    server.on("checkContinue", (request, response) => this.onRequest(request, response, true));
    server.on("checkExpectation", (request, response) => {
      this.onRequest(request, response, false); // an expectation that we do not know is no fault
    });
    server.on("clientError", (error, socket) => this.onClientError(error, socket as Socket));
    server.on("timeout", (socket) => this.onSilence(socket));
  }

  private onTcp(socket: Socket): void {
    const { connections } = this.context;
    this.sockets.add(socket);
    socket.once("close", () => {
      this.sockets.delete(socket);
      connections.leave();
    });
    if (!connections.enter()) socket.destroy();
  }

  private onHttp(socket: Socket): void {
    this.connections.set(socket, new NodeConnection(socket));
  }

  private onRequest(
    request: IncomingMessage, response: ServerResponse, expectsContinue: boolean,
  ): void {
    try {
      const connection = this.connections.get(request.socket);
      // The parser goes on to the end of a packet, whatever became of the connection meanwhile.
      if (connection === undefined || request.socket.destroyed) return;
      if (connection.closing) {
        request.resume();
        return;
      }
      if (connection.openCount >= PIPELINED_MAX) {
        this.context.core.countEngineRefusal(0, REQUEST_UNAVAILABLE);
        connection.destroy();
        return;
      }
      const exchange = new NodeExchange(
        this.context, this.listener, connection, request, response,
      );
      exchange.begin(this.headers, expectsContinue);
    } catch (error) {
      this.context.report(error, "callback");
      request.socket.destroy();
    }
  }

  private onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    try {
      const { code = "" } = error;
      const connection = this.connections.get(socket);
      if (NO_CLIENT.has(code) || connection === undefined || !connection.mayAnswer) {
        socket.destroy();
        return;
      }
      const status = STATUS_OF_FAULT[code] ?? 400;
      this.context.core.countEngineRefusal(status, REQUEST_BAD_HTTP);
      connection.abandon();
      socket.end(`HTTP/1.1 ${status} ${phraseOf(status)}\r\nConnection: close\r\n`
        + "Content-Length: 0\r\n\r\n", () => socket.destroy());
    } catch (fault) {
      this.context.report(fault, "callback");
      socket.destroy();
    }
  }

  /** Nothing came and nothing left for a while. */
  private onSilence(socket: Socket): void {
    if (this.connections.get(socket)?.waitsForLanes !== true) socket.destroy();
  }
}

function tlsOptions(tls: TlsFiles): object {
  return {
    ...tls.material.context,
    requestCert: tls.asksForCertificates,
    rejectUnauthorized: tls.asksForCertificates,
    handshakeTimeout: HANDSHAKE_MS_MAX,
    ALPNProtocols: ["http/1.1"],
  };
}
