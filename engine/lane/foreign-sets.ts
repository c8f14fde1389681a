// Policy sets of other nodes, as this lane folds by them. The coordinator offers their texts; a set
// has a number for good, and the map says which node has which.
//
//   offered ─► compiled ─► said so ─► the node is linked ─► its parts are folded by its set
//
// A set whose predicates are this node's, in their order, needs no folding of its own.

import { assert } from "../base/assert.ts";
import { NO_SET, OWN_SET, type ShardColumns, NODES } from "../cluster/cluster-words.ts";
import type { PolicySetBoard } from "../cluster/policy-set-board.ts";
import { AttributeMatcher } from "../part/attribute-matcher.ts";
import type { PolicySet } from "../sampling/compile.ts";
import { predicateMeaning } from "../sampling/policy-compiler.ts";
import {
  hashPolicySetText, readPolicySet, type ForeignPolicySet,
} from "../sampling/policy-set-text.ts";
import {
  POLICY_SET_UNKNOWN, REASON_POLICY_SET_MASK, REASON_POLICY_SET_SHIFT,
} from "../traces/memory-layout.ts";
import type { PolicySetSummary, PolicySets } from "./policy-sets.ts";

/** Bits of this node's own set. */
export const OWN_BITS = 0;
/** Bits that are not known, or of a set that is not loaded any more. */
export const UNKNOWN_BITS = -1;
const SETS = 256;

interface ForeignSet {
  /** Null: its predicates are this node's. */
  readonly matcher: AttributeMatcher | null;
  /** Forwarders of this node that have a sampler there. */
  readonly samplersMask: number;
}

export interface ForeignSetsParts {
  /** Null on a single node. */
  readonly board: PolicySetBoard | null;
  readonly own: AttributeMatcher;
  readonly policySets: PolicySets;
  /** Names of this node's forwarders by slot. */
  readonly slotNames: readonly string[];
  /** A set got a number in this lane's log: the next generation's head has to say it. */
  readonly numbered: () => void;
}

/** Written by its lane only. */
export class ForeignSets {
  readonly #in: ForeignSetsParts;
  readonly #lane: number;
  readonly #sets = new Map<number, ForeignSet>();
  #taken = 0;
  /** By node, as the map has it. */
  #numbers: Uint8Array = new Uint8Array(NODES);
  /** By node: whose predicate bits its parts must have. OWN_BITS, UNKNOWN_BITS, or a set. */
  readonly bits = new Int16Array(NODES);
  /** By node: samplers of this node that exist there. */
  readonly samplers = new Uint16Array(NODES).fill(0xffff);
  /** Numbers in this lane's log, by number in this process. */
  readonly #logNumbers = new Uint8Array(SETS).fill(POLICY_SET_UNKNOWN);

  constructor(parts: ForeignSetsParts, lane: number) {
    this.#in = parts;
    this.#lane = lane;
    this.#logNumbers[OWN_SET] = 0;
  }

  /** Compiles what is offered. Between transactions. */
  take(): void {
    const { board } = this.#in;
    if (board === null || board.offers === this.#taken) return;
    const offer = board.offers;
    const { number, text } = board.read();
    this.#compile(number, text);
    this.#find();
    this.#taken = offer;
    board.took(this.#lane, offer);
  }

  #compile(number: number, text: string): void {
    const { policySets, slotNames, numbered } = this.#in;
    const foreign = readPolicySet(text); // the coordinator has compiled it before
    const isSame = meaningOf(foreign.set) === meaningOf(policySets.current);
    const slots = foreign.slotNames.map((name) => name === "" ? -1 : slotNames.indexOf(name));
    let samplersMask = 0;
    for (const { slot } of foreign.set.samplers) {
      if (slots[slot]! >= 0) samplersMask |= 1 << slots[slot]!;
    }
    this.#sets.set(number, {
      matcher: isSame ? null : new AttributeMatcher(foreign.set.predicates), samplersMask,
    });
    const before = policySets.all.length;
    this.#logNumbers[number] = policySets.numberOf(summaryOf(foreign, slots, text));
    if (policySets.all.length > before) numbered();
  }

  /** Another map: forgets sets that no node has any more. */
  adopted({ sets, members }: ShardColumns): void {
    this.#numbers = sets;
    const used = new Set(sets.filter((_, node) => members[node] === 1));
    for (const number of this.#sets.keys()) if (!used.has(number)) this.#sets.delete(number);
    this.#find();
  }

  #find(): void {
    for (let node = 0; node < NODES; node++) {
      const number = this.#numbers[node]!;
      const set = this.#sets.get(number);
      this.samplers[node] = set?.samplersMask ?? 0xffff;
      if (number === OWN_SET) this.bits[node] = OWN_BITS;
      else if (set === undefined || number === NO_SET) this.bits[node] = UNKNOWN_BITS;
      else this.bits[node] = set.matcher === null ? OWN_BITS : number;
    }
  }

  /** Number of the set that a node has by the map that the lane acts by. */
  numberOf(node: number): number {
    return this.#numbers[node]!;
  }

  /** What finds the bits of a set that is known. */
  matcherOf(bits: number): AttributeMatcher {
    if (bits === OWN_BITS) return this.#in.own;
    const matcher = this.#sets.get(bits)?.matcher ?? null;
    assert(matcher !== null, "nobody asks for the bits of a set that is not known");
    return matcher;
  }

  /**
   * Turns the number of the set in a reason word that came from another node into this log's.
   * Once: the word is the caller's.
   */
  renumber(words: Uint32Array, at: number): void {
    const reason = words[at]!;
    const number = (reason & REASON_POLICY_SET_MASK) >>> REASON_POLICY_SET_SHIFT;
    if (number === OWN_SET) return;
    words[at] = (reason & ~REASON_POLICY_SET_MASK)
      | (this.#logNumbers[number]! << REASON_POLICY_SET_SHIFT);
  }
}

/** Equal for sets of equal predicates in one order: their bits are the same. */
function meaningOf({ predicates }: PolicySet): string {
  return JSON.stringify(predicates.map(predicateMeaning));
}

/** @param slots this node's number of each of the other's forwarders, -1 = it has none. */
function summaryOf(
  { set }: ForeignPolicySet, slots: readonly number[], text: string,
): PolicySetSummary {
  return {
    hash: `${hashPolicySetText(text)} ${slots.join()}`,
    policies: set.policies.map(({ name, samplerSlot, sampleRate }) => {
      return { name, samplerSlot: slots[samplerSlot]!, sampleRate };
    }),
  };
}
