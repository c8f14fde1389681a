import { describe, expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import { FORWARDERS_MAX } from "../../../engine/part/decision-layout.ts";
import { compilePolicySet, type SamplerInput } from "../../../engine/sampling/compile.ts";
import type { PolicyConfig } from "../../../engine/sampling/policy-config.ts";
import {
  hashPolicySetText, readPolicySet, writePolicySet,
} from "../../../engine/sampling/policy-set-text.ts";
import { and, dropOf, exact, latency, not, probabilistic, regex } from "./policy-builders.ts";

const NAMES = Array.from({ length: FORWARDERS_MAX }, (_, slot) => ["", "a", "", "b"][slot] ?? "");
const NUMBERS: PolicyConfig = {
  name: "numbers", type: "numeric_attribute",
  numeric_attribute: { key: "n", min_value: "9223372036854775807", max_value: 0 },
};
const SAMPLERS: SamplerInput[] = [
  {
    slot: 3, forwarder: "b", policies: [
      { name: "some", ...probabilistic(25, "salt") }, NUMBERS,
      dropOf("none", exact("k", "v", "ü"), not(regex("r", ["^a+$"], 7))),
    ],
  },
  {
    slot: 1, forwarder: "a", invertDecisions: false,
    policies: [{ name: "slow", ...and(latency(5, 9), exact("k", "v", "ü")) }],
  },
];

function changed(change: (value: Record<string, unknown>) => void): string {
  const value = JSON.parse(writePolicySet(SAMPLERS, NAMES).text) as Record<string, unknown>;
  change(value);
  return JSON.stringify(value);
}

function codeOf(text: string): string {
  try {
    readPolicySet(text);
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "";
}

describe("the text of a policy set", () => {
  it("gives the set as it was compiled from the configuration", () => {
    const { hash, text } = writePolicySet(SAMPLERS, NAMES);
    expect(hash).toBe(hashPolicySetText(text));
    const { set, slotNames } = readPolicySet(text);
    const own = compilePolicySet(SAMPLERS);
    expect(slotNames).toEqual(NAMES);
    expect(set.hash).toBe(own.hash);
    expect(set.predicates).toEqual(own.predicates);
    expect(set.policies).toEqual(own.policies);
    expect(writePolicySet(SAMPLERS, NAMES)).toEqual({ hash, text });
  });

  it("has another hash with other slots, another order of policies or other values", () => {
    const hashes = new Set([
      writePolicySet(SAMPLERS, NAMES), writePolicySet([...SAMPLERS].reverse(), NAMES),
      writePolicySet(SAMPLERS, [...NAMES].reverse()),
      writePolicySet(SAMPLERS.map((sampler) => ({
        ...sampler, policies: [...sampler.policies].reverse(),
      })), NAMES),
      writePolicySet(SAMPLERS.slice(1), NAMES),
    ].map(({ hash }) => hash));
    expect(hashes.size).toBe(5);
  });

  it("means the same with other slots", () => {
    const names = [...NAMES];
    [names[1], names[2]] = ["", "a"];
    const moved = SAMPLERS.map((sampler) => sampler.slot === 1 ? { ...sampler, slot: 2 } : sampler);
    const [one, other, third] = [
      writePolicySet(SAMPLERS, NAMES), writePolicySet(moved, names),
      writePolicySet([...SAMPLERS].reverse(), NAMES),
    ].map(({ text }) => readPolicySet(text).meaning);
    expect(other).toBe(one);
    expect(third).not.toBe(one);
  });

  it("of another version, or that says nothing, is refused", () => {
    expect(codeOf(changed((value) => { value["format"] = 2; }))).toBe("CLUSTER_FORMAT");
    expect(codeOf(changed((value) => { value["semantics"] = 99; }))).toBe("CLUSTER_FORMAT");
    for (const text of ["", "{", "null", "[]", "{}", "{\"format\":1}"]) {
      expect(codeOf(text)).toBe("CLUSTER_FORMAT");
    }
  });

  it("is refused when samplers and slots do not fit, or a policy is none", () => {
    expect(codeOf(changed((value) => { value["slotNames"] = ["a"]; }))).toBe("CLUSTER_FORMAT");
    const samplers = JSON.parse(JSON.stringify(SAMPLERS)) as Record<string, unknown>[];
    const wrong = [
      [{ ...samplers[0], slot: 1 }], [{ ...samplers[0], slot: 16 }], [samplers[0], samplers[0]],
      [{ ...samplers[0], policies: [] }],
      [{ ...samplers[0], policies: [{ name: "new", type: "newer" }] }],
      [{ ...samplers[0], policies: [{ name: "re", ...regex("k", ["("], 1) }] }],
    ];
    for (const list of wrong) {
      expect(codeOf(changed((value) => { value["samplers"] = list; }))).toBe("CLUSTER_FORMAT");
    }
    const many = Array.from({ length: 65 }, (_, key) => {
      return { name: `p${key}`, ...exact("k", `${key}`) };
    });
    expect(codeOf(changed((value) => {
      value["samplers"] = [{ ...samplers[0], policies: many }];
    }))).toBe("CONFIG_INVALID");
  });
});
