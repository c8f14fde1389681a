// The owner's side of a lane: rows of undecided traces, their timers, their decisions.
//
//   part ─► fold into the trace's row, link ─► timer ─► judge ─► batch ─► commit ─► tell the
// holders
//
// One batch of decisions is under way at a time: judged, staged for the log, committed, sent.
// Nothing is judged while the last batch is not sent, so a holder that cannot take decisions slows
// judging and never makes anything grow. Parts of decided traces follow the remembered decision.

import { DECISION_TICK_MS } from "../../config/limits.ts";
import {
  DECISION_INCOMPLETE, TRIGGER_BYTE_LIMIT, TRIGGER_MEMORY, TRIGGER_ROOT, TRIGGER_SETTLED,
  TRIGGER_SHUTDOWN, TRIGGER_SPAN_LIMIT, TRIGGER_WAIT, VOTE_WORDS,
} from "../part/decision-layout.ts";
import {
  FLAG_ROOT, MESSAGE_AGE_MS, MESSAGE_AGAIN, MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_HOLDER,
  MESSAGE_INDEX, MESSAGE_UNDECIDED, MESSAGE_UNDECIDED_BITS, PART_BYTES, PART_FLAGS, PART_SPANS,
} from "../part/part-layout.ts";
import type { PolicySet } from "../sampling/compile.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import { decisionIndex } from "../telemetry/label-values.ts";
import {
  DECISIONS, DECISION_LAG_SECONDS, PART_LINKS, PRESSURE_DECISIONS, TRACES_LIVE,
} from "../telemetry/metric-table.ts";
import type { DecisionMemory } from "../traces/decision-memory.ts";
import {
  MEMORY_AT_S, MEMORY_MASKS, MEMORY_REASON, MEMORY_VOTES_0, MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import { ROW_DEADLINE, ROW_SEEN_MS, ROW_UNDECIDED, ROW_WORDS } from "../traces/row-layout.ts";
import { TimerWheel } from "../traces/timer-wheel.ts";
import type { TraceTable } from "../traces/trace-table.ts";
import type { DecisionSender } from "./decision-sender.ts";
import { LaneClock } from "./lane-clock.ts";
import type { SamplerClock } from "./sampler-clock.ts";

/** Decisions of a turn: at a few microseconds each, a turn stays well below 10 ms. */
export const DECISIONS_PER_TURN = 1024;

// The owner's flags in ROW_UNDECIDED: [16..19] trigger that made the deadline "now",
// [20..31] ticks from first seen to the root span, plus one; 0 = no root, or later than they can
// say.
const TRIGGER_SHIFT = 16;
const TRIGGER_MASK = 0xf;
const ROOT_SHIFT = 20;
const ROOT_TICKS_MAX = 0xfff;
const UNDECIDED = 0xffff;
/** A table this full makes its soonest traces decide early. */
const FULL_SHARE = 0.98;
/** And this is what they make of it. */
const EASED_SHARE = 0.96;

export interface OwnerParts {
  readonly table: TraceTable;
  readonly memory: DecisionMemory;
  readonly policies: PolicySet;
  readonly samplers: SamplerClock;
  readonly clock: LaneClock;
  readonly sender: DecisionSender;
  readonly counters: CounterBlock<"lane">;
}

/** Judges the traces of the shards that the lane owns. Written by its lane only. */
export class Owner {
  readonly wheel: TimerWheel;
  readonly #table: TraceTable;
  readonly #memory: DecisionMemory;
  readonly #policies: PolicySet;
  readonly #samplers: SamplerClock;
  readonly #clock: LaneClock;
  readonly #sender: DecisionSender;
  readonly #counters: CounterBlock<"lane">;
  readonly #spansMax: number;
  readonly #bytesMax: number;
  readonly #votes = new Uint32Array(VOTE_WORDS);
  /** The batch: MEMORY_WORDS of each decision, and the row it is about. */
  readonly batch = new Uint32Array(DECISIONS_PER_TURN * MEMORY_WORDS);
  readonly batchRows = new Uint32Array(DECISIONS_PER_TURN);
  batchCount = 0;

  constructor(
    parts: OwnerParts, limits: { spansPerTraceMax: number; bytesPerTraceMax: number },
    waitMsMax: number,
  ) {
    this.#table = parts.table;
    this.#memory = parts.memory;
    this.#policies = parts.policies;
    this.#samplers = parts.samplers;
    this.#clock = parts.clock;
    this.#sender = parts.sender;
    this.#counters = parts.counters;
    this.#spansMax = limits.spansPerTraceMax;
    this.#bytesMax = limits.bytesPerTraceMax;
    this.wheel = new TimerWheel(parts.table, { tickMs: DECISION_TICK_MS, waitMsMax });
  }

  /** Live rows: traces with a sampler that has not decided, or whose decision is under way. */
  get liveRows(): number {
    return this.#table.rows;
  }

  /** True when traces must decide before their time to make room. */
  get crowded(): boolean {
    return this.#table.rows >= this.#table.rowsMax * FULL_SHARE
      || this.#table.links >= this.#table.linksMax * FULL_SHARE;
  }

  /**
   * Takes the part message at words[at..].
   * @returns false when there is no room: leave it in its ring and decide first.
   */
  takePart(words: Uint32Array, at: number): boolean {
    let undecided = words[at + MESSAGE_UNDECIDED]! & MESSAGE_UNDECIDED_BITS;
    let row = this.#table.find(words, at);
    const open = row === 0 ? 0 : this.#table.words[row * ROW_WORDS + ROW_UNDECIDED]! & UNDECIDED;
    if ((undecided & ~open) !== 0) {
      const known = this.#memory.lookup(words, at) === 0 ? 0
        : this.#memory.found[MEMORY_MASKS]! & undecided & ~open;
      if (known !== 0) {
        if (!this.#sender.roomForLate()) return false;
        const again = (words[at + MESSAGE_UNDECIDED]! & MESSAGE_AGAIN) !== 0;
        this.#sender.tellLate(words, at, this.#memory.found, known, again);
        undecided &= ~known;
      }
    }
    if (undecided === 0) return true;
    if (row === 0) {
      row = this.#table.insert(words, at);
      if (row === 0) return this.#undoLate();
    }
    const linked = this.#table.link(
      row, words[at + MESSAGE_GENERATION]!, words[at + MESSAGE_ENTRY]!,
      words[at + MESSAGE_INDEX]!, words[at + MESSAGE_HOLDER]!);
    if (!linked) {
      if (this.#table.firstLink(row) === 0) this.#table.remove(row);
      return this.#undoLate();
    }
    this.#fold(row, words, at, undecided);
    return true;
  }

  /** A part that is both late and new stays in its ring: it must not be told twice. */
  #undoLate(): false {
    this.#sender.untellLate();
    return false;
  }

  #fold(row: number, words: Uint32Array, at: number, undecided: number): void {
    const table = this.#table;
    const own = table.words;
    const rowAt = row * ROW_WORDS;
    const fresh = own[rowAt + ROW_UNDECIDED] === 0;
    const hadRoot = (own[rowAt + PART_FLAGS]! & FLAG_ROOT) !== 0;
    table.fold(row, words, at);
    own[rowAt + ROW_UNDECIDED] = own[rowAt + ROW_UNDECIDED]! | undecided;
    // Older than the lane's clock can say, after a long time off: due at once either way.
    const ageMs = Math.min(words[at + MESSAGE_AGE_MS]!, Math.floor(this.#clock.nowMs));
    let moved = fresh;
    if (fresh || ageMs > this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!)) {
      own[rowAt + ROW_SEEN_MS] = LaneClock.low(this.#clock.nowMs - ageMs);
      moved = true;
    }
    if (!hadRoot && (words[at + PART_FLAGS]! & FLAG_ROOT) !== 0) {
      this.#noteRoot(rowAt, ageMs);
      moved = true;
    }
    const trigger = this.#limitReached(rowAt);
    if (trigger !== 0) this.#hurry(row, trigger);
    else if (moved) this.#schedule(row);
  }

  #noteRoot(rowAt: number, ageMs: number): void {
    const own = this.#table.words;
    const seenAgoMs = this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!);
    const ticks = Math.ceil((seenAgoMs - ageMs) / DECISION_TICK_MS) + 1;
    if (ticks > ROOT_TICKS_MAX) return; // half an hour after the first span: the wait decides
    own[rowAt + ROW_UNDECIDED] = own[rowAt + ROW_UNDECIDED]! | (ticks << ROOT_SHIFT);
  }

  /** Monotonic ms at which the root span came, -1 without one. */
  #rootAt(rowAt: number, seenMs: number): number {
    const ticks = this.#table.words[rowAt + ROW_UNDECIDED]! >>> ROOT_SHIFT;
    return ticks === 0 ? -1 : seenMs + (ticks - 1) * DECISION_TICK_MS;
  }

  #limitReached(rowAt: number): number {
    const own = this.#table.words;
    if (own[rowAt + PART_SPANS]! >= this.#spansMax) return TRIGGER_SPAN_LIMIT;
    if (own[rowAt + PART_BYTES]! >= this.#bytesMax) return TRIGGER_BYTE_LIMIT;
    const undecided = own[rowAt + ROW_UNDECIDED]! & UNDECIDED;
    const { slots } = this.#samplers;
    for (let index = 0; index < slots.length; index++) {
      const slot = slots[index]!;
      if ((undecided & (1 << slot)) === 0) continue;
      if (!this.#policies.canSettleEarly(own, rowAt, slot)) return 0;
    }
    return TRIGGER_SETTLED;
  }

  /** Makes the row due now. */
  #hurry(row: number, trigger: number): void {
    const at = row * ROW_WORDS + ROW_UNDECIDED;
    const own = this.#table.words;
    if (((own[at]! >>> TRIGGER_SHIFT) & TRIGGER_MASK) !== 0) return;
    own[at] = own[at]! | (trigger << TRIGGER_SHIFT);
    this.wheel.schedule(row, Math.floor(this.#clock.nowMs / DECISION_TICK_MS));
  }

  #schedule(row: number): void {
    const rowAt = row * ROW_WORDS;
    const own = this.#table.words;
    if (((own[rowAt + ROW_UNDECIDED]! >>> TRIGGER_SHIFT) & TRIGGER_MASK) !== 0) return;
    const seenMs = this.#clock.nowMs - this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!);
    const due = this.#samplers.nextDueAt(own[rowAt + ROW_UNDECIDED]! & UNDECIDED, seenMs,
      this.#rootAt(rowAt, seenMs));
    this.wheel.schedule(row, this.wheel.tickAfter(due));
  }

  /**
   * Judges traces that are due, at most `quota`, when the last batch is sent.
   * @param forced a trigger: judge the soonest rows whether due or not; 0 = only what is due.
   * @returns decisions made.
   */
  decide(quota: number, forced: number): number {
    if (this.batchCount !== 0) return 0;
    const nowTick = Math.floor(this.#clock.nowMs / DECISION_TICK_MS);
    const most = Math.min(quota, DECISIONS_PER_TURN);
    const earlyMost = forced === 0 ? 0 : forced === TRIGGER_MEMORY ? this.#excessRows() : most;
    let early = 0;
    while (this.batchCount < most) {
      let row = this.wheel.expire(nowTick);
      let trigger = 0;
      if (row === 0 && early < earlyMost) {
        row = this.wheel.earliest();
        trigger = forced;
        early++;
        if (row !== 0) this.wheel.cancel(row);
      }
      if (row === 0) break;
      this.#judge(row, trigger);
      if (trigger !== 0 && trigger !== TRIGGER_SHUTDOWN) this.#counters.add(PRESSURE_DECISIONS, 1);
    }
    return this.batchCount;
  }

  /** Rows of a crowded table that have to go; the others keep their time. */
  #excessRows(): number {
    if (this.#table.links >= this.#table.linksMax * FULL_SHARE) return DECISIONS_PER_TURN;
    return Math.ceil(this.#table.rows - this.#table.rowsMax * EASED_SHARE);
  }

  #judge(row: number, forced: number): void {
    const own = this.#table.words;
    const rowAt = row * ROW_WORDS;
    const flags = own[rowAt + ROW_UNDECIDED]!;
    const undecided = flags & UNDECIDED;
    const seenMs = this.#clock.nowMs - this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!);
    const rootAtMs = this.#rootAt(rowAt, seenMs);
    const hurried = forced === 0 ? (flags >>> TRIGGER_SHIFT) & TRIGGER_MASK : forced;
    let trigger = hurried;
    let decided = 0;
    let kept = 0;
    this.#votes.fill(0);
    for (let index = 0; index < this.#samplers.slots.length; index++) {
      const slot = this.#samplers.slots[index]!;
      if ((undecided & (1 << slot)) === 0) continue;
      const due = this.#samplers.dueAt(slot, seenMs, rootAtMs);
      if (hurried === 0 && due > this.#clock.nowMs) continue;
      if (trigger === 0) {
        trigger = due < seenMs + this.#samplers.waitMs[slot]! ? TRIGGER_ROOT : TRIGGER_WAIT;
      }
      const keep = this.#policies.evaluate(own, rowAt, slot, this.#votes);
      decided |= 1 << slot;
      kept |= keep << slot;
      this.#counters.addAt(DECISIONS, decisionIndex(slot, trigger, keep), 1);
      if (hurried === 0) {
        this.#counters.observe(DECISION_LAG_SECONDS, (this.#clock.nowMs - due) / 1000);
      }
    }
    if (decided === 0) { // put on for a sampler that meanwhile decided otherwise
      this.#schedule(row);
      return;
    }
    own[rowAt + ROW_UNDECIDED] = undecided & ~decided
      | (flags & ~UNDECIDED & ~(TRIGGER_MASK << TRIGGER_SHIFT));
    this.#stage(row, decided | (kept << 16), trigger);
    if ((undecided & ~decided) !== 0) this.#schedule(row);
  }

  #stage(row: number, masks: number, trigger: number): void {
    const own = this.#table.words;
    this.#memory.beginDraft(own, row * ROW_WORDS);
    const { draft } = this.#memory;
    draft[MEMORY_MASKS] = masks;
    for (let word = 0; word < VOTE_WORDS; word++) draft[MEMORY_VOTES_0 + word] = this.#votes[word]!;
    draft[MEMORY_REASON] = trigger | ((isEarly(trigger) ? DECISION_INCOMPLETE : 0) << 16);
    draft[MEMORY_AT_S] = Math.floor(this.#clock.wallMs / 1000);
    this.batch.set(draft, this.batchCount * MEMORY_WORDS);
    this.#memory.remember(draft, 0, LaneClock.low(this.#clock.nowMs));
    this.batchRows[this.batchCount] = row;
    this.batchCount++;
  }

  /** The batch is committed: tells the holders, as far as their rings take it. True when done. */
  sendBatch(): boolean {
    if (this.batchCount === 0) return true;
    const { batch, batchRows, batchCount } = this;
    if (!this.#sender.tellBatch(this.#table, batch, batchRows, batchCount)) return false;
    for (let index = 0; index < this.batchCount; index++) {
      const row = this.batchRows[index]!;
      if ((this.#table.words[row * ROW_WORDS + ROW_UNDECIDED]! & UNDECIDED) === 0) {
        this.wheel.cancel(row);
        this.#table.remove(row);
      }
    }
    this.batchCount = 0;
    return true;
  }

  /** Time until the row's next deadline, in whole ticks; for explanations. */
  decidesInMs(row: number): number {
    const tick = this.#table.words[row * ROW_WORDS + ROW_DEADLINE]!;
    return Math.max(0, Math.round(tick * DECISION_TICK_MS - this.#clock.nowMs));
  }

  /** Gauges, once a turn. */
  gauge(): void {
    this.#counters.set(TRACES_LIVE, this.#table.rows);
    this.#counters.set(PART_LINKS, this.#table.links);
  }
}

/** True for decisions made before the trace's own time: on what there was of it. */
function isEarly(trigger: number): boolean {
  return trigger >= TRIGGER_SPAN_LIMIT && trigger !== TRIGGER_SETTLED;
}
