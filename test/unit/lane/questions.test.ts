import { describe, expect, it } from "vitest";
import {
  ClusterWords, createClusterWords, createShardColumns, SELF, systemMonotonicMs,
} from "../../../engine/cluster/cluster-words.ts";
import { DecisionSender } from "../../../engine/lane/decision-sender.ts";
import { LaneClock } from "../../../engine/lane/lane-clock.ts";
import type { LaneForwarder } from "../../../engine/lane/lane-plan.ts";
import { batchMax, Owner } from "../../../engine/lane/owner.ts";
import { PolicySets } from "../../../engine/lane/policy-sets.ts";
import {
  QUESTION_TRACE, QUESTION_WORDS, Questions,
} from "../../../engine/lane/questions.ts";
import { Reporter, type LaneReport } from "../../../engine/lane/reporter.ts";
import { SamplerClock } from "../../../engine/lane/sampler-clock.ts";
import { ShardTable } from "../../../engine/lane/shard-table.ts";
import { WitnessDesk } from "../../../engine/lane/witness-desk.ts";
import { DECISION_WORDS, TRIGGER_SHUTDOWN } from "../../../engine/part/decision-layout.ts";
import {
  MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_UNDECIDED, MESSAGE_WORDS, PART_BYTES, PART_SPANS,
} from "../../../engine/part/part-layout.ts";
import {
  ByteRingConsumer, ByteRingProducer, createByteRing,
} from "../../../engine/ring/byte-ring.ts";
import {
  createSlotRing, SlotRingConsumer, SlotRingProducer,
} from "../../../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../../../engine/ring/wake-word.ts";
import { compilePolicySet } from "../../../engine/sampling/compile.ts";
import { parsePolicies } from "../../../engine/sampling/policy-config.ts";
import { SHARDS } from "../../../engine/hash/shard-of.ts";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import type { TraceReport } from "../../../engine/telemetry/trace-report.ts";
import { DecisionMemory } from "../../../engine/traces/decision-memory.ts";
import { TraceTable } from "../../../engine/traces/trace-table.ts";

const WAIT_MS = 600_000;
const WITNESS = 1;
const TRACE = 7;

/** A lane of a node that owns all shards; another node witnesses them. */
class Fixture {
  readonly owner: Owner;
  readonly #questions: Questions;
  readonly #asks: SlotRingProducer;
  readonly #answers: ByteRingConsumer;

  constructor() {
    const { policies } = parsePolicies([{ name: "all", type: "always_sample" }], "");
    const sampler = {
      slot: 0, forwarder: "one", policies, decisionWaitMs: WAIT_MS, decisionWaitAfterRootMs: 0,
    };
    const forwarder: LaneForwarder = {
      slot: 0, name: "one", sampler, outboxAfterMs: 1000, outboxBytesMax: 1 << 20,
    };
    const counters = new CounterBlock("lane", createCounterBlock("lane"));
    const decisions = createSlotRing(64, DECISION_WORDS);
    const questions = createSlotRing(64, QUESTION_WORDS);
    const reports = createByteRing(1 << 16);
    const wake = new WakeWord(createWakeWord());
    const shards = witnessedShards();
    const sender = new DecisionSender(1, [new SlotRingProducer(decisions)], [wake], counters);
    const table = new TraceTable({ rowsMax: 100, linksMax: 200, seed: 1 });
    const memory = new DecisionMemory({
      fullMax: 100, fullMs: 60_000, fingerprintBytes: 1 << 16, seed: 2,
    });
    const policySets = new PolicySets(compilePolicySet([sampler]));
    this.owner = new Owner({
      table, memory, policies: policySets.current, samplers: new SamplerClock([forwarder]),
      clock: new LaneClock(WAIT_MS), sender, shards, counters,
      desk: new WitnessDesk(0, shards, sender, batchMax(shards)),
    }, { spansPerTraceMax: 1e9, bytesPerTraceMax: 1e9 }, WAIT_MS);
    this.#asks = new SlotRingProducer(questions);
    this.#answers = new ByteRingConsumer(reports);
    this.#questions = new Questions({
      ring: new SlotRingConsumer(questions), table, memory, owner: this.owner, policySets, lane: 0,
      reporter: new Reporter(new ByteRingProducer(reports), wake),
    });
  }

  part(): void {
    const words = new Uint32Array(MESSAGE_WORDS);
    words[3] = TRACE;
    words[PART_SPANS] = 1;
    words[PART_BYTES] = 10;
    words[MESSAGE_GENERATION] = 1;
    words[MESSAGE_ENTRY] = 1;
    words[MESSAGE_UNDECIDED] = 1;
    expect(this.owner.takePart(words, 0)).toBe(true);
  }

  report(): TraceReport | null {
    const at = this.#asks.reserve();
    this.#asks.words[at + QUESTION_TRACE + 3] = TRACE;
    this.#asks.publish();
    this.#asks.flush();
    this.#questions.answer(1);
    const from = this.#answers.peek();
    const text = new TextDecoder()
      .decode(this.#answers.bytes.slice(from, from + this.#answers.messageBytes));
    this.#answers.release();
    const report = JSON.parse(text) as LaneReport;
    if (report.kind !== "answer") throw new Error(`not an answer: ${text}`);
    return report.trace;
  }
}

function witnessedShards(): ShardTable {
  const memory = createClusterWords();
  const words = new ClusterWords(memory);
  const columns = createShardColumns();
  columns.owners.fill(SELF);
  columns.witnesses.fill(WITNESS);
  columns.members.fill(1, SELF, WITNESS + 1);
  words.publish(1, columns);
  words.setDecideUntil(systemMonotonicMs() + WAIT_MS);
  const shards = new ShardTable(memory, 0, 1);
  shards.adopt();
  return shards;
}

describe("a question about a trace", () => {
  it("is answered with a decision when its witness has committed it, and not before", () => {
    const fixture = new Fixture();
    expect(fixture.report()).toBeNull();
    fixture.part();
    const waiting = { state: "waiting", known: "row", spans: 1, undecided: ["one"], decisions: [] };
    expect(fixture.report()).toMatchObject(waiting);
    expect(fixture.owner.decide(TRIGGER_SHUTDOWN, Infinity)).toBe(1);
    expect(fixture.report()).toMatchObject(waiting);
    fixture.owner.rememberBatch();
    expect(fixture.report()).toMatchObject({
      state: "decided", known: "full", spans: 1, undecided: [],
      decisions: [{ forwarder: "one", decision: "keep", policy: "all" }],
    });
  });

  it.each([
    ["a decision that was under way when the next map took the shard", true],
    ["nothing when others may have judged it meanwhile", false],
  ])("is answered with %s", (_, isNext) => {
    const fixture = new Fixture();
    fixture.part();
    expect(fixture.owner.decide(TRIGGER_SHUTDOWN, Infinity)).toBe(1);
    const none = new Uint8Array(256);
    const lost = new Uint8Array(SHARDS).fill(1);
    fixture.owner.dropLost(
      { lost, hasLost: true, isNext, gained: none, witnesses: none }, false);
    expect(fixture.owner.liveRows).toBe(0);
    const report = fixture.report();
    if (!isNext) expect(report).toBeNull();
    else expect(report).toMatchObject({ state: "decided", decisions: [{ decision: "keep" }] });
  });
});
