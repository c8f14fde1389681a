// HTTP clients for tests that look at answers closely, or that send what no client would.

import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { readFields } from "./proto-wire.ts";

const ANSWER_MS_MAX = 30_000;
const PROTOBUF = "application/x-protobuf";

/** What a request is made of; a path of spans and a POST unless said otherwise. */
export interface RequestInput {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Sent one by one with Transfer-Encoding: chunked, in place of the body. */
  readonly chunks?: Iterable<Uint8Array>;
}

/** An answer as it came; status 0 when there was none. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The text of a google.rpc.Status, or of the partial success of an OTLP response. */
export interface AnswerText {
  readonly code: number;
  readonly message: string;
  readonly rejectedSpans: number;
}

const NO_ANSWER: Answer = { status: 0, headers: {}, body: Buffer.alloc(0) };

/** A client of one gateway that keeps its connections. */
export class RawClient {
  readonly #port: number;
  readonly #agent: http.Agent;

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Sends one request. Resolves always: without an answer, with status 0. */
  async send(input: RequestInput): Promise<Answer> {
    return await new Promise((resolve) => {
      const request = http.request({
        agent: this.#agent, host: "127.0.0.1", port: this.#port,
        method: input.method ?? "POST", path: input.path ?? "/v1/traces",
        headers: {
          "content-type": PROTOBUF,
          ...(input.body === undefined ? {} : { "content-length": String(input.body.length) }),
          ...input.headers,
        },
      }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", () => resolve(NO_ANSWER));
        response.once("end", () => resolve({
          status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks),
        }));
      });
      request.once("error", () => resolve(NO_ANSWER));
      request.setTimeout(ANSWER_MS_MAX, () => request.destroy());
      for (const chunk of input.chunks ?? []) request.write(chunk);
      request.end(input.body);
    });
  }

  /** Status of a POST of one plain body. */
  async post(body: Uint8Array): Promise<number> {
    return (await this.send({ body })).status;
  }
}

/** What the body of an answer says. Throws when it is not the protobuf that it should be. */
export function textOf(answer: Answer): AnswerText {
  const fields = readFields(answer.body);
  if (answer.status !== 200) {
    const message = fields.find(({ field }) => field === 2)?.bytes;
    const code = fields.find(({ field }) => field === 1)?.number ?? 0n;
    return { code: Number(code), message: Buffer.from(message ?? []).toString(), rejectedSpans: 0 };
  }
  const partial = readFields(fields.find(({ field }) => field === 1)?.bytes ?? new Uint8Array());
  const rejected = partial.find(({ field }) => field === 1)?.number ?? 0n;
  const message = partial.find(({ field }) => field === 2)?.bytes;
  return {
    code: 0, message: Buffer.from(message ?? []).toString(), rejectedSpans: Number(rejected),
  };
}

/** Runs `work` for each item, `width` at a time, in order. */
export async function inParallel<Item>(
  items: Iterable<Item>, width: number, work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  await Promise.all(Array.from({ length: width }, async () => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      await work(next.value);
    }
  }));
}

/** A bare connection: what is written is up to the test, what comes back is kept. */
export class RawConnection {
  readonly #socket: net.Socket;
  #received = Buffer.alloc(0);
  /** The other side ended it, or it broke. */
  ended = false;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    socket.on("error", () => { this.ended = true; });
    socket.on("end", () => { this.ended = true; });
    socket.on("close", () => { this.ended = true; });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = net.connect(port, "127.0.0.1");
    const connection = new RawConnection(socket);
    await new Promise<void>((resolve) => {
      socket.once("connect", resolve);
      socket.once("error", () => resolve());
    });
    return connection;
  }

  write(...pieces: (string | Uint8Array)[]): void {
    for (const piece of pieces) this.#socket.write(piece);
  }

  /** Ends it as a client that goes away. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  get text(): string {
    return this.#received.toString("latin1");
  }

  /** Status codes of the answers so far. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code));
  }

  /** Waits until that many answers came or the connection ended; the statuses there are then. */
  async answers(count: number, limitMs = 5_000): Promise<number[]> {
    const end = Date.now() + limitMs;
    while (this.statuses.length < count && !this.ended && Date.now() < end) await sleep(2);
    return this.statuses;
  }
}

/** Head of a POST with these further header lines. */
export function headOf(lines: readonly string[], method = "POST", path = "/v1/traces"): string {
  return [
    `${method} ${path} HTTP/1.1`, "Host: gateway", `Content-Type: ${PROTOBUF}`, ...lines, "", "",
  ].join("\r\n");
}
