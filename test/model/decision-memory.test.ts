// Random decisions, ageing, exports in slices and restarts of a small DecisionMemory, against plain
// lists.

import { expect, test } from "vitest";
import { SHARDS, shardOf } from "../../engine/hash/shard-of.ts";
import { hashTraceId } from "../../engine/hash/trace-hash.ts";
import {
  DecisionMemory, FINGERPRINT, FULL, LOADED, UNKNOWN,
} from "../../engine/traces/decision-memory.ts";
import {
  BATCH_HEADER_WORDS, MEMORY_MASKS, MEMORY_VOTES_0, MEMORY_WORDS,
} from "../../engine/traces/memory-layout.ts";
import { MemorySweep } from "../../engine/traces/memory-sweep.ts";
import { Random } from "../support/random.ts";
import { buildDecision, buildPart } from "../unit/traces/table-builders.ts";

interface Decision { trace: number; masks: number; votes: number; sinceMs: number }

const shardOfTrace = (trace: number): number => shardOf(buildPart(trace), 0);

/** Some sampler is decided by both, kept by one and dropped by the other. */
function differ(left: number, right: number): boolean {
  for (let sampler = 0; sampler < 16; sampler++) {
    const bothDecided = (left >>> sampler) & (right >>> sampler) & 1;
    const oneKeeps = ((left >>> (16 + sampler)) ^ (right >>> (16 + sampler))) & 1;
    if (bothDecided === 1 && oneKeeps === 1) return true;
  }
  return false;
}

/** The same as DecisionMemory, said as simply as possible: both lists oldest first. */
class PlainMemory {
  readonly fullMax: number;
  readonly fullMs: number;
  readonly ringPlaces: number;
  full: Decision[] = [];
  /** A taken fingerprint keeps its place until its turn: masks 0. */
  ring: { trace: number; masks: number }[] = [];
  evicted = 0;
  early = 0;
  appended = 0;
  conflicts = 0;
  readonly forgotten = new Set<number>();

  constructor(fullMax: number, fullMs: number, ringPlaces: number) {
    this.fullMax = fullMax;
    this.fullMs = fullMs;
    this.ringPlaces = ringPlaces;
  }

  remember(trace: number, masks: number, votes: number, sinceMs: number): void {
    const known = this.full.find((each) => each.trace === trace);
    if (known !== undefined) {
      if (differ(known.masks, masks)) this.conflicts++;
      known.masks = (known.masks | masks) >>> 0;
      known.votes |= votes;
      return;
    }
    if (this.full.length === this.fullMax) {
      this.demote();
      this.early++;
    }
    const before = this.masksOf(trace);
    if (differ(before, masks)) this.conflicts++;
    this.full.push({ trace, masks: (masks | before) >>> 0, votes, sinceMs });
    if (before !== 0) this.put(trace, before);
  }

  age(nowMs: number, countMax: number): void {
    for (let count = 0; count < countMax && this.full.length > 0; count++) {
      if (nowMs - this.full[0]!.sinceMs < this.fullMs) return;
      this.demote();
    }
  }

  demote(): void {
    const { trace, masks } = this.full.shift()!;
    this.put(trace, masks);
  }

  loadFingerprint(trace: number, masks: number): void {
    if (differ(this.masksOf(trace), masks)) this.conflicts++;
    const full = this.full.find((each) => each.trace === trace);
    if (full !== undefined) full.masks = (full.masks | masks) >>> 0;
    this.put(trace, masks);
  }

  put(trace: number, masks: number): void {
    const older = this.ring.find((each) => each.trace === trace && each.masks !== 0);
    const merged = (masks | (older?.masks ?? 0)) >>> 0;
    if (older !== undefined) older.masks = 0;
    this.ring.push({ trace, masks: merged });
    this.appended++;
    if (this.ring.length <= this.ringPlaces) return;
    const evicted = this.ring.shift()!;
    if (evicted.masks === 0) return;
    this.evicted++;
    if (!this.full.some((each) => each.trace === evicted.trace)) this.forgotten.add(evicted.trace);
  }

  masksOf(trace: number): number {
    const full = this.full.find((each) => each.trace === trace)?.masks ?? 0;
    const left = this.ring.find((each) => each.trace === trace && each.masks !== 0)?.masks ?? 0;
    return (full | left) >>> 0;
  }
}

