// A row: everything the owner knows about one undecided trace, ROW_WORDS u32 words. It begins with
// the part layout, so that a fold of parts is judged by the same code as a part.
//
// [0..12] fold of the trace's parts, see part-layout.ts; in a row in use the id is not all zero
// [13] first link, 0 = none (in a free row: the next free row) | [14] links
// [15] low 16: samplers that have not decided | high 16: the owner's own flags
// [16] first seen, ms by the lane's monotonic clock
// [17] deadline, tick; 0 = not scheduled | [18] timer next | [19] timer previous
// A timer neighbour is a row, or TIMER_BUCKET | bucket at either end of a bucket's list.

import { PART_WORDS } from "../part/part-layout.ts";

export const ROW_LINK_FIRST = PART_WORDS;
export const ROW_LINKS = PART_WORDS + 1;
export const ROW_UNDECIDED = PART_WORDS + 2;
export const ROW_SEEN_MS = PART_WORDS + 3;
export const ROW_DEADLINE = PART_WORDS + 4;
export const ROW_TIMER_NEXT = PART_WORDS + 5;
export const ROW_TIMER_PREVIOUS = PART_WORDS + 6;
export const ROW_WORDS = PART_WORDS + 7;

/** Set in a timer neighbour that is a bucket and not a row. */
export const TIMER_BUCKET = 0x80000000;

// A link: where one part of the row's trace lies. LINK_WORDS u32 words.
// [0] next link, 0 = last | [1] holder lane u8 << 24 | index of the part u24
// [2] generation | [3] entry
export const LINK_NEXT = 0;
export const LINK_PLACE = 1;
export const LINK_GENERATION = 2;
export const LINK_ENTRY = 3;
export const LINK_WORDS = 4;

export const LINK_HOLDER_SHIFT = 24;
/** Parts of one record: their index fits the low bits of LINK_PLACE. */
export const LINK_INDEX_MAX = 0xffffff;
export const LINK_HOLDER_MAX = 0xff;
