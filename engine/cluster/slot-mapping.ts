// Forwarders have numbers (slots) of their own on every node; what nodes have in common is their
// names. Masks are turned into the receiver's numbers by the node that sends them, and by nobody
// else.

import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import { MESSAGE_UNDECIDED_BITS } from "../part/part-layout.ts";

/** What of a policy set says which forwarder has which number. */
export interface ForwarderNumbers {
  /** By slot; "" where one is free. */
  readonly slotNames: readonly string[];
  /** A bit for each slot that has a sampler. */
  readonly samplersMask: number;
}

const NONE = 255;
const HALF = 16;

/** From this node's numbers to another's. */
export class SlotMapping {
  /** By slot of this node. */
  readonly #names = new Uint8Array(FORWARDERS_MAX).fill(NONE);
  readonly #samplers = new Uint8Array(FORWARDERS_MAX).fill(NONE);

  constructor(own: readonly string[], other: ForwarderNumbers) {
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      const name = own[slot] ?? "";
      const to = name === "" ? -1 : other.slotNames.indexOf(name);
      if (to < 0) continue;
      this.#names[slot] = to;
      if ((other.samplersMask & (1 << to)) !== 0) this.#samplers[slot] = to;
    }
  }

  /** Samplers that a part waits for; without those that the other node does not have. */
  undecided(word: number): number {
    const flags = word & ~MESSAGE_UNDECIDED_BITS;
    return (flags | mapHalf(word & MESSAGE_UNDECIDED_BITS, this.#samplers)) >>> 0;
  }

  /** Masks of a decision, decided low and kept high; forwarders that only this node has go. */
  masks(word: number): number {
    const decided = mapHalf(word & MESSAGE_UNDECIDED_BITS, this.#names);
    const kept = mapHalf(word >>> HALF, this.#names);
    return (decided | (kept << HALF)) >>> 0;
  }
}

function mapHalf(mask: number, slots: Uint8Array): number {
  let mapped = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) {
    const to = slots[31 - Math.clz32(rest & -rest)]!;
    if (to !== NONE) mapped |= 1 << to;
  }
  return mapped;
}
