// Policy sets as nodes publish them: the text under its hash, so that every node can fold spans for
// the policies of the node that decides.

import { GatewayError } from "../base/errors.ts";
import { isUnavailable, type ClusterStore } from "./cluster-store.ts";

export const POLICY_SETS_PREFIX = "/tailrace/policy-sets/";
/** etcd takes requests up to 1.5 MiB; a set of 128 policies is a few KB. */
export const POLICY_SET_BYTES_MAX = 1024 * 1024;
/** Sets that stay; beyond it the oldest that no member of the map has are deleted. */
export const POLICY_SETS_MAX = 32;

/** Reads and writes sets; they never change under their hash. */
export class PolicySetStore {
  readonly #store: ClusterStore;

  constructor(store: ClusterStore) {
    this.#store = store;
  }

  /**
   * Publishes a set.
   * @param usedHashes sets that members of the map decide by: they stay.
   * @throws GatewayError CONFIG_INVALID when it is too large.
   */
  async put(hash: string, text: string, usedHashes: ReadonlySet<string>): Promise<void> {
    const bytes = Buffer.byteLength(text);
    if (bytes > POLICY_SET_BYTES_MAX) {
      throw new GatewayError(
        "CONFIG_INVALID",
        `the policies of all samplers have ${bytes} bytes and a cluster takes at most `
        + `${POLICY_SET_BYTES_MAX}: shorten their lists of values`,
        { bytes },
      );
    }
    const key = POLICY_SETS_PREFIX + hash;
    await this.#store.compareAndSet(key, 0, text, null); // one that is there is the same
    await this.#deleteOldest(new Set([...usedHashes, hash]));
  }

  /** The text of a set; null when nobody has published it. */
  async get(hash: string): Promise<string | null> {
    return (await this.#store.get(POLICY_SETS_PREFIX + hash))?.value ?? null;
  }

  /** As `get`; answers with the error when a later try may succeed. */
  async tryGet(hash: string): Promise<string | null | Error> {
    try {
      return await this.get(hash);
    } catch (error) {
      if (isUnavailable(error)) return error as Error; // a GatewayError
      throw error;
    }
  }

  async #deleteOldest(kept: ReadonlySet<string>): Promise<void> {
    const { entries } = await this.#store.listKeys(POLICY_SETS_PREFIX);
    const unused = entries
      .filter(({ key }) => !kept.has(key.slice(POLICY_SETS_PREFIX.length)))
      .sort((left, right) => left.revision - right.revision);
    const excess = Math.max(0, entries.length - POLICY_SETS_MAX);
    for (const { key, revision } of unused.slice(0, excess)) {
      await this.#store.compareAndDelete(key, revision, null);
    }
  }
}
