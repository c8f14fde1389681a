import { setTimeout as sleep } from "node:timers/promises";
import type { GatewayProcess } from "./gateway.ts";

const PERIOD_MS = 40;

/** What a watch saw. */
export interface Watched {
  readonly scrapes: number;
  /** Scrapes at which a forwarder's books did not close: never any. */
  readonly faults: readonly string[];
}

/** Scrapes a gateway again and again; its books close at every moment, not only in the end. */
export class BalanceWatch {
  #scrapes = 0;
  readonly #faults: string[] = [];
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;

  constructor(gateway: GatewayProcess) {
    this.#watching = this.#watch(gateway);
  }

  async stop(): Promise<Watched> {
    this.#stop.abort();
    await this.#watching;
    return { scrapes: this.#scrapes, faults: this.#faults };
  }

  async #watch(gateway: GatewayProcess): Promise<void> {
    while (!this.#stop.signal.aborted && gateway.running) {
      const page = await gateway.scrape().catch(() => null);
      if (page === null) continue; // it ended in the meantime, or the test will show why not
      this.#scrapes++;
      for (const { labels, value } of page.samples("tailrace_balance_difference_spans")) {
        if (value !== 0) {
          this.#faults.push(`scrape ${this.#scrapes}: ${value} spans of ${labels["forwarder"]}`);
        }
      }
      await sleep(PERIOD_MS);
    }
  }
}
