import { describe, expect, it } from "vitest";
import { SlotMapping } from "../../../engine/cluster/slot-mapping.ts";
import { MESSAGE_AGAIN } from "../../../engine/part/part-layout.ts";
import { Random } from "../../support/random.ts";

function named(...names: string[]): string[] {
  return Array.from({ length: 16 }, (_, slot) => names[slot] ?? "");
}

describe("masks for another node", () => {
  const mapping = new SlotMapping(named("a", "b", "", "c"), {
    slotNames: named("", "c", "a", "d"), samplersMask: 0b1010,
  });

  it("have its numbers, and nothing of forwarders that it does not have", () => {
    expect(mapping.masks(0b1111 | (0b1111 << 16))).toBe(0b110 | (0b110 << 16));
    expect(mapping.masks(0b0001 | (0b1000 << 16))).toBe(0b100 | (0b010 << 16));
    expect(mapping.masks(0b0010 | (0b0010 << 16))).toBe(0);
  });

  it("of parts name its samplers only, and keep their flags", () => {
    expect(mapping.undecided(0b1111 | MESSAGE_AGAIN)).toBe(0b010 | MESSAGE_AGAIN);
    expect(mapping.undecided(0b0001)).toBe(0);
  });

  it("come back as they were from a node that has the same forwarders in any order", () => {
    const random = Random.fromEnvironment();
    const names = Array.from({ length: 16 }, (_, slot) => `forwarder-${slot}`);
    const others = [...names].sort(() => random.below(3) - 1);
    const there = new SlotMapping(names, { slotNames: others, samplersMask: 0xffff });
    const back = new SlotMapping(others, { slotNames: names, samplersMask: 0xffff });
    for (let round = 0; round < 1_000; round++) {
      const masks = random.word();
      expect(back.masks(there.masks(masks))).toBe(masks);
      expect(back.undecided(there.undecided(masks))).toBe(masks);
    }
  });
});
