import { describe, expect, it } from "vitest";
import { scanZipkinJson } from "../../engine/wire/zipkin-json/scan.ts";
import { SCAN_OK } from "../../engine/wire/scan-codes.ts";
import { JsonTrial, changedAt, mutated, shortOf } from "../support/json-fuzz.ts";
import { Random } from "../support/random.ts";
import { zipkinOracle } from "../support/zipkin-oracle.ts";
import { randomZipkin } from "../support/zipkin-random.ts";

const random = Random.fromEnvironment();
console.log(`zipkin-json fuzz: TAILRACE_SEED=${random.seed}`);

const PAYLOADS = 300;
const CHANGED_PAYLOADS = 8;
const BYTES_MAX = 700;
const LIMIT_MS = 60_000;

const trial = new JsonTrial(scanZipkinJson, zipkinOracle, (index, _, result) => {
  expect(index.groupCount).toBe(result.spans.length > 0 ? 1 : 0);
  if (index.groupCount > 0) expect([...index.groups.slice(0, 8)]).toEqual(Array(8).fill(0));
});

describe("the Zipkin JSON scanner, fuzzed", () => {
  it("agrees with the oracle about payloads however they are written", () => {
    let accepted = 0;
    for (let number = 0; number < PAYLOADS; number++) {
      if (trial.checkSurrounded(randomZipkin(random, 12)) === SCAN_OK) accepted++;
    }
    expect(accepted).toBe(PAYLOADS);
  }, LIMIT_MS);

  it("agrees with the oracle about payloads cut at every byte", () => {
    for (let number = 0; number < CHANGED_PAYLOADS; number++) {
      const payload = randomZipkin(random, 2).subarray(0, BYTES_MAX);
      for (let end = 0; end <= payload.length; end++) trial.checkSurrounded(payload.slice(0, end));
    }
  }, LIMIT_MS);

  it("agrees with the oracle about payloads with any one byte changed", () => {
    let accepted = 0;
    for (let number = 0; number < CHANGED_PAYLOADS * 2; number++) {
      const payload = shortOf(() => randomZipkin(random, 3));
      for (let at = 0; at < Math.min(payload.length, BYTES_MAX); at++) {
        if (trial.check(changedAt(random, payload, at)) === SCAN_OK) accepted++;
      }
    }
    expect(accepted).toBeGreaterThan(0);
  }, LIMIT_MS);

  it("agrees with the oracle about payloads cut up and put together again", () => {
    for (let number = 0; number < 3_000; number++) {
      trial.check(mutated(random, randomZipkin(random, 2)));
    }
  }, LIMIT_MS);

  it("reads no byte outside of the payload", () => {
    for (let number = 0; number < 30; number++) {
      const whole = randomZipkin(random, 3);
      trial.checkGuarded(whole);
      for (let cut = 0; cut < 20; cut++) {
        trial.checkGuarded(whole.subarray(0, random.below(whole.length + 1)));
      }
    }
  }, LIMIT_MS);
});
