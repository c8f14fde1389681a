// Reading records back: body and index, checked, several in one transaction.

import { KIND_BODY, KIND_INDEX } from "./entry-layout.ts";
import { EntryReader, READ_CORRUPT, READ_MISSING, READ_OK } from "./entry-reader.ts";
import type { ReadStatus } from "./entry-reader.ts";
import { EnvironmentFailed } from "./environment.ts";
import type { GenerationSet } from "./generation-set.ts";
import type { Generation } from "./generation.ts";
import { IndexEntry } from "./index-entry.ts";

/** A payload read back: bytes[at, end), borrowed until the next read of any log in this thread. */
export interface BorrowedBody {
  bytes: Uint8Array;
  at: number;
  end: number;
}

/** A record's index read back: bytes[at, end), borrowed as a body is; and what stands beside it. */
export interface BorrowedIndex extends BorrowedBody {
  format: number;
  /** Wall clock. */
  arrivalMs: number;
  partCount: number;
  spanCount: number;
  bodyBytes: number;
}

/** Reads of one log. One thread; the answers are reused objects. */
export class LogReader {
  readonly #set: GenerationSet;
  readonly #unverifiedMs: number;
  readonly #nowMs: () => number;
  readonly #reader = new EntryReader();
  readonly #entry = new IndexEntry();
  readonly #body: BorrowedBody = { bytes: new Uint8Array(0), at: 0, end: 0 };
  readonly #index: BorrowedIndex = {
    bytes: new Uint8Array(0), at: 0, end: 0, format: 0, arrivalMs: 0, partCount: 0, spanCount: 0,
    bodyBytes: 0,
  };
  /** Values that failed their checksum, and environments that LMDB could not read. */
  corruptReads = 0;
  /** Why the last environment could not be read; null before one could not. */
  lastError: EnvironmentFailed | null = null;

  /** @param unverifiedMs see LaneLogOptions.unverifiedReadMs. @param nowMs monotonic clock. */
  constructor(set: GenerationSet, unverifiedMs: number, nowMs: () => number) {
    this.#set = set;
    this.#unverifiedMs = unverifiedMs;
    this.#nowMs = nowMs;
  }

  /** Runs `work` so that its reads of this generation share one transaction. */
  reading(generation: number, work: () => void): ReadStatus {
    const found = this.#set.find(generation);
    if (found === undefined) return READ_MISSING;
    try {
      this.#set.reading(found, work);
      return READ_OK;
    } catch (error) {
      if (!(error instanceof EnvironmentFailed)) throw error;
      this.lastError = error;
      this.corruptReads++;
      return READ_CORRUPT;
    }
  }

  /** @returns null when the record is gone or corrupt. */
  readIndex(generation: number, entry: number): BorrowedIndex | null {
    const found = this.#set.find(generation);
    if (found === undefined || found.states.partsOf(entry) === 0) return null;
    if (!this.#read(found, entry, KIND_INDEX)) return null;
    const { bytes, at, end } = this.#reader;
    if (!this.#entry.decode(bytes, at, end)) {
      this.corruptReads++;
      return null;
    }
    const index = this.#index;
    const decoded = this.#entry;
    index.bytes = bytes;
    index.at = decoded.at;
    index.end = decoded.end;
    index.format = decoded.format;
    index.arrivalMs = decoded.arrivalMs;
    index.partCount = decoded.partCount;
    index.spanCount = decoded.spanCount;
    index.bodyBytes = decoded.bodyBytes;
    return index;
  }

  /** @returns null when the record is gone or corrupt. */
  readRecord(generation: number, entry: number): BorrowedBody | null {
    const found = this.#set.find(generation);
    if (found === undefined || found.states.partsOf(entry) === 0) return null;
    if (!this.#read(found, found.bodyEntry(entry), KIND_BODY)) return null;
    const body = this.#body;
    body.bytes = this.#reader.bytes;
    body.at = this.#reader.at;
    body.end = this.#reader.end;
    return body;
  }

  #read(generation: Generation, key: number, kind: number): boolean {
    let whole = false;
    const opened = this.reading(generation.id, () => {
      const verified = this.#nowMs() - generation.writtenMs >= this.#unverifiedMs;
      whole = this.#reader.read(generation.environment, key, kind, verified) === READ_OK;
    });
    if (opened === READ_OK && !whole) this.corruptReads++; // else counted by reading()
    return opened === READ_OK && whole;
  }
}
