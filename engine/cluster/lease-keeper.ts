// The node's lease: granted, kept alive, and granted again when it was lost. Losing it is normal: a
// cluster without quorum for longer than its TTL loses it, and servers before etcd 3.4.30 revoke
// leases that are alive when a leader that hung comes back.
//
// The time of sending the last keepalive that was answered is what the fence counts from: whoever
// takes over from this node waits for the lease, and the lease lives at least its TTL from there.
//
// The node's own key may go while the lease lives: a member that waits for the node too long
// deletes it, and so may a hand. Others count from when the key is gone. So a keepalive counts only
// when the read after it found the key as this node wrote it: then it was sent before the key was
// gone. A key that is gone is a lease that is lost, and the node registers anew when it may.

import type { Clock } from "../base/clock.ts";
import {
  isLeaseGone, isUnavailable, type ClusterStore, type StoreEntry, type StoreLease,
} from "./cluster-store.ts";

/**
 * Shortest TTL: with less, a leader that hangs for one election costs nodes their leases. etcd
 * grants at least one and a half election timeouts itself.
 */
export const LEASE_TTL_SECONDS_MIN = 10;
/** Keepalives in a TTL: three may fail before the lease is in danger. */
const KEEPALIVES_PER_TTL = 4;
/** After a fault; the call itself has waited before. */
const RETRY_MS = 250;
/** No keepalive was acknowledged: the fence is closed. */
export const NEVER_MS = Number.NEGATIVE_INFINITY;

export interface LeaseKeeperOptions {
  readonly ttlSeconds: number;
  /** Read with every keepalive, so that a watch that has gone deaf is noticed. */
  readonly confirmKey: string;
  /** The key that `register` writes. */
  readonly ownKey: string;
}

export interface LeaseKeeperDependencies {
  readonly store: ClusterStore;
  readonly clock: Clock;
  /** False while a lane hangs: then the lease is left to end, and others take the shards. */
  readonly mayRenew: () => boolean;
  /**
   * Puts the node's key under a new lease. A fault, and the answer null (not now), mean another
   * try with the same lease. @returns the revision at which it is written.
   */
  readonly register: (lease: StoreLease) => Promise<number | null>;
  /** False while the node has to stay away after its key was deleted: no lease is asked for. */
  readonly mayReturn: () => boolean;
  /** What every answered keepalive read. */
  readonly confirmed: (entry: StoreEntry | null) => void;
  /** The lease is gone, or the key under it; another is asked for as soon as the node may. */
  readonly lost: () => void;
  /** It was the key alone, while the lease lived; `lost` follows. */
  readonly takenOut: () => void;
  /** What only a bug or a refusal can cause; the keeper has stopped. */
  readonly failed: (error: unknown) => void;
}

/** Owns one lease at a time, from start() to stop(). */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #with: LeaseKeeperDependencies;
  #lease: StoreLease | null = null;
  /** Of the write of the node's key under this lease; null: it is not registered. */
  #registeredAt: number | null = null;
  #acknowledgedSentMs = NEVER_MS;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #isStopped = true;
  /** Leases lost since the start, and keepalives that got no answer. */
  lostCount = 0;
  failedKeepalives = 0;

  constructor(options: LeaseKeeperOptions, dependencies: LeaseKeeperDependencies) {
    this.#options = options;
    this.#with = dependencies;
  }

  /**
   * Monotonic time at which the last acknowledged keepalive was sent, of the lease under which the
   * node is registered; NEVER_MS without one. Nothing may be decided past this, and leaseTtlMs,
   * less a margin.
   */
  get lastAcknowledgedSentMs(): number {
    return this.#acknowledgedSentMs;
  }

  /** As granted; 0 without a lease. */
  get leaseTtlMs(): number {
    return this.#lease?.ttlMs ?? 0;
  }

  get leaseId(): string | null {
    return this.#registeredAt === null ? null : this.#lease?.id ?? null;
  }

  start(): void {
    this.#isStopped = false;
    this.#schedule(0);
  }

  /**
   * Stops and ends the lease, so that nobody waits for it.
   * @throws GatewayError CLUSTER_STORE_UNAVAILABLE when etcd does not take the end: then the lease
   * ends by itself after its TTL.
   */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#turn;
    const lease = this.#lease;
    this.#forget();
    if (lease !== null) await this.#with.store.revokeLease(lease.id);
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#turn = this.#takeTurn();
    }, delayMs);
  }

  async #takeTurn(): Promise<void> {
    let pauseMs = RETRY_MS;
    try {
      if (this.#lease !== null || this.#with.mayReturn()) pauseMs = await this.#hold();
    } catch (error) {
      if (isLeaseGone(error)) {
        this.#lose();
      } else if (!isUnavailable(error)) {
        this.#isStopped = true;
        this.#registeredAt = null;
        this.#acknowledgedSentMs = NEVER_MS;
        this.#with.failed(error); // stop() ends the lease
        return;
      }
      this.failedKeepalives++;
    }
    this.#schedule(pauseMs);
  }

  /** @returns the pause until the next turn. */
  async #hold(): Promise<number> {
    this.#lease ??= await this.#with.store.grantLease(this.#options.ttlSeconds);
    this.#registeredAt ??= await this.#with.register(this.#lease);
    return await this.#renew(this.#lease);
  }

  async #renew(lease: StoreLease): Promise<number> {
    if (!this.#with.mayRenew()) return RETRY_MS;
    const sentMs = this.#with.clock.monotonicMs();
    const { confirmKey, ownKey } = this.#options;
    const renewal = await this.#with.store.renewLease(lease.id, confirmKey, ownKey);
    if (!renewal.held) {
      this.#lose();
      return 0;
    }
    // A turn that began before stop() may end after it: then the lease is about to end.
    if (this.#isStopped) return 0;
    this.#with.confirmed(renewal.confirmed);
    if (this.#registeredAt === null) return RETRY_MS;
    if (renewal.own?.revision !== this.#registeredAt) {
      this.#with.takenOut();
      this.#lose();
      await this.#with.store.revokeLease(lease.id); // else it ends by itself
      return RETRY_MS;
    }
    this.#acknowledgedSentMs = sentMs;
    const passedMs = this.#with.clock.monotonicMs() - sentMs;
    return Math.max(0, lease.ttlMs / KEEPALIVES_PER_TTL - passedMs);
  }

  #lose(): void {
    this.#forget();
    this.lostCount++;
    this.#with.lost();
  }

  #forget(): void {
    this.#lease = null;
    this.#registeredAt = null;
    this.#acknowledgedSentMs = NEVER_MS;
  }
}
