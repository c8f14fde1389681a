import { describe, expect, it } from "vitest";
import {
  FLAG_ROOT, FLAG_STATUS_ERROR, PART_BITS_0, PART_BITS_1, PART_BYTES, PART_END_HIGH, PART_FLAGS,
  PART_SPANS, PART_START_HIGH,
} from "../../../engine/part/part-layout.ts";
import {
  LINK_ENTRY, LINK_GENERATION, LINK_HOLDER_MAX, LINK_HOLDER_SHIFT, LINK_INDEX_MAX, LINK_PLACE,
  LINK_WORDS, ROW_DEADLINE, ROW_LINKS, ROW_UNDECIDED, ROW_WORDS,
} from "../../../engine/traces/row-layout.ts";
import { LINKS_MAX, ROWS_MAX, TraceTable } from "../../../engine/traces/trace-table.ts";
import { buildPart, wholeAt, type PartFacts } from "./table-builders.ts";

const smallTable = (rowsMax = 8, linksMax = 8) => new TraceTable({ rowsMax, linksMax, seed: 1 });

function foldAll(...parts: PartFacts[]): Uint32Array {
  const table = smallTable();
  const row = table.insert(buildPart(5), 0);
  for (const part of parts) table.fold(row, buildPart(5, part), 0);
  return table.words.slice(row * ROW_WORDS, (row + 1) * ROW_WORDS);
}

function linksOf(table: TraceTable, row: number): number[][] {
  const found = [];
  for (let link = table.firstLink(row); link !== 0; link = table.nextLink(link)) {
    const at = link * LINK_WORDS;
    const place = table.linkWords[at + LINK_PLACE]!;
    found.push([table.linkWords[at + LINK_GENERATION]!, table.linkWords[at + LINK_ENTRY]!,
      place & LINK_INDEX_MAX, place >>> LINK_HOLDER_SHIFT]);
  }
  return found;
}

describe("rows", () => {
  it("are found by all four words of the id, at any offset", () => {
    const table = smallTable(16);
    const ids = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0xffffffff]];
    const words = Uint32Array.from([9, 9, ...ids.flat()]);
    const rows = ids.map((_, index) => table.insert(words, 2 + index * 4));
    expect(new Set(rows).size).toBe(ids.length);
    expect(ids.map((_, index) => table.find(words, 2 + index * 4))).toEqual(rows);
    expect(table.find(Uint32Array.of(1, 1, 0, 0), 0)).toBe(0);
    expect(table.find(Uint32Array.of(1, 1, 1, 0), 0)).toBe(0);
    expect(table.rows).toBe(ids.length);
  });

  it("begin empty, also when they were in use before", () => {
    const table = smallTable();
    const row = table.insert(buildPart(1), 0);
    const facts = { start: 3n, end: 9n, bits: [1, 2], flags: 4, spans: 5, bytes: 6 } as const;
    table.fold(row, buildPart(1, facts), 0);
    table.link(row, 1, 2, 3, 0);
    table.words[row * ROW_WORDS + ROW_UNDECIDED] = 0xffffffff;
    table.remove(row);
    const again = table.insert(buildPart(2), 0);
    expect(again).toBe(row);
    const words = table.words.subarray(row * ROW_WORDS, (row + 1) * ROW_WORDS);
    expect([...words]).toEqual([0, 0, 0, 2, ...Array.from({ length: ROW_WORDS - 4 }, () => 0)]);
    expect(table.find(buildPart(1), 0)).toBe(0);
  });

  it("are refused when the table is full, and given again after a removal", () => {
    const table = smallTable(3);
    const rows = [1, 2, 3].map((trace) => table.insert(buildPart(trace), 0));
    expect(rows).toEqual([1, 2, 3]);
    expect(table.insert(buildPart(4), 0)).toBe(0);
    expect(table.rows).toBe(3);
    table.remove(2);
    expect(table.insert(buildPart(4), 0)).toBe(2);
    expect([1, 2, 3, 4].map((trace) => table.find(buildPart(trace), 0))).toEqual([1, 0, 3, 2]);
  });

  it("are reused last in, first out, so that a quiet table touches little memory", () => {
    const table = smallTable(1_000, 1_000);
    for (let trace = 1; trace <= 500; trace++) {
      const row = table.insert(buildPart(trace), 0);
      expect(table.link(row, 1, trace, 0, 0)).toBe(true);
      if (trace > 3) table.remove(table.find(buildPart(trace - 3), 0));
    }
    expect(table.rowsTouched).toBe(4);
    expect(table.linksTouched).toBe(4);
  });

  it("can be walked over in ascending order", () => {
    const table = smallTable();
    for (let trace = 1; trace <= 5; trace++) table.insert(buildPart(trace), 0);
    table.remove(1);
    table.remove(4);
    const walked = [];
    for (let row = table.nextRow(0); row !== 0; row = table.nextRow(row)) walked.push(row);
    expect(walked).toEqual([2, 3, 5]);
  });

  it("must be off the timer wheel and in use when removed", () => {
    const table = smallTable();
    const row = table.insert(buildPart(1), 0);
    table.words[row * ROW_WORDS + ROW_DEADLINE] = 3;
    expect(() => table.remove(row)).toThrow("leaves the timer wheel");
    table.words[row * ROW_WORDS + ROW_DEADLINE] = 0;
    table.remove(row);
    expect(() => table.remove(row)).toThrow("only a row in use");
    expect(() => table.remove(0)).toThrow("empty marker");
    expect(() => table.insert(new Uint32Array(4), 0)).toThrow("never all zero");
  });
});

