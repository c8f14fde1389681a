// Just enough OTLP protobuf to send spans from a script: a span as a plain object, to bytes.
// Source: opentelemetry-proto 1.x, trace.proto, resource.proto and common.proto.

/** Attribute values that the scripts use; whole numbers become int64. */
export type AttributeValue = string | number | boolean;

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** One span. Ids are bytes: 16 of a trace, 8 of a span. */
export interface SpanMessage {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  /** Null for the root. */
  readonly parentSpanId: Uint8Array | null;
  readonly name: string;
  /** SpanKind: 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** The text of an error, or null. */
  readonly error: string | null;
}

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_LENGTH = 2;
const STATUS_ERROR = 2;
const NS_PER_MS = 1_000_000n;

/** ExportTraceServiceRequest with one resource and one scope. */
export function requestOf(resource: Attributes, spans: readonly SpanMessage[]): Buffer {
  const scope = message(1, [text(1, "tailrace.send-load")]);
  const scopeSpans = message(2, [scope, ...spans.map((span) => message(2, spanFields(span)))]);
  return message(1, [message(1, attributeFields(1, resource)), scopeSpans]);
}

function spanFields(span: SpanMessage): Buffer[] {
  return [
    bytes(1, span.traceId),
    bytes(2, span.spanId),
    ...(span.parentSpanId === null ? [] : [bytes(4, span.parentSpanId)]),
    text(5, span.name),
    number(6, span.kind),
    time(7, span.startMs),
    time(8, span.endMs),
    ...attributeFields(9, span.attributes),
    ...(span.error === null
      ? [] : [message(15, [text(2, span.error), number(3, STATUS_ERROR)])]),
  ];
}

function attributeFields(field: number, attributes: Attributes): Buffer[] {
  return Object.entries(attributes).map(([key, value]) =>
    message(field, [text(1, key), message(2, [anyValue(value)])]));
}

function anyValue(value: AttributeValue): Buffer {
  if (typeof value === "string") return text(1, value);
  return typeof value === "boolean" ? number(2, value ? 1 : 0) : number(3, value);
}

function message(field: number, parts: readonly Buffer[]): Buffer {
  return bytes(field, Buffer.concat(parts));
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

function bytes(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([tag(field, WIRE_LENGTH), varint(value.length), value]);
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([tag(field, WIRE_VARINT), varint(value)]);
}

function time(field: number, milliseconds: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(Math.round(milliseconds)) * NS_PER_MS);
  return Buffer.concat([tag(field, WIRE_FIXED64), value]);
}

function tag(field: number, wireType: number): Buffer {
  return varint(field * 8 + wireType);
}

/** Of a whole number from 0 to 2^53. */
function varint(value: number): Buffer {
  const digits: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) digits.push((rest % 0x80) + 0x80);
  digits.push(rest);
  return Buffer.from(digits);
}
