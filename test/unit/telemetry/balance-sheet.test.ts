import { describe, expect, it } from "vitest";
import {
  balanceSheet, closes, type BalanceSheet,
} from "../../../engine/telemetry/balance-sheet.ts";
import { balanceTable } from "../../../engine/telemetry/balance-table.ts";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import {
  DIRECTION_IN, DIRECTION_OUT, keptByPolicy, KEPT_LOST_NAMES, keptLostIndex, KEPT_NO_SAMPLER,
  keptWithoutPolicy, LOST_NAMES, lostIndex, movedIndex, PROTOCOL_NAMES, REFUSED_NAMES,
} from "../../../engine/telemetry/label-values.ts";
import type { LabelNames } from "../../../engine/telemetry/metric-layout.ts";
import {
  KEPT_SPANS_LOST, KEPT_SPANS_REPLAYED, OUTBOX_SPANS, SPANS_ACKNOWLEDGED, SPANS_DROPPED,
  SPANS_IN_FLIGHT, SPANS_KEPT, SPANS_LOST, SPANS_MOVED, SPANS_RECEIVED, SPANS_REFUSED,
  SPANS_REPLAYED, SPANS_UPGRADED,
} from "../../../engine/telemetry/metric-table.ts";
import { SnapshotReader } from "../../../engine/telemetry/snapshot.ts";
import { statusReport } from "../../../engine/telemetry/status-report.ts";
import { Random } from "../../support/random.ts";

const names: LabelNames = {
  forwarders: [
    { name: "backend", receives: true }, { name: "archive", receives: true }, null,
    { name: "removed", receives: false },
  ],
  policySets: [[{ name: "errors", samplerSlot: 0 }, { name: "slow", samplerSlot: 0 }]],
};
const SLOTS = [0, 1, 3] as const;

/** Spans as the lanes of a node would count them, one event at a time; every event is balanced. */
class PlainNode {
  readonly #lanes: CounterBlock<"lane">[];
  readonly #reader: SnapshotReader;
  readonly #random: Random;
  /** Spans per lane and slot: undecided, dropped, kept and unacknowledged. */
  readonly #undecided: number[][];
  readonly #dropped: number[][];
  readonly #waiting: number[][];

  constructor(random: Random, lanes: number) {
    const memories = Array.from({ length: lanes }, () => createCounterBlock("lane"));
    this.#lanes = memories.map((memory) => new CounterBlock("lane", memory));
    this.#reader = new SnapshotReader({ lanes: memories, doors: [], forwards: [] });
    this.#random = random;
    this.#undecided = memories.map(() => [0, 0, 0, 0]);
    this.#dropped = memories.map(() => [0, 0, 0, 0]);
    this.#waiting = memories.map(() => [0, 0, 0, 0]);
  }

