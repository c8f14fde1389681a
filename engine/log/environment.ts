// One LMDB environment: one thread writes, reads and closes it. The only file that knows lmdb's
// API.
//
// What lmdb 3.5.6 does that callers must not meet:
// - Reads outside a write transaction call setTimeout, and a lane's timers never fire: read() works
//   inside transact() only. A write transaction that writes nothing leaves the file alone.
// - Values in shared memory crash the process: put() copies nothing, so its callers pass normal
//   memory.
// - When LMDB cannot open an environment, lmdb-js crashes. create() proves that there is space
//   first; see generation-header for what is opened again.
// - A new environment's lock file is sparse and memory-mapped; on a full disk the first touch is
//   SIGBUS. create() writes it out first.
// - Every opened store stays in a module-wide map with its buffers: open() takes it out again.
// - A write that fails for want of space can end the process: DiskPressure asks for space first.
// - After a failed commit an environment can refuse all later ones, and lmdb-js does not look: it
//   is closed, and opened again on the next use.

import * as lmdb from "lmdb";
import { mkdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { assert } from "../base/assert.ts";
import { VALUE_BYTES_MAX } from "./entry-layout.ts";
import type { Durability } from "./log-status.ts";

/** Where an environment's pages are. */
export const DATA_FILE = "data.mdb";
const LOCK_FILE = "lock.mdb";
const SPACE_FILE = "space";
/** More than a new environment's first pages and its first commit. */
const SPACE_BYTES = 65_536;
/** Larger than LMDB's lock file with READERS_MAX readers (checked by a test). */
const LOCK_FILE_BYTES = 8192;
/** We never open read transactions; LMDB wants at least one slot. */
const READERS_MAX = 8;
const PAGE_BYTES = 4096;
/** Values longer than this get pages of their own; LMDB puts two values at least on a leaf. */
const LEAF_VALUE_BYTES_MAX = 2000;
/** Memory that one access through the map can make resident: the kernel maps its surroundings. */
const FAULT_BYTES = 65_536;
const APPEND = { append: true };
/** Commit before transactionSync returns, without a child transaction. */
const SYNCHRONOUS = 2 as lmdb.TransactionFlags;
// Exported by lmdb but absent from its types: every store opened so far, by directory name.
const stores = (lmdb as unknown as { allDbs: Map<string, unknown> }).allDbs;

/** lmdb refused a write or a commit; the transaction is undone and the environment closed. */
export class EnvironmentFailed extends Error {
  /** errno of the system call or LMDB's own negative code; 0 when unknown. */
  readonly errno: number;

  constructor(directory: string, cause: unknown) {
    super(`environment ${directory}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.name = "EnvironmentFailed";
    const code = cause instanceof Error && "code" in cause ? cause.code : 0;
    this.errno = typeof code === "number" ? code : 0;
  }
}

export interface EnvironmentOptions {
  readonly directory: string;
  readonly durability: Durability;
  /** Expected size; the map is made large enough that it need not grow. */
  readonly bytes: number;
}

/** An open or closed environment. One thread. */
export class Environment {
  readonly directory: string;
  readonly #options: EnvironmentOptions;
  #store: lmdb.RootDatabase<Uint8Array, number> | null = null;
  #inTransaction = false;
  #failure: unknown = null;
  /** Upper bound of what was touched through the map since it was opened. */
  touchedBytes = 0;
  /** The value that read() found: bytes [0, valueBytes) of this; borrowed until the next read. */
  value: Uint8Array = new Uint8Array(0);
  valueBytes = 0;

  constructor(options: EnvironmentOptions) {
    assert(options.bytes > 0, "an environment has an expected size");
    this.directory = options.directory;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#store !== null;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /**
   * Makes the directory and its lock file, and opens it. @throws EnvironmentFailed, disk full too.
   */
  create(): void {
    try {
      mkdirSync(this.directory);
      const space = join(this.directory, SPACE_FILE);
      writeFileSync(space, new Uint8Array(SPACE_BYTES));
      unlinkSync(space);
      writeFileSync(join(this.directory, LOCK_FILE), new Uint8Array(LOCK_FILE_BYTES));
    } catch (error) {
      throw new EnvironmentFailed(this.directory, asErrno(error));
    }
    this.open();
  }

  /** Opens what exists. @throws EnvironmentFailed */
  open(): void {
    assert(this.#store === null, "an environment is opened once");
    try {
      this.#store = lmdb.open<Uint8Array, number>(this.directory, {
        noSubdir: false,
        encoding: "binary",
        keyEncoding: "uint32",
        noSync: this.#options.durability === "process",
        overlappingSync: false,
        mapSize: Math.ceil(this.#options.bytes / PAGE_BYTES) * 2 * PAGE_BYTES,
        maxDbs: 1,
        maxReaders: READERS_MAX,
      });
    } catch (error) {
      throw new EnvironmentFailed(this.directory, error);
    }
    stores.delete(basename(this.directory));
    this.touchedBytes = 0;
  }

  /** Gives the map's memory back. Synchronous: nothing of ours is pending in lmdb. */
  close(): void {
    assert(!this.#inTransaction, "no environment is closed in its own transaction");
    const store = this.#store;
    if (store === null) return;
    this.#store = null;
    this.touchedBytes = 0;
    void store.close();
  }

  /**
   * All or nothing: commits what `work` put. What `work` throws itself comes out again, undone.
   * @throws EnvironmentFailed: undone, and the environment is closed.
   */
  transact(work: () => void): void {
    assert(!this.#inTransaction, "transactions are not nested");
    if (this.#store === null) this.open();
    const store = this.#store!; // open() set it or threw
    let finished = false;
    this.#failure = null;
    this.#inTransaction = true;
    try {
      store.transactionSync(() => {
        work();
        finished = true;
      }, SYNCHRONOUS);
      this.#inTransaction = false;
    } catch (error) {
      this.#inTransaction = false;
      if (!finished && this.#failure === null) throw error;
      this.close();
      throw new EnvironmentFailed(this.directory, this.#failure ?? error);
    }
  }

  /** Appends a value; keys ascend. `value` is normal memory, never shared; not kept. */
  put(key: number, value: Uint8Array): void {
    assert(this.#inTransaction, "writes happen inside transact()");
    assert(value.length <= VALUE_BYTES_MAX, "long values are split before they come here");
    try {
      this.#store!.putSync(key, value, APPEND); // open: a transaction is running
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    this.touchedBytes += PAGE_BYTES;
  }

  /**
   * Finds a value; see `value`. Inside transact() only.
   * @returns false when there is none.
   * @throws EnvironmentFailed when LMDB cannot read it; the transaction goes on.
   */
  read(key: number): boolean {
    assert(this.#inTransaction, "reads happen inside transact()");
    let found: Buffer | undefined;
    try {
      found = this.#store!.getBinaryFast(key); // open: a transaction is running
    } catch (error) {
      throw new EnvironmentFailed(this.directory, error);
    }
    if (found === undefined) return false;
    const bytes = found.length; // the value's: lmdb's reused buffer carries it in place of its own
    if (found.buffer !== this.value.buffer || found.byteOffset !== this.value.byteOffset) {
      this.value = new Uint8Array(found.buffer, found.byteOffset, found.byteLength);
    }
    assert(bytes <= VALUE_BYTES_MAX, "no value is longer than a piece");
    this.valueBytes = bytes;
    this.touchedBytes += bytes + FAULT_BYTES;
    return true;
  }

  /** Highest key, 0 when empty. Inside transact() only. */
  lastKey(): number {
    assert(this.#inTransaction, "reads happen inside transact()");
    try {
      const [last] = [...this.#store!.getKeys({ reverse: true, limit: 1 })]; // open: see above
      return last ?? 0;
    } catch (error) {
      throw new EnvironmentFailed(this.directory, error);
    }
  }

  /** Size of the data file now. */
  fileBytes(): number {
    const stat = statSync(join(this.directory, DATA_FILE), { throwIfNoEntry: false });
    return (stat?.size ?? 0) + LOCK_FILE_BYTES;
  }
}

/** Bytes that a value of this size adds to the data file, within a page. */
export function storedBytes(valueBytes: number): number {
  if (valueBytes <= LEAF_VALUE_BYTES_MAX) return valueBytes + 16;
  return Math.ceil((valueBytes + 16) / PAGE_BYTES) * PAGE_BYTES + 16;
}

/** node:fs errors carry a negative errno and a text code; lmdb's a positive number. One shape. */
function asErrno(error: unknown): Error {
  const errno = error instanceof Error && "errno" in error ? Number(error.errno) : 0;
  const text = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(text, { cause: error }), { code: Math.abs(errno) });
}
