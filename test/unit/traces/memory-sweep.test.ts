import { describe, expect, it } from "vitest";
import { SHARDS, shardOf } from "../../../engine/hash/shard-of.ts";
import {
  DecisionMemory, FINGERPRINT, FULL, LOADED, LOAD_MALFORMED, LOAD_NEWER_VERSION,
  LOAD_OLDER_VERSION, LOAD_OTHER_SEED, UNKNOWN, shardOfFingerprint,
} from "../../../engine/traces/decision-memory.ts";
import {
  BATCH_FINGERPRINTS, BATCH_FULL, BATCH_HEADER_WORDS, BATCH_VERSION, FINGERPRINT_CHECK,
  FINGERPRINT_WORDS, MEMORY_SINCE_MS, MEMORY_WORDS, batchWordsFor,
} from "../../../engine/traces/memory-layout.ts";
import { MemorySweep, markMemory } from "../../../engine/traces/memory-sweep.ts";
import { buildDecision, buildPart } from "./table-builders.ts";

const build = (fullMax = 100, seed = 0x5eed, fullMs = 1_000) =>
  new DecisionMemory({ fullMax, fullMs, fingerprintBytes: 10_000, seed });

const lookup = (memory: DecisionMemory, trace: number) => memory.lookup(buildPart(trace), 0);

/** All batches of a begun sweep. */
function batchesOf(sweep: MemorySweep, wordsMax = 200): Uint32Array[] {
  const target = new Uint32Array(wordsMax + 3);
  const batches = [];
  for (let slices = 0; !sweep.done; slices++) {
    expect(slices).toBeLessThan(1_000);
    const words = sweep.slice(target, 3, wordsMax);
    expect(words).toBeLessThanOrEqual(wordsMax);
    if (words > 0) batches.push(target.slice(3, 3 + words));
  }
  return batches;
}

function exportAll(memory: DecisionMemory, wanted: Uint8Array | null = null): Uint32Array[] {
  const sweep = new MemorySweep(memory);
  sweep.exportAll(wanted);
  return batchesOf(sweep);
}

/** Shards of all entries of the batches. */
function shardsIn(batches: Uint32Array[]): number[] {
  return batches.flatMap((batch) => {
    const full = (batch[0]! & 0xff) === BATCH_FULL;
    const shards = [];
    for (let at = BATCH_HEADER_WORDS; at < batch.length;
      at += full ? MEMORY_WORDS : FINGERPRINT_WORDS) {
      shards.push(full ? shardOf(batch, at) : shardOfFingerprint(batch[at + FINGERPRINT_CHECK]!));
    }
    return shards;
  });
}

/** Flags of the shards of those traces for which `chosen` is true. */
function shardsOf(traces: number, chosen: (trace: number) => boolean): Uint8Array {
  const wanted = new Uint8Array(SHARDS);
  for (let trace = 1; trace <= traces; trace++) {
    if (chosen(trace)) wanted[shardOf(buildPart(trace), 0)] = 1;
  }
  return wanted;
}

function loadAll(memory: DecisionMemory, batches: Uint32Array[], nowMs = 0, nowS = 1_000): void {
  for (const batch of batches) {
    expect(memory.load(batch, 0, batch.length, nowMs, nowS)).toBe(LOADED);
  }
}

