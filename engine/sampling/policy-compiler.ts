// From a policy as configured to what runs: a small expression (what it means, also what the policy
// set's hash covers), then instructions. Attribute tests become predicate bits, shared by all
// policies of all samplers that ask the same question.
//
// Rules of OpenTelemetry are named beside what implements them; files are those of
// opentelemetry-collector-contrib, processor/tailsamplingprocessor/internal/sampling.

import { assert } from "../base/assert.ts";
import { GatewayError } from "../base/errors.ts";
import type { AttributePredicate } from "../part/attribute-matcher.ts";
import {
  FLAG_STATUS_ERROR, FLAG_STATUS_OK, FLAG_STATUS_UNSET, PREDICATES_MAX,
} from "../part/part-layout.ts";
import {
  integer64Bound,
  type LatencyFields, type PolicyBody, type StatusCode, type StringAttributeFields,
} from "./policy-config.ts";
import {
  INSTRUCTION_WORDS, OP_BITS_0, OP_BITS_1, OP_DURATION, OP_END, OP_FALSE, OP_FLAGS, OP_HASH,
  OP_JUMP_IF_FALSE, OP_NOT, OP_SPANS, OP_TRUE,
} from "./policy-code.ts";
import { DEFAULT_HASH_SALT, highWord, keepThreshold, lowWord, saltState } from "./probability.ts";

/** What a policy means; plain JSON, equal for equal meanings of equal configuration. */
export type Expression =
  | { readonly kind: "always" }
  | { readonly kind: "predicate"; readonly index: number }
  | { readonly kind: "status"; readonly flags: number }
  | { readonly kind: "latency"; readonly aboveMs: number; readonly upToMs: number | null }
  | { readonly kind: "spans"; readonly min: number; readonly max: number | null }
  | { readonly kind: "probability"; readonly salt: string; readonly percentage: number }
  | { readonly kind: "not"; readonly of: Expression }
  | { readonly kind: "and"; readonly of: readonly Expression[] };

/** Bits of an expression's growth while spans are added to a trace; both: it never changes. */
export const STAYS_TRUE = 1;
export const STAYS_FALSE = 2;

const CACHE_ENTRIES_DEFAULT = 128;
const NS_PER_MS = 1_000_000n;
const U64_MAX = 2n ** 64n - 1n;
const U32_MAX = 2 ** 32 - 1;
const STATUS_FLAGS: Readonly<Record<StatusCode, number>> = {
  OK: FLAG_STATUS_OK, ERROR: FLAG_STATUS_ERROR, UNSET: FLAG_STATUS_UNSET,
};
const SAMPLE_RATE_MAX = 2 ** 64;

/** The attribute predicates of a policy set; the index is the bit. Equal questions share one. */
export class PredicateTable {
  readonly predicates: AttributePredicate[] = [];
  readonly #indexByMeaning = new Map<string, number>();

  /**
   * The bit of a predicate.
   * Errors: CONFIG_INVALID when more than PREDICATES_MAX different ones are asked for.
   */
  indexOf(predicate: AttributePredicate): number {
    const meaning = JSON.stringify(predicateMeaning(predicate));
    const known = this.#indexByMeaning.get(meaning);
    if (known !== undefined) {
      this.#widenCache(known, predicate);
      return known;
    }
    if (this.predicates.length === PREDICATES_MAX) {
      throw new GatewayError(
        "CONFIG_INVALID",
        `more than ${PREDICATES_MAX} different attribute tests in the policies of all forwarders: `
        + "remove some",
        { key: predicate.key },
      );
    }
    this.#indexByMeaning.set(meaning, this.predicates.length);
    return this.predicates.push(predicate) - 1;
  }

  /** Policies that share a regular expression share its cache, so it gets the largest wish. */
  #widenCache(index: number, wish: AttributePredicate): void {
    const known = this.predicates[index]!;
    if (known.kind !== "regex" || wish.kind !== "regex") return;
    if (wish.cacheSize <= known.cacheSize) return;
    this.predicates[index] = { ...known, cacheSize: wish.cacheSize };
  }
}

