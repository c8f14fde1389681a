// Gets values of any length out of an environment, checked.

import { assert } from "../base/assert.ts";
import {
  KIND_CONTINUATION, PIECE_BYTES_MAX, PREFIX_BYTES, PREFIX_SUM_AT, VALUE_BYTES_MAX,
} from "./entry-layout.ts";
import { checksum } from "./checksum.ts";
import { readWord } from "./entry-writer.ts";
import { EnvironmentFailed } from "./environment.ts";
import type { Environment } from "./environment.ts";

/** The value is there and whole. */
export const READ_OK = 0;
/** There is no such key. */
export const READ_MISSING = 1;
/** The value fails its checksum, is of another kind, lacks a piece, or LMDB cannot reach it. */
export const READ_CORRUPT = 2;
export type ReadStatus = typeof READ_OK | typeof READ_MISSING | typeof READ_CORRUPT;

/** A joined value up to this size stays allocated for the next one. */
const JOINED_BYTES_KEPT = 4 * VALUE_BYTES_MAX;
const NOTHING = new Uint8Array(0);

/** Reads one value at a time. One thread; used inside transactions of the environment. */
export class EntryReader {
  /** The value is bytes[at, end), its prefix left out; borrowed until the next read. */
  bytes: Uint8Array = NOTHING;
  at = 0;
  end = 0;
  /** Kind and pieces of the value; 0 when it is corrupt. */
  kind = 0;
  pieces = 0;
  #joined = NOTHING;
  #verified = true;

  /**
   * Reads the value under `key`, all its pieces.
   * @param kind expected, or 0 for any.
   * @param verified false: the checksum is not looked at.
   */
  read(environment: Environment, key: number, kind: number, verified = true): ReadStatus {
    this.#verified = verified;
    this.kind = 0;
    this.pieces = 0;
    const status = this.#readPiece(environment, key);
    if (status !== READ_OK) return status;
    const value = environment.value;
    const foundKind = value[0]!;
    const pieces = value[2]! | (value[3]! << 8);
    if (kind !== 0 && foundKind !== kind) return READ_CORRUPT;
    if (pieces === 0 && foundKind !== KIND_CONTINUATION) return READ_CORRUPT;
    this.kind = foundKind;
    this.pieces = pieces;
    if (pieces > 1) return this.#join(environment, key, pieces);
    if (this.#joined.length > JOINED_BYTES_KEPT) this.#joined = NOTHING;
    this.bytes = value;
    this.at = PREFIX_BYTES;
    this.end = environment.valueBytes;
    return READ_OK;
  }

  #readPiece(environment: Environment, key: number): ReadStatus {
    try {
      if (!environment.read(key)) return READ_MISSING;
    } catch (error) {
      if (error instanceof EnvironmentFailed) return READ_CORRUPT;
      throw error;
    }
    const bytes = environment.valueBytes;
    if (bytes < PREFIX_BYTES) return READ_CORRUPT;
    const value = environment.value;
    if (!this.#verified) return READ_OK;
    const sum = checksum(value, PREFIX_BYTES, bytes, readWord(value, 0));
    return sum === readWord(value, PREFIX_SUM_AT) ? READ_OK : READ_CORRUPT;
  }

  #join(environment: Environment, key: number, pieces: number): ReadStatus {
    if (environment.valueBytes !== VALUE_BYTES_MAX) return READ_CORRUPT;
    if (this.#joined.length < pieces * PIECE_BYTES_MAX) {
      this.#joined = new Uint8Array(pieces * PIECE_BYTES_MAX);
    }
    let end = 0;
    for (let piece = 0; piece < pieces; piece++) {
      if (piece > 0) {
        const status = this.#readPiece(environment, key + piece);
        if (status !== READ_OK) return READ_CORRUPT;
        if (environment.value[0] !== KIND_CONTINUATION) return READ_CORRUPT;
      }
      assert(environment.valueBytes <= VALUE_BYTES_MAX, "no value is longer than a piece");
      const last = piece === pieces - 1;
      if (!last && environment.valueBytes !== VALUE_BYTES_MAX) return READ_CORRUPT;
      this.#joined.set(environment.value.subarray(PREFIX_BYTES, environment.valueBytes), end);
      end += environment.valueBytes - PREFIX_BYTES;
    }
    this.bytes = this.#joined;
    this.at = 0;
    this.end = end;
    return READ_OK;
  }
}
