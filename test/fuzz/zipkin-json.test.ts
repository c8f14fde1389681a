import { describe, expect } from "vitest";
import { scanZipkinJson } from "../../engine/wire/zipkin-json/scan.ts";
import { fuzzScanner, JsonTrial } from "../support/json-fuzz.ts";
import { Random } from "../support/random.ts";
import { zipkinOracle } from "../support/zipkin-oracle.ts";
import { randomZipkin } from "../support/zipkin-random.ts";

const random = Random.fromEnvironment();
console.log(`zipkin-json fuzz: TAILRACE_SEED=${random.seed}`);

const trial = new JsonTrial(scanZipkinJson, zipkinOracle, (index, _, result) => {
  expect(index.groupCount).toBe(result.spans.length > 0 ? 1 : 0);
  if (index.groupCount > 0) expect([...index.groups.slice(0, 8)]).toEqual(Array(8).fill(0));
});

describe("the Zipkin JSON scanner, fuzzed", () => {
  fuzzScanner(trial, random, (size) => randomZipkin(random, size), 700);
});
