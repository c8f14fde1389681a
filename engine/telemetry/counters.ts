// A counter block: the numbers of one thread, in memory that the coordinator reads.
//
// shared words (Int32): [0] lock: FREE, WRITING or READING | [1] cells | [2] thread | [3] unused
// shared Float64, from byte 16: the cells
//
// The thread counts in plain memory of its own and publishes once a turn: one copy of all cells
// under a lock that it only tries. When a reader holds it (for a microsecond, at a scrape), the
// numbers simply go with the next publication, so counting never waits. Taking and freeing the
// lock by Atomics orders the plain copies between; a reader has one publication, whole.

import { assert } from "../base/assert.ts";
import {
  BlockLayout, type BlockThread, type HistogramMetric, type Metric,
} from "./metric-layout.ts";
import { DOOR_LAYOUT, FORWARD_LAYOUT, LANE_LAYOUT } from "./metric-table.ts";

/** States of a block's lock, word 0. */
const LOCK_FREE = 0;
const LOCK_WRITING = 1;
const LOCK_READING = 2;
const LOCK_AT = 0;
const CELLS_AT = 1;
const THREAD_AT = 2;
const HEADER_BYTES = 16;

/** Tries without a pause; a writer needs the lock for less than a microsecond. */
const LOCK_TRIES_BUSY = 10;
/** Then tries that sleep: whoever has the lock lost its processor, or its thread died. */
const LOCK_TRIES_MAX = 60;
const LOCK_PAUSE_MS = 1;
const THREAD_NUMBERS = { lane: 1, door: 2, forward: 3 } as const;
const LAYOUTS = { lane: LANE_LAYOUT, door: DOOR_LAYOUT, forward: FORWARD_LAYOUT } as const;

/** The layout of a thread's block. */
export function layoutOf(thread: BlockThread): BlockLayout<BlockThread> {
  return LAYOUTS[thread];
}

