// The owner's tables at a steady state: for every part a find, fold and link, and an insert where
// it is the trace's first; for every trace a timer, an expiry, a decision remembered, a removal,
// and the ageing of an older decision. Parts of a trace come `lag` traces apart, so that rows are
// out of the caches in between, as they are under real load.

import { DecisionMemory, UNKNOWN } from "../engine/traces/decision-memory.ts";
import { MEMORY_AT_S, MEMORY_MASKS, MEMORY_REASON } from "../engine/traces/memory-layout.ts";
import { ROW_SEEN_MS, ROW_UNDECIDED, ROW_WORDS } from "../engine/traces/row-layout.ts";
import { TimerWheel } from "../engine/traces/timer-wheel.ts";
import { TraceTable } from "../engine/traces/trace-table.ts";
import {
  PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_SPANS, PART_START_HIGH, PART_START_LOW,
  PART_WORDS,
} from "../engine/part/part-layout.ts";
import { hashTraceId } from "../engine/hash/trace-hash.ts";
import { runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

const SEED = 0x7a11ace;
const PARTS_PER_TRACE = 4;
const SPANS_PER_PART = 2;
const TICK_MS = 500;

interface Sizes {
  readonly liveTraces: number;
  readonly remembered: number;
  readonly rounds: number;
}

const FULL_SIZES: Sizes = { liveTraces: 1_000_000, remembered: 2_000_000, rounds: 3_000_000 };
const SMOKE_SIZES: Sizes = { liveTraces: 2_000, remembered: 4_000, rounds: 8_000 };

/** One lane's tables under a stream of traces numbered 0, 1, 2, …; deterministic. */
class Stream {
  readonly table: TraceTable;
  readonly wheel: TimerWheel;
  readonly memory: DecisionMemory;
  readonly part = new Uint32Array(PART_WORDS);
  readonly lag: number;
  readonly liveTraces: number;
  parts = 0;
  decisions = 0;
  late = 0;
  resultHash = 0;

  constructor(sizes: Sizes) {
    const rowsMax = Math.ceil(sizes.liveTraces * 1.1);
    this.liveTraces = sizes.liveTraces;
    this.lag = Math.floor(sizes.liveTraces / (PARTS_PER_TRACE * 2));
    this.table = new TraceTable({ rowsMax, linksMax: rowsMax * PARTS_PER_TRACE, seed: SEED });
    this.wheel = new TimerWheel(this.table, { tickMs: TICK_MS, waitMsMax: 60_000 });
    this.memory = new DecisionMemory({
      fullMax: sizes.remembered, fullMs: 60_000, fingerprintBytes: sizes.remembered * 18,
      seed: SEED,
    });
    this.part[PART_FLAGS] = 1;
    this.part[PART_SPANS] = SPANS_PER_PART;
    this.part[PART_BYTES] = 436 * SPANS_PER_PART;
  }

  /** A new trace, a further part for three older ones, and whatever is due. */
  turn(round: number): void {
    const nowMs = Math.floor((round / this.liveTraces) * 30_000);
    for (let age = 0; age < PARTS_PER_TRACE; age++) {
      const trace = round - age * this.lag;
      if (trace >= 0) this.offer(trace, round, nowMs);
    }
    const nowTick = Math.floor(nowMs / TICK_MS);
    for (let row = this.wheel.expire(nowTick); row !== 0; row = this.wheel.expire(nowTick)) {
      this.decide(row, nowMs);
    }
    this.memory.age(nowMs, 2);
  }

  offer(trace: number, round: number, nowMs: number): void {
    const part = this.part;
    part[0] = 0x5c0ffee;
    part[1] = Math.imul(trace, 0x9e3779b1);
    part[2] = trace;
    part[3] = Math.imul(trace ^ 0x55555555, 0x85ebca6b);
    part[PART_START_HIGH] = 0x17d00000;
    part[PART_START_LOW] = round;
    part[PART_END_HIGH] = 0x17d00000;
    part[PART_END_LOW] = round + 1_000_000;
    let row = this.table.find(part, 0);
    this.parts++;
    if (row === 0) {
      if (this.memory.lookup(part, 0) !== UNKNOWN) {
        this.late++;
        return;
      }
      row = this.table.insert(part, 0);
      if (row === 0) throw new Error("the bench's table is too small");
      this.table.words[row * ROW_WORDS + ROW_SEEN_MS] = nowMs;
      this.table.words[row * ROW_WORDS + ROW_UNDECIDED] = 1;
      this.wheel.schedule(row, this.wheel.tickAfter(nowMs + 30_000));
    }
    this.table.fold(row, part, 0);
    if (!this.table.link(row, 1, round & 0xffff, trace & 0xff, 0)) throw new Error("no link left");
  }

  decide(row: number, nowMs: number): void {
    const at = row * ROW_WORDS;
    for (let link = this.table.firstLink(row); link !== 0; link = this.table.nextLink(link)) {
      this.resultHash = (Math.imul(this.resultHash, 31) + this.table.linkWords[link * 4 + 3]!) | 0;
    }
    const memory = this.memory;
    memory.beginDraft(this.table.words, at);
    memory.draft[MEMORY_MASKS] = (hashTraceId(this.table.words, at, 0) & 7) === 0 ? 0x10001 : 1;
    memory.draft[MEMORY_REASON] = 1;
    memory.draft[MEMORY_AT_S] = 1_700_000_000;
    memory.remember(memory.draft, 0, nowMs);
    this.table.remove(row);
    this.decisions++;
  }
}

export function run(options: BenchOptions): BenchResult {
  const sizes = options.smoke ? SMOKE_SIZES : FULL_SIZES;
  const stream = new Stream(sizes);
  const heapBefore = process.memoryUsage().heapUsed;
  for (let round = 0; round < sizes.liveTraces; round++) stream.turn(round); // to the steady state
  const partsBefore = stream.parts;
  const begun = performance.now();
  for (let round = 0; round < sizes.rounds; round++) stream.turn(sizes.liveTraces + round);
  const seconds = (performance.now() - begun) / 1000;
  const parts = stream.parts - partsBefore;
  const { table, memory } = stream;
  return {
    name: "trace-table",
    spansPerSecond: Math.round((parts * SPANS_PER_PART) / seconds),
    detail: {
      seed: SEED,
      partsPerSecond: Math.round(parts / seconds),
      nsPerPart: Math.round((seconds * 1e9) / parts),
      liveRows: table.rows,
      links: table.links,
      decisions: stream.decisions,
      late: stream.late,
      rememberedInFull: memory.full.count,
      fingerprints: memory.fingerprints.count,
      bytesPerRow: table.words.byteLength / (table.rowsMax + 1)
        + table.index.bytes() / table.rowsMax,
      bytesPerDecision: memory.full.bytes() / memory.full.entriesMax,
      bytesPerFingerprint: memory.fingerprints.bytes() / memory.fingerprints.entriesMax,
      heapGrowthBytes: process.memoryUsage().heapUsed - heapBefore,
      nsPerHash: hashNs(options.smoke ? 10_000 : 10_000_000),
      fingerprintsEvicted: memory.evictedTotal,
      resultHash: (stream.resultHash >>> 0).toString(16),
    },
  };
}

function hashNs(count: number): number {
  const words = new Uint32Array([1, 2, 3, 4]);
  const begun = performance.now();
  let sum = 0;
  for (let index = 0; index < count; index++) {
    words[3] = index;
    sum = (sum + hashTraceId(words, 0, SEED)) | 0;
  }
  const ns = ((performance.now() - begun) * 1e6) / count;
  return sum === 0 ? -1 : Math.round(ns * 10) / 10; // the sum keeps the loop from being removed
}

await runWhenMain(import.meta.url, run);
