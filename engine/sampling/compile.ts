// The policies of all samplers of this node, compiled: what the scanner has to look for
// (predicates), and what an owner asks of a trace's fold (code). Pure and immutable; every lane
// builds its own from the same input. Bits and votes mean something only together with `hash`.

import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";
import { GatewayError } from "../base/errors.ts";
import type { AttributePredicate } from "../part/attribute-matcher.ts";
import { FORWARDERS_MAX, POLICIES_MAX, VOTE_WORDS } from "../part/decision-layout.ts";
import { runPolicy } from "./policy-code.ts";
import type { PolicyConfig, PolicyType } from "./policy-config.ts";
import {
  conjunction, emitPolicy, expressionOf, growthOf, predicateMeaning, PredicateTable, sampleRateOf,
  STAYS_FALSE, STAYS_TRUE,
  type Expression,
} from "./policy-compiler.ts";

/** Raised when the meaning of an unchanged configuration changes, so that hashes differ. */
export const SEMANTICS_VERSION = 1;

/** How a policy's answer counts. */
export const ROLE_SAMPLE = 0;
/** Attribute policy with `invert_match` at the top: its "no" is a veto. */
export const ROLE_INVERTED = 1;
/** Its "yes" is a veto. */
export const ROLE_DROP = 2;
export type PolicyRole = typeof ROLE_SAMPLE | typeof ROLE_INVERTED | typeof ROLE_DROP;

/** The `TraceSample` block of one forwarder. */
export interface SamplerInput {
  /** The forwarder's slot, 0..15. */
  readonly slot: number;
  readonly forwarder: string;
  readonly policies: readonly PolicyConfig[];
  /**
   * Whether a top-level `invert_match` has votes of its own (see PolicySet.evaluate). Default true,
   * as OpenTelemetry until v0.143; false is its behaviour since: sampled or not sampled, nothing
   * special.
   */
  readonly invertDecisions?: boolean | undefined;
}

/** A top-level policy; its index in PolicySet.policies is its vote bit. */
export interface PolicyInfo {
  readonly name: string;
  readonly type: PolicyType;
  readonly role: PolicyRole;
  readonly samplerSlot: number;
  /** Traces that one kept by this policy stands for; 1 unless it is probabilistic. */
  readonly sampleRate: number;
}

/** Policies [firstPolicy, endPolicy) of a set belong to the sampler of forwarder `slot`. */
export interface SamplerInfo {
  readonly slot: number;
  readonly forwarder: string;
  readonly firstPolicy: number;
  readonly endPolicy: number;
}

interface CompiledPolicy {
  readonly info: PolicyInfo;
  readonly expression: Expression;
}

/**
 * Compiles the samplers of this node. Order of samplers and policies decides the vote bits.
 * Errors: CONFIG_INVALID when there are more than POLICIES_MAX policies or PREDICATES_MAX different
 * attribute tests in all samplers together, or a sampler without a policy.
 */
export function compilePolicySet(samplers: readonly SamplerInput[]): PolicySet {
  const table = new PredicateTable();
  const compiled: CompiledPolicy[] = [];
  const infos: SamplerInfo[] = [];
  for (const sampler of samplers) {
    const { slot, forwarder, policies } = sampler;
    assert(slot >= 0 && slot < FORWARDERS_MAX, "a slot is below FORWARDERS_MAX");
    assert(infos.every((info) => info.slot !== slot), "a slot has one sampler");
    if (policies.length === 0) {
      throw invalid(`the sampler of forwarder "${forwarder}" has no policy: add one, or leave `
        + "Policies out");
    }
    const firstPolicy = compiled.length;
    for (const policy of policies) compiled.push(compilePolicy(policy, sampler, table));
    infos.push({ slot, forwarder, firstPolicy, endPolicy: compiled.length });
  }
  if (compiled.length > POLICIES_MAX) {
    const count = compiled.length;
    throw invalid(`${count} policies in all samplers together; ${POLICIES_MAX} are possible: `
      + "remove some");
  }
  return new PolicySet(infos, compiled, table.predicates);
}

/** A compiled policy set. Fields are plain: evaluate is on the path of every decision. */
export class PolicySet {
  /** sha256, hex, of what predicate bits and votes mean: equal hashes, equal answers. */
  readonly hash: string;
  /** What the scanner tests; the index is the bit of PART_BITS_0 and PART_BITS_1. */
  readonly predicates: readonly AttributePredicate[];
  readonly policies: readonly PolicyInfo[];
  readonly samplers: readonly SamplerInfo[];

