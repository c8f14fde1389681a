// What a scan of a Zipkin v2 payload must answer, found the slow and obvious way.

import { Refused, exactNumber, readJson, type JsonNode } from "./json-nodes.ts";
import type { OracleAttribute, OracleResult, OracleSpan } from "./otlp-oracle.ts";

const KINDS: Record<string, JsonNode["kind"]> = {
  traceId: "string", parentId: "string", id: "string", kind: "string", name: "string",
  timestamp: "number", duration: "number", debug: "boolean", shared: "boolean",
  localEndpoint: "object", remoteEndpoint: "object", annotations: "array", tags: "object",
  binaryAnnotations: "array",
};
const ENDPOINT_KINDS: Record<string, JsonNode["kind"]> = {
  serviceName: "string", ipv4: "string", ipv6: "string", port: "number",
};
const ANNOTATION_KINDS: Record<string, JsonNode["kind"]> = { timestamp: "number", value: "string" };
const NANOSECONDS_END = 2n ** 64n;

/** The answer to the payload, or null when it must be refused as a whole. */
export function zipkinOracle(payload: Uint8Array): OracleResult | null {
  const root = readJson(payload);
  if (root === null) return null;
  try {
    if (root.kind !== "array" && root.kind !== "null") throw new Refused("no array");
    root.elements.forEach(checkSpan);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
  const spans = root.elements.map((node) => readSpan(node, payload));
  const valid = spans.filter((span) => span !== null);
  return { spans: valid, refusedSpans: spans.length - valid.length };
}

function checkSpan(node: JsonNode): void {
  checkKinds(node, KINDS);
  for (const { name, value } of node.members) {
    if (name === "tags" && value.members.some((tag) => tag.value.kind !== "string")) {
      throw new Refused("a tag that is no text");
    }
    if (name === "localEndpoint" || name === "remoteEndpoint") {
      if (value.kind === "object") checkKinds(value, ENDPOINT_KINDS);
    }
    if (name === "annotations") {
      value.elements.forEach((element) => checkKinds(element, ANNOTATION_KINDS));
    }
    if (name === "binaryAnnotations" && value.elements.length > 0) throw new Refused("version 1");
  }
}

function checkKinds(node: JsonNode, kinds: Record<string, JsonNode["kind"]>): void {
  if (node.kind !== "object") throw new Refused("no object");
  const once = new Set<string>();
  for (const { name, value } of node.members) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) continue;
    if (value.kind !== kind && value.kind !== "null") throw new Refused(`${name}: wrong type`);
    if (kind !== "object" && kind !== "array") continue;
    if (once.has(name)) throw new Refused(`${name} twice`);
    once.add(name);
  }
}

function readSpan(node: JsonNode, payload: Uint8Array): OracleSpan | null {
  const last = (name: string): JsonNode | undefined => lastOf(node, name);
  const id = (name: string): string => last(name)?.source.slice(1, -1) ?? "";
  if (!isId(id("traceId"), 32) || !isId(id("id"), 16)) return null;
  const parent = id("parentId");
  const isRoot = /^0{0,16}$/.test(parent);
  if (!isRoot && !isId(parent, 16)) return null;
  const startNs = nanoseconds(last("timestamp"));
  const endNs = startNs + nanoseconds(last("duration"));
  const tags = last("tags")?.members ?? [];
  const attributes: OracleAttribute[] = tags
    .map(({ name, value }) => ({ key: name, value: value.text }));
  const local = last("localEndpoint");
  const service = local === undefined ? undefined : lastOf(local, "serviceName");
  if (service !== undefined) attributes.unshift({ key: "service.name", value: service.text });
  return {
    traceId: id("traceId").padStart(32, "0").toLowerCase(), spanId: id("id"), startNs,
    endNs: startNs === 0n ? 0n : endNs < NANOSECONDS_END ? endNs : startNs, isRoot,
    status: statusOf(attributes), bytes: payload.subarray(node.at, node.end), attributes,
  };
}

/** Last value of a name; null is none. */
function lastOf(node: JsonNode, name: string): JsonNode | undefined {
  const value = node.members.findLast((member) => member.name === name)?.value;
  return value?.kind === "null" ? undefined : value;
}

function isId(text: string, digitsMax: number): boolean {
  return new RegExp(`^[0-9a-fA-F]{1,${digitsMax}}$`).test(text) && !/^0*$/.test(text);
}

function nanoseconds(node: JsonNode | undefined): bigint {
  if (node === undefined) return 0n;
  const { value, isNegative } = exactNumber(node.source)!;
  if (value === null || isNegative || value * 1_000n >= NANOSECONDS_END) return 0n;
  return value * 1_000n;
}

/** 0 unset, 1 ok, 2 error. */
function statusOf(attributes: readonly OracleAttribute[]): number {
  const code = attributes.findLast(({ key }) => key === "otel.status_code")?.value;
  if (["OK", "Ok", "STATUS_CODE_OK"].includes(String(code))) return 1;
  if (["ERROR", "Error", "STATUS_CODE_ERROR"].includes(String(code))) return 2;
  const error = attributes.findLast(({ key }) => key === "error")?.value;
  return error === undefined || error === "false" ? 0 : 2;
}
