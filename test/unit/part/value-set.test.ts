import { describe, expect, it } from "vitest";
import { viewOf } from "../../../engine/part/packed-text.ts";
import { ValueSet } from "../../../engine/part/value-set.ts";

function has(set: ValueSet, text: string): boolean {
  const bytes = new TextEncoder().encode(`:${text}:`);
  return set.has(viewOf(bytes), 1, bytes.length - 1);
}

describe("ValueSet", () => {
  it("holds exactly its strings", () => {
    const texts = Array.from({ length: 500 }, (_, number) => `tenant-${number * 17}`);
    const set = new ValueSet(texts);
    for (const text of texts) expect(has(set, text)).toBe(true);
    for (let number = 0; number < 500; number++) {
      expect(has(set, `tenant-${number * 17 + 1}`)).toBe(false);
    }
    expect(has(set, "tenant-")).toBe(false);
    expect(has(set, "x".repeat(10_000))).toBe(false);
  });

  it("holds no empty string and may be empty itself", () => {
    expect(has(new ValueSet(["", "a"]), "")).toBe(false);
    expect(has(new ValueSet([]), "")).toBe(false);
    expect(has(new ValueSet([]), "a")).toBe(false);
  });

  it("tells strings that differ in their last bytes", () => {
    const set = new ValueSet(["aaaaabc", "aaaaabd"]);
    expect(has(set, "aaaaabc")).toBe(true);
    expect(has(set, "aaaaabd")).toBe(true);
    expect(has(set, "aaaaab")).toBe(false);
    expect(has(set, "aaaaabe")).toBe(false);
    expect(has(set, "aaaaacc")).toBe(false);
    expect(has(set, "aaaaabc\0")).toBe(false);
  });
});
