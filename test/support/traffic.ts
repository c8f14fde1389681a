import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import { encodeRequest, type SpanInput } from "./otlp-builder.ts";
import type { Random } from "./random.ts";

/**
 * What a trace should end as. Every span of a "keep" or "drop" trace says so; of a "mark" trace at
 * most one span says that it must be kept: whichever way it goes, all its spans must go together.
 */
export type Fate = "keep" | "drop" | "mark";

/** Policies of a sampler that treats the traffic's traces as their spans say. */
export const FATE_POLICIES = [
  { name: "fate", type: "string_attribute", string_attribute: {
    key: "test.fate", values: ["keep"],
  } },
  { name: "mark", type: "boolean_attribute", boolean_attribute: {
    key: "test.mark", value: true,
  } },
];

export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly fate: Fate;
  readonly marked: boolean;
}

/** Name of a span in what a backend received. */
export function spanKey(span: { readonly traceId: string; readonly spanId: string }): string {
  return `${span.traceId}/${span.spanId}`;
}

export interface TrafficOptions {
  readonly random: Random;
  /** Ports of the gateways to send to, in any order. */
  readonly ports: () => readonly number[];
  readonly connections?: number;
  readonly spansPerBody?: number;
  readonly spansPerSecond?: number;
  /** Characters of an attribute that makes spans larger. */
  readonly padding?: number;
}

interface OpenTrace {
  readonly traceId: string;
  readonly fate: Fate;
  /** Which of its spans carries the mark. */
  readonly markAt: number;
  sent: number;
  spansLeft: number;
}

const RETRY_MS = 10;
/** Traces that spans are taken from at random: a trace is spread over several bodies. */
const OPEN_PER_SPAN = 2;
/** Traces that live for seconds, so that their last spans come after their decision. */
const LINGERING = 8;
const LINGERING_SPANS = 40;

/**
 * A client that keeps several requests in flight, spreads each trace over several bodies and
 * remembers which spans were acknowledged. A body is sent once: what was not answered with 200 has
 * an unknown fate.
 */
