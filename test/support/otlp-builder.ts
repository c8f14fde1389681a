// OTLP trace requests for tests: plain objects to protobuf and back, whole messages deep.

import { ProtoWriter, type ProtoField, readFields } from "./proto-wire.ts";

/** Integers become int_value, other numbers double_value; `{ double }` forces a double. */
export type AttributeValue =
  | string | boolean | number | bigint | Uint8Array | null
  | { readonly double: number } | { readonly list: Attributes } | readonly AttributeValue[];
export interface Attributes { readonly [key: string]: AttributeValue }

export interface EventInput {
  readonly name: string;
  readonly timeNs?: bigint;
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
}
export interface LinkInput {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState?: string;
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
  readonly flags?: number;
}
/** Ids are hex; a field left out is not written. */
export interface SpanInput {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly flags?: number;
  readonly name?: string;
  readonly kind?: number;
  readonly startNs?: bigint;
  readonly endNs?: bigint;
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
  readonly events?: readonly EventInput[];
  readonly droppedEventsCount?: number;
  readonly links?: readonly LinkInput[];
  readonly droppedLinksCount?: number;
  readonly statusCode?: number;
  readonly statusMessage?: string;
}
export interface ScopeInput {
  readonly name?: string;
  readonly version?: string;
  readonly attributes?: Attributes;
}
/** One ResourceSpans with one ScopeSpans. */
export interface GroupInput {
  readonly resource?: Attributes;
  readonly resourceSchemaUrl?: string;
  readonly scope?: ScopeInput;
  readonly scopeSchemaUrl?: string;
  readonly spans: readonly SpanInput[];
}

/** A span as read, with what surrounds it. Absent strings are "", absent numbers 0. */
export interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  readonly events: readonly Required<EventInput>[];
  readonly droppedEventsCount: number;
  readonly links: readonly Required<LinkInput>[];
  readonly droppedLinksCount: number;
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly resource: Attributes;
  readonly resourceSchemaUrl: string;
  readonly scope: Required<ScopeInput>;
  readonly scopeSchemaUrl: string;
}

/** Bytes of an ExportTraceServiceRequest. */
export function encodeRequest(groups: readonly GroupInput[]): Uint8Array {
  const request = new ProtoWriter();
  for (const group of groups) request.bytes(1, encodeResourceSpans(group));
  return request.build();
}

/** Bytes of a ResourceSpans message. */
export function encodeResourceSpans(group: GroupInput): Uint8Array {
  const scopeSpans = new ProtoWriter();
  if (group.scope !== undefined) scopeSpans.bytes(1, encodeScope(group.scope));
  for (const span of group.spans) scopeSpans.bytes(2, encodeSpan(span));
  if (group.scopeSchemaUrl !== undefined) scopeSpans.text(3, group.scopeSchemaUrl);
  const resourceSpans = new ProtoWriter();
  if (group.resource !== undefined) resourceSpans.bytes(1, encodeResource(group.resource));
  resourceSpans.bytes(2, scopeSpans.build());
  if (group.resourceSchemaUrl !== undefined) resourceSpans.text(3, group.resourceSchemaUrl);
  return resourceSpans.build();
}

export function encodeResource(attributes: Attributes): Uint8Array {
  return writeAttributes(new ProtoWriter(), 1, attributes).build();
}

export function encodeScope(scope: ScopeInput): Uint8Array {
  const writer = new ProtoWriter();
  if (scope.name !== undefined) writer.text(1, scope.name);
  if (scope.version !== undefined) writer.text(2, scope.version);
  return writeAttributes(writer, 3, scope.attributes).build();
}