class Play {
  readonly random: Random;
  readonly memory: DecisionMemory;
  readonly plain: PlainMemory;
  readonly traces: number;
  readonly options: { fullMax: number; fullMs: number; fingerprintBytes: number; seed: number };
  nowMs: number;
  sweeps = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.options = {
      fullMax: 1 + this.random.below(30), fullMs: this.random.below(200),
      fingerprintBytes: 1_100 + this.random.below(800), seed: this.random.word(),
    };
    this.memory = new DecisionMemory(this.options);
    this.plain = new PlainMemory(
      this.options.fullMax, this.options.fullMs, this.memory.fingerprints.entriesMax);
    this.traces = 1 + this.random.below(120);
    this.nowMs = this.random.word(); // anywhere before the wrap of u32, over it while playing
  }

  step(): void {
    if (this.random.chance(0.25)) {
      this.nowMs += this.random.below(40);
      const quota = this.random.below(12);
      this.memory.age(this.nowMs, quota);
      this.plain.age(this.nowMs, quota);
      return;
    }
    const trace = 1 + this.random.below(this.traces);
    const decided = 1 << this.random.below(16);
    const keep = this.random.chance(0.5) ? decided : 0;
    const masks = (decided | (keep << 16)) >>> 0;
    if (this.random.chance(0.1)) {
      const words = buildPart(trace);
      const hash = hashTraceId(words, 0, this.options.seed);
      this.memory.loadFingerprint(hash, this.memory.checkOf(words, 0), masks);
      this.plain.loadFingerprint(trace, masks);
      return;
    }
    const votes = 1 << this.random.below(30);
    this.memory.remember(buildDecision(trace, { decided, keep, votes: [votes] }), 0, this.nowMs);
    this.plain.remember(trace, masks, votes, this.nowMs);
  }

  check(): void {
    for (let trace = 1; trace <= this.traces; trace++) {
      const answer = this.memory.lookup(buildPart(trace), 0);
      const full = this.plain.full.find((each) => each.trace === trace);
      const masks = this.plain.masksOf(trace);
      expect(answer).toBe(full !== undefined ? FULL : masks !== 0 ? FINGERPRINT : UNKNOWN);
      if (answer === UNKNOWN) continue;
      expect(this.memory.found[MEMORY_MASKS]).toBe(masks);
      expect(this.memory.found[MEMORY_VOTES_0]).toBe(full?.votes ?? 0);
    }
    expect(this.memory.full.count).toBe(this.plain.full.length);
    expect(this.memory.fingerprints.count)
      .toBe(this.plain.ring.filter((each) => each.masks !== 0).length);
    expect(this.memory.evictedTotal).toBe(this.plain.evicted);
    expect(this.memory.demotedEarlyTotal).toBe(this.plain.early);
    expect(this.memory.conflicts).toBe(this.plain.conflicts);
  }

  /** Null, or flags of about half of the shards. */
  someShards(): Uint8Array | null {
    if (this.random.chance(0.5)) return null;
    return Uint8Array.from({ length: SHARDS }, () => this.random.below(2));
  }

  /**
   * Exports all or some shards in slices while decisions go on, then loads a later run from the
   * slices alone.
   */
  sweepAndRestart(): void {
    const atBegin = this.allMasks();
    const appendedAtBegin = this.plain.appended;
    this.plain.forgotten.clear();
    const sweep = new MemorySweep(this.memory);
    const wanted = this.someShards();
    sweep.exportAll(wanted);
    const wordsMax = BATCH_HEADER_WORDS + MEMORY_WORDS * (4 + this.random.below(6));
    const target = new Uint32Array(wordsMax);
    const batches: Uint32Array[] = [];
    for (let slices = 0; !sweep.done; slices++) {
      expect(slices).toBeLessThan(2_000);
      const words = sweep.slice(target, 0, wordsMax);
      if (words > 0) batches.push(target.slice(0, words));
      for (let step = this.random.below(4); step > 0; step--) this.step();
    }
    const later = new DecisionMemory({ ...this.options, fullMax: 500, fingerprintBytes: 20_000 });
    for (const batch of batches) {
      expect(later.load(batch, 0, batch.length, 0, 1_000)).toBe(LOADED);
    }
    if (this.plain.appended - appendedAtBegin >= this.plain.ringPlaces) return; // turned over
    this.sweeps++;
    for (let trace = 1; trace <= this.traces; trace++) {
      const loaded = later.lookup(buildPart(trace), 0) === UNKNOWN ? 0 : later.found[MEMORY_MASKS]!;
      if (wanted !== null && wanted[shardOfTrace(trace)] === 0) {
        expect(loaded).toBe(0);
        continue;
      }
      const owed = this.plain.forgotten.has(trace) ? 0 : atBegin[trace]!;
      expect((loaded & owed) >>> 0).toBe(owed);
    }
  }

  allMasks(): number[] {
    return Array.from({ length: this.traces + 1 }, (_, trace) => this.plain.masksOf(trace));
  }
}

test("a decision memory does what plain lists would do, and a sweep carries all of it", () => {
  const runs = Random.fromEnvironment();
  console.log(`decision memory model seed ${runs.seed} (TAILRACE_SEED repeats it)`);
  let evicted = 0;
  let early = 0;
  let sweeps = 0;
  let conflicts = 0;
  for (let run = 0; run < 60; run++) {
    const play = new Play(runs.word());
    for (let round = 0; round < 6; round++) {
      for (let step = 0; step < 80; step++) play.step();
      play.check();
      play.sweepAndRestart();
      play.check();
    }
    evicted += play.plain.evicted;
    early += play.plain.early;
    sweeps += play.sweeps;
    conflicts += play.plain.conflicts;
  }
  expect(evicted).toBeGreaterThan(100);
  expect(early).toBeGreaterThan(100);
  expect(sweeps).toBeGreaterThan(100);
  expect(conflicts).toBeGreaterThan(100);
});
