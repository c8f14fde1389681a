// Bytes on disk of one lane: its log, its outboxes, and what is renamed for removal but still
// there. The lane publishes the total; who refuses or decides early on it is not decided here.

import { assert } from "../base/assert.ts";

/** Kinds of storage of a lane. */
export const STORAGE_LOG = 0;
export const STORAGE_OUTBOX = 1;
/** Renamed, waiting to be unlinked. */
export const STORAGE_GONE = 2;
export type StorageKind = typeof STORAGE_LOG | typeof STORAGE_OUTBOX | typeof STORAGE_GONE;

/** Running sums; one thread writes. */
export class StorageAccount {
  readonly #bytes = new Float64Array(3);

  /** Changes one sum; negative to take away. */
  add(kind: StorageKind, bytes: number): void {
    const after = this.#bytes[kind]! + bytes;
    assert(after >= 0, "no storage is given back twice");
    this.#bytes[kind] = after;
  }

  bytes(kind: StorageKind): number {
    return this.#bytes[kind]!;
  }

  /** Everything on disk. */
  total(): number {
    return this.#bytes[STORAGE_LOG]! + this.#bytes[STORAGE_OUTBOX]! + this.#bytes[STORAGE_GONE]!;
  }
}
