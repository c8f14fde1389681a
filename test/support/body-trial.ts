import { expect } from "vitest";
import type { GatewayConfig, GatewayProcess } from "./gateway.ts";
import { oracleScan } from "./otlp-oracle.ts";
import { RawBackend } from "./raw-backend.ts";
import { type Answer, inParallel, RawClient, textOf } from "./raw-client.ts";
import type { Stage } from "./stage.ts";
import { until } from "./until.ts";

const CONNECTIONS = 8;
const FAULTS_MAX = 10;
const BYTES_SHOWN = 200;
const GRPC_INVALID_ARGUMENT = 3;

/**
 * Offers bodies, whatever they are, to a gateway that forwards everything. The oracle says what
 * must be answered to each and which spans must arrive, byte by byte, and no others.
 */
export class BodyTrial {
  readonly gateway: GatewayProcess;
  readonly client: RawClient;
  readonly #backend: RawBackend;
  /** Spans as bytes, and how many of each are to arrive; arrivals are subtracted. */
  readonly #owed: Map<string, number>;
  readonly #faults: string[] = [];
  accepted = 0;
  refused = 0;
  #spans = 0;
  #refusedSpans = 0;

  private constructor(gateway: GatewayProcess, backend: RawBackend, owed: Map<string, number>) {
    this.gateway = gateway;
    this.client = new RawClient(gateway.port, CONNECTIONS);
    this.#backend = backend;
    this.#owed = owed;
  }

  static async open(stage: Stage, more: GatewayConfig = {}): Promise<BodyTrial> {
    const owed = new Map<string, number>();
    const backend = await RawBackend.open((body, at, end) => add(owed, body.subarray(at, end), -1));
    backend.check = (body) => expect(oracleScan(body), "what arrives can be read").not.toBeNull();
    const gateway = await stage.start(stage.config([{
      Type: "otlp", Name: "all", URL: backend.url, BatchTimeout: "20ms", BatchBytes: "64KiB",
    }], more));
    return new BodyTrial(gateway, backend, owed);
  }

  /** Offers them all, several at a time. */
  async offer(bodies: Iterable<Uint8Array>): Promise<void> {
    await inParallel(bodies, CONNECTIONS, async (body) => {
      this.judge(body, await this.client.send({ body }));
    });
  }

  /** Notes what the oracle says about a body, and what is wrong with the answer to it. */
  judge(body: Uint8Array, answer: Answer): void {
    const expected = oracleScan(body);
    const text = textOf(answer);
    if (expected === null) {
      this.refused++;
      const right = answer.status === 400 && text.code === GRPC_INVALID_ARGUMENT
        && text.message.startsWith("malformed body: ");
      if (!right) this.#fault(body, answer, "400 and why");
      return;
    }
    this.accepted++;
    this.#spans += expected.spans.length;
    this.#refusedSpans += expected.refusedSpans;
    for (const span of expected.spans) add(this.#owed, span.bytes, 1);
    const right = answer.status === 200 && text.rejectedSpans === expected.refusedSpans
      && (text.message !== "") === (expected.refusedSpans > 0);
    if (!right) this.#fault(body, answer, `200 and ${expected.refusedSpans} rejected spans`);
  }

  /** Waits for what is owed; then nothing was answered, taken, lost or counted wrongly. */
  async close(): Promise<void> {
    this.client.close();
    await until(async () => {
      return await this.gateway.metric("tailrace_spans_received_total") >= this.#spans;
    }, "what was acknowledged is counted");
    await this.gateway.settled();
    const page = await this.gateway.scrape();
    expect(this.#faults).toEqual([]);
    expect(this.#backend.faults).toEqual([]);
    const wrong = [...this.#owed].filter(([, count]) => count !== 0);
    expect(wrong.slice(0, FAULTS_MAX).map(([span, count]) =>
      `${count > 0 ? `${count} times missing` : `${-count} times too many`}: ${span}`)).toEqual([]);
    expect({
      received: page.sum("tailrace_spans_received_total"),
      refused: page.sum("tailrace_spans_refused_total", { reason: "invalid_id" }),
      malformed: page.sum("tailrace_requests_refused_total", { reason: "malformed" }),
      lost: page.sum("tailrace_kept_spans_lost_total"),
      difference: page.sum("tailrace_balance_difference_spans"),
    }).toEqual({
      received: this.#spans, refused: this.#refusedSpans, malformed: this.refused,
      lost: 0, difference: 0,
    });
    expect(this.gateway.running).toBe(true);
  }

  #fault(body: Uint8Array, answer: Answer, expected: string): void {
    if (this.#faults.length === FAULTS_MAX) return;
    this.#faults.push(`${answer.status} ${JSON.stringify(textOf(answer))} in place of ${expected} `
      + `to ${body.length} bytes: ${Buffer.from(body).toString("hex").slice(0, BYTES_SHOWN)}`);
  }
}

function add(counts: Map<string, number>, span: Uint8Array, count: number): void {
  const key = Buffer.from(span).toString("hex");
  const sum = (counts.get(key) ?? 0) + count;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
