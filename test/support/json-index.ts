// Record indexes of JSON bodies, made the slow and obvious way from a syntax tree: what a scanner
// finds in well-formed bodies, without its checks.

import { findNodeAtLocation, parseTree, type Node } from "jsonc-parser";
import {
  GROUP_RESOURCE_SCHEMA_AT, GROUP_RESOURCE_SCHEMA_END, GROUP_SCOPE_SCHEMA_AT,
  GROUP_SCOPE_SCHEMA_END, GROUP_WORDS, REGISTER_SPAN_AT, RecordIndex,
} from "../../engine/wire/record-index.ts";
import { PART_BYTES } from "../../engine/part/part-layout.ts";
import { FORMAT_OTLP_JSON, FORMAT_ZIPKIN_JSON } from "../../engine/ring/payload-layout.ts";

const SPANS_MAX = 1_000_000;

/** Index of an array of Zipkin spans. */
export function indexZipkin(body: Uint8Array): RecordIndex {
  const index = newIndex(FORMAT_ZIPKIN_JSON);
  index.beginGroup(0, 0, 0, 0);
  for (const span of parse(body).children ?? []) addSpan(index, span, "traceId");
  return index;
}

/** Index of an ExportTraceServiceRequest as JSON. */
export function indexOtlp(body: Uint8Array): RecordIndex {
  const index = newIndex(FORMAT_OTLP_JSON);
  for (const resourceSpans of elements(parse(body), "resourceSpans")) {
    const resource = extent(resourceSpans, "resource");
    for (const scopeSpans of elements(resourceSpans, "scopeSpans")) {
      const scope = extent(scopeSpans, "scope");
      index.beginGroup(resource[0], resource[1], scope[0], scope[1]);
      const at = index.groupCount * GROUP_WORDS;
      const resourceSchema = textExtent(resourceSpans, "schemaUrl");
      const scopeSchema = textExtent(scopeSpans, "schemaUrl");
      index.groups[at + GROUP_RESOURCE_SCHEMA_AT] = resourceSchema[0];
      index.groups[at + GROUP_RESOURCE_SCHEMA_END] = resourceSchema[1];
      index.groups[at + GROUP_SCOPE_SCHEMA_AT] = scopeSchema[0];
      index.groups[at + GROUP_SCOPE_SCHEMA_END] = scopeSchema[1];
      for (const span of elements(scopeSpans, "spans")) addSpan(index, span, "traceId");
    }
  }
  return index;
}

function newIndex(format: number): RecordIndex {
  const index = new RecordIndex({ spansMax: SPANS_MAX, hashSeed: 9 });
  index.reset();
  index.format = format;
  return index;
}

/** One character a byte, so that offsets are those of bytes. */
function parse(body: Uint8Array): Node {
  const tree = parseTree(Buffer.from(body).toString("latin1"));
  if (tree === undefined) throw new Error("no JSON");
  return tree;
}

function addSpan(index: RecordIndex, span: Node, idKey: string): void {
  if (span.type !== "object") return;
  const id = findNodeAtLocation(span, [idKey])?.value as unknown;
  const digits = (typeof id === "string" ? id : "").toLowerCase().padStart(32, "0");
  for (let word = 0; word < 4; word++) {
    const value = Number.parseInt(digits.slice(word * 8, word * 8 + 8), 16);
    index.registers[word] = Number.isNaN(value) ? 0 : value;
  }
  index.registers[REGISTER_SPAN_AT] = span.offset;
  index.registers[PART_BYTES] = span.length;
  if (!index.addSpan()) throw new Error("too many spans");
}

function elements(node: Node, key: string): Node[] {
  const array = findNodeAtLocation(node, [key]);
  return array?.type === "array" ? array.children ?? [] : [];
}

function extent(node: Node, key: string): [number, number] {
  const value = findNodeAtLocation(node, [key]);
  if (value === undefined || value.type === "null") return [0, 0];
  return [value.offset, value.offset + value.length];
}

/** What is between the quotes. */
function textExtent(node: Node, key: string): [number, number] {
  const value = findNodeAtLocation(node, [key]);
  if (value?.type !== "string" || value.length === 2) return [0, 0];
  return [value.offset + 1, value.offset + value.length - 1];
}
