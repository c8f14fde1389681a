import { expect, it } from "vitest";
import { run } from "../../../native-bench/trace-table.bench.ts";

it("the bench of the tables answers the same result for the same seed", () => {
  const first = run({ smoke: true });
  const second = run({ smoke: true });
  expect(first.detail["resultHash"]).toBe(second.detail["resultHash"]);
  expect(first.detail["decisions"]).toBeGreaterThan(7_000);
  expect(first.detail["late"]).toBe(0);
  expect(first.spansPerSecond).toBeGreaterThan(0);
});
