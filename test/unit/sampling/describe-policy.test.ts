import { describe, expect, it } from "vitest";
import { describePolicy, evidenceFor } from "../../../engine/sampling/describe-policy.ts";
import { POLICY_TYPES, type DropBody, type PolicyBody } from
  "../../../engine/sampling/policy-config.ts";

const CASES: readonly (readonly [PolicyBody | DropBody, string])[] = [
  [{ type: "always_sample" }, "nothing"],
  [{ type: "latency", latency: { threshold_ms: 500 } }, "a duration above 500 ms"],
  [{ type: "latency", latency: { threshold_ms: 5, upper_threshold_ms: 9 } },
    "a duration above 5 ms and at most 9 ms"],
  [{ type: "status_code", status_code: { status_codes: ["ERROR", "UNSET"] } },
    "a span with status ERROR or UNSET"],
  [{ type: "probabilistic", probabilistic: { sampling_percentage: 120 } }, "an id among 100 %"],
  [{ type: "string_attribute", string_attribute: {
    key: "k", values: ["a", "b", "c", "d", "e", "f"] } },
  "a span or resource with k = \"a\" or \"b\" or \"c\" or \"d\" or 2 more"],
  [{ type: "string_attribute", string_attribute: {
    key: "k", values: ["^a"], enabled_regex_matching: true, invert_match: true } },
  "no span or resource with k matching \"^a\""],
  [{ type: "numeric_attribute", numeric_attribute: { key: "k", min_value: 500, max_value: 599 } },
    "a span or resource with k 500 to 599"],
  [{ type: "numeric_attribute", numeric_attribute: { key: "k", min_value: "5" } },
    "a span or resource with k from 5"],
  [{ type: "numeric_attribute", numeric_attribute: { key: "k", max_value: 5 } },
    "a span or resource with k up to 5"],
  [{ type: "boolean_attribute", boolean_attribute: { key: "k" } },
    "a span or resource with k = false"],
  [{ type: "span_count", span_count: { min_spans: 1, max_spans: 9 } },
    "at least 1 span and at most 9 spans"],
  [{ type: "span_count", span_count: { max_spans: 9 } }, "at most 9 spans"],
  [{ type: "and", and: { and_sub_policy: [
    { type: "latency", latency: { threshold_ms: 5 } }, { type: "span_count", span_count: {
      min_spans: 2 } } ] } }, "all of: a duration above 5 ms; at least 2 spans"],
  [{ type: "not", not: { not_sub_policy: { type: "latency", latency: { threshold_ms: 5 } } } },
    "not: a duration above 5 ms"],
  [{ type: "drop", drop: { drop_sub_policy: [{ type: "boolean_attribute", boolean_attribute: {
    key: "k", value: true } }] } }, "a span or resource with k = true"],
];

describe("a policy in words", () => {
  it.each(CASES)("%j", (policy, text) => expect(describePolicy(policy)).toBe(text));

  it("exists for every type", () => {
    expect(new Set(CASES.map(([{ type }]) => type))).toEqual(new Set(POLICY_TYPES));
  });

  it("has an end, however long its values are", () => {
    const values = ["x".repeat(4_000)];
    const policy: PolicyBody = { type: "string_attribute", string_attribute: { key: "k", values } };
    expect(describePolicy(policy)).toHaveLength(160);
  });

  it("has evidence where it looks at a number of the trace", () => {
    const trace = { durationMs: 1.23456, spans: 1 };
    const latency: PolicyBody = { type: "latency", latency: {} };
    expect(evidenceFor(latency, trace)).toBe("1.235 ms");
    expect(evidenceFor(latency, { durationMs: null, spans: 1 })).toBeNull();
    expect(evidenceFor({ type: "span_count", span_count: { min_spans: 1 } }, trace)).toBe("1 span");
    expect(evidenceFor({ type: "always_sample" }, trace)).toBeNull();
  });
});
