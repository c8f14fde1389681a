// Finds a key among the few that an object may have, in bytes: no string is made of it.

import { assert } from "../../base/assert.ts";
import { QUOTE } from "./cursor.ts";

const SLOTS_MAX = 512;
const FACTORS = [1, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
const EMPTY = -1;

/** Numbers in place of a key's: none of the known ones, no key before, no key after. */
export const KEY_UNKNOWN = -1;
export const KEY_FIRST = -2;
export const KEY_END = -3;

/** Known keys, numbered in the order given: a perfect hash of length and three bytes. */
export class KeyTable {
  readonly slots: Int8Array;
  readonly mask: number;
  readonly factor: number;
  /** Keys one after the other; key n is keys[starts[n], starts[n + 1]). */
  readonly keys: Uint8Array;
  readonly starts: Uint16Array;
  /**
   * Key that came after each key the last time, and after KEY_FIRST and KEY_UNKNOWN; -1 = none.
   * Senders write their objects in one order, so that as a guess it is mostly right.
   */
  readonly followers: Int8Array;

  /** @param names ASCII, at most 127, no two alike in length and the three bytes hashed. */
  constructor(names: readonly string[]) {
    assert(names.length < 128, "the number of a key fits its slot");
    this.keys = Uint8Array.from(Buffer.from(names.join(""), "latin1"));
    this.starts = new Uint16Array(names.length + 1);
    names.forEach((name, index) => {
      this.starts[index + 1] = this.starts[index]! + name.length;
    });
    this.followers = new Int8Array(names.length - KEY_FIRST).fill(KEY_UNKNOWN);
    const { slots, factor } = this.#place(names.length);
    this.slots = slots;
    this.factor = factor;
    this.mask = slots.length - 1;
  }

  /** Number of the key that is bytes[at, end); -1 when it is none of them. */
  find(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) return -1;
    const slot = hash(bytes, at, end, this.factor) & this.mask;
    const index = this.slots[slot]!;
    if (index === EMPTY) return -1;
    const start = this.starts[index]!;
    if (this.starts[index + 1]! - start !== end - at) return -1;
    for (let next = at; next < end; next++) {
      if (bytes[next] !== this.keys[start + next - at]) return -1;
    }
    return index;
  }

  /** Offset of the quote behind the key that begins at `at` when it is that one, else -1. */
  endOfKey(bytes: Uint8Array, at: number, end: number, index: number): number {
    const start = this.starts[index]!;
    const size = this.starts[index + 1]! - start;
    if (at + size >= end || bytes[at + size] !== QUOTE) return -1;
    for (let next = 0; next < size; next++) {
      if (bytes[at + next] !== this.keys[start + next]) return -1;
    }
    return at + size;
  }

  /** The smallest table, and its factor, in which no two keys meet. */
  #place(count: number): { slots: Int8Array; factor: number } {
    for (let size = 8; size <= SLOTS_MAX; size *= 2) {
      for (const factor of FACTORS) {
        const slots = new Int8Array(size).fill(EMPTY);
        let placed = 0;
        for (; placed < count; placed++) {
          const start = this.starts[placed]!;
          const slot = hash(this.keys, start, this.starts[placed + 1]!, factor) & (size - 1);
          if (slots[slot] !== EMPTY) break;
          slots[slot] = placed;
        }
        if (placed === count) return { slots, factor };
      }
    }
    assert(false, "keys of a table differ in what is hashed");
  }
}

function hash(bytes: Uint8Array, at: number, end: number, factor: number): number {
  const length = end - at;
  const third = bytes[at + ((length * 3) >> 2)]!;
  return bytes[at]! * factor + third * 7 + bytes[end - 1]! * 5 + length * 3;
}
