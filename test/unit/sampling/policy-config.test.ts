import { describe, expect, it } from "vitest";
import {
  integer64Bound, parsePolicies, policiesSchema, POLICY_TYPES,
} from "../../../engine/sampling/policy-config.ts";

// One policy of each supported type, in the form of the Collector's own example configuration.
const PASTED = [
  { name: "test-policy-1", type: "always_sample" },
  {
    name: "test-policy-2", type: "latency",
    latency: { threshold_ms: 5000, upper_threshold_ms: 10000 },
  },
  {
    name: "test-policy-3", type: "numeric_attribute",
    numeric_attribute: { key: "key1", min_value: 50, max_value: 100 },
  },
  {
    name: "test-policy-4", type: "probabilistic",
    probabilistic: { hash_salt: "custom-salt", sampling_percentage: 0.1 },
  },
  { name: "test-policy-5", type: "status_code", status_code: { status_codes: ["ERROR", "UNSET"] } },
  {
    name: "test-policy-7", type: "string_attribute",
    string_attribute: {
      key: "key2", values: ["value1", "val*"], enabled_regex_matching: true, cache_max_size: 10,
    },
  },
  { name: "test-policy-10", type: "span_count", span_count: { min_spans: 2, max_spans: 20 } },
  {
    name: "test-policy-12", type: "boolean_attribute",
    boolean_attribute: { key: "key4", value: true, invert_match: true },
  },
  {
    name: "and-policy-1", type: "and",
    and: {
      and_sub_policy: [
        {
          name: "sub-1", type: "numeric_attribute",
          numeric_attribute: { key: "key1", min_value: 50, max_value: 100 },
        },
        {
          name: "sub-2", type: "not",
          not: {
            not_sub_policy: {
              name: "sub-3", type: "string_attribute",
              string_attribute: { key: "key2", values: ["value1", "value2"], invert_match: true },
            },
          },
        },
      ],
    },
  },
  {
    name: "not-policy-1", type: "not",
    not: { not_sub_policy: { name: "sub", type: "latency", latency: { threshold_ms: 1 } } },
  },
  {
    name: "drop-policy-1", type: "drop",
    drop: {
      drop_sub_policy: [{
        name: "sub", type: "string_attribute",
        string_attribute: { key: "url.path", values: ["\\/health"], enabled_regex_matching: true },
      }],
    },
  },
];

function problemsOf(...policies: unknown[]): readonly string[] {
  return parsePolicies(policies, "Policies").problems;
}

/** A policy named "a" of a type, its block under the type's own name. */
function policy(type: string, block: unknown): Record<string, unknown> {
  return { name: "a", type, [type]: block };
}

