// Which generations can go, and what must be committed anew before they do.
//
// A sealed generation whose parts are all settled has three things that others may still need:
//   states of older generations that live on | KEPT decisions of parts that still owe an
//   acknowledgement | decisions that the lane remembers
// They are committed to the open generation first; then the generations go, oldest first. In that
// order a crash between two of them is harmless: states of a generation are logged in it or in
// younger ones only.

import type { Generation } from "./generation.ts";
import { OWED_BITS } from "./part-states.ts";

/** What the lane appends, inside the transaction, for what the log cannot carry itself. */
export interface Carrier {
  /** Append KEPT words of every part of `generation` that still owes an acknowledgement. */
  appendKept(generation: number): void;
  /**
   * Append MEMORY words: everything that is remembered of decisions, complete. Without it,
   * generations with decisions stay until memoryExported() says that they are not needed.
   */
  appendMemory?(): void;
}

export interface RetirementPlan {
  /** Ascending. */
  readonly removed: readonly Generation[];
  /** Living generations whose states are to be logged anew. */
  readonly statesOf: readonly Generation[];
  /** Living generations whose KEPT decisions are to be logged anew. */
  readonly keptOf: readonly Generation[];
  readonly memory: boolean;
}

/** True for a generation that nothing but its own words keeps. */
export function isRetirable(generation: Generation): boolean {
  return generation.sealed && generation.states.unsettledParts === 0
    && generation.states.dirtyRecords === 0;
}

/**
 * @param generations ascending by id.
 * @param memoryGeneration where the last complete MEMORY lies; 0 for none. It has every decision of
 * the generations before it, for they were sealed when it was written.
 */
export function planRetirement(
  generations: readonly Generation[], memoryGeneration: number, removedMax: number,
  appendsMemory = true,
): RetirementPlan {
  const removed = generations.filter((generation) => {
    return isRetirable(generation)
      && (appendsMemory || !needsMemory(generation, memoryGeneration));
  }).slice(0, removedMax);
  const statesOf: Generation[] = [];
  const keptOf: Generation[] = [];
  for (const living of generations) {
    if (removed.includes(living)) continue;
    if (removed.some((gone) => gone.statesOf.has(living.id))) statesOf.push(living);
    if (!removed.some((gone) => gone.keptOf.has(living.id))) continue;
    if (living.states.nextRecord(0, OWED_BITS) !== 0) keptOf.push(living);
  }
  const memory = removed.some((gone) => needsMemory(gone, memoryGeneration));
  return { removed, statesOf, keptOf, memory };
}

/** True when decisions logged in the generation are in no complete MEMORY yet. */
export function needsMemory(generation: Generation, memoryGeneration: number): boolean {
  return generation.hasDecisions && memoryGeneration <= generation.id;
}