  act(): void {
    const lane = this.#random.below(this.#lanes.length);
    const slot = SLOTS[this.#random.below(SLOTS.length)] ?? 0;
    const spans = 1 + this.#random.below(1_000_000);
    const actions = [
      () => this.receive(lane, spans), () => this.replay(lane, slot, spans),
      () => this.decide(lane, slot), () => this.decide(lane, slot), () => this.upgrade(lane, slot),
      () => this.move(lane, slot, spans), () => this.lose(lane, slot),
      () => this.deliver(lane, slot), () => this.loseKept(lane, slot),
      () => this.refuse(lane, spans),
    ];
    actions[this.#random.below(actions.length)]?.();
    this.block(lane).publish();
  }

  block(lane: number): CounterBlock<"lane"> {
    const block = this.#lanes[lane];
    if (block === undefined) throw new Error(`no lane ${lane}`);
    return block;
  }

  sheet(): BalanceSheet {
    return balanceSheet(this.#reader.readBlocks(), names);
  }

  receive(lane: number, spans: number): void {
    const block = this.block(lane);
    block.addAt(SPANS_RECEIVED, this.#random.below(PROTOCOL_NAMES.length), spans);
    for (const slot of [0, 1]) this.#store(lane, slot, spans);
  }

  replay(lane: number, slot: number, spans: number): void {
    const block = this.block(lane);
    if (this.#random.chance(0.5)) {
      block.addAt(SPANS_REPLAYED, slot, spans);
      this.#store(lane, slot, spans);
    } else {
      block.addAt(KEPT_SPANS_REPLAYED, slot, spans);
      this.#wait(lane, slot, spans);
    }
  }

  decide(lane: number, slot: number): void {
    const spans = this.#take(this.#undecided, lane, slot);
    const block = this.block(lane);
    block.addAt(SPANS_IN_FLIGHT, slot, -spans);
    if (this.#random.chance(0.7)) {
      block.addAt(SPANS_DROPPED, slot, spans);
      this.#put(this.#dropped, lane, slot, spans);
    } else this.#keep(lane, slot, spans);
  }

  upgrade(lane: number, slot: number): void {
    const spans = this.#take(this.#dropped, lane, slot);
    this.block(lane).addAt(SPANS_UPGRADED, slot, spans);
    this.#keep(lane, slot, spans);
  }

  move(lane: number, slot: number, spans: number): void {
    const block = this.block(lane);
    if (this.#random.chance(0.5)) {
      block.addAt(SPANS_MOVED, movedIndex(slot, DIRECTION_IN), spans);
      this.#store(lane, slot, spans);
      return;
    }
    const out = this.#take(this.#undecided, lane, slot);
    block.addAt(SPANS_IN_FLIGHT, slot, -out);
    block.addAt(SPANS_MOVED, movedIndex(slot, DIRECTION_OUT), out);
  }

  lose(lane: number, slot: number): void {
    const spans = this.#take(this.#undecided, lane, slot);
    this.block(lane).addAt(SPANS_IN_FLIGHT, slot, -spans);
    const reason = this.#random.below(LOST_NAMES.length);
    this.block(lane).addAt(SPANS_LOST, lostIndex(slot, reason), spans);
  }

  deliver(lane: number, slot: number): void {
    const spans = this.#take(this.#waiting, lane, slot);
    this.block(lane).addAt(OUTBOX_SPANS, slot, -spans);
    this.block(lane).addAt(SPANS_ACKNOWLEDGED, slot, spans);
  }

  loseKept(lane: number, slot: number): void {
    const spans = this.#take(this.#waiting, lane, slot);
    this.block(lane).addAt(OUTBOX_SPANS, slot, -spans);
    const reason = this.#random.below(KEPT_LOST_NAMES.length);
    this.block(lane).addAt(KEPT_SPANS_LOST, keptLostIndex(slot, reason), spans);
  }

  refuse(lane: number, spans: number): void {
    this.block(lane).addAt(SPANS_REFUSED, this.#random.below(REFUSED_NAMES.length), spans);
  }

  #store(lane: number, slot: number, spans: number): void {
    this.block(lane).addAt(SPANS_IN_FLIGHT, slot, spans);
    this.#put(this.#undecided, lane, slot, spans);
  }

  #keep(lane: number, slot: number, spans: number): void {
    const index = slot === 0
      ? keptByPolicy(0, 0, this.#random.below(2)) : keptWithoutPolicy(KEPT_NO_SAMPLER, slot);
    this.block(lane).addAt(SPANS_KEPT, index, spans);
    this.#wait(lane, slot, spans);
  }

  #wait(lane: number, slot: number, spans: number): void {
    this.block(lane).addAt(OUTBOX_SPANS, slot, spans);
    this.#put(this.#waiting, lane, slot, spans);
  }

  #put(counts: number[][], lane: number, slot: number, spans: number): void {
    const row = counts[lane];
    if (row !== undefined) row[slot] = (row[slot] ?? 0) + spans;
  }

  #take(counts: number[][], lane: number, slot: number): number {
    const there = counts[lane]?.[slot] ?? 0;
    const spans = there === 0 ? 0 : 1 + this.#random.below(there);
    this.#put(counts, lane, slot, -spans);
    return spans;
  }
}

/** Every term of the two accounts: how a mistake of `spans` in it would be counted. */
const MISTAKES: readonly ((block: CounterBlock<"lane">, slot: number, spans: number) => void)[] = [
  (block, _, spans) => block.addAt(SPANS_RECEIVED, 0, spans),
  (block, slot, spans) => block.addAt(SPANS_REPLAYED, slot, spans),
  (block, slot, spans) => block.addAt(SPANS_MOVED, movedIndex(slot, DIRECTION_IN), spans),
  (block, slot, spans) => block.addAt(SPANS_MOVED, movedIndex(slot, DIRECTION_OUT), spans),
  (block, slot, spans) => block.addAt(SPANS_DROPPED, slot, spans),
  (block, slot, spans) => block.addAt(SPANS_UPGRADED, slot, spans),
  (block, slot, spans) => block.addAt(SPANS_IN_FLIGHT, slot, spans),
  (block, slot, spans) => block.addAt(SPANS_LOST, lostIndex(slot, 1), spans),
  (block, slot, spans) => block.addAt(SPANS_KEPT, keptWithoutPolicy(KEPT_NO_SAMPLER, slot), spans),
  (block, slot, spans) => block.addAt(OUTBOX_SPANS, slot, spans),
  (block, slot, spans) => block.addAt(SPANS_ACKNOWLEDGED, slot, spans),
  (block, slot, spans) => block.addAt(KEPT_SPANS_REPLAYED, slot, spans),
  (block, slot, spans) => block.addAt(KEPT_SPANS_LOST, keptLostIndex(slot, 0), spans),
];

describe("the balance sheet", () => {
  it("closes after every event of a node that accounts for every span", () => {
    const random = Random.fromEnvironment();
    const node = new PlainNode(random, 3);
    for (let event = 0; event < 400; event++) {
      node.act();
      const sheet = node.sheet();
      if (!closes(sheet)) {
        expect.fail(`seed ${random.seed}, event ${event}:\n${balanceTable(sheet)}`);
      }
    }
    const sheet = node.sheet();
    expect(sheet.received, `seed ${random.seed}`).toBeGreaterThan(0);
    expect(sheet.forwarders.map((account) => account.forwarder))
      .toEqual(["backend", "archive", "removed"]);
  });

  it("does not close when any one number is off by any amount, and says by how much", () => {
    const random = Random.fromEnvironment();
    for (const [term, mistake] of MISTAKES.entries()) {
      const node = new PlainNode(random, 2);
      for (let event = 0; event < 60; event++) node.act();
      const spans = (1 + random.below(1_000)) * (random.chance(0.5) ? 1 : -1);
      mistake(node.block(0), 1, spans);
      node.block(0).publish();
      const sheet = node.sheet();
      expect(closes(sheet), `seed ${random.seed}, term ${term}`).toBe(false);
      const archive = sheet.forwarders.find((account) => account.forwarder === "archive");
      const differences = [archive?.difference, archive?.deliveryDifference];
      expect(differences.some((difference) => Math.abs(difference ?? 0) === Math.abs(spans)),
        `seed ${random.seed}, term ${term}`).toBe(true);
      expect(balanceTable(sheet)).toContain("DOES NOT CLOSE");
    }
  });

  it("does not let one forwarder's excess hide another's shortage", () => {
    const node = new PlainNode(new Random(1), 1);
    node.receive(0, 10);
    node.block(0).addAt(SPANS_IN_FLIGHT, 0, 4);
    node.block(0).addAt(SPANS_IN_FLIGHT, 1, -4);
    node.block(0).publish();
    const sheet = node.sheet();
    expect(sheet.forwarders.map((account) => account.difference)).toEqual([-4, 4, 0]);
    expect(closes(sheet)).toBe(false);
  });

  it("owes received spans only to forwarders that receive", () => {
    const node = new PlainNode(new Random(1), 1);
    node.receive(0, 10);
    node.replay(0, 3, 5);
    node.block(0).publish();
    const sheet = node.sheet();
    expect(closes(sheet)).toBe(true);
    expect(sheet.forwarders.map((account) => account.received)).toEqual([10, 10, 0]);
  });

  it("shows numbers under a slot that has no name instead of hiding them", () => {
    const node = new PlainNode(new Random(1), 1);
    node.block(0).addAt(SPANS_DROPPED, 2, 5);
    node.block(0).publish();
    const sheet = node.sheet();
    expect(sheet.forwarders.map((account) => account.forwarder)).toContain("forwarder_2");
    expect(closes(sheet)).toBe(false);
  });
});

describe("the printed balance sheet", () => {
  function example(): BalanceSheet {
    const node = new PlainNode(new Random(1), 1);
    const block = node.block(0);
    block.addAt(SPANS_RECEIVED, 0, 1_234_567);
    block.addAt(SPANS_REFUSED, 0, 3);
    block.addAt(SPANS_REPLAYED, 0, 33);
    block.addAt(SPANS_KEPT, keptByPolicy(0, 0, 0), 200_000);
    block.addAt(SPANS_KEPT, keptByPolicy(0, 0, 1), 34_600);
    block.addAt(SPANS_DROPPED, 0, 1_000_010);
    block.addAt(SPANS_UPGRADED, 0, 10);
    block.addAt(SPANS_ACKNOWLEDGED, 0, 234_000);
    block.addAt(OUTBOX_SPANS, 0, 600);
    block.addAt(SPANS_KEPT, keptWithoutPolicy(KEPT_NO_SAMPLER, 1), 1_234_567);
    block.addAt(SPANS_ACKNOWLEDGED, 1, 1_234_560);
    block.addAt(KEPT_SPANS_LOST, keptLostIndex(1, 0), 7);
    block.publish();
    return node.sheet();
  }

  it("reads as a ledger", () => {
    const table = balanceTable(example());
    expect(table).toMatchInlineSnapshot(`
      "Balance sheet (spans)

      received                        1,234,567 (otlp_http_protobuf 1,234,567)
      refused, never acknowledged     3 (invalid_id 3)

                                             backend         archive         removed
        received                           1,234,567       1,234,567               0
      + moved in                                   0               0               0
      + replayed from the log                     33               0               0
                                      --------------  --------------  --------------
      = to decide                          1,234,600       1,234,567               0
        kept                                 234,600       1,234,567               0
            errors                           200,000               -               -
            slow                              34,600               -               -
            no_sampler                             -       1,234,567               -
      + dropped                            1,000,010               0               0
      - upgraded from dropped                     10               0               0
      + in flight, undecided                       0               0               0
      + moved out                                  0               0               0
      + evicted, not stored                        0               0               0
      + lost                                       0               0               0
        difference                                 0               0               0
        share kept                            19.0 %         100.0 %               -

        kept                                 234,600       1,234,567               0
      + kept by an earlier run                     0               0               0
                                      --------------  --------------  --------------
      = to deliver                           234,600       1,234,567               0
        acknowledged                         234,000       1,234,560               0
      + waiting in the outbox                    600               0               0
      + lost after being kept                      0               7               0
            backend_refused                        -               7               -
        difference                                 0               0               0

      The balance closes: every span is accounted for. 600 wait on disk for the next start.
      "
    `);
  });

  it("fits 100 columns however many forwarders there are, and shows all of them", () => {
    const [account] = example().forwarders;
    if (account === undefined) throw new Error("the example has forwarders");
    const forwarders = Array.from({ length: 16 }, (_, slot) => ({
      ...account, forwarder: `forwarder-${slot}-${"x".repeat(slot * 5)}`,
    }));
    const table = balanceTable({ ...example(), forwarders });
    for (const line of table.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    for (let slot = 0; slot < 16; slot++) expect(table).toContain(`forwarder-${slot}-`);
  });

  it("keeps control characters of names from the terminal", () => {
    const [account] = example().forwarders;
    if (account === undefined) throw new Error("the example has forwarders");
    const named = { ...account, forwarder: "\u001b[2Jx", difference: 1 };
    expect(balanceTable({ ...example(), forwarders: [named] })).not.toContain("\u001b");
  });

  it("names who misses how much when it does not close", () => {
    const [account] = example().forwarders;
    if (account === undefined) throw new Error("the example has forwarders");
    const broken = { ...account, difference: 1_200, deliveryDifference: -5 };
    const table = balanceTable({ ...example(), forwarders: [broken] });
    expect(table).toContain("backend: 1,200 received spans are not accounted for");
    expect(table).toContain("backend: 5 kept spans are accounted for more than once");
    expect(table).not.toContain("closes:");
  });

  it("says so when there is nothing to account for", () => {
    expect(balanceTable({ ...example(), forwarders: [] })).toContain("No forwarder is configured");
  });
});

describe("the status report", () => {
  it("has health, balance and each lane", () => {
    const memories = [createCounterBlock("lane"), createCounterBlock("lane")];
    const reader = new SnapshotReader({ lanes: memories, doors: [], forwards: [] });
    const health = { ready: false, draining: false, reasons: ["lane 1 replays its log"] };
    const report = statusReport("1.2.3", health, reader.readBlocks(), names);
    expect(report).toMatchObject({
      version: "1.2.3", ready: false, reasons: ["lane 1 replays its log"], balanceCloses: true,
      lanes: [{ lane: 0, tracesLive: 0 }, { lane: 1 }],
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });
});
