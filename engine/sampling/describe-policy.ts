// Policies in words, for whoever asks why a trace was kept or dropped.

import type {
  DropBody, LatencyFields, NumericAttributeFields, PolicyBody, SpanCountFields,
  StringAttributeFields, SubPolicyConfig,
} from "./policy-config.ts";
import { integer64Bound } from "./policy-config.ts";

/** Values of a list that are named; the rest is counted. */
const VALUES_NAMED_MAX = 4;
const CHARACTERS_MAX = 160;
/** Microseconds: what a remembered decision has. */
const MILLISECOND_DIGITS = 3;

/** What a trace must have for the policy to hold: "a duration above 500 ms". */
export function describePolicy(policy: PolicyBody | DropBody): string {
  const text = condition(policy);
  return text.length <= CHARACTERS_MAX ? text : `${text.slice(0, CHARACTERS_MAX - 1)}…`;
}

/** What a trace has of what the policy looks at, where that is a number of the trace. */
export function evidenceFor(
  policy: PolicyBody | DropBody, trace: { durationMs: number | null; spans: number | null },
): string | null {
  if (policy.type === "latency" && trace.durationMs !== null) {
    return `${Number(trace.durationMs.toFixed(MILLISECOND_DIGITS))} ms`;
  }
  if (policy.type === "span_count" && trace.spans !== null) return counted(trace.spans);
  return null;
}

function condition(policy: PolicyBody | DropBody): string {
  switch (policy.type) {
    case "always_sample":
      return "nothing";
    case "latency":
      return latency(policy.latency);
    case "status_code":
      return `a span with status ${policy.status_code.status_codes.join(" or ")}`;
    case "probabilistic":
      return `an id among ${Math.min(100, policy.probabilistic.sampling_percentage)} %`;
    case "string_attribute":
      return stringAttribute(policy.string_attribute);
    case "numeric_attribute":
      return numericAttribute(policy.numeric_attribute);
    case "boolean_attribute": {
      const { key, value, invert_match } = policy.boolean_attribute;
      return `${holder(invert_match)} ${key} = ${value ?? false}`;
    }
    case "span_count":
      return spanCount(policy.span_count);
    case "and":
      return all(policy.and.and_sub_policy);
    case "not":
      return `not: ${condition(policy.not.not_sub_policy)}`;
    case "drop":
      return all(policy.drop.drop_sub_policy);
  }
}

function all(policies: readonly SubPolicyConfig[]): string {
  const [only] = policies;
  if (policies.length === 1 && only !== undefined) return condition(only);
  return `all of: ${policies.map(condition).join("; ")}`;
}

function latency({ threshold_ms = 0, upper_threshold_ms = 0 }: LatencyFields): string {
  const upper = upper_threshold_ms === 0 ? "" : ` and at most ${upper_threshold_ms} ms`;
  return `a duration above ${threshold_ms} ms${upper}`;
}

function spanCount({ min_spans = 0, max_spans = 0 }: SpanCountFields): string {
  const upper = max_spans === 0 ? "" : `at most ${counted(max_spans)}`;
  if (min_spans === 0) return upper;
  return `at least ${counted(min_spans)}${upper === "" ? "" : ` and ${upper}`}`;
}

function counted(spans: number): string {
  return spans === 1 ? "1 span" : `${spans} spans`;
}

function stringAttribute(fields: StringAttributeFields): string {
  const named = fields.values.slice(0, VALUES_NAMED_MAX).map((value) => JSON.stringify(value));
  const more = fields.values.length - named.length;
  const verb = fields.enabled_regex_matching === true ? "matching" : "=";
  return `${holder(fields.invert_match)} ${fields.key} ${verb} ${named.join(" or ")}`
    + (more > 0 ? ` or ${more} more` : "");
}

function numericAttribute(fields: NumericAttributeFields): string {
  const min = integer64Bound(fields.min_value);
  const max = integer64Bound(fields.max_value);
  const range = min === null ? `up to ${max}` : max === null ? `from ${min}` : `${min} to ${max}`;
  return `${holder(fields.invert_match)} ${fields.key} ${range}`;
}

function holder(inverted: boolean | undefined): string {
  return inverted === true ? "no span or resource with" : "a span or resource with";
}
