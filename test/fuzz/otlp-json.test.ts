import { describe, expect } from "vitest";
import { scanOtlpJson } from "../../engine/wire/otlp-json/scan.ts";
import {
  GROUP_WORDS, SPAN_GROUP, SPAN_WORDS, type RecordIndex,
} from "../../engine/wire/record-index.ts";
import { fuzzScanner, JsonTrial } from "../support/json-fuzz.ts";
import { otlpJsonOracle, type OracleJsonResult } from "../support/otlp-json-oracle.ts";
import { randomOtlpJson } from "../support/otlp-json-random.ts";
import { Random } from "../support/random.ts";

const random = Random.fromEnvironment();
console.log(`otlp-json fuzz: TAILRACE_SEED=${random.seed}`);

/** Groups point at the resource, the scope and the schema URLs that are around a span. */
function expectGroups(index: RecordIndex, payload: Uint8Array, result: OracleJsonResult): void {
  const text = (at: number): string => Buffer.from(
    payload.subarray(index.groups[at]!, index.groups[at + 1]!),
  ).toString("latin1");
  result.groups.forEach((group, span) => {
    const at = index.spans[span * SPAN_WORDS + SPAN_GROUP]! * GROUP_WORDS;
    expect([text(at), text(at + 2), text(at + 4), text(at + 6)]).toEqual(
      [group.resource, group.scope, group.resourceSchema, group.scopeSchema],
    );
  });
  expect(index.groupCount).toBeLessThanOrEqual(result.groups.length);
}

const trial = new JsonTrial(scanOtlpJson, otlpJsonOracle, expectGroups);

describe("the OTLP JSON scanner, fuzzed", () => {
  fuzzScanner(trial, random, (size) => randomOtlpJson(random, size), 800);
});
