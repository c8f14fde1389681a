// Records made to be expensive: what they become, and the memory that it takes, stay in proportion
// to what was sent.

import { describe, expect, it } from "vitest";
import {
  JsonRenderer, RANGE_GROWTH_BYTES_MAX,
} from "../../../../engine/wire/json/json-renderer.ts";
import { OtlpJsonRenderer } from "../../../../engine/wire/otlp-json/render.ts";
import { encodeSuffix } from "../../../../engine/wire/otlp-proto/suffix.ts";
import { PART_BYTES } from "../../../../engine/part/part-layout.ts";
import { REGISTER_SPAN_AT, RecordIndex } from "../../../../engine/wire/record-index.ts";
import { ZipkinJsonRenderer } from "../../../../engine/wire/zipkin-json/render.ts";
import { decodeRequest } from "../../../support/otlp-builder.ts";
import { checkOutput } from "../../../support/render-check.ts";

const MIB = 1024 * 1024;
/** The tests' own reader takes its time for a million fields. */
const SLOW_MS = 90_000;
const SPAN_OVERHEAD_BYTES = 400;
const IDS = "\"traceId\":\"5b8efff798038103d269b633813fc60c\",";
const ZIPKIN_IDS = `${IDS}"id":"eee19b7ec3c1b174",`;
const OTLP_IDS = `${IDS}"spanId":"eee19b7ec3c1b174",`;
const SUFFIX = encodeSuffix({
  policy: "errors", sampleRate: 4, trigger: "root", incompleteReason: null,
});

/** Reads what only a renderer itself should know. */
function scratchBytes(renderer: JsonRenderer): number {
  return (renderer as unknown as { writer: { bytes: Uint8Array } }).writer.bytes.length;
}

/** Renders in ranges of 1 MiB; checks the output, its size and the memory used. */
function renderBounded(
  renderer: JsonRenderer, body: Uint8Array, index: RecordIndex,
): { bytes: Uint8Array; ranges: number } {
  const wanted = new Uint32Array(index.partCount).fill(1);
  renderer.prepare(body, 0, body.length, index, wanted, [SUFFIX]);
  const outputs: Uint8Array[] = [];
  for (let span = 0; span < index.spanCount;) {
    const end = renderer.planEnd(span, MIB);
    const bytes = renderer.measure(span, end);
    const most = Math.max(MIB, body.length + (body.length >>> 10)) + RANGE_GROWTH_BYTES_MAX
      + SPAN_OVERHEAD_BYTES;
    expect(bytes).toBeLessThanOrEqual(most);
    expect(scratchBytes(renderer)).toBeLessThanOrEqual(2 * most + MIB);
    const target = Buffer.alloc(bytes);
    renderer.write(target, 0);
    outputs.push(target);
    span = end;
  }
  renderer.release();
  expect(scratchBytes(renderer)).toBeLessThanOrEqual(4 * MIB);
  const bytes = Buffer.concat(outputs);
  const most = body.length + outputs.length * (RANGE_GROWTH_BYTES_MAX + 2 * SPAN_OVERHEAD_BYTES)
    + index.spanCount * (SPAN_OVERHEAD_BYTES + SUFFIX.length);
  expect(bytes.length).toBeLessThanOrEqual(most);
  checkOutput(bytes);
  return { bytes, ranges: outputs.length };
}

function zipkin(...members: string[]): { bytes: Uint8Array; ranges: number } {
  return renderBounded(new ZipkinJsonRenderer(), ...assembled("[", ZIPKIN_IDS, members, "]", 0));
}

function otlp(resource: string, ...members: string[]): { bytes: Uint8Array; ranges: number } {
  const head = `{"resourceSpans":[{"resource":${resource},"scopeSpans":[{"spans":[`;
  const resourceBytes = resource === "null" ? 0 : resource.length;
  const record = assembled(head, OTLP_IDS, members, "]}]}]}", resourceBytes);
  return renderBounded(new OtlpJsonRenderer(), ...record);
}

/** The body, one byte a character, and its index without a parse: these bodies are large. */
function assembled(
  head: string, ids: string, members: readonly string[], tail: string, resourceBytes: number,
): [Uint8Array, RecordIndex] {
  const index = new RecordIndex({ spansMax: members.length, hashSeed: 1 });
  const resourceAt = resourceBytes === 0 ? 0 : head.indexOf(":{") + 1;
  index.beginGroup(resourceAt, resourceAt + resourceBytes, 0, 0);
  let at = head.length;
  const spans = members.map((text) => {
    const span = `{${ids}${text}}`;
    index.registers.fill(7, 0, 4);
    index.registers[REGISTER_SPAN_AT] = at;
    index.registers[PART_BYTES] = span.length;
    index.addSpan();
    at += span.length + 1;
    return span;
  });
  return [Buffer.from(`${head}${spans.join(",")}${tail}`, "latin1"), index];
}

function repeated(count: number, text: (number: number) => string): string {
  return Array.from({ length: count }, (_, number) => text(number)).join(",");
}

/** Values in a list in a list … as deep as a body may nest them. */
function nested(levels: number, inside: string): string {
  return `${"{\"arrayValue\":{\"values\":[".repeat(levels)}${inside}${"]}}".repeat(levels)}`;
}

