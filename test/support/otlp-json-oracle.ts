// What a scan of an OTLP JSON payload must answer, found the slow and obvious way.

import { Refused, exactNumber, readJson, type JsonNode } from "./json-nodes.ts";
import type {
  OracleAttribute, OracleResult, OracleSpan, OracleValue,
} from "./otlp-oracle.ts";

/** Where the group of a span should point, as texts; "" is nothing. */
export interface OracleGroup {
  readonly resource: string;
  readonly scope: string;
  readonly resourceSchema: string;
  readonly scopeSchema: string;
}

export interface OracleJsonResult extends OracleResult {
  /** Of each span in `spans`. */
  readonly groups: readonly OracleGroup[];
}

/** Messages by name: field to scalar type, to `message` or to `[message]`. */
const MESSAGES: Record<string, Record<string, string>> = {
  request: { resourceSpans: "[resourceSpans]" },
  resourceSpans: { resource: "resource", scopeSpans: "[scopeSpans]", schemaUrl: "string" },
  resource: { attributes: "[keyValue]", droppedAttributesCount: "u32" },
  scopeSpans: { scope: "scope", spans: "[span]", schemaUrl: "string" },
  scope: {
    name: "string", version: "string", attributes: "[keyValue]", droppedAttributesCount: "u32",
  },
  span: {
    traceId: "string", spanId: "string", parentSpanId: "string", traceState: "string",
    flags: "u32", name: "string", kind: "enum", startTimeUnixNano: "u64", endTimeUnixNano: "u64",
    attributes: "[keyValue]", droppedAttributesCount: "u32", events: "[event]",
    droppedEventsCount: "u32", links: "[link]", droppedLinksCount: "u32", status: "status",
  },
  event: {
    timeUnixNano: "u64", name: "string", attributes: "[keyValue]", droppedAttributesCount: "u32",
  },
  link: {
    traceId: "string", spanId: "string", traceState: "string", attributes: "[keyValue]",
    droppedAttributesCount: "u32", flags: "u32",
  },
  status: { message: "string", code: "enum" },
  keyValue: { key: "string", value: "anyValue" },
  anyValue: {
    stringValue: "string", intValue: "i64", boolValue: "boolean", doubleValue: "double",
    arrayValue: "arrayValue", kvlistValue: "list", bytesValue: "string",
  },
  arrayValue: { values: "[anyValue]" },
  list: { values: "[keyValue]" },
};
/** Smallest value and the one after the largest. */
const RANGES: Record<string, readonly [bigint, bigint]> = {
  u32: [0n, 2n ** 32n], u64: [0n, 2n ** 64n], i64: [-(2n ** 63n), 2n ** 63n],
  enum: [-(2n ** 31n), 2n ** 31n],
};
const STATUS_NAMES = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const STATUS_UNKNOWN = 99;

