import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET,
} from "../../../../engine/part/part-layout.ts";
import { AttributeMatcher } from "../../../../engine/part/attribute-matcher.ts";
import { scanOtlpProto } from "../../../../engine/wire/otlp-proto/scan.ts";
import { RecordIndex } from "../../../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../../../engine/wire/scan-codes.ts";
import { decodeRequest, encodeRequest } from "../../../support/otlp-builder.ts";
import { oracleScan } from "../../../support/otlp-oracle.ts";
import { expectIndex, plainParts } from "../../../support/scan-check.ts";

const file = new URL("../../../fixtures/otlp-js-sdk.json", import.meta.url);
const fixture = JSON.parse(readFileSync(file, "utf8")) as { origin: string; base64: string };
const payload = Uint8Array.from(Buffer.from(fixture.base64, "base64"));

describe("a payload recorded from an OpenTelemetry SDK", () => {
  it("is scanned as it was made", () => {
    const predicates = [
      { kind: "number", key: "http.response.status_code", min: 500n, max: null },
      { kind: "string", key: "service.name", values: ["checkout"] },
      { kind: "number", key: "db.rows", min: -7n, max: -7n },
      { kind: "number", key: "big", min: 2n ** 40n, max: 2n ** 40n },
      { kind: "boolean", key: "retry", value: false },
      { kind: "string", key: "exception.type", values: ["Error"] }, // of an event: not tested
    ] as const;
    const index = new RecordIndex({ spansMax: 10, hashSeed: 3 });
    const matcher = new AttributeMatcher(predicates);
    expect(scanOtlpProto(payload, 0, payload.length, matcher, index)).toBe(SCAN_OK);
    expectIndex(index, payload, oracleScan(payload)!, predicates);
    expect(plainParts(index)).toMatchObject([
      { spans: 2, flags: FLAG_ROOT | FLAG_STATUS_OK | FLAG_STATUS_ERROR, bits: 0b11111n },
      { spans: 1, flags: FLAG_ROOT | FLAG_STATUS_UNSET, bits: 0b10n },
    ]);
    expect(index.groupCount).toBe(2);
  });

  it("is read by the tests' builder, and written again with the same meaning", () => {
    const spans = decodeRequest(payload);
    expect(spans.map(({ name, scope }) => [name, scope.name])).toEqual([
      ["SELECT", "shop"], ["GET /basket/{id}", "shop"], ["tick", "jobs"],
    ]);
    expect(spans[0]).toMatchObject({
      kind: 3, statusCode: 2, statusMessage: "deadlock", parentSpanId: spans[1]!.spanId,
      attributes: { "db.rows": -7n, big: 2n ** 40n },
      links: [{ spanId: spans[1]!.spanId, attributes: { why: "batch" } }],
      resource: { "service.name": "checkout", "process.pid": 4711n, "host.tags": ["a", "b"] },
    });
    expect(spans[0]!.events.map(({ name }) => name)).toEqual(["lock wait", "exception"]);
    expect(spans[1]!.attributes["sizes"]).toEqual([1n, -2n, { double: 3.5 }]);
    const again = spans.map((span) => ({
      resource: span.resource, scope: span.scope, spans: [span],
      resourceSchemaUrl: span.resourceSchemaUrl, scopeSchemaUrl: span.scopeSchemaUrl,
    }));
    expect(decodeRequest(encodeRequest(again))).toEqual(spans);
  });
});
