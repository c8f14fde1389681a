// Disk space kept for the moment when there is none: without it a log that filled its disk could
// not even commit that something is settled, and so never give space back. A file of zeros, removed
// when a commit without new records finds the disk full, written again when there is room.

import { closeSync, existsSync, openSync, rmSync, statSync, writeSync } from "node:fs";

const CHUNK_BYTES = 1024 * 1024;

/** The reserve of one log; 0 bytes for none. One thread. */
export class ReserveFile {
  readonly #path: string;
  readonly #bytes: number;
  #held: boolean;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#held = bytes === 0 || (existsSync(path) && statSync(path).size === bytes);
  }

  /** True while the space is there, and records may be taken. */
  get held(): boolean {
    return this.#held;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Gives the space to the file system. @returns false when there was none to give. */
  release(): boolean {
    if (this.#bytes === 0 || !this.#held) return false;
    rmSync(this.#path, { force: true });
    this.#held = false;
    return true;
  }

  /** Takes the space back, all or nothing. */
  restore(): void {
    if (this.#held) return;
    try {
      this.#write();
      this.#held = true;
    } catch {
      rmSync(this.#path, { force: true }); // still no room: `held` says so, and it is tried again
    }
  }

  #write(): void {
    const zeros = new Uint8Array(Math.min(CHUNK_BYTES, this.#bytes));
    const file = openSync(this.#path, "w", 0o644);
    try {
      for (let left = this.#bytes; left > 0;) {
        left -= writeSync(file, zeros, 0, Math.min(left, zeros.length));
      }
    } finally {
      closeSync(file);
    }
  }
}
