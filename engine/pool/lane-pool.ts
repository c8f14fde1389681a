import { EventEmitter } from "node:events";
import { Piscina } from "piscina";
import { assert } from "../base/assert.ts";
import type { LanePlan } from "../lane/lane-plan.ts";

/**
 * A lane makes a few short-lived objects a payload and keeps none: with room for a second's worth,
 * next to nothing is alive when they are collected. Less room costs a tenth of a lane's time
 * (native-bench/lane.bench.ts, where --max-semi-space-size is a third of this).
 */
const YOUNG_GENERATION_MIB = 192;

/**
 * The span workers: one Piscina thread a lane, each running one endless task.
 * A lane's task returns when the control word says STOP; it rejects when the lane died, and the
 * process must end then: recovery is the only restart path.
 */
export class LanePool {
  readonly #pool: Piscina;
  readonly #tasks: Promise<void>[];

  /** @param worker file URL of the span worker; threads are started by file, never by import. */
  constructor(worker: URL, plans: readonly LanePlan[]) {
    assert(plans.length > 0, "a gateway has a lane");
    this.#pool = new Piscina({
      filename: worker.href,
      minThreads: plans.length,
      maxThreads: plans.length,
      concurrentTasksPerWorker: 1,
      atomics: "disabled",
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    // A task that fails rejects its own promise as well; without a listener Piscina's event is
    // fatal.
    (this.#pool as unknown as EventEmitter).on("error", () => undefined);
    this.#tasks = plans.map(async (plan) => {
      await this.#pool.run(plan);
    });
  }

  /** Rejects as soon as any lane dies; resolves when all have returned. */
  async ended(): Promise<void> {
    await Promise.all(this.#tasks);
  }

  /** Resolves when every lane has returned or died. */
  async allEnded(): Promise<void> {
    await Promise.allSettled(this.#tasks);
  }

  /** Ends the threads; every lane must have returned. */
  async close(): Promise<void> {
    await this.ended();
    await this.#pool.close();
  }
}
