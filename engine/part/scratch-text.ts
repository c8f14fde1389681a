// Memory for a text that is rewritten before it is compared, such as a string with escapes: one for
// the thread, so that the matcher has a view of it at hand and makes none per value.

import { viewOf } from "./packed-text.ts";

/** A longer text is not rewritten: it is a document, not a name or a value that policies list. */
export const SCRATCH_TEXT_BYTES = 65_536;

/** Holds a text until the next one is rewritten. One thread. */
export const scratchText = new Uint8Array(SCRATCH_TEXT_BYTES);

/** A view of the same memory. */
export const scratchTextView = viewOf(scratchText);
