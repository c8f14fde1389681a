// Renders a record as a lane does, into shared memory, and checks what holds of every output.

import { expect } from "vitest";
import type { RecordIndex } from "../../engine/wire/record-index.ts";
import type { Renderer } from "../../engine/wire/renderer.ts";
import { readFields } from "./proto-wire.ts";

const EMPTY = new Uint8Array(0);
const MARGIN = 7;
/** Messages inside each other that readers take. */
const NESTING_MAX = 100;
const strict = new TextDecoder("utf-8", { fatal: true });

export interface RenderOptions {
  /** Every part, unless given: 0 or number of the suffix + 1. */
  readonly wanted?: readonly number[];
  readonly suffixes?: readonly Uint8Array[];
  /** Bytes of a range; the whole record at once unless given. */
  readonly bytesMax?: number;
}

/** What a record becomes: the outputs of its ranges end to end, and how they were cut. */
export interface Rendered {
  readonly bytes: Uint8Array;
  readonly ranges: readonly { readonly bytes: number; readonly spans: number }[];
}

/** All ranges of a record; throws when something is written outside of its place. */
export function renderRecord(
  renderer: Renderer, body: Uint8Array, index: RecordIndex, options: RenderOptions = {},
): Rendered {
  const record = new Uint8Array(body.length + 2 * MARGIN).fill(0x22);
  record.set(body, MARGIN);
  const wanted = Uint32Array.from(
    options.wanted ?? Array.from({ length: index.partCount }, () => 1),
  );
  renderer.prepare(
    record, MARGIN, MARGIN + body.length, index, wanted, options.suffixes ?? [EMPTY],
  );
  const ranges: { bytes: number; spans: number }[] = [];
  const outputs: Uint8Array[] = [];
  for (let span = 0; span < index.spanCount;) {
    const end = options.bytesMax === undefined
      ? index.spanCount : renderer.planEnd(span, options.bytesMax);
    expect(end).toBeGreaterThan(span);
    const bytes = renderer.measure(span, end);
    const target = Buffer.from(new SharedArrayBuffer(bytes + 2 * MARGIN)).fill(0xee);
    expect(renderer.write(target, MARGIN)).toBe(MARGIN + bytes);
    const around = [...target.subarray(0, MARGIN), ...target.subarray(MARGIN + bytes)];
    expect(around.every((byte) => byte === 0xee)).toBe(true);
    outputs.push(Uint8Array.from(target.subarray(MARGIN, MARGIN + bytes)));
    ranges.push({ bytes, spans: renderer.spanCount });
    span = end;
  }
  renderer.release();
  return { bytes: Uint8Array.from(Buffer.concat(outputs)), ranges };
}

/** Which fields of a message are messages, by name of the message. */
const MESSAGES: Record<string, Record<number, string>> = {
  request: { 1: "resourceSpans" },
  resourceSpans: { 1: "resource", 2: "scopeSpans", 3: "text" },
  resource: { 1: "keyValue", 3: "entityRef" },
  entityRef: { 1: "text", 2: "text", 3: "text", 4: "text" },
  scopeSpans: { 1: "scope", 2: "span", 3: "text" },
  scope: { 1: "text", 2: "text", 3: "keyValue" },
  span: {
    1: "bytes", 2: "bytes", 3: "text", 4: "bytes", 5: "text", 9: "keyValue", 11: "event",
    13: "link", 15: "status",
  },
  event: { 2: "text", 3: "keyValue" },
  link: { 1: "bytes", 2: "bytes", 3: "text", 4: "keyValue" },
  status: { 2: "text" },
  keyValue: { 1: "text", 2: "anyValue" },
  anyValue: { 1: "text", 5: "arrayValue", 6: "list", 7: "bytes" },
  arrayValue: { 1: "anyValue" },
  list: { 1: "keyValue" },
};

/**
 * Throws unless the bytes are what every reader of OTLP takes: known fields only, UTF-8 in texts,
 * no length longer than it need be.
 */
export function checkOutput(bytes: Uint8Array): void {
  const size = checkMessage(bytes, "request", 0);
  expect(size, "lengths are as short as they can be").toBe(bytes.length);
}

/** Size that the message has when every varint is as short as it can be. */
function checkMessage(bytes: Uint8Array, message: string, depth: number): number {
  if (depth >= NESTING_MAX) throw new Error("deeper than readers go");
  let size = 0;
  for (const { field, wireType, number, bytes: value } of readFields(bytes)) {
    size += varintBytes(BigInt(field * 8 + wireType));
    if (wireType === 0) size += varintBytes(number);
    if (wireType === 1) size += 8;
    if (wireType === 5) size += 4;
    if (wireType !== 2) continue;
    const child = MESSAGES[message]![field];
    if (child === undefined) throw new Error(`no field ${field} in ${message}`);
    size += varintBytes(BigInt(value.length)) + value.length;
    if (child === "text") strict.decode(value);
    if (child === "text" || child === "bytes") continue;
    if (checkMessage(value, child, depth + 1) !== value.length) {
      throw new Error(`a length in ${child} is longer than it need be`);
    }
  }
  return size;
}

function varintBytes(value: bigint): number {
  if (value < 128n) return 1;
  let count = 1;
  for (let rest = value >> 7n; rest > 0n; rest >>= 7n) count++;
  return count;
}
