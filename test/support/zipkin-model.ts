// What a Zipkin span must become, found the slow and obvious way: plain objects and strings. Shares
// nothing with the engine but the rules.

import type { Attributes, DecodedSpan } from "./otlp-builder.ts";

export interface ZipkinEndpoint {
  readonly serviceName?: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly port?: number;
}
/** As JSON.parse gives it. */
export interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly timestamp?: number;
  readonly duration?: number;
  readonly localEndpoint?: ZipkinEndpoint;
  readonly remoteEndpoint?: ZipkinEndpoint;
  readonly annotations?: readonly { readonly timestamp?: number; readonly value?: string }[];
  readonly tags?: Readonly<Record<string, string>>;
  readonly debug?: boolean;
  readonly shared?: boolean;
}

const KINDS = ["", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const TAG_KINDS = ["", "internal", "server", "client", "producer", "consumer"];
const CODES: Readonly<Record<string, number>> = {
  UNSET: 0, OK: 1, ERROR: 2, STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2,
  Unset: 0, Ok: 1, Error: 2,
};

/** The span as decoded from OTLP. */
export function modelSpan(span: ZipkinSpan): DecodedSpan {
  const tags = new Map(Object.entries(span.tags ?? {}));
  const attributes: Record<string, Attributes[string]> = {};
  const status = takeStatus(tags);
  const kind = takeKind(span.kind, tags);
  const scope = {
    name: takeEither(tags, "otel.scope.name", "otel.library.name"),
    version: takeEither(tags, "otel.scope.version", "otel.library.version"),
    attributes: {},
  };
  const traceState = tags.get("w3c.tracestate") ?? "";
  tags.delete("w3c.tracestate");
  for (const [key, value] of tags) attributes[key] = value;
  const local = span.localEndpoint ?? {};
  const remote = span.remoteEndpoint ?? {};
  add(attributes, tags, "service.peer.name", remote.serviceName);
  addAddress(attributes, tags, "network.local.address", "zipkin.local.ipv4", local);
  addAddress(attributes, tags, "network.peer.address", "zipkin.remote.ipv4", remote);
  addPort(attributes, tags, "network.local.port", local.port);
  addPort(attributes, tags, "network.peer.port", remote.port);
  if (span.debug === true) attributes["zipkin.debug"] = true;
  if (span.shared === true) attributes["zipkin.shared"] = true;
  const startNs = nanoseconds(span.timestamp);
  if (startNs === 0n) attributes["otel.zipkin.absentField.startTime"] = true;
  if ((span.timestamp ?? 0) < 0) attributes["zipkin.timestamp"] = `${span.timestamp}`;
  if ((span.duration ?? 0) < 0) attributes["zipkin.duration"] = `${span.duration}`;
  const spanId = pad(span.id, 16);
  const parentId = pad(span.parentId ?? "", 16);
  return {
    traceId: pad(span.traceId, 32), spanId,
    parentSpanId: parentId === spanId || /^0*$/.test(parentId) ? "" : parentId,
    traceState: wellFormed(traceState), flags: 0, name: wellFormed(span.name ?? ""), kind, startNs,
    endNs: startNs + nanoseconds(span.duration), attributes: cleaned(attributes),
    droppedAttributesCount: 0,
    events: (span.annotations ?? []).map(({ timestamp, value }) => ({
      name: wellFormed(value ?? ""), timeNs: nanoseconds(timestamp), attributes: {},
      droppedAttributesCount: 0,
    })),
    droppedEventsCount: 0, links: [], droppedLinksCount: 0, ...status,
    resource: (local.serviceName ?? "") === ""
      ? {} : { "service.name": wellFormed(local.serviceName!) },
    resourceSchemaUrl: "", scopeSchemaUrl: "",
    scope: { ...scope, name: wellFormed(scope.name), version: wellFormed(scope.version) },
  };
}

function takeStatus(tags: Map<string, string>): { statusCode: number; statusMessage: string } {
  let statusCode = CODES[tags.get("otel.status_code") ?? ""] ?? -1;
  let statusMessage = "";
  if (statusCode >= 0) {
    tags.delete("otel.status_code");
    statusMessage = tags.get("otel.status_description") ?? "";
    if (statusMessage !== "") tags.delete("otel.status_description");
  }
  const error = tags.get("error");
  const isText = error !== undefined && !["true", "false", ""].includes(error);
  if (statusCode !== 1 && (error === "true" || error === "")) {
    statusCode = 2;
    tags.delete("error");
  } else if (isText && statusCode !== 1) {
    statusCode = 2;
    if (statusMessage === "") {
      statusMessage = error;
      tags.delete("error");
    }
  }
  return { statusCode: Math.max(0, statusCode), statusMessage: wellFormed(statusMessage) };
}

function takeKind(kind: string | undefined, tags: Map<string, string>): number {
  const own = KINDS.indexOf(kind ?? "none");
  if (own > 0) return own;
  const tagged = TAG_KINDS.indexOf(tags.get("span.kind") ?? "none");
  if (tagged > 0) tags.delete("span.kind");
  return Math.max(0, tagged);
}

function takeEither(tags: Map<string, string>, newer: string, older: string): string {
  const first = tags.get(newer) ?? "";
  const second = tags.get(older) ?? "";
  tags.delete(newer);
  if (first === "" || first === second || second === "") tags.delete(older);
  return first === "" ? second : first;
}

function add(
  attributes: Record<string, Attributes[string]>, tags: Map<string, string>, key: string,
  value: string | undefined,
): void {
  if (value === undefined || value === "" || tags.get(key) === value) return;
  attributes[tags.has(key) ? `zipkin.${key}` : key] = value;
}

function addAddress(
  attributes: Record<string, Attributes[string]>, tags: Map<string, string>, key: string,
  ipv4Key: string, { ipv4, ipv6 }: ZipkinEndpoint,
): void {
  const hasBoth = (ipv6 ?? "") !== "";
  add(attributes, tags, key, hasBoth ? ipv6 : ipv4);
  if (hasBoth && (ipv4 ?? "") !== "") attributes[ipv4Key] = ipv4!;
}

function addPort(
  attributes: Record<string, Attributes[string]>, tags: Map<string, string>, key: string,
  port: number | undefined,
): void {
  if (port === undefined || port <= 0 || tags.get(key) === `${port}`) return;
  attributes[tags.has(key) ? `zipkin.${key}` : key] = BigInt(port);
}

function nanoseconds(micros: number | undefined): bigint {
  return micros === undefined || micros < 0 ? 0n : BigInt(Math.trunc(micros)) * 1000n;
}

function pad(id: string, digits: number): string {
  return id.toLowerCase().padStart(digits, "0");
}

/** Lone surrogates replaced, as protobuf needs it. */
function wellFormed(text: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

function cleaned(attributes: Record<string, Attributes[string]>): Attributes {
  return Object.fromEntries(Object.entries(attributes).map(([key, value]) =>
    [wellFormed(key), typeof value === "string" ? wellFormed(value) : value]));
}
