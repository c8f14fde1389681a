// Random records, renderers of JSON against other ways to the same spans: the official serializers
// and a slow model. Then records that are broken, and records made to be expensive.

import type { Link } from "@opentelemetry/api";
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes, type Resource } from "@opentelemetry/resources";
import type { ReadableSpan, TimedEvent } from "@opentelemetry/sdk-trace-node";
import { TraceState } from "@opentelemetry/core";
import { describe, expect, it } from "vitest";
import { OtlpJsonRenderer } from "../../engine/wire/otlp-json/render.ts";
import { encodeSuffix } from "../../engine/wire/otlp-proto/suffix.ts";
import { ZipkinJsonRenderer } from "../../engine/wire/zipkin-json/render.ts";
import { indexOtlp, indexZipkin } from "../support/json-index.ts";
import { mutated, randomText, randomZipkinSpan, writeOddly } from "../support/json-spans.ts";
import { decodeRequest, type DecodedSpan } from "../support/otlp-builder.ts";
import { Random } from "../support/random.ts";
import { checkOutput, renderRecord } from "../support/render-check.ts";
import { modelSpan } from "../support/zipkin-model.ts";

const ROUNDS = 150;
const MUTATED_RECORDS = 50;
const MUTATIONS = 20;
const SUFFIX = encodeSuffix({
  policy: "errors", sampleRate: 4, trigger: "root", incompleteReason: null,
});
const otlp = new OtlpJsonRenderer();
const zipkin = new ZipkinJsonRenderer();

type Values = Record<string, string | number | boolean | string[] | number[] | boolean[]>;

function randomAttributes(random: Random): Values {
  const attributes: Values = {};
  for (let count = random.below(8); count > 0; count--) {
    const value = [
      wellFormed(random), random.word(), -random.word(), random.word() / 7, 2 ** 52 + 1,
      random.chance(0.5), [wellFormed(random), "x"], [1, -2.5], [true, false], 0, 1e300,
    ][random.below(11)]!;
    attributes[`${wellFormed(random).slice(0, 40)}${count}`] = value;
  }
  return attributes;
}

/** The official serializers differ in what they make of lone surrogates. */
function wellFormed(random: Random): string {
  return new TextDecoder().decode(new TextEncoder().encode(randomText(random)));
}

function randomReadableSpan(
  random: Random, resource: Resource, scope: ReadableSpan["instrumentationScope"],
): ReadableSpan {
  const context = () => ({
    traceId: random.hex(16), spanId: random.hex(8), traceFlags: random.below(2),
    isRemote: random.chance(0.5),
    ...random.chance(0.3) ? { traceState: new TraceState("a=b,c=d") } : {},
  });
  const own = context();
  const time = (): [number, number] => [random.word(), random.below(1_000_000_000)];
  return {
    name: wellFormed(random), kind: random.below(5), spanContext: () => own,
    ...random.chance(0.5) ? { parentSpanContext: context() } : {},
    startTime: time(), endTime: time(), duration: [0, 0], ended: true, resource,
    instrumentationScope: scope, attributes: randomAttributes(random),
    status: {
      code: random.below(3), ...random.chance(0.3) ? { message: wellFormed(random) } : {},
    },
    events: Array.from({ length: random.below(3) }, (): TimedEvent => ({
      name: wellFormed(random), time: time(), attributes: randomAttributes(random),
      droppedAttributesCount: random.below(3),
    })),
    links: Array.from({ length: random.below(3) }, (): Link => ({
      context: context(), attributes: randomAttributes(random),
      droppedAttributesCount: random.below(3),
    })),
    droppedAttributesCount: random.below(3), droppedEventsCount: random.below(3),
    droppedLinksCount: random.below(300),
  };
}

function randomReadableSpans(random: Random): ReadableSpan[] {
  const resources = Array.from({ length: 1 + random.below(3) },
    () => resourceFromAttributes(randomAttributes(random)));
  const scopes = [
    { name: "shop", version: "1.2", schemaUrl: "https://example.org/é" }, { name: "" },
  ];
  return Array.from({ length: 1 + random.below(10) }, () => randomReadableSpan(
    random, resources[random.below(resources.length)]!, scopes[random.below(2)]!,
  ));
}

