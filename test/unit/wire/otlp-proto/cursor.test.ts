import { describe, expect, it } from "vitest";
import {
  READ_HIGH, READ_LOW, read, readLength, readTag, readVarint, skipVarint,
} from "../../../../engine/wire/otlp-proto/cursor.ts";
import {
  SCAN_BAD_FIELD, SCAN_BAD_VARINT, SCAN_TRUNCATED,
} from "../../../../engine/wire/scan-codes.ts";
import { ProtoWriter } from "../../../support/proto-wire.ts";

const POWERS = Array.from({ length: 64 }, (_, bit) => 2n ** BigInt(bit));
const VALUES = POWERS.flatMap((power) => [power - 1n, power, power + 1n, (power << 1n) - 1n]);

describe("readVarint", () => {
  it("reads every size of value into two halves, as skipVarint passes it", () => {
    for (const value of VALUES) {
      const bytes = new ProtoWriter().raw([7]).varint(value).raw([7]).build();
      expect(readVarint(bytes, 1, bytes.length - 1)).toBe(bytes.length - 1);
      expect((BigInt(read[READ_HIGH]!) << 32n) | BigInt(read[READ_LOW]!)).toBe(value);
      expect(skipVarint(bytes, 1, bytes.length - 1)).toBe(bytes.length - 1);
    }
  });

  it("refuses more than ten bytes, more than 64 bits, and what is cut", () => {
    const nine = Array.from({ length: 9 }, () => 0x80);
    for (const readOne of [readVarint, skipVarint]) {
      expect(readOne(Uint8Array.of(...nine, 1), 0, 10)).toBe(10);
      expect(readOne(Uint8Array.of(...nine, 2), 0, 10)).toBe(-SCAN_BAD_VARINT);
      expect(readOne(Uint8Array.of(...nine, 0x7f), 0, 10)).toBe(-SCAN_BAD_VARINT);
      expect(readOne(Uint8Array.of(...nine, 0x80, 0), 0, 11)).toBe(-SCAN_BAD_VARINT);
      for (let end = 0; end < 10; end++) {
        expect(readOne(Uint8Array.of(...nine, 1), 0, end)).toBe(-SCAN_TRUNCATED);
      }
    }
  });
});

describe("readTag and readLength", () => {
  it("read every size up to 32 bits, however long it is written", () => {
    const bytes = new Uint8Array(100);
    for (const value of VALUES.filter((each) => each >= 8n && each < 2n ** 32n)) {
      const written = new ProtoWriter().varint(value).build();
      for (let size = written.length; size <= 5; size++) {
        bytes.fill(0x80, 0, size);
        written.forEach((byte, at) => bytes[at] = byte | 0x80);
        bytes[size - 1] = bytes[size - 1]! & 0x7f;
        expect(readTag(bytes, 0, 100)).toBe(size);
        expect(read[READ_LOW]).toBe(Number(value));
        const fits = value <= 100n - BigInt(size);
        expect(readLength(bytes, 0, 100)).toBe(fits ? size : -SCAN_TRUNCATED);
        if (fits) expect(read[READ_LOW]).toBe(size + Number(value));
      }
    }
  });

  it("refuse more than five bytes or 32 bits", () => {
    for (const readOne of [readTag, readLength]) {
      expect(readOne(Uint8Array.of(0x88, 0x80, 0x80, 0x80, 0x10), 0, 5)).toBe(-SCAN_BAD_VARINT);
      expect(readOne(Uint8Array.of(0x88, 0x80, 0x80, 0x80, 0x80, 0), 0, 6)).toBe(-SCAN_BAD_VARINT);
      expect(readOne(Uint8Array.of(0x88, 0x80), 0, 2)).toBe(-SCAN_TRUNCATED);
    }
    expect(readLength(Uint8Array.of(1), 1, 1)).toBe(-SCAN_TRUNCATED);
    expect(readTag(Uint8Array.of(0x80, 0), 0, 2)).toBe(-SCAN_BAD_FIELD);
    expect(readTag(Uint8Array.of(7), 0, 1)).toBe(-SCAN_BAD_FIELD);
  });
});
