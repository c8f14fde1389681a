import { describe, expect, it } from "vitest";
import { isInShare, SHARDS, shardOf } from "../../../engine/hash/shard-of.ts";
import { hashTraceId } from "../../../engine/hash/trace-hash.ts";
import { Random } from "../../support/random.ts";

/** MurmurHash3_x86_32, in BigInt so that it shares no trick with the code under test. */
function murmur3(bytes: Uint8Array, seed: number): number {
  const mask = 0xffffffffn;
  const multiply = (value: bigint, by: bigint) => (value * by) & mask;
  const rotate = (value: bigint, by: bigint) => ((value << by) | (value >> (32n - by))) & mask;
  const scramble = (block: bigint) =>
    multiply(rotate(multiply(block, 0xcc9e2d51n), 15n), 0x1b873593n);
  let hash = BigInt(seed);
  const whole = bytes.length - (bytes.length % 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < whole; at += 4) {
    hash = rotate(hash ^ scramble(BigInt(view.getUint32(at, true))), 13n);
    hash = (hash * 5n + 0xe6546b64n) & mask;
  }
  let tail = 0n;
  for (let at = bytes.length - 1; at >= whole; at--) tail = (tail << 8n) | BigInt(bytes[at]!);
  if (whole < bytes.length) hash ^= scramble(tail);
  hash ^= BigInt(bytes.length);
  hash = multiply(hash ^ (hash >> 16n), 0x85ebca6bn);
  hash = multiply(hash ^ (hash >> 13n), 0xc2b2ae35n);
  return Number(hash ^ (hash >> 16n));
}

describe("the reference in this test", () => {
  it.each([
    ["", 0, 0], ["", 1, 0x514e28b7], ["aaaa", 0x9747b28c, 0x5a97808a],
    ["Hello, world!", 0x9747b28c, 0x24884cba],
  ])("answers the published value of %j under %i", (text, seed, hash) => {
    expect(murmur3(new TextEncoder().encode(text), seed)).toBe(hash);
  });
});

describe("shardOf", () => {
  it("is the top 12 bits of MurmurHash3 of the id", () => {
    const random = Random.fromEnvironment();
    console.log(`shard seed ${random.seed}`);
    for (let run = 0; run < 500; run++) {
      const words = Uint32Array.from({ length: 6 }, () => random.word());
      const at = random.below(3);
      const expected = murmur3(new Uint8Array(words.buffer, at * 4, 16), 0) >>> 20;
      expect(shardOf(words, at)).toBe(expected);
    }
  });

  it("never changes", () => {
    const shards = [
      [0, 0, 0, 1], [0, 0, 0, 2], [1, 0, 0, 0], [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0x4bf92f35, 0x77b34da6, 0xa3ce929d, 0x0e0e4736], [0, 0, 0x80f198ee, 0x56343ba8],
    ].map((id) => shardOf(Uint32Array.from(id), 0));
    expect(shards).toEqual([9, 2311, 2338, 3665, 1964, 2074]);
  });

  it.each([
    ["counted ids", (index: number) => [0, 0, 0, index]],
    ["counted 64-bit ids", (index: number) => [0, 0, index * 4_096, 7]],
    ["ids that begin with a time", (index: number) => [1_700_000_000 + (index >>> 6), 0, 0, index]],
  ])("spreads %s evenly", (_what, idOf) => {
    const counts = new Float64Array(SHARDS);
    const each = 64;
    for (let index = 1; index <= SHARDS * each; index++) {
      const shard = shardOf(Uint32Array.from(idOf(index)), 0);
      counts[shard] = counts[shard]! + 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - each) ** 2 / each, 0);
    // Mean SHARDS - 1, deviation sqrt(2 × SHARDS) = 90: six of them are never reached by chance.
    expect(Math.abs(chiSquare - (SHARDS - 1))).toBeLessThan(6 * 90);
  });

  it("says nothing about the table's hash", () => {
    const counts = new Float64Array(16);
    let inShard = 0;
    for (let index = 1; inShard < 1_600; index++) {
      const id = Uint32Array.of(0, 0, 0, index);
      if (shardOf(id, 0) >= SHARDS / 16) continue;
      inShard++;
      const top = hashTraceId(id, 0, 5) >>> 28;
      counts[top] = counts[top]! + 1;
    }
    for (const count of counts) expect(count).toBeGreaterThan(50);
  });
});

describe("isInShare", () => {
  it("halves the traces with every level, in the same traces for everybody", () => {
    const counts = new Float64Array(9);
    const random = Random.fromEnvironment();
    for (let trace = 0; trace < 1 << 16; trace++) {
      const id = Uint32Array.of(random.word(), random.word(), random.word(), random.word());
      for (let level = 0; level < counts.length && isInShare(id, 0, level); level++) {
        counts[level] = counts[level]! + 1;
      }
    }
    for (const [level, count] of counts.entries()) {
      const expected = (1 << 16) / 2 ** level;
      expect(Math.abs(count - expected)).toBeLessThanOrEqual(6 * Math.sqrt(expected));
    }
    expect(counts[0]).toBe(1 << 16);
    // Other releases and nodes agree: golden.
    const golden = Array.from({ length: 40 }, (_, index) => Uint32Array.of(0, 0, 0, index + 1))
      .flatMap((id, index) => isInShare(id, 0, 2) ? [index + 1] : []);
    expect(golden).toMatchInlineSnapshot(`
      [
        6,
        10,
        11,
        12,
        13,
        25,
        34,
        36,
      ]
    `);
  });

  it("says nothing about the shard", () => {
    const counts = new Float64Array(16);
    for (let index = 1; index <= 64_000; index++) {
      const id = Uint32Array.of(0, 7, 0, index);
      if (!isInShare(id, 0, 2)) continue;
      const shard = shardOf(id, 0) % 16;
      counts[shard] = counts[shard]! + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(200);
  });
});
