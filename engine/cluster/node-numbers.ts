// Short numbers for the nodes that this process meets, by the id of their log: what a part's link
// can hold. A number never gets a second meaning, because a decision that went to another log would
// settle somebody else's part.

import { PEERS_MAX } from "./cluster-words.ts";

/** Numbers 1 … PEERS_MAX, in the order in which logs are met. */
export class NodeNumbers {
  readonly #numbers = new Map<string, number>();

  /** @returns the log's number; null when all are given out: only a new process has more. */
  numberOf(logId: string): number | null {
    const known = this.#numbers.get(logId);
    if (known !== undefined) return known;
    if (this.#numbers.size === PEERS_MAX) return null;
    const number = this.#numbers.size + 1;
    this.#numbers.set(logId, number);
    return number;
  }
}
