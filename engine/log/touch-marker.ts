// Names on disk the generation whose pages are being read. A damaged LMDB file can kill its reader;
// the next process then finds the name and looks at that generation from a safe distance (see
// recovery).
//
// File: u32 generation, 0 for none; rewritten in place, so a full disk cannot refuse it. Not
// fsynced: it has to survive the process, and after a power loss a wrong name costs one needless
// look.

import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { readWord, writeWord } from "./entry-writer.ts";

const WORD_BYTES = 4;

/** The marker file of one lane. One thread. */
export class TouchMarker {
  /**
   * What the process before was reading when it died; 0 for nothing. Said until the first name().
   */
  readonly previous: number;
  /** Marks that could not be written; without one, a damaged file is met again unprepared. */
  failures = 0;
  #file: number | null = null;
  #named = 0;
  readonly #bytes = new Uint8Array(WORD_BYTES);

  constructor(path: string) {
    try {
      this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    } catch {
      this.failures++; // counted: a disk that is full at start must not keep the log from draining
    }
    this.previous = this.#readPrevious();
  }

  /** Generation named now; 0 for none. */
  get named(): number {
    return this.#named;
  }

  /** Names the generation about to be read, 0 when done. */
  name(generation: number): void {
    if (this.#file === null) return;
    this.#named = generation;
    writeWord(this.#bytes, 0, generation);
    try {
      writeSync(this.#file, this.#bytes, 0, WORD_BYTES, 0);
    } catch {
      this.failures++;
    }
  }

  close(): void {
    if (this.#file === null) return;
    closeSync(this.#file);
    this.#file = null;
  }

  #readPrevious(): number {
    if (this.#file === null) return 0;
    const count = readSync(this.#file, this.#bytes, 0, WORD_BYTES, 0);
    return count === WORD_BYTES ? readWord(this.#bytes, 0) : 0;
  }
}
