// The record that a walk has under its hand: its index, with whose predicate bits its parts are.
// Bits of another policy set mean nothing, so the payload is scanned again by the predicates that
// are wanted. Part numbers and trace ids stay: they depend on the payload alone.

import type { LaneLog } from "../log/lane-log.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import { SCAN_OK } from "../wire/scan-codes.ts";
import { scanPayload } from "../wire/scan-payload.ts";
import { OWN_BITS, UNKNOWN_BITS, type ForeignSets } from "./foreign-sets.ts";

/** Written by its lane only. */
export class HeldRecord {
  readonly index: RecordIndex;
  /** When the record came, ms since the Unix epoch. */
  arrivalMs = 0;
  /** Bytes of payloads that were scanned again, of all records. */
  scannedBytes = 0;
  readonly #log: LaneLog;
  readonly #foreign: ForeignSets;
  readonly #isCurrent: (generation: number) => boolean;
  #generation = 0;
  /** 0 = none is held. */
  #entry = 0;
  #bits = UNKNOWN_BITS;

  /** @param isCurrent whether the bits of a generation's parts are those of the loaded policies. */
  constructor(
    index: RecordIndex, log: LaneLog, foreign: ForeignSets,
    isCurrent: (generation: number) => boolean,
  ) {
    this.index = index;
    this.#log = log;
    this.#foreign = foreign;
    this.#isCurrent = isCurrent;
  }

  isHeld(generation: number, entry: number): boolean {
    return this.#entry === entry && this.#generation === generation;
  }

  /**
   * Has the record in the index, whatever its bits. A record with many parts is gone on with again
   * and again: it is read once.
   * @param isOwn the record was scanned by this process: its bits are current.
   * @returns false when it cannot be read.
   */
  hold(generation: number, entry: number, isOwn: boolean): boolean {
    if (this.isHeld(generation, entry)) return true;
    this.#entry = 0;
    const found = this.#log.readIndex(generation, entry);
    if (found === null || !this.index.decodeFrom(found.bytes, found.at, found.end)) return false;
    this.arrivalMs = found.arrivalMs; // before the next read takes the memory
    this.#bits = isOwn || this.#isCurrent(generation) ? OWN_BITS : UNKNOWN_BITS;
    this.#generation = generation;
    this.#entry = entry;
    return true;
  }

  /** Gives the parts the bits of a policy set. @returns false when the record cannot be read. */
  foldBy(bits: number): boolean {
    if (this.#bits === bits) return true;
    const { index } = this;
    const parts = index.partCount;
    const body = this.#log.readRecord(this.#generation, this.#entry);
    const isFolded = body !== null && scanPayload(index.format, body.bytes, body.at, body.end,
      this.#foreign.matcherOf(bits), index) === SCAN_OK && index.partCount === parts;
    if (body !== null) this.scannedBytes += body.end - body.at;
    if (isFolded) this.#bits = bits;
    else this.#entry = 0;
    return isFolded;
  }
}
