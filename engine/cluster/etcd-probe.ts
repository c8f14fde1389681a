// Whether etcd answers this node: its silence means something only when it is asked.

import type { Clock } from "../base/clock.ts";
import { isUnavailable, type ClusterStore } from "./cluster-store.ts";
import { ETCD_LOST_MS } from "./grants.ts";
import { MAP_KEY } from "./membership.ts";

const PROBE_MS = 1_000;

/** From construction to close(). */
export class EtcdProbe {
  readonly #store: ClusterStore;
  readonly #clock: Clock;
  readonly #failed: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  /** When etcd answered last, monotonic. */
  #answeredMs: number;

  /** @param failed what only a bug can cause. */
  constructor(store: ClusterStore, clock: Clock, failed: (error: unknown) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#failed = failed;
    this.#answeredMs = clock.monotonicMs();
    this.#timer = setInterval(() => this.#ask(), PROBE_MS);
  }

  get hasEtcd(): boolean {
    return this.#clock.monotonicMs() - this.#answeredMs < ETCD_LOST_MS;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #ask(): void {
    this.#store.get(MAP_KEY).then(() => {
      this.#answeredMs = this.#clock.monotonicMs();
    }, (error: unknown) => {
      if (!isUnavailable(error)) this.#failed(error);
    });
  }
}
