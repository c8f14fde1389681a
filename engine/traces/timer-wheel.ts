// When to judge: one list of rows a tick, linked through the rows themselves, so that a timer costs
// no memory of its own and every operation touches its row and at most two neighbours.
//
//   current ─► bucket of the tick ─► first row ⇄ row ⇄ last row     (ends say which bucket)
//
// Invariant: every scheduled row lies in the bucket of its deadline, but a row whose deadline has
// passed lies in the current bucket and one that is more than a turn of the wheel away in the
// furthest; the latter is put on again when its bucket comes up. A lane that lags therefore never
// judges early. Ticks come from the lane's monotonic clock before any wrap to u32:
// tick = floor(ms / tickMs).

import { assert } from "../base/assert.ts";
import {
  ROW_DEADLINE, ROW_TIMER_NEXT, ROW_TIMER_PREVIOUS, ROW_WORDS, TIMER_BUCKET,
} from "./row-layout.ts";
import type { TraceTable } from "./trace-table.ts";

const BUCKET_MASK = TIMER_BUCKET - 1;
const TICK_MAX = 0xffffffff;

export interface TimerWheelOptions {
  readonly tickMs: number;
  /** Usual longest wait: one turn of the wheel is at least this long. */
  readonly waitMsMax: number;
}

/** Deadlines of one table's rows; belongs to the table's lane. */
export class TimerWheel {
  readonly words: Uint32Array;
  readonly tickMs: number;
  readonly bucketMask: number;
  readonly firstRows: Uint32Array;
  readonly lastRows: Uint32Array;
  /** Oldest tick whose bucket may hold rows. */
  current = 0;
  /** No bucket from `current` up to here holds rows. */
  emptyUntil = 0;
  scheduled = 0;

  constructor(table: TraceTable, options: TimerWheelOptions) {
    assert(options.tickMs > 0, "a tick has a length");
    assert(options.waitMsMax >= 0, "a wait has a length");
    this.words = table.words;
    this.tickMs = options.tickMs;
    // One bucket more for the rounding up of deadlines, one for the tick in progress.
    const bucketsNeeded = Math.ceil(options.waitMsMax / options.tickMs) + 2;
    const buckets = 2 ** Math.ceil(Math.log2(bucketsNeeded));
    assert(buckets <= 2 ** 24, "a turn of the wheel has at most 16 million ticks");
    this.bucketMask = buckets - 1;
    this.firstRows = new Uint32Array(buckets);
    this.lastRows = new Uint32Array(buckets);
  }

  /** Tick in which `ms`, by the unwrapped monotonic clock, is over. */
  tickAfter(ms: number): number {
    return Math.ceil(ms / this.tickMs);
  }

  /**
   * Sets or moves the row's deadline. A tick that has passed means at the next `expire`; tick 0,
   * the first of the lane's life, is taken as tick 1.
   */
  schedule(row: number, deadlineTick: number): void {
    assert(deadlineTick >= 0, "a tick is not negative");
    assert(deadlineTick <= TICK_MAX, "a tick fits its row");
    if (this.words[row * ROW_WORDS + ROW_DEADLINE] !== 0) this.cancel(row);
    this.append(row, deadlineTick === 0 ? 1 : deadlineTick); // 0 means not scheduled
  }

  /** Takes the row off the wheel; nothing happens when it is not on it. */
  cancel(row: number): void {
    const words = this.words;
    const at = row * ROW_WORDS;
    if (words[at + ROW_DEADLINE] === 0) return;
    const next = words[at + ROW_TIMER_NEXT]!;
    const previous = words[at + ROW_TIMER_PREVIOUS]!;
    const isFirst = previous >= TIMER_BUCKET;
    const isLast = next >= TIMER_BUCKET;
    if (isFirst) this.firstRows[previous & BUCKET_MASK] = isLast ? 0 : next;
    else words[previous * ROW_WORDS + ROW_TIMER_NEXT] = next;
    if (isLast) this.lastRows[next & BUCKET_MASK] = isFirst ? 0 : previous;
    else words[next * ROW_WORDS + ROW_TIMER_PREVIOUS] = previous;
    words[at + ROW_DEADLINE] = 0;
    words[at + ROW_TIMER_NEXT] = 0;
    words[at + ROW_TIMER_PREVIOUS] = 0;
    this.scheduled--;
  }

  /**
   * Takes the next row off the wheel whose deadline is `nowTick` or earlier, in the order they were
   * put on; 0 = none. Call until 0 or until the decision quota of the turn is used up.
   */
  expire(nowTick: number): number {
    if (this.scheduled === 0) {
      if (this.current < nowTick) this.current = nowTick;
      return 0;
    }
    while (this.current <= nowTick) {
      const row = this.firstRows[this.current & this.bucketMask]!;
      if (row === 0) {
        if (this.current === nowTick) return 0; // stays open for deadlines that have passed
        this.current++;
        continue;
      }
      const deadline = this.words[row * ROW_WORDS + ROW_DEADLINE]!;
      this.cancel(row);
      if (deadline <= this.current) return row;
      this.append(row, deadline);
    }
    return 0;
  }

  /** The row that would expire next, however far away; it stays on the wheel. 0 = none. */
  earliest(): number {
    if (this.scheduled === 0) return 0;
    if (this.emptyUntil < this.current) this.emptyUntil = this.current;
    const end = this.current + this.bucketMask + 1;
    while (this.emptyUntil < end) {
      const row = this.firstRows[this.emptyUntil & this.bucketMask]!;
      if (row !== 0) return row;
      this.emptyUntil++;
    }
    assert(false, "a scheduled row is in a bucket");
  }

  append(row: number, deadline: number): void {
    const words = this.words;
    const furthest = this.current + this.bucketMask;
    const tick = deadline < this.current ? this.current : deadline > furthest ? furthest : deadline;
    if (tick < this.emptyUntil) this.emptyUntil = tick;
    const bucket = tick & this.bucketMask;
    const last = this.lastRows[bucket]!;
    const at = row * ROW_WORDS;
    words[at + ROW_DEADLINE] = deadline;
    words[at + ROW_TIMER_NEXT] = TIMER_BUCKET + bucket;
    words[at + ROW_TIMER_PREVIOUS] = last === 0 ? TIMER_BUCKET + bucket : last;
    if (last === 0) this.firstRows[bucket] = row;
    else words[last * ROW_WORDS + ROW_TIMER_NEXT] = row;
    this.lastRows[bucket] = row;
    this.scheduled++;
  }

  /** Bytes of the wheel itself; the lists lie in the rows. */
  bytes(): number {
    return this.firstRows.byteLength + this.lastRows.byteLength;
  }
}
