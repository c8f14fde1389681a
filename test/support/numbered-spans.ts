// Spans by number, as small as spans can be: bodies of tens of thousands of them are made quickly,
// and what became of each is a byte in a table.
//
// Span: 0a 10 <trace id 16> 12 08 <run u32, number u32>, big-endian; then what `rest` says

import type { Random } from "./random.ts";
import type { SpanVisitor } from "./raw-backend.ts";

const TRACE_ID_AT = 2;
const SPAN_ID_AT = 20;
/** Bytes of the smallest span that has ids. */
export const SPAN_BYTES_MIN = 28;
const COUNT_MAX = 255;

/** Which spans a body has. */
export interface NumberedBody {
  readonly from: number;
  readonly count: number;
  /** Trace of a span; spans of the same number are one trace. */
  readonly traceOf: (span: number) => number;
  /** One resource a span in place of one for all: its attributes, encoded. */
  readonly resourceOf?: (span: number) => Uint8Array;
  /** More fields of every span. */
  readonly rest?: Uint8Array;
}

/** Knows every span by its number, and how often it arrived. */
export class NumberedSpans {
  readonly #seen: Uint8Array;
  readonly #run: number;
  readonly #traceSeed: Buffer;
  /** Spans that nobody sent. */
  strangers = 0;
  /** Given each span that arrived, with its number. */
  onSpan: ((body: Buffer, at: number, end: number, span: number) => void) | null = null;

  constructor(random: Random, count: number) {
    this.#seen = new Uint8Array(count);
    this.#run = random.word();
    this.#traceSeed = Buffer.from(random.hex(16), "hex");
  }

  readonly visit: SpanVisitor = (body, at, end) => {
    const span = end - at < SPAN_BYTES_MIN ? -1 : body.readUInt32BE(at + SPAN_ID_AT + 4);
    if (span < 0 || span >= this.#seen.length || body.readUInt32BE(at + SPAN_ID_AT) !== this.#run) {
      this.strangers++;
      return;
    }
    this.#seen[span] = Math.min(COUNT_MAX, this.#seen[span]! + 1);
    this.onSpan?.(body, at, end, span);
  };

  /** How many of spans [from, end) arrived never, once and more than once. */
  arrived(from = 0, end = this.#seen.length): { never: number; once: number; more: number } {
    const found = { never: 0, once: 0, more: 0 };
    for (let span = from; span < end; span++) {
      const times = this.#seen[span]!;
      if (times === 0) found.never++;
      else if (times === 1) found.once++;
      else found.more++;
    }
    return found;
  }

  /** Hex of the trace id that traceOf's number stands for. */
  traceId(trace: number): string {
    const id = Buffer.from(this.#traceSeed);
    this.#writeTraceId(id, 0, trace);
    return id.toString("hex");
  }

  /** Bytes of a request. */
  encode(body: NumberedBody): Buffer {
    const rest = body.rest ?? new Uint8Array(0);
    const spanBytes = SPAN_BYTES_MIN + rest.length;
    const fieldBytes = 1 + sizeBytes(spanBytes) + spanBytes;
    if (body.resourceOf !== undefined) return this.#encodeEach(body, body.resourceOf, fieldBytes);
    const scopeBytes = body.count * fieldBytes;
    const resourceBytes = 1 + sizeBytes(scopeBytes) + scopeBytes;
    const target = Buffer.alloc(1 + sizeBytes(resourceBytes) + resourceBytes);
    let at = writeHeader(target, 0, 0x0a, resourceBytes);
    at = writeHeader(target, at, 0x12, scopeBytes);
    for (let span = body.from; span < body.from + body.count; span++) {
      at = this.#writeSpan(target, at, span, body.traceOf(span), rest);
    }
    return target;
  }

  #encodeEach(
    body: NumberedBody, resourceOf: (span: number) => Uint8Array, fieldBytes: number,
  ): Buffer {
    const pieces: Buffer[] = [];
    for (let span = body.from; span < body.from + body.count; span++) {
      const resource = resourceOf(span);
      const ownBytes = 1 + sizeBytes(resource.length) + resource.length;
      const size = ownBytes + 1 + sizeBytes(fieldBytes) + fieldBytes;
      const piece = Buffer.alloc(1 + sizeBytes(size) + size);
      let at = writeHeader(piece, 0, 0x0a, size);
      at = writeHeader(piece, at, 0x0a, resource.length);
      piece.set(resource, at);
      at = writeHeader(piece, at + resource.length, 0x12, fieldBytes);
      this.#writeSpan(piece, at, span, body.traceOf(span), body.rest ?? new Uint8Array(0));
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  #writeSpan(target: Buffer, from: number, span: number, trace: number, rest: Uint8Array): number {
    const at = writeHeader(target, from, 0x12, SPAN_BYTES_MIN + rest.length);
    target[at] = 0x0a;
    target[at + 1] = 16;
    this.#traceSeed.copy(target, at + TRACE_ID_AT);
    this.#writeTraceId(target, at + TRACE_ID_AT, trace);
    target[at + SPAN_ID_AT - 2] = 0x12;
    target[at + SPAN_ID_AT - 1] = 8;
    target.writeUInt32BE(this.#run, at + SPAN_ID_AT);
    target.writeUInt32BE(span, at + SPAN_ID_AT + 4);
    target.set(rest, at + SPAN_BYTES_MIN);
    return at + SPAN_BYTES_MIN + rest.length;
  }

  #writeTraceId(target: Buffer, at: number, trace: number): void {
    target.writeUInt32BE((trace + 1) >>> 0, at + 12);
  }
}

function sizeBytes(size: number): number {
  return size < 0x80 ? 1 : size < 0x4000 ? 2 : size < 0x20_0000 ? 3 : 4;
}

function writeHeader(target: Buffer, from: number, tag: number, size: number): number {
  target[from] = tag;
  let at = from + 1;
  let rest = size;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) target[at++] = (rest & 127) | 128;
  target[at++] = rest;
  return at;
}
