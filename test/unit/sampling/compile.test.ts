import { describe, expect, it } from "vitest";
import { AttributeMatcher } from "../../../engine/part/attribute-matcher.ts";
import { VOTE_WORDS } from "../../../engine/part/decision-layout.ts";
import { PART_WORDS } from "../../../engine/part/part-layout.ts";
import {
  compilePolicySet, hasVote, type PolicySet, type SamplerInput,
} from "../../../engine/sampling/compile.ts";
import type { NumericAttributeFields, PolicyBody } from "../../../engine/sampling/policy-config.ts";
import {
  ALWAYS, and, compileOne, dropOf, exact, flagged, foldOf, keeps, named, not, probabilistic, regex,
} from "./policy-builders.ts";

describe("predicates", () => {
  it("are shared by all policies of all samplers that ask the same", () => {
    const set = compilePolicySet([
      { slot: 1, forwarder: "a", policies: [
        named("1", regex("name", ["x", "y"], 10)), named("2", exact("name", "y", "x", "y")),
      ] },
      { slot: 5, forwarder: "b", policies: [
        named("1", regex("name", ["y", "x"], 500)), named("2", exact("name", "x", "y")),
        named("3", exact("name", "x")),
      ] },
    ]);
    expect(set.predicates).toEqual([
      { kind: "regex", key: "name", patterns: ["x", "y"], cacheSize: 500 },
      { kind: "string", key: "name", values: ["x", "y"] },
      { kind: "string", key: "name", values: ["x"] },
    ]);
    expect(keeps(set, foldOf({ bits0: 4 }), 1)).toBe(false);
    expect(keeps(set, foldOf({ bits0: 4 }), 5)).toBe(true);
  });

  it("carry 64-bit bounds and defaults as OpenTelemetry has them", () => {
    const numeric = (numeric_attribute: NumericAttributeFields): PolicyBody => {
      return { type: "numeric_attribute", numeric_attribute };
    };
    const set = compileOne(
      named("1", numeric({ key: "n", min_value: "9223372036854775807" })),
      named("2", numeric({ key: "n", min_value: 0, max_value: -3 })),
      named("3", { type: "boolean_attribute", boolean_attribute: { key: "b" } }),
      named("4", regex("s", ["v"], -1)),
    );
    expect(set.predicates).toEqual([
      { kind: "number", key: "n", min: 2n ** 63n - 1n, max: null },
      { kind: "number", key: "n", min: null, max: -3n },
      { kind: "boolean", key: "b", value: false },
      { kind: "regex", key: "s", patterns: ["v"], cacheSize: 128 },
    ]);
    expect(() => new AttributeMatcher(set.predicates)).not.toThrow();
  });

  it("use all 64 bits, in their word, and no 65th", () => {
    const policies = Array.from({ length: 64 }, (_, bit) => {
      return { name: `p${bit}`, ...flagged(`key-${bit}`) };
    });
    const set = compileOne(...policies);
    const votes = new Uint32Array(VOTE_WORDS);
    for (let bit = 0; bit < 64; bit++) {
      const mask = (1 << (bit & 31)) >>> 0;
      set.evaluate(foldOf(bit < 32 ? { bits0: mask } : { bits1: mask }), 0, 0, votes.fill(0));
      expect(policies.filter((_, index) => hasVote(votes, 0, index)).map(({ name }) => name))
        .toEqual([`p${bit}`]);
    }
    expect(() => compileOne(...policies, { name: "p64", ...flagged("key-64") }))
      .toThrow(/more than 64 different attribute tests/);
  });
});

