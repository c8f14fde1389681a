// Puts values of any length into an environment: prefix, checksum, pieces.

import { assert } from "../base/assert.ts";
import { copyBytes } from "../base/copy-bytes.ts";
import { checksum } from "./checksum.ts";
import {
  KIND_CONTINUATION, PIECES_MAX, PIECE_BYTES_MAX, PREFIX_BYTES, PREFIX_SUM_AT, VALUE_BYTES_MAX,
  pieceCount,
} from "./entry-layout.ts";
import { storedBytes } from "./environment.ts";
import type { Environment } from "./environment.ts";

const STAGING_BYTES_FIRST = 64 * 1024;

/** Writes entries through one reused buffer of at most VALUE_BYTES_MAX. One thread. */
export class EntryWriter {
  /** Normal memory: lmdb crashes on shared memory. */
  #staging = Buffer.allocUnsafeSlow(STAGING_BYTES_FIRST);
  /** What the last put added to the data file, about. */
  addedBytes = 0;

  /**
   * Copies bytes[at, end) into one value, or several under the keys from `key` on.
   * @param bytes any memory; borrowed until return.
   * @returns the keys used.
   */
  put(
    environment: Environment, key: number, kind: number, bytes: Uint8Array, at: number, end: number,
  ): number {
    const pieces = pieceCount(end - at);
    assert(pieces <= PIECES_MAX, "pieces are counted in 16 bits");
    this.addedBytes = 0;
    for (let piece = 0; piece < pieces; piece++) {
      const from = at + piece * PIECE_BYTES_MAX;
      const to = Math.min(from + PIECE_BYTES_MAX, end);
      const staging = this.#stagingOf(PREFIX_BYTES + to - from);
      copyBytes(bytes, from, to, staging, PREFIX_BYTES);
      const valueKind = piece === 0 ? kind : KIND_CONTINUATION;
      this.#putValue(
        environment, key + piece, valueKind, piece === 0 ? pieces : 0,
        staging.subarray(0, PREFIX_BYTES + to - from),
      );
    }
    return pieces;
  }

  /**
   * Puts a value whose first PREFIX_BYTES are room for the prefix; without a copy when it is short.
   * @param value normal memory; its prefix is written.
   * @returns the keys used.
   */
  putPrefixed(environment: Environment, key: number, kind: number, value: Uint8Array): number {
    if (value.length > VALUE_BYTES_MAX) {
      return this.put(environment, key, kind, value, PREFIX_BYTES, value.length);
    }
    this.addedBytes = 0;
    this.#putValue(environment, key, kind, 1, value);
    return 1;
  }

  #putValue(
    environment: Environment, key: number, kind: number, pieces: number, value: Uint8Array,
  ): void {
    const word = (kind | (pieces << 16)) >>> 0;
    writeWord(value, 0, word);
    writeWord(value, PREFIX_SUM_AT, checksum(value, PREFIX_BYTES, value.length, word));
    environment.put(key, value);
    this.addedBytes += storedBytes(value.length);
  }

  #stagingOf(bytes: number): Buffer {
    if (bytes > this.#staging.length) {
      const doubled = Math.max(bytes, this.#staging.length * 2);
      this.#staging = Buffer.allocUnsafeSlow(Math.min(doubled, VALUE_BYTES_MAX));
    }
    return this.#staging;
  }
}

/** Writes a little-endian u32 at any alignment. */
export function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

/** Reads a little-endian u32 at any alignment. */
export function readWord(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8);
  return (low | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