function bySpanId(spans: readonly DecodedSpan[]): DecodedSpan[] {
  return spans.toSorted((left, right) => left.spanId < right.spanId ? -1 : 1);
}

function zipkinBody(random: Random): { body: Uint8Array; expected: DecodedSpan[] } {
  const spans = Array.from({ length: 1 + random.below(25) },
    (_, number) => randomZipkinSpan(random, number));
  const body = new TextEncoder().encode(writeOddly(random, spans));
  return { body, expected: bySpanId(spans.map(modelSpan)) };
}

function otlpBody(random: Random): Uint8Array {
  const official = JsonTraceSerializer.serializeRequest(randomReadableSpans(random))!;
  const request: unknown = JSON.parse(new TextDecoder().decode(official));
  return new TextEncoder().encode(writeOddly(random, request));
}

describe("random records", () => {
  it("in OTLP JSON become what the official protobuf serializer makes of the same spans", () => {
    const random = Random.fromEnvironment();
    console.log(`render-json: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < ROUNDS; round++) {
      const spans = randomReadableSpans(random);
      const official = JsonTraceSerializer.serializeRequest(spans)!;
      const oddly = new TextEncoder().encode(
        writeOddly(random, JSON.parse(new TextDecoder().decode(official))),
      );
      const expected = decodeRequest(ProtobufTraceSerializer.serializeRequest(spans)!);
      for (const body of [official, oddly]) {
        const { bytes } = renderRecord(otlp, body, indexOtlp(body));
        checkOutput(bytes);
        expect(decodeRequest(bytes)).toEqual(expected);
      }
    }
  });

  it("in Zipkin JSON become what the model says", () => {
    const random = Random.fromEnvironment();
    console.log(`render-json: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < ROUNDS * 3; round++) {
      const { body, expected } = zipkinBody(random);
      const { bytes } = renderRecord(zipkin, body, indexZipkin(body));
      checkOutput(bytes);
      expect(bySpanId(decodeRequest(bytes))).toEqual(expected);
    }
  });

  it("lose and repeat nothing when they are rendered in ranges", () => {
    const random = Random.fromEnvironment();
    console.log(`render-json: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < ROUNDS; round++) {
      const isOtlp = random.chance(0.5);
      const renderer = isOtlp ? otlp : zipkin;
      const body = isOtlp ? otlpBody(random) : zipkinBody(random).body;
      const index = isOtlp ? indexOtlp(body) : indexZipkin(body);
      const wanted = Array.from({ length: index.partCount }, () => random.below(3));
      const suffixes = [SUFFIX, new Uint8Array(0)];
      const whole = renderRecord(renderer, body, index, { wanted, suffixes });
      const bytesMax = 500 + random.below(60_000);
      const pieces = renderRecord(renderer, body, index, { wanted, suffixes, bytesMax });
      checkOutput(pieces.bytes);
      expect(bySpanId(decodeRequest(pieces.bytes))).toEqual(bySpanId(decodeRequest(whole.bytes)));
      for (const { bytes, spans } of pieces.ranges) {
        if (spans > 1) expect(bytes).toBeLessThanOrEqual(Math.max(bytesMax, body.length));
      }
    }
  });
});

describe("records with bytes that their index does not know", () => {
  it("become well-formed output all the same", () => {
    const random = Random.fromEnvironment();
    console.log(`render-json: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < MUTATED_RECORDS; round++) {
      const bodies = [otlpBody(random), zipkinBody(random).body];
      const indexes = [indexOtlp(bodies[0]!), indexZipkin(bodies[1]!)];
      for (let time = 0; time < MUTATIONS; time++) {
        for (const format of [0, 1]) {
          const body = mutated(random, bodies[format]!);
          const { bytes } = renderRecord(format === 0 ? otlp : zipkin, body, indexes[format]!, {
            suffixes: [SUFFIX], bytesMax: 50_000,
          });
          checkOutput(bytes);
        }
      }
    }
  }, 60_000);
});
