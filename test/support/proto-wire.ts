// Protobuf's wire for tests: a writer that can also write what no encoder would, and a reader that
// throws on anything malformed. Slow, plain and independent of the engine's.

import assert from "node:assert/strict";

/** Writes fields in call order into a growing array. */
export class ProtoWriter {
  #bytes = new Uint8Array(128);
  #size = 0;

  varint(value: bigint | number): this {
    if (typeof value === "number" && value >= 0 && value < 128) return this.raw([value]);
    let rest = BigInt.asUintN(64, BigInt(value));
    const encoded: number[] = [];
    while (rest > 127n) {
      encoded.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    encoded.push(Number(rest));
    return this.raw(encoded);
  }

  tag(field: number, wireType: number): this {
    return this.varint(field * 8 + wireType);
  }

  raw(bytes: ArrayLike<number>): this {
    while (this.#size + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
    return this;
  }

  /** A varint field. */
  number(field: number, value: bigint | number): this {
    return this.tag(field, 0).varint(value);
  }

  fixed64(field: number, value: bigint): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    return this.tag(field, 1).raw(bytes);
  }

  double(field: number, value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    return this.tag(field, 1).raw(bytes);
  }

  fixed32(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.tag(field, 5).raw(bytes);
  }

  /** A length-delimited field. */
  bytes(field: number, value: Uint8Array): this {
    return this.tag(field, 2).varint(value.length).raw(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  build(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }
}

/** One field as read: numbers as unsigned bigint, length-delimited values as bytes. */
export interface ProtoField {
  readonly field: number;
  readonly wireType: number;
  readonly number: bigint;
  readonly bytes: Uint8Array;
}

/** All fields of a message in order. Throws on truncation, bad varints, bad wire types, groups. */
export function readFields(bytes: Uint8Array): ProtoField[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      assert.ok(at < bytes.length, "truncated varint");
      assert.ok(shift < 70n, "varint of more than ten bytes");
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wireType = tag & 7;
    const field = Math.floor(tag / 8);
    assert.ok(field > 0, "field number 0");
    const found = { field, wireType, number: 0n, bytes: bytes.subarray(0, 0) };
    if (wireType === 0) {
      found.number = varint();
    } else {
      assert.ok([1, 2, 5].includes(wireType), `wire type ${wireType}`);
      const size = wireType === 1 ? 8 : wireType === 5 ? 4 : Number(varint());
      assert.ok(size <= bytes.length - at, "field passes the end");
      if (wireType === 1) found.number = view.getBigUint64(at, true);
      if (wireType === 5) found.number = BigInt(view.getUint32(at, true));
      if (wireType === 2) found.bytes = bytes.subarray(at, at + size);
      at += size;
    }
    fields.push(found);
  }
  return fields;
}
