// The same spans of the real OpenTelemetry SDK, sent in three formats, mean the same to a scanner.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { ZipkinExporter } from "@opentelemetry/exporter-zipkin";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { expect, it } from "vitest";
import { AttributeMatcher } from "../../../../engine/part/attribute-matcher.ts";
import {
  FORMAT_OTLP_JSON, FORMAT_OTLP_PROTO, FORMAT_ZIPKIN_JSON,
} from "../../../../engine/ring/payload-layout.ts";
import { RecordIndex } from "../../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import { scanPayload } from "../../../../engine/wire/scan-payload.ts";
import { plainParts, type PlainPart } from "../../../support/scan-check.ts";

const NS_PER_US = 1_000n;
const matcher = new AttributeMatcher([
  { kind: "string", key: "http.request.method", values: ["GET"] },
  { kind: "string", key: "quoted", values: ["say \"naïve\" / 🚀\n"] },
  { kind: "number", key: "http.response.status_code", min: 500n, max: 599n },
  { kind: "boolean", key: "retry", value: true },
  { kind: "number", key: "big", min: -(2n ** 40n), max: -(2n ** 40n) },
]);

async function sentBodies(): Promise<Map<string, Uint8Array>> {
  const bodies = new Map<string, Uint8Array>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      bodies.set(request.url!, new Uint8Array(Buffer.concat(chunks)));
      response.writeHead(request.url === "/zipkin" ? 202 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new NodeTracerProvider({
    spanProcessors: [
      new JsonExporter({ url: `${base}/json` }), new ProtoExporter({ url: `${base}/proto` }),
      new ZipkinExporter({ url: `${base}/zipkin` }),
    ].map((exporter) => new BatchSpanProcessor(exporter)),
  });
  makeSpans(provider);
  await provider.shutdown();
  await new Promise((resolve) => server.close(resolve));
  return bodies;
}

function makeSpans(provider: NodeTracerProvider): void {
  const tracer = provider.getTracer("scanner test", "1.2.3");
  for (let number = 0; number < 6; number++) {
    const root = tracer.startSpan("GET /", {
      kind: SpanKind.SERVER, root: true,
      attributes: {
        "http.request.method": number % 2 === 0 ? "GET" : "PUT", quoted: "say \"naïve\" / 🚀\n",
        "http.response.status_code": 499 + number, retry: number === 3, list: ["a", "b"],
        big: -(2 ** 40) - number % 2, ratio: 0.25,
      },
      links: [{ context: { traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331", traceFlags: 1 } }],
    });
    const child = tracer.startSpan("query", { kind: SpanKind.CLIENT },
      trace.setSpan(context.active(), root));
    child.addEvent("cache miss", { key: "cart:1", size: 12 });
    if (number === 4) child.setStatus({ code: SpanStatusCode.ERROR, message: "it failed" });
    if (number === 5) child.setStatus({ code: SpanStatusCode.OK });
    child.end();
    root.end();
  }
}

it("spans of an SDK are the same in OTLP protobuf, OTLP JSON and Zipkin JSON", async () => {
  const bodies = await sentBodies();
  const index = new RecordIndex({ spansMax: 100, hashSeed: 1 });
  const partsOf = (path: string, format: number): PlainPart[] => {
    const body = bodies.get(path)!;
    expect(scanPayload(format, body, 0, body.length, matcher, index)).toBe(SCAN_OK);
    expect([index.spanCount, index.refusedSpans]).toEqual([12, 0]);
    return plainParts(index).map((part) => ({ ...part, bytes: 0 }));
  };
  const proto = partsOf("/proto", FORMAT_OTLP_PROTO);
  expect(proto.map(({ bits }) => bits)).toEqual([19n, 6n, 23n, 14n, 23n, 6n]);
  expect(partsOf("/json", FORMAT_OTLP_JSON)).toEqual(proto);
  // Zipkin has microseconds, and texts for everything.
  const zipkin = partsOf("/zipkin", FORMAT_ZIPKIN_JSON);
  expect(zipkin.map((part) => ({ ...part, startNs: 0n, endNs: 0n }))).toEqual(
    proto.map((part) => ({ ...part, bits: part.bits & 0b11n, startNs: 0n, endNs: 0n })),
  );
  zipkin.forEach((part, number) => {
    const off = (one: bigint, other: bigint): bigint => one > other ? one - other : other - one;
    expect(off(part.startNs, proto[number]!.startNs)).toBeLessThanOrEqual(NS_PER_US);
    expect(off(part.endNs, proto[number]!.endNs)).toBeLessThanOrEqual(2n * NS_PER_US);
  });
}, 30_000);
