// Kinds of entries of a frame and how many u32 words each has: the structs of frame.fbs.
//
// [0..3] bytes that follow | a FlatBuffer: root, vtable, table, vectors of entries, note
// A frame of nothing, the four bytes alone, is a ping.

import { endianness } from "node:os";
import { assert } from "../base/assert.ts";
import { DECISION_KIND } from "../part/decision-layout.ts";
import { MESSAGE_WORDS } from "../part/part-layout.ts";

export const FRAME_REMEMBERED = 0;
export const FRAME_FINGERPRINT = 1;
export const FRAME_PART = 2;
export const FRAME_COMPLETE = 3;
export const FRAME_WITNESS = 4;
export const FRAME_WITNESSED = 5;
export const FRAME_DECISION = 6;
export type FrameKind = typeof FRAME_REMEMBERED | typeof FRAME_FINGERPRINT | typeof FRAME_PART
  | typeof FRAME_COMPLETE | typeof FRAME_WITNESS | typeof FRAME_WITNESSED | typeof FRAME_DECISION;

/** Words of an entry, by kind. */
export const FRAME_WORDS: readonly number[] = [13, 3, 20, 2, 15, 1, 14];
export const FRAME_KINDS = FRAME_WORDS.length;
/** Entries of all kinds together: the largest frame must find room in a ring of the receiver. */
export const FRAME_ENTRIES_MAX = 4_096;
/** UTF-16 units of a note: it is about one thing, at most all that is known of a trace. */
export const FRAME_NOTE_CHARACTERS_MAX = 256 * 1024;
/** A UTF-16 unit has three bytes of UTF-8 at most. */
export const FRAME_NOTE_BYTES_MAX = 3 * FRAME_NOTE_CHARACTERS_MAX;
/** Largest frame that is taken. 4,096 parts have 320 KiB; there is room for later versions. */
export const FRAME_BYTES_MAX = 4 * 1024 * 1024;
/** The u32 before a frame that says its bytes. */
export const FRAME_PREFIX_BYTES = 4;

/** Tables, vectors' sizes and padding are far smaller than this. */
const FRAME_OVERHEAD_BYTES = 1024;

assert(endianness() === "LE", "words of frames are little-endian and copied as memory");
assert(FRAME_WORDS[FRAME_PART] === MESSAGE_WORDS, "a part is a message between lanes");
assert(FRAME_WORDS[FRAME_WITNESS] === DECISION_KIND, "a question to a witness fits its slot");
assert(FRAME_ENTRIES_MAX * Math.max(...FRAME_WORDS) * 4 + FRAME_NOTE_BYTES_MAX
  + FRAME_OVERHEAD_BYTES <= FRAME_BYTES_MAX, "every frame that is written can be taken");