describe("the policy configuration", () => {
  it("takes one policy of every type as OpenTelemetry writes it, unchanged", () => {
    const { policies, problems } = parsePolicies(PASTED, "Policies");
    expect(problems).toEqual([]);
    expect(policies).toEqual(PASTED);
    expect(new Set(PASTED.map((each) => each.type))).toEqual(new Set(POLICY_TYPES));
    expect(policiesSchema.safeParse(PASTED).success).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ["no list", undefined, "P: is missing"],
    ["not a list", { name: "a" }, "P: must be a list of policies"],
    ["an empty list", [], "P: must list at least one policy"],
    ["an entry that is no object", ["x"], "P[0]: must be a policy object"],
    ["no type", [{ name: "a" }], "P[0].type: the policy type is missing: one of always_sample,"],
    ["an unknown type", [{ name: "a", type: "bogus" }],
      'P[0].type: unknown policy type "bogus": one of always_sample, latency,'],
    ["a type that only OpenTelemetry has", [{ name: "a", type: "rate_limiting" }],
      'P[0].type: policy type "rate_limiting" of OpenTelemetry is not supported here: one of'],
    ["no name", [{ type: "always_sample" }], "P[0].name: is missing"],
    ["an empty name", [{ name: "", type: "always_sample" }], "P[0].name: must not be empty"],
    ["a name too long", [{ name: "n".repeat(257), type: "always_sample" }],
      "P[0].name: must have at most 256 characters"],
    ["a name twice", [{ name: "a", type: "always_sample" }, { name: "a", type: "always_sample" }],
      'P[1].name: "a" is the name of two policies'],
    ["a missing block", [{ name: "a", type: "latency" }], "P[0].latency: is missing"],
    ["a block of another type", [{ name: "a", type: "always_sample", latency: {} }],
      'P[0]: unknown field "latency"; known: name, type'],
    ["too many policies",
      Array.from({ length: 129 }, (_, index) => ({ name: `p${index}`, type: "always_sample" })),
      "P: must list at most 128 policies"],
  ])("refuses %s and says where", (_, value, problem) => {
    const { policies, problems } = parsePolicies(value, "P");
    expect(policies).toEqual([]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  it.each<[string, unknown, string]>([
    ["latency", { threshold: 5 }, '.latency: unknown field "threshold"; known: threshold_ms,'],
    ["latency", { threshold_ms: "5" }, ".latency.threshold_ms: must be an integer, ms"],
    ["latency", { threshold_ms: 1.5 }, ".latency.threshold_ms: must be an integer, ms"],
    ["latency", { threshold_ms: -1 }, ".latency.threshold_ms: must not be negative"],
    ["latency", { threshold_ms: 5, upper_threshold_ms: 5 }, ".upper_threshold_ms: must be above"],
    ["numeric_attribute", { key: "k" }, ".numeric_attribute: needs min_value or max_value"],
    ["numeric_attribute", { key: "k", min_value: 0, max_value: 0 }, "needs min_value or max_value"],
    ["numeric_attribute", { key: "k", min_value: 3, max_value: 2 },
      ".numeric_attribute.max_value: must not be below min_value"],
    ["numeric_attribute", { key: "k", min_value: 2 ** 60 }, "past 2^53 write it as a string"],
    ["numeric_attribute", { key: "k", min_value: "9223372036854775808" }, "-2^63 to 2^63 - 1"],
    ["numeric_attribute", { key: "k", min_value: "4x" }, "must be an integer"],
    ["numeric_attribute", { key: "k", min_value: true }, "must be an integer"],
    ["numeric_attribute", { min_value: 3 }, ".numeric_attribute.key: is missing"],
    ["probabilistic", {}, ".probabilistic.sampling_percentage: is missing"],
    ["probabilistic", { sampling_percentage: -1 }, "must not be negative"],
    ["probabilistic", { sampling_percentage: "10" }, "must be a number"],
    ["status_code", { status_codes: [] }, ".status_code.status_codes: must name at least one"],
    ["status_code", { status_codes: ["error"] }, ".status_codes[0]: must be one of OK, ERROR,"],
    ["string_attribute", { key: "", values: ["x"] }, ".string_attribute.key: must not be empty"],
    ["string_attribute", { key: "k", values: [] }, ".values: must list at least one value"],
    ["string_attribute", { key: "k", values: "x" }, ".values: must be a list of strings"],
    ["string_attribute", { key: "k", values: ["x", ""] }, ".values[1]: an empty value never"],
    ["string_attribute", { key: "k", values: ["ok", "a("], enabled_regex_matching: true },
      ".values[1]: not an RE2 expression: error parsing regexp: missing closing )"],
    ["string_attribute", { key: "k", values: ["(?=x)"], enabled_regex_matching: true },
      ".values[0]: not an RE2 expression"],
    ["string_attribute", { key: "k", values: ["x"], invert_match: "yes" },
      ".invert_match: must be true or false"],
    ["span_count", {}, ".span_count: needs min_spans or max_spans"],
    ["span_count", { min_spans: 5, max_spans: 4 }, ".max_spans: must not be below min_spans"],
    ["boolean_attribute", { key: "k", value: "true" }, ".value: must be true or false"],
    ["and", { and_sub_policy: [] }, ".and.and_sub_policy: must hold at least one policy"],
    ["and", { and_sub_policy: [{ name: "d", type: "drop" }] },
      '.and.and_sub_policy[0].type: "drop" is only possible at the top'],
    ["not", {}, ".not.not_sub_policy: must be a policy object"],
    ["drop", { and_sub_policy: [] }, "unknown field"],
  ])("refuses in %s %j", (type, block, problem) => {
    expect(problemsOf(policy(type, block)).join("\n")).toContain(problem);
  });

  it("lists every problem, not only the first", () => {
    const problems = problemsOf(
      policy("latency", { threshold_ms: -1 }), { name: "b", type: "bogus" },
      { name: "c", type: "always_sample" },
    );
    expect(problems).toHaveLength(2);
  });

  it("lets and and not nest four deep and refuses a fifth", () => {
    const nest = (depth: number): Record<string, unknown> => {
      if (depth === 0) return { type: "always_sample" };
      return { type: "not", not: { not_sub_policy: nest(depth - 1) } };
    };
    expect(problemsOf({ name: "a", ...nest(4) })).toEqual([]);
    expect(problemsOf({ name: "a", ...nest(5) })[0]).toContain("policies nest at most 4 deep");
  });

  it("reads bounds exactly, as number or string, and 0 as no bound", () => {
    expect(integer64Bound("-9223372036854775808")).toBe(-(2n ** 63n));
    expect(integer64Bound("9223372036854775807")).toBe(2n ** 63n - 1n);
    expect(integer64Bound(-7)).toBe(-7n);
    expect(integer64Bound(0)).toBeNull();
    expect(integer64Bound("0")).toBeNull();
    expect(integer64Bound(undefined)).toBeNull();
    const [min_value, max_value] = ["-9223372036854775808", "9223372036854775807"];
    expect(problemsOf(policy("numeric_attribute", { key: "k", min_value, max_value }))).toEqual([]);
  });
});
