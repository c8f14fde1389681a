import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { OtlpJsonRenderer } from "../../../../engine/wire/otlp-json/render.ts";
import type { RecordIndex } from "../../../../engine/wire/record-index.ts";
import type { Renderer } from "../../../../engine/wire/renderer.ts";
import { ZipkinJsonRenderer } from "../../../../engine/wire/zipkin-json/render.ts";
import { indexOtlp, indexZipkin } from "../../../support/json-index.ts";
import { decodeRequest, type DecodedSpan } from "../../../support/otlp-builder.ts";
import { checkOutput, renderRecord } from "../../../support/render-check.ts";

const file = new URL("../../../fixtures/json-js-sdk.json", import.meta.url);
const fixture = JSON.parse(readFileSync(file, "utf8")) as {
  origin: string; otlp: string; zipkin: string;
};

function rendered(
  renderer: Renderer, text: string, indexOf: (body: Uint8Array) => RecordIndex,
): DecodedSpan[] {
  const body = new TextEncoder().encode(text);
  const { bytes } = renderRecord(renderer, body, indexOf(body));
  checkOutput(bytes);
  return decodeRequest(bytes);
}

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const REMOTE_ID = "00f067aa0ba902b7";

describe("requests recorded from an OpenTelemetry SDK", () => {
  it("in OTLP JSON are rendered with all that the spans had", () => {
    const spans = rendered(new OtlpJsonRenderer(), fixture.otlp, indexOtlp);
    expect(spans.map(({ name }) => name)).toEqual(["SELECT", "GET /basket/{id}", "tick"]);
    const [child, root, tick] = spans;
    expect(root).toMatchObject({
      traceId: TRACE_ID, parentSpanId: REMOTE_ID, kind: 2, statusCode: 1,
      traceState: "vendor=value",
      attributes: {
        "http.request.method": "GET", "http.response.status_code": 200n, ratio: { double: 0.25 },
        big: 2n ** 40n, negative: -7n, flag: true, unicode: "naïve – 数 🚀", empty: "",
        list: ["a", "b"], numbers: [1n, { double: 2.5 }],
      },
      links: [{
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "b7ad6b7169203331",
        attributes: { why: "batch" },
      }],
      resource: {
        "service.name": "checkout", "service.version": "1.2.3", "process.pid": 4711n,
        "host.tags": ["a", "b"],
      },
      scope: { name: "shop", version: "2.0.0" }, scopeSchemaUrl: "https://example.org/schema",
    });
    expect(child).toMatchObject({
      traceId: TRACE_ID, parentSpanId: root!.spanId, kind: 3, statusCode: 2,
      statusMessage: "deadlock\nretry",
      events: [
        { name: "lock wait", attributes: { ms: 12n } },
        { name: "exception", attributes: { "exception.message": "no \"row\"" } },
      ],
    });
    expect(child!.startNs).toBeGreaterThan(1_790_000_000_000_000_000n);
    expect(child!.endNs).toBeGreaterThan(child!.startNs);
    expect(tick).toMatchObject({ parentSpanId: "", kind: 1, scope: { name: "jobs" } });
  });

  it("in Zipkin JSON are rendered with all that Zipkin can say", () => {
    const spans = rendered(new ZipkinJsonRenderer(), fixture.zipkin, indexZipkin);
    const others = rendered(new OtlpJsonRenderer(), fixture.otlp, indexOtlp);
    expect(spans.length).toBe(3);
    for (const [index, span] of spans.entries()) {
      const { traceId, spanId, parentSpanId, name, startNs, statusCode, statusMessage }
        = others[index]!;
      expect(span).toMatchObject({
        traceId, spanId, parentSpanId, name, statusCode, statusMessage,
        resource: { "service.name": "checkout" },
      });
      expect(span.startNs / 1000n).toBe(startNs / 1000n);
    }
    expect(spans[0]!.events.map(({ name }) => name)).toEqual(["lock wait", "exception"]);
    expect(spans[1]!.attributes).toMatchObject({ list: "a,b", big: "1099511627776", empty: "" });
  });
});
