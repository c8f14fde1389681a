// A fixed set of strings, asked by byte range: open addressing, at most half full. The strings are
// the operator's, so a client cannot make the walks long.

import { hashText, isPacked, packText, viewOf } from "./packed-text.ts";

/** Strings fixed at construction; empty ones are left out. */
export class ValueSet {
  readonly values: Uint32Array[];
  readonly sizes: Uint32Array;
  readonly bytesMax: number;
  /** 1 for each size that a string has: most values fail here, unread. */
  readonly hasSize: Uint8Array;
  /** Index into `values`, or -1. */
  readonly slots: Int32Array;

  constructor(texts: readonly string[]) {
    const encoder = new TextEncoder();
    const encoded = texts.filter((text) => text !== "").map((text) => encoder.encode(text));
    this.values = encoded.map(packText);
    this.sizes = Uint32Array.from(encoded, (text) => text.length);
    this.bytesMax = this.sizes.reduce((most, size) => Math.max(most, size), 0);
    this.hasSize = new Uint8Array(this.bytesMax + 1);
    let slotCount = 2;
    while (slotCount < encoded.length * 2) slotCount *= 2;
    this.slots = new Int32Array(slotCount).fill(-1);
    encoded.forEach((text, index) => {
      this.hasSize[text.length] = 1;
      let slot = hashText(viewOf(text), 0, text.length) & (slotCount - 1);
      while (this.slots[slot] !== -1) slot = (slot + 1) & (slotCount - 1);
      this.slots[slot] = index;
    });
  }

  /** True when the bytes [at, end) of the view are one of the strings. */
  has(view: DataView, at: number, end: number): boolean {
    const size = end - at;
    if (size > this.bytesMax || this.hasSize[size] === 0) return false;
    const mask = this.slots.length - 1;
    let slot = hashText(view, at, end) & mask;
    let index = this.slots[slot]!;
    while (index !== -1) {
      const sizeFits = this.sizes[index] === size;
      if (sizeFits && isPacked(view, at, end, this.values[index]!, 0)) return true;
      slot = (slot + 1) & mask;
      index = this.slots[slot]!;
    }
    return false;
  }
}
