import { expect, test } from "vitest";
import { Batch } from "../../../engine/forward/batch.ts";

const source = Uint8Array.from({ length: 100 }, (_, index) => index);

test("payloads lie back to back and can be cut between messages", () => {
  const batch = new Batch(20, 4);
  batch.add(source, 10, 3, 7, 2, 0);
  batch.add(source, 50, 5, 9, 1, 1);
  expect([...batch.bytesOf(0, 2)]).toEqual([10, 11, 12, 50, 51, 52, 53, 54]);
  expect([...batch.bytesOf(1, 2)]).toEqual([50, 51, 52, 53, 54]);
  expect([batch.spansOf(0, 1), batch.spansOf(1, 2), batch.spans]).toEqual([2, 1, 3]);
  expect([...batch.ids.subarray(0, 2)]).toEqual([7, 9]);
  expect([...batch.lanes.subarray(0, 2)]).toEqual([0, 1]);
});

test("a batch takes what fits, and a message of any size when it is empty", () => {
  const batch = new Batch(20, 2);
  expect(batch.fits(1_000)).toBe(true);
  batch.add(source, 0, 12, 1, 1, 0);
  expect(batch.fits(8)).toBe(true);
  expect(batch.fits(9)).toBe(false);
  batch.add(source, 0, 2, 2, 1, 0);
  expect(batch.fits(0)).toBe(false); // as many messages as there are columns
  expect(() => batch.add(source, 0, 1, 3, 1, 0)).toThrow("a batch takes what fits");
});

test("a message larger than a batch does not stay in memory", () => {
  const batch = new Batch(20, 2);
  batch.add(source, 0, 10, 1, 1, 0);
  const usual = batch.bytesOf(0, 1).buffer;
  batch.clear();
  batch.add(source, 0, 100, 1, 1, 0);
  expect(batch.bytesOf(0, 1).length).toBe(100);
  expect(batch.bytesOf(0, 1).buffer).not.toBe(usual);
  batch.clear();
  batch.add(source, 5, 1, 1, 1, 0);
  expect(batch.bytesOf(0, 1).buffer).toBe(usual);
  expect([...batch.bytesOf(0, 1)]).toEqual([5]);
});
