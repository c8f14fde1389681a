import { describe, expect, it } from "vitest";
import { viewOf } from "../../../engine/part/packed-text.ts";
import { REGEX_CACHE_ENTRIES_MAX, RegexCache } from "../../../engine/part/regex-cache.ts";

const encoder = new TextEncoder();

function find(cache: RegexCache, text: string): number {
  const bytes = encoder.encode(`-${text}-`);
  return cache.find(viewOf(bytes), 1, bytes.length - 1);
}

function add(cache: RegexCache, text: string, result: number): void {
  expect(find(cache, text)).toBe(-1);
  const bytes = encoder.encode(`-${text}-`);
  cache.add(viewOf(bytes), 1, bytes.length - 1, result);
}

describe("RegexCache", () => {
  it("answers what it was told, by the whole value", () => {
    const cache = new RegexCache(64);
    for (const size of [0, 1, 2, 3, 4, 5, 7, 8, 255, 256]) {
      const text = "v".repeat(size);
      add(cache, text, size % 2);
      expect(find(cache, text)).toBe(size % 2);
      expect(find(cache, `${text}\0`)).toBe(-1);
      if (size > 0) expect(find(cache, `${text.slice(1)}w`)).toBe(-1);
    }
  });

  it("does not remember values longer than an entry", () => {
    const cache = new RegexCache(8);
    const text = "v".repeat(257);
    add(cache, text, 1);
    expect(find(cache, text)).toBe(-1);
  });

  it("makes room by forgetting what was used longest ago", () => {
    const cache = new RegexCache(8); // one set of eight
    for (let number = 0; number < 8; number++) add(cache, `value ${number}`, number % 2);
    expect(find(cache, "value 0")).toBe(0);
    add(cache, "value 8", 1);
    expect(find(cache, "value 1")).toBe(-1);
    for (const number of [0, 2, 3, 4, 5, 6, 7]) {
      expect(find(cache, `value ${number}`)).toBe(number % 2);
    }
    expect(find(cache, "value 8")).toBe(1);
  });

  it("keeps the right answers for far more values than it has room for", () => {
    const cache = new RegexCache(100);
    expect(cache.entries).toBe(128);
    let hits = 0;
    for (let round = 0; round < 20_000; round++) {
      const number = (round * 7919) % (round % 3 === 0 ? 40 : 4_000);
      const answer = find(cache, `/orders/${number}/items`);
      if (answer === -1) add(cache, `/orders/${number}/items`, number % 2);
      else expect(answer).toBe(number % 2);
      if (answer !== -1) hits++;
    }
    expect(hits).toBeGreaterThan(1_000);
  });

  it("goes on when its clock wraps", () => {
    const cache = new RegexCache(8);
    cache.uses = 0xffff_fffe;
    for (let number = 0; number < 12; number++) add(cache, `value ${number}`, 1);
    expect(cache.uses).toBeLessThan(20);
    expect(find(cache, "value 11")).toBe(1);
  });

  it("cuts a wish for more memory than it may have", () => {
    expect(new RegexCache(1e9).entries).toBe(REGEX_CACHE_ENTRIES_MAX);
    expect(new RegexCache(1).entries).toBe(8);
  });
});
