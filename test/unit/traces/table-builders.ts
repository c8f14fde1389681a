// Parts and ids for tests of the tables.

import {
  PART_BITS_0, PART_BITS_1, PART_BYTES, PART_END_HIGH, PART_FLAGS, PART_SPANS, PART_START_HIGH,
  PART_WORDS,
} from "../../../engine/part/part-layout.ts";
import {
  MEMORY_AT_S, MEMORY_DURATION_US, MEMORY_MASKS, MEMORY_REASON, MEMORY_SPANS, MEMORY_VOTES_0,
  MEMORY_WORDS,
} from "../../../engine/traces/memory-layout.ts";

export interface PartFacts {
  readonly start?: bigint;
  readonly end?: bigint;
  readonly bits?: readonly [number, number];
  readonly flags?: number;
  readonly spans?: number;
  readonly bytes?: number;
}

/** A part in part layout. The trace is a number or all four id words. */
export function buildPart(trace: number | readonly number[], facts: PartFacts = {}): Uint32Array {
  const words = new Uint32Array(PART_WORDS);
  words.set(typeof trace === "number" ? [0, 0, 0, trace] : trace);
  words.set(halves(facts.start ?? 0n), PART_START_HIGH);
  words.set(halves(facts.end ?? 0n), PART_END_HIGH);
  words[PART_BITS_0] = facts.bits?.[0] ?? 0;
  words[PART_BITS_1] = facts.bits?.[1] ?? 0;
  words[PART_FLAGS] = facts.flags ?? 0;
  words[PART_SPANS] = facts.spans ?? 0;
  words[PART_BYTES] = facts.bytes ?? 0;
  return words;
}

export function halves(value: bigint): [number, number] {
  return [Number(value >> 32n), Number(value & 0xffffffffn)];
}

/** The 64-bit value in two halves at `words[at]`. */
export function wholeAt(words: Uint32Array, at: number): bigint {
  return (BigInt(words[at]!) << 32n) | BigInt(words[at + 1]!);
}

export interface DecisionFacts {
  readonly decided?: number;
  readonly keep?: number;
  readonly votes?: readonly number[];
  readonly trigger?: number;
  readonly policySet?: number;
  readonly flags?: number;
  readonly atS?: number;
  readonly spans?: number;
  readonly durationUs?: number;
}

/** A decision in memory layout. */
export function buildDecision(trace: number, facts: DecisionFacts = {}): Uint32Array {
  const words = new Uint32Array(MEMORY_WORDS);
  words[3] = trace;
  words[MEMORY_MASKS] = (facts.decided ?? 1) | ((facts.keep ?? 0) << 16);
  words.set(facts.votes ?? [], MEMORY_VOTES_0);
  words[MEMORY_REASON] =
    (facts.trigger ?? 1) | ((facts.policySet ?? 0) << 8) | ((facts.flags ?? 0) << 16);
  words[MEMORY_AT_S] = facts.atS ?? 1_000;
  words[MEMORY_SPANS] = facts.spans ?? 1;
  words[MEMORY_DURATION_US] = facts.durationUs ?? 0;
  return words;
}