/** Bytes of a Span message. */
export function encodeSpan(span: SpanInput): Uint8Array {
  const writer = new ProtoWriter();
  writer.bytes(1, fromHex(span.traceId)).bytes(2, fromHex(span.spanId));
  if (span.traceState !== undefined) writer.text(3, span.traceState);
  if (span.parentSpanId !== undefined) writer.bytes(4, fromHex(span.parentSpanId));
  if (span.name !== undefined) writer.text(5, span.name);
  if (span.kind !== undefined) writer.number(6, span.kind);
  if (span.startNs !== undefined) writer.fixed64(7, span.startNs);
  if (span.endNs !== undefined) writer.fixed64(8, span.endNs);
  writeAttributes(writer, 9, span.attributes);
  writeCount(writer, 10, span.droppedAttributesCount);
  for (const event of span.events ?? []) writer.bytes(11, encodeEvent(event));
  writeCount(writer, 12, span.droppedEventsCount);
  for (const link of span.links ?? []) writer.bytes(13, encodeLink(link));
  writeCount(writer, 14, span.droppedLinksCount);
  if (span.statusCode !== undefined || span.statusMessage !== undefined) {
    const status = new ProtoWriter();
    if (span.statusMessage !== undefined) status.text(2, span.statusMessage);
    if (span.statusCode !== undefined) status.number(3, span.statusCode);
    writer.bytes(15, status.build());
  }
  if (span.flags !== undefined) writer.fixed32(16, span.flags);
  return writer.build();
}

export function encodeKeyValue(key: string, value: AttributeValue): Uint8Array {
  return new ProtoWriter().text(1, key).bytes(2, encodeAnyValue(value)).build();
}

export function encodeAnyValue(value: AttributeValue): Uint8Array {
  const writer = new ProtoWriter();
  if (value === null) return writer.build();
  if (typeof value === "string") return writer.text(1, value).build();
  if (typeof value === "boolean") return writer.number(2, value ? 1 : 0).build();
  if (typeof value === "bigint" || Number.isInteger(value)) {
    return writer.number(3, value as bigint | number).build();
  }
  if (typeof value === "number") return writer.double(4, value).build();
  if (value instanceof Uint8Array) return writer.bytes(7, value).build();
  if (isArray(value)) {
    const array = new ProtoWriter();
    for (const element of value) array.bytes(1, encodeAnyValue(element));
    return writer.bytes(5, array.build()).build();
  }
  if ("double" in value) return writer.double(4, (value as { double: number }).double).build();
  const list = writeAttributes(new ProtoWriter(), 1, (value as { list: Attributes }).list);
  return writer.bytes(6, list.build()).build();
}

/** Spans of an ExportTraceServiceRequest in order, read all the way down; throws when malformed. */
export function decodeRequest(bytes: Uint8Array): DecodedSpan[] {
  const spans: DecodedSpan[] = [];
  for (const resourceSpans of children(readFields(bytes), 1)) {
    const fields = readFields(resourceSpans);
    const resource = readAttributes(children(fields, 1).flatMap((part) => readFields(part)), 1);
    for (const scopeSpans of children(fields, 2)) {
      const scopeFields = readFields(scopeSpans);
      const scope = children(scopeFields, 1).flatMap((part) => readFields(part));
      const around = {
        resource, resourceSchemaUrl: text(fields, 3),
        scope: {
          name: text(scope, 1), version: text(scope, 2), attributes: readAttributes(scope, 3),
        },
        scopeSchemaUrl: text(scopeFields, 3),
      };
      for (const span of children(scopeFields, 2)) {
        spans.push({ ...decodeSpan(readFields(span)), ...around });
      }
    }
  }
  return spans;
}

type Around = "resource" | "resourceSchemaUrl" | "scope" | "scopeSchemaUrl";

function decodeSpan(fields: ProtoField[]): Omit<DecodedSpan, Around> {
  const status = children(fields, 15).flatMap((part) => readFields(part));
  return {
    traceId: hex(last(fields, 1, 2)), spanId: hex(last(fields, 2, 2)),
    traceState: text(fields, 3), parentSpanId: hex(last(fields, 4, 2)), name: text(fields, 5),
    kind: int32(fields, 6), startNs: last(fields, 7, 1)?.number ?? 0n,
    endNs: last(fields, 8, 1)?.number ?? 0n, attributes: readAttributes(fields, 9),
    droppedAttributesCount: int32(fields, 10),
    events: children(fields, 11).map((event) => decodeEvent(readFields(event))),
    droppedEventsCount: int32(fields, 12),
    links: children(fields, 13).map((link) => decodeLink(readFields(link))),
    droppedLinksCount: int32(fields, 14), flags: fixed32(fields, 16),
    statusMessage: text(status, 2), statusCode: int32(status, 3),
  };
}

