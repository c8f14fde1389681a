// Keeps decisions in the log as long as they are remembered: before generations that logged them
// are removed, everything remembered is written again, a slice a turn, so that no turn gets long.

import { KIND_MEMORY } from "../log/entry-layout.ts";
import type { LaneLog } from "../log/lane-log.ts";
import type { DecisionMemory } from "../traces/decision-memory.ts";
import { batchWordsFor } from "../traces/memory-layout.ts";
import { MemorySweep } from "../traces/memory-sweep.ts";

/** Decisions in full of one slice: 256 KiB, some 0.1 ms. */
const SLICE_ENTRIES = 4096;

/** Written by its lane only. */
export class DecisionCarrier {
  readonly #log: LaneLog;
  readonly #sweep: MemorySweep;
  readonly #slice = new Uint32Array(batchWordsFor(SLICE_ENTRIES));
  #sliceWords = 0;
  /** Generation that was open when the sweep began: decisions logged before it are in the sweep. */
  #beganIn = 0;
  #running = false;

  constructor(log: LaneLog, memory: DecisionMemory) {
    this.#log = log;
    this.#sweep = new MemorySweep(memory);
  }

  /**
   * True when the turn's commit should carry a slice; begins a sweep when generations wait for it.
   */
  get wanted(): boolean {
    if (this.#running) return true;
    if (!this.#log.waitsForMemory()) return false;
    this.#sweep.exportAll();
    this.#beganIn = 0;
    this.#running = true;
    return true;
  }

  /** Inside the transaction: appends the next slice, or the one whose commit failed. */
  append(): void {
    if (!this.#running) return;
    if (this.#beganIn === 0) this.#beganIn = this.#log.openGeneration;
    while (this.#sliceWords === 0 && !this.#sweep.done) {
      this.#sliceWords = this.#sweep.slice(this.#slice, 0, this.#slice.length);
    }
    if (this.#sliceWords > 0) this.#log.appendWords(KIND_MEMORY, this.#slice, this.#sliceWords);
  }

  /** The commit succeeded. */
  committed(): void {
    if (!this.#running) return;
    this.#sliceWords = 0;
    if (!this.#sweep.done) return;
    this.#running = false;
    this.#log.memoryExported(this.#beganIn);
  }
}
