// What the cluster needs of etcd, as a port: the store behind it is etcd in production and a double
// in simulations. Every call ends within a bound, with an answer or with CLUSTER_STORE_UNAVAILABLE.

import { GatewayError } from "../base/errors.ts";

/** A key that exists. Revisions are etcd's: they rise by one with every write of the cluster. */
export interface StoreEntry {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** A change of a key; `value` is null when it was deleted or its lease ended. */
export interface StoreEvent {
  readonly key: string;
  readonly value: string | null;
  readonly revision: number;
}

export interface StoreListing {
  readonly entries: readonly StoreEntry[];
  /** The store's revision of this answer: a watch goes on after it. */
  readonly revision: number;
}

/** Called in the order of revisions, each event once. */
export interface WatchHandlers {
  readonly events: (events: readonly StoreEvent[]) => void;
  /** Changes since the start are no longer known: list again, then watch from there. It is over. */
  readonly gap: () => void;
}

export interface StoreWatch {
  /** No handler is called after it. */
  close(): void;
}

export interface StoreLease {
  readonly id: string;
  /** As granted: etcd may grant more than was asked for. */
  readonly ttlMs: number;
}

/** Answer to a keepalive. */
export interface Renewal {
  /** False: the lease is gone, with all keys under it. */
  readonly held: boolean;
  readonly ttlMs: number;
  /** The key that was read with it, after the keepalive; null when it does not exist. */
  readonly confirmed: StoreEntry | null;
  /** The node's own key, by the same read. */
  readonly own: StoreEntry | null;
}

/** A key that something is done only beside, as it was written at `revision`. */
export interface StoreHold {
  readonly key: string;
  readonly revision: number;
}

/** One cluster's keys, leases and watches. */
export interface ClusterStore {
  /** The key as a quorum knows it now; null when there is none. */
  get(key: string): Promise<StoreEntry | null>;
  /** All keys that begin with `prefix`. */
  list(prefix: string): Promise<StoreListing>;
  /** The same without their values. */
  listKeys(prefix: string): Promise<StoreListing>;
  /**
   * Writes when the key is at `revision`; 0: when there is none.
   * @param leaseId the key ends with this lease; null: it stays.
   * @returns the new revision; null when the key was at another. Finding the very value there
   * counts as having written it: an answer may have been lost.
   * @throws GatewayError CLUSTER_LEASE_GONE when the lease has ended.
   */
  compareAndSet(
    key: string, revision: number, value: string, leaseId: string | null,
  ): Promise<number | null>;
  /**
   * Deletes when the key is at `revision`.
   * @param beside and this other one is as it was, at the same moment; null: whatever is.
   * @returns whether it is gone now.
   */
  compareAndDelete(key: string, revision: number, beside: StoreHold | null): Promise<boolean>;
  /** Changes after `revision` of keys that begin with `prefix`; goes on by itself after faults. */
  watch(prefix: string, revision: number, handlers: WatchHandlers): StoreWatch;
  grantLease(ttlSeconds: number): Promise<StoreLease>;
  /**
   * Keeps a lease alive, then reads two keys at one moment. An answer means more than that some
   * server took the keepalive: a quorum has confirmed afterwards that the leader which took it
   * still leads, so whoever leads next lets the lease live at least its TTL from the moment of
   * sending.
   */
  renewLease(leaseId: string, confirmKey: string, ownKey: string): Promise<Renewal>;
  /** Ends a lease and deletes the keys under it; ending one that is gone is no fault. */
  revokeLease(leaseId: string): Promise<void>;
}

/** etcd did not answer, or has no quorum: a later try may succeed. */
export function storeUnavailable(what: string, cause: unknown): GatewayError {
  return new GatewayError(
    "CLUSTER_STORE_UNAVAILABLE", `etcd did not answer (${what})`, { what }, cause,
  );
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === "CLUSTER_STORE_UNAVAILABLE";
}

export function leaseGone(leaseId: string, cause: unknown): GatewayError {
  return new GatewayError(
    "CLUSTER_LEASE_GONE", `the lease ${leaseId} in etcd has ended`, { leaseId }, cause,
  );
}

export function isLeaseGone(error: unknown): boolean {
  return error instanceof GatewayError && error.code === "CLUSTER_LEASE_GONE";
}
