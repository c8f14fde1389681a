// Entries of a generation: values of one LMDB environment under ascending u32 keys from 1 on,
// without gaps. The key of a record's first entry is the record's "entry", part of its identity.
//
// Every value starts with a prefix:
//   [0] kind u8 | [1] unused | [2] pieces u16 | [4] checksum of all after it, seeded by word 0
// A value longer than VALUE_BYTES_MAX lies in `pieces` values under consecutive keys; all but the
// first have kind CONTINUATION, their own checksum, and pieces 0.
//
// INDEX, first entry of a record: what is read to recover, without touching the body
//   [8] body bytes | [12] format u8, body pieces << 8 | [16] parts | [20] spans
//   [24] initial state | [28] arrival ms low | [32] arrival ms high | [36] index bytes
//   [40] spans of each part, u32 | then the record index, opaque here
// BODY, the record's next entry: [8] the inflated payload META, first entry of every generation:
// [8] format version u32 | [12] text of the lane, opaque here DECISIONS, KEPT, MEMORY: [8] u32
// words of the lane STATES: [8] u32 words: [generation, entry, count | flag, (index, state) ×
// count] …
//   With STATES_CHANGED_ONLY the pairs are the parts that changed; without, parts not listed are 0.
//
// All numbers are little-endian. A kind never gets a second meaning.

import { endianness } from "node:os";
import { assert } from "../base/assert.ts";

/** Version of this layout; a log with a higher one is refused, lower ones are read. */
export const LOG_FORMAT_VERSION = 1;

export const KIND_META = 1;
export const KIND_INDEX = 2;
export const KIND_BODY = 3;
export const KIND_CONTINUATION = 4;
/** Decisions that this lane made as owner: DECISION_WORDS each. */
export const KIND_DECISIONS = 5;
/** Decisions that keep parts which this lane holds: DECISION_WORDS each. */
export const KIND_KEPT = 6;
export const KIND_STATES = 7;
/** Everything that the lane remembers of decisions, exported anew. */
export const KIND_MEMORY = 8;
/** Kinds whose words belong to the lane. */
export type WordsKind = typeof KIND_DECISIONS | typeof KIND_KEPT | typeof KIND_MEMORY;

export const PREFIX_BYTES = 8;
export const PREFIX_SUM_AT = 4;

// Words of an INDEX value, counted from the start of the value.
export const INDEX_BODY_BYTES = 2;
export const INDEX_FORMAT = 3;
export const INDEX_PARTS = 4;
export const INDEX_SPANS = 5;
export const INDEX_INITIAL_STATE = 6;
export const INDEX_ARRIVAL_LOW = 7;
export const INDEX_ARRIVAL_HIGH = 8;
export const INDEX_BYTES = 9;
export const INDEX_HEADER_WORDS = 10;

export const META_TEXT_AT = PREFIX_BYTES + 4;

// Words of one record in a STATES value.
export const STATES_GENERATION = 0;
export const STATES_ENTRY = 1;
export const STATES_COUNT = 2;
export const STATES_HEADER_WORDS = 3;
export const STATES_CHANGED_ONLY = 0x8000_0000;

/**
 * Largest value put into LMDB. Above 16 MiB lmdb-js hands out the memory map itself instead of a
 * copy, which outlives the environment; this stays far below and bounds the copy buffers.
 */
export const VALUE_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of a long value in one piece. */
export const PIECE_BYTES_MAX = VALUE_BYTES_MAX - PREFIX_BYTES;
/** Words of one value; a multiple of 16, so that decisions are never split. */
export const WORDS_PER_ENTRY_MAX = (PIECE_BYTES_MAX / 4) & ~15;
/** Pieces are counted in 16 bits. */
export const PIECES_MAX = 0xffff;
/** Longest META text: policy names and forwarder names of one policy set. */
export const META_BYTES_MAX = 1024 * 1024;

assert(endianness() === "LE", "the log's words are little-endian and copied as memory");
assert(PREFIX_BYTES % 8 === 0, "words after the prefix are aligned");
assert(META_BYTES_MAX < PIECE_BYTES_MAX, "META is never split");

/** Pieces of a value with `bytes` after its prefix. */
export function pieceCount(bytes: number): number {
  return bytes === 0 ? 1 : Math.ceil(bytes / PIECE_BYTES_MAX);
}
