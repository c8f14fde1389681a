// Writes protobuf into a scratch buffer that belongs to it: each field once, each length as short
// as it can be.
//
// A message's length is known at its end, so room for a guessed length is left at its begin. When
// the guess was too small, what was written moves up, and every message around it gets the longer
// length at once, because it is longer still. So a byte moves at most four times, however deep
// messages lie inside each other: once for each number of bytes that a length can have beyond one.
// Source: protobuf.dev "Encoding".

import { assert } from "../../base/assert.ts";
import { NESTING_MAX } from "../otlp-proto/cursor.ts";

/** Around a span: the request, its ResourceSpans and its ScopeSpans. */
const MESSAGES_AROUND = 3;
/** Messages inside each other that a reader of the output would take, from the span on. */
export const OPEN_MESSAGES_MAX = NESTING_MAX - MESSAGES_AROUND;
/** A size of 31 bits. */
export const SIZE_BYTES_MAX = 5;
const SCRATCH_BYTES_FIRST = 512 * 1024;
/** Up to here a loop beats the call of a copy; see native-bench/render.bench.ts. */
const COPY_BYTES_SMALL = 72;

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

/** Reused; one thread. Room is made by reserve(), nothing else grows it. */
export class ProtoWriter {
  bytes: Buffer;
  at: number;
  /** How far text may run ahead of the source it is copied from, see json-text. */
  aheadMax: number;
  /** Open messages: where their content begins, and the bytes left for their length before it. */
  open: number;
  readonly starts: Uint32Array;
  readonly widths: Uint8Array;

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES_FIRST);
    this.at = 0;
    this.aheadMax = 0;
    this.open = 0;
    this.starts = new Uint32Array(OPEN_MESSAGES_MAX);
    this.widths = new Uint8Array(OPEN_MESSAGES_MAX);
  }

  /** Forgets what was written. */
  reset(): void {
    this.at = 0;
    this.open = 0;
  }

  /** Makes room for so many bytes more. What was written stays, `bytes` may be another buffer. */
  reserve(count: number): void {
    const needed = this.at + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }

  /** Lets go of memory beyond `bytesMax`. Nothing is written then. */
  shrink(bytesMax: number): void {
    this.reset();
    if (this.bytes.length > bytesMax) this.bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES_FIRST);
  }

  /** True while `count` more messages may be opened inside the open ones. */
  canOpen(count: number): boolean {
    return this.open + count <= OPEN_MESSAGES_MAX;
  }

  /**
   * Opens a message, a text or bytes.
   * @param tag one byte: fields up to 15.
   * @param width guess at the bytes of its length.
   */
  begin(tag: number, width: number): void {
    this.bytes[this.at] = tag;
    this.at += 1 + width;
    this.starts[this.open] = this.at;
    this.widths[this.open] = width;
    this.open++;
  }

  /** Closes the message that was opened last. */
  finish(): void {
    this.open--;
    const index = this.open;
    const size = this.at - this.starts[index]!;
    if (size < 0x80 && this.widths[index] === 1) {
      this.bytes[this.starts[index]! - 1] = size;
      return;
    }
    const width = sizeBytes(size);
    if (width > this.widths[index]!) this.#widen(index, width);
    else if (width < this.widths[index]!) this.#narrow(index, width);
    writeVarint(this.bytes, this.starts[index]! - width, size);
  }

  /**
   * Ends a field that was begun without begin(): its tag and one byte for its length lie before
   * `from`, its bytes up to `end`. For the many that hold no other message.
   */
  finishLeaf(from: number, end: number): void {
    const size = end - from;
    if (size < 0x80) {
      this.bytes[from - 1] = size;
      this.at = end;
      return;
    }
    const more = sizeBytes(size) - 1;
    this.bytes.copyWithin(from + more, from, end);
    writeVarint(this.bytes, from - 1, size);
    this.at = end + more;
  }

  varint(tag: number, value: number): void {
    this.bytes[this.at] = tag;
    this.at = writeVarint(this.bytes, this.at + 1, value);
  }

  /** A varint of 64 bits; both halves are u32. */
  varint64(tag: number, low: number, high: number): void {
    this.bytes[this.at++] = tag;
    let restLow = low >>> 0;
    let restHigh = high >>> 0;
    while (restHigh > 0) {
      this.bytes[this.at++] = (restLow & 0x7f) | 0x80;
      restLow = ((restLow >>> 7) | (restHigh << 25)) >>> 0;
      restHigh >>>= 7;
    }
    this.at = writeVarint(this.bytes, this.at, restLow);
  }

  fixed64(tag: number, low: number, high: number): void {
    this.bytes[this.at] = tag;
    this.#word(this.at + 1, low);
    this.#word(this.at + 5, high);
    this.at += 9;
  }

  /** The only one with a tag of two bytes. */
  fixed32(tagLow: number, tagHigh: number, value: number): void {
    this.bytes[this.at] = tagLow;
    this.bytes[this.at + 1] = tagHigh;
    this.#word(this.at + 2, value);
    this.at += 6;
  }

  /** As above, with a tag of one byte. */
  shortFixed32(tag: number, value: number): void {
    this.bytes[this.at] = tag;
    this.#word(this.at + 1, value);
    this.at += 5;
  }

  double(tag: number, value: number): void {
    double[0] = value;
    this.bytes[this.at++] = tag;
    for (let byte = 0; byte < 8; byte++) this.bytes[this.at++] = doubleBytes[byte]!;
  }

  /** Bytes as they are: whole fields, mostly short ones. */
  raw(source: Uint8Array): void {
    if (source.length > COPY_BYTES_SMALL) {
      this.bytes.set(source, this.at);
      this.at += source.length;
      return;
    }
    for (let next = 0; next < source.length; next++) this.bytes[this.at++] = source[next]!;
  }

  #word(at: number, value: number): void {
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
    this.bytes[at + 2] = value >>> 16;
    this.bytes[at + 3] = value >>> 24;
  }

  /** Gives the message and all around it at least `width` bytes of length. */
  #widen(innermost: number, width: number): void {
    let ahead = 0;
    for (let index = 0; index <= innermost; index++) {
      ahead += Math.max(0, width - this.widths[index]!);
    }
    const end = this.at + ahead;
    let segmentEnd = this.at;
    for (let index = innermost; ahead > 0; index--) {
      assert(index >= 0, "the room made is given to open messages");
      const start = this.starts[index]!;
      const before = this.widths[index]!;
      this.bytes.copyWithin(start + ahead, start, segmentEnd);
      this.starts[index] = start + ahead;
      this.widths[index] = Math.max(before, width);
      ahead -= this.widths[index]! - before;
      segmentEnd = start - before;
    }
    this.at = end;
  }

  #narrow(index: number, width: number): void {
    const start = this.starts[index]!;
    const back = this.widths[index]! - width;
    this.bytes.copyWithin(start - back, start, this.at);
    this.starts[index] = start - back;
    this.at -= back;
  }
}

/** Bytes of a size as a varint. */
export function sizeBytes(size: number): number {
  if (size < 0x80) return 1;
  if (size < 0x4000) return 2;
  if (size < 0x20_0000) return 3;
  return size < 0x1000_0000 ? 4 : 5;
}

/** Writes a u32 as a varint; answers the offset after it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let next = at;
  let rest = value;
  while (rest >= 0x80) {
    target[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[next++] = rest;
  return next;
}
