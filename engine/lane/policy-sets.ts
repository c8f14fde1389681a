// The policy sets that this log's decisions may be under: number 0 is the loaded one, the others
// were loaded by former runs or are other nodes', and are known by name only. A decision says its
// number; a log says, at the head of every generation, which hash each number had.

import { VOTE_WORDS } from "../part/decision-layout.ts";
import { hasVote, type PolicySet } from "../sampling/compile.ts";

/** Numbers fit a byte of DECISION_REASON. */
const POLICY_SETS_MAX = 255;

/** What is left of a policy set when it is not loaded any more. */
export interface PolicySetSummary {
  readonly hash: string;
  readonly policies: readonly {
    readonly name: string; readonly samplerSlot: number; readonly sampleRate: number;
  }[];
}

/** Written by its lane only. */
export class PolicySets {
  readonly current: PolicySet;
  readonly #all: PolicySetSummary[];

  constructor(current: PolicySet) {
    this.current = current;
    this.#all = [summaryOf(current)];
  }

  /** Summaries in the order of their numbers. */
  get all(): readonly PolicySetSummary[] {
    return this.#all;
  }

  /**
   * Number of the set with this hash; a set not seen before gets one, or the last when all are
   * used.
   */
  numberOf(summary: PolicySetSummary): number {
    const known = this.#all.findIndex(({ hash }) => hash === summary.hash);
    if (known >= 0) return known;
    if (this.#all.length === POLICY_SETS_MAX) return POLICY_SETS_MAX - 1;
    this.#all.push(summary);
    return this.#all.length - 1;
  }

  /** Vote bit of the policy that a trace kept for `slot` is attributed to; -1 when unknown. */
  firstSampled(number: number, votes: Uint32Array, at: number, slot: number): number {
    if (number === 0) return this.current.firstSampled(votes, at, slot);
    const policies = this.#all[number]?.policies ?? [];
    for (let policy = 0; policy < policies.length && policy < VOTE_WORDS * 32; policy++) {
      if (policies[policy]!.samplerSlot === slot && hasVote(votes, at, policy)) return policy;
    }
    return -1;
  }

  /** Name of a policy by its vote bit. */
  nameOf(number: number, policy: number): string {
    return this.#all[number]?.policies[policy]?.name ?? "unknown";
  }

  /** How many traces one kept by these votes stands for. */
  sampleRate(number: number, votes: Uint32Array, at: number, slot: number): number {
    if (number === 0) return this.current.sampleRate(votes, at, slot);
    const policies = this.#all[number]?.policies ?? [];
    let rate = Infinity;
    policies.forEach(({ samplerSlot, sampleRate }, policy) => {
      if (samplerSlot !== slot || !hasVote(votes, at, policy)) return;
      rate = Math.min(rate, sampleRate); // a drop that holds keeps nothing
    });
    return rate === Infinity ? 1 : rate;
  }
}

function summaryOf(set: PolicySet): PolicySetSummary {
  return {
    hash: set.hash,
    policies: set.policies.map(({ name, samplerSlot, sampleRate }) => {
      return { name, samplerSlot, sampleRate };
    }),
  };
}
