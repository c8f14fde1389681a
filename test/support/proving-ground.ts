import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { GatewayConfig, GatewayProcess } from "./gateway.ts";
import { type NumberedBody, NumberedSpans } from "./numbered-spans.ts";
import { ProtoWriter } from "./proto-wire.ts";
import { RawBackend } from "./raw-backend.ts";
import { RawClient } from "./raw-client.ts";
import type { Scrape } from "./scrape.ts";
import type { Stage } from "./stage.ts";
import { until } from "./until.ts";

const CONNECTIONS = 8;
const STEADY_MS = 5;
const STEADY_SPANS = 10;
const SETTLED_MS = 40_000;
/** A field of a span that nobody knows: filling for spans of a certain size. */
const FILLING_FIELD = 1000;

export interface GroundOptions {
  /** Most spans that will be made. */
  readonly spansMax: number;
  readonly config?: GatewayConfig;
  /** Of the one forwarder; every span is forwarded without. */
  readonly sampler?: GatewayConfig;
}

/** A request body made here, and which spans are in it. */
export interface MadeBody {
  readonly bytes: Buffer;
  readonly from: number;
  readonly count: number;
}

/**
 * A gateway under attack, a backend that knows every span by its number, and clients that send
 * good bodies meanwhile. In the end what was owed has arrived, and nothing else.
 */
export class ProvingGround {
  readonly gateway: GatewayProcess;
  readonly client: RawClient;
  readonly spans: NumberedSpans;
  readonly backend: RawBackend;
  readonly #owed: MadeBody[] = [];
  readonly #allowed: MadeBody[] = [];
  #spansOwed = 0;
  #made = 0;
  #steady: { stop: boolean; worstMs: number; done: Promise<void> } | null = null;

  private constructor(gateway: GatewayProcess, spans: NumberedSpans, backend: RawBackend) {
    this.gateway = gateway;
    this.spans = spans;
    this.backend = backend;
    this.client = new RawClient(gateway.port, CONNECTIONS);
  }

  static async open(stage: Stage, options: GroundOptions): Promise<ProvingGround> {
    const spans = new NumberedSpans(stage.random, options.spansMax);
    const backend = await RawBackend.open(spans.visit);
    const sampler = options.sampler === undefined ? {} : { TraceSample: options.sampler };
    const gateway = await stage.start(stage.config([
      { Type: "otlp", Name: "backend", URL: backend.url, BatchTimeout: "20ms", ...sampler },
    ], options.config));
    return new ProvingGround(gateway, spans, backend);
  }

  /** A body of new spans, one trace each unless `more` says otherwise. */
  body(count = 1, more: Partial<NumberedBody> = {}): MadeBody {
    const from = this.#made;
    this.#made += count;
    const bytes = this.spans.encode({ from, count, traceOf: (span) => span, ...more });
    return { from, count, bytes };
  }

  /** A body of one new span and of exactly that size: of zeros, or of what gzip halves at best. */
  bodyOf(bytes: number, filled: "zeros" | "noise"): MadeBody {
    const filling = filled === "noise" ? noise(bytes) : Buffer.alloc(bytes);
    let size = bytes;
    for (let attempt = 0; attempt < 4; attempt++) {
      const rest = new ProtoWriter().bytes(FILLING_FIELD, filling.subarray(0, size)).build();
      const made = this.body(1, { rest });
      if (made.bytes.length === bytes) return made;
      this.#made--;
      size -= made.bytes.length - bytes;
    }
    throw new Error(`no body has ${bytes} bytes`);
  }

  /** These spans are to arrive. */
  owe(body: MadeBody): void {
    this.#owed.push(body);
    this.#spansOwed += body.count;
  }

  /** These may arrive, all or none: nobody knows whether the body was taken. */
  allow(body: MadeBody): void {
    this.#allowed.push(body);
  }

  /** Sends a body that is to be accepted whole. */
  async send(body: MadeBody): Promise<void> {
    this.owe(body);
    expect(await this.client.post(body.bytes)).toBe(200);
  }

  /** From now on good requests are sent one after the other, and must be served. */
  beginSteady(): void {
    const steady = { stop: false, worstMs: 0, done: Promise.resolve() };
    steady.done = (async () => {
      const client = new RawClient(this.gateway.port, 1);
      while (!steady.stop) {
        const body = this.body(STEADY_SPANS);
        this.owe(body);
        const beganMs = performance.now();
        expect(await client.post(body.bytes), "good requests are served").toBe(200);
        steady.worstMs = Math.max(steady.worstMs, performance.now() - beganMs);
        await sleep(STEADY_MS);
      }
      client.close();
    })();
    this.#steady = steady;
  }

  /** @returns how long a good request took at worst, ms. */
  async endSteady(): Promise<number> {
    const steady = this.#steady;
    if (steady === null) return 0;
    this.#steady = null;
    steady.stop = true;
    await steady.done;
    return steady.worstMs;
  }

  /** Waits until what is owed was counted, decided and delivered. @returns the metrics then. */
  async settled(limitMs = SETTLED_MS): Promise<Scrape> {
    // A turn's counters are published after its answers.
    await until(async () => {
      return await this.gateway.metric("tailrace_spans_received_total") >= this.#spansOwed;
    }, () => `${this.#spansOwed} spans are counted`, limitMs);
    await this.gateway.settled(limitMs);
    return await this.gateway.scrape();
  }

  /** Everything owed arrived once, nothing else did, and the books close. */
  async close(): Promise<Scrape> {
    await this.endSteady();
    this.client.close();
    const page = await this.settled();
    expect(this.backend.faults).toEqual([]);
    expect(this.spans.strangers).toBe(0);
    for (const { from, count } of this.#owed) {
      expect(this.spans.arrived(from, from + count)).toEqual({ never: 0, once: count, more: 0 });
    }
    let spans = this.#spansOwed;
    for (const { from, count } of this.#allowed) {
      const found = this.spans.arrived(from, from + count);
      expect([{ never: count, once: 0, more: 0 }, { never: 0, once: count, more: 0 }])
        .toContainEqual(found);
      spans += found.once;
    }
    expect(this.backend.spans).toBe(spans);
    expect(page.sum("tailrace_spans_received_total")).toBe(spans);
    expect(page.sum("tailrace_spans_lost_total")).toBe(0);
    expect(page.sum("tailrace_kept_spans_lost_total")).toBe(0);
    for (const { labels, value } of page.samples("tailrace_balance_difference_spans")) {
      expect([labels, value]).toEqual([labels, 0]);
    }
    expect(this.gateway.running).toBe(true);
    return page;
  }

  /** Memory of the process that files do not back, bytes. */
  memoryBytes(): number {
    const status = fs.readFileSync(`/proc/${this.gateway.pid}/status`, "utf8");
    let bytes = 0;
    for (const [, kib] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)) {
      bytes += Number(kib) * 1024;
    }
    return bytes;
  }
}

function noise(bytes: number): Buffer {
  const filling = Buffer.alloc(bytes);
  let state = 1;
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    filling[at] = state >>> 28; // half a byte of noise in each
  }
  return filling;
}