  readonly code: Int32Array;
  /** Per policy: where its code starts, and its role. */
  readonly codeAt: Int32Array;
  readonly roles: Uint8Array;
  /** Per slot [from, to): policies in order of evaluation, drops first. */
  readonly order: Uint8Array;
  readonly orderFrom: Int32Array;
  readonly orderTo: Int32Array;
  /** Per slot [from, to): policies whose veto is final whatever spans may still come. */
  readonly vetoes: Uint8Array;
  readonly vetoesFrom: Int32Array;
  readonly vetoesTo: Int32Array;

  constructor(
    samplers: readonly SamplerInfo[], compiled: readonly CompiledPolicy[],
    predicates: readonly AttributePredicate[],
  ) {
    this.hash = hashOf(samplers, compiled, predicates);
    this.predicates = predicates;
    this.policies = compiled.map((policy) => policy.info);
    this.samplers = samplers;
    const code: number[] = [];
    this.codeAt = Int32Array.from(compiled, (policy) => emitPolicy(policy.expression, code));
    this.code = Int32Array.from(code);
    this.roles = Uint8Array.from(compiled, (policy) => policy.info.role);
    this.orderFrom = new Int32Array(FORWARDERS_MAX);
    this.orderTo = new Int32Array(FORWARDERS_MAX);
    this.vetoesFrom = new Int32Array(FORWARDERS_MAX);
    this.vetoesTo = new Int32Array(FORWARDERS_MAX);
    const order: number[] = [];
    const vetoes: number[] = [];
    for (const sampler of samplers) {
      this.orderFrom[sampler.slot] = order.length;
      this.vetoesFrom[sampler.slot] = vetoes.length;
      const own = range(sampler.firstPolicy, sampler.endPolicy);
      order.push(...own.filter((index) => this.roles[index] === ROLE_DROP));
      order.push(...own.filter((index) => this.roles[index] !== ROLE_DROP));
      vetoes.push(...own.filter((index) => hasFinalVeto(compiled[index]!)));
      this.orderTo[sampler.slot] = order.length;
      this.vetoesTo[sampler.slot] = vetoes.length;
    }
    this.order = Uint8Array.from(order);
    this.vetoes = Uint8Array.from(vetoes);
  }

  /**
   * Judges the trace whose fold lies at words[at ..] (part layout) for the sampler of `slot`, and
   * sets the vote bits of the policies that hold in votes[0 .. VOTE_WORDS); the caller has cleared
   * them. A `drop` that matches sets its bit too and ends the evaluation. Allocates nothing.
   *
   * Precedence as OpenTelemetry (processor.go, makeDecision), the first that applies:
   * 1. a drop matches: not kept
   * 2. an inverted policy says "not sampled", because something matched it: not kept
   * 3. a policy samples: kept
   * 4. an inverted policy samples and no other policy said "not sampled": kept
   * 5. not kept
   * Where versions differ: rules 2 and 4 exist up to v0.143 and are chosen by
   * SamplerInput.invertDecisions. There a drop that does not match counts as "not sampled" in rule
   * 4, by accident; here it abstains. Inside and, not and drop an inverted test is a plain yes or
   * no, as the Collector's README has it.
   * @returns 1 keep, 0 drop.
   */
  evaluate(words: Uint32Array, at: number, slot: number, votes: Uint32Array): number {
    const to = this.orderTo[slot]!;
    assert(to > this.orderFrom[slot]!, "the slot has a sampler");
    let sampled = 0;
    let notSampled = 0;
    let invertSampled = 0;
    let vetoed = 0;
    for (let place = this.orderFrom[slot]!; place < to; place++) {
      const policy = this.order[place]!;
      const role = this.roles[policy]!;
      if (runPolicy(this.code, this.codeAt[policy]!, words, at) !== 0) {
        votes[policy >>> 5] = votes[policy >>> 5]! | (1 << (policy & 31));
        if (role === ROLE_SAMPLE) sampled = 1;
        else if (role === ROLE_INVERTED) invertSampled = 1;
        else return 0;
      } else if (role === ROLE_SAMPLE) notSampled = 1;
      else if (role === ROLE_INVERTED) vetoed = 1;
    }
    if (vetoed === 1) return 0;
    if (sampled === 1) return 1;
    return invertSampled === 1 && notSampled === 0 ? 1 : 0;
  }

