import os from "node:os";
import { describe, expect, it } from "vitest";
import { load } from "../../../config/load.ts";
import type { Settings } from "../../../config/settings-types.ts";
import { planMemory } from "../../../engine/gateway/memory-plan.ts";
import { createSharedMemory } from "../../../engine/gateway/shared-memory.ts";

const MIB = 1024 * 1024;
const STORAGE = 100_000 * MIB;

function absent(file: string): never {
  throw Object.assign(new Error(`no ${file}`), { code: "ENOENT" });
}

function settingsWith(more: Partial<Settings>): Settings {
  const result = load({
    argv: [], env: {}, cwd: os.tmpdir(), readFile: absent, hostname: "test", cpuCount: 2,
    version: "0", buildDate: "", validatePolicies: () => [],
  });
  if (result.kind !== "run") throw new Error(result.text);
  return { ...result.settings, ...more };
}

describe("the memory plan", () => {
  const ringBytes = createSharedMemory(1, [0], 20 * MIB).bytes;

  it("leaves MaxTraces alone without a limit, and when it fits", () => {
    const plan = planMemory(settingsWith({}), ringBytes, STORAGE);
    expect([plan.tracesMax, plan.shrunk, plan.processBytesMax])
      .toEqual([4_000_000, false, Infinity]);
    const roomy = planMemory(settingsWith({ memoryLimitBytes: 8192 * MIB }), ringBytes, STORAGE);
    expect([roomy.tracesMax, roomy.shrunk]).toEqual([4_000_000, false]);
  });

  it("uses a limit up to the last trace that fits", () => {
    for (const mebibytes of [300, 512, 1000]) {
      for (const workers of [1, 2]) {
        const settings = settingsWith({ memoryLimitBytes: mebibytes * MIB, workers });
        const plan = planMemory(settings, ringBytes, STORAGE);
        expect(plan.shrunk).toBe(true);
        expect(plan.tableBytes + ringBytes).toBeLessThanOrEqual(mebibytes * MIB);
        // Index and ring sizes are powers of two or whole rows: hardly anything is left.
        const more = { ...settings, tracesMax: plan.tracesMax + 1 };
        expect(planMemory(more, ringBytes, STORAGE).tracesMax).toBe(plan.tracesMax);
        expect(plan.lane.traceRowsMax * workers).toBeGreaterThanOrEqual(plan.tracesMax);
      }
    }
  });

  it("refuses a limit that is too small, and names one that works", () => {
    const settings = settingsWith({ memoryLimitBytes: 64 * MIB });
    let message = "";
    try {
      planMemory(settings, ringBytes, STORAGE);
    } catch (error) {
      message = (error as Error).message;
    }
    const smallest = Number(/need (\d+)MiB/.exec(message)?.[1]);
    expect(smallest).toBeGreaterThan(64);
    const fits = planMemory({ ...settings, memoryLimitBytes: smallest * MIB }, ringBytes, STORAGE);
    expect(fits.tracesMax).toBeGreaterThanOrEqual(1000);
    expect(() => planMemory(
      { ...settings, memoryLimitBytes: (smallest - 1) * MIB }, ringBytes, STORAGE)).toThrow();
  });

  it("does not remember more in full than a small StorageLimit can carry", () => {
    const plan = planMemory(settingsWith({}), ringBytes, 256 * MIB);
    expect(plan.lane.decisionsFullMax * 64).toBeLessThanOrEqual(256 * MIB / 16);
  });
});
