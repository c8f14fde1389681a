// Generations that were retired: renamed, so that no recovery takes them for living ones, and
// unlinked later, one at a time, because unlinking a large file takes milliseconds.

import { readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { syncDirectory } from "./durable-file.ts";
import type { Durability } from "./log-status.ts";
import { STORAGE_GONE } from "./storage-account.ts";
import type { StorageAccount } from "./storage-account.ts";

const GONE = ".gone";

interface GoneDirectory {
  readonly path: string;
  readonly bytes: number;
}

/** Queue of directories to unlink. One thread. */
export class GoneDirectories {
  readonly #queue: GoneDirectory[] = [];
  readonly #storage: StorageAccount;
  readonly #durability: Durability;

  constructor(storage: StorageAccount, durability: Durability) {
    this.#storage = storage;
    this.#durability = durability;
  }

  get count(): number {
    return this.#queue.length;
  }

  /** Takes a generation out of the log, in one step; its bytes are freed by removeNext(). */
  add(directory: string, bytes: number): void {
    const path = `${directory}${GONE}`;
    try {
      renameSync(directory, path);
    } catch {
      // A full disk can refuse even a new name. What removal leaves if it is cut short holds no
      // data file, and recovery removes it.
      rmSync(directory, { recursive: true, force: true });
      return;
    }
    // Generations must disappear in order: states of one are logged in younger ones.
    if (this.#durability === "disk") syncDirectory(dirname(directory));
    this.#queue.push({ path, bytes });
    this.#storage.add(STORAGE_GONE, bytes);
  }

  /** Unlinks the oldest. @returns false when there was none. */
  removeNext(): boolean {
    const next = this.#queue.shift();
    if (next === undefined) return false;
    rmSync(next.path, { recursive: true, force: true });
    this.#storage.add(STORAGE_GONE, -next.bytes);
    return true;
  }
}

/** Unlinks what a former process had no time for. @returns how many. */
export function removeLeftovers(directory: string): number {
  const names = readdirSync(directory).filter((name) => name.endsWith(GONE));
  for (const name of names) rmSync(join(directory, name), { recursive: true, force: true });
  return names.length;
}
