import { describe, expect, it } from "vitest";
import { DecisionSender } from "../../../engine/lane/decision-sender.ts";
import { LaneClock } from "../../../engine/lane/lane-clock.ts";
import type { LaneForwarder } from "../../../engine/lane/lane-plan.ts";
import { batchMax, Owner } from "../../../engine/lane/owner.ts";
import { SamplerClock } from "../../../engine/lane/sampler-clock.ts";
import { ShardTable } from "../../../engine/lane/shard-table.ts";
import { WitnessDesk } from "../../../engine/lane/witness-desk.ts";
import {
  DECISION_WORDS, TRIGGER_MEMORY, TRIGGER_SHUTDOWN, TRIGGER_STORAGE,
} from "../../../engine/part/decision-layout.ts";
import {
  MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_UNDECIDED, MESSAGE_WORDS, PART_BYTES, PART_SPANS,
} from "../../../engine/part/part-layout.ts";
import {
  createSlotRing, SlotRingConsumer, SlotRingProducer,
} from "../../../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../../../engine/ring/wake-word.ts";
import { compilePolicySet } from "../../../engine/sampling/compile.ts";
import { parsePolicies } from "../../../engine/sampling/policy-config.ts";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import { DecisionMemory } from "../../../engine/traces/decision-memory.ts";
import { TraceTable } from "../../../engine/traces/trace-table.ts";

const ROWS_MAX = 8_000;
const WAIT_MS = 600_000;

/** An owner of traces 1, 2, 3, … whose decisions go to one holder. */
class Fixture {
  readonly table = new TraceTable({ rowsMax: ROWS_MAX, linksMax: 2 * ROWS_MAX, seed: 1 });
  readonly owner: Owner;
  readonly #ring: SlotRingConsumer;
  readonly #message = new Uint32Array(MESSAGE_WORDS);
  #entry = 0;

  constructor() {
    const { policies } = parsePolicies([{ name: "all", type: "always_sample" }], "");
    const sampler = { slot: 0, forwarder: "one", policies, decisionWaitMs: WAIT_MS,
      decisionWaitAfterRootMs: 0 };
    const forwarder: LaneForwarder = {
      slot: 0, name: "one", sampler, outboxAfterMs: 1000, outboxBytesMax: 1 << 20,
    };
    const counters = new CounterBlock("lane", createCounterBlock("lane"));
    const memory = createSlotRing(16_384, DECISION_WORDS);
    this.#ring = new SlotRingConsumer(memory);
    const shards = new ShardTable(null, 0, 1);
    const sender = new DecisionSender(
      1, [new SlotRingProducer(memory)], [new WakeWord(createWakeWord())], counters);
    this.owner = new Owner({
      table: this.table, policies: compilePolicySet([sampler]), counters,
      memory: new DecisionMemory({
        fullMax: 20_000, fullMs: 60_000, fingerprintBytes: 1 << 16, seed: 2,
      }),
      samplers: new SamplerClock([forwarder]), clock: new LaneClock(WAIT_MS),
      sender, shards, desk: new WitnessDesk(0, shards, sender, batchMax(shards)),
    }, { spansPerTraceMax: 1e9, bytesPerTraceMax: 1e9 }, WAIT_MS);
  }

  /** A part of a trace. @returns false when the table takes none. */
  part(trace: number, bytes: number): boolean {
    const words = this.#message;
    words.fill(0);
    words[3] = trace;
    words[PART_SPANS] = 1;
    words[PART_BYTES] = bytes;
    words[MESSAGE_GENERATION] = 1;
    words[MESSAGE_ENTRY] = ++this.#entry;
    words[MESSAGE_UNDECIDED] = 1;
    return this.owner.takePart(words, 0);
  }

  /** One turn's decisions, told. @returns the traces judged, in order. */
  decide(forced: number, bytesMax = Infinity): number[] {
    const count = this.owner.decide(forced, bytesMax);
    const traces = Array.from(this.owner.batch.rows.subarray(0, count), (row) => {
      return this.table.words[row * 20 + 3]!;
    });
    expect(this.owner.sendBatch()).toBe(true);
    while (this.#ring.peek() >= 0) this.#ring.release();
    this.#ring.flush();
    return traces;
  }
}

describe("an owner that must judge early", () => {
  it("gives up the heaviest of a full table, as many as make room, and no more", () => {
    const fixture = new Fixture();
    for (let trace = 1; trace <= ROWS_MAX * 0.99; trace++) {
      expect(fixture.part(trace, trace % 100 === 0 ? 1_000_000 : 100)).toBe(true);
    }
    expect(fixture.owner.bounds.crowded).toBe(true);
    const judged: number[] = [];
    for (let turn = 0; turn < 10; turn++) judged.push(...fixture.decide(TRIGGER_MEMORY));
    expect(fixture.table.rows).toBe(ROWS_MAX * 0.96);
    expect(judged.length).toBe(ROWS_MAX * 0.03);
    expect(judged.slice(0, 79).every((trace) => trace % 100 === 0)).toBe(true);
  });

  it("gives up the trace with the most parts when links are short", () => {
    const fixture = new Fixture();
    for (let trace = 1; trace <= 4000; trace++) fixture.part(trace, 1_000_000);
    for (let part = 0; part < 11_800; part++) fixture.part(5000, 1);
    expect(fixture.owner.bounds.crowded).toBe(true);
    expect(fixture.decide(TRIGGER_MEMORY)).toEqual([5000]);
    expect(fixture.owner.bounds.crowded).toBe(false);
  });

  it("for storage judges the oldest first, up to the bytes it may", () => {
    const fixture = new Fixture();
    for (let trace = 1; trace <= 100; trace++) fixture.part(trace, trace === 50 ? 90_000 : 1000);
    expect(fixture.decide(TRIGGER_STORAGE, 2500)).toEqual([1, 2, 3]);
    expect(fixture.owner.earlyBytes).toBe(3000);
  });

  it("judges everything at a shutdown, whatever room there is", () => {
    const fixture = new Fixture();
    for (let trace = 1; trace <= 1500; trace++) fixture.part(trace, 10);
    const judged = [...fixture.decide(TRIGGER_SHUTDOWN), ...fixture.decide(TRIGGER_SHUTDOWN)];
    expect(judged.length).toBe(1500);
    expect(fixture.table.rows).toBe(0);
  });

  it("lives in the rows it has touched while it is held, and grows again after it", () => {
    const fixture = new Fixture();
    let trace = 0;
    while (trace < 3000) fixture.part(++trace, 10);
    expect(fixture.owner.bounds.crowded).toBe(false);
    fixture.owner.bounds.hold(true);
    for (let turn = 0; turn < 200; turn++) {
      if (fixture.owner.bounds.crowded) fixture.decide(TRIGGER_MEMORY);
      for (let more = 0; more < 50; more++) fixture.part(++trace, 10);
    }
    expect(fixture.table.rowsTouched).toBeLessThanOrEqual(3000);
    expect(fixture.table.rows).toBeGreaterThan(2700);
    fixture.owner.bounds.hold(false);
    while (trace < 16_500) fixture.part(++trace, 10);
    expect(fixture.owner.bounds.crowded).toBe(false);
    expect(fixture.table.rowsTouched).toBeGreaterThan(5000);
  });
});
