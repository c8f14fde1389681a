import http from "node:http";
import zlib from "node:zlib";
import { onTestFinished } from "vitest";

const TAG_LENGTH_1 = 0x0a; // field 1, length-delimited: ResourceSpans of a request
const TAG_LENGTH_2 = 0x12; // field 2: ScopeSpans of a ResourceSpans, Span of a ScopeSpans
const SPAN_LEVEL = 2;

/** A span in what arrived: body[at, end) is its message. The body is the backend's own. */
export type SpanVisitor = (body: Buffer, at: number, end: number) => void;

/**
 * An OTLP/HTTP backend for more spans than objects are made for, or for stranger ones than a
 * decoder would read: hands on each span as bytes.
 */
export class RawBackend {
  spans = 0;
  /** Bytes of all bodies, inflated. */
  bytes = 0;
  /** Bodies that are not what they should be; they are answered with 400. */
  readonly faults: string[] = [];
  /** Throws when a body is not right. */
  check: ((body: Buffer) => void) | null = null;
  readonly #visit: SpanVisitor;
  readonly #server: http.Server;

  private constructor(visit: SpanVisitor) {
    this.#visit = visit;
    this.#server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const taken = this.#take(request.headers["content-encoding"], Buffer.concat(chunks));
        response.writeHead(taken ? 200 : 400).end();
      });
    });
  }

  /** Listens until the test ends. */
  static async open(visit: SpanVisitor): Promise<RawBackend> {
    const backend = new RawBackend(visit);
    await new Promise<void>((resolve) => backend.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      backend.#server.close();
      backend.#server.closeAllConnections();
    });
    return backend;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("it does not listen");
    return `http://127.0.0.1:${address.port}/v1/traces`;
  }

  #take(encoding: string | undefined, body: Buffer): boolean {
    try {
      const plain = encoding === "gzip" ? zlib.gunzipSync(body) : body;
      this.check?.(plain);
      this.#walk(plain, 0, plain.length, 0);
      this.bytes += plain.length;
      return true;
    } catch (error) {
      this.faults.push(error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  #walk(body: Buffer, from: number, end: number, level: number): void {
    const wanted = level === 0 ? TAG_LENGTH_1 : TAG_LENGTH_2;
    let at = from;
    while (at < end) {
      const field = readField(body, at, end);
      if (field.tag === wanted && level < SPAN_LEVEL) {
        this.#walk(body, field.at, field.end, level + 1);
      } else if (field.tag === wanted) {
        this.spans++;
        this.#visit(body, field.at, field.end);
      }
      at = field.end;
    }
  }
}

interface FieldPlace {
  readonly tag: number;
  readonly at: number;
  readonly end: number;
}

/** One field; a group is passed as a whole. */
function readField(body: Buffer, from: number, end: number): FieldPlace {
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (at >= end) throw new Error(`a varint passes the end at ${at}`);
      const byte = body[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const tag = varint();
  const wireType = tag % 8;
  if (wireType === 0) {
    varint();
    return { tag, at, end: at };
  }
  if (wireType === 3) {
    let inside = readField(body, at, end);
    while (inside.tag % 8 !== 4) inside = readField(body, inside.end, end);
    return { tag, at, end: inside.end };
  }
  if (wireType === 4) return { tag, at, end: at };
  const size = wireType === 1 ? 8 : wireType === 5 ? 4 : wireType === 2 ? varint() : Infinity;
  if (size > end - at) throw new Error(`field ${tag >> 3} of wire type ${wireType} at ${from}`);
  return { tag, at, end: at + size };
}
