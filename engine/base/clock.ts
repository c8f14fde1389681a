/** Time as the data plane sees it; tests pass their own. */
export interface Clock {
  /** Milliseconds since the process started, monotonic; fits a u32 for 49 days, wraps after. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch by the wall clock. */
  wallMs(): number;
}

/** The machine's clocks. One origin per thread: never compare monotonic times of two threads. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
