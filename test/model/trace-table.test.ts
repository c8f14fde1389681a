// Random actions on a small trace table and its timer wheel, against plain maps and arrays.

import { expect, test } from "vitest";
import {
  PART_BITS_0, PART_BITS_1, PART_BYTES, PART_END_HIGH, PART_FLAGS, PART_ID_3, PART_SPANS,
  PART_START_HIGH,
} from "../../engine/part/part-layout.ts";
import {
  LINK_ENTRY, LINK_GENERATION, LINK_HOLDER_SHIFT, LINK_INDEX_MAX, LINK_PLACE, LINK_WORDS, ROW_LINKS,
  ROW_WORDS,
} from "../../engine/traces/row-layout.ts";
import { TimerWheel } from "../../engine/traces/timer-wheel.ts";
import { TraceTable } from "../../engine/traces/trace-table.ts";
import { Random } from "../support/random.ts";
import { buildPart, wholeAt } from "../unit/traces/table-builders.ts";

const U32_MAX = 0xffffffff;

interface PlainRow {
  row: number;
  start: bigint;
  end: bigint;
  bits: [number, number];
  flags: number;
  spans: number;
  bytes: number;
  links: string[];
  /** Tick and order of scheduling; null = off the wheel. */
  due: { tick: number; order: number } | null;
}

/** The same as TraceTable and TimerWheel, said as simply as possible. */
class Play {
  readonly random: Random;
  readonly table: TraceTable;
  readonly wheel: TimerWheel;
  readonly rows = new Map<number, PlainRow>();
  readonly ids: number;
  links = 0;
  tick = 1; // tick 0 means off the wheel: nothing is due in it
  order = 0;
  decided = 0;
  refused = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    const rowsMax = 1 + this.random.below(40);
    const linksMax = 1 + this.random.below(120);
    this.ids = 1 + this.random.below(80);
    this.table = new TraceTable({ rowsMax, linksMax, seed: this.random.word() });
    this.wheel = new TimerWheel(this.table, { tickMs: 10, waitMsMax: 10 * this.random.below(20) });
  }

  step(): void {
    const action = this.random.below(10);
    if (action < 5) this.offer();
    else if (action < 7) this.schedule();
    else if (action < 8) this.expire();
    else if (action < 9) this.pressure();
    else this.removeOne();
  }

  idOf(trace: number): number[] {
    return [trace * 0x1000193, trace & 3, 0, trace].map((word) => word >>> 0);
  }

  rowOf(trace: number): PlainRow | undefined {
    const found = this.table.find(Uint32Array.from(this.idOf(trace)), 0);
    const plain = this.rows.get(trace);
    expect(found).toBe(plain?.row ?? 0);
    return plain;
  }

  offer(): void {
    const trace = 1 + this.random.below(this.ids);
    let plain = this.rowOf(trace);
    const part = this.randomPart(trace);
    if (plain === undefined) {
      const row = this.table.insert(part, 0);
      expect(row === 0).toBe(this.rows.size === this.table.rowsMax);
      if (row === 0) {
        this.refused++;
        return;
      }
      plain = {
        row, start: 0n, end: 0n, bits: [0, 0], flags: 0, spans: 0, bytes: 0, links: [], due: null,
      };
      this.rows.set(trace, plain);
    }
    this.table.fold(plain.row, part, 0);
    this.foldPlain(plain, part);
    this.link(plain);
  }

  randomPart(trace: number): Uint32Array {
    const time = () => this.random.chance(0.2) ? 0n
      : (BigInt(this.random.word() >>> this.random.below(32)) << 32n) | BigInt(this.random.word());
    return buildPart(this.idOf(trace), {
      start: time(), end: time(), bits: [1 << this.random.below(32), 1 << this.random.below(32)],
      flags: 1 << this.random.below(4), spans: this.random.below(5),
      bytes: this.random.chance(0.01) ? U32_MAX : this.random.below(2_000),
    });
  }

  foldPlain(plain: PlainRow, part: Uint32Array): void {
    const start = wholeAt(part, PART_START_HIGH);
    const end = wholeAt(part, PART_END_HIGH);
    if (start !== 0n && (plain.start === 0n || start < plain.start)) plain.start = start;
    if (end > plain.end) plain.end = end;
    plain.bits[0] = (plain.bits[0] | part[PART_BITS_0]!) >>> 0;
    plain.bits[1] = (plain.bits[1] | part[PART_BITS_1]!) >>> 0;
    plain.flags |= part[PART_FLAGS]!;
    plain.spans = Math.min(U32_MAX, plain.spans + part[PART_SPANS]!);
    plain.bytes = Math.min(U32_MAX, plain.bytes + part[PART_BYTES]!);
  }

  link(plain: PlainRow): void {
    const place = [this.random.word(), this.random.word(), this.random.below(2 ** 24),
      this.random.below(256)] as const;
    const linked = this.table.link(plain.row, ...place);
    expect(linked).toBe(this.links < this.table.linksMax);
    if (linked) {
      plain.links.unshift(place.join());
      this.links++;
    } else {
      this.refused++;
    }
    expect(this.table.hasLink(plain.row, ...place)).toBe(linked);
  }

  schedule(): void {
    const trace = 1 + this.random.below(this.ids);
    const plain = this.rowOf(trace);
    if (plain === undefined) return;
    if (this.random.chance(0.2)) {
      this.wheel.cancel(plain.row);
      plain.due = null;
      return;
    }
    const tick = Math.max(1, this.tick - 3 + this.random.below(this.random.chance(0.1) ? 300 : 20));
    this.wheel.schedule(plain.row, tick);
    plain.due = { tick, order: this.order++ };
  }

  expire(): void {
    this.tick += this.random.below(8);
    const quota = this.random.below(10);
    for (let count = 0; count < quota; count++) {
      const row = this.wheel.expire(this.tick);
      const due = [...this.rows]
        .filter(([, plain]) => plain.due !== null && plain.due.tick <= this.tick);
      expect(row === 0).toBe(due.length === 0);
      if (row === 0) return;
      const taken = due.find(([, plain]) => plain.row === row);
      expect(taken).toBeDefined();
      const [trace, plain] = taken!;
      plain.due = null;
      this.decided++;
      if (this.random.chance(0.8)) this.remove(trace, plain);
    }
  }

  pressure(): void {
    const row = this.wheel.earliest();
    const scheduled = [...this.rows].filter(([, plain]) => plain.due !== null);
    expect(row === 0).toBe(scheduled.length === 0);
    const found = scheduled.find(([, plain]) => plain.row === row);
    expect(found === undefined).toBe(row === 0);
  }

  removeOne(): void {
    const trace = 1 + this.random.below(this.ids);
    const plain = this.rowOf(trace);
    if (plain === undefined) return;
    this.wheel.cancel(plain.row);
    plain.due = null;
    this.remove(trace, plain);
  }

  remove(trace: number, plain: PlainRow): void {
    this.table.remove(plain.row);
    this.rows.delete(trace);
    this.links -= plain.links.length;
  }

  check(): void {
    expect(this.table.rows).toBe(this.rows.size);
    expect(this.table.links).toBe(this.links);
    expect(this.table.index.count).toBe(this.rows.size);
    expect(this.wheel.scheduled).toBe([...this.rows.values()].filter(({ due }) => due).length);
    const walked = new Set<number>();
    for (let row = this.table.nextRow(0); row !== 0; row = this.table.nextRow(row)) walked.add(row);
    expect(walked).toEqual(new Set([...this.rows.values()].map(({ row }) => row)));
    for (const [trace, plain] of this.rows) this.checkRow(trace, plain);
  }

  checkRow(trace: number, plain: PlainRow): void {
    const { words, linkWords } = this.table;
    const at = plain.row * ROW_WORDS;
    expect(this.rowOf(trace)).toBe(plain);
    expect(words[at + PART_ID_3]).toBe(trace);
    const links = [];
    for (let link = this.table.firstLink(plain.row); link !== 0; link = this.table.nextLink(link)) {
      const linkAt = link * LINK_WORDS;
      const place = linkWords[linkAt + LINK_PLACE]!;
      links.push([linkWords[linkAt + LINK_GENERATION], linkWords[linkAt + LINK_ENTRY],
        place & LINK_INDEX_MAX, place >>> LINK_HOLDER_SHIFT].join());
    }
    expect(links).toEqual(plain.links);
    expect({
      start: wholeAt(words, at + PART_START_HIGH), end: wholeAt(words, at + PART_END_HIGH),
      bits: [words[at + PART_BITS_0], words[at + PART_BITS_1]], flags: words[at + PART_FLAGS],
      spans: words[at + PART_SPANS], bytes: words[at + PART_BYTES], links: words[at + ROW_LINKS],
    }).toEqual({
      start: plain.start, end: plain.end, bits: plain.bits, flags: plain.flags, spans: plain.spans,
      bytes: plain.bytes, links: plain.links.length,
    });
  }
}

