// Questions of the coordinator to a lane: what do you know of this trace? Answered between turns.

import { assert } from "../base/assert.ts";
import { shardOf } from "../hash/shard-of.ts";
import { DECISION_INCOMPLETE } from "../part/decision-layout.ts";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_SPANS,
  PART_START_HIGH, PART_START_LOW,
} from "../part/part-layout.ts";
import type { SlotRingConsumer } from "../ring/slot-ring.ts";
import { explainVotes, triggerName } from "../sampling/explain-votes.ts";
import type { TraceReport } from "../telemetry/trace-report.ts";
import { FULL, UNKNOWN, type DecisionMemory } from "../traces/decision-memory.ts";
import {
  MEMORY_AT_S, MEMORY_DURATION_US, MEMORY_MASKS, MEMORY_REASON, MEMORY_SPANS, MEMORY_VOTES_0,
} from "../traces/memory-layout.ts";
import { ROW_LINKS, ROW_UNDECIDED, ROW_WORDS } from "../traces/row-layout.ts";
import type { TraceTable } from "../traces/trace-table.ts";
import type { PolicySets } from "./policy-sets.ts";
import type { Owner } from "./owner.ts";
import type { Reporter } from "./reporter.ts";

// A question: [0] its number | [1..4] trace id | [5..7] unused
export const QUESTION_NUMBER = 0;
export const QUESTION_TRACE = 1;
export const QUESTION_WORDS = 8;
const PER_TURN = 16;
const UNDECIDED = 0xffff;
const U32 = 2 ** 32;

type Evidence = Pick<TraceReport,
  "spans" | "bytes" | "durationMs" | "rootSeen" | "errorSeen" | "parts" | "decidesInMs"
  | "startedAt" | "seenMsAgo">;

type Outcome = Pick<TraceReport, "trigger" | "decidedAt" | "complete" | "decisions">;

export interface QuestionsParts {
  readonly ring: SlotRingConsumer;
  readonly reporter: Reporter;
  readonly table: TraceTable;
  readonly memory: DecisionMemory;
  readonly owner: Owner;
  readonly policySets: PolicySets;
  readonly lane: number;
}

/** Answers. Used by its lane only. */
export class Questions {
  readonly #in: QuestionsParts;

  constructor(parts: QuestionsParts) {
    this.#in = parts;
  }

  /** Questions that wait now. */
  get waiting(): number {
    return this.#in.ring.waiting();
  }

  /**
   * Answers `count` questions, or as many as a turn may. Ask for `waiting`, take parts, then
   * answer: what was acknowledged before a question was asked is then in its answer.
   */
  answer(count: number): void {
    const { ring, reporter } = this.#in;
    const most = Math.min(count, PER_TURN);
    for (let answered = 0; answered < most; answered++) {
      const at = ring.peek();
      assert(at >= 0, "the question waits");
      const question = ring.words[at + QUESTION_NUMBER]!;
      reporter.send({
        kind: "answer", question, trace: this.#report(ring.words, at + QUESTION_TRACE),
      });
      ring.release();
    }
    ring.flush();
  }

