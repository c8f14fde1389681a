// The real OpenTelemetry SDK for JavaScript as a client: OTLP/HTTP with protobuf and with JSON,
// gzip, and its Zipkin exporter.

import {
  context, createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { ZipkinExporter } from "@opentelemetry/exporter-zipkin";
import {
  BatchSpanProcessor, NodeTracerProvider, type SpanExporter,
} from "@opentelemetry/sdk-trace-node";
import { expect, it } from "vitest";
import type { RecordingBackend } from "../support/backend.ts";
import { freePorts, GatewayProcess } from "../support/gateway.ts";
import type { Attributes, DecodedSpan } from "../support/otlp-builder.ts";
import { Stage } from "../support/stage.ts";

const TEST_MS = 60_000;
const TRACES = 60;
const KIND_UNSPECIFIED = 0;
const KIND_INTERNAL = 1;

// As a user would ask for it.
process.env["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip";

/** A trace with everything that a span can carry; one in three fails. */
function makeTrace(tracer: Tracer, number: number): void {
  const remote = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: (number + 1).toString(16).padStart(32, "c"), spanId: "00f067aa0ba902b7",
    traceFlags: TraceFlags.SAMPLED, isRemote: true,
    traceState: createTraceState("vendor=value,other=1"),
  });
  const parent = number % 2 === 0 ? ROOT_CONTEXT : remote;
  const root = tracer.startSpan("GET /cart/{id}", {
    kind: SpanKind.SERVER,
    attributes: {
      "http.request.method": "GET", "http.response.status_code": 200, ratio: 0.25, big: 2 ** 40,
      negative: -7, flag: true, unicode: "naïve – 数 🚀", empty: "", list: ["a", "b"],
      numbers: [1, 2.5], flags: [true, false],
    },
    links: [{
      context: {
        traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331",
        traceFlags: TraceFlags.SAMPLED,
      },
      attributes: { why: "batch" },
    }],
  }, parent);
  const inner = trace.setSpan(parent, root);
  const child = tracer.startSpan("query", { kind: SpanKind.CLIENT }, inner);
  child.addEvent("cache miss", { key: "cart:1", size: 12 });
  if (number % 3 === 0) {
    child.recordException(new Error("connection reset"));
    child.setStatus({ code: SpanStatusCode.ERROR, message: "it failed" });
  }
  child.end();
  context.with(inner, () => tracer.startSpan("render", {}, inner).end());
  root.end();
}

function withoutOurs(span: DecodedSpan): DecodedSpan {
  const attributes = Object.entries(span.attributes)
    .filter(([key]) => !key.startsWith("tailrace."));
  return { ...span, attributes: Object.fromEntries(attributes) };
}

function ours(span: DecodedSpan): Attributes {
  return Object.fromEntries(Object.entries(span.attributes)
    .filter(([key]) => key.startsWith("tailrace.")));
}

function sorted(spans: readonly DecodedSpan[]): DecodedSpan[] {
  return spans.toSorted((left, right) => left.spanId < right.spanId ? -1 : 1);
}

function bySpan(backend: RecordingBackend, kept: ReadonlySet<string>): DecodedSpan[] {
  return sorted(backend.spans.filter(({ traceId }) => kept.has(traceId)).map(withoutOurs));
}

function identityOf({
  spanId, traceId, parentSpanId, name, statusCode, kind,
}: DecodedSpan): Partial<DecodedSpan> {
  return { spanId, traceId, parentSpanId, name, statusCode, kind };
}

/** Keeps what failed. */
const FAILED = {
  DecisionWait: "1s", Policies: [
    { name: "failed", type: "status_code", status_code: { status_codes: ["ERROR"] } },
  ],
};
const DECISION = {
  "tailrace.policy": "failed", "tailrace.sample_rate": { double: 1 },
  "tailrace.trigger": "decision_wait",
};