test("a trace table and its timers do what plain maps would do", () => {
  const runs = Random.fromEnvironment();
  console.log(`trace table model seed ${runs.seed} (TAILRACE_SEED repeats it)`);
  let decided = 0;
  let refused = 0;
  for (let run = 0; run < 60; run++) {
    const play = new Play(runs.word());
    for (let step = 0; step < 600; step++) {
      play.step();
      if (step % 40 === 0) play.check();
    }
    play.check();
    decided += play.decided;
    refused += play.refused;
  }
  expect(decided).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(500);
});

test("rows of one tick come in the order they were put on, over any cancellations", () => {
  const random = Random.fromEnvironment();
  console.log(`timer order seed ${random.seed} (TAILRACE_SEED repeats it)`);
  const table = new TraceTable({ rowsMax: 200, linksMax: 1, seed: random.word() });
  const wheel = new TimerWheel(table, { tickMs: 1, waitMsMax: 50 });
  for (let trace = 1; trace <= 200; trace++) table.insert(buildPart(trace), 0);
  let waiting: { row: number; tick: number }[] = [];
  for (let tick = 1; tick < 2_000; tick++) {
    for (let action = 0; action < 8; action++) {
      const row = 1 + random.below(200);
      waiting = waiting.filter((each) => each.row !== row);
      if (random.chance(0.2)) {
        wheel.cancel(row);
        continue;
      }
      const due = tick + random.below(45);
      wheel.schedule(row, due);
      waiting.push({ row, tick: due });
    }
    const soonest = Math.min(...waiting.map((each) => each.tick));
    expect(wheel.earliest()).toBe(waiting.find((each) => each.tick === soonest)?.row ?? 0);
    const due = waiting.filter((each) => each.tick <= tick).map((each) => each.row);
    waiting = waiting.filter((each) => each.tick > tick);
    const given = [];
    for (let row = wheel.expire(tick); row !== 0; row = wheel.expire(tick)) given.push(row);
    expect(given).toEqual(due);
  }
});
