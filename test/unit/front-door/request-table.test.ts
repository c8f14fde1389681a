import { expect, test } from "vitest";
import {
  REQUEST_GONE, REQUEST_WAITING, RequestTable,
} from "../../../engine/front-door/request-table.ts";

test("slots are taken lowest first, bounded and reused", () => {
  const table = new RequestTable<string>(3);
  expect([0, 1, 2].map(() => table.take(1, 0, 0))).toEqual([0, 1, 2]);
  expect(table.take(1, 0, 0)).toBe(-1);
  expect(table.taken).toBe(3);
  table.free(1);
  expect(table.take(1, 0, 0)).toBe(1);
  expect(table.usedSlots).toBe(3);
});

test("a completion finds its slot once and only while a lane has the payload", () => {
  const table = new RequestTable<string>(65_536);
  for (let filler = 0; filler < 65_535; filler++) table.take(1, 0, 0);
  const slot = table.take(1, 0, 0);
  const requestId = table.requestId(slot);
  expect(table.slotOf(requestId)).toBe(-1);
  table.state[slot] = REQUEST_WAITING;
  expect(table.slotOf(requestId)).toBe(slot);
  table.state[slot] = REQUEST_GONE;
  expect(table.slotOf(requestId)).toBe(slot);
  table.free(slot);
  expect(table.slotOf(requestId)).toBe(-1);
  expect(() => table.free(slot)).toThrow("freed once");
  table.take(1, 0, 0);
  table.state[slot] = REQUEST_WAITING;
  expect(table.slotOf(requestId)).toBe(-1);
  expect(table.slotOf(table.requestId(slot))).toBe(slot);
});

test("generations wrap after 65,536 uses of a slot", () => {
  const table = new RequestTable<string>(1);
  const first = table.requestId(0);
  const seen = new Set<number>();
  for (let use = 0; use < 65_536; use++) {
    table.take(1, 0, 0);
    seen.add(table.requestId(0));
    table.free(0);
  }
  expect(seen.size).toBe(65_536);
  expect(table.requestId(0)).toBe(first);
});

test("memory that was not given back is noticed", () => {
  const table = new RequestTable<string>(1);
  table.take(1, 0, 0);
  table.blocks[0] = new Uint8Array(1);
  expect(() => table.free(0)).toThrow("gives its memory back");
});
