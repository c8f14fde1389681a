// The spans of payload.ts in JSON: OTLP, and Zipkin v2 with every attribute as a tag.

import {
  ATTRIBUTES, findIds, generator, randomBytes, resourceAttributes, SCOPE, SPAN_NAME, START_NS,
  type Payload, type PayloadShape,
} from "./payload.ts";

const NS_PER_US = 1000n;
const DURATION_US_MIN = 1_000;
const DURATION_US_RANGE = 90_000;

/** What both forms say about a span. */
interface SpanFacts {
  readonly resource: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Null: a root. */
  readonly parentId: string | null;
  readonly durationUs: number;
  readonly isError: boolean;
  /** Ends every text; may be empty. */
  readonly mark: string;
}

interface Facts {
  readonly traceIds: readonly number[][];
  readonly spanIds: readonly number[][];
  readonly spans: readonly SpanFacts[];
}

/** One ExportTraceServiceRequest in OTLP JSON; the same bytes for the same shape. */
export function otlpJsonPayload(shape: PayloadShape): Payload {
  const facts = factsOf(shape);
  const resourceSpans = Array.from({ length: shape.resources }, (_, resource) => ({
    resource: { attributes: resourceAttributes(resource).map(attribute) },
    scopeSpans: [{
      scope: SCOPE, spans: facts.spans.filter((span) => span.resource === resource).map(otlpSpan),
    }],
  }));
  return payload("/v1/traces", JSON.stringify({ resourceSpans }), facts, shape);
}

/** One array of Zipkin v2 spans. */
export function zipkinPayload(shape: PayloadShape): Payload {
  const facts = factsOf(shape);
  return payload("/api/v2/spans", JSON.stringify(facts.spans.map(zipkinSpan)), facts, shape);
}

function factsOf(shape: PayloadShape): Facts {
  const next = generator(shape.seed);
  const traceIds = Array.from(
    { length: Math.ceil(shape.spans / shape.spansPerTrace) }, () => randomBytes(next, 16),
  );
  const spanIds: number[][] = [];
  const spans = Array.from({ length: shape.spans }, (_, index): SpanFacts => {
    const spanId = randomBytes(next, 8);
    spanIds.push(spanId);
    const isRoot = index % shape.spansPerTrace === 0;
    return {
      resource: index % shape.resources,
      traceId: hex(traceIds[Math.floor(index / shape.spansPerTrace)]!), // enough were made
      spanId: hex(spanId), parentId: isRoot ? null : hex(randomBytes(next, 8)),
      durationUs: DURATION_US_MIN + (next() % DURATION_US_RANGE),
      isError: shape.errorEvery > 0 && index % shape.errorEvery === 0,
      mark: shape.valuesDiffer === true ? String(next()).padStart(10, "0") : "",
    };
  });
  return { traceIds, spanIds, spans };
}

function payload(path: string, text: string, facts: Facts, shape: PayloadShape): Payload {
  const body = new TextEncoder().encode(text);
  const ids = findIds(body, facts.traceIds, facts.spanIds, shape.spansPerTrace, "hex");
  return { path, contentType: "application/json", body, ids, hexIds: true };
}

function otlpSpan(span: SpanFacts): object {
  const endNs = START_NS + BigInt(span.durationUs) * NS_PER_US;
  return {
    traceId: span.traceId, spanId: span.spanId,
    ...(span.parentId !== null && { parentSpanId: span.parentId }),
    name: SPAN_NAME, kind: 2,
    startTimeUnixNano: String(START_NS), endTimeUnixNano: String(endNs),
    attributes: ATTRIBUTES.map(([key, value]) => {
      return attribute([key, typeof value === "string" ? value + span.mark : value]);
    }),
    status: span.isError ? { code: 2 } : {},
  };
}

function attribute([key, value]: readonly [string, string | number]): object {
  return {
    key, value: typeof value === "string" ? { stringValue: value } : { intValue: String(value) },
  };
}

function zipkinSpan(span: SpanFacts): object {
  const tags = Object.fromEntries(ATTRIBUTES.map(([key, value]) => {
    return [key, `${value}${span.mark}`];
  }));
  return {
    traceId: span.traceId,
    ...(span.parentId !== null && { parentId: span.parentId }),
    id: span.spanId, kind: "SERVER", name: SPAN_NAME,
    timestamp: Number(START_NS / NS_PER_US), duration: span.durationUs,
    localEndpoint: { serviceName: `baskets-${span.resource}`, ipv4: "10.0.12.1" },
    tags: span.isError ? { ...tags, error: "true" } : tags,
  };
}

function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString("hex");
}
