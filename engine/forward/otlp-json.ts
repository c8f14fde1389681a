// OTLP protobuf to OTLP JSON text, driven by the shapes. What the wire holds is written, absent
// fields are absent. Unknown fields are skipped, a wire type that does not fit its field makes it
// unknown, repeated occurrences of a submessage merge, the last scalar wins: as protobuf says.
//
// Text comes in pieces, a span at a time, so that the objects of one span are all that exists at
// once and the caller can let other work run in between.

import {
  AS_BASE64, AS_BOOL, AS_DOUBLE, AS_FIXED32, AS_FIXED64, AS_HEX, AS_INT32, AS_INT64, AS_MESSAGE,
  AS_TEXT, AS_UINT32, RESOURCE_SPANS_HEAD_SHAPE, SCOPE_SPANS_HEAD_SHAPE, SPAN_SHAPE,
  type FieldShape, type MessageShape,
} from "./otlp-json-shapes.ts";
import {
  ProtoReader, WIRE_BYTES, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT,
} from "./proto-reader.ts";

/** What JSON.stringify takes here; null does not occur. */
export type JsonValue = string | number | boolean | JsonObject | JsonValue[];
/** One message as an object. */
export interface JsonObject {
  [name: string]: JsonValue;
}

/** Messages within messages: protobuf's own readers stop at 100. Deeper ones are left out. */
const DEPTH_MAX = 100;
/**
 * Values in one span, resource or scope. An empty attribute takes 2 bytes on the wire and far more
 * as an object, so a hostile span would cost the heap 50 times its size. What is beyond is left
 * out.
 */
const VALUES_MAX = 100_000;

const RESOURCE_SPANS_FIELD = 1;
const SCOPE_SPANS_FIELD = 2;
const SPANS_FIELD = 2;

/**
 * Writes requests as JSON. Never throws on what a client sent; what it cannot read it leaves out.
 */
export class OtlpJsonWriter {
  /** Messages cut at a malformed field, and values left out for DEPTH_MAX or VALUES_MAX. */
  leftOut = 0;
  #valuesLeft = 0;
  readonly #double = new DataView(new ArrayBuffer(8));

  /** One ExportTraceServiceRequest as one line of JSON, in pieces, without a line end. */
  *request(bytes: Buffer): Generator<string, void, undefined> {
    let before = '{"resourceSpans":[';
    const reader = new ProtoReader(bytes, 0, bytes.length);
    while (nextNested(reader, RESOURCE_SPANS_FIELD)) {
      yield before;
      yield* this.#resourceSpans(bytes, reader.bodyAt, reader.bodyEnd);
      before = ",";
    }
    this.#countCut(reader);
    yield before === "," ? "]}" : `${before}]}`;
  }