export class Traffic {
  readonly acknowledged: SentSpan[] = [];
  readonly unanswered: SentSpan[] = [];
  /** Answers by status; 0 = none. */
  readonly answers = new Map<number, number>();
  readonly #options: TrafficOptions;
  /** Longest time from a request to its answer. */
  slowestMs = 0;
  /** 503s without a Retry-After: none may come. */
  impatient = 0;
  readonly #random: Random;
  readonly #agent: http.Agent;
  readonly #connections: number;
  readonly #spansPerBody: number;
  /** Between the begins of two bodies of one connection. */
  readonly #periodMs: number;
  readonly #padding: string;
  readonly #open: OpenTrace[] = [];
  readonly #lingering: OpenTrace[] = [];
  #running = false;
  #workers: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#random = options.random;
    this.#connections = options.connections ?? 8;
    this.#spansPerBody = options.spansPerBody ?? 20;
    this.#periodMs =
      1000 * this.#connections * this.#spansPerBody / (options.spansPerSecond ?? 4000);
    this.#padding = this.#random.hex(Math.ceil((options.padding ?? 0) / 2));
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: this.#connections });
  }

  start(): this {
    this.#running = true;
    this.#workers = Array.from({ length: this.#connections }, async () => await this.#work());
    return this;
  }

  /** Stops and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
    this.#agent.destroy();
  }

  /** Answers with this status so far. */
  answersWith(status: number): number {
    return this.answers.get(status) ?? 0;
  }

  async #work(): Promise<void> {
    while (this.#running) {
      const beganMs = performance.now();
      const spans = this.#nextSpans();
      const status = await this.#post(spans);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - beganMs);
      this.answers.set(status, this.answersWith(status) + 1);
      if (status === 200) this.acknowledged.push(...spans);
      else {
        this.unanswered.push(...spans);
        await sleep(RETRY_MS);
      }
      await sleep(Math.max(0, this.#periodMs - (performance.now() - beganMs)));
    }
  }

  #nextSpans(): SentSpan[] {
    const most = this.#spansPerBody * OPEN_PER_SPAN;
    const spans: SentSpan[] = [];
    for (let index = 0; index < this.#spansPerBody; index++) {
      if (this.#random.chance(0.02)) {
        spans.push(this.#nextSpan(this.#lingering, LINGERING, LINGERING_SPANS));
      } else {
        spans.push(this.#nextSpan(this.#open, most, 4 + this.#random.below(3)));
      }
    }
    return spans;
  }

  /** The next span of one of `traces`, which are kept at `count`. */
  #nextSpan(traces: OpenTrace[], count: number, spansOfNew: number): SentSpan {
    if (traces.length < count) traces.push(this.#newTrace(spansOfNew));
    const at = this.#random.below(traces.length);
    const trace = traces[at]!;
    const marked = trace.fate === "mark" && trace.sent === trace.markAt;
    trace.sent++;
    trace.spansLeft--;
    if (trace.spansLeft === 0) traces.splice(at, 1);
    return { traceId: trace.traceId, spanId: this.#random.hex(8), fate: trace.fate, marked };
  }

  #newTrace(spans: number): OpenTrace {
    const fate = this.#random.chance(0.3) ? "keep" : this.#random.chance(0.5) ? "mark" : "drop";
    return {
      traceId: this.#random.hex(16), fate, markAt: this.#random.below(spans + 1),
      sent: 0, spansLeft: spans,
    };
  }

  async #post(spans: readonly SentSpan[]): Promise<number> {
    const plain = encodeSpans(spans, this.#padding);
    const packed = this.#random.chance(0.25);
    const body = packed ? zlib.gzipSync(plain, { level: 1 }) : plain;
    const ports = this.#options.ports();
    const port = ports[this.#random.below(ports.length)]!;
    const { status, headers } = await exchange(port, body, { agent: this.#agent, gzip: packed });
    if (status === 503 && headers["retry-after"] === undefined) this.impatient++;
    return status;
  }
}

/** POSTs spans in one body of their own. @returns the answer's status; 0 when there was none. */
export async function postSpans(port: number, spans: readonly SentSpan[]): Promise<number> {
  return await post(port, encodeSpans(spans, ""));
}

/** A body with these spans. @param padding text that makes each of them larger. */
export function encodeSpans(spans: readonly SentSpan[], padding: string): Uint8Array {
  return encodeRequest([{
    resource: { "service.name": "traffic" }, scope: { name: "test", version: "1" },
    spans: spans.map((span) => spanInput(span, padding)),
  }]);
}

function spanInput(span: SentSpan, padding: string): SpanInput {
  const start = BigInt(Date.now()) * 1_000_000n;
  return {
    traceId: span.traceId, spanId: span.spanId, parentSpanId: "00000000000000aa",
    name: "work", kind: 2, startNs: start, endNs: start + 1_000_000n,
    attributes: {
      "test.fate": span.fate, "http.request.method": "GET",
      ...(span.marked ? { "test.mark": true } : {}),
      ...(padding === "" ? {} : { padding }),
    },
  };
}

const POST_MS_MAX = 20_000;

interface PostOptions {
  readonly agent?: http.Agent;
  readonly gzip?: boolean;
}

/** POSTs one OTLP body. @returns the answer's status; 0 when there was none. */
export async function post(
  port: number, body: Uint8Array, options: PostOptions = {},
): Promise<number> {
  return (await exchange(port, body, options)).status;
}

/** POSTs one OTLP body. @returns status and headers of the answer; status 0 when there was none. */
export async function exchange(
  port: number, body: Uint8Array, options: PostOptions = {},
): Promise<{ status: number; headers: http.IncomingHttpHeaders }> {
  return await new Promise((resolve) => {
    const none = (): void => resolve({ status: 0, headers: {} });
    const request = http.request({
      agent: options.agent ?? false, host: "127.0.0.1", port, method: "POST", path: "/v1/traces",
      headers: {
        "content-type": "application/x-protobuf", "content-length": body.length,
        ...(options.gzip === true ? { "content-encoding": "gzip" } : {}),
      },
    }, (response) => {
      const { statusCode: status = 0, headers } = response;
      response.resume();
      response.once("end", () => resolve({ status, headers }));
      response.once("error", none);
    });
    request.once("error", none);
    request.setTimeout(POST_MS_MAX, () => request.destroy());
    request.end(body);
  });
}
