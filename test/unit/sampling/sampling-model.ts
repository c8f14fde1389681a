// The rules of tail sampling on whole spans, written plainly and apart from the engine: the model
// that the compiled policies are compared with. Also folds spans into the words that the engine
// reads.

import type { AttributePredicate } from "../../../engine/part/attribute-matcher.ts";
import {
  FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PART_BITS_0, PART_BITS_1, PART_END_HIGH,
  PART_END_LOW, PART_FLAGS, PART_SPANS, PART_START_HIGH, PART_START_LOW, PART_WORDS,
} from "../../../engine/part/part-layout.ts";
import type {
  PolicyBody, PolicyConfig, StatusCode,
} from "../../../engine/sampling/policy-config.ts";

export type AttributeValue = string | bigint | boolean;

/** A span as far as sampling sees it; attributes include those of its resource. */
export interface ModelSpan {
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly status: StatusCode;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export interface ModelTrace {
  /** 32 hex digits. */
  readonly id: string;
  readonly spans: readonly ModelSpan[];
}

const U64_MAX = 2n ** 64n - 1n;
const FLAGS = { OK: FLAG_STATUS_OK, ERROR: FLAG_STATUS_ERROR, UNSET: FLAG_STATUS_UNSET };

/** The fold of a trace in part layout, its predicate bits by the predicates of a policy set. */
export function foldTrace(
  trace: ModelTrace, predicates: readonly AttributePredicate[],
): Uint32Array {
  const words = new Uint32Array(PART_WORDS);
  Buffer.from(trace.id, "hex").forEach((byte, at) => {
    words[at >>> 2] = ((words[at >>> 2]! << 8) | byte) >>> 0;
  });
  const start = earliestStart(trace.spans);
  const end = latestEnd(trace.spans);
  words[PART_START_HIGH] = Number(start >> 32n);
  words[PART_START_LOW] = Number(start & 0xffffffffn);
  words[PART_END_HIGH] = Number(end >> 32n);
  words[PART_END_LOW] = Number(end & 0xffffffffn);
  words[PART_SPANS] = trace.spans.length;
  for (const span of trace.spans) {
    words[PART_FLAGS] = words[PART_FLAGS]! | FLAGS[span.status];
    predicates.forEach((predicate, index) => {
      const word = index < 32 ? PART_BITS_0 : PART_BITS_1;
      if (predicateHolds(predicate, span)) words[word] = words[word]! | (1 << (index & 31));
    });
  }
  return words;
}

/** Whether the model keeps the trace; `invertDecisions` as in SamplerInput. */
export function modelKeeps(
  policies: readonly PolicyConfig[], trace: ModelTrace, invertDecisions: boolean,
): boolean {
  const said = { sampled: false, notSampled: false, invertSampled: false, invertNotSampled: false };
  for (const policy of policies) {
    if (policy.type === "drop") {
      if (policy.drop.drop_sub_policy.every((sub) => modelHolds(sub, trace))) return false;
      continue;
    }
    const holds = modelHolds(policy, trace);
    if (invertDecisions && isInverted(policy)) {
      if (holds) said.invertSampled = true;
      else said.invertNotSampled = true;
    } else if (holds) said.sampled = true;
    else said.notSampled = true;
  }
  if (said.invertNotSampled) return false;
  if (said.sampled) return true;
  return said.invertSampled && !said.notSampled;
}

/** Whether one policy, not a drop, holds for the trace. */
export function modelHolds(policy: PolicyBody, trace: ModelTrace): boolean {
  const anySpan = (test: (span: ModelSpan) => boolean): boolean => trace.spans.some(test);
  const matching = (matches: boolean, invert = false): boolean => matches !== invert;
  switch (policy.type) {
    case "always_sample": return true;
    case "and": return policy.and.and_sub_policy.every((sub) => modelHolds(sub, trace));
    case "not": return !modelHolds(policy.not.not_sub_policy, trace);
    case "status_code":
      return anySpan((span) => policy.status_code.status_codes.includes(span.status));
    case "span_count": {
      const { min_spans: min = 0, max_spans: max = 0 } = policy.span_count;
      return trace.spans.length >= min && (max === 0 || trace.spans.length <= max);
    }
    case "latency": {
      const start = earliestStart(trace.spans);
      const end = latestEnd(trace.spans);
      if (start === 0n || end < start) return false;
      const ms = (end - start) / 1_000_000n;
      const { threshold_ms: above = 0, upper_threshold_ms: upTo = 0 } = policy.latency;
      return ms > BigInt(above) && (upTo === 0 || ms <= BigInt(upTo));
    }
    case "probabilistic": {
      const { hash_salt: salt = "", sampling_percentage: percentage } = policy.probabilistic;
      let hash = 0xcbf29ce484222325n;
      const hashed = Buffer.concat([
        Buffer.from(salt === "" ? "default-hash-seed" : salt), Buffer.from(trace.id, "hex"),
      ]);
      for (const byte of hashed) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & U64_MAX;
      return Number(hash) / 2 ** 64 <= percentage / 100;
    }
    case "string_attribute": {
      const fields = policy.string_attribute;
      const test = (value: AttributeValue | undefined): boolean => {
        if (typeof value !== "string" || value === "") return false;
        if (fields.enabled_regex_matching !== true) return fields.values.includes(value);
        return fields.values.some((pattern) => new RegExp(pattern).test(value));
      };
      return matching(anySpan((span) => test(span.attributes[fields.key])), fields.invert_match);
    }
    case "numeric_attribute": {
      const fields = policy.numeric_attribute;
      const test = (value: AttributeValue | undefined): boolean => {
        if (typeof value !== "bigint") return false;
        const min = BigInt(fields.min_value ?? 0);
        const max = BigInt(fields.max_value ?? 0);
        return (min === 0n || value >= min) && (max === 0n || value <= max);
      };
      return matching(anySpan((span) => test(span.attributes[fields.key])), fields.invert_match);
    }
    case "boolean_attribute": {
      const { key, value = false, invert_match: invert } = policy.boolean_attribute;
      return matching(anySpan((span) => span.attributes[key] === value), invert);
    }
  }
}

function predicateHolds(predicate: AttributePredicate, span: ModelSpan): boolean {
  const value = span.attributes[predicate.key];
  switch (predicate.kind) {
    case "string":
      return typeof value === "string" && value !== "" && predicate.values.includes(value);
    case "regex":
      if (typeof value !== "string" || value === "") return false;
      return predicate.patterns.some((pattern) => new RegExp(pattern).test(value));
    case "boolean":
      return value === predicate.value;
    case "number":
      if (typeof value !== "bigint") return false;
      return (predicate.min === null || value >= predicate.min)
        && (predicate.max === null || value <= predicate.max);
  }
}

function isInverted(policy: PolicyBody): boolean {
  if (policy.type === "string_attribute") return policy.string_attribute.invert_match === true;
  if (policy.type === "numeric_attribute") return policy.numeric_attribute.invert_match === true;
  return policy.type === "boolean_attribute" && policy.boolean_attribute.invert_match === true;
}

/** 0 is "unset" and no start; 0 when there is none. */
function earliestStart(spans: readonly ModelSpan[]): bigint {
  let earliest = 0n;
  for (const { startNs } of spans) {
    if (startNs !== 0n && (earliest === 0n || startNs < earliest)) earliest = startNs;
  }
  return earliest;
}

function latestEnd(spans: readonly ModelSpan[]): bigint {
  return spans.reduce((latest, { endNs }) => (endNs > latest ? endNs : latest), 0n);
}
