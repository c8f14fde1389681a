// A double of the cluster's store, for one process: several nodes share one. Time is the test's;
// nothing happens by itself. It answers as the port says, and fails when told to.

import {
  leaseGone, storeUnavailable, type ClusterStore, type Renewal, type StoreEntry, type StoreEvent,
  type StoreHold, type StoreLease, type StoreListing, type StoreWatch, type WatchHandlers,
} from "../../engine/cluster/cluster-store.ts";

interface Stored {
  readonly value: string;
  readonly revision: number;
  readonly leaseId: string | null;
}

interface Watching {
  readonly prefix: string;
  readonly handlers: WatchHandlers;
}

/** The cluster's keys. `nowMs` is moved by the test. */
export class MemoryCluster {
  nowMs = 1_000;
  revision = 0;
  readonly #keys = new Map<string, Stored>();
  readonly #leases = new Map<string, { ttlMs: number; endsMs: number }>();
  readonly #history: StoreEvent[] = [];
  #compacted = 0;
  #leaseCount = 0;
  readonly watches = new Set<Watching>();

  /** Moves time and ends leases that are due. */
  advance(ms: number): void {
    this.nowMs += ms;
    for (const [id, { endsMs }] of this.#leases) {
      if (endsMs <= this.nowMs) this.endLease(id);
    }
  }

  get leaseIds(): string[] {
    return [...this.#leases.keys()];
  }

  get keys(): string[] {
    return [...this.#keys.keys()].sort();
  }

  endLease(id: string): void {
    this.#leases.delete(id);
    for (const [key, { leaseId }] of this.#keys) {
      if (leaseId === id) this.remove(key);
    }
  }

  grant(ttlSeconds: number): StoreLease {
    const id = String(++this.#leaseCount);
    const ttlMs = ttlSeconds * 1_000;
    this.#leases.set(id, { ttlMs, endsMs: this.nowMs + ttlMs });
    return { id, ttlMs };
  }

  renew(id: string): number {
    const lease = this.#leases.get(id);
    if (lease === undefined) return 0;
    lease.endsMs = this.nowMs + lease.ttlMs;
    return lease.ttlMs;
  }

  renewal(id: string, confirmKey: string, ownKey: string): Renewal {
    const ttlMs = this.renew(id);
    const held = ttlMs > 0;
    return {
      held, ttlMs, confirmed: held ? this.read(confirmKey) : null,
      own: held ? this.read(ownKey) : null,
    };
  }

  read(key: string): StoreEntry | null {
    const stored = this.#keys.get(key);
    return stored === undefined ? null : { key, value: stored.value, revision: stored.revision };
  }

  write(key: string, value: string, leaseId: string | null): number {
    if (leaseId !== null && !this.#leases.has(leaseId)) throw leaseGone(leaseId, null);
    this.revision++;
    this.#keys.set(key, { value, revision: this.revision, leaseId });
    this.#tell({ key, value, revision: this.revision });
    return this.revision;
  }

  leaseOf(key: string): string | null {
    return this.#keys.get(key)?.leaseId ?? null;
  }

  removeAt(key: string, revision: number, beside: StoreHold | null): boolean {
    const holds = beside === null || this.read(beside.key)?.revision === beside.revision;
    if (holds && this.read(key)?.revision === revision) this.remove(key);
    return this.read(key) === null;
  }

  remove(key: string): void {
    if (!this.#keys.delete(key)) return;
    this.revision++;
    this.#tell({ key, value: null, revision: this.revision });
  }

  /** Forgets history: watches that need it have a gap. */
  compact(): void {
    this.#compacted = this.revision;
  }

  watch(prefix: string, after: number, handlers: WatchHandlers): StoreWatch {
    if (after < this.#compacted) {
      queueMicrotask(handlers.gap);
      return { close: () => {} };
    }
    const watching = { prefix, handlers };
    const missed = this.#history
      .filter(({ key, revision }) => revision > after && key.startsWith(prefix));
    if (missed.length > 0) handlers.events(missed);
    this.watches.add(watching);
    return { close: () => this.watches.delete(watching) };
  }

  #tell(event: StoreEvent): void {
    this.#history.push(event);
    for (const { prefix, handlers } of this.watches) {
      if (event.key.startsWith(prefix)) handlers.events([event]);
    }
  }
}

/** One node's way to the cluster. */
export class MemoryStore implements ClusterStore {
  readonly #cluster: MemoryCluster;
  /** While set, every call fails as etcd does without a quorum. */
  isDown = false;
  /** The answer of the next write is lost; the write is done. */
  losesNextAnswer = false;
  /** Calls by name, for tests that count. */
  readonly calls: string[] = [];
  /** Time that a keepalive takes. */
  keepaliveMs = 0;

  constructor(cluster: MemoryCluster) {
    this.#cluster = cluster;
  }

  async get(key: string): Promise<StoreEntry | null> {
    this.#begin("get");
    return this.#cluster.read(key);
  }

  async list(prefix: string): Promise<StoreListing> {
    this.#begin("list");
    const entries = this.#cluster.keys
      .filter((key) => key.startsWith(prefix)).map((key) => this.#cluster.read(key)!);
    return { entries, revision: this.#cluster.revision };
  }

  async listKeys(prefix: string): Promise<StoreListing> {
    const { entries, revision } = await this.list(prefix);
    return { entries: entries.map((entry) => ({ ...entry, value: "" })), revision };
  }

  async compareAndSet(
    key: string, revision: number, value: string, leaseId: string | null,
  ): Promise<number | null> {
    this.#begin("compareAndSet");
    const found = this.#cluster.read(key);
    if ((found?.revision ?? 0) !== revision) {
      const isOwn = found?.value === value && this.#cluster.leaseOf(key) === leaseId;
      return isOwn ? found!.revision : null;
    }
    const written = this.#cluster.write(key, value, leaseId);
    if (this.losesNextAnswer) {
      this.losesNextAnswer = false;
      throw storeUnavailable("a lost answer", null);
    }
    return written;
  }

  async compareAndDelete(
    key: string, revision: number, beside: StoreHold | null,
  ): Promise<boolean> {
    this.#begin("compareAndDelete");
    return this.#cluster.removeAt(key, revision, beside);
  }

  watch(prefix: string, revision: number, handlers: WatchHandlers): StoreWatch {
    return this.#cluster.watch(prefix, revision, handlers);
  }

  async grantLease(ttlSeconds: number): Promise<StoreLease> {
    this.#begin("grantLease");
    return this.#cluster.grant(ttlSeconds);
  }

  async renewLease(leaseId: string, confirmKey: string, ownKey: string): Promise<Renewal> {
    this.#begin("renewLease");
    this.#cluster.advance(this.keepaliveMs);
    return this.#cluster.renewal(leaseId, confirmKey, ownKey);
  }

  async revokeLease(leaseId: string): Promise<void> {
    this.#begin("revokeLease");
    this.#cluster.endLease(leaseId);
  }

  #begin(call: string): void {
    this.calls.push(call);
    if (this.isDown) throw storeUnavailable(call, null);
  }
}