/** What a predicate's bit means, as plain JSON: how much is cached is no part of it. */
export function predicateMeaning(predicate: AttributePredicate): Record<string, unknown> {
  switch (predicate.kind) {
    case "string": return { kind: "string", key: predicate.key, values: predicate.values };
    case "regex": return { kind: "regex", key: predicate.key, patterns: predicate.patterns };
    case "boolean": return { kind: "boolean", key: predicate.key, value: predicate.value };
    case "number": {
      const min = predicate.min?.toString() ?? null;
      return { kind: "number", key: predicate.key, min, max: predicate.max?.toString() ?? null };
    }
  }
}

/** The meaning of a policy's body; its attribute tests get bits of `table`. */
export function expressionOf(policy: PolicyBody, table: PredicateTable): Expression {
  switch (policy.type) {
    case "always_sample":
      return { kind: "always" };
    case "latency":
      return latencyExpression(policy.latency);
    case "status_code": {
      let flags = 0; // any span of the trace: status_code.go
      for (const code of policy.status_code.status_codes) flags |= STATUS_FLAGS[code];
      return { kind: "status", flags };
    }
    case "probabilistic": {
      const { hash_salt: salt, sampling_percentage: percentage } = policy.probabilistic;
      return { kind: "probability", salt: salt || DEFAULT_HASH_SALT, percentage };
    }
    case "span_count": {
      const max = policy.span_count.max_spans ?? 0; // 0 is "no upper bound": span_count_sampler.go
      return { kind: "spans", min: policy.span_count.min_spans ?? 0, max: max === 0 ? null : max };
    }
    case "string_attribute": {
      const fields = policy.string_attribute;
      return attributeTest(stringPredicate(fields), fields.invert_match, table);
    }
    case "numeric_attribute": {
      const fields = policy.numeric_attribute;
      const min = integer64Bound(fields.min_value);
      const max = integer64Bound(fields.max_value);
      const predicate = { kind: "number", key: fields.key, min, max } as const;
      return attributeTest(predicate, fields.invert_match, table);
    }
    case "boolean_attribute": {
      const { key, value, invert_match: inverted } = policy.boolean_attribute;
      return attributeTest({ kind: "boolean", key, value: value ?? false }, inverted, table);
    }
    case "and":
      return conjunction(policy.and.and_sub_policy, table);
    case "not":
      return { kind: "not", of: expressionOf(policy.not.not_sub_policy, table) };
  }
}

/** All of them: `and` (and.go) and what a `drop` asks (drop.go). */
export function conjunction(policies: readonly PolicyBody[], table: PredicateTable): Expression {
  return { kind: "and", of: policies.map((policy) => expressionOf(policy, table)) };
}

/** Appends the instructions of an expression and OP_END; returns where they start. */
export function emitPolicy(expression: Expression, code: number[]): number {
  const start = code.length;
  emit(expression, code);
  instruction(code, OP_END);
  assert(code.length % INSTRUCTION_WORDS === 0, "instructions have one size");
  return start;
}

/**
 * Which answers of this expression are final although more spans may come: STAYS_TRUE |
 * STAYS_FALSE.
 */
export function growthOf(expression: Expression): number {
  switch (expression.kind) {
    case "always":
    case "probability":
      return STAYS_TRUE | STAYS_FALSE;
    case "predicate":
    case "status":
      return STAYS_TRUE;
    case "latency":
      return expression.upToMs === null ? STAYS_TRUE : 0;
    case "spans":
      if (expression.max === null) return STAYS_TRUE;
      return expression.min === 0 ? STAYS_FALSE : 0;
    case "not": {
      const growth = growthOf(expression.of);
      const staysTrue = (growth & STAYS_FALSE) !== 0 ? STAYS_TRUE : 0;
      return (growth & STAYS_TRUE) !== 0 ? staysTrue | STAYS_FALSE : staysTrue;
    }
    case "and": {
      let growth = STAYS_TRUE | STAYS_FALSE;
      for (const inner of expression.of) growth &= growthOf(inner);
      return growth;
    }
  }
}

/**
 * Traces that one kept by this policy stands for: 1 / the share of ids that its probabilistic tests
 * let through, given that its other tests hold. Tests with one salt look at the same hash, so their
 * ranges are cut; different salts are independent. A probability below a `not` over an `and` has no
 * single rate and counts as 1. At most 2^64, for a policy that lets no id through.
 */
export function sampleRateOf(expression: Expression): number {
  const ranges = new Map<string, { low: number; high: number }>();
  collectRanges(expression, false, ranges);
  let share = 1;
  for (const range of ranges.values()) share *= Math.max(0, range.high - range.low) / 100;
  return Math.min(1 / share, SAMPLE_RATE_MAX);
}

