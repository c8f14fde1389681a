import { describe, expect, it } from "vitest";
import { scanOtlpJson } from "../../engine/wire/otlp-json/scan.ts";
import {
  GROUP_WORDS, SPAN_GROUP, SPAN_WORDS, type RecordIndex,
} from "../../engine/wire/record-index.ts";
import { SCAN_OK } from "../../engine/wire/scan-codes.ts";
import { JsonTrial, changedAt, mutated, shortOf } from "../support/json-fuzz.ts";
import { otlpJsonOracle, type OracleJsonResult } from "../support/otlp-json-oracle.ts";
import { randomOtlpJson } from "../support/otlp-json-random.ts";
import { Random } from "../support/random.ts";

const random = Random.fromEnvironment();
console.log(`otlp-json fuzz: TAILRACE_SEED=${random.seed}`);

const PAYLOADS = 300;
const CHANGED_PAYLOADS = 8;
const BYTES_MAX = 800;
const LIMIT_MS = 60_000;

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
  it("agrees with the oracle about payloads however they are written", () => {
    let accepted = 0;
    for (let number = 0; number < PAYLOADS; number++) {
      if (trial.checkSurrounded(randomOtlpJson(random, 12)) === SCAN_OK) accepted++;
    }
    expect(accepted).toBe(PAYLOADS);
  }, LIMIT_MS);

  it("agrees with the oracle about payloads cut at every byte", () => {
    for (let number = 0; number < CHANGED_PAYLOADS; number++) {
      const payload = randomOtlpJson(random, 2).subarray(0, BYTES_MAX);
      for (let end = 0; end <= payload.length; end++) trial.checkSurrounded(payload.slice(0, end));
    }
  }, LIMIT_MS);

  it("agrees with the oracle about payloads with any one byte changed", () => {
    let accepted = 0;
    for (let number = 0; number < CHANGED_PAYLOADS * 2; number++) {
      const payload = shortOf(() => randomOtlpJson(random, 3));
      for (let at = 0; at < Math.min(payload.length, BYTES_MAX); at++) {
        if (trial.check(changedAt(random, payload, at)) === SCAN_OK) accepted++;
      }
    }
    expect(accepted).toBeGreaterThan(0);
  }, LIMIT_MS);

  it("agrees with the oracle about payloads cut up and put together again", () => {
    for (let number = 0; number < 3_000; number++) {
      trial.check(mutated(random, randomOtlpJson(random, 2)));
    }
  }, LIMIT_MS);

  it("reads no byte outside of the payload", () => {
    for (let number = 0; number < 30; number++) {
      const whole = randomOtlpJson(random, 3);
      trial.checkGuarded(whole);
      for (let cut = 0; cut < 20; cut++) {
        trial.checkGuarded(whole.subarray(0, random.below(whole.length + 1)));
      }
    }
  }, LIMIT_MS);
});
