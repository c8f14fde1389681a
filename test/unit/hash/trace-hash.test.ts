import { describe, expect, it } from "vitest";
import { hashTraceId } from "../../../engine/hash/trace-hash.ts";
import { Random } from "../../support/random.ts";

/** HalfSipHash-c-d with a 32-bit tag, byte by byte as its authors describe it. */
function halfSipHash(
  compression: number, finalization: number, keys: readonly [number, number], bytes: Uint8Array,
): number {
  const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by));
  let [v0, v1, v2, v3] = [keys[0], keys[1], 0x6c796765 ^ keys[0], 0x74656462 ^ keys[1]];
  const rounds = (count: number) => {
    for (let round = 0; round < count; round++) {
      v0 = (v0 + v1) | 0;
      v1 = rotate(v1, 5) ^ v0;
      v0 = rotate(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotate(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotate(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotate(v1, 13) ^ v2;
      v2 = rotate(v2, 16);
    }
  };
  const whole = bytes.length - (bytes.length % 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks = [];
  for (let at = 0; at < whole; at += 4) blocks.push(view.getUint32(at, true));
  let last = bytes.length << 24;
  for (let at = whole; at < bytes.length; at++) last |= bytes[at]! << (8 * (at - whole));
  for (const block of [...blocks, last]) {
    v3 ^= block;
    rounds(compression);
    v0 ^= block;
  }
  v2 ^= 0xff;
  rounds(finalization);
  return (v1 ^ v3) >>> 0;
}

const reversedBytes = (value: number) => Buffer.from(Uint32Array.of(value).buffer).toString("hex");

describe("the reference in this test", () => {
  // From the authors' vectors.h, HalfSipHash-2-4: key 00 01 .. 07, message 00 01 .. of that length.
  it.each([
    [0, "a9359f5b"], [1, "27475ab8"], [4, "2a6e4689"], [8, "d0b8848f"], [12, "57f0872f"],
    [15, "74fe2b97"], [16, "d9b5ac84"], [17, "c474645b"],
  ])("answers the published vector of %i bytes", (bytes, tag) => {
    const message = Uint8Array.from({ length: bytes }, (_, index) => index);
    expect(reversedBytes(halfSipHash(2, 4, [0x03020100, 0x07060504], message))).toBe(tag);
  });
});

describe("hashTraceId", () => {
  it("is HalfSipHash-1-3 of the id under a key from the seed", () => {
    const random = Random.fromEnvironment();
    console.log(`trace hash seed ${random.seed}`);
    for (let run = 0; run < 500; run++) {
      const words = Uint32Array.from({ length: 7 }, () => random.word());
      const seed = random.word();
      const at = random.below(4);
      const id = new Uint8Array(words.buffer, at * 4, 16);
      const otherKey = Math.imul(seed, 0x9e3779b1) ^ 0x85ebca77;
      expect(hashTraceId(words, at, seed) >>> 0).toBe(halfSipHash(1, 3, [seed, otherKey], id));
    }
  });

  it("keeps its values, because fingerprints of an earlier run must be found", () => {
    const id = Uint32Array.of(0x4bf92f35, 0x77b34da6, 0xa3ce929d, 0x0e0e4736);
    const hashes = [0, 1, 0x7fffffff, 0xffffffff].map((seed) => hashTraceId(id, 0, seed) >>> 0);
    expect(hashes).toEqual([1779304186, 727407896, 3811903998, 173240916]);
  });

  it("answers small integers only, which are never boxed", () => {
    for (let low = 0; low < 100; low++) {
      const hash = hashTraceId(Uint32Array.of(0, 0, 0, low), 0, 9);
      expect(hash).toBe(hash | 0);
    }
  });

  it("changes half of its bits with any bit of the id or the seed", () => {
    const random = new Random(11);
    for (let bit = 0; bit < 160; bit++) {
      let flipped = 0;
      for (let run = 0; run < 200; run++) {
        const words = Uint32Array.from({ length: 5 }, () => random.word());
        const before = hashTraceId(words, 0, words[4]!);
        words[bit >>> 5] = words[bit >>> 5]! ^ (1 << (bit & 31));
        flipped += bitsSet(before ^ hashTraceId(words, 0, words[4]!));
      }
      expect(flipped / 200).toBeGreaterThan(14.5);
      expect(flipped / 200).toBeLessThan(17.5);
    }
  });
});

function bitsSet(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}
