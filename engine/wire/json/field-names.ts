// The field names that an object of some kind may have, as numbers. Names come in the same order in
// object after object, so the one that followed last time is compared first, quotes and colon and
// all; only where that fails is a name read and looked up.
//
// Field (NAME_WORDS i32): [0] field that followed it last time | [1] its text at | [2] its bytes

import { scratchText } from "../../part/scratch-text.ts";
import { SCAN_BAD_JSON } from "../scan-codes.ts";
import { afterColon, lastString, skipSpace } from "./cursor.ts";
import { endOfText, isSameText } from "./text.ts";
import { unescape } from "./unescape.ts";

const QUOTE = 0x22;
const SPACE = 0x20;
const BAD = -SCAN_BAD_JSON;

/** Number of a name that is not listed: its value is passed over. */
export const FIELD_UNKNOWN = 0;

const NAME_NEXT = 0;
const NAME_AT = 1;
const NAME_BYTES = 2;
const NAME_WORDS = 3;
/** Quotes and colon around a name. */
const NAME_SIGNS = 3;

/** The names of one kind of object. One thread. */
export class FieldNames {
  /** Offset of the value behind the name last read, or a scan code with its sign changed. */
  valueAt: number;
  // Every name as `"name":`, one after another; FIELD_UNKNOWN has four zero bytes, which no JSON
  // has.
  readonly text: Uint8Array;
  readonly view: DataView;
  /** NAME_WORDS a field. */
  readonly words: Int32Array;
  readonly count: number;

  /** @param names of the fields 1, 2, 3 …; of ASCII letters and digits. */
  constructor(names: readonly string[]) {
    this.valueAt = 0;
    const texts = ["\0\0\0\0", ...names.map((name) => `"${name}":`)];
    this.text = new TextEncoder().encode(texts.join(""));
    this.view = new DataView(this.text.buffer);
    this.count = names.length + 1;
    this.words = new Int32Array(this.count * NAME_WORDS);
    let at = 0;
    texts.forEach((text, field) => {
      this.words[field * NAME_WORDS + NAME_AT] = at;
      this.words[field * NAME_WORDS + NAME_BYTES] = text.length;
      at += text.length;
    });
  }

  /**
   * Reads the name whose quote should lie at `at` up to its value, whose offset is in `valueAt`.
   * @param before number of the field before it, FIELD_UNKNOWN for the first.
   */
  read(bytes: Uint8Array, view: DataView, at: number, end: number, before: number): number {
    const words = this.words;
    let field = words[before * NAME_WORDS + NAME_NEXT]!;
    let word = field * NAME_WORDS;
    let size = words[word + NAME_BYTES]!;
    if (size >= end - at || !isSameText(view, at, this.view, words[word + NAME_AT]!, size)) {
      // Or that field is left out this time, and the one after it follows.
      field = words[word + NAME_NEXT]!;
      word = field * NAME_WORDS;
      size = words[word + NAME_BYTES]!;
      if (size >= end - at || !isSameText(view, at, this.view, words[word + NAME_AT]!, size)) {
        return this.readSlowly(bytes, view, at, end, before);
      }
    }
    const next = at + size;
    this.valueAt = bytes[next]! > SPACE ? next : skipSpace(bytes, next, end);
    return field;
  }

  readSlowly(bytes: Uint8Array, view: DataView, at: number, end: number, before: number): number {
    if (at >= end || bytes[at] !== QUOTE) {
      this.valueAt = BAD;
      return FIELD_UNKNOWN;
    }
    const close = endOfText(bytes, view, at + 1, end);
    if (close < 0) {
      this.valueAt = close;
      return FIELD_UNKNOWN;
    }
    const isEscaped = lastString.escaped;
    this.valueAt = afterColon(bytes, close + 1, end);
    const field = isEscaped
      ? this.find(scratchText, 0, unescape(bytes, at + 1, close))
      : this.find(bytes, at + 1, close);
    this.words[before * NAME_WORDS + NAME_NEXT] = field;
    return field;
  }

  /** Number of the name bytes[at, end). */
  find(bytes: Uint8Array, at: number, end: number): number {
    const size = end - at;
    for (let field = 1; field < this.count; field++) {
      const word = field * NAME_WORDS;
      if (this.words[word + NAME_BYTES] !== size + NAME_SIGNS) continue;
      const start = this.words[word + NAME_AT]! + 1;
      let offset = 0;
      while (offset < size && bytes[at + offset] === this.text[start + offset]) offset++;
      if (offset === size) return field;
    }
    return FIELD_UNKNOWN;
  }
}
