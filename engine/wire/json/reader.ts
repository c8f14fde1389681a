// Walks the members of one JSON value for a renderer. What it walks was scanned, so it is not
// checked again; but whatever the bytes say, it stays inside of them and comes to an end: text that
// is no JSON ends every object and array that is open.

import {
  CLOSE_ARRAY, CLOSE_OBJECT, COLON, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE, endOfString,
  skipSpace, skipValue,
} from "./cursor.ts";
import { copied, copyText } from "./json-text.ts";
import { KEY_END, KEY_FIRST, type KeyTable } from "./key-table.ts";

const END = KEY_END;
const FIRST = KEY_FIRST;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const NOTHING = new Uint8Array(0);
/** Longest text that is read with its escapes resolved: keys, ids, numbers, names of enums. */
const PLAIN_BYTES_MAX = 512;
/** Replacements need no room here: a text with one is none of those. */
const NEVER_AHEAD = -PLAIN_BYTES_MAX;

/** Reused; one thread. Plain fields, because the renderers read and move `at` themselves. */
export class JsonReader {
  bytes: Uint8Array;
  /** Next byte to read; at a value after nextMember() and nextElement(). */
  at: number;
  end: number;
  /** First byte of the last member's key. */
  keyAt: number;
  // The text that takePlain() found, escapes resolved.
  textBytes: Uint8Array;
  textAt: number;
  textEnd: number;
  readonly resolved: Uint8Array;

  constructor() {
    this.bytes = NOTHING;
    this.at = 0;
    this.end = 0;
    this.keyAt = 0;
    this.textBytes = NOTHING;
    this.textAt = 0;
    this.textEnd = 0;
    this.resolved = new Uint8Array(PLAIN_BYTES_MAX);
  }

  /** Borrows bytes[at, end). */
  open(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Gives the borrowed memory back. */
  close(): void {
    this.open(NOTHING, 0, 0);
    this.textBytes = NOTHING;
  }

  /** Steps into the object at `at`; passes over any other value and answers false. */
  enterObject(): boolean {
    return this.#enter(OPEN_OBJECT);
  }

  /** Steps into the array at `at`; passes over any other value and answers false. */
  enterArray(): boolean {
    return this.#enter(OPEN_ARRAY);
  }

  /**
   * Steps to the value of the next member.
   * @param last what the call before answered, KEY_FIRST at first.
   * @returns the number of its key, KEY_UNKNOWN, or KEY_END behind the object's end.
   */
  nextMember(keys: KeyTable, last: number): number {
    if (!this.nextKey()) return END;
    const follower = last - FIRST;
    const guess = keys.followers[follower]!;
    if (guess >= 0) {
      const keyEnd = keys.endOfKey(this.bytes, this.keyAt, this.end, guess);
      if (keyEnd >= 0) {
        this.at = keyEnd + 1;
        return this.nextValue() ? guess : END;
      }
    }
    const close = this.#readText(this.keyAt);
    this.at = close < 0 ? this.end : close + 1;
    const found = keys.find(this.textBytes, this.textAt, this.textEnd);
    keys.followers[follower] = found;
    return this.nextValue() ? found : END;
  }

  /** Steps to the key of the next member, `keyAt` and not read yet; false behind the end. */
  nextKey(): boolean {
    const { bytes, end } = this;
    let next = this.at;
    // Most JSON has no white space at all: looked for only where something else is missing.
    if (next < end && bytes[next] === COMMA) next++;
    if (next >= end || bytes[next] !== QUOTE) {
      next = this.#afterComma();
      if (next >= end || bytes[next] !== QUOTE) {
        this.at = next < end && bytes[next] === CLOSE_OBJECT ? next + 1 : end;
        return false;
      }
    }
    this.keyAt = next + 1;
    return true;
  }

  /** Steps from behind the quote of a key to its value; false when there is none. */
  nextValue(): boolean {
    const { bytes, end } = this;
    let next = this.at;
    if (next >= end || bytes[next] !== COLON) {
      next = skipSpace(bytes, next, end);
      if (next >= end || bytes[next] !== COLON) {
        this.at = end;
        return false;
      }
    }
    next++;
    if (next < end && bytes[next]! <= SPACE) next = skipSpace(bytes, next, end);
    this.at = next;
    return next < end;
  }

  /** Steps to the next element; false behind the array's end. */
  nextElement(): boolean {
    const { bytes, end } = this;
    const next = this.#afterComma();
    if (next >= end) {
      this.at = end;
      return false;
    }
    const byte = bytes[next]!;
    this.at = byte === CLOSE_ARRAY ? next + 1 : next;
    if (byte === CLOSE_OBJECT) this.at = end;
    return byte !== CLOSE_ARRAY && byte !== CLOSE_OBJECT;
  }

  /** Passes over the value at `at`; what is in `text…` may change. */
  skip(): void {
    if (this.isString()) {
      const close = this.#readText(this.at + 1);
      this.at = close < 0 ? this.end : close + 1;
      return;
    }
    const after = this.at < this.end ? skipValue(this.bytes, this.at, this.end, 0) : -1;
    this.at = after < 0 ? this.end : after;
  }

  /** True when the value at `at` is a string. */
  isString(): boolean {
    return this.at < this.end && this.bytes[this.at] === QUOTE;
  }

  /**
   * Takes a short string, or the text of a number or literal, into `text…` and passes over it.
   * @returns false when the value is an object, an array, or a long string with escapes.
   */
  takePlain(): boolean {
    const from = this.at;
    if (this.isString()) {
      const close = this.#readText(from + 1);
      this.at = close < 0 ? this.end : close + 1;
      return close >= 0 && this.textEnd >= this.textAt;
    }
    this.skip();
    this.textBytes = this.bytes;
    this.textAt = from;
    this.textEnd = this.at;
    const byte = from < this.end ? this.bytes[from] : OPEN_OBJECT;
    return byte !== OPEN_OBJECT && byte !== OPEN_ARRAY;
  }

  /**
   * Leaves the text of the string from `at` on in `text…`, with textEnd < textAt when it has
   * escapes and is too long for what we know; answers where its closing quote is.
   */
  #readText(at: number): number {
    const { bytes, end } = this;
    let close = at;
    while (close < end) {
      const byte = bytes[close]!;
      if (byte === QUOTE) {
        this.textBytes = bytes;
        this.textAt = at;
        this.textEnd = close;
        return close;
      }
      if (byte < SPACE || byte === BACKSLASH) break;
      close++;
    }
    return this.#readEscaped(at);
  }

  #readEscaped(at: number): number {
    const close = endOfString(this.bytes, at, this.end);
    if (close < 0) return close;
    this.textBytes = this.bytes;
    this.textAt = at;
    this.textEnd = at - 1;
    if (close - at > PLAIN_BYTES_MAX) return close;
    copyText(this.bytes, at, close, this.resolved, 0, NEVER_AHEAD - this.end);
    this.textBytes = this.resolved;
    this.textAt = 0;
    this.textEnd = copied.targetEnd;
    return close;
  }

  /** Offset of what follows, white space and a comma passed. */
  #afterComma(): number {
    const next = skipSpace(this.bytes, this.at, this.end);
    if (next >= this.end || this.bytes[next] !== COMMA) return next;
    return skipSpace(this.bytes, next + 1, this.end);
  }

  #enter(open: number): boolean {
    if (this.at < this.end && this.bytes[this.at] === open) {
      this.at++;
      return true;
    }
    this.skip();
    return false;
  }
}