/** Sends TRACES traces through every exporter. */
async function exportTraces(exporters: readonly SpanExporter[]): Promise<void> {
  const provider = new NodeTracerProvider({
    spanProcessors: exporters.map((exporter) => new BatchSpanProcessor(exporter, {
      scheduledDelayMillis: 20, maxExportBatchSize: 17,
    })),
  });
  const tracer = provider.getTracer("shop", "1.2.3", { schemaUrl: "https://example.org/schema" });
  for (let number = 0; number < TRACES; number++) {
    makeTrace(tracer, number);
    if (number % 20 === 0) await provider.forceFlush();
  }
  await provider.shutdown();
}

function failedTraces(direct: RecordingBackend): Set<string> {
  const failed = new Set(direct.spans.filter(({ statusCode }) => statusCode === 2)
    .map(({ traceId }) => traceId));
  expect(failed.size).toBe(TRACES / 3);
  return failed;
}

it.each([
  ["protobuf", "otlp_http_protobuf", ProtobufExporter], ["JSON", "otlp_http_json", JsonExporter],
] as const)("spans that the JavaScript SDK sends as %s arrive as they were, with their decision",
  async (_, protocol, Exporter) => {
    const stage = Stage.open();
    const through = await stage.backend({ keepSpans: true });
    const direct = await stage.backend({ keepSpans: true });
    const gateway = await stage.start(stage.config(
      [stage.otlpForwarder("errors", through, { TraceSample: FAILED })], { Workers: 2 }));
    await exportTraces([
      new Exporter({ url: `http://127.0.0.1:${gateway.port}/v1/traces` }),
      new ProtobufExporter({ url: direct.url }),
    ]);
    expect(direct.spans).toHaveLength(3 * TRACES);
    expect(direct.lastHeaders["content-encoding"]).toBe("gzip");
    await gateway.settled();
    expect(await gateway.metric("tailrace_spans_received_total", { protocol })).toBe(3 * TRACES);
    const failed = failedTraces(direct);
    expect(bySpan(through, failed)).toEqual(bySpan(direct, failed));
    expect(through.spans).toHaveLength(TRACES);
    for (const span of through.spans) expect(ours(span)).toEqual(DECISION);
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);

it("spans of the Zipkin exporter arrive with all that Zipkin can say", async () => {
  const stage = Stage.open();
  const through = await stage.backend({ keepSpans: true });
  const direct = await stage.backend({ keepSpans: true });
  const ports = await freePorts();
  const config = stage.config([stage.otlpForwarder("errors", through, { TraceSample: FAILED })], {
    Workers: 2, ListenFrom: [{ Type: "signalfx", ListenAddr: `127.0.0.1:${ports.port}` }],
  });
  const gateway = stage.watch(await GatewayProcess.start(stage.directory, config, ports));
  await exportTraces([
    new ZipkinExporter({ url: `http://127.0.0.1:${gateway.port}/api/v2/spans` }),
    new ProtobufExporter({ url: direct.url }),
  ]);
  await gateway.settled();
  expect(await gateway.metric("tailrace_spans_received_total", { protocol: "zipkin_json" }))
    .toBe(3 * TRACES);
  const failed = failedTraces(direct);
  const sent = bySpan(direct, failed);
  const arrived = bySpan(through, failed);
  expect(arrived.map(identityOf)).toEqual(sent.map((span) => {
    // Zipkin has no word for an internal span.
    return identityOf(span.kind === KIND_INTERNAL ? { ...span, kind: KIND_UNSPECIFIED } : span);
  }));
  arrived.forEach((span, index) => {
    const original = sent[index]!; // as many, or the comparison above had failed
    expect(span.resource["service.name"]).toBe(original.resource["service.name"]);
    // Microseconds is all that Zipkin has.
    expect(span.startNs / 1000n).toBe(original.startNs / 1000n);
    expect(span.events.map(({ name }) => name)).toEqual(original.events.map(({ name }) => name));
    for (const [key, value] of Object.entries(original.attributes)) {
      if (typeof value === "string") expect(span.attributes[key]).toBe(value);
    }
  });
  for (const span of through.spans) expect(ours(span)).toEqual(DECISION);
  expect((await gateway.stop()).code).toBe(0);
}, TEST_MS);
