// A compiled policy: a row of fixed-size instructions that read a trace's folded words. Numbers in
// one Int32Array and a switch instead of a tree of objects: one shape, no calls through properties,
// no allocation for a decision (native-bench/evaluate.bench.ts).
//
// Instruction: [0] operation | [1..4] operands, by operation. There is one register, the truth of
// the last test. Jumps go forward only, so a policy takes at most as many steps as it has
// instructions.

import { AssertionFailed } from "../base/assert.ts";
import {
  PART_BITS_0, PART_BITS_1, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_ID_0, PART_SPANS,
  PART_START_HIGH, PART_START_LOW,
} from "../part/part-layout.ts";
import { passesThreshold } from "./probability.ts";

export const INSTRUCTION_WORDS = 5;

/** End of the policy: the register is its answer. */
export const OP_END = 0;
export const OP_TRUE = 1;
export const OP_FALSE = 2;
/** [mask]: any of these predicate bits. */
export const OP_BITS_0 = 3;
export const OP_BITS_1 = 4;
/** [mask]: any of these flags. */
export const OP_FLAGS = 5;
/** [min ns high, low, max ns high, low]: duration, inclusive. */
export const OP_DURATION = 6;
/** [min, max]: spans, inclusive. */
export const OP_SPANS = 7;
/** [state high, low, threshold high, low]. */
export const OP_HASH = 8;
export const OP_NOT = 9;
/** [instruction]: when the register is false, go on at that word of the code. */
export const OP_JUMP_IF_FALSE = 10;

const BITS_0 = PART_BITS_0;
const BITS_1 = PART_BITS_1;
const END_HIGH = PART_END_HIGH;
const END_LOW = PART_END_LOW;
const FLAGS = PART_FLAGS;
const ID_0 = PART_ID_0;
const SPANS = PART_SPANS;
const START_HIGH = PART_START_HIGH;
const START_LOW = PART_START_LOW;
const STEP = INSTRUCTION_WORDS;

/**
 * Runs the policy that starts at code[start] against the fold at words[at ..] (part layout).
 * @returns 1 when the policy holds, 0 when not.
 */
export function runPolicy(code: Int32Array, start: number, words: Uint32Array, at: number): number {
  let truth = 0;
  for (let pc = start; pc < code.length; pc += STEP) {
    switch (code[pc]!) {
      case OP_END:
        return truth;
      case OP_TRUE:
        truth = 1;
        break;
      case OP_FALSE:
        truth = 0;
        break;
      case OP_BITS_0:
        truth = (words[at + BITS_0]! & code[pc + 1]!) !== 0 ? 1 : 0;
        break;
      case OP_BITS_1:
        truth = (words[at + BITS_1]! & code[pc + 1]!) !== 0 ? 1 : 0;
        break;
      case OP_FLAGS:
        truth = (words[at + FLAGS]! & code[pc + 1]!) !== 0 ? 1 : 0;
        break;
      case OP_DURATION:
        truth = durationWithin(code, pc, words, at);
        break;
      case OP_SPANS:
        truth = words[at + SPANS]! >= code[pc + 1]! >>> 0
          && words[at + SPANS]! <= code[pc + 2]! >>> 0 ? 1 : 0;
        break;
      case OP_HASH:
        truth = passesThreshold(
          words, at + ID_0, code[pc + 1]!, code[pc + 2]!, code[pc + 3]!, code[pc + 4]!,
        );
        break;
      case OP_NOT:
        truth ^= 1;
        break;
      case OP_JUMP_IF_FALSE:
        if (truth === 0) pc = code[pc + 1]! - STEP;
        break;
      default:
        throw new AssertionFailed(`operation ${code[pc]!} at ${pc} does not exist`);
    }
  }
  throw new AssertionFailed("a policy's code has no end");
}

/**
 * Latest end minus earliest start, exact, against the operands of OP_DURATION. Unknown, and so
 * outside, when no span had a start (0 is "unset") or the trace ends before it starts (broken
 * clocks).
 */
function durationWithin(code: Int32Array, pc: number, words: Uint32Array, at: number): number {
  const startHigh = words[at + START_HIGH]!;
  const startLow = words[at + START_LOW]!;
  const endHigh = words[at + END_HIGH]!;
  const endLow = words[at + END_LOW]!;
  if (startHigh === 0 && startLow === 0) return 0;
  if (endHigh < startHigh || (endHigh === startHigh && endLow < startLow)) return 0;
  const low = (endLow - startLow) >>> 0;
  const high = (endHigh - startHigh - (endLow < startLow ? 1 : 0)) >>> 0;
  const minHigh = code[pc + 1]! >>> 0;
  const minLow = code[pc + 2]! >>> 0;
  if (high < minHigh || (high === minHigh && low < minLow)) return 0;
  const maxHigh = code[pc + 3]! >>> 0;
  const maxLow = code[pc + 4]! >>> 0;
  return high < maxHigh || (high === maxHigh && low <= maxLow) ? 1 : 0;
}
