// The messages of OTLP traces as data: field number -> JSON name and how its value is written.
// Source: opentelemetry-proto 1.x, trace.proto, common.proto and resource.proto; JSON rules from
// the OTLP specification, "JSON Protobuf Encoding": lowerCamelCase names, ids as lowercase hex,
// enums as numbers, 64-bit integers as decimal strings, other bytes as base64.

export const AS_TEXT = 0;
export const AS_HEX = 1;
export const AS_BASE64 = 2;
export const AS_BOOL = 3;
export const AS_INT32 = 4;
export const AS_UINT32 = 5;
export const AS_INT64 = 6;
export const AS_DOUBLE = 7;
export const AS_FIXED64 = 8;
export const AS_FIXED32 = 9;
export const AS_MESSAGE = 10;

/** One field of a message. */
export interface FieldShape {
  readonly name: string;
  readonly as: number;
  readonly repeated: boolean;
  /** The message's shape, for AS_MESSAGE. */
  readonly shape: MessageShape | null;
}

/** One message. In a oneof the last field on the wire is the only one that counts. */
export interface MessageShape {
  readonly fields: Map<number, FieldShape>;
  readonly oneof: boolean;
}

type Row = readonly [number: number, name: string, as: number];

function message(rows: readonly Row[], oneof = false): MessageShape {
  const fields = new Map<number, FieldShape>();
  for (const [number, name, as] of rows) {
    fields.set(number, { name, as, repeated: false, shape: null });
  }
  return { fields, oneof };
}

function nest(
  parent: MessageShape, number: number, name: string, shape: MessageShape, repeated: boolean,
): void {
  parent.fields.set(number, { name, as: AS_MESSAGE, repeated, shape });
}

const anyValue = message([
  [1, "stringValue", AS_TEXT], [2, "boolValue", AS_BOOL], [3, "intValue", AS_INT64],
  [4, "doubleValue", AS_DOUBLE], [7, "bytesValue", AS_BASE64],
], true);
const arrayValue = message([]);
const keyValueList = message([]);
const keyValue = message([[1, "key", AS_TEXT]]);
nest(keyValue, 2, "value", anyValue, false);
nest(arrayValue, 1, "values", anyValue, true);
nest(keyValueList, 1, "values", keyValue, true);
nest(anyValue, 5, "arrayValue", arrayValue, false);
nest(anyValue, 6, "kvlistValue", keyValueList, false);

const entityRef = message([[1, "schemaUrl", AS_TEXT], [2, "type", AS_TEXT]]);
entityRef.fields.set(3, { name: "idKeys", as: AS_TEXT, repeated: true, shape: null });
entityRef.fields.set(4, { name: "descriptionKeys", as: AS_TEXT, repeated: true, shape: null });

const resource = message([[2, "droppedAttributesCount", AS_UINT32]]);
nest(resource, 1, "attributes", keyValue, true);
nest(resource, 3, "entityRefs", entityRef, true);

const scope = message([
  [1, "name", AS_TEXT], [2, "version", AS_TEXT], [4, "droppedAttributesCount", AS_UINT32],
]);
nest(scope, 3, "attributes", keyValue, true);

const event = message([
  [1, "timeUnixNano", AS_FIXED64], [2, "name", AS_TEXT], [4, "droppedAttributesCount", AS_UINT32],
]);
nest(event, 3, "attributes", keyValue, true);

const link = message([
  [1, "traceId", AS_HEX], [2, "spanId", AS_HEX], [3, "traceState", AS_TEXT],
  [5, "droppedAttributesCount", AS_UINT32], [6, "flags", AS_FIXED32],
]);
nest(link, 4, "attributes", keyValue, true);

const status = message([[2, "message", AS_TEXT], [3, "code", AS_INT32]]);

const span = message([
  [1, "traceId", AS_HEX], [2, "spanId", AS_HEX], [3, "traceState", AS_TEXT],
  [4, "parentSpanId", AS_HEX], [5, "name", AS_TEXT], [6, "kind", AS_INT32],
  [7, "startTimeUnixNano", AS_FIXED64], [8, "endTimeUnixNano", AS_FIXED64],
  [10, "droppedAttributesCount", AS_UINT32], [12, "droppedEventsCount", AS_UINT32],
  [14, "droppedLinksCount", AS_UINT32], [16, "flags", AS_FIXED32],
]);
nest(span, 9, "attributes", keyValue, true);
nest(span, 11, "events", event, true);
nest(span, 13, "links", link, true);
nest(span, 15, "status", status, false);

const scopeSpansHead = message([[3, "schemaUrl", AS_TEXT]]);
nest(scopeSpansHead, 1, "scope", scope, false);

const resourceSpansHead = message([[3, "schemaUrl", AS_TEXT]]);
nest(resourceSpansHead, 1, "resource", resource, false);

/** opentelemetry.proto.trace.v1.Span. */
export const SPAN_SHAPE: MessageShape = span;
/** A ScopeSpans without its spans, which are written one by one. */
export const SCOPE_SPANS_HEAD_SHAPE: MessageShape = scopeSpansHead;
/** A ResourceSpans without its scope_spans. */
export const RESOURCE_SPANS_HEAD_SHAPE: MessageShape = resourceSpansHead;
