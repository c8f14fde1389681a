import { describe, expect, it } from "vitest";
import { VOTE_WORDS } from "../../../engine/part/decision-layout.ts";
import { compilePolicySet, hasVote, ROLE_DROP } from "../../../engine/sampling/compile.ts";
import {
  parsePolicies,
  type PolicyBody, type PolicyConfig, type StatusCode,
} from "../../../engine/sampling/policy-config.ts";
import { Random } from "../../support/random.ts";
import {
  foldTrace, modelHolds, modelKeeps,
  type AttributeValue, type ModelSpan, type ModelTrace,
} from "./sampling-model.ts";

const RUNS = 1_500;
const TRACES_PER_RUN = 8;
const CODES: StatusCode[] = ["OK", "ERROR", "UNSET"];
const WORDS = ["alpha", "beta", "gamma", "delta", "alphabet", ""];
const KEYS = ["a", "b", "c"];

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)]!;
}

function randomLeaf(random: Random): PolicyBody {
  const invert_match = random.chance(0.3);
  const key = pick(random, KEYS);
  switch (random.below(8)) {
    case 0: return { type: "always_sample" };
    case 1: {
      const threshold_ms = random.below(6);
      const upper = random.chance(0.5) ? threshold_ms + 1 + random.below(4) : 0;
      return { type: "latency", latency: { threshold_ms, upper_threshold_ms: upper } };
    }
    case 2: {
      const min_value = random.below(5) - 2;
      const max_value = min_value + 1 + random.below(3);
      const fields = { key, min_value, max_value, invert_match };
      return { type: "numeric_attribute", numeric_attribute: fields };
    }
    case 3: {
      const hash_salt = pick(random, ["", "salt"]);
      const sampling_percentage = pick(random, [0, 10, 50, 90, 100]);
      return { type: "probabilistic", probabilistic: { hash_salt, sampling_percentage } };
    }
    case 4: return { type: "status_code", status_code: { status_codes: [pick(random, CODES)] } };
    case 5: {
      const enabled_regex_matching = random.chance(0.4);
      const values = enabled_regex_matching ? [pick(random, ["^alp", "a$", "e"])]
        : [pick(random, WORDS.slice(0, 5)), pick(random, WORDS.slice(0, 5))];
      const fields = { key, values, enabled_regex_matching, invert_match };
      return { type: "string_attribute", string_attribute: fields };
    }
    case 6: {
      const min_spans = random.below(4);
      const max_spans = random.chance(0.5) ? min_spans + 1 + random.below(3) : 0;
      return { type: "span_count", span_count: { min_spans, max_spans } };
    }
    default: {
      const fields = { key, value: random.chance(0.5), invert_match };
      return { type: "boolean_attribute", boolean_attribute: fields };
    }
  }
}

function randomBody(random: Random, depth: number): PolicyBody {
  const kind = random.below(10);
  if (depth === 0 || kind < 7) return randomLeaf(random);
  if (kind === 7) return { type: "not", not: { not_sub_policy: randomBody(random, depth - 1) } };
  return { type: "and", and: { and_sub_policy: randomBodies(random, depth - 1) } };
}

function randomBodies(random: Random, depth: number): PolicyBody[] {
  return Array.from({ length: 1 + random.below(3) }, () => randomBody(random, depth));
}

function randomPolicies(random: Random): PolicyConfig[] {
  return Array.from({ length: 1 + random.below(4) }, (_, index) => {
    const name = `policy-${index}`;
    if (!random.chance(0.25)) return { name, ...randomBody(random, 3) };
    return { name, type: "drop", drop: { drop_sub_policy: randomBodies(random, 2) } };
  });
}

function randomSpan(random: Random): ModelSpan {
  const base = 0x0000_0001_ffff_ff00n; // durations carry from the low half into the high one
  const startNs = random.chance(0.1) ? 0n : base + BigInt(random.below(3_000_000));
  const endNs = random.chance(0.1) ? 0n : base + BigInt(random.below(9_000_000));
  const attributes: Record<string, AttributeValue> = {};
  for (const key of KEYS) {
    const kind = random.below(5);
    if (kind === 0) attributes[key] = pick(random, WORDS);
    if (kind === 1) attributes[key] = BigInt(random.below(7) - 3);
    if (kind === 2) attributes[key] = random.chance(0.5);
  }
  return { startNs, endNs, status: pick(random, CODES), attributes };
}

function randomTrace(random: Random): ModelTrace {
  const spans = Array.from({ length: 1 + random.below(5) }, () => randomSpan(random));
  return { id: random.hex(16), spans };
}

describe("a compiled policy set", () => {
  it("judges, votes and attributes as the rules on whole spans say", () => {
    const random = Random.fromEnvironment();
    const votes = new Uint32Array(VOTE_WORDS);
    let kept = 0;
    for (let run = 0; run < RUNS; run++) {
      const policies = randomPolicies(random);
      const invertDecisions = random.chance(0.5);
      const problems = parsePolicies(policies, "P").problems;
      expect(problems.filter((problem) => !problem.includes("needs min_"))).toEqual([]);
      const set = compilePolicySet([{ slot: 3, forwarder: "f", policies, invertDecisions }]);
      for (let count = 0; count < TRACES_PER_RUN; count++) {
        const trace = randomTrace(random);
        const seen = `seed ${random.seed} ${JSON.stringify(policies)}`;
        votes.fill(0);
        const answer = set.evaluate(foldTrace(trace, set.predicates), 0, 3, votes);
        expect(answer === 1, seen).toBe(modelKeeps(policies, trace, invertDecisions));
        kept += answer;
        const dropped = set.policies.some((policy, index) => {
          return policy.role === ROLE_DROP && hasVote(votes, 0, index);
        });
        policies.forEach((policy, index) => {
          if (policy.type === "drop" || dropped) return;
          expect(hasVote(votes, 0, index), seen).toBe(modelHolds(policy, trace));
        });
        if (answer === 0) continue;
        const first = set.firstSampled(votes, 0, 3);
        expect(first >= 0 && hasVote(votes, 0, first), seen).toBe(true);
        expect(set.policies[first]!.role, seen).not.toBe(ROLE_DROP);
      }
    }
    expect(kept).toBeGreaterThan(RUNS / 2); // both answers were seen often
    expect(kept).toBeLessThan(RUNS * TRACES_PER_RUN * 0.9);
  });

  it("never settles an outcome early that more spans would change", () => {
    const random = Random.fromEnvironment();
    const votes = new Uint32Array(VOTE_WORDS);
    let settled = 0;
    for (let run = 0; run < RUNS * 2; run++) {
      const policies = randomPolicies(random);
      const set = compilePolicySet([{ slot: 0, forwarder: "f", policies }]);
      const trace = randomTrace(random);
      let early = false;
      for (let spans = 1; spans <= trace.spans.length; spans++) {
        const part = { id: trace.id, spans: trace.spans.slice(0, spans) };
        const words = foldTrace(part, set.predicates);
        early ||= set.canSettleEarly(words, 0, 0);
        if (!early) continue;
        settled++;
        const seen = `seed ${random.seed} ${JSON.stringify(policies)}`;
        expect(set.evaluate(words, 0, 0, votes.fill(0)), seen).toBe(0);
      }
    }
    expect(settled).toBeGreaterThan(50);
  });
});
