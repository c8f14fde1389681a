// Lost spans are counted at the place of their loss; here their counters are compared with those of
// a moment ago, so that every loss, whatever its reason, also has a line in the log.

import type { BalanceSheet, Share } from "./balance-sheet.ts";

/** Spans of one forwarder that were lost since the last look. */
export interface Loss {
  readonly forwarder: string;
  readonly reason: string;
  readonly spans: number;
  /** What the operator can do. */
  readonly advice: string;
}

const ADVICE: Readonly<Record<string, string>> = {
  backend_refused: "the backend refused them for good: its answer is in an earlier line",
  outbox_limit: "the backend takes less than is kept and the outbox is full: look at the backend,"
    + " or raise OutboxLimit",
  record_corrupt: "they could not be read back: check the disk",
  message_size: "they come from a run with a larger MaxBodyBytes and no longer fit a ring: set it"
    + " to the former value for one start",
  forwarder_removed: "they were owed to a forwarder that is no longer configured",
};

/** Compares balance sheets; one thread asks it. */
export class LossWatch {
  readonly #seen = new Map<string, number>();

  /** Losses since the last call. */
  look(sheet: BalanceSheet): Loss[] {
    return sheet.forwarders.flatMap(({ forwarder, lostByReason, keptLostByReason }) => [
      ...this.#grown(forwarder, "undecided", lostByReason),
      ...this.#grown(forwarder, "kept", keptLostByReason),
    ]);
  }

  #grown(forwarder: string, account: string, shares: readonly Share[]): Loss[] {
    const losses: Loss[] = [];
    for (const { name, spans } of shares) {
      const key = `${account} ${name} ${forwarder}`;
      const lost = spans - (this.#seen.get(key) ?? 0);
      this.#seen.set(key, spans);
      if (lost <= 0) continue;
      const advice = ADVICE[name] ?? "the reference of metrics says what the reason means";
      losses.push({ forwarder, reason: name, spans: lost, advice });
    }
    return losses;
  }
}