describe("a sweep", () => {
  it("carries everything remembered into another memory, in bounded batches", () => {
    const memory = build();
    for (let trace = 1; trace <= 60; trace++) {
      const facts = { decided: 3, keep: trace, votes: [trace], atS: 999 };
      memory.remember(buildDecision(trace, facts), 0, trace);
    }
    memory.age(1_030, 100);
    const batches = exportAll(memory);
    expect(batches.length).toBeGreaterThan(3);
    const copy = build();
    loadAll(copy, batches, 500, 999);
    for (let trace = 1; trace <= 60; trace++) {
      expect(lookup(copy, trace)).toBe(trace <= 30 ? FINGERPRINT : FULL);
      expect(lookup(memory, trace)).toBe(trace <= 30 ? FINGERPRINT : FULL);
      expect([...copy.found.subarray(0, MEMORY_SINCE_MS)])
        .toEqual([...memory.found.subarray(0, MEMORY_SINCE_MS)]);
      expect(copy.keepMask).toBe(trace);
    }
  });

  it("says nothing of times and links of the memory it came from", () => {
    const memory = build();
    for (let trace = 1; trace <= 2; trace++) memory.remember(buildDecision(trace), 0, 77);
    const [batch] = exportAll(memory);
    expect(batch).toHaveLength(batchWordsFor(2));
    const inside = batch!.subarray(BATCH_HEADER_WORDS + MEMORY_SINCE_MS, batchWordsFor(1));
    expect([...inside]).toEqual([0, 0, 0]);
  });

  it("is over at once when nothing is remembered", () => {
    expect(exportAll(build())).toEqual([]);
    const sweep = new MemorySweep(build());
    expect(sweep.done).toBe(true);
    expect(sweep.slice(new Uint32Array(100), 0, 100)).toBe(0);
  });

  it("finds a decision that grew old in front of it", () => {
    const memory = build();
    for (let trace = 1; trace <= 40; trace++) memory.remember(buildDecision(trace), 0, 0);
    const sweep = new MemorySweep(memory);
    sweep.exportAll();
    const first = new Uint32Array(100);
    const firstWords = sweep.slice(first, 0, 100);
    memory.age(5_000, 100);
    const batches = [first.subarray(0, firstWords), ...batchesOf(sweep)];
    const copy = build();
    loadAll(copy, batches);
    for (let trace = 1; trace <= 40; trace++) expect(lookup(copy, trace)).not.toBe(UNKNOWN);
    expect(copy.full.count).toBe(6);
  });

  it("since a mark carries what was remembered or merged after it, and no older full entry", () => {
    const memory = build();
    for (let trace = 1; trace <= 10; trace++) memory.remember(buildDecision(trace), 0, 0);
    memory.age(1_000, 3);
    const mark = markMemory(memory);
    memory.remember(buildDecision(20, { keep: 1 }), 0, 1_000);
    memory.remember(buildDecision(5, { decided: 2, keep: 2 }), 0, 1_000);
    const sweep = new MemorySweep(memory);
    sweep.exportSince(mark);
    const copy = build();
    loadAll(copy, batchesOf(sweep));
    expect(Array.from({ length: 20 }, (_, index) => lookup(copy, index + 1)).map(Boolean))
      .toEqual(Array.from({ length: 20 }, (_, index) => index + 1 === 5 || index + 1 === 20));
    lookup(copy, 5);
    expect([copy.decidedMask, copy.keepMask]).toEqual([3, 2]);
  });

  it("since a mark also carries what became a fingerprint meanwhile", () => {
    const memory = build();
    const mark = markMemory(memory);
    memory.remember(buildDecision(3), 0, 0);
    memory.age(9_000, 10);
    const sweep = new MemorySweep(memory);
    sweep.exportSince(mark);
    const copy = build();
    loadAll(copy, batchesOf(sweep));
    expect(lookup(copy, 3)).toBe(FINGERPRINT);
  });

  it("needs room for one entry, within its target", () => {
    const sweep = new MemorySweep(build());
    const target = new Uint32Array(MEMORY_WORDS + BATCH_HEADER_WORDS);
    expect(() => sweep.slice(target, 0, target.length - 1)).toThrow("room for an entry");
    expect(() => sweep.slice(target, 1, target.length)).toThrow("fits its target");
  });
});

