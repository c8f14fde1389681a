// Short ways to write policies and folds in the tests of this folder.

import {
  PART_BITS_0, PART_BITS_1, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_SPANS, PART_START_HIGH,
  PART_START_LOW, PART_WORDS,
} from "../../../engine/part/part-layout.ts";
import { VOTE_WORDS } from "../../../engine/part/decision-layout.ts";
import { compilePolicySet, type PolicySet } from "../../../engine/sampling/compile.ts";
import type { PolicyBody, PolicyConfig } from "../../../engine/sampling/policy-config.ts";

export const ALWAYS: PolicyBody = { type: "always_sample" };
export const NEVER: PolicyBody = not(ALWAYS);

/** The policies as the only sampler, slot 0. */
export function compileOne(...policies: PolicyConfig[]): PolicySet {
  return compilePolicySet([{ slot: 0, forwarder: "backend", policies }]);
}

export function keeps(set: PolicySet, words: Uint32Array, slot = 0): boolean {
  return set.evaluate(words, 0, slot, new Uint32Array(VOTE_WORDS)) === 1;
}

/** A policy that holds when boolean attribute `key` is true; the first one compiled has bit 0. */
export function flagged(key: string, invert_match = false): PolicyBody {
  return { type: "boolean_attribute", boolean_attribute: { key, value: true, invert_match } };
}

export function probabilistic(sampling_percentage: number, hash_salt = ""): PolicyBody {
  return { type: "probabilistic", probabilistic: { sampling_percentage, hash_salt } };
}

export function latency(threshold_ms: number, upper_threshold_ms?: number): PolicyBody {
  return { type: "latency", latency: { threshold_ms, upper_threshold_ms } };
}

export function spanCount(min_spans: number, max_spans: number): PolicyBody {
  return { type: "span_count", span_count: { min_spans, max_spans } };
}

export function exact(key: string, ...values: string[]): PolicyBody {
  return { type: "string_attribute", string_attribute: { key, values } };
}

export function regex(key: string, values: string[], cache_max_size: number): PolicyBody {
  const fields = { key, values, enabled_regex_matching: true, cache_max_size };
  return { type: "string_attribute", string_attribute: fields };
}

export function and(...subs: PolicyBody[]): PolicyBody {
  return { type: "and", and: { and_sub_policy: subs } };
}

export function not(sub: PolicyBody): PolicyBody {
  return { type: "not", not: { not_sub_policy: sub } };
}

export function dropOf(name: string, ...subs: PolicyBody[]): PolicyConfig {
  return { name, type: "drop", drop: { drop_sub_policy: subs } };
}

export function named(name: string, body: PolicyBody): PolicyConfig {
  return { name, ...body };
}

export interface FoldFields {
  readonly bits0?: number;
  readonly bits1?: number;
  readonly flags?: number;
  readonly spans?: number;
}

/** A trace's fold in part layout; what is not given is 0, spans 1. */
export function foldOf(fields: FoldFields = {}): Uint32Array {
  const words = new Uint32Array(PART_WORDS);
  words[PART_BITS_0] = fields.bits0 ?? 0;
  words[PART_BITS_1] = fields.bits1 ?? 0;
  words[PART_FLAGS] = fields.flags ?? 0;
  words[PART_SPANS] = fields.spans ?? 1;
  return words;
}

/** A fold of one span with these times. */
export function timed(startNs: bigint, endNs: bigint): Uint32Array {
  const words = foldOf();
  words[PART_START_HIGH] = Number(startNs >> 32n);
  words[PART_START_LOW] = Number(startNs & 0xffffffffn);
  words[PART_END_HIGH] = Number(endNs >> 32n);
  words[PART_END_LOW] = Number(endNs & 0xffffffffn);
  return words;
}
