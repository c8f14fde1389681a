import { describe, expect, it } from "vitest";
import { ROW_DEADLINE, ROW_WORDS } from "../../../engine/traces/row-layout.ts";
import { TimerWheel } from "../../../engine/traces/timer-wheel.ts";
import { TraceTable } from "../../../engine/traces/trace-table.ts";
import { buildPart } from "./table-builders.ts";

function build(rows: number, waitMsMax = 10_000) {
  const table = new TraceTable({ rowsMax: rows, linksMax: 1, seed: 3 });
  for (let trace = 1; trace <= rows; trace++) table.insert(buildPart(trace), 0);
  return { table, wheel: new TimerWheel(table, { tickMs: 500, waitMsMax }) };
}

function drain(wheel: TimerWheel, nowTick: number): number[] {
  const rows = [];
  for (let row = wheel.expire(nowTick); row !== 0; row = wheel.expire(nowTick)) rows.push(row);
  return rows;
}

describe("TimerWheel", () => {
  it("gives rows at their tick and not before, in the order they were put on", () => {
    const { wheel } = build(5);
    const timers = [[3, 7], [1, 6], [5, 7], [2, 6], [4, 8]] as const;
    for (const [row, tick] of timers) wheel.schedule(row, tick);
    expect(drain(wheel, 5)).toEqual([]);
    expect(drain(wheel, 6)).toEqual([1, 2]);
    expect(drain(wheel, 8)).toEqual([3, 5, 4]);
    expect(wheel.scheduled).toBe(0);
  });

  it("rounds a deadline up to the tick in which it is over", () => {
    const { wheel } = build(1);
    expect([1_000, 1_001, 1_499.5, 1_500].map((ms) => wheel.tickAfter(ms))).toEqual([2, 3, 3, 3]);
  });

  it("leaves the table's row unscheduled once it is given", () => {
    const { table, wheel } = build(2);
    wheel.schedule(1, 3);
    wheel.schedule(2, 3);
    expect(wheel.expire(3)).toBe(1);
    expect(table.words[ROW_WORDS + ROW_DEADLINE]).toBe(0);
    table.remove(1);
    expect(() => table.remove(2)).toThrow("leaves the timer wheel");
  });

  it("gives a deadline that has passed at the next call, within the same tick", () => {
    const { wheel } = build(3);
    wheel.schedule(1, 40);
    expect(drain(wheel, 40)).toEqual([1]);
    wheel.schedule(2, 40);
    wheel.schedule(3, 2);
    expect(drain(wheel, 40)).toEqual([2, 3]);
    wheel.schedule(1, 0);
    expect(drain(wheel, 40)).toEqual([1]);
  });

  it("moves a row that is scheduled again", () => {
    const { wheel } = build(3);
    for (const row of [1, 2, 3]) wheel.schedule(row, 9);
    wheel.schedule(2, 4);
    wheel.schedule(1, 12);
    expect(wheel.scheduled).toBe(3);
    expect(drain(wheel, 4)).toEqual([2]);
    expect(drain(wheel, 9)).toEqual([3]);
    expect(drain(wheel, 12)).toEqual([1]);
  });

  it.each([
    [[1]], [[2]], [[3]], [[1, 2]], [[2, 3]], [[1, 3]], [[3, 2, 1]],
  ])("closes the list when rows %j are cancelled", (cancelled) => {
    const { wheel } = build(3);
    for (const row of [1, 2, 3]) wheel.schedule(row, 5);
    for (const row of cancelled) wheel.cancel(row);
    wheel.cancel(cancelled[0]!); // again: nothing happens
    const left = [1, 2, 3].filter((row) => !cancelled.includes(row));
    expect(wheel.scheduled).toBe(left.length);
    expect(drain(wheel, 5)).toEqual(left);
  });

  it("does not give a row early that is many turns of the wheel away, nor lose it", () => {
    const { wheel } = build(3, 1_000); // 4 buckets
    wheel.schedule(1, 50);
    wheel.schedule(2, 2);
    wheel.schedule(3, 51);
    for (let tick = 0; tick < 50; tick++) expect(drain(wheel, tick)).toEqual(tick === 2 ? [2] : []);
    expect(drain(wheel, 50)).toEqual([1]);
    expect(drain(wheel, 51)).toEqual([3]);
  });

  it("never judges early when it lags behind the clock", () => {
    const { wheel } = build(3, 1_000);
    wheel.schedule(1, 2);
    wheel.schedule(2, 100); // as seen by a lane whose clock is far ahead of its wheel
    expect(drain(wheel, 99)).toEqual([1]);
    expect(drain(wheel, 100)).toEqual([2]);
  });

  it("catches up over a long silence in one call", () => {
    const { wheel } = build(2);
    expect(drain(wheel, 1_000_000)).toEqual([]);
    wheel.schedule(1, 1_000_004);
    expect(drain(wheel, 1_000_003)).toEqual([]);
    expect(drain(wheel, 4_000_000_000)).toEqual([1]);
    wheel.schedule(2, 4_000_000_002);
    expect(drain(wheel, 4_000_000_001)).toEqual([]);
    expect(drain(wheel, 4_000_000_002)).toEqual([2]);
  });

  it("names the row soonest due, however often it is asked", () => {
    const { wheel } = build(4);
    expect(wheel.earliest()).toBe(0);
    wheel.schedule(1, 15);
    expect(wheel.earliest()).toBe(1);
    wheel.schedule(2, 9);
    wheel.schedule(3, 12);
    wheel.schedule(4, 9);
    const order = [];
    for (let row = wheel.earliest(); row !== 0; row = wheel.earliest()) {
      expect(wheel.earliest()).toBe(row);
      wheel.cancel(row);
      order.push(row);
    }
    expect(order).toEqual([2, 4, 3, 1]);
    wheel.schedule(1, 20);
    wheel.schedule(2, 3);
    expect(wheel.earliest()).toBe(2);
  });

  it("has limits", () => {
    const { table, wheel } = build(1);
    expect(() => wheel.schedule(1, -1)).toThrow("not negative");
    expect(() => wheel.schedule(1, 2 ** 32)).toThrow("fits its row");
    expect(() => new TimerWheel(table, { tickMs: 0, waitMsMax: 1 })).toThrow("a tick has");
    expect(() => new TimerWheel(table, { tickMs: 1, waitMsMax: 2 ** 25 })).toThrow("a turn of");
  });
});