  *#resourceSpans(
    bytes: Buffer, at: number, end: number,
  ): Generator<string, void, undefined> {
    yield `${this.#openObject(bytes, at, end, RESOURCE_SPANS_HEAD_SHAPE)}"scopeSpans":[`;
    let before = "";
    const reader = new ProtoReader(bytes, at, end);
    while (nextNested(reader, SCOPE_SPANS_FIELD)) {
      const { bodyAt, bodyEnd } = reader;
      yield `${before}${this.#openObject(bytes, bodyAt, bodyEnd, SCOPE_SPANS_HEAD_SHAPE)}"spans":[`;
      before = ",";
      yield* this.#spans(bytes, bodyAt, bodyEnd);
      yield "]}";
    }
    yield "]}";
  }

  *#spans(bytes: Buffer, at: number, end: number): Generator<string, void, undefined> {
    let before = "";
    const reader = new ProtoReader(bytes, at, end);
    while (nextNested(reader, SPANS_FIELD)) {
      const span = this.#object(bytes, reader.bodyAt, reader.bodyEnd, SPAN_SHAPE);
      yield before + JSON.stringify(span);
      before = ",";
    }
  }

  /** The object's text without its closing brace, ready for one more member. */
  #openObject(bytes: Buffer, at: number, end: number, shape: MessageShape): string {
    const text = JSON.stringify(this.#object(bytes, at, end, shape));
    return text === "{}" ? "{" : `${text.slice(0, -1)},`;
  }

  #object(bytes: Buffer, at: number, end: number, shape: MessageShape): JsonObject {
    const target: JsonObject = {};
    this.#valuesLeft = VALUES_MAX;
    this.#read(new ProtoReader(bytes, at, end), shape, target, 1);
    return target;
  }

  #read(reader: ProtoReader, shape: MessageShape, target: JsonObject, depth: number): void {
    while (reader.next()) {
      const field = shape.fields.get(reader.field);
      if (field === undefined || reader.wire !== wireOf(field.as)) continue;
      if (this.#valuesLeft === 0 || depth > DEPTH_MAX) {
        this.leftOut++;
        return;
      }
      this.#valuesLeft--;
      if (field.as === AS_MESSAGE) {
        const child = childOf(target, field, shape.oneof);
        const inner = new ProtoReader(reader.bytes, reader.bodyAt, reader.bodyEnd);
        this.#read(inner, field.shape!, child, depth + 1); // AS_MESSAGE always has a shape
      } else {
        if (shape.oneof) clearAll(target);
        store(target, field, this.#scalar(reader, field.as));
      }
    }
    this.#countCut(reader);
  }

  #scalar(reader: ProtoReader, as: number): string | number | boolean {
    if (as === AS_TEXT) return reader.text();
    if (as === AS_HEX) return reader.bytes.toString("hex", reader.bodyAt, reader.bodyEnd);
    if (as === AS_BASE64) return reader.bytes.toString("base64", reader.bodyAt, reader.bodyEnd);
    if (as === AS_BOOL) return reader.low !== 0 || reader.high !== 0;
    if (as === AS_INT32) return reader.low | 0;
    if (as === AS_UINT32 || as === AS_FIXED32) return reader.low;
    const bits = (BigInt(reader.high) << 32n) | BigInt(reader.low);
    if (as === AS_FIXED64) return bits.toString();
    if (as === AS_INT64) return BigInt.asIntN(64, bits).toString();
    this.#double.setBigUint64(0, bits);
    const double = this.#double.getFloat64(0);
    return Number.isFinite(double) ? double : String(double); // "NaN", "Infinity", "-Infinity"
  }

  #countCut(reader: ProtoReader): void {
    if (reader.malformed) this.leftOut++;
  }
}

/** Goes to the next submessage of that field number; false at the end. */
function nextNested(reader: ProtoReader, field: number): boolean {
  while (reader.next()) if (reader.field === field && reader.wire === WIRE_BYTES) return true;
  return false;
}

function wireOf(as: number): number {
  if (as === AS_FIXED32) return WIRE_FIXED32;
  if (as === AS_FIXED64 || as === AS_DOUBLE) return WIRE_FIXED64;
  if (as === AS_BOOL || as === AS_INT32 || as === AS_UINT32 || as === AS_INT64) return WIRE_VARINT;
  return WIRE_BYTES;
}

function store(target: JsonObject, field: FieldShape, value: JsonValue): void {
  if (!field.repeated) {
    target[field.name] = value;
    return;
  }
  const list = target[field.name];
  if (Array.isArray(list)) list.push(value);
  else target[field.name] = [value];
}

/** The object that a submessage is read into: a new one, or the one it merges with. */
function childOf(target: JsonObject, field: FieldShape, oneof: boolean): JsonObject {
  const present = target[field.name];
  if (!field.repeated && typeof present === "object" && !Array.isArray(present)) return present;
  if (oneof) clearAll(target);
  const child: JsonObject = {};
  store(target, field, child);
  return child;
}

function clearAll(target: JsonObject): void {
  for (const name of Object.keys(target)) delete target[name];
}
