import { describe, expect, it } from "vitest";
import { OPEN_MESSAGES_MAX, ProtoWriter } from "../../../../engine/wire/json/proto-writer.ts";
import { ProtoWriter as SlowWriter } from "../../../support/proto-wire.ts";
import { Random } from "../../../support/random.ts";

/** A message of random content, with both writers. */
function writeRandom(random: Random, writer: ProtoWriter, depth: number): SlowWriter {
  const slow = new SlowWriter();
  for (let count = random.below(5); count > 0; count--) {
    if (depth < 12 && random.chance(0.5)) {
      writer.begin(0x0a, 1 + random.below(3));
      slow.bytes(1, writeRandom(random, writer, depth + 1).build());
      writer.finish();
      continue;
    }
    const size = [3, 100, 125, 130, 16_380, 17_000][random.below(random.chance(0.1) ? 6 : 4)]!;
    const bytes = new Uint8Array(size).fill(random.below(256));
    writer.reserve(size + 2000);
    writer.begin(0x12, 1);
    writer.raw(bytes);
    writer.finish();
    slow.bytes(2, bytes);
  }
  return slow;
}

describe("ProtoWriter", () => {
  it("gives every message the shortest length, whatever was guessed", () => {
    const random = Random.fromEnvironment();
    console.log(`proto-writer: TAILRACE_SEED=${random.seed}`);
    const writer = new ProtoWriter();
    for (let round = 0; round < 300; round++) {
      writer.reset();
      const slow = writeRandom(random, writer, 0).build();
      expect(Buffer.compare(writer.bytes.subarray(0, writer.at), slow)).toBe(0);
      expect(writer.open).toBe(0);
    }
  });

  it("closes messages of every depth around a large text", () => {
    const writer = new ProtoWriter();
    writer.reserve(3_000_000);
    for (let depth = 0; depth < OPEN_MESSAGES_MAX; depth++) {
      expect(writer.canOpen(1)).toBe(true);
      writer.begin(0x0a, 1);
    }
    expect(writer.canOpen(1)).toBe(false);
    const text = new Uint8Array(2_097_000).fill(7);
    writer.raw(text);
    let slow: Uint8Array = text;
    for (let depth = 0; depth < OPEN_MESSAGES_MAX; depth++) {
      writer.finish();
      slow = new SlowWriter().bytes(1, slow).build();
    }
    expect(Buffer.compare(writer.bytes.subarray(0, writer.at), slow)).toBe(0);
  });

  it("writes numbers as protobuf has them", () => {
    const writer = new ProtoWriter();
    const slow = new SlowWriter();
    const values = [0n, 1n, 127n, 128n, 2n ** 28n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 35n, 2n ** 63n,
      2n ** 64n - 1n];
    for (const value of values) {
      const low = Number(value & 0xffff_ffffn);
      const high = Number(value >> 32n);
      writer.varint64(0x18, low, high);
      writer.fixed64(0x39, low, high);
      writer.varint(0x20, low);
      writer.shortFixed32(0x35, low);
      writer.fixed32(0x85, 0x01, low);
      slow.number(3, value).fixed64(7, value).number(4, low).fixed32(6, low).fixed32(16, low);
    }
    writer.double(0x21, -1.5e300);
    slow.double(4, -1.5e300);
    expect(Uint8Array.from(writer.bytes.subarray(0, writer.at))).toEqual(slow.build());
  });

  it("lets go of large memory only", () => {
    const writer = new ProtoWriter();
    const first = writer.bytes;
    writer.raw(Uint8Array.of(1, 2, 3));
    writer.shrink(first.length);
    expect(writer.bytes).toBe(first);
    writer.raw(Uint8Array.of(1, 2, 3));
    writer.reserve(first.length * 5);
    expect(writer.bytes.length).toBeGreaterThanOrEqual(first.length * 5);
    expect([...writer.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
    writer.shrink(first.length);
    expect(writer.bytes.length).toBe(first.length);
    expect(writer.at).toBe(0);
  });
});
