// When a node whose registration was deleted, though its lease lived, registers anew. Another
// member does that to one that it has waited for too long (silent-members.ts); a hand may too.
//
// What made it silent may still be there. Then it would be waited for again, and shards that others
// got from it would close again for as long. So it waits, longer from time to time, and comes back
// when it has connections with all members that are registered. It does not wait for these for
// ever: who cannot be reached may be on its way out of the map.

/** More than members take to put a map without the node, once its time to decide has passed. */
const REMOVAL_MS = 5_000;
/**
 * Longest pause. After as long a node tries without connections too; and one that was registered
 * for as long has its first pause again.
 */
export const RETURN_PAUSE_MAX_MS = 600_000;

/** Times are monotonic and of this node. */
export class ReturnPause {
  readonly #firstMs: number;
  #pauseMs = 0;
  #outSinceMs = Number.NEGATIVE_INFINITY;
  #registeredMs: number | null = null;

  /** @param leaseTtlMs others go on without the node one TTL after they saw it go. */
  constructor(leaseTtlMs: number) {
    this.#firstMs = leaseTtlMs + REMOVAL_MS;
  }

  /** The node has registered itself. */
  registered(nowMs: number): void {
    this.#registeredMs = nowMs;
    this.#outSinceMs = Number.NEGATIVE_INFINITY;
  }

  /** The node's registration is gone. @returns the pause that begins. */
  takenOut(nowMs: number): number {
    const wasWell = this.#registeredMs !== null
      && nowMs - this.#registeredMs >= RETURN_PAUSE_MAX_MS;
    this.#pauseMs = this.#pauseMs === 0 || wasWell ? this.#firstMs
      : Math.min(2 * this.#pauseMs, RETURN_PAUSE_MAX_MS);
    this.#outSinceMs = nowMs;
    this.#registeredMs = null;
    return this.#pauseMs;
  }

  /** Its registration was deleted, and it has not registered anew. */
  get isOut(): boolean {
    return this.#outSinceMs !== Number.NEGATIVE_INFINITY;
  }

  /** @param reachesOthers connections with all other members that are registered are up. */
  mayReturn(nowMs: number, reachesOthers: boolean): boolean {
    const outMs = nowMs - this.#outSinceMs;
    if (outMs < this.#pauseMs) return false;
    return reachesOthers || outMs >= RETURN_PAUSE_MAX_MS;
  }
}