describe("a sweep for some shards", () => {
  const TRACES = 400;
  const half = () => {
    const memory = build(TRACES);
    for (let trace = 1; trace <= TRACES; trace++) memory.remember(buildDecision(trace), 0, trace);
    memory.age(1_000 + TRACES / 2, TRACES);
    expect(memory.fingerprints.count).toBe(TRACES / 2);
    return memory;
  };

  it("carries what is in full and what is a fingerprint of these, and nothing of others", () => {
    const wanted = shardsOf(TRACES, (trace) => trace % 3 === 0);
    const batches = exportAll(half(), wanted);
    const copy = build(TRACES);
    loadAll(copy, batches);
    const states = new Map([[UNKNOWN, 0], [FULL, 0], [FINGERPRINT, 0]]);
    for (let trace = 1; trace <= TRACES; trace++) {
      const isWanted = wanted[shardOf(buildPart(trace), 0)] === 1;
      const state = lookup(copy, trace);
      expect(state).toBe(!isWanted ? UNKNOWN : trace <= TRACES / 2 ? FINGERPRINT : FULL);
      states.set(state, states.get(state)! + 1);
    }
    expect(Math.min(...states.values())).toBeGreaterThan(50);
    const shards = shardsIn(batches);
    expect(shards).toHaveLength(TRACES - states.get(UNKNOWN)!);
    expect(shards.every((shard) => wanted[shard] === 1)).toBe(true);
  });

  it("finds a decision that grew old in front of it", () => {
    const memory = half();
    const wanted = shardsOf(TRACES, (trace) => trace % 2 === 0);
    const sweep = new MemorySweep(memory);
    sweep.exportAll(wanted);
    const first = new Uint32Array(100);
    const firstWords = sweep.slice(first, 0, 100);
    memory.age(9_000, TRACES);
    const copy = build(TRACES);
    loadAll(copy, [first.subarray(0, firstWords), ...batchesOf(sweep)]);
    for (let trace = 2; trace <= TRACES; trace += 2) expect(lookup(copy, trace)).not.toBe(UNKNOWN);
  });

  it("with all shards is a sweep over everything, with none over nothing", () => {
    const memory = half();
    expect(exportAll(memory, new Uint8Array(SHARDS).fill(1))).toEqual(exportAll(memory));
    expect(exportAll(memory, new Uint8Array(SHARDS))).toEqual([]);
  });

  it("is forgotten by the next sweep", () => {
    const memory = half();
    const mark = { changes: 0, fingerprints: 0 };
    const sweep = new MemorySweep(memory);
    for (const next of [() => sweep.exportAll(), () => sweep.exportSince(mark)]) {
      sweep.exportAll(new Uint8Array(SHARDS));
      next();
      expect(shardsIn(batchesOf(sweep))).toHaveLength(TRACES);
    }
  });

  it("needs a flag for each shard", () => {
    const sweep = new MemorySweep(build());
    expect(() => sweep.exportAll(new Uint8Array(SHARDS - 1))).toThrow("each shard");
  });
});

