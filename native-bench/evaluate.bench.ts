// How many traces one core judges: the fold of each against three policies (errors, slow ones, a
// tenth of the rest), and against six of more kinds beside them. Votes go into a hash, so that two
// runs can be compared and nothing is optimised away.
//
// What costs is the probabilistic hash (16 steps of a 64-bit multiplication); the other tests are a
// few ns each. A decision tick needs well under 500 ns with three policies.

import { VOTE_WORDS } from "../engine/part/decision-layout.ts";
import {
  FLAG_STATUS_ERROR, FLAG_STATUS_UNSET, PART_BITS_0, PART_END_HIGH, PART_END_LOW, PART_FLAGS,
  PART_SPANS, PART_START_HIGH, PART_START_LOW,
} from "../engine/part/part-layout.ts";
import { compilePolicySet, type PolicySet } from "../engine/sampling/compile.ts";
import type { PolicyConfig } from "../engine/sampling/policy-config.ts";
import { runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 20_261;
const TRACES = 4_096;
const ROW_STRIDE = 32; // rows of the trace table are longer than a part
const ERRORS_IN_1024 = 20;
const SLOW_IN_1024 = 30;
const START_HIGH = 0x18b0_0000;

const THREE: PolicyConfig[] = [
  { name: "errors", type: "status_code", status_code: { status_codes: ["ERROR"] } },
  { name: "slow", type: "latency", latency: { threshold_ms: 500 } },
  { name: "rest", type: "probabilistic", probabilistic: { sampling_percentage: 10 } },
];
const MORE: PolicyConfig[] = [
  {
    name: "probes", type: "drop", drop: { drop_sub_policy: [
      { type: "string_attribute", string_attribute: { key: "url.path", values: ["/healthz"] } },
      { type: "not", not: { not_sub_policy: { type: "latency", latency: { threshold_ms: 100 } } } },
    ] },
  },
  { name: "tenant", type: "string_attribute", string_attribute: { key: "tenant", values: ["a"] } },
  {
    name: "server errors", type: "numeric_attribute",
    numeric_attribute: { key: "http.response.status_code", min_value: 500, max_value: 599 },
  },
  { name: "wide", type: "span_count", span_count: { min_spans: 200 } },
  {
    name: "a tenth of the tenants", type: "and", and: { and_sub_policy: [
      { type: "boolean_attribute", boolean_attribute: { key: "paying", value: true } },
      { type: "probabilistic", probabilistic: { sampling_percentage: 10, hash_salt: "tenants" } },
    ] },
  },
  { name: "rest", type: "probabilistic", probabilistic: { sampling_percentage: 1 } },
];

/** Evaluations of one trace by one sampler; "spans" per second are decisions per second here. */
export function run(options: BenchOptions): BenchResult {
  const rounds = options.smoke ? 2 : 800;
  const rows = randomRows();
  const small = compilePolicySet([{ slot: 0, forwarder: "small", policies: THREE }]);
  const large = compilePolicySet([
    { slot: 0, forwarder: "small", policies: THREE },
    { slot: 9, forwarder: "large", policies: MORE },
  ]);
  judge(small, rows, 0, options.smoke ? 1 : 50);
  const three = judge(small, rows, 0, rounds);
  const six = judge(large, rows, 9, rounds);
  return {
    name: "evaluate",
    spansPerSecond: Math.round(1e9 / three.ns),
    detail: {
      seed: SEED, traces: TRACES, rounds,
      threePoliciesNs: three.ns, threePoliciesKept: three.kept,
      sixMixedPoliciesNs: six.ns, sixMixedPoliciesKept: six.kept,
      resultHash: ((three.hash ^ six.hash) >>> 0).toString(16),
    },
  };
}

function judge(
  set: PolicySet, rows: Uint32Array, slot: number, rounds: number,
): { ns: number; kept: number; hash: number } {
  const votes = new Uint32Array(VOTE_WORDS);
  let kept = 0;
  let hash = 0;
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    kept = 0;
    for (let at = 0; at < rows.length; at += ROW_STRIDE) {
      votes[0] = 0;
      kept += set.evaluate(rows, at, slot, votes);
      hash = (Math.imul(hash, 31) + votes[0]) | 0;
    }
  }
  const ms = performance.now() - start;
  return { ns: Math.round((ms * 1e7) / (rounds * TRACES)) / 10, kept, hash };
}

/** Folds as traffic makes them: a few errors, a few slow ones, random ids. */
function randomRows(): Uint32Array {
  const rows = new Uint32Array(TRACES * ROW_STRIDE);
  let state = SEED;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
  for (let at = 0; at < rows.length; at += ROW_STRIDE) {
    for (let word = 0; word < 4; word++) rows[at + word] = next();
    const low = next() >>> 1;
    const durationMs = next() % 1_024 < SLOW_IN_1024 ? 600 : next() % 400;
    rows[at + PART_START_HIGH] = START_HIGH;
    rows[at + PART_START_LOW] = low;
    rows[at + PART_END_HIGH] = START_HIGH;
    rows[at + PART_END_LOW] = low + durationMs * 1_000_000;
    rows[at + PART_BITS_0] = next() & next() & next() & 0xf;
    rows[at + PART_FLAGS] = next() % 1_024 < ERRORS_IN_1024 ? FLAG_STATUS_ERROR : FLAG_STATUS_UNSET;
    rows[at + PART_SPANS] = 1 + (next() % 256);
  }
  return rows;
}

await runWhenMain(import.meta.url, run);
