// What becomes of fingerprints in the log of a former run, by the number of lanes now.

import { describe, expect, it } from "vitest";
import { shardOf } from "../../../engine/hash/shard-of.ts";
import { Destinations } from "../../../engine/lane/destinations.ts";
import { ForeignSets } from "../../../engine/lane/foreign-sets.ts";
import { KeptStore } from "../../../engine/lane/kept-store.ts";
import { LaneClock } from "../../../engine/lane/lane-clock.ts";
import { LaneRecovery } from "../../../engine/lane/lane-recovery.ts";
import { encodeLogMeta } from "../../../engine/lane/log-meta.ts";
import { PartSender } from "../../../engine/lane/part-sender.ts";
import { AttributeMatcher } from "../../../engine/part/attribute-matcher.ts";
import { PolicySets } from "../../../engine/lane/policy-sets.ts";
import { ShardTable } from "../../../engine/lane/shard-table.ts";
import { KIND_MEMORY } from "../../../engine/log/entry-layout.ts";
import type { LaneLog } from "../../../engine/log/lane-log.ts";
import type { RecoveryVisitor } from "../../../engine/log/recovery.ts";
import {
  KIND_FINGERPRINT, MESSAGE_KIND, MESSAGE_WORDS,
} from "../../../engine/part/part-layout.ts";
import {
  createSlotRing, SlotRingConsumer, SlotRingProducer,
} from "../../../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../../../engine/ring/wake-word.ts";
import { compilePolicySet } from "../../../engine/sampling/compile.ts";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import { DecisionMemory, FINGERPRINT, LOADED } from "../../../engine/traces/decision-memory.ts";
import {
  BATCH_HEADER_WORDS, FINGERPRINT_WORDS, batchWordsFor,
} from "../../../engine/traces/memory-layout.ts";
import { MemorySweep } from "../../../engine/traces/memory-sweep.ts";
import { buildDecision, buildPart } from "../traces/table-builders.ts";

const TRACES = 60;
const GENERATION = 1;
const RING_SLOTS = 16;
const SEED = 0x5eed;

const buildMemory = () =>
  new DecisionMemory({ fullMax: 100, fullMs: 1_000, fingerprintBytes: 10_000, seed: SEED });

/** One batch with the fingerprints of traces 1 to TRACES. */
function fingerprintBatch(): Uint32Array {
  const memory = buildMemory();
  for (let trace = 1; trace <= TRACES; trace++) memory.remember(buildDecision(trace), 0, 0);
  memory.age(5_000, TRACES);
  const sweep = new MemorySweep(memory);
  sweep.exportAll();
  const target = new Uint32Array(batchWordsFor(TRACES));
  let words = 0;
  while (words === 0) words = sweep.slice(target, 0, target.length); // no full entries come first
  expect(sweep.done).toBe(true);
  return target.slice(0, words);
}

/** A log of which one generation, written by a run of so many lanes, has these words. */
function logOf(words: Uint32Array, lanes: number): LaneLog {
  const meta = encodeLogMeta({ logId: "log", lanes, forwarders: [], policySets: [] });
  const log = {
    recover(visitor: RecoveryVisitor): void {
      visitor.onMeta(GENERATION, meta, 0, meta.length);
      visitor.onWords(KIND_MEMORY, words.slice(), words.length, GENERATION);
    },
    generations: () => [],
  };
  return log as unknown as LaneLog; // all of it that a recovery without records touches
}

/** Remembers what it is passed. */
class OtherLane {
  readonly memory = buildMemory();
  readonly #ring: SlotRingConsumer;
  passed = 0;

  constructor(ring: SlotRingConsumer) {
    this.#ring = ring;
  }

  drain(): void {
    const ring = this.#ring;
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      expect(ring.words[at + MESSAGE_KIND]).toBe(KIND_FINGERPRINT);
      const end = at + BATCH_HEADER_WORDS + FINGERPRINT_WORDS;
      expect(this.memory.load(ring.words, at, end, 0, 0)).toBe(LOADED);
      this.passed++;
      ring.release();
    }
    ring.flush();
  }
}

/** Loads the log in lane `lane` of `lanes`. @returns its memory, and all lanes. */
function recover(words: Uint32Array, lane: number, lanes: number, lanesBefore: number) {
  const rings = Array.from({ length: lanes }, () => createSlotRing(RING_SLOTS, MESSAGE_WORDS));
  const policySets = new PolicySets(compilePolicySet([]));
  const foreign = new ForeignSets({
    board: null, own: new AttributeMatcher([]), policySets, slotNames: [], numbered: () => {},
  }, lane);
  const sender = new PartSender(lane, lanes, {
    rings: rings.map((ring) => new SlotRingProducer(ring)),
    wakes: rings.map(() => new WakeWord(createWakeWord())),
    shards: new ShardTable(null, lane, lanes), destinations: new Destinations(),
    foreign,
  });
  const memory = buildMemory();
  const recovery = new LaneRecovery({
    log: logOf(words, lanesBefore), memory, kept: new KeptStore(1),
    policySets, sender, clock: new LaneClock(1_000),
    counters: new CounterBlock("lane", createCounterBlock("lane")),
  }, lane, lanes, { samplers: 0, all: 0 });
  const others = rings.map((ring) => new OtherLane(new SlotRingConsumer(ring)));
  const drain = (): void => {
    sender.flush();
    for (const other of others) other.drain();
  };
  recovery.load(drain);
  drain();
  return { memory, others };
}

/** The traces of the lane's shards. */
function tracesOf(lane: number, lanes: number): number[] {
  const all = Array.from({ length: TRACES }, (_, index) => index + 1);
  return all.filter((trace) => shardOf(buildPart(trace), 0) % lanes === lane);
}

const known = (memory: DecisionMemory) => Array.from({ length: TRACES }, (_, index) => index + 1)
  .filter((trace) => memory.lookup(buildPart(trace), 0) === FINGERPRINT);

describe("fingerprints of a former run", () => {
  it.each([
    ["as many lanes", 1, 3, 3], ["more lanes", 0, 3, 2], ["fewer lanes", 1, 2, 5],
    ["one lane", 0, 1, 4],
  ])("are remembered by the owner of their shard alone, with %s", (_what, lane, lanes, was) => {
    const { memory, others } = recover(fingerprintBatch(), lane, lanes, was);
    expect(known(memory)).toEqual(tracesOf(lane, lanes));
    expect(memory.fingerprints.count).toBe(tracesOf(lane, lanes).length);
    for (const [number, other] of others.entries()) {
      const traces = number === lane ? [] : tracesOf(number, lanes);
      expect(known(other.memory)).toEqual(traces);
      expect(other.passed).toBe(traces.length);
    }
  });

  it("are left where they are when they do not say their shard, or are of another seed", () => {
    const batch = fingerprintBatch();
    for (const spoiled of [batch.with(0, batch[0]! - 256), batch.with(1, batch[1]! ^ 1)]) {
      const { memory, others } = recover(spoiled, 0, 2, 1);
      expect(memory.fingerprints.count).toBe(0);
      expect(others.map(({ passed }) => passed)).toEqual([0, 0]);
    }
  });
});
