import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import type { LaneForwarder } from "./lane-plan.ts";

/** When each sampler's wait ends, by forwarder slot. Milliseconds on the lane's monotonic clock. */
export class SamplerClock {
  /** Bit per slot that has a sampler. */
  readonly mask: number;
  readonly waitMs: Float64Array;
  readonly waitAfterRootMs: Float64Array;
  readonly slots: Uint8Array;

  constructor(forwarders: readonly LaneForwarder[]) {
    this.waitMs = new Float64Array(FORWARDERS_MAX);
    this.waitAfterRootMs = new Float64Array(FORWARDERS_MAX);
    const slots: number[] = [];
    let mask = 0;
    for (const { slot, sampler } of forwarders) {
      if (sampler === null) continue;
      mask |= 1 << slot;
      slots.push(slot);
      this.waitMs[slot] = sampler.decisionWaitMs;
      this.waitAfterRootMs[slot] = sampler.decisionWaitAfterRootMs;
    }
    this.mask = mask;
    this.slots = Uint8Array.from(slots);
  }

  /** End of one sampler's wait. `rootAtMs` < 0: no root span was seen. */
  dueAt(slot: number, firstSeenMs: number, rootAtMs: number): number {
    const byWait = firstSeenMs + this.waitMs[slot]!;
    const afterRoot = this.waitAfterRootMs[slot]!;
    if (rootAtMs < 0 || afterRoot === 0) return byWait;
    return Math.min(byWait, rootAtMs + afterRoot);
  }

  /** The first end of all waits in `undecided`. */
  nextDueAt(undecided: number, firstSeenMs: number, rootAtMs: number): number {
    let next = Infinity;
    for (let at = 0; at < this.slots.length; at++) {
      const slot = this.slots[at]!;
      if ((undecided & (1 << slot)) === 0) continue;
      const due = this.dueAt(slot, firstSeenMs, rootAtMs);
      if (due < next) next = due;
    }
    return next;
  }
}
