// What clients were told and what backends got, span by span; the promises are checked against it.

import { encodeRequest } from "../support/otlp-builder.ts";
import type { Random } from "../support/random.ts";

/** Every span says "keep me": its trace is kept whatever else is known of it. */
const KIND_KEEP = "keep";
/** One span of many says so: kept whole when that one came in time, else dropped whole. */
const KIND_MARK = "mark";
const KIND_DROP = "drop";
type TraceKind = typeof KIND_KEEP | typeof KIND_MARK | typeof KIND_DROP;

interface Trace {
  readonly id: string;
  readonly kind: TraceKind;
  readonly spans: Span[];
  /** Spans yet to come; of a marked trace the mark is among them. */
  left: number;
  markAt: number;
  /** Effective decisions, as holders carried them out. */
  readonly effects: { keep: boolean; holder: string; atMs: number }[];
}

interface Span {
  readonly id: string;
  readonly trace: Trace;
  place: string;
  isAcknowledged: boolean;
  /** By process: how often it was delivered. */
  readonly delivered: Map<string, number>;
}

/** A request with spans, as it goes into a ring. */
export interface Request {
  readonly number: number;
  readonly body: Uint8Array;
  readonly spans: readonly Span[];
}

export class Ledger {
  readonly traces: Trace[] = [];
  readonly #random: Random;
  readonly #byTrace = new Map<string, Trace>();
  readonly #bySpan = new Map<string, Span>();
  readonly #requests = new Map<number, Request>();
  #requestCount = 0;
  acknowledged = 0;
  delivered = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next request to a node: spans of a few traces that are under way, or begin. */
  nextRequest(place: string): Request {
    const spans: { span: Span; isMarked: boolean }[] = [];
    const count = 1 + this.#random.below(3);
    for (let index = 0; index < count; index++) {
      const open = this.traces.slice(-12).filter(({ left }) => left > 0);
      const trace = open.length > 0 && this.#random.chance(0.75)
        ? open[this.#random.below(open.length)]! : this.#begin();
      const some = 1 + this.#random.below(Math.min(2, trace.left));
      for (let each = 0; each < some; each++) spans.push(this.#add(trace, place));
    }
    const body = encodeRequest([{
      resource: { "service.name": "sim" },
      spans: spans.map(({ span, isMarked }) => ({
        traceId: span.trace.id, spanId: span.id, parentSpanId: "00000000000000ff", name: "work",
        kind: 1, startNs: 1_700_000_000_000_000_000n, endNs: 1_700_000_000_001_000_000n,
        attributes: isMarked ? { wanted: "yes" } : { other: "no" },
      })),
    }]);
    const request = { number: ++this.#requestCount, body, spans: spans.map(({ span }) => span) };
    this.#requests.set(request.number, request);
    return request;
  }

  #begin(): Trace {
    const kind = ([KIND_KEEP, KIND_MARK, KIND_MARK, KIND_DROP] as const)[this.#random.below(4)]!;
    const left = 2 + this.#random.below(7);
    const trace: Trace = {
      id: this.#random.hex(16), kind, spans: [], left, markAt: this.#random.below(left),
      effects: [],
    };
    this.traces.push(trace);
    this.#byTrace.set(trace.id, trace);
    return trace;
  }

  #add(trace: Trace, place: string): { span: Span; isMarked: boolean } {
    const span: Span = {
      id: this.#random.hex(8), trace, place, isAcknowledged: false, delivered: new Map(),
    };
    const isMarked = trace.kind === KIND_KEEP
      || (trace.kind === KIND_MARK && trace.spans.length === trace.markAt);
    trace.spans.push(span);
    trace.left--;
    this.#bySpan.set(span.id, span);
    return { span, isMarked };
  }

  /** A completion said that everything of it is stored. */
  acknowledge(number: number): void {
    for (const span of this.#requests.get(number)?.spans ?? []) {
      if (!span.isAcknowledged) this.acknowledged++;
      span.isAcknowledged = true;
    }
  }

  /** A backend got a span from a process. @returns a fault, or null. */
  deliver(spanId: string, incarnation: string): string | null {
    const span = this.#bySpan.get(spanId);
    if (span === undefined) return `span ${spanId} was never sent`;
    if (span.trace.kind === KIND_DROP) return `trace ${span.trace.id} is to be dropped, and came`;
    const times = (span.delivered.get(incarnation) ?? 0) + 1;
    span.delivered.set(incarnation, times);
    this.delivered++;
    return times === 1 ? null : `span ${spanId} came twice from ${incarnation}`;
  }

  /** A holder carried out a decision on a part that waited for it. @returns a fault, or null. */
  effect(traceId: string, keep: boolean, holder: string, atMs: number): string | null {
    const trace = this.#byTrace.get(traceId);
    if (trace === undefined) return `trace ${traceId} was never sent`;
    trace.effects.push({ keep, holder, atMs });
    // Seen by what is delivered.
    if (trace.kind !== KIND_MARK) return null;
    return trace.effects.some((other) => other.keep !== keep)
      ? `two decisions on ${trace.kind} trace ${traceId}: ${JSON.stringify(trace.effects)}` : null;
  }

  /**
   * @param gone places whose disks are lost.
   * @param disagreed traces that need not be whole.
   * @returns faults, when all has settled.
   */
  faults(gone: ReadonlySet<string>, disagreed: ReadonlySet<string>): string[] {
    const faults: string[] = [];
    for (const trace of this.traces) {
      const held = trace.spans.filter(({ isAcknowledged, place }) => {
        return isAcknowledged && !gone.has(place);
      });
      const came = held.filter(({ delivered }) => delivered.size > 0);
      if (trace.kind === KIND_KEEP && came.length < held.length) {
        const lost = held.filter((span) => !came.includes(span)).map(({ place }) => place);
        faults.push(`trace ${trace.id}: ${lost.length} acknowledged spans lost at ${lost}`);
      }
      if (trace.kind !== KIND_MARK || disagreed.has(trace.id)) continue;
      if (came.length !== 0 && came.length !== held.length) {
        faults.push(`trace ${trace.id}: ${came.length} of ${held.length} came: `
          + JSON.stringify(trace.effects));
      }
    }
    return faults;
  }
}
