import { DECISION_TICK_MS } from "../../config/limits.ts";

/**
 * A lane's monotonic clock. It starts above the longest wait, so that "first seen" of a trace that
 * is older than the process is never negative. Tables keep its low 32 bits; differences do not
 * wrap. Its decision ticks begin when the wall clock's do: lanes and nodes that share the traces of
 * a record judge them at the same time, and who holds it reads it once.
 */
export class LaneClock {
  readonly #originMs: number;
  /** Milliseconds, as of the last tick(); a turn sees one time. */
  nowMs = 0;
  /** Wall clock of the same moment, ms since the Unix epoch. */
  wallMs = 0;

  constructor(longestWaitMs: number) {
    const startMs = longestWaitMs + 1_000;
    const sinceTickMs = Date.now() % DECISION_TICK_MS;
    const alignedMs = Math.ceil(startMs / DECISION_TICK_MS) * DECISION_TICK_MS + sinceTickMs;
    this.#originMs = alignedMs - performance.now();
    this.tick();
  }

  tick(): void {
    this.nowMs = performance.now() + this.#originMs;
    this.wallMs = Date.now();
  }

  /** Milliseconds of this clock right now, for measuring within a turn. */
  preciseMs(): number {
    return performance.now() + this.#originMs;
  }

  /** Low word of a moment, as tables keep it. */
  static low(ms: number): number {
    return Math.floor(ms % 4_294_967_296) >>> 0;
  }

  /** Age in ms of a moment that a table kept; right for moments less than 49 days ago. */
  ageOf(low: number): number {
    return (LaneClock.low(this.nowMs) - low) >>> 0;
  }
}
