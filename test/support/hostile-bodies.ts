// OTLP bodies that are made to break a reader: lengths and varints beyond all bounds, messages and
// groups nested without end, at every level of a request. Some of them are legal.

import { encodeSpan, type SpanInput } from "./otlp-builder.ts";
import { ProtoWriter } from "./proto-wire.ts";

/** Around a message: itself as a field of each enclosing message, up to the request. */
type Wrap = (message: Uint8Array) => Uint8Array;

const inRequest: Wrap = (bytes) => new ProtoWriter().bytes(1, bytes).build();
const inResourceSpans: Wrap = (bytes) => inRequest(new ProtoWriter().bytes(2, bytes).build());
const inScopeSpans: Wrap = (bytes) => inResourceSpans(new ProtoWriter().bytes(2, bytes).build());
const inSpan: Wrap = (bytes) => {
  return inScopeSpans(joined(SPAN, new ProtoWriter().bytes(9, bytes).build()));
};
const inKeyValue: Wrap = (bytes) => inSpan(new ProtoWriter().text(1, "k").bytes(2, bytes).build());
const inResource: Wrap = (bytes) => inRequest(new ProtoWriter().bytes(1, bytes).build());

const SPAN_INPUT: SpanInput = {
  traceId: "0123456789abcdef0123456789abcdef", spanId: "0123456789abcdef", name: "hostile",
};
const SPAN = encodeSpan(SPAN_INPUT);

/** Levels at which a field may stand. The span's level has a valid span around it. */
const LEVELS: Readonly<Record<string, Wrap>> = {
  request: (bytes) => bytes, resourceSpans: inRequest, resource: inResource,
  scopeSpans: inResourceSpans, span: (bytes) => inScopeSpans(joined(SPAN, bytes)),
  keyValue: inSpan, anyValue: inKeyValue,
};

/** Sizes that lie, as varints. */
const SIZES: readonly (readonly number[])[] = [
  [0x7f], [0xff, 0x7f], [0xff, 0xff, 0xff, 0xff, 0x07], [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x08], [0x80, 0x80, 0x80, 0x80, 0x10],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80], [0x80, 0x00], [0x80, 0x80, 0x80, 0x80, 0x00], [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
];

/** Fields that stand for themselves: odd tags, odd numbers, groups. */
const FIELDS: readonly (readonly number[])[] = [
  [0x00], [0x02, 0x00], [0x80, 0x00], [0x0e], [0x0f], [0x0e, 0x01], [0x07, 0x00],
  [0x8a, 0x00, 0x00], [0x8a, 0x80, 0x80, 0x80, 0x00, 0x00],
  [0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00],
  [0xfa, 0xff, 0xff, 0xff, 0x0f, 0x00], [0xfa, 0xff, 0xff, 0xff, 0x1f, 0x00],
  [0x98, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x98, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
  [0x98, 0x06, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
  [0x99, 0x06, 1, 2, 3, 4, 5, 6, 7], [0x9d, 0x06, 1, 2, 3],
  [0x0b, 0x0c], [0x0b], [0x0c], [0x0b, 0x14], [0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06],
  [0x9b, 0x06, 0x0a, 0x7f, 0x9c, 0x06], [0x13, 0x12, 0x00, 0x14],
  [0x9b, 0x06, 0x0b, 0x9c, 0x06, 0x0c],
  [0x0a, 0x02, 0x0b, 0x0c], [0x0a, 0x01, 0x0b, 0x0c],
];

const GROUP_DEPTHS = [50, 90, 98, 99, 100, 101, 1000, 100_000];
const VALUE_DEPTHS = [2, 30, 45, 46, 47, 48, 49, 50, 200, 5000];
/** Bytes of a body that says the same again and again. */
const REPEATED_BYTES = 60_000;

/** All of them; the empty body first. */
export function* hostileBodies(): Generator<Uint8Array> {
  yield new Uint8Array(0);
  for (const wrap of Object.values(LEVELS)) {
    for (const field of FIELDS) yield wrap(Uint8Array.from(field));
    for (const size of SIZES) {
      for (const tag of [0x0a, 0x12, 0x1a, 0x4a, 0x5a, 0x6a, 0x7a]) {
        yield wrap(Uint8Array.from([tag, ...size]));
        yield wrap(Uint8Array.from([tag, ...size, 0x0a, 0x02, 0x08, 0x01]));
      }
    }
    for (const depth of GROUP_DEPTHS) {
      yield wrap(joined(new Uint8Array(depth).fill(0x0b), new Uint8Array(depth).fill(0x0c)));
      yield wrap(new Uint8Array(depth).fill(0x0b));
    }
  }
  for (const depth of VALUE_DEPTHS) {
    yield inKeyValue(nested(depth, (bytes) => arrayOf(bytes)));
    yield inKeyValue(nested(depth, (bytes) => listOf(bytes)));
    yield inResource(new ProtoWriter().bytes(1, keyValue(nested(depth, arrayOf))).build());
  }
  for (const pair of [[0x0a, 0x00], [0x12, 0x00], [0x80, 0x80], [0xff, 0xff], [0x0b, 0x0c]]) {
    yield repeated(pair);
    yield inRequest(repeated(pair));
    yield inScopeSpans(joined(SPAN, repeated(pair)));
  }
}

function nested(depth: number, wrap: Wrap): Uint8Array {
  let value = new ProtoWriter().text(1, "deep").build();
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

function arrayOf(value: Uint8Array): Uint8Array {
  return new ProtoWriter().bytes(5, new ProtoWriter().bytes(1, value).build()).build();
}

function listOf(value: Uint8Array): Uint8Array {
  return new ProtoWriter().bytes(6, new ProtoWriter().bytes(1, keyValue(value)).build()).build();
}

function keyValue(value: Uint8Array): Uint8Array {
  return new ProtoWriter().text(1, "k").bytes(2, value).build();
}

function repeated(bytes: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: REPEATED_BYTES }, (_, index) => bytes[index % bytes.length]!);
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(pieces);
}