  #report(words: Uint32Array, at: number): TraceReport | null {
    const { table, memory } = this.#in;
    const found = table.find(words, at);
    const remembered = memory.lookup(words, at);
    if (found === 0 && remembered === UNKNOWN) return null;
    const decided = remembered === UNKNOWN ? 0 : memory.decidedMask;
    const undecided = found === 0 ? 0 : this.#undecidedOf(found, decided);
    const row = undecided === 0 ? 0 : found; // a row without undecided samplers is on its way out
    return {
      traceId: hexOf(words, at),
      shard: shardOf(words, at),
      lane: this.#in.lane,
      state: row === 0 ? "decided" : decided === 0 ? "waiting" : "partly_decided",
      known: row !== 0 ? "row" : remembered === FULL ? "full" : "fingerprint",
      ...this.#evidence(row, remembered === FULL),
      undecided: this.#namesOf(undecided),
      ...this.#outcome(remembered),
    };
  }

  /** Samplers that have not decided: judged is not decided while no witness has committed it. */
  #undecidedOf(row: number, decided: number): number {
    const { table, owner, policySets } = this.#in;
    if (!owner.isPending(row)) return table.words[row * ROW_WORDS + ROW_UNDECIDED]! & UNDECIDED;
    const samplers = policySets.current.samplers.reduce((mask, { slot }) => mask | (1 << slot), 0);
    return samplers & ~decided;
  }

  /** What was seen of the trace: by its row, else by what its decision remembers. */
  #evidence(row: number, full: boolean): Evidence {
    const { table, memory, owner } = this.#in;
    const { words } = table;
    const at = row * ROW_WORDS;
    if (row === 0) {
      return {
        spans: full ? memory.found[MEMORY_SPANS]! : null, bytes: null,
        durationMs: full ? memory.found[MEMORY_DURATION_US]! / 1000 : null,
        rootSeen: null, errorSeen: null, parts: null, decidesInMs: null,
        startedAt: null, seenMsAgo: null,
      };
    }
    const timed = (words[at + PART_START_HIGH]! | words[at + PART_START_LOW]!) !== 0;
    const ns = (words[at + PART_END_HIGH]! - words[at + PART_START_HIGH]!) * U32
      + words[at + PART_END_LOW]! - words[at + PART_START_LOW]!;
    return {
      spans: words[at + PART_SPANS]!,
      bytes: words[at + PART_BYTES]!,
      durationMs: timed ? Math.max(0, ns / 1e6) : null,
      rootSeen: (words[at + PART_FLAGS]! & FLAG_ROOT) !== 0,
      errorSeen: (words[at + PART_FLAGS]! & FLAG_STATUS_ERROR) !== 0,
      parts: words[at + ROW_LINKS]!,
      decidesInMs: owner.deadlines.decidesInMs(row),
      startedAt: timed ? rfc3339(words[at + PART_START_HIGH]!, words[at + PART_START_LOW]!) : null,
      seenMsAgo: Math.round(owner.deadlines.seenMsAgo(row)),
    };
  }

  #outcome(remembered: number): Outcome {
    const { memory, policySets } = this.#in;
    if (remembered === UNKNOWN) {
      return { trigger: null, decidedAt: null, complete: null, decisions: [] };
    }
    const { found } = memory;
    const reason = found[MEMORY_REASON]!;
    // Votes under a policy set that is not loaded any more say nothing here.
    const full = remembered === FULL;
    const voted = full && ((reason >>> 8) & 0xff) === 0;
    const samplers = explainVotes(policySets.current, {
      masks: found[MEMORY_MASKS]!, votes: found, votesAt: MEMORY_VOTES_0,
    });
    return {
      trigger: full ? triggerName(reason & 0xff) : null,
      decidedAt: full ? new Date(found[MEMORY_AT_S]! * 1000).toISOString() : null,
      complete: full ? ((reason >>> 16) & DECISION_INCOMPLETE) === 0 : null,
      decisions: samplers.filter(({ decided }) => decided).map((sampler) => ({
        forwarder: sampler.forwarder,
        decision: sampler.kept ? "keep" : "drop",
        policy: voted ? sampler.policy : null,
        sampleRate: voted && sampler.kept ? sampler.sampleRate : null,
        votes: voted ? sampler.votes.map(({ policy, vote }) => ({ policy, vote })) : [],
      })),
    };
  }

  #namesOf(mask: number): string[] {
    return this.#in.policySets.current.samplers
      .filter(({ slot }) => (mask & (1 << slot)) !== 0)
      .map(({ forwarder }) => forwarder);
  }
}

/** Null where a span claims a time that no date can say. */
function rfc3339(nsHigh: number, nsLow: number): string | null {
  const date = new Date((nsHigh * U32 + nsLow) / 1e6);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function hexOf(words: Uint32Array, at: number): string {
  let text = "";
  for (let word = 0; word < 4; word++) text += words[at + word]!.toString(16).padStart(8, "0");
  return text;
}