function collectRanges(
  expression: Expression, negated: boolean, ranges: Map<string, { low: number; high: number }>,
): void {
  if (expression.kind === "not") collectRanges(expression.of, !negated, ranges);
  if (expression.kind === "and" && !negated) {
    for (const inner of expression.of) collectRanges(inner, false, ranges);
  }
  if (expression.kind !== "probability") return;
  const range = ranges.get(expression.salt) ?? { low: 0, high: 100 };
  if (negated) range.low = Math.max(range.low, expression.percentage);
  else range.high = Math.min(range.high, expression.percentage);
  ranges.set(expression.salt, range);
}

/**
 * The lower bound is exclusive with and without an upper one (latency.go since v0.157; before, it
 * was inclusive without). Judged on the whole trace: latency.go stops at the first span that brings
 * the duration so far into the range, so there a long trace can pass an upper bound.
 */
function latencyExpression(fields: LatencyFields): Expression {
  const upper = fields.upper_threshold_ms ?? 0;
  return { kind: "latency", aboveMs: fields.threshold_ms ?? 0, upToMs: upper === 0 ? null : upper };
}

/** string_tag_filter.go: exact values, or expressions that may match anywhere in the value. */
function stringPredicate(fields: StringAttributeFields): AttributePredicate {
  const values = [...new Set(fields.values)].sort();
  if (fields.enabled_regex_matching !== true) return { kind: "string", key: fields.key, values };
  const wish = fields.cache_max_size ?? 0;
  const cacheSize = wish > 0 ? wish : CACHE_ENTRIES_DEFAULT;
  return { kind: "regex", key: fields.key, patterns: values, cacheSize };
}

/** util.go: any span or resource matches; inverted: no span and no resource does. */
function attributeTest(
  predicate: AttributePredicate, inverted: boolean | undefined, table: PredicateTable,
): Expression {
  const test: Expression = { kind: "predicate", index: table.indexOf(predicate) };
  return inverted === true ? { kind: "not", of: test } : test;
}

function emit(expression: Expression, code: number[]): void {
  switch (expression.kind) {
    case "always":
      return instruction(code, OP_TRUE);
    case "predicate": {
      const mask = (1 << (expression.index & 31)) | 0;
      return instruction(code, expression.index < 32 ? OP_BITS_0 : OP_BITS_1, mask);
    }
    case "status":
      return instruction(code, OP_FLAGS, expression.flags);
    case "latency":
      return emitLatency(expression.aboveMs, expression.upToMs, code);
    case "spans":
      return instruction(code, OP_SPANS, expression.min | 0, (expression.max ?? U32_MAX) | 0);
    case "probability": {
      const state = saltState(expression.salt);
      const limit = keepThreshold(expression.percentage);
      return instruction(
        code, OP_HASH, highWord(state), lowWord(state), highWord(limit), lowWord(limit),
      );
    }
    case "not":
      emit(expression.of, code);
      return instruction(code, OP_NOT);
    case "and":
      return emitAnd(expression.of, code);
  }
}

/** Go cuts a duration to whole ms before it compares: above a ms is from its successor on. */
function emitLatency(aboveMs: number, upToMs: number | null, code: number[]): void {
  const min = (BigInt(aboveMs) + 1n) * NS_PER_MS;
  const max = upToMs === null ? U64_MAX : (BigInt(upToMs) + 1n) * NS_PER_MS - 1n;
  if (min > U64_MAX) return instruction(code, OP_FALSE);
  const last = max > U64_MAX ? U64_MAX : max;
  instruction(code, OP_DURATION, highWord(min), lowWord(min), highWord(last), lowWord(last));
}

/**
 * Each test but the last is followed by a jump to the end of the block, where the register is
 * false.
 */
function emitAnd(expressions: readonly Expression[], code: number[]): void {
  assert(expressions.length > 0, "an and has sub policies");
  const jumps: number[] = [];
  for (let index = 0; index < expressions.length; index++) {
    emit(expressions[index]!, code);
    if (index === expressions.length - 1) break;
    jumps.push(code.length);
    instruction(code, OP_JUMP_IF_FALSE);
  }
  for (const jump of jumps) code[jump + 1] = code.length;
}

function instruction(code: number[], operation: number, a = 0, b = 0, c = 0, d = 0): void {
  code.push(operation, a, b, c, d);
}