describe("load", () => {
  const batchOf = (trace: number, atS: number) => {
    const memory = build();
    memory.remember(buildDecision(trace, { atS, keep: 1 }), 0, 0);
    return exportAll(memory)[0]!;
  };

  it.each([
    ["just made", 1_000, 10_000], ["seven seconds old", 993, 3_000], ["over", 990, 0],
    ["from the future", 2_000, 10_000],
  ])("goes on ageing by the wall clock: %s", (_what, atS, leftMs) => {
    const memory = build(100, 0x5eed, 10_000);
    const nowMs = 300; // the monotonic clock of this run began later than the decision was made
    expect(memory.load(batchOf(4, atS), 0, batchWordsFor(1), nowMs, 1_000)).toBe(LOADED);
    if (leftMs > 0) {
      memory.age(nowMs + leftMs - 1, 10);
      expect(lookup(memory, 4)).toBe(FULL);
      memory.age(nowMs + leftMs, 10);
    }
    expect(lookup(memory, 4)).toBe(FINGERPRINT);
  });

  it("changes nothing the second time", () => {
    const memory = build();
    for (let trace = 1; trace <= 9; trace++) memory.remember(buildDecision(trace), 0, trace * 100);
    memory.age(1_500, 10);
    const batches = exportAll(memory);
    const copy = build();
    loadAll(copy, batches);
    const once = exportAll(copy);
    loadAll(copy, batches);
    expect(exportAll(copy)).toEqual(once);
  });

  it("merges a fingerprint with a decision in full, whichever comes first", () => {
    const older = build();
    older.remember(buildDecision(1, { decided: 1, keep: 0x10 }), 0, 0);
    older.age(5_000, 1);
    const younger = build();
    younger.remember(buildDecision(1, { decided: 2, keep: 0x20 }), 0, 0);
    for (const sources of [[older, younger], [younger, older]]) {
      const copy = build();
      for (const source of sources) loadAll(copy, exportAll(source));
      expect(lookup(copy, 1)).toBe(FULL);
      expect([copy.decidedMask, copy.keepMask]).toEqual([3, 0x30]);
      copy.age(9_000, 10);
      expect(lookup(copy, 1)).toBe(FINGERPRINT);
      expect([copy.decidedMask, copy.keepMask]).toEqual([3, 0x30]);
    }
  });

  it("merges an old decision into one in full", () => {
    const memory = build();
    memory.remember(buildDecision(1, { decided: 1, keep: 1 }), 0, 0);
    memory.loadEntry(buildDecision(1, { decided: 2, keep: 2, atS: 5 }), 0, 0, 1_000);
    expect(lookup(memory, 1)).toBe(FULL);
    expect([memory.decidedMask, memory.keepMask]).toEqual([3, 3]);
  });

  it("refuses fingerprints of another seed, and takes decisions in full", () => {
    const memory = build();
    memory.remember(buildDecision(1), 0, 0);
    memory.age(5_000, 1);
    memory.remember(buildDecision(2), 0, 5_000);
    const [full, fingerprints] = exportAll(memory);
    const other = build(100, 1);
    expect(other.load(full!, 0, full!.length, 0, 1_000)).toBe(LOADED);
    expect(other.load(fingerprints!, 0, fingerprints!.length, 0, 1_000)).toBe(LOAD_OTHER_SEED);
    expect(other.fingerprints.count).toBe(0);
  });

  it.each([
    ["no header", LOAD_MALFORMED, (words: Uint32Array) => words.subarray(0, 1)],
    ["half an entry", LOAD_MALFORMED, (words: Uint32Array) => words.subarray(0, -1)],
    ["an entry less", LOAD_MALFORMED, (words: Uint32Array) => words.subarray(0, batchWordsFor(1))],
    ["an unknown kind", LOAD_MALFORMED, (words: Uint32Array) => words.with(0, words[0]! + 5)],
    ["a newer version", LOAD_NEWER_VERSION, (words: Uint32Array) => words.with(0, words[0]! + 256)],
    ["no decision", LOAD_MALFORMED, (words: Uint32Array) => words.with(batchWordsFor(1) + 4, 0)],
    ["no trace id", LOAD_MALFORMED, (words: Uint32Array) => words.with(batchWordsFor(1) + 3, 0)],
  ])("takes nothing of a batch with %s", (_what, answer, spoil) => {
    const memory = build();
    for (let trace = 1; trace <= 2; trace++) memory.remember(buildDecision(trace), 0, 0);
    const batch = spoil(exportAll(memory)[0]!);
    const copy = build();
    expect(copy.load(batch, 0, batch.length, 0, 1_000)).toBe(answer);
    expect(copy.full.count).toBe(0);
  });

  it("refuses fingerprints that do not say their shard, and takes full decisions as old", () => {
    const memory = build();
    for (let trace = 1; trace <= 2; trace++) memory.remember(buildDecision(trace), 0, trace * 100);
    memory.age(1_150, 1);
    const older = exportAll(memory).map((words) => words.with(0, words[0]! - 256));
    const copy = build();
    expect(older.map((batch) => copy.load(batch, 0, batch.length, 0, 1_000)))
      .toEqual([LOADED, LOAD_OLDER_VERSION]);
    expect(older.map((batch) => copy.checkBatch(batch, 0, batch.length)))
      .toEqual([LOADED, LOAD_OLDER_VERSION]);
    expect([lookup(copy, 1), lookup(copy, 2)]).toEqual([UNKNOWN, FULL]);
    expect(copy.fingerprints.count).toBe(0);
  });

  it("takes a batch from the middle of other words", () => {
    const batch = batchOf(9, 1_000);
    const words = new Uint32Array(batch.length + 20);
    words.set(batch, 11);
    const memory = build();
    expect(memory.load(words, 11, 11 + batch.length, 0, 1_000)).toBe(LOADED);
    expect(lookup(memory, 9)).toBe(FULL);
  });

  it("knows the layout of a batch of fingerprints", () => {
    const memory = build();
    memory.remember(buildDecision(1, { decided: 5, keep: 6 }), 0, 0);
    memory.age(5_000, 1);
    const [batch] = exportAll(memory);
    expect(batch).toHaveLength(BATCH_HEADER_WORDS + FINGERPRINT_WORDS);
    expect(batch![0]).toBe(BATCH_FINGERPRINTS | (BATCH_VERSION << 8) | (1 << 16));
    expect(batch![BATCH_HEADER_WORDS + 2]).toBe(5 | (6 << 16));
    expect(BATCH_FULL).not.toBe(BATCH_FINGERPRINTS);
  });
});
