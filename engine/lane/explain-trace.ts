// What a lane knows of a trace, made readable: each vote beside what its policy asks for.

import type { ForwarderFacts } from "../telemetry/gateway-facts.ts";
import type { TraceDecision, TraceReport, TraceVote } from "../telemetry/trace-report.ts";
import type { BalanceSheet } from "../telemetry/balance-sheet.ts";
import { describePolicy, evidenceFor } from "../sampling/describe-policy.ts";
import type { PolicyConfig } from "../sampling/policy-config.ts";

/** A decision reaches every lane that holds spans, and its counters, well within this time. */
const SPREAD_MS = 2_000;

/**
 * @param forwarders of the loaded configuration: votes are told only under its policies.
 * @param nowMs since the Unix epoch.
 */
export function explainTrace(
  trace: TraceReport, forwarders: readonly ForwarderFacts[],
  { balance }: { readonly balance: BalanceSheet }, nowMs: number,
): TraceReport {
  const recent = trace.decidedAt !== null && nowMs - Date.parse(trace.decidedAt) < SPREAD_MS;
  const decisions = trace.decisions.map((decision): TraceDecision => {
    const facts = forwarders.find(({ name }) => name === decision.forwarder);
    const policies = (facts?.sampler?.policies ?? []) as readonly PolicyConfig[]; // read at start
    const account = balance.forwarders.find(({ forwarder }) => forwarder === decision.forwarder);
    return {
      ...decision,
      votes: decision.votes.map((vote) => explainVote(vote, policies, trace)),
      ...(account === undefined || recent || decision.decision === "drop" ? {}
        : { delivery: { waitingSpans: account.waiting, lostSpans: account.keptLost } }),
    };
  });
  const unsampled = forwarders.filter(({ sampler }) => sampler === null).map(({ name }) => name);
  return { ...trace, decisions, unsampled };
}

function explainVote(
  vote: TraceVote, policies: readonly PolicyConfig[], trace: TraceReport,
): TraceVote {
  const policy = policies.find(({ name }) => name === vote.policy);
  if (policy === undefined) return vote;
  const has = evidenceFor(policy, trace);
  return { ...vote, needs: describePolicy(policy), ...(has === null ? {} : { has }) };
}
