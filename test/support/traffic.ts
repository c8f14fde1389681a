import http from "node:http";
import { encodeRequest, type SpanInput } from "./otlp-builder.ts";
import type { Random } from "./random.ts";

/** What a span should end as: decided by an attribute that every span of its trace carries. */
export type Fate = "keep" | "drop";

export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly fate: Fate;
}

interface OpenTrace {
  readonly traceId: string;
  readonly fate: Fate;
  bodiesLeft: number;
}

/**
 * A client that keeps several requests in flight, spreads each trace over at least four bodies and
 * remembers which spans were acknowledged. A body is sent once: what was not answered with 200 has
 * an unknown fate and is only checked for not being received twice within one attempt.
 */
export class Traffic {
  readonly acknowledged: SentSpan[] = [];
  readonly unanswered: SentSpan[] = [];
  refused = 0;
  readonly #random: Random;
  readonly #agent: http.Agent;
  readonly #ports: () => readonly number[];
  readonly #connections: number;
  readonly #spansPerBody: number;
  #open: OpenTrace[] = [];
  #running = false;
  #workers: Promise<void>[] = [];

  constructor(options: {
    random: Random; ports: () => readonly number[]; connections?: number; spansPerBody?: number;
  }) {
    this.#random = options.random;
    this.#ports = options.ports;
    this.#connections = options.connections ?? 8;
    this.#spansPerBody = options.spansPerBody ?? 20;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: this.#connections });
  }

  start(): void {
    this.#running = true;
    this.#workers = Array.from({ length: this.#connections }, async () => await this.#work());
  }

  /** Stops and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
    this.#agent.destroy();
  }

  async #work(): Promise<void> {
    while (this.#running) {
      const spans = this.#nextSpans();
      const status = await this.#post(encodeRequest([{
        resource: { "service.name": "traffic" }, scope: { name: "test", version: "1" },
        spans: spans.map((span) => this.#spanInput(span)),
      }]));
      if (status === 200) this.acknowledged.push(...spans);
      else {
        if (status !== 0) this.refused++;
        this.unanswered.push(...spans);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  #nextSpans(): SentSpan[] {
    const spans: SentSpan[] = [];
    for (let index = 0; index < this.#spansPerBody; index++) {
      if (this.#open.length < this.#spansPerBody * 2) {
        this.#open.push({
          traceId: this.#random.hex(16), fate: this.#random.chance(0.3) ? "keep" : "drop",
          bodiesLeft: 4 + this.#random.below(3),
        });
      }
      const at = this.#random.below(this.#open.length);
      const trace = this.#open[at]!;
      spans.push({ traceId: trace.traceId, spanId: this.#random.hex(8), fate: trace.fate });
      trace.bodiesLeft--;
      if (trace.bodiesLeft === 0) this.#open.splice(at, 1);
    }
    return spans;
  }

  #spanInput(span: SentSpan): SpanInput {
    const start = BigInt(Date.now()) * 1_000_000n;
    return {
      traceId: span.traceId, spanId: span.spanId, parentSpanId: "00000000000000aa",
      name: "work", kind: 2, startNs: start, endNs: start + 1_000_000n,
      attributes: { "test.fate": span.fate, "http.request.method": "GET" },
    };
  }

  async #post(body: Uint8Array): Promise<number> {
    const ports = this.#ports();
    const port = ports[this.#random.below(ports.length)]!;
    return await new Promise((resolve) => {
      const request = http.request({
        agent: this.#agent, host: "127.0.0.1", port, method: "POST", path: "/v1/traces",
        headers: { "content-type": "application/x-protobuf", "content-length": body.length },
      }, (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode ?? 0));
        response.once("error", () => resolve(0));
      });
      request.once("error", () => resolve(0));
      request.setTimeout(20_000, () => request.destroy());
      request.end(body);
    });
  }
}
