import http from "node:http";
import zlib from "node:zlib";
import { decodeRequest, type DecodedSpan } from "./otlp-builder.ts";
import { freePort } from "./ports.ts";

/** Header in which a test's forwarder says which run of the gateway sends. */
export const RUN_HEADER = "x-run";

/** An OTLP/HTTP backend that records every span it acknowledged. */
export class RecordingBackend {
  /** Times each span was received and acknowledged, by `traceId/spanId`. */
  readonly received = new Map<string, number>();
  /** The same by what RUN_HEADER said; "" without it. */
  readonly receivedByRun = new Map<string, Map<string, number>>();
  readonly spans: DecodedSpan[] = [];
  /** Status to answer with; 200 records. */
  status = 200;
  headers: Record<string, string> = {};
  /** Milliseconds to wait before an answer. */
  delayMs = 0;
  /** Status for a request by what is in it, where `status` would let it pass. */
  judge: (spans: readonly DecodedSpan[]) => number = () => 200;
  /** Takes requests and never answers them. */
  hangs = false;
  /** Requests that arrived whole, whatever became of them. */
  requests = 0;
  lastHeaders: http.IncomingHttpHeaders = {};
  readonly #keepSpans: boolean;
  #server: http.Server | undefined;
  port = 0;

  constructor(options: { keepSpans?: boolean } = {}) {
    this.#keepSpans = options.keepSpans ?? false;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1/traces`;
  }

  /** Listens, always on the same port; nothing happens when it is up. */
  async up(): Promise<this> {
    if (this.#server !== undefined) return this;
    if (this.port === 0) this.port = await freePort();
    const server = http.createServer((request, response) => this.#answer(request, response));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, "127.0.0.1", resolve);
    });
    return this;
  }

  /**
   * Refuses connections from now on. Requests under way are answered first, so that no attempt has
   * an unknown outcome; those that hang are cut.
   */
  async down(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    if (this.hangs) server.closeAllConnections();
    await closed;
  }

  /** Begins anew: of what came before nothing is known. */
  forget(): void {
    this.received.clear();
    this.receivedByRun.clear();
    this.spans.length = 0;
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
      if (this.hangs) return;
      const body = Buffer.concat(chunks);
      const { status: given, headers } = this;
      setTimeout(() => {
        const status = given === 200 ? this.#take(request.headers, body) : given;
        // A connection that goes on would keep a server that is on its way down.
        const connection = this.#server === undefined ? { connection: "close" } : {};
        response.writeHead(status,
          { "content-type": "application/x-protobuf", ...headers, ...connection });
        response.end();
      }, this.delayMs);
    });
  }

  /** Records the spans of a request, unless it is refused. @returns the status of the answer. */
  #take(headers: http.IncomingHttpHeaders, body: Buffer): number {
    const bytes = headers["content-encoding"] === "gzip" ? zlib.gunzipSync(body) : body;
    const spans = decodeRequest(bytes);
    const status = this.judge(spans);
    if (status !== 200) return status;
    const run = String(headers[RUN_HEADER] ?? "");
    let ofRun = this.receivedByRun.get(run);
    if (ofRun === undefined) this.receivedByRun.set(run, ofRun = new Map());
    for (const span of spans) {
      const key = `${span.traceId}/${span.spanId}`;
      this.received.set(key, (this.received.get(key) ?? 0) + 1);
      ofRun.set(key, (ofRun.get(key) ?? 0) + 1);
      if (this.#keepSpans) this.spans.push(span);
    }
    return status;
  }
}
