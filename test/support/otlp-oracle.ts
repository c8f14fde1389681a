// What a scan of an OTLP payload must answer, found the slow and obvious way: one recursive reader
// with bigints, no offsets, no shortcuts. Shares nothing with the engine but the rules.

/** A span as the scanner must index it. */
export interface OracleSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly isRoot: boolean;
  /** As sent; an int32. */
  readonly status: number;
  readonly bytes: Uint8Array;
  /** Last value by key, resource first; of a key on both there are two entries. */
  readonly attributes: readonly OracleAttribute[];
}
export interface OracleAttribute { readonly key: string; readonly value: OracleValue }
export type OracleValue = string | boolean | bigint | null;

export interface OracleResult {
  readonly spans: OracleSpan[];
  readonly refusedSpans: number;
}

interface Field {
  readonly field: number;
  readonly wireType: number;
  readonly number: bigint;
  readonly bytes: Uint8Array;
}

/** Messages by name: field number to message, "" for text and bytes. */
const MESSAGES: Record<string, Record<number, string>> = {
  request: { 1: "resourceSpans" },
  resourceSpans: { 1: "resource", 2: "scopeSpans", 3: "" },
  resource: { 1: "keyValue", 3: "entityRef" },
  entityRef: {},
  scopeSpans: { 1: "scope", 2: "span", 3: "" },
  scope: { 3: "keyValue" },
  span: { 9: "keyValue", 11: "event", 13: "link", 15: "status" },
  event: { 3: "keyValue" },
  link: { 4: "keyValue" },
  status: {},
  keyValue: { 2: "anyValue" },
  anyValue: { 5: "arrayValue", 6: "list" },
  arrayValue: { 1: "anyValue" },
  list: { 1: "keyValue" },
};
const DEPTH_MAX = 100;

class Malformed extends Error {}

/** The answer to the payload, or null when it must be refused as a whole. */
export function oracleScan(payload: Uint8Array): OracleResult | null {
  try {
    walk(payload, "request", 0);
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
  const spans: OracleSpan[] = [];
  let refusedSpans = 0;
  for (const resourceSpans of messages(payload, 1)) {
    const attributes = messages(resourceSpans, 1).flatMap((part) => readAttributes(part, 1));
    for (const scopeSpans of messages(resourceSpans, 2)) {
      for (const bytes of messages(scopeSpans, 2)) {
        const span = readSpan(bytes, attributes);
        if (span === null) refusedSpans++;
        else spans.push(span);
      }
    }
  }
  return { spans, refusedSpans };
}

function readSpan(bytes: Uint8Array, resource: readonly OracleAttribute[]): OracleSpan | null {
  const fields = readFields(bytes, 0, 0).fields;
  const traceId = hex(messages(bytes, 1).at(-1));
  const spanId = hex(messages(bytes, 2).at(-1));
  const parentId = hex(messages(bytes, 4).at(-1));
  if (traceId.length !== 32 || /^0*$/.test(traceId)) return null;
  if (spanId.length !== 16 || /^0*$/.test(spanId)) return null;
  if (parentId.length !== 0 && parentId.length !== 16) return null;
  for (const link of messages(bytes, 13)) {
    if (messages(link, 1).some((id) => id.length !== 0 && id.length !== 16)) return null;
    if (messages(link, 2).some((id) => id.length !== 0 && id.length !== 8)) return null;
  }
  const statuses = messages(bytes, 15).flatMap((part) => readFields(part, 0, 0).fields);
  const status = statuses.findLast(({ field, wireType }) => field === 3 && wireType === 0);
  const time = (number: number): bigint =>
    fields.findLast(({ field, wireType }) => field === number && wireType === 1)?.number ?? 0n;
  return {
    traceId, spanId, startNs: time(7), endNs: time(8), isRoot: /^0*$/.test(parentId), bytes,
    status: Number(BigInt.asIntN(32, status?.number ?? 0n)),
    attributes: [...resource, ...readAttributes(bytes, 9)],
  };
}

function readAttributes(bytes: Uint8Array, number: number): OracleAttribute[] {
  return messages(bytes, number).map((keyValue) => ({
    key: latin1(messages(keyValue, 1).at(-1)),
    value: readValue(messages(keyValue, 2).flatMap((part) => readFields(part, 0, 0).fields)),
  }));
}

function readValue(fields: Field[]): OracleValue {
  const wireTypes = [-1, 2, 0, 0, 1, 2, 2, 2];
  const value = fields.findLast(({ field, wireType }) => wireTypes[field] === wireType);
  if (value?.field === 1) return latin1(value.bytes);
  if (value?.field === 2) return value.number !== 0n;
  return value?.field === 3 ? BigInt.asIntN(64, value.number) : null;
}

/** Length-delimited values of a field of a message that is known to be well-formed. */
function messages(bytes: Uint8Array, number: number): Uint8Array[] {
  return readFields(bytes, 0, 0).fields
    .filter(({ field, wireType }) => field === number && wireType === 2)
    .map((field) => field.bytes);
}

function walk(bytes: Uint8Array, message: string, depth: number): void {
  if (depth >= DEPTH_MAX) throw new Malformed("too deep");
  for (const field of readFields(bytes, 0, depth + 1).fields) {
    const child = MESSAGES[message]![field.field] ?? "";
    if (field.wireType === 2 && child !== "") walk(field.bytes, child, depth + 1);
  }
}

/** Fields of a message, or of a group when endGroup is its number; with where they end. */
function readFields(
  bytes: Uint8Array, endGroup: number, depth: number,
): { fields: Field[]; size: number } {
  const fields: Field[] = [];
  let at = 0;
  const varint = (bytesMax: number, bits: number): bigint => {
    let value = 0n;
    for (let index = 0; index < bytesMax; index++) {
      if (at >= bytes.length) throw new Malformed("truncated varint");
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << BigInt(7 * index);
      if (byte < 128) {
        if (BigInt.asUintN(bits, value) !== value) throw new Malformed("varint too large");
        return value;
      }
    }
    throw new Malformed("varint too long");
  };
  const take = (size: number): Uint8Array => {
    if (size > bytes.length - at) throw new Malformed("truncated");
    at += size;
    return bytes.subarray(at - size, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint(5, 32));
    const field = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (field === 0) throw new Malformed("field number 0");
    if (wireType === 4) {
      if (field !== endGroup) throw new Malformed("group ends that never began");
      return { fields, size: at };
    }
    fields.push({ field, wireType, ...readValueOf(field, wireType) });
  }
  if (endGroup !== 0) throw new Malformed("group without end");
  return { fields, size: at };

  function readValueOf(field: number, wireType: number): { number: bigint; bytes: Uint8Array } {
    const none = bytes.subarray(0, 0);
    switch (wireType) {
      case 0: return { number: varint(10, 64), bytes: none };
      case 1: return { number: Buffer.from(take(8)).readBigUInt64LE(), bytes: none };
      case 2: return { number: 0n, bytes: take(Number(varint(5, 32))) };
      case 3: {
        if (depth >= DEPTH_MAX) throw new Malformed("too deep");
        at += readFields(bytes.subarray(at), field, depth + 1).size;
        return { number: 0n, bytes: none };
      }
      case 5: return { number: BigInt(Buffer.from(take(4)).readUInt32LE()), bytes: none };
      default: throw new Malformed(`wire type ${wireType}`);
    }
  }
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}

function latin1(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("latin1");
}