describe("a record made to be expensive", () => {
  it("has tags that become longer than they were: too many are counted as dropped", () => {
    const count = 150_000;
    const tags = repeated(count, (tag) => `"${tag % 7}":"${tag % 9}"`);
    const { bytes } = zipkin(`"timestamp":1,"tags":{${tags}}`);
    const [span] = decodeRequest(bytes);
    expect(span!.droppedAttributesCount).toBeGreaterThan(0);
    expect(span!.droppedAttributesCount).toBeLessThan(count);
    expect(span!.attributes["tailrace.policy"]).toBe("errors");
    const fewTags = repeated(20_000, (tag) => `"${tag}":""`);
    const { bytes: few } = zipkin(`"timestamp":1,"tags":{${fewTags}}`);
    expect(decodeRequest(few)[0]!.droppedAttributesCount).toBe(0);
    expect(Object.keys(decodeRequest(few)[0]!.attributes).length).toBe(20_003);
  }, SLOW_MS);

  it("hides long texts behind tags, which count once", () => {
    const long = "e".repeat(400_000);
    const tags = repeated(150_000, () => "\"a\":\"b\"");
    const [span] = decodeRequest(
      zipkin(`"tags":{"error":"${long}","otel.scope.name":"${long}",${tags}}`).bytes,
    );
    expect(span!.droppedAttributesCount).toBeGreaterThan(0);
    expect(span!.statusMessage.length + span!.scope.name.length).toBe(800_000);
    const { bytes } = zipkin(`"localEndpoint":{"serviceName":"${long}","ipv4":"${long}"},
      "remoteEndpoint":{"serviceName":"${long}"},"tags":{${tags}}`);
    expect(decodeRequest(bytes)[0]!.resource["service.name"]).toBe(long);
  }, SLOW_MS);

  it("repeats members that wait", () => {
    zipkin(repeated(30_000, () => "\"kind\":\"X\""));
    zipkin(repeated(30_000, () => "\"timestamp\":1"));
    zipkin(`"localEndpoint":{${repeated(30_000, () => "\"port\":1")}},"tags":{"a":"b"}`);
    zipkin(repeated(30_000, () => "\"id\":\"1\""), "\"tags\":{\"a\":\"b\"}");
  });

  it("is full of bytes that are no UTF-8", () => {
    const bad = "\x80".repeat(1_000_000);
    const [span] = decodeRequest(zipkin(`"name":"${bad}"`).bytes);
    expect(span!.name).toMatch(/^\ufffd{100000,}\?{500000,}$/);
    const half = "\xc3a".repeat(300_000);
    expect(decodeRequest(otlp("null", `"name":"${half}"`).bytes)[0]!.name)
      .toMatch(/^(?:\ufffda){100000,}(?:\?a){100000,}$/);
    zipkin(`"tags":{"error":"${bad}","${bad}":"${bad}","w3c.tracestate":"${bad}"}`);
    otlp(`{"attributes":[{"key":"${bad}","value":{"stringValue":"${bad}"}}]}`, `"name":"${bad}"`);
    zipkin(...Array.from({ length: 2_000 }, () => `"name":"${"\xff".repeat(700)}"`));
  });

  it("has many small spans, with and without services", () => {
    const small = Array.from({ length: 12_000 }, (_, span) => `"name":"${span % 10}"`);
    expect(decodeRequest(zipkin(...small).bytes).length).toBe(12_000);
    const services = Array.from({ length: 6_000 },
      (_, span) => `"localEndpoint":{"serviceName":"${span}"}`);
    const { bytes, ranges } = zipkin(...services);
    expect(decodeRequest(bytes).length).toBe(6_000);
    expect(ranges).toBeGreaterThan(1);
  });

  it("nests values as deep as it may", () => {
    const deep = nested(29, `{"stringValue":"${"x".repeat(1_000_000)}"}`);
    const { bytes } = otlp("null", `"attributes":[{"key":"k","value":${deep}}]`);
    let value: unknown = decodeRequest(bytes)[0]!.attributes["k"];
    for (let level = 0; level < 29; level++) value = (value as unknown[])[0];
    expect(value).toBe("x".repeat(1_000_000));
  });

  it("nests values deeper than any reader takes: what is below is left out", () => {
    const lists = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
    expect(decodeRequest(zipkin(`"tags":{"a":${lists}}`).bytes).length).toBe(1);
    const { bytes: output } = otlp(
      "null", `"attributes":[{"key":"k","value":${nested(300, "{}")}}]`,
    );
    expect(decodeRequest(output).length).toBe(1);
  });

  it("has lists of nothing, and numbers of a million digits", () => {
    const { bytes } = otlp(
      `{"attributes":[${repeated(20_000, () => "{}")}],"entityRefs":[{"idKeys":[${
        repeated(30_000, () => "\"\"")}]}]}`,
      `"attributes":[${repeated(50_000, () => "{}")}],"events":[${repeated(30_000, () => "{}")}]`,
      `"attributes":[{"key":"n","value":{"arrayValue":{"values":[${
        repeated(20_000, () => "{\"doubleValue\":0}")}]}}}]`,
      `"startTimeUnixNano":${"9".repeat(1_000_000)},"attributes":[{"key":"n","value":
        {"intValue":"${"1".repeat(1_000_000)}","doubleValue":${"1".repeat(1_000_000)}}}]`,
    );
    const spans = decodeRequest(bytes);
    expect(spans[0]!.events.length).toBe(30_000);
    expect((spans[1]!.attributes["n"] as unknown[]).length).toBe(20_000);
    expect(spans[2]!.attributes["n"]).toBe(null);
    zipkin(`"timestamp":${"9".repeat(1_000_000)},"annotations":[${repeated(50_000, () => "{}")}]`);
  });

  it("repeats a large resource around its spans no more often than it must", () => {
    const large = "r".repeat(800_000);
    const resource = `{"attributes":[{"key":"k","value":{"stringValue":"${large}"}}]}`;
    const names = Array.from({ length: 3_000 }, (_, span) => `"name":"${span}${"n".repeat(400)}"`);
    const { bytes, ranges } = otlp(resource, ...names);
    expect(ranges).toBeLessThanOrEqual(4);
    expect(bytes.length).toBeLessThan(6 * MIB);
  });
});
