// The real OpenTelemetry SDK for JavaScript as a client: OTLP/HTTP, protobuf, gzip.

import {
  context, createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { expect, it } from "vitest";
import type { RecordingBackend } from "../support/backend.ts";
import type { Attributes, DecodedSpan } from "../support/otlp-builder.ts";
import { Stage } from "../support/stage.ts";

const TEST_MS = 30_000;
const TRACES = 60;

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

it("spans of the JavaScript SDK arrive as they were sent, with their decision", async () => {
  const stage = Stage.open();
  const through = await stage.backend({ keepSpans: true });
  const direct = await stage.backend({ keepSpans: true });
  const gateway = await stage.start(stage.config([stage.otlpForwarder("errors", through, {
    TraceSample: {
      DecisionWait: "1s", Policies: [
        { name: "failed", type: "status_code", status_code: { status_codes: ["ERROR"] } },
      ],
    },
  })], { Workers: 2 }));
  const provider = new NodeTracerProvider({
    spanProcessors: [`http://127.0.0.1:${gateway.port}/v1/traces`, direct.url]
      .map((url) => new BatchSpanProcessor(new OTLPTraceExporter({ url }), {
        scheduledDelayMillis: 20, maxExportBatchSize: 17,
      })),
  });
  const tracer = provider.getTracer("shop", "1.2.3", { schemaUrl: "https://example.org/schema" });
  for (let number = 0; number < TRACES; number++) {
    makeTrace(tracer, number);
    if (number % 20 === 0) await provider.forceFlush();
  }
  await provider.shutdown();
  expect(direct.spans).toHaveLength(3 * TRACES);
  expect(direct.lastHeaders["content-encoding"]).toBe("gzip");
  expect(await gateway.metric("tailrace_spans_received_total")).toBe(3 * TRACES);
  await gateway.settled();
  const failed = new Set(direct.spans.filter(({ statusCode }) => statusCode === 2)
    .map(({ traceId }) => traceId));
  expect(failed.size).toBe(TRACES / 3);
  expect(bySpan(through, failed)).toEqual(bySpan(direct, failed));
  expect(through.spans).toHaveLength(TRACES);
  for (const span of through.spans) {
    expect(ours(span)).toEqual({
      "tailrace.policy": "failed", "tailrace.sample_rate": { double: 1 },
      "tailrace.trigger": "decision_wait",
    });
  }
  expect((await gateway.stop()).code).toBe(0);
}, TEST_MS);
