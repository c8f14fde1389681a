// A cursor over protobuf fields for the slow paths of forwarding: JSON rendering and answers of
// backends. Ingest has scanners of its own.
// Source: protobuf.dev, "Encoding".

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

const VARINT_BYTES_MAX = 10;
const FIELD_MAX = 536_870_911;

/** Walks the fields of one message, bytes[at, end). The last field's value is in the cursor. */
export class ProtoReader {
  readonly bytes: Buffer;
  field = 0;
  wire = 0;
  /** A varint's, fixed64's or fixed32's value in two u32 halves. */
  low = 0;
  high = 0;
  /** Range of a length-delimited value. */
  bodyAt = 0;
  bodyEnd = 0;
  /** True once the message turned out to be malformed; `next` is false from then on. */
  malformed = false;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Reads the next field; false at the end and at the first malformed byte. */
  next(): boolean {
    if (this.malformed) return false;
    if (this.#at === this.#end) return false;
    if (!this.#readVarint()) return false;
    this.wire = this.low & 7;
    this.field = this.high * 0x20000000 + (this.low >>> 3);
    if (this.field < 1 || this.field > FIELD_MAX) return this.#fail();
    if (this.wire === WIRE_VARINT) return this.#readVarint();
    if (this.wire === WIRE_BYTES) return this.#readRange();
    if (this.wire === WIRE_FIXED64) return this.#readFixed(8);
    if (this.wire === WIRE_FIXED32) return this.#readFixed(4);
    return this.#fail(); // groups were never part of OTLP
  }

  /** The length-delimited value as text; what is not UTF-8 becomes U+FFFD. */
  text(): string {
    return this.bytes.toString("utf8", this.bodyAt, this.bodyEnd);
  }

  #readRange(): boolean {
    if (!this.#readVarint()) return false;
    if (this.high !== 0 || this.low > this.#end - this.#at) return this.#fail();
    this.bodyAt = this.#at;
    this.bodyEnd = this.#at + this.low;
    this.#at = this.bodyEnd;
    return true;
  }

  #readFixed(width: number): boolean {
    if (width > this.#end - this.#at) return this.#fail();
    this.low = this.bytes.readUInt32LE(this.#at);
    this.high = width === 8 ? this.bytes.readUInt32LE(this.#at + 4) : 0;
    this.#at += width;
    return true;
  }

  #readVarint(): boolean {
    const limit = Math.min(this.#end, this.#at + VARINT_BYTES_MAX);
    this.low = 0;
    this.high = 0;
    let shift = 0;
    while (this.#at < limit) {
      const byte = this.bytes[this.#at++]!;
      const value = byte & 0x7f;
      if (shift < 28) this.low |= value << shift;
      else if (shift === 28) {
        this.low |= value << 28;
        this.high = value >>> 4;
      } else this.high |= value << (shift - 32);
      if (byte < 0x80) {
        this.low >>>= 0;
        this.high >>>= 0;
        return true;
      }
      shift += 7;
    }
    return this.#fail();
  }

  #fail(): boolean {
    this.malformed = true;
    return false;
  }
}