/** Memory for one thread's counters, all zero. One thread may write it. */
export function createCounterBlock(thread: BlockThread): SharedArrayBuffer {
  const { cells } = layoutOf(thread);
  const memory = new SharedArrayBuffer(HEADER_BYTES + cells * Float64Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(memory, 0, HEADER_BYTES / 4);
  words[CELLS_AT] = cells;
  words[THREAD_AT] = THREAD_NUMBERS[thread];
  return memory;
}

/** A block as both sides see it. */
export class SharedBlock {
  readonly #words: Int32Array;
  readonly #cells: Float64Array;

  constructor(thread: BlockThread, memory: SharedArrayBuffer) {
    const { cells } = layoutOf(thread);
    const bytes = HEADER_BYTES + cells * Float64Array.BYTES_PER_ELEMENT;
    assert(memory.byteLength === bytes, `not the size of a ${thread} block`);
    this.#words = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#cells = new Float64Array(memory, HEADER_BYTES);
    assert(Atomics.load(this.#words, CELLS_AT) === cells, `not the layout of a ${thread} block`);
    assert(Atomics.load(this.#words, THREAD_AT) === THREAD_NUMBERS[thread],
      `not a ${thread} block`);
  }

  /** Copies `cells` in; false when the lock was taken. Never waits. */
  write(cells: Float64Array): boolean {
    if (Atomics.compareExchange(this.#words, LOCK_AT, LOCK_FREE, LOCK_WRITING) !== LOCK_FREE) {
      return false;
    }
    this.#cells.set(cells);
    Atomics.store(this.#words, LOCK_AT, LOCK_FREE);
    return true;
  }

  /** As write, but waits for the lock, at most about 50 ms. */
  writeWaiting(cells: Float64Array): boolean {
    for (let tried = 0; tried < LOCK_TRIES_MAX; tried++) {
      if (this.write(cells)) return true;
      this.#pause(tried);
    }
    return false;
  }

  /** Copies the last publication into `cells`; false when the lock stayed taken for 50 ms. */
  readInto(cells: Float64Array): boolean {
    for (let tried = 0; tried < LOCK_TRIES_MAX; tried++) {
      if (Atomics.compareExchange(this.#words, LOCK_AT, LOCK_FREE, LOCK_READING) === LOCK_FREE) {
        cells.set(this.#cells);
        Atomics.store(this.#words, LOCK_AT, LOCK_FREE);
        return true;
      }
      this.#pause(tried);
    }
    return false;
  }

  #pause(tried: number): void {
    if (tried < LOCK_TRIES_BUSY) return;
    const state = Atomics.load(this.#words, LOCK_AT);
    // Nobody notifies: a nap.
    if (state !== LOCK_FREE) Atomics.wait(this.#words, LOCK_AT, state, LOCK_PAUSE_MS);
  }
}

/**
 * The writing side of a block, made and used by the thread that counts. Nothing is seen by others
 * before `publish`. What belongs together (a span leaves "in flight" and is "kept") must be
 * counted between the same two publications; then no scrape ever sees one without the other.
 */
export class CounterBlock<Thread extends BlockThread> {
  /** Cell by cell, as this thread counts. */
  readonly cells: Float64Array;
  readonly labelIndexes: Uint16Array;
  readonly shared: SharedBlock;

  constructor(thread: Thread, memory: SharedArrayBuffer) {
    const layout = layoutOf(thread);
    this.cells = new Float64Array(layout.cells);
    this.labelIndexes = layout.labelIndexes();
    this.shared = new SharedBlock(thread, memory);
  }

  /** Adds to a counter (never a negative number) or moves a gauge. */
  add(metric: Metric<"counter" | "gauge", Thread, "plain">, count: number): void {
    this.cells[metric] = (this.cells[metric] ?? 0) + count;
  }

  /** As add, for one label value; `index` comes from the functions of label-values.ts. */
  addAt(
    metric: Metric<"counter" | "gauge", Thread, "labelled">, index: number, count: number,
  ): void {
    assert(index >= 0 && index < (this.labelIndexes[metric] ?? 0), "label index out of range");
    this.cells[metric + index] = (this.cells[metric + index] ?? 0) + count;
  }

  /** Sets a gauge, or a counter that is kept elsewhere. */
  set(metric: Metric<"counter" | "gauge", Thread, "plain">, value: number): void {
    this.cells[metric] = value;
  }

  /** As set, for one label value. */
  setAt(
    metric: Metric<"counter" | "gauge", Thread, "labelled">, index: number, value: number,
  ): void {
    assert(index >= 0 && index < (this.labelIndexes[metric] ?? 0), "label index out of range");
    this.cells[metric + index] = value;
  }

  /** Files one value of a histogram, in its unit; times are differences of a monotonic clock. */
  observe(metric: HistogramMetric<Thread, "plain">, value: number): void {
    this.#file(metric.at, metric.bounds, value);
  }

  /** As observe, for one label value. */
  observeAt(metric: HistogramMetric<Thread, "labelled">, index: number, value: number): void {
    assert(index >= 0 && index < metric.labelIndexes, "label index out of range");
    this.#file(metric.at + index * metric.cellsEach, metric.bounds, value);
  }

  /**
   * Makes everything counted so far visible, at once. Once a turn. Costs one copy of the cells.
   * @returns false when a reader was at it: the numbers go with the next publication.
   */
  publish(): boolean {
    return this.shared.write(this.cells);
  }

  /**
   * As publish, but waits for the reader: before a long sleep and at the thread's end.
   * @returns false when the block stays locked, which only a dead reader does.
   */
  publishWaiting(): boolean {
    return this.shared.writeWaiting(this.cells);
  }

  #file(at: number, bounds: Float64Array, value: number): void {
    assert(value >= 0 && value < Infinity, "a histogram takes finite values from zero up");
    let place = 0;
    while (place < bounds.length && value > (bounds[place] ?? 0)) place++;
    this.cells[at + place] = (this.cells[at + place] ?? 0) + 1;
    const sumAt = at + bounds.length + 1;
    this.cells[sumAt] = (this.cells[sumAt] ?? 0) + value;
  }
}