function decodeEvent(fields: ProtoField[]): Required<EventInput> {
  return {
    timeNs: last(fields, 1, 1)?.number ?? 0n, name: text(fields, 2),
    attributes: readAttributes(fields, 3), droppedAttributesCount: int32(fields, 4),
  };
}

function decodeLink(fields: ProtoField[]): Required<LinkInput> {
  return {
    traceId: hex(last(fields, 1, 2)), spanId: hex(last(fields, 2, 2)), traceState: text(fields, 3),
    attributes: readAttributes(fields, 4), droppedAttributesCount: int32(fields, 5),
    flags: fixed32(fields, 6),
  };
}

/** Attributes of the KeyValue messages in a field; of a key given twice the last one. */
export function readAttributes(fields: ProtoField[], field: number): Attributes {
  const attributes: Record<string, AttributeValue> = {};
  for (const bytes of children(fields, field)) {
    const keyValue = readFields(bytes);
    const value = children(keyValue, 2).flatMap((part) => readFields(part));
    attributes[text(keyValue, 1)] = readAnyValue(value);
  }
  return attributes;
}

function readAnyValue(fields: ProtoField[]): AttributeValue {
  const wireTypes = [-1, 2, 0, 0, 1, 2, 2, 2];
  const value = fields.findLast(({ field, wireType }) => wireTypes[field] === wireType);
  if (value === undefined) return null;
  switch (value.field) {
    case 1: return new TextDecoder().decode(value.bytes);
    case 2: return value.number !== 0n;
    case 3: return BigInt.asIntN(64, value.number);
    case 4: {
      const bits = new DataView(new ArrayBuffer(8));
      bits.setBigUint64(0, value.number);
      return { double: bits.getFloat64(0) };
    }
    case 5: {
      const elements = children(readFields(value.bytes), 1);
      return elements.map((element) => readAnyValue(readFields(element)));
    }
    case 6: return { list: readAttributes(readFields(value.bytes), 1) };
    default: return value.bytes;
  }
}

function encodeEvent(event: EventInput): Uint8Array {
  const writer = new ProtoWriter();
  if (event.timeNs !== undefined) writer.fixed64(1, event.timeNs);
  writeAttributes(writer.text(2, event.name), 3, event.attributes);
  return writeCount(writer, 4, event.droppedAttributesCount).build();
}

function encodeLink(link: LinkInput): Uint8Array {
  const writer = new ProtoWriter().bytes(1, fromHex(link.traceId)).bytes(2, fromHex(link.spanId));
  if (link.traceState !== undefined) writer.text(3, link.traceState);
  writeCount(writeAttributes(writer, 4, link.attributes), 5, link.droppedAttributesCount);
  if (link.flags !== undefined) writer.fixed32(6, link.flags);
  return writer.build();
}

function writeAttributes(
  writer: ProtoWriter, field: number, attributes: Attributes | undefined,
): ProtoWriter {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    writer.bytes(field, encodeKeyValue(key, value));
  }
  return writer;
}

function writeCount(writer: ProtoWriter, field: number, count: number | undefined): ProtoWriter {
  return count === undefined ? writer : writer.number(field, count);
}

function children(fields: ProtoField[], field: number): Uint8Array[] {
  return fields.filter((each) => each.field === field && each.wireType === 2)
    .map((each) => each.bytes);
}

function last(fields: ProtoField[], field: number, wireType: number): ProtoField | undefined {
  return fields.findLast((each) => each.field === field && each.wireType === wireType);
}

function text(fields: ProtoField[], field: number): string {
  return new TextDecoder().decode(last(fields, field, 2)?.bytes);
}

function int32(fields: ProtoField[], field: number): number {
  return Number(BigInt.asIntN(32, last(fields, field, 0)?.number ?? 0n));
}

function fixed32(fields: ProtoField[], field: number): number {
  return Number(last(fields, field, 5)?.number ?? 0n);
}

function hex(field: ProtoField | undefined): string {
  return Buffer.from(field?.bytes ?? []).toString("hex");
}

function fromHex(id: string): Uint8Array {
  return Buffer.from(id, "hex");
}

function isArray(value: AttributeValue): value is readonly AttributeValue[] {
  return Array.isArray(value);
}
