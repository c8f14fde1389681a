// Reads one frame into words. FlatBuffers in JavaScript does not verify what it reads: every place
// and length is checked here, against the end of what it lies in, before it is used, and what is
// no frame is an answer, never an exception.
//
//   size ─► root ─► table ─► vtable: place of each field in the table ─► vector: count, entries

import * as flatbuffers from "flatbuffers";
import {
  FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, FRAME_KINDS, FRAME_NOTE_BYTES_MAX, FRAME_PREFIX_BYTES,
  FRAME_WORDS, type FrameKind,
} from "./frame-layout.ts";

const FIRST_WORDS = 4096;
/** Prefix, root, table's way to its vtable, the vtable's two sizes. */
const FRAME_BYTES_MIN = FRAME_PREFIX_BYTES + 12;

// Places in the vtable: fields as frame.fbs has them, behind the two sizes, two bytes each.
const FIELD_EPOCH = 4;
const FIELD_SEQUENCE = 6;
/** Of kind 0; the others follow, because kinds are numbered as their fields are ordered. */
const FIELD_ENTRIES = 8;
const FIELD_NOTE = FIELD_ENTRIES + 2 * FRAME_KINDS;

/** One thread's; used again and again. */
export class FrameReader {
  epoch = 0;
  sequence = 0;
  note = "";
  /** Entries of all kinds, those of a kind from wordsAt(kind) on. Borrowed until the next read. */
  words = new Uint32Array(FIRST_WORDS);
  /** Entries of all kinds; at most FRAME_ENTRIES_MAX. */
  entries = 0;
  readonly #starts = new Uint32Array(FRAME_KINDS);
  readonly #counts = new Uint32Array(FRAME_KINDS);
  readonly #text = new TextDecoder();

  count(kind: FrameKind): number {
    return this.#counts[kind]!;
  }

  wordsAt(kind: FrameKind): number {
    return this.#starts[kind]!;
  }

  /**
   * @param bytes a frame behind its size; any bytes may be in it.
   * @returns false when it is no frame; there is nothing in the reader then.
   */
  read(bytes: Uint8Array): boolean {
    this.#forget();
    const buffer = new flatbuffers.ByteBuffer(bytes);
    const table = tableOf(buffer, bytes.length);
    if (table >= 0 && this.#takeEntries(buffer, bytes, table)
      && this.#takeNote(buffer, bytes, table)) {
      this.epoch = wordOf(buffer, table, FIELD_EPOCH);
      this.sequence = wordOf(buffer, table, FIELD_SEQUENCE);
      return true;
    }
    this.#forget();
    return false;
  }

  #forget(): void {
    this.epoch = 0;
    this.sequence = 0;
    this.note = "";
    this.entries = 0;
    this.#counts.fill(0);
    this.#starts.fill(0);
  }

  #takeEntries(buffer: flatbuffers.ByteBuffer, bytes: Uint8Array, table: number): boolean {
    let at = 0;
    for (let kind = 0; kind < FRAME_KINDS; kind++) {
      this.#starts[kind] = at;
      const place = placeOf(buffer, table, FIELD_ENTRIES + 2 * kind);
      if (place === 0) continue;
      const vector = targetOf(buffer, place, bytes.length);
      if (vector < 0) return false;
      const count = buffer.readUint32(vector);
      // Bounded before it is multiplied: vectors may overlap, and so say much in few bytes.
      if (count > FRAME_ENTRIES_MAX - this.entries) return false;
      const words = count * FRAME_WORDS[kind]!;
      if (words * 4 > bytes.length - vector - 4) return false;
      this.#counts[kind] = count;
      this.entries += count;
      this.#copy(bytes, vector + 4, words, at);
      at += words;
    }
    return true;
  }

  /** Any alignment: where a frame lies in what a socket gave is chance. */
  #copy(bytes: Uint8Array, from: number, words: number, at: number): void {
    if (words === 0) return;
    if (at + words > this.words.length) {
      const grown = new Uint32Array(Math.max(at + words, this.words.length * 2));
      grown.set(this.words);
      this.words = grown;
    }
    new Uint8Array(this.words.buffer, at * 4, words * 4)
      .set(bytes.subarray(from, from + words * 4));
  }

  #takeNote(buffer: flatbuffers.ByteBuffer, bytes: Uint8Array, table: number): boolean {
    const place = placeOf(buffer, table, FIELD_NOTE);
    if (place === 0) return true;
    const text = targetOf(buffer, place, bytes.length);
    if (text < 0) return false;
    const length = buffer.readUint32(text);
    if (length > FRAME_NOTE_BYTES_MAX || length > bytes.length - text - 4) return false;
    if (length > 0) this.note = this.#text.decode(bytes.subarray(text + 4, text + 4 + length));
    return true;
  }
}

/**
 * Where the root's table begins, or -1. The table and its vtable lie in the frame then, and every
 * field that the vtable names has four bytes in the table: all fields of a frame have.
 */
function tableOf(buffer: flatbuffers.ByteBuffer, end: number): number {
  if (end < FRAME_BYTES_MIN || end > FRAME_BYTES_MAX) return -1;
  if (buffer.readUint32(0) !== end - FRAME_PREFIX_BYTES) return -1;
  const table = targetOf(buffer, FRAME_PREFIX_BYTES, end);
  if (table < 0) return -1;
  const vtable = table - buffer.readInt32(table);
  if (vtable < FRAME_PREFIX_BYTES || vtable > end - 4) return -1;
  const vtableBytes = buffer.readUint16(vtable);
  const tableBytes = buffer.readUint16(vtable + 2);
  if (vtableBytes < 4 || vtableBytes % 2 !== 0 || vtableBytes > end - vtable) return -1;
  if (tableBytes < 4 || tableBytes > end - table) return -1;
  for (let at = 4; at < vtableBytes; at += 2) {
    const field = buffer.readUint16(vtable + at);
    if (field !== 0 && (field < 4 || field > tableBytes - 4)) return -1;
  }
  return table;
}

/** Where a field of a checked table lies, or 0 when it is absent. */
function placeOf(buffer: flatbuffers.ByteBuffer, table: number, field: number): number {
  const vtable = table - buffer.readInt32(table);
  if (field >= buffer.readUint16(vtable)) return 0;
  const inTable = buffer.readUint16(vtable + field);
  return inTable === 0 ? 0 : table + inTable;
}

/** Where the offset at a place leads, with four bytes there, or -1. Offsets lead forward only. */
function targetOf(buffer: flatbuffers.ByteBuffer, place: number, end: number): number {
  const offset = buffer.readUint32(place);
  return offset < 4 || offset > end - 4 - place ? -1 : place + offset;
}

function wordOf(buffer: flatbuffers.ByteBuffer, table: number, field: number): number {
  const place = placeOf(buffer, table, field);
  return place === 0 ? 0 : buffer.readUint32(place);
}
