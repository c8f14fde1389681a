// A logged decision in words, for whoever asks why a trace was kept or dropped. Reads the votes
// that were logged and never evaluates again: a policy set may have been reloaded since.

import { DECISION_INCOMPLETE, DECISION_LATE, TRIGGER_NAMES } from "../part/decision-layout.ts";
import { hasVote, ROLE_DROP, ROLE_INVERTED, type PolicyInfo, type PolicySet } from "./compile.ts";

/**
 * How one policy counted. Drops come first and the one that matched ends it: the rest is
 * "not_evaluated".
 */
export type Vote =
  | "sampled" | "not_sampled" | "dropped"
  | "inverted_sampled" | "inverted_not_sampled" | "not_evaluated";

/** One policy's part in a decision. */
export interface PolicyVote {
  readonly policy: string;
  /** The policy held and was for keeping the trace. */
  readonly sampled: boolean;
  readonly vote: Vote;
}

/** One sampler's part in a decision. */
export interface SamplerVotes {
  readonly forwarder: string;
  /** False while this sampler has not judged the trace; then nothing below is known. */
  readonly decided: boolean;
  readonly kept: boolean;
  /** The policy the keep is attributed to. */
  readonly policy: string | null;
  readonly sampleRate: number | null;
  readonly votes: readonly PolicyVote[];
}

/** A decision as DECISION_MASKS, DECISION_VOTES_0 and DECISION_REASON have it. */
export interface DecisionWords {
  /** Low 16 bits: samplers (by slot) decided; high 16: forwarders that get the trace. */
  readonly masks: number;
  /** Vote words at votes[votesAt ..]. */
  readonly votes: Uint32Array;
  readonly votesAt: number;
  readonly reason: number;
}

/** The answer for one trace. */
export interface DecisionExplanation {
  /** Why the trace was judged when it was; "unknown" for a code of a newer version. */
  readonly trigger: string;
  /** A part came after the decision and followed it. */
  readonly late: boolean;
  /** Judged on a part of its spans. */
  readonly incomplete: boolean;
  readonly samplers: readonly SamplerVotes[];
}

/**
 * A decision in words. The policy set must be the one whose votes these are: compare its hash
 * first.
 */
export function explainDecision(set: PolicySet, decision: DecisionWords): DecisionExplanation {
  const flags = decision.reason >>> 16;
  return {
    trigger: triggerName(decision.reason & 0xff),
    late: (flags & DECISION_LATE) !== 0,
    incomplete: (flags & DECISION_INCOMPLETE) !== 0,
    samplers: explainVotes(set, decision),
  };
}

/** The votes of every sampler of the set, in its order. */
export function explainVotes(
  set: PolicySet, decision: Omit<DecisionWords, "reason">,
): SamplerVotes[] {
  return set.samplers.map((sampler) => {
    const { slot, forwarder } = sampler;
    const decided = ((decision.masks >>> slot) & 1) === 1;
    if (!decided) {
      return { forwarder, decided, kept: false, policy: null, sampleRate: null, votes: [] };
    }
    const kept = ((decision.masks >>> (16 + slot)) & 1) === 1;
    const first = kept ? set.firstSampled(decision.votes, decision.votesAt, slot) : -1;
    const own = set.policies.slice(sampler.firstPolicy, sampler.endPolicy);
    const held = own.map((_, index) => {
      return hasVote(decision.votes, decision.votesAt, sampler.firstPolicy + index);
    });
    const dropper = kept ? -1
      : own.findIndex((policy, index) => policy.role === ROLE_DROP && held[index]!);
    return {
      forwarder,
      decided,
      kept,
      policy: first < 0 ? null : set.policies[first]!.name,
      sampleRate: kept ? set.sampleRate(decision.votes, decision.votesAt, slot) : null,
      votes: own.map((policy, index) => {
        const evaluated = dropper < 0 || (policy.role === ROLE_DROP && index <= dropper);
        const sampled = held[index]! && policy.role !== ROLE_DROP;
        const vote = evaluated ? voteOf(policy, held[index]!) : "not_evaluated";
        return { policy: policy.name, sampled, vote };
      }),
    };
  });
}

/** The name of a TRIGGER code, "unknown" when it has none. */
export function triggerName(trigger: number): string {
  return TRIGGER_NAMES[trigger] || "unknown";
}

function voteOf(policy: PolicyInfo, held: boolean): Vote {
  if (policy.role === ROLE_DROP && held) return "dropped";
  if (policy.role === ROLE_INVERTED) return held ? "inverted_sampled" : "inverted_not_sampled";
  return held ? "sampled" : "not_sampled";
}
