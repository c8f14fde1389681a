// What became of the demo's traces: the gateway is asked about each, once, soon after it must have
// been judged; and what should have happened is compared with it.

import type { TraceReport } from "../engine/telemetry/trace-report.ts";
import { DECISION_WAIT_MS, type DemoGateway } from "./demo-gateway.ts";
import type { SentTrace } from "./demo-senders.ts";

/** One trace and its decision. `policy` is null for a dropped one. */
export interface JudgedTrace {
  readonly sent: SentTrace;
  readonly policy: string | null;
}

/** Questions at once: the gateway answers 16. */
const QUESTIONS_MAX = 8;
/** A decision comes with the next tick after the wait, and a moment later is told. */
const TICK_MS = 1_000;
/** The policy of a keep whose votes the gateway no longer knows. */
export const UNKNOWN_POLICY = "(forgotten)";

/** Follows the decisions of traces that were sent. */
export class Decisions {
  readonly judged: JudgedTrace[] = [];
  readonly #gateway: DemoGateway;
  /** Of `ShopSenders.sent`, what is asked for next; those before it are judged or in `#again`. */
  #nextIndex = 0;
  #again: { readonly trace: SentTrace; readonly askAtMs: number }[] = [];

  constructor(gateway: DemoGateway) {
    this.#gateway = gateway;
  }

  /** Asks for all that are due. */
  async follow(sent: readonly SentTrace[], nowMs: number): Promise<void> {
    const due = this.#again.filter(({ askAtMs }) => askAtMs <= nowMs).map(({ trace }) => trace);
    this.#again = this.#again.filter(({ askAtMs }) => askAtMs > nowMs);
    for (; this.#nextIndex < sent.length; this.#nextIndex++) {
      const trace = sent[this.#nextIndex]!; // bounded by the loop
      if (trace.beganMs + DECISION_WAIT_MS + TICK_MS > nowMs) break;
      due.push(trace);
    }
    for (let at = 0; at < due.length; at += QUESTIONS_MAX) {
      await Promise.all(due.slice(at, at + QUESTIONS_MAX).map(async (trace) => {
        const report = await this.#gateway.trace(trace.traceId);
        if (report?.state === "decided") {
          this.judged.push({ sent: trace, policy: policyOf(report) });
          return;
        }
        this.#again.push({ trace, askAtMs: nowMs + (report?.decidesInMs ?? 0) + TICK_MS });
      }));
    }
  }
}

function policyOf({ decisions }: TraceReport): string | null {
  const keep = decisions.find(({ decision }) => decision === "keep");
  return keep === undefined ? null : keep.policy ?? UNKNOWN_POLICY;
}

/** What the demo knows when its gateway has settled everything. */
export interface DemoFacts {
  readonly spansMade: number;
  readonly spansAccepted: number;
  readonly sent: readonly SentTrace[];
  readonly judged: readonly JudgedTrace[];
  /** From the files of kept spans. */
  readonly keptSpans: ReadonlyMap<string, number>;
  readonly received: number;
  readonly balanceCloses: boolean;
}

/** Late spans by whether their trace had been kept, and whether the files have them. */
export interface LateSpans {
  readonly afterKeep: number;
  readonly afterKeepFound: number;
  readonly afterDrop: number;
  readonly afterDropFound: number;
}

export function lateSpans({ judged, keptSpans }: DemoFacts): LateSpans {
  const late = judged.filter(({ sent }) => sent.lateSpanId !== null);
  const found = ({ sent }: JudgedTrace): boolean =>
    keptSpans.has(`${sent.traceId}/${sent.lateSpanId}`);
  const afterKeep = late.filter(({ policy }) => policy !== null);
  const afterDrop = late.filter(({ policy }) => policy === null);
  return {
    afterKeep: afterKeep.length, afterKeepFound: afterKeep.filter(found).length,
    afterDrop: afterDrop.length, afterDropFound: afterDrop.filter(found).length,
  };
}

/** Sentences about everything that is not as it should be; pure. */
export function disappointments(facts: DemoFacts): string[] {
  const { sent, judged, keptSpans } = facts;
  const wrong: string[] = [];
  const expect = (holds: boolean, sentence: string): void => {
    if (!holds) wrong.push(sentence);
  };
  expect(facts.spansAccepted === facts.spansMade,
    `${facts.spansMade - facts.spansAccepted} of ${facts.spansMade} spans were not accepted`);
  expect(facts.received === facts.spansAccepted,
    `the gateway counts ${facts.received} spans received, not ${facts.spansAccepted}`);
  expect(facts.balanceCloses, "the balance does not close");
  expect(judged.length === sent.length, `${sent.length - judged.length} traces were not judged`);
  for (const fate of ["error", "slow", "rare"] as const) {
    const all = judged.filter((trace) => trace.sent.fate === fate);
    const lost = all.filter(({ policy }) => policy === null);
    expect(all.length > 0, `no ${fate} trace was sent`);
    expect(lost.length === 0, `${lost.length} of ${all.length} ${fate} traces were dropped, such `
      + `as ${lost[0]?.sent.traceId}`);
  }
  expect(judged.some(({ policy }) => policy === null), "nothing was dropped");
  const kept = judged.filter(({ policy }) => policy !== null);
  const wanted = kept.reduce((sum, trace) => sum + trace.sent.spans, 0);
  const ids = new Set(kept.map((trace) => trace.sent.traceId));
  const strange = [...keptSpans.keys()].filter((key) => !ids.has(key.replace(/\/.*/, "")));
  expect(strange.length === 0, `${strange.length} spans of dropped traces are in the files`);
  expect(keptSpans.size - strange.length === wanted,
    `the files have ${keptSpans.size - strange.length} of ${wanted} kept spans`);
  expect([...keptSpans.values()].every((times) => times === 1), "a kept span is there twice");
  return wrong;
}
