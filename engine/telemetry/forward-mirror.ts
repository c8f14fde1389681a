// Forwarders count in fields of their own; this copies them into the counter block of their thread.

import { CounterBlock } from "./counters.ts";
import {
  BATCH_DELIVERED, BATCH_FAILED, batchIndex, BATCH_SPLIT, failureIndex, FORWARD_FAILURE_NAMES,
} from "./label-values.ts";
import {
  FORWARD_BATCHES, FORWARD_BYTES, FORWARD_IN_FLIGHT, FORWARD_REJECTED_SPANS, FORWARD_RETRIES,
  FORWARD_SECONDS, FORWARD_SPANS, FORWARD_UNKNOWN_OUTCOME, FORWARD_UNKNOWN_OUTCOME_SPANS,
} from "./metric-table.ts";

/** What a forwarder counts since start; the last one is a gauge. */
export interface ForwarderTotals {
  readonly sentBatches: number;
  readonly sentSpans: number;
  readonly sentBytes: number;
  readonly splits: number;
  /** By failure kind, as FORWARD_FAILURE_NAMES. */
  readonly failures: Float64Array;
  readonly rejectedSpans: number;
  readonly unknownOutcomes: number;
  readonly unknownSpans: number;
  readonly inFlightBatches: number;
  /** Set by `attach`. */
  observeSendMs: (milliseconds: number) => void;
}

/** The forwarder thread's block, fed from its forwarders. */
export class ForwardMirror {
  readonly #block: CounterBlock<"forward">;
  readonly #forwarders = new Map<number, ForwarderTotals>();

  constructor(memory: SharedArrayBuffer) {
    this.#block = new CounterBlock("forward", memory);
  }

  /**
   * Shows a forwarder's totals under its slot from now on, and files how long its attempts take.
   */
  attach(slot: number, totals: ForwarderTotals): void {
    this.#forwarders.set(slot, totals);
    totals.observeSendMs = (milliseconds) =>
      this.#block.observeAt(FORWARD_SECONDS, slot, Math.max(0, milliseconds) / 1000);
  }

  /** Copies and publishes; call it a few times a second, and at the end. */
  publish(): void {
    for (const [slot, totals] of this.#forwarders) this.#copy(slot, totals);
    this.#block.publishWaiting();
  }

  #copy(slot: number, totals: ForwarderTotals): void {
    const block = this.#block;
    let failed = 0;
    for (let failure = 1; failure < FORWARD_FAILURE_NAMES.length; failure++) {
      const attempts = totals.failures[failure] ?? 0;
      failed += attempts;
      block.setAt(FORWARD_RETRIES, failureIndex(slot, failure), attempts);
    }
    block.setAt(FORWARD_BATCHES, batchIndex(slot, BATCH_DELIVERED), totals.sentBatches);
    block.setAt(FORWARD_BATCHES, batchIndex(slot, BATCH_SPLIT), totals.splits);
    block.setAt(FORWARD_BATCHES, batchIndex(slot, BATCH_FAILED), failed);
    block.setAt(FORWARD_SPANS, slot, totals.sentSpans);
    block.setAt(FORWARD_BYTES, slot, totals.sentBytes);
    block.setAt(FORWARD_UNKNOWN_OUTCOME, slot, totals.unknownOutcomes);
    block.setAt(FORWARD_UNKNOWN_OUTCOME_SPANS, slot, totals.unknownSpans);
    block.setAt(FORWARD_REJECTED_SPANS, slot, totals.rejectedSpans);
    block.setAt(FORWARD_IN_FLIGHT, slot, totals.inFlightBatches);
  }
}
