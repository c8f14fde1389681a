import { describe, expect, it } from "vitest";
import { HashIndex, INDEX_NUMBERS_MAX } from "../../../engine/traces/hash-index.ts";
import { Random } from "../../support/random.ts";

const WALK_SLOTS = 256;

function candidates(index: HashIndex, hash: number): number[] {
  const found = [];
  for (let number = index.first(hash); number !== 0; number = index.next()) found.push(number);
  return found;
}

describe("HashIndex", () => {
  it("answers every number stored under a hash, and none of another home", () => {
    const index = new HashIndex(100, 0.5);
    expect(candidates(index, 0xdeadbeef)).toEqual([]);
    expect(index.insert(0xdeadbeef, 7)).toBe(true);
    expect(index.insert(0xdeadbeef, 100)).toBe(true);
    expect(index.insert(0x1eadbeef, 3)).toBe(true);
    expect(candidates(index, 0xdeadbeef)).toEqual([7, 100]);
    expect(candidates(index, 0x1eadbeef)).toEqual([3]);
    expect(candidates(index, 0x5eadbeef)).toEqual([]);
    expect(index.count).toBe(3);
  });

  it("takes a hash as u32 and as i32 alike", () => {
    const index = new HashIndex(10, 0.5);
    index.insert(0xfedcba98, 4);
    expect(candidates(index, 0xfedcba98 | 0)).toEqual([4]);
    index.remove(0xfedcba98 | 0, 4);
    expect(candidates(index, 0xfedcba98)).toEqual([]);
  });

  it("has room at both ends of the hash range", () => {
    const index = new HashIndex(64, 0.75);
    for (let number = 1; number <= 64; number++) {
      expect(index.insert(number <= 32 ? 0xffffffff : 0, number)).toBe(true);
    }
    expect(candidates(index, 0xffffffff)).toHaveLength(32);
    expect(candidates(index, 0)).toHaveLength(32);
  });

  it("refuses a number whose walk is full, and keeps all others", () => {
    const index = new HashIndex(1_000, 0.5);
    for (let number = 1; number <= WALK_SLOTS; number++) {
      expect(index.insert(0x80000000, number)).toBe(true);
    }
    expect(index.insert(0x80000000, 999)).toBe(false);
    expect(index.count).toBe(WALK_SLOTS);
    expect(candidates(index, 0x80000000)).toHaveLength(WALK_SLOTS);
    index.remove(0x80000000, 1);
    expect(index.insert(0x80000000, 999)).toBe(true);
    expect(candidates(index, 0x80000000)).toContain(999);
  });

  it("leaves nothing behind when everything is removed", () => {
    const random = Random.fromEnvironment();
    console.log(`hash index seed ${random.seed}`);
    const index = new HashIndex(500, 0.7);
    const hashes = Array.from({ length: 500 }, () => random.word() & 0xff0000ff);
    hashes.forEach((hash, number) => expect(index.insert(hash, number + 1)).toBe(true));
    const order = hashes.map((_, number) => number).sort(() => random.below(3) - 1);
    for (const number of order) index.remove(hashes[number]!, number + 1);
    expect(index.count).toBe(0);
    expect(index.slots.every((slot) => slot === 0)).toBe(true);
  });

  it("finds what is stored after any order of inserts and removals in crowded homes", () => {
    const random = Random.fromEnvironment();
    console.log(`hash index seed ${random.seed}`);
    const index = new HashIndex(300, 0.75);
    const stored = new Map<number, number>();
    for (let step = 0; step < 20_000; step++) {
      const number = 1 + random.below(300);
      const hash = stored.get(number);
      if (hash === undefined) {
        const fresh = (random.below(24) << 27) | random.below(4); // few homes, long walks
        if (index.insert(fresh, number)) stored.set(number, fresh);
      } else {
        index.remove(hash, number);
        stored.delete(number);
      }
      if (step % 50 !== 0) continue;
      for (const [each, itsHash] of stored) expect(candidates(index, itsHash)).toContain(each);
      expect(index.count).toBe(stored.size);
    }
    expect(stored.size).toBeGreaterThan(50);
  });

  it("asserts that what is removed was stored", () => {
    const index = new HashIndex(10, 0.5);
    index.insert(5, 1);
    expect(() => index.remove(5, 2)).toThrow("only a stored number");
    expect(() => index.remove(0xf0000000, 1)).toThrow("only a stored number");
  });

  it("refuses numbers that do not fit a slot", () => {
    expect(() => new HashIndex(0, 0.5)).toThrow("holds something");
    expect(() => new HashIndex(10, 0.9)).toThrow("walks stay short");
    expect(() => new HashIndex(INDEX_NUMBERS_MAX + 1, 0.5)).toThrow("fits its slot");
    expect(() => new HashIndex(10, 0.5).insert(1, 0)).toThrow("empty marker");
  });

  it("stores the highest number an index can have", () => {
    const index = new HashIndex(INDEX_NUMBERS_MAX, 0.75);
    index.insert(0xffffffff, INDEX_NUMBERS_MAX);
    index.insert(0xffffffff, 1);
    expect(candidates(index, 0xffffffff)).toEqual([INDEX_NUMBERS_MAX, 1]);
    index.remove(0xffffffff, INDEX_NUMBERS_MAX);
    expect(candidates(index, 0xffffffff)).toEqual([1]);
  });

  it("says its bytes before it exists", () => {
    expect(HashIndex.bytesFor(12_345, 0.7)).toBe(new HashIndex(12_345, 0.7).bytes());
  });
});
