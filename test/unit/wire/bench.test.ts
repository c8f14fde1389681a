import { describe, expect, it } from "vitest";
import { run as runRender } from "../../../native-bench/render.bench.ts";
import { run as runScan } from "../../../native-bench/scan.bench.ts";

describe("the benches of the wire", () => {
  it("run briefly and give the same results each time", () => {
    for (const run of [runScan, runRender]) {
      const [first, second] = [run({ smoke: true }), run({ smoke: true })];
      expect(first.spansPerSecond).toBeGreaterThan(0);
      expect(first.detail["resultHash"]).toBe(second.detail["resultHash"]);
      expect(first.name).toBe(second.name);
    }
  });
});