describe("a policy set", () => {
  const SAMPLERS: SamplerInput[] = [
    { slot: 2, forwarder: "a", policies: [
      named("ten", probabilistic(10)), named("flag", flagged("k")), dropOf("drop", flagged("d")),
    ] },
    { slot: 0, forwarder: "b", policies: [
      named("inverted", flagged("k", true)), named("all", ALWAYS),
    ] },
  ];

  it("lists its policies in configured order with slot, rate and vote bit", () => {
    const set = compilePolicySet(SAMPLERS);
    const listed = set.policies.map((policy) => {
      return [policy.name, policy.samplerSlot, policy.sampleRate];
    });
    expect(listed).toEqual([
      ["ten", 2, 10], ["flag", 2, 1], ["drop", 2, 1], ["inverted", 0, 1], ["all", 0, 1],
    ]);
    expect(set.samplers).toEqual([
      { slot: 2, forwarder: "a", firstPolicy: 0, endPolicy: 3 },
      { slot: 0, forwarder: "b", firstPolicy: 3, endPolicy: 5 },
    ]);
  });

  it("adds votes to the caller's words, those of one sampler at a time", () => {
    const set = compilePolicySet(SAMPLERS);
    const votes = new Uint32Array(VOTE_WORDS);
    const row = new Uint32Array(PART_WORDS + 7);
    row.set(foldOf({ bits0: 1 }), 7);
    expect(set.evaluate(row, 7, 2, votes)).toBe(1);
    expect(votes[0]! & 0b11110).toBe(0b00010);
    expect(set.evaluate(row, 7, 0, votes)).toBe(0);
    expect(votes[0]! & 0b11110).toBe(0b10010);
  });

  it("names the first that sampled, an inverted one only when no other did, a drop never", () => {
    const set = compilePolicySet(SAMPLERS);
    const first = (votes: number, slot: number): number => {
      return set.firstSampled(Uint32Array.of(9, votes, 0, 0, 0), 1, slot);
    };
    expect(first(0b00011, 2)).toBe(0);
    expect(first(0b00010, 2)).toBe(1);
    expect(first(0b00100, 2)).toBe(-1);
    expect(first(0b11000, 2)).toBe(-1);
    expect(first(0b11000, 0)).toBe(4);
    expect(first(0b01000, 0)).toBe(3);
    expect(first(0, 0)).toBe(-1);
  });

  it("takes the smallest rate of those that sampled", () => {
    const set = compilePolicySet(SAMPLERS);
    expect(set.sampleRate(Uint32Array.of(0b00001, 0, 0, 0), 0, 2)).toBe(10);
    expect(set.sampleRate(Uint32Array.of(0b00011, 0, 0, 0), 0, 2)).toBe(1);
    expect(set.sampleRate(Uint32Array.of(0, 0, 0, 0), 0, 2)).toBe(1);
  });

  it("has the same hash for the same meaning only", () => {
    const hash = compilePolicySet(SAMPLERS).hash;
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(compilePolicySet(structuredClone(SAMPLERS)).hash).toBe(hash);
    const hashes = new Set([hash]);
    const [a, b] = SAMPLERS as [SamplerInput, SamplerInput];
    const rest = a.policies.slice(1);
    const changes = [
      [a], [b, a], [{ ...a, slot: 3 }, b], [{ ...a, forwarder: "c" }, b],
      [{ ...a, policies: a.policies.slice(0, 2) }, b],
      [{ ...a, policies: [named("ten", probabilistic(11)), ...rest] }, b],
      [{ ...a, policies: [named("TEN", probabilistic(10)), ...rest] }, b],
      [{ ...a, policies: [named("ten", probabilistic(10, "s")), ...rest] }, b],
    ];
    for (const change of changes) hashes.add(compilePolicySet(change).hash);
    expect(hashes.size).toBe(changes.length + 1);
  });

  it("does not count the size of a cache as meaning", () => {
    const sized = (size: number): PolicySet => compileOne(named("r", regex("k", ["v"], size)));
    expect(sized(10).hash).toBe(sized(20).hash);
  });

  it("refuses more policies than there are vote bits, and a sampler without any", () => {
    const many = (count: number, slot: number) => ({
      slot, forwarder: `f${slot}`,
      policies: Array.from({ length: count }, (_, index) => ({ name: `p${index}`, ...ALWAYS })),
    });
    const set = compilePolicySet([many(64, 0), many(64, 15)]);
    const votes = new Uint32Array(VOTE_WORDS);
    expect(set.evaluate(foldOf(), 0, 15, votes)).toBe(1);
    expect([...votes]).toEqual([0, 0, 0xffffffff, 0xffffffff]);
    expect(set.firstSampled(votes, 0, 15)).toBe(64);
    expect(() => compilePolicySet([many(64, 0), many(65, 1)])).toThrow(/129 policies/);
    expect(() => compilePolicySet([many(0, 0)])).toThrow(/"f0" has no policy/);
    expect(() => compilePolicySet([many(1, 4), many(1, 4)])).toThrow(/one sampler/);
    expect(() => set.evaluate(foldOf(), 0, 7, votes)).toThrow(/the slot has a sampler/);
  });
});

describe("the sample rate of a policy", () => {
  const rate = (body: PolicyBody): number => compileOne(named("p", body)).policies[0]!.sampleRate;

  it("is one over the share of ids let through", () => {
    expect(rate(probabilistic(10))).toBe(10);
    expect(rate(probabilistic(100))).toBe(1);
    expect(rate(probabilistic(250))).toBe(1);
    expect(rate(and(flagged("k"), probabilistic(1)))).toBe(100);
    expect(rate(not(probabilistic(75)))).toBe(4);
    expect(rate(not(not(probabilistic(20))))).toBe(5);
    expect(rate(probabilistic(0))).toBe(2 ** 64);
  });

  it("cuts ranges of one salt and multiplies those of different ones", () => {
    expect(rate(and(probabilistic(10), probabilistic(50)))).toBe(10);
    expect(rate(and(probabilistic(10, "a"), probabilistic(50, "b")))).toBe(20);
    expect(rate(and(probabilistic(75), not(probabilistic(50))))).toBe(4);
    expect(rate(and(probabilistic(10), and(probabilistic(10, "default-hash-seed"))))).toBe(10);
  });

  it("is 1 where no single number is right", () => {
    expect(rate(not(and(flagged("k"), probabilistic(10))))).toBe(1);
  });
});
