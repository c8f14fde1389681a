// Bodies for benches: spans of an HTTP server in Java, ten attributes each, some 440 bytes in
// protobuf, and where their ids lie, so that a load generator can renew them in place. The JSON
// forms of the same spans are in json-payload.ts.

/** Shape of a body; ids and durations come from the seed. */
export interface PayloadShape {
  readonly spans: number;
  /** Of one trace in this body; a trace that goes on in other bodies has more. */
  readonly spansPerTrace: number;
  readonly resources: number;
  /** Every n-th span ends in an error; 0 = none. */
  readonly errorEvery: number;
  readonly seed: number;
  /** JSON forms: texts end in digits of their own span, so that none repeats the one before. */
  readonly valuesDiffer?: boolean;
}

/** An id in a body. */
export interface PayloadId {
  /** Byte offset in the body. */
  readonly at: number;
  /** 16: a trace id; 8: a span id. */
  readonly bytes: 16 | 8;
  /** Number of the trace within the body. */
  readonly group: number;
}

/** A body, how it is posted, and its ids in the order of the spans. */
export interface Payload {
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly ids: readonly PayloadId[];
  /** Ids are written as hexadecimal digits, two a byte. */
  readonly hexIds: boolean;
}

export const ATTRIBUTES: readonly (readonly [string, string | number])[] = [
  ["http.request.method", "POST"], ["url.path", "/api/v2/baskets/8831/items"],
  ["http.response.status_code", 200], ["server.address", "baskets.internal"],
  ["server.port", 8443], ["network.protocol.version", "1.1"], ["thread.id", 57],
  ["thread.name", "http-nio-8080-exec-7"], ["client.address", "10.23.4.117"],
  ["user_agent.original", "okhttp/4.12.0 (linux; amd64) basket-client"],
];
export const SPAN_NAME = "POST /api/v2/baskets/{id}/items";
export const SCOPE = { name: "io.opentelemetry.tomcat-10.0", version: "2.9.0-alpha" };
const RESOURCES = 4;
const SPANS_PER_TRACE = 2;
export const START_NS = 1_790_000_000_000_000_000n;

/** What the chain is measured with: two spans a trace in a body, over four resources. */
export function referenceShape(spans: number, errorEvery: number, seed: number): PayloadShape {
  return {
    spans, spansPerTrace: SPANS_PER_TRACE, resources: Math.min(RESOURCES, spans), errorEvery, seed,
  };
}

/** One ExportTraceServiceRequest; the same bytes for the same shape. */
export function otlpPayload(shape: PayloadShape): Payload {
  const next = generator(shape.seed);
  const traceIds = Array.from(
    { length: Math.ceil(shape.spans / shape.spansPerTrace) }, () => randomBytes(next, 16),
  );
  const spanIds: number[][] = [];
  const request: number[] = [];
  for (let resource = 0; resource < shape.resources; resource++) {
    const scopeSpans = lengthField(1, [
      ...text(1, SCOPE.name), ...text(2, SCOPE.version),
    ]);
    for (let index = resource; index < shape.spans; index += shape.resources) {
      const traceId = traceIds[Math.floor(index / shape.spansPerTrace)]!; // enough were made
      const spanId = randomBytes(next, 8);
      spanIds[index] = spanId;
      const isError = shape.errorEvery > 0 && index % shape.errorEvery === 0;
      const isRoot = index % shape.spansPerTrace === 0;
      append(scopeSpans, lengthField(2, span(next, traceId, spanId, isRoot, isError)));
    }
    const resourceSpans = lengthField(
      1, resourceAttributes(resource).flatMap(([key, value]) => keyValue(1, key, value)));
    append(resourceSpans, lengthField(2, scopeSpans));
    append(request, lengthField(1, resourceSpans));
  }
  const body = Uint8Array.from(request);
  const ids = findIds(body, traceIds, spanIds, shape.spansPerTrace, "latin1");
  return {
    path: "/v1/traces", contentType: "application/x-protobuf", body, ids, hexIds: false,
  };
}

/**
 * Where ids lie. They are random, so a search finds them and nothing else.
 * @param form "latin1" for raw bytes, "hex" for lower-case digits.
 */
export function findIds(
  body: Uint8Array, traceIds: readonly number[][], spanIds: readonly number[][],
  spansPerTrace: number, form: "latin1" | "hex",
): PayloadId[] {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
  const ids: PayloadId[] = [];
  traceIds.forEach((traceId, group) => {
    const wanted = Buffer.from(Buffer.from(traceId).toString(form), "latin1");
    for (let at = buffer.indexOf(wanted); at >= 0; at = buffer.indexOf(wanted, at + 1)) {
      ids.push({ at, bytes: 16, group });
    }
  });
  spanIds.forEach((spanId, index) => {
    const at = buffer.indexOf(Buffer.from(Buffer.from(spanId).toString(form), "latin1"));
    ids.push({ at, bytes: 8, group: Math.floor(index / spansPerTrace) });
  });
  return ids;
}

/** Attributes of the service with a number. */
export function resourceAttributes(resource: number): [string, string][] {
  return [
    ["service.name", `baskets-${resource}`], ["host.name", `ip-10-0-12-${resource}`],
    ["telemetry.sdk.language", "java"], ["deployment.environment.name", "production"],
  ];
}

function span(
  next: () => number, traceId: number[], spanId: number[], isRoot: boolean, isError: boolean,
): number[] {
  const bytes = [...lengthField(1, traceId), ...lengthField(2, spanId)];
  if (!isRoot) bytes.push(...lengthField(4, randomBytes(next, 8)));
  bytes.push(...text(5, SPAN_NAME), 0x30, 2); // kind = 6
  bytes.push(0x39, ...fixed64(START_NS)); // start = 7
  bytes.push(0x41, ...fixed64(START_NS + BigInt(1_000_000 + next() % 90_000_000))); // end = 8
  for (const [key, value] of ATTRIBUTES) bytes.push(...keyValue(9, key, value));
  if (isError) bytes.push(...lengthField(15, [0x18, 2])); // Status.code = 3
  return bytes;
}

function keyValue(field: number, key: string, value: string | number): number[] {
  const any = typeof value === "string" ? text(1, value) : [0x18, ...varint(value)];
  return lengthField(field, [...text(1, key), ...lengthField(2, any)]);
}

function text(field: number, value: string): number[] {
  return lengthField(field, [...new TextEncoder().encode(value)]);
}

function lengthField(field: number, value: readonly number[]): number[] {
  const bytes = [(field << 3) | 2, ...varint(value.length)];
  append(bytes, value);
  return bytes;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

function fixed64(value: bigint): number[] {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return [...bytes];
}

function append(target: number[], bytes: readonly number[]): void {
  for (const byte of bytes) target.push(byte);
}

export function randomBytes(next: () => number, count: number): number[] {
  return Array.from({ length: count }, () => next() & 0xff);
}

/** xorshift32; u32 values from a seed. */
export function generator(seed: number): () => number {
  let state = (seed >>> 0) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
