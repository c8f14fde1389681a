// The services of the demo's shop as OpenTelemetry SDKs: each has its own tracer and exporter, as
// if they were eight programs, and three ways to say the same.

import {
  context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace, type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { ZipkinExporter } from "@opentelemetry/exporter-zipkin";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor, NodeTracerProvider, type ReadableSpan, type SpanExporter,
} from "@opentelemetry/sdk-trace-node";
import type { Fate, Kind, PlannedSpan, PlannedTrace, Service } from "./demo-shop.ts";

/** Who speaks what. */
export const SERVICES_BY_PROTOCOL = {
  "OTLP protobuf, gzip": ["storefront", "catalogue", "accounts"],
  "OTLP JSON": ["basket", "inventory"],
  "Zipkin v2 JSON": ["checkout", "payment", "mail"],
} as const satisfies Record<string, readonly Service[]>;
export type Protocol = keyof typeof SERVICES_BY_PROTOCOL;

/** Where the listeners are. */
export interface Endpoints {
  readonly otlpUrl: string;
  readonly zipkinUrl: string;
}

/** A trace as it was sent. */
export interface SentTrace {
  readonly traceId: string;
  readonly fate: Fate;
  readonly beganMs: number;
  readonly spans: number;
  /** Id of the span that came late, or null. */
  readonly lateSpanId: string | null;
}

const FLUSH_MS = 200;
const QUEUE_SPANS = 16_384;
const TIMEOUT_MS = 5_000;
const KINDS: Readonly<Record<Kind, SpanKind>> = {
  server: SpanKind.SERVER, client: SpanKind.CLIENT, consumer: SpanKind.CONSUMER,
};
const EXPORTED = 0;

/** Spans by what became of their requests. */
export interface Outcome {
  accepted: number;
  refused: number;
  /** What the exporters said about the refused ones. */
  readonly reasons: Set<string>;
}

/** All services; open spans end when their time has come. */
export class ShopSenders {
  readonly sent: SentTrace[] = [];
  readonly outcomes: ReadonlyMap<Protocol, Outcome>;
  readonly #providers: NodeTracerProvider[] = [];
  readonly #tracers = new Map<Service, Tracer>();
  #open: { readonly planned: PlannedSpan; readonly span: Span }[] = [];

  constructor(endpoints: Endpoints) {
    const outcomes = new Map<Protocol, Outcome>();
    for (const [protocol, services] of Object.entries(SERVICES_BY_PROTOCOL)) {
      const outcome: Outcome = { accepted: 0, refused: 0, reasons: new Set() };
      outcomes.set(protocol as Protocol, outcome);
      for (const service of services) {
        const inner = exporterOf(protocol as Protocol, endpoints);
        this.#addService(service, new CountingExporter(inner, outcome));
      }
    }
    this.outcomes = outcomes;
  }

  get spansMade(): number {
    return this.sent.reduce((sum, { spans }) => sum + spans, 0);
  }

  get spansAccepted(): number {
    return [...this.outcomes.values()].reduce((sum, { accepted }) => sum + accepted, 0);
  }

  /** Spans that wait for their end, late ones included. */
  get spansOpen(): number {
    return this.#open.length;
  }

  /** Starts all spans of a trace, parents first. */
  begin(planned: PlannedTrace): void {
    const spans: Span[] = [];
    for (const plan of planned.spans) {
      const above = plan.parent === null ? undefined : spans[plan.parent];
      const span = this.#tracer(plan.service).startSpan(plan.name, {
        kind: KINDS[plan.kind], startTime: plan.startMs, attributes: plan.attributes,
      }, above === undefined ? ROOT_CONTEXT : trace.setSpan(context.active(), above));
      if (plan.error !== null) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: plan.error });
      }
      spans.push(span);
      this.#open.push({ planned: plan, span });
    }
    const late = planned.spans.findIndex((span) => span.late);
    const [root] = spans;
    if (root === undefined) return;
    this.sent.push({
      traceId: root.spanContext().traceId, fate: planned.fate, spans: spans.length,
      beganMs: planned.spans[0]!.startMs, // the root is there
      lateSpanId: spans[late]?.spanContext().spanId ?? null,
    });
  }

  /** Ends, and so sends, what should be over by now. */
  endDue(nowMs: number): void {
    const due = this.#open.filter(({ planned }) => planned.sendMs <= nowMs);
    this.#open = this.#open.filter(({ planned }) => planned.sendMs > nowMs);
    for (const { planned, span } of due) span.end(planned.endMs);
  }

  /** Sends what is left and ends the exporters. What they could not send is in the outcomes. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#providers.map(async (provider) => await provider.shutdown()));
  }

  #addService(service: Service, exporter: SpanExporter): void {
    const provider = new NodeTracerProvider({
      resource: resourceFromAttributes({
        "service.name": service, "service.version": "1.4.2",
        "deployment.environment.name": "demo", "host.name": `${service}-7d9f`,
      }),
      spanProcessors: [new BatchSpanProcessor(exporter, {
        scheduledDelayMillis: FLUSH_MS, maxQueueSize: QUEUE_SPANS, exportTimeoutMillis: TIMEOUT_MS,
      })],
    });
    this.#providers.push(provider);
    this.#tracers.set(service, provider.getTracer("tailrace.demo"));
  }

  #tracer(service: Service): Tracer {
    const tracer = this.#tracers.get(service);
    if (tracer === undefined) throw new Error(`${service} speaks no protocol`);
    return tracer;
  }
}

function exporterOf(protocol: Protocol, { otlpUrl, zipkinUrl }: Endpoints): SpanExporter {
  if (protocol === "Zipkin v2 JSON") return new ZipkinExporter({ url: zipkinUrl });
  const otlp = { url: otlpUrl, timeoutMillis: TIMEOUT_MS };
  if (protocol === "OTLP JSON") return new JsonExporter(otlp);
  type Options = NonNullable<ConstructorParameters<typeof ProtobufExporter>[0]>;
  // The enum of the SDK is in a package of its own; its value is this word.
  const compression = "gzip" as NonNullable<Options["compression"]>;
  return new ProtobufExporter({ ...otlp, compression });
}

/** Counts what the exporter behind it could send and what it could not. */
class CountingExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #outcome: Outcome;

  constructor(inner: SpanExporter, outcome: Outcome) {
    this.#inner = inner;
    this.#outcome = outcome;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    this.#inner.export(spans, (result) => {
      if (result.code === EXPORTED) this.#outcome.accepted += spans.length;
      else {
        this.#outcome.refused += spans.length;
        this.#outcome.reasons.add(result.error?.message ?? "no reason given");
      }
      done(result);
    });
  }

  async shutdown(): Promise<void> {
    await this.#inner.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.();
  }
}
