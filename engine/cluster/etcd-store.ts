// The cluster's store in etcd.

import { EtcdLeaseInvalidError, type IKeyValue, type IRangeRequest } from "etcd3";
import { assert } from "../base/assert.ts";
import {
  leaseGone, storeUnavailable, type ClusterStore, type Renewal, type StoreEntry, type StoreHold,
  type StoreLease, type StoreListing, type StoreWatch, type WatchHandlers,
} from "./cluster-store.ts";
import { bounded, type EtcdClient } from "./etcd-client.ts";
import { EtcdWatch, prefixEnd } from "./etcd-watch.ts";

const SECOND_MS = 1_000;
const NO_LEASE = "0";

/** Keys, leases and watches over one client, which it does not own. */
export class EtcdStore implements ClusterStore {
  readonly #client: EtcdClient;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  async get(key: string): Promise<StoreEntry | null> {
    const answer = await this.#client.call(`reading ${key}`, (etcd) =>
      etcd.kv.range({ key: Buffer.from(key) }));
    const [found] = answer.kvs;
    return found === undefined ? null : entryOf(found);
  }

  async list(prefix: string): Promise<StoreListing> {
    return await this.#list({ key: Buffer.from(prefix), range_end: prefixEnd(prefix) });
  }

  async listKeys(prefix: string): Promise<StoreListing> {
    const key = Buffer.from(prefix);
    return await this.#list({ key, range_end: prefixEnd(prefix), keys_only: true });
  }

  async compareAndSet(
    key: string, revision: number, value: string, leaseId: string | null,
  ): Promise<number | null> {
    const put = {
      key: Buffer.from(key), value: Buffer.from(value), lease: leaseId ?? NO_LEASE,
    };
    const answer = await this.#client.call(`writing ${key}`, (etcd) => etcd.kv.txn({
      compare: [compareRevision(put.key, revision)],
      success: [{ request_put: put }],
      failure: [{ request_range: { key: put.key } }],
    })).catch((error: unknown) => {
      throw error instanceof EtcdLeaseInvalidError ? leaseGone(put.lease, error) : error;
    });
    if (answer.succeeded) return revisionOf(answer.header.revision);
    const found = answer.responses[0]?.response_range.kvs[0];
    const isOwn = found !== undefined
      && found.value.equals(put.value) && found.lease === put.lease;
    return isOwn ? revisionOf(found.mod_revision) : null;
  }

  async compareAndDelete(
    key: string, revision: number, beside: StoreHold | null,
  ): Promise<boolean> {
    const bytes = Buffer.from(key);
    const compare = [compareRevision(bytes, revision)];
    if (beside !== null) compare.push(compareRevision(Buffer.from(beside.key), beside.revision));
    const answer = await this.#client.call(`deleting ${key}`, (etcd) => etcd.kv.txn({
      compare,
      success: [{ request_delete_range: { key: bytes } }],
      failure: [{ request_range: { key: bytes, count_only: true } }],
    }));
    return answer.succeeded || answer.responses[0]?.response_range.count === "0";
  }

  watch(prefix: string, revision: number, handlers: WatchHandlers): StoreWatch {
    return new EtcdWatch(this.#client, prefix, revision, handlers);
  }

  async grantLease(ttlSeconds: number): Promise<StoreLease> {
    const answer = await this.#client.call("granting a lease", (etcd) =>
      etcd.leaseClient.leaseGrant({ TTL: ttlSeconds }));
    return { id: answer.ID, ttlMs: Number(answer.TTL) * SECOND_MS };
  }

  async renewLease(leaseId: string, confirmKey: string, ownKey: string): Promise<Renewal> {
    const { term, ttlMs } = await this.#keepAlive(leaseId);
    if (ttlMs <= 0) return { held: false, ttlMs: 0, confirmed: null, own: null };
    const confirmation = await this.#readAll([confirmKey, ownKey]);
    if (confirmation.term !== term) {
      const terms = new Error(`taken in term ${term}, confirmed in term ${confirmation.term}`);
      throw storeUnavailable("keeping the lease: the leader changed", terms);
    }
    const [confirmed = null, own = null] = confirmation.entries;
    return { held: true, ttlMs, confirmed, own };
  }

  async revokeLease(leaseId: string): Promise<void> {
    try {
      await this.#client.call("ending the lease", (etcd) =>
        etcd.leaseClient.leaseRevoke({ ID: leaseId }));
    } catch (error) {
      if (!(error instanceof EtcdLeaseInvalidError)) throw error;
    }
  }

  /** Keys as they are at one moment, by one read that needs a quorum. */
  async #readAll(
    keys: readonly string[],
  ): Promise<{ entries: (StoreEntry | null)[]; term: string }> {
    const answer = await this.#client.call(`reading ${keys.join(" and ")}`, (etcd) =>
      etcd.kv.txn({
        compare: [],
        success: keys.map((key) => ({ request_range: { key: Buffer.from(key) } })),
        failure: [],
      }));
    const entries = answer.responses.map(({ response_range: { kvs } }) => {
      return kvs[0] === undefined ? null : entryOf(kvs[0]);
    });
    return { entries, term: answer.header.raft_term };
  }

  async #list(request: IRangeRequest): Promise<StoreListing> {
    const answer = await this.#client.call(`listing ${request.key}`, (etcd) =>
      etcd.kv.range(request));
    return { entries: answer.kvs.map(entryOf), revision: revisionOf(answer.header.revision) };
  }

  /**
   * One keepalive on a stream of its own: each goes to any server, so a hung one fails this one
   * only, and the time of sending belongs to exactly one answer.
   */
  async #keepAlive(leaseId: string): Promise<{ term: string; ttlMs: number }> {
    const what = "keeping the lease";
    const limitMs = this.#client.callTimeoutMs;
    const deadline = Date.now() + limitMs;
    const stream = await this.#client.call(what, (etcd) =>
      etcd.leaseClient.leaseKeepAlive({ deadline }));
    try {
      return await bounded(what, limitMs, new Promise((resolve, reject) => {
        stream.on("data", ({ header, TTL }) =>
          resolve({ term: header.raft_term, ttlMs: Number(TTL) * SECOND_MS }));
        // What a stream ends with is a fault of the network or the server, whatever its code.
        stream.on("error", (error) => reject(storeUnavailable(what, error)));
        stream.on("end", () => reject(storeUnavailable(what, new Error("the stream ended"))));
        stream.write({ ID: leaseId });
      }));
    } finally {
      stream.on("error", ignoreEnd);
      stream.cancel();
    }
  }
}

/** A cancelled stream reports that it was cancelled. */
function ignoreEnd(): void {}

function compareRevision(key: Buffer, revision: number) {
  return {
    result: "Equal" as const, target: "Mod" as const, key, mod_revision: revision,
  };
}

function entryOf({ key, value, mod_revision: revision }: IKeyValue): StoreEntry {
  return { key: key.toString(), value: value.toString(), revision: revisionOf(revision) };
}

/** etcd counts writes in 64 bits; a cluster never comes near 2^53 of them. */
export function revisionOf(text: string): number {
  const revision = Number(text);
  assert(Number.isSafeInteger(revision), "a revision beyond 2^53");
  return revision;
}
