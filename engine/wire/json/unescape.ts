// The text of a JSON string that has escapes, as UTF-8 in the thread's scratch memory: for
// comparing names and values, which hardly ever have any.

import { SCRATCH_TEXT_BYTES, scratchText } from "../../part/scratch-text.ts";
import { copied, copyText } from "./json-text.ts";

/** What one replaced byte may write beyond those that were read. */
const GROWTH_BYTES_MAX = 2;

/**
 * Writes the text of the string contents bytes[at, close), checked before, to scratchText.
 * @returns its size in bytes, or -1 when it might not fit.
 */
export function unescape(bytes: Uint8Array, at: number, close: number): number {
  if (close - at > SCRATCH_TEXT_BYTES - GROWTH_BYTES_MAX) return -1;
  copyText(bytes, at, close, scratchText, 0, -at);
  return copied.targetEnd;
}
