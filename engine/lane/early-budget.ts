// How much may be judged early for want of storage. Space comes back only when whole generations
// are settled, delivered and unlinked, so judging on until it shows would judge everything. A lane
// judges its share of what is too much, and as many bytes as it stores meanwhile, then waits for
// what that frees before it goes on.

/** What was judged early is given this long to be settled and unlinked. */
const PERIOD_MS = 500;
/**
 * For each byte that comes in this many are judged: a record takes more than its spans, and much of
 * what is judged lies in generations that stay.
 */
const PER_STORED_BYTE = 1.5;

/** Written by its lane only. */
export class EarlyBudget {
  readonly #lanes: number;
  #bytes = 0;
  #grantedAtMs = -PERIOD_MS;

  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** Bytes that may be judged early now. @param excessBytes of all lanes; 0 = none. */
  bytesAt(nowMs: number, excessBytes: number): number {
    if (excessBytes === 0) return this.#bytes = 0;
    if (nowMs - this.#grantedAtMs >= PERIOD_MS) {
      this.#grantedAtMs = nowMs;
      this.#bytes = excessBytes / this.#lanes;
    }
    return Math.max(0, this.#bytes);
  }

  /** Traces of so many bytes were judged. */
  spend(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** So many bytes came in meanwhile. */
  stored(bytes: number): void {
    this.#bytes += PER_STORED_BYTE * bytes;
  }
}