  /**
   * Whether this sampler's answer for the fold at words[at ..] is "drop" whatever spans may still
   * come: a drop matches by tests that cannot turn, or an inverted policy has met its match. A
   * duration or span count with an upper bound can turn; a keep is never settled early, its votes
   * are not complete.
   */
  canSettleEarly(words: Uint32Array, at: number, slot: number): boolean {
    const to = this.vetoesTo[slot]!;
    for (let place = this.vetoesFrom[slot]!; place < to; place++) {
      const policy = this.vetoes[place]!;
      const holds = runPolicy(this.code, this.codeAt[policy]!, words, at);
      if (this.roles[policy] === ROLE_DROP ? holds === 1 : holds === 0) return true;
    }
    return false;
  }

  /**
   * The policy that a kept trace is attributed to, as OpenTelemetry does: the first in configured
   * order that sampled, else the first inverted one that did.
   * @param votes of a trace the sampler of `slot` kept, at votes[at .. at + VOTE_WORDS).
   * @returns its index in `policies`, or -1 when no policy of this sampler sampled.
   */
  firstSampled(votes: Uint32Array, at: number, slot: number): number {
    let firstInverted = -1;
    let first = -1;
    for (let place = this.orderTo[slot]! - 1; place >= this.orderFrom[slot]!; place--) {
      const policy = this.order[place]!;
      if (!hasVote(votes, at, policy)) continue;
      if (this.roles[policy] === ROLE_SAMPLE) first = policy;
      else if (this.roles[policy] === ROLE_INVERTED) firstInverted = policy;
    }
    return first >= 0 ? first : firstInverted;
  }

  /**
   * How many traces a kept one stands for: the smallest rate among the policies that sampled,
   * because it would have been kept by that one alone. (An error that a 10 % policy also let
   * through counts once.)
   * @returns 1 when no policy of this sampler sampled.
   */
  sampleRate(votes: Uint32Array, at: number, slot: number): number {
    let rate = Infinity;
    for (let place = this.orderFrom[slot]!; place < this.orderTo[slot]!; place++) {
      const policy = this.order[place]!;
      if (this.roles[policy] === ROLE_DROP || !hasVote(votes, at, policy)) continue;
      rate = Math.min(rate, this.policies[policy]!.sampleRate);
    }
    return rate === Infinity ? 1 : rate;
  }
}

/** Whether policy `policy` has its bit in the vote words at votes[at ..]. */
export function hasVote(votes: Uint32Array, at: number, policy: number): boolean {
  assert(policy < VOTE_WORDS * 32, "a vote bit exists");
  return ((votes[at + (policy >>> 5)]! >>> (policy & 31)) & 1) === 1;
}

function compilePolicy(
  policy: PolicyConfig, sampler: SamplerInput, table: PredicateTable,
): CompiledPolicy {
  const expression = policy.type === "drop"
    ? conjunction(policy.drop.drop_sub_policy, table)
    : expressionOf(policy, table);
  const role = roleOf(policy, sampler.invertDecisions ?? true);
  const info = {
    name: policy.name, type: policy.type, role, samplerSlot: sampler.slot,
    sampleRate: role === ROLE_DROP ? 1 : sampleRateOf(expression),
  };
  return { info, expression };
}

function roleOf(policy: PolicyConfig, invertDecisions: boolean): PolicyRole {
  if (policy.type === "drop") return ROLE_DROP;
  return invertDecisions && isInverted(policy) ? ROLE_INVERTED : ROLE_SAMPLE;
}

function isInverted(policy: PolicyConfig): boolean {
  switch (policy.type) {
    case "string_attribute": return policy.string_attribute.invert_match === true;
    case "numeric_attribute": return policy.numeric_attribute.invert_match === true;
    case "boolean_attribute": return policy.boolean_attribute.invert_match === true;
    default: return false;
  }
}

function hasFinalVeto(policy: CompiledPolicy): boolean {
  const growth = growthOf(policy.expression);
  if (policy.info.role === ROLE_DROP) return (growth & STAYS_TRUE) !== 0;
  return policy.info.role === ROLE_INVERTED && (growth & STAYS_FALSE) !== 0;
}

/** Built in one fixed order of fields, so that JSON is canonical. */
function hashOf(
  samplers: readonly SamplerInfo[], compiled: readonly CompiledPolicy[],
  predicates: readonly AttributePredicate[],
): string {
  const meaning = {
    semantics: SEMANTICS_VERSION,
    predicates: predicates.map(predicateMeaning),
    samplers: samplers.map(({ slot, forwarder, firstPolicy, endPolicy }) => ({
      slot,
      forwarder,
      policies: compiled.slice(firstPolicy, endPolicy).map(({ info, expression }) => ({
        name: info.name, role: info.role, expression,
      })),
    })),
  };
  return createHash("sha256").update(JSON.stringify(meaning)).digest("hex");
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

function invalid(message: string): GatewayError {
  return new GatewayError("CONFIG_INVALID", message);
}
