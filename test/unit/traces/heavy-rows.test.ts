import { describe, expect, it } from "vitest";
import { HeavyRows } from "../../../engine/traces/heavy-rows.ts";
import { PART_BYTES } from "../../../engine/part/part-layout.ts";
import {
  ROW_DEADLINE, ROW_LINKS, ROW_SEEN_MS, ROW_WORDS,
} from "../../../engine/traces/row-layout.ts";
import { TimerWheel } from "../../../engine/traces/timer-wheel.ts";
import { TraceTable } from "../../../engine/traces/trace-table.ts";
import { Random } from "../../support/random.ts";

const NOW = 100_000;

/** A table of scheduled rows with these bytes, seen at these times. */
function tableOf(rows: readonly { bytes: number; seenMs?: number }[]) {
  const table = new TraceTable({ rowsMax: rows.length + 8, linksMax: 1000, seed: 1 });
  const wheel = new TimerWheel(table, { tickMs: 500, waitMsMax: 60_000 });
  for (const [index, { bytes, seenMs = 0 }] of rows.entries()) {
    const row = table.insert(Uint32Array.of(index + 1, 0, 0, 1), 0);
    table.words[row * ROW_WORDS + PART_BYTES] = bytes;
    table.words[row * ROW_WORDS + ROW_SEEN_MS] = seenMs;
    wheel.schedule(row, 100);
  }
  return { table, wheel };
}

/** Takes rows off until none is left. */
function drain(heavy: HeavyRows, wheel: TimerWheel, weightWord = PART_BYTES): number[] {
  const given: number[] = [];
  for (let row = heavy.next(weightWord, NOW); row !== 0; row = heavy.next(weightWord, NOW)) {
    wheel.cancel(row);
    given.push(row);
  }
  return given;
}

describe("heavy rows", () => {
  it("come heaviest first, to a power of two, and among equals oldest first", () => {
    const { table, wheel } = tableOf([
      { bytes: 10, seenMs: 5000 }, { bytes: 9000, seenMs: 9000 }, { bytes: 70, seenMs: 0 },
      { bytes: 8500, seenMs: 100 }, { bytes: 0, seenMs: 0 }, { bytes: 11, seenMs: 10 },
      { bytes: 0xffff_ffff, seenMs: 9999 },
    ]);
    expect(drain(new HeavyRows(table), wheel)).toEqual([7, 4, 2, 3, 6, 1, 5]);
  });

  it("are each given once, whatever the size of a slice, and none is forgotten", () => {
    const random = Random.fromEnvironment();
    for (const sliceRows of [1, 7, 64, 32_768]) {
      const { table, wheel } = tableOf(Array.from({ length: 500 }, () => {
        return { bytes: random.below(1 << random.below(30)), seenMs: random.below(NOW) };
      }));
      const given = drain(new HeavyRows(table, sliceRows), wheel);
      expect(given.length).toBe(500);
      expect(new Set(given).size).toBe(500);
      expect(wheel.scheduled).toBe(0);
    }
  });

  it("are the heaviest of their slice: an eighth of it has most of the bytes", () => {
    const { table, wheel } = tableOf(Array.from({ length: 800 }, (_, index) => {
      return { bytes: index % 100 === 0 ? 1_000_000 : 10, seenMs: index };
    }));
    const heavy = new HeavyRows(table, 400);
    const first: number[] = [];
    for (let count = 0; count < 100; count++) {
      const row = heavy.next(PART_BYTES, NOW);
      wheel.cancel(row);
      first.push(table.words[row * ROW_WORDS + PART_BYTES]!);
    }
    expect(first.filter((bytes) => bytes === 1_000_000).length).toBe(8);
  });

  it("can be asked by parts too, and skip rows that were judged meanwhile", () => {
    const { table, wheel } = tableOf([{ bytes: 500 }, { bytes: 1 }, { bytes: 2 }]);
    table.words[2 * ROW_WORDS + ROW_LINKS] = 40;
    table.words[3 * ROW_WORDS + ROW_LINKS] = 3;
    const heavy = new HeavyRows(table);
    expect(heavy.next(ROW_LINKS, NOW)).toBe(2);
    wheel.cancel(2);
    expect(heavy.next(PART_BYTES, NOW)).toBe(1);
    wheel.cancel(1);
    wheel.cancel(3);
    expect(table.words[3 * ROW_WORDS + ROW_DEADLINE]).toBe(0);
    expect(heavy.next(PART_BYTES, NOW)).toBe(0);
    expect(heavy.next(ROW_LINKS, NOW)).toBe(0);
  });
});
