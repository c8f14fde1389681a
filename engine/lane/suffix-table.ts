import {
  DECISION_INCOMPLETE, DECISION_LATE, DECISION_REASON, DECISION_VOTES_0, TRIGGER_NAMES,
  VOTE_WORDS,
} from "../part/decision-layout.ts";
import { encodeSuffix } from "../wire/otlp-proto/suffix.ts";
import type { PolicySets } from "./policy-sets.ts";

/** Different suffixes kept; there are as many as policies times triggers in use. */
const SUFFIXES_MAX = 4096;
const NOTHING = new Uint8Array(0);

/**
 * What is appended to kept spans, encoded once for each different outcome. Number 0 appends
 * nothing: spans of forwarders without a sampler. Written by its lane only.
 */
export class SuffixTable {
  readonly #policySets: PolicySets;
  readonly suffixes: Uint8Array[] = [NOTHING];
  readonly #numbers = new Map<string, number>();
  // The last question and its answer: neighbours mostly have the same outcome.
  readonly #lastVotes = new Uint32Array(VOTE_WORDS);
  #lastReason = 0;
  #lastSlot = -1;
  #lastNumber = 0;

  constructor(policySets: PolicySets) {
    this.#policySets = policySets;
  }

  /** Number of the suffix for spans that the decision at words[at..] keeps for `slot`. */
  numberFor(words: Uint32Array, at: number, slot: number): number {
    const reason = words[at + DECISION_REASON]!;
    if (slot === this.#lastSlot && reason === this.#lastReason && this.#sameVotes(words, at)) {
      return this.#lastNumber;
    }
    this.#lastSlot = slot;
    this.#lastReason = reason;
    for (let word = 0; word < VOTE_WORDS; word++) {
      this.#lastVotes[word] = words[at + DECISION_VOTES_0 + word]!;
    }
    this.#lastNumber = this.#find(words, at, slot);
    return this.#lastNumber;
  }

  #sameVotes(words: Uint32Array, at: number): boolean {
    for (let word = 0; word < VOTE_WORDS; word++) {
      if (words[at + DECISION_VOTES_0 + word] !== this.#lastVotes[word]) return false;
    }
    return true;
  }

  #find(words: Uint32Array, at: number, slot: number): number {
    const reason = words[at + DECISION_REASON]!;
    const policySet = (reason >>> 8) & 0xff;
    const votesAt = at + DECISION_VOTES_0;
    const policy = this.#policySets.firstSampled(policySet, words, votesAt, slot);
    const sampleRate = this.#policySets.sampleRate(policySet, words, votesAt, slot);
    const key = `${policySet}/${policy}/${sampleRate}/${reason & 0xff}/${reason >>> 16}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.suffixes.length === SUFFIXES_MAX) this.#restart();
    const flags = reason >>> 16;
    const trigger = TRIGGER_NAMES[reason & 0xff] ?? "unknown";
    const late = (flags & DECISION_LATE) !== 0 ? "late_span" : trigger;
    this.suffixes.push(encodeSuffix({
      policy: this.#policySets.nameOf(policySet, policy),
      sampleRate,
      trigger,
      incompleteReason: (flags & DECISION_INCOMPLETE) !== 0 ? late : null,
    }));
    this.#numbers.set(key, this.suffixes.length - 1);
    return this.suffixes.length - 1;
  }

  /** Only between records, where no number is in use but the one about to be given. */
  #restart(): void {
    this.suffixes.length = 1;
    this.#numbers.clear();
  }
}