describe("fold", () => {
  it("ORs bits and flags", () => {
    const row = foldAll({ bits: [1, 0x80000000], flags: FLAG_ROOT },
      { bits: [0x80000000, 2], flags: FLAG_STATUS_ERROR });
    expect([row[PART_BITS_0], row[PART_BITS_1]]).toEqual([0x80000001, 0x80000002]);
    expect(row[PART_FLAGS]).toBe(FLAG_ROOT | FLAG_STATUS_ERROR);
  });

  it.each([
    ["the low half decides", 0x1_00000005n, 0x1_00000004n],
    ["the high half decides", 0x2_00000000n, 0x1_ffffffffn],
    ["the top bit is no sign", 0xffffffff_00000000n, 0x7fffffff_ffffffffn],
    ["low halves above 2^31 are no negatives", 0x1_ffffffffn, 0x1_00000001n],
  ])("takes the earliest start and the latest end: %s", (_what, late, early) => {
    for (const pair of [[late, early], [early, late]] as const) {
      const row = foldAll({ start: pair[0], end: pair[0] }, { start: pair[1], end: pair[1] });
      expect(wholeAt(row, PART_START_HIGH)).toBe(early);
      expect(wholeAt(row, PART_END_HIGH)).toBe(late);
    }
  });

  it("takes a start of 0 as unset, in the part and in the row", () => {
    expect(wholeAt(foldAll({ start: 0n }, { start: 7n }), PART_START_HIGH)).toBe(7n);
    expect(wholeAt(foldAll({ start: 7n }, { start: 0n }), PART_START_HIGH)).toBe(7n);
    expect(wholeAt(foldAll({ start: 0x1_00000000n }, { start: 5n }), PART_START_HIGH)).toBe(5n);
    expect(wholeAt(foldAll({ start: 0n }), PART_START_HIGH)).toBe(0n);
  });

  it("adds spans and bytes up to the largest number and no further", () => {
    const row = foldAll({ spans: 3, bytes: 0xfffffff0 }, { spans: 4, bytes: 0xf });
    expect([row[PART_SPANS], row[PART_BYTES]]).toEqual([7, 0xffffffff]);
    const full = foldAll({ spans: 0xffffffff, bytes: 0xfffffff0 }, { spans: 1, bytes: 0xffffffff });
    expect([full[PART_SPANS], full[PART_BYTES]]).toEqual([0xffffffff, 0xffffffff]);
  });
});

