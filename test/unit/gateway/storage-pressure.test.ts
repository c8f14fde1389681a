import { describe, expect, it } from "vitest";
import { StoragePressure } from "../../../engine/gateway/storage-pressure.ts";
import {
  PRESSURE_DECIDE, PRESSURE_NEAR, PRESSURE_NONE, PRESSURE_REFUSE,
} from "../../../engine/lane/control.ts";

const LIMIT = 1_000_000;

/** Looks at each fill in turn, per cent. @returns pressure after each. */
function walk(storage: StoragePressure, fills: readonly number[]): number[] {
  return fills.map((fill) => {
    storage.look(LIMIT * fill / 100);
    return storage.pressure;
  });
}

describe("storage pressure", () => {
  it("judges early from 90 % until 85 %, and refuses from 100 % until 97 %", () => {
    const storage = new StoragePressure("decide-early", LIMIT);
    const near = PRESSURE_NEAR | PRESSURE_DECIDE;
    const full = near | PRESSURE_REFUSE;
    const fills = [0, 89.9, 90, 86, 85.1, 84.9, 89.9, 95, 99.9, 100, 98, 97.1, 96.9, 99, 80];
    expect(walk(storage, fills)).toEqual([
      PRESSURE_NONE, PRESSURE_NONE, near, near, near, PRESSURE_NONE, PRESSURE_NONE, near, near,
      full, full, full, near, near, PRESSURE_NONE,
    ]);
    storage.look(LIMIT * 0.92);
    expect(storage.excessBytes).toBeCloseTo(LIMIT * 0.07);
    expect(storage.level).toBe(0);
  });

  it("only refuses with the policy refuse", () => {
    const storage = new StoragePressure("refuse", LIMIT);
    expect(walk(storage, [89, 95, 100, 98, 96, 80])).toEqual([
      PRESSURE_NONE, PRESSURE_NEAR, PRESSURE_NEAR | PRESSURE_REFUSE,
      PRESSURE_NEAR | PRESSURE_REFUSE, PRESSURE_NEAR, PRESSURE_NONE,
    ]);
    expect(storage.excessBytes).toBe(0);
    expect(storage.level).toBe(0);
  });

  it("halves the stored share with every step, and gives it back well below the step", () => {
    const storage = new StoragePressure("hash-sample", LIMIT);
    const levels = [89.9, 90, 91, 91.25, 92.5, 91, 88, 87.4, 86.1, 84.9].map((fill) => {
      storage.look(LIMIT * fill / 100);
      return storage.level;
    });
    expect(levels).toEqual([0, 1, 1, 2, 3, 3, 3, 2, 1, 0]);
    storage.look(LIMIT * 0.999);
    expect(storage.level).toBe(8);
    expect(storage.excessBytes).toBe(0);
    storage.look(LIMIT * 5);
    expect(storage.level).toBe(16);
  });

  it("never falls below what the fill asks for, nor stays where it is not needed, on any walk",
    () => {
      const storage = new StoragePressure("hash-sample", LIMIT);
      let seed = 7;
      for (let step = 0; step < 10_000; step++) {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
        const fill = 0.8 + 0.22 * (seed / 2 ** 32);
        storage.look(LIMIT * fill);
        if (fill < 0.85) expect(storage.level).toBe(0);
        if (fill >= 0.9) expect(storage.level).toBeGreaterThanOrEqual(1);
        expect((storage.pressure & PRESSURE_REFUSE) !== 0 && fill < 0.97).toBe(false);
      }
    });
});
