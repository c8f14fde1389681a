import http from "node:http";
import zlib from "node:zlib";
import type { AddressInfo } from "node:net";
import { decodeRequest, type DecodedSpan } from "./otlp-builder.ts";

/** An OTLP/HTTP backend that records every span it acknowledged. */
export class RecordingBackend {
  /** Times each span was received and acknowledged, by `traceId/spanId`. */
  readonly received = new Map<string, number>();
  readonly spans: DecodedSpan[] = [];
  /** Status to answer with; 200 records. */
  status = 200;
  headers: Record<string, string> = {};
  /** Milliseconds to wait before an answer. */
  delayMs = 0;
  requests = 0;
  lastHeaders: http.IncomingHttpHeaders = {};
  readonly #keepSpans: boolean;
  #server: http.Server | undefined;
  port = 0;

  constructor(options: { keepSpans?: boolean } = {}) {
    this.#keepSpans = options.keepSpans ?? true;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1/traces`;
  }

  /** Listens, on the port it had before when it was up already. */
  async up(): Promise<this> {
    const server = http.createServer((request, response) => this.#answer(request, response));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, "127.0.0.1", resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    return this;
  }

  /** Refuses connections and cuts those that exist. */
  async down(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  times(traceId: string, spanId: string): number {
    return this.received.get(`${traceId}/${spanId}`) ?? 0;
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      this.requests++;
      this.lastHeaders = request.headers;
      const { status, headers } = this;
      setTimeout(() => {
        if (status === 200) this.#record(request, Buffer.concat(chunks));
        response.writeHead(status, { "content-type": "application/x-protobuf", ...headers });
        response.end();
      }, this.delayMs);
    });
  }

  #record(request: http.IncomingMessage, body: Buffer): void {
    const bytes = request.headers["content-encoding"] === "gzip" ? zlib.gunzipSync(body) : body;
    for (const span of decodeRequest(bytes)) {
      const key = `${span.traceId}/${span.spanId}`;
      this.received.set(key, (this.received.get(key) ?? 0) + 1);
      if (this.#keepSpans) this.spans.push(span);
    }
  }
}
