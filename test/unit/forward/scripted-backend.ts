import http from "node:http";
import type { AddressInfo } from "node:net";
import zlib from "node:zlib";
import { decodeRequest } from "../../support/otlp-builder.ts";

/** What to do with one request. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: Buffer;
  delayMs?: number;
  /** Never answer. */
  hang?: boolean;
  /** Cut the connection after the body was read. */
  reset?: boolean;
}

/** A request as it arrived, its body inflated. */
export interface Received {
  readonly headers: http.IncomingHttpHeaders;
  readonly path: string;
  readonly wireBytes: number;
  readonly body: Buffer;
  readonly atMs: number;
}

/** A real HTTP server that answers by script. */
export class ScriptedBackend {
  readonly received: Received[] = [];
  /** Spans of requests answered with 2xx, by span id. */
  readonly acknowledged = new Map<string, number>();
  answer: (request: Received, index: number) => Answer = () => ({});
  readonly #server: http.Server;
  readonly #port: number;

  private constructor(server: http.Server) {
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    server.on("request", (request, response) => void this.#take(request, response));
  }

  static async start(port = 0): Promise<ScriptedBackend> {
    const server = http.createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return new ScriptedBackend(server);
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1/traces`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    request.on("error", () => chunks.splice(0)); // the client gave up: nothing to answer
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => request.once("close", resolve));
    if (!request.complete) return;
    const raw = Buffer.concat(chunks);
    const zipped = request.headers["content-encoding"] === "gzip";
    const received = {
      headers: request.headers, path: request.url ?? "", wireBytes: raw.length,
      body: zipped ? zlib.gunzipSync(raw) : raw, atMs: performance.now(),
    };
    this.received.push(received);
    const answer = this.answer(received, this.received.length - 1);
    if (answer.hang === true) return;
    if (answer.reset === true) return void request.socket.destroy();
    if (answer.delayMs !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, answer.delayMs));
    }
    const status = answer.status ?? 200;
    if (status < 300) this.#acknowledge(received.body);
    response.writeHead(status, { "content-type": "application/x-protobuf", ...answer.headers });
    response.end(answer.body);
  }

  #acknowledge(body: Buffer): void {
    for (const { spanId } of decodeRequest(body)) {
      this.acknowledged.set(spanId, (this.acknowledged.get(spanId) ?? 0) + 1);
    }
  }
}
