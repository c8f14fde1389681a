// When each row of the owner is judged: deadlines of its samplers, its root span, its limits.
// What a row says of it lies in the high half of ROW_UNDECIDED, written here and by the owner only.

import { DECISION_TICK_MS } from "../../config/limits.ts";
import {
  TRIGGER_BYTE_LIMIT, TRIGGER_SETTLED, TRIGGER_SPAN_LIMIT,
} from "../part/decision-layout.ts";
import { PART_BYTES, PART_SPANS } from "../part/part-layout.ts";
import type { PolicySet } from "../sampling/compile.ts";
import {
  ROW_DEADLINE, ROW_SEEN_MS, ROW_UNDECIDED, ROW_WORDS,
} from "../traces/row-layout.ts";
import { TimerWheel } from "../traces/timer-wheel.ts";
import type { TraceTable } from "../traces/trace-table.ts";
import type { LaneClock } from "./lane-clock.ts";
import type { SamplerClock } from "./sampler-clock.ts";

// The owner's flags in ROW_UNDECIDED: [16..19] trigger that made the deadline "now",
// [20..31] ticks from first seen to the root span, plus one; 0 = no root, or later than they can
// say.
export const TRIGGER_SHIFT = 16;
export const TRIGGER_MASK = 0xf;
/** Judged, and the decision does not exist yet: parts are linked, and told with the others. */
export const TRIGGER_PENDING = 15;
const ROOT_SHIFT = 20;
const ROOT_TICKS_MAX = 0xfff;
const UNDECIDED = 0xffff;

export interface RowDeadlinesParts {
  readonly table: TraceTable;
  readonly policies: PolicySet;
  readonly samplers: SamplerClock;
  readonly clock: LaneClock;
}

/** Written by its lane only. */
export class RowDeadlines {
  readonly wheel: TimerWheel;
  readonly #table: TraceTable;
  readonly #policies: PolicySet;
  readonly #samplers: SamplerClock;
  readonly #clock: LaneClock;
  readonly #spansMax: number;
  readonly #bytesMax: number;

  constructor(
    parts: RowDeadlinesParts, limits: { spansPerTraceMax: number; bytesPerTraceMax: number },
    waitMsMax: number,
  ) {
    this.#table = parts.table;
    this.#policies = parts.policies;
    this.#samplers = parts.samplers;
    this.#clock = parts.clock;
    this.#spansMax = limits.spansPerTraceMax;
    this.#bytesMax = limits.bytesPerTraceMax;
    this.wheel = new TimerWheel(parts.table, { tickMs: DECISION_TICK_MS, waitMsMax });
  }

  noteRoot(rowAt: number, ageMs: number): void {
    const own = this.#table.words;
    const seenAgoMs = this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!);
    const ticks = Math.ceil((seenAgoMs - ageMs) / DECISION_TICK_MS) + 1;
    if (ticks > ROOT_TICKS_MAX) return; // half an hour after the first span: the wait decides
    own[rowAt + ROW_UNDECIDED] = own[rowAt + ROW_UNDECIDED]! | (ticks << ROOT_SHIFT);
  }

  /** Monotonic ms at which the root span came, -1 without one. */
  rootAt(rowAt: number, seenMs: number): number {
    const ticks = this.#table.words[rowAt + ROW_UNDECIDED]! >>> ROOT_SHIFT;
    return ticks === 0 ? -1 : seenMs + (ticks - 1) * DECISION_TICK_MS;
  }

  limitReached(rowAt: number): number {
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
  hurry(row: number, trigger: number): void {
    const at = row * ROW_WORDS + ROW_UNDECIDED;
    const own = this.#table.words;
    if (((own[at]! >>> TRIGGER_SHIFT) & TRIGGER_MASK) !== 0) return;
    own[at] = own[at]! | (trigger << TRIGGER_SHIFT);
    this.wheel.schedule(row, Math.floor(this.#clock.nowMs / DECISION_TICK_MS));
  }

  schedule(row: number): void {
    const rowAt = row * ROW_WORDS;
    const own = this.#table.words;
    if (((own[rowAt + ROW_UNDECIDED]! >>> TRIGGER_SHIFT) & TRIGGER_MASK) !== 0) return;
    const seenMs = this.#clock.nowMs - this.#clock.ageOf(own[rowAt + ROW_SEEN_MS]!);
    const due = this.#samplers.nextDueAt(own[rowAt + ROW_UNDECIDED]! & UNDECIDED, seenMs,
      this.rootAt(rowAt, seenMs));
    this.wheel.schedule(row, this.wheel.tickAfter(due));
  }

  /** Time until the row's next deadline, in whole ticks; for explanations. */
  decidesInMs(row: number): number {
    const tick = this.#table.words[row * ROW_WORDS + ROW_DEADLINE]!;
    return Math.max(0, Math.round(tick * DECISION_TICK_MS - this.#clock.nowMs));
  }

  /** Since the first part of a trace came. */
  seenMsAgo(row: number): number {
    return this.#clock.ageOf(this.#table.words[row * ROW_WORDS + ROW_SEEN_MS]!);
  }
}