describe("links", () => {
  it("say where each part lies, newest first", () => {
    const table = smallTable();
    const row = table.insert(buildPart(1), 0);
    const other = table.insert(buildPart(2), 0);
    expect(table.link(row, 0xffffffff, 0xfffffffe, LINK_INDEX_MAX, LINK_HOLDER_MAX)).toBe(true);
    expect(table.link(other, 7, 8, 9, 1)).toBe(true);
    expect(table.link(row, 1, 2, 0, 0)).toBe(true);
    expect(linksOf(table, row)).toEqual([
      [1, 2, 0, 0], [0xffffffff, 0xfffffffe, LINK_INDEX_MAX, LINK_HOLDER_MAX],
    ]);
    expect(linksOf(table, other)).toEqual([[7, 8, 9, 1]]);
    expect(table.words[row * ROW_WORDS + ROW_LINKS]).toBe(2);
    expect(table.links).toBe(3);
  });

  it("are refused when none is left, without a change to the row", () => {
    const table = smallTable(4, 2);
    const row = table.insert(buildPart(1), 0);
    expect(table.link(row, 1, 1, 1, 0)).toBe(true);
    expect(table.link(row, 1, 2, 1, 0)).toBe(true);
    expect(table.link(row, 1, 3, 1, 0)).toBe(false);
    expect(linksOf(table, row)).toEqual([[1, 2, 1, 0], [1, 1, 1, 0]]);
    expect(table.links).toBe(2);
  });

  it("come free with their row, all of them", () => {
    const table = smallTable(4, 6);
    for (let round = 0; round < 5; round++) {
      const first = table.insert(buildPart(1), 0);
      const second = table.insert(buildPart(2), 0);
      for (let part = 0; part < 3; part++) {
        expect(table.link(first, round, part, 0, 0)).toBe(true);
        expect(table.link(second, round, part, 1, 0)).toBe(true);
      }
      expect(table.link(first, round, 9, 0, 0)).toBe(false);
      table.remove(first);
      expect(table.links).toBe(3);
      expect(linksOf(table, second)).toEqual([2, 1, 0].map((part) => [round, part, 1, 0]));
      table.remove(second);
      expect(table.links).toBe(0);
    }
  });

  it("know a part that comes again by all of its identity", () => {
    const table = smallTable();
    const row = table.insert(buildPart(1), 0);
    table.link(row, 3, 4, 5, 0xff);
    table.link(row, 6, 7, 8, 0);
    expect(table.hasLink(row, 3, 4, 5, 0xff)).toBe(true);
    expect(table.hasLink(row, 6, 7, 8, 0)).toBe(true);
    for (const [generation, entry, index, holder] of [
      [2, 4, 5, 0xff], [3, 5, 5, 0xff], [3, 4, 6, 0xff], [3, 4, 5, 0xfe], [3, 7, 8, 0],
    ] as const) expect(table.hasLink(row, generation, entry, index, holder)).toBe(false);
  });

  it("have bounds for index and holder", () => {
    const table = smallTable();
    const row = table.insert(buildPart(1), 0);
    expect(() => table.link(row, 1, 1, LINK_INDEX_MAX + 1, 0)).toThrow("index fits");
    expect(() => table.link(row, 1, 1, 0, LINK_HOLDER_MAX + 1)).toThrow("lane fits");
  });
});

describe("the table's size", () => {
  it("is at most 100 bytes a row with its index, and 16 a link", () => {
    const bytes = TraceTable.bytesFor(1_000_000, 4_000_000);
    expect(bytes).toBeLessThan(1_000_000 * 100 + 4_000_000 * 16 + 4_096);
    const table = new TraceTable({ rowsMax: 5_000, linksMax: 700, seed: 0 });
    expect(table.bytes()).toBe(TraceTable.bytesFor(5_000, 700));
  });

  it("has limits", () => {
    expect(() => smallTable(0)).toThrow("has rows");
    expect(() => smallTable(1.5)).toThrow("whole number");
    expect(() => smallTable(ROWS_MAX + 1)).toThrow("ROWS_MAX");
    expect(() => smallTable(1, 0)).toThrow("has links");
    expect(() => smallTable(1, LINKS_MAX + 1)).toThrow("LINKS_MAX");
  });
});