/** The answer to the payload, or null when it must be refused as a whole. */
export function otlpJsonOracle(payload: Uint8Array): OracleJsonResult | null {
  const root = readJson(payload);
  if (root === null) return null;
  try {
    if (root.kind !== "object") throw new Refused("no object");
    check(root, "request");
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
  const spans: OracleSpan[] = [];
  const groups: OracleGroup[] = [];
  let refusedSpans = 0;
  for (const resourceSpans of elements(root, "resourceSpans")) {
    const resource = lastOf(resourceSpans, "resource");
    const attributes = resource === undefined ? [] : readAttributes(resource);
    for (const scopeSpans of elements(resourceSpans, "scopeSpans")) {
      for (const node of elements(scopeSpans, "spans")) {
        const span = readSpan(node, payload, attributes);
        if (span === null) {
          refusedSpans++;
          continue;
        }
        spans.push(span);
        groups.push({
          resource: resource?.source ?? "", scope: lastOf(scopeSpans, "scope")?.source ?? "",
          resourceSchema: contents(resourceSpans, "schemaUrl"),
          scopeSchema: contents(scopeSpans, "schemaUrl"),
        });
      }
    }
  }
  return { spans, refusedSpans, groups };
}

function check(node: JsonNode, message: string): void {
  if (node.kind === "null") return;
  if (node.kind !== "object") throw new Refused(`${message}: no object`);
  const fields = MESSAGES[message]!;
  const once = new Set<string>();
  let values = 0;
  for (const { name, value } of node.members) {
    const type = Object.hasOwn(fields, name) ? fields[name]! : "";
    if (type === "") continue;
    const child = type.replace(/^\[|\]$/g, "");
    if (Object.hasOwn(MESSAGES, child) && message !== "anyValue") {
      if (once.has(name)) throw new Refused(`${name} twice`);
      once.add(name);
    }
    if (value.kind === "null") continue;
    values++;
    if (type !== child) {
      if (value.kind !== "array") throw new Refused(`${name}: no array`);
      for (const element of value.elements) {
        if (element.kind === "null") throw new Refused(`${name}: a null in it`);
        check(element, child);
      }
    } else if (Object.hasOwn(MESSAGES, child)) {
      check(value, child);
    } else {
      checkScalar(value, type);
    }
  }
  if (message === "anyValue" && values > 1) throw new Refused("more values than one");
}

function checkScalar(node: JsonNode, type: string): void {
  if (type === "string" || type === "boolean") {
    if (node.kind !== type) throw new Refused(`no ${type}`);
    return;
  }
  if (node.kind !== "number" && node.kind !== "string") throw new Refused("no number");
  if (node.kind === "string" && type === "enum") return;
  // In quotes a number is read as it is written.
  const text = node.kind === "string" ? node.source.slice(1, -1) : node.source;
  if (type === "double" && ["NaN", "Infinity", "-Infinity"].includes(text)) return;
  const number = exactNumber(text);
  if (number === null) throw new Refused("no number in quotes");
  if (type === "double") return;
  const [from, to] = RANGES[type]!;
  if (number.value === null || !number.isInteger) throw new Refused("no integer of 64 bits");
  const value = number.isNegative ? -number.value : number.value;
  if (value < from || value >= to) throw new Refused("out of range");
}

function readSpan(
  node: JsonNode, payload: Uint8Array, resource: readonly OracleAttribute[],
): OracleSpan | null {
  const [traceId, spanId] = [contents(node, "traceId"), contents(node, "spanId")];
  const parentId = contents(node, "parentSpanId");
  if (!isId(traceId, 32) || /^0*$/.test(traceId)) return null;
  if (!isId(spanId, 16) || /^0*$/.test(spanId)) return null;
  if (parentId !== "" && !isId(parentId, 16)) return null;
  const isBadLink = elements(node, "links").some((link) => link.members.some(({ name, value }) =>
    (name === "traceId" && !/^(""|null)$/.test(value.source)
      && !isId(value.source.slice(1, -1), 32))
    || (name === "spanId" && !/^(""|null)$/.test(value.source)
      && !isId(value.source.slice(1, -1), 16))));
  if (isBadLink) return null;
  return {
    traceId: traceId.toLowerCase(), spanId, isRoot: /^0*$/.test(parentId),
    startNs: integerOf(lastOf(node, "startTimeUnixNano")),
    endNs: integerOf(lastOf(node, "endTimeUnixNano")),
    status: readStatus(lastOf(node, "status")), bytes: payload.subarray(node.at, node.end),
    attributes: [...resource, ...readAttributes(node)],
  };
}

function readStatus(node: JsonNode | undefined): number {
  const code = node === undefined ? undefined : lastOf(node, "code");
  if (code === undefined) return 0;
  if (code.kind === "string") return Math.max(0, STATUS_NAMES.indexOf(code.text));
  const value = integerOf(code);
  return value >= 0n && value <= 2n ? Number(value) : STATUS_UNKNOWN;
}

function readAttributes(node: JsonNode): OracleAttribute[] {
  return elements(node, "attributes").map((keyValue) => {
    const value = lastOf(keyValue, "value");
    return {
      key: lastOf(keyValue, "key")?.text ?? "",
      value: value === undefined ? null : readValue(value),
    };
  });
}

function readValue(node: JsonNode): OracleValue {
  const text = lastOf(node, "stringValue");
  if (text !== undefined) return text.text;
  const integer = node.members.find(({ name, value }) =>
    name === "intValue" && value.kind !== "null");
  if (integer !== undefined) return integerOf(integer.value);
  const boolean = lastOf(node, "boolValue");
  return boolean === undefined ? null : boolean.source === "true";
}

/** Last value of a name; null is none. Of one of the oneof it is the one that is not null. */
function lastOf(node: JsonNode, name: string): JsonNode | undefined {
  const isValue = name === "stringValue" || name === "boolValue";
  const value = node.members.findLast((member) =>
    member.name === name && (!isValue || member.value.kind !== "null"))?.value;
  return value?.kind === "null" ? undefined : value;
}

function elements(node: JsonNode, name: string): readonly JsonNode[] {
  return lastOf(node, name)?.elements ?? [];
}

/** What is in the quotes of a string, as written. */
function contents(node: JsonNode, name: string): string {
  return lastOf(node, name)?.source.slice(1, -1) ?? "";
}

function isId(text: string, digits: number): boolean {
  return new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(text);
}

function integerOf(node: JsonNode | undefined): bigint {
  if (node === undefined) return 0n;
  const text = node.kind === "string" ? node.source.slice(1, -1) : node.source;
  const { value, isNegative } = exactNumber(text)!;
  return isNegative ? -value! : value!;
}
