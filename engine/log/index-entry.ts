// The INDEX entry of a record: what is known of it without its body. See entry-layout.

import { PART_SPANS, PART_WORDS } from "../part/part-layout.ts";
import {
  INDEX_ARRIVAL_HIGH, INDEX_ARRIVAL_LOW, INDEX_BODY_BYTES, INDEX_BYTES, INDEX_FORMAT,
  INDEX_HEADER_WORDS, INDEX_INITIAL_STATE, INDEX_PARTS, INDEX_SPANS, PREFIX_BYTES,
} from "./entry-layout.ts";
import { readWord } from "./entry-writer.ts";

const WORD_BYTES = 4;
const U32 = 0x1_0000_0000;
const VALUE_BYTES_FIRST = 64 * 1024;
/** A value up to this size stays allocated for the next record. */
const VALUE_BYTES_KEPT = 8 * 1024 * 1024;

/** What the log needs of a record index; RecordIndex has this shape. */
export interface RecordParts {
  /** PART_WORDS each. */
  readonly parts: Uint32Array;
  readonly partCount: number;
  readonly spanCount: number;
  readonly format: number;
  encodedBytes(): number;
  encodeInto(target: Uint8Array, at: number): number;
}

/** Builds INDEX values in one reused buffer. One thread. */
export class IndexEntryEncoder {
  #words = new Uint32Array(VALUE_BYTES_FIRST / WORD_BYTES);
  #bytes = new Uint8Array(this.#words.buffer);

  /** @returns the value with room for its prefix; borrowed until the next call. */
  encode(
    index: RecordParts, bodyBytes: number, bodyPieces: number, initialState: number,
    arrivalMs: number,
  ): Uint8Array {
    const indexBytes = index.encodedBytes();
    const spansEnd = INDEX_HEADER_WORDS + index.partCount;
    const end = spansEnd * WORD_BYTES + indexBytes;
    this.#reserve(end);
    const words = this.#words;
    words[INDEX_BODY_BYTES] = bodyBytes;
    words[INDEX_FORMAT] = index.format | (bodyPieces << 8);
    words[INDEX_PARTS] = index.partCount;
    words[INDEX_SPANS] = index.spanCount;
    words[INDEX_INITIAL_STATE] = initialState;
    words[INDEX_ARRIVAL_LOW] = arrivalMs % U32;
    words[INDEX_ARRIVAL_HIGH] = Math.floor(arrivalMs / U32);
    words[INDEX_BYTES] = indexBytes;
    for (let part = 0; part < index.partCount; part++) {
      words[INDEX_HEADER_WORDS + part] = index.parts[part * PART_WORDS + PART_SPANS]!;
    }
    if (indexBytes > 0) index.encodeInto(this.#bytes, spansEnd * WORD_BYTES);
    return this.#bytes.subarray(0, end);
  }

  #reserve(bytes: number): void {
    const held = this.#bytes.length;
    if (bytes <= held && (held <= VALUE_BYTES_KEPT || bytes > VALUE_BYTES_KEPT)) return;
    let capacity = VALUE_BYTES_FIRST;
    while (capacity < bytes) capacity *= 2;
    this.#words = new Uint32Array(capacity / WORD_BYTES);
    this.#bytes = new Uint8Array(this.#words.buffer);
  }
}

/** An INDEX value read back. One thread; reused. */
export class IndexEntry {
  /** Keys of the body. */
  bodyPieces = 0;
  bodyBytes = 0;
  format = 0;
  partCount = 0;
  spanCount = 0;
  initialState = 0;
  arrivalMs = 0;
  /** The record index is bytes[at, end) of what was decoded. */
  at = 0;
  end = 0;
  /** Spans of each part. */
  spans: Uint32Array = new Uint32Array(256);

  /** @param bytes the value without its prefix. @returns false when its counts do not fill it. */
  decode(bytes: Uint8Array, at: number, end: number): boolean {
    const headerEnd = at + INDEX_HEADER_WORDS * WORD_BYTES - PREFIX_BYTES;
    if (headerEnd > end) return false;
    const base = at - PREFIX_BYTES;
    const format = readWord(bytes, base + INDEX_FORMAT * WORD_BYTES);
    this.bodyBytes = readWord(bytes, base + INDEX_BODY_BYTES * WORD_BYTES);
    this.format = format & 0xff;
    this.bodyPieces = format >>> 8;
    this.partCount = readWord(bytes, base + INDEX_PARTS * WORD_BYTES);
    this.spanCount = readWord(bytes, base + INDEX_SPANS * WORD_BYTES);
    this.initialState = readWord(bytes, base + INDEX_INITIAL_STATE * WORD_BYTES);
    this.arrivalMs = readWord(bytes, base + INDEX_ARRIVAL_LOW * WORD_BYTES)
      + readWord(bytes, base + INDEX_ARRIVAL_HIGH * WORD_BYTES) * U32;
    const indexBytes = readWord(bytes, base + INDEX_BYTES * WORD_BYTES);
    if (end - headerEnd !== this.partCount * WORD_BYTES + indexBytes) return false;
    this.at = headerEnd + this.partCount * WORD_BYTES;
    this.end = end;
    return this.bodyPieces >= 1;
  }

  /** Fills `spans` from the same value. */
  decodeSpans(bytes: Uint8Array): void {
    if (this.partCount > this.spans.length) this.spans = new Uint32Array(this.partCount * 2);
    let at = this.at - this.partCount * WORD_BYTES;
    for (let part = 0; part < this.partCount; part++, at += WORD_BYTES) {
      this.spans[part] = readWord(bytes, at);
    }
  }
}
