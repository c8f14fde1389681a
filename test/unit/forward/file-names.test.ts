import { expect, test } from "vitest";
import { fileName, ownFiles, planRemovals } from "../../../engine/forward/file-names.ts";

test("a name carries the UTC second and a number", () => {
  expect(fileName("traces", Date.UTC(2026, 0, 31, 23, 59, 59, 999), 12))
    .toBe("traces-20260131T235959Z-12.jsonl");
});

test("only files of this prefix count, oldest first, numbers as numbers", () => {
  const names = [
    "t-20260131T235959Z-10.jsonl", "t-20260131T235959Z-9.jsonl", "t-20250131T235959Z-11.jsonl",
    "t-x-20240131T235959Z-1.jsonl", "t-20240131T235959Z-1.json", "t.jsonl", "other.txt",
    "t-20240131T235959Z-1.jsonl.gz",
  ];
  const files = ownFiles("t", names.map((name) => ({ name, bytes: 1 })));
  expect(files.map((file) => file.name)).toEqual([
    "t-20250131T235959Z-11.jsonl", "t-20260131T235959Z-9.jsonl", "t-20260131T235959Z-10.jsonl",
  ]);
});

test("the oldest files go until number and bytes fit, the present file counted", () => {
  const files = [100, 200, 300].map((bytes, index) => ({ name: String(index), bytes }));
  expect(planRemovals(files, 50, 4, 650)).toBe(0);
  expect(planRemovals(files, 50, 3, 650)).toBe(1);
  expect(planRemovals(files, 51, 4, 650)).toBe(1);
  expect(planRemovals(files, 400, 4, 650)).toBe(3);
  expect(planRemovals(files, 1_000, 4, 650)).toBe(3); // never the present file
});
