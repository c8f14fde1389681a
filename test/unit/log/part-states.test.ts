import { describe, expect, it } from "vitest";
import { STATES_CHANGED_ONLY } from "../../../engine/log/entry-layout.ts";
import { PartStates } from "../../../engine/log/part-states.ts";
import { WordWriter } from "../../../engine/log/word-writer.ts";
import { recordParts } from "../../support/log-fixture.ts";

const HINT = { entries: 0, parts: 0 };

function statesWith(partsOfRecords: readonly number[], state = 1, pairsMax?: number): PartStates {
  const states = new PartStates(7, HINT, pairsMax);
  partsOfRecords.forEach((count, record) => {
    const { parts } = recordParts(new Array(count).fill(2));
    states.addRecord(2 + record * 2, parts, count, state);
  });
  return states;
}

function staged(stage: (writer: WordWriter) => void, wordsMax = 1024): number[][] {
  const batches: number[][] = [];
  const writer = new WordWriter(wordsMax, (words, count) => {
    batches.push([...words.subarray(0, count)]);
  });
  stage(writer);
  writer.flush();
  return batches;
}

describe("part states", () => {
  it("counts what is not settled, through sets, clears and states above 2^31", () => {
    const states = statesWith([3], 0x8000_0001);
    expect(states.unsettledParts).toBe(3);
    expect(states.state(2, 0)).toBe(0x8000_0001);
    expect(states.clear(2, 0, 1)).toBe(0x8000_0000);
    expect(states.clear(2, 0, 0x8000_0000)).toBe(0);
    expect(states.clear(2, 0, 0xffff_ffff)).toBe(0);
    expect(states.unsettledParts).toBe(2);
    states.set(2, 0, 4);
    expect(states.unsettledParts).toBe(3);
  });

  it("knows its parts and asserts on others", () => {
    const states = statesWith([2]);
    expect(states.has(2, 1)).toBe(true);
    expect(states.has(2, 2)).toBe(false);
    expect(states.has(3, 0)).toBe(false);
    expect(states.has(4_000_000_000, 0)).toBe(false);
    expect(() => states.state(2, 2)).toThrow("the part exists");
    expect(() => states.set(900_000, 0, 1)).toThrow("the part exists");
  });

  it("keeps span counts of any size", () => {
    const states = new PartStates(1, HINT);
    states.addRecord(2, recordParts([1, 65_534, 65_535, 4_000_000_000]).parts, 4, 1);
    expect([0, 1, 2, 3].map((index) => states.spans(2, index)))
      .toEqual([1, 65_534, 65_535, 4_000_000_000]);
    expect(states.abandon()).toBe(4_000_131_070);
    expect(states.unsettledParts).toBe(0);
  });

  it("walks the records and parts that have a bit", () => {
    const states = statesWith([2, 1, 3], 1);
    states.set(4, 0, 0);
    states.set(6, 1, 0x10000);
    const records: number[] = [];
    for (let entry = states.nextRecord(0, 1); entry !== 0; entry = states.nextRecord(entry, 1)) {
      records.push(entry);
    }
    expect(records).toEqual([2, 6]);
    expect(states.nextRecord(0, 0x10000)).toBe(6);
    expect(states.nextPart(6, 0, 0x10000)).toBe(1);
    expect(states.nextPart(6, 2, 0x10000)).toBe(-1);
    expect(states.nextPart(6, 1, 1)).toBe(2);
  });

  it("stages changed parts, or the unsettled ones when they are fewer", () => {
    const states = statesWith([4, 2]);
    states.clear(2, 1, 1);
    states.clear(4, 0, 1);
    states.clear(4, 1, 1);
    expect(staged((writer) => states.stageDirty(writer))).toEqual([[
      7, 2, (1 | STATES_CHANGED_ONLY) >>> 0, 1, 0,
      7, 4, 0,
    ]]);
    states.committed();
    expect(states.dirtyRecords).toBe(0);
    expect(staged((writer) => states.stageDirty(writer))).toEqual([]);
    // A snapshot has every record that the log changed, whole.
    expect(staged((writer) => states.stageSnapshot(writer))).toEqual([[
      7, 2, 3, 0, 1, 2, 1, 3, 1,
      7, 4, 0,
    ]]);
  });

  it("keeps changes dirty until a commit succeeded", () => {
    const states = statesWith([1]);
    states.clear(2, 0, 1);
    const first = staged((writer) => states.stageDirty(writer));
    states.unstage();
    states.committed(); // of a transaction that staged nothing of it
    expect(states.dirtyRecords).toBe(1);
    expect(staged((writer) => states.stageDirty(writer))).toEqual(first);
    states.committed();
    expect(states.dirtyRecords).toBe(0);
  });

  it("splits the pairs of a large record over runs and values", () => {
    const states = statesWith([10], 1, 3);
    for (let index = 0; index < 10; index++) states.set(2, index, 100 + index);
    const batches = staged((writer) => states.stageDirty(writer), 10);
    expect(batches.map((batch) => batch[2])).toEqual([
      3, ...new Array(2).fill((3 | STATES_CHANGED_ONLY) >>> 0), (1 | STATES_CHANGED_ONLY) >>> 0,
    ]);
    const pairs = batches.flatMap((batch) => batch.slice(3));
    expect(pairs).toEqual(Array.from({ length: 10 }, (_, index) => [index, 100 + index]).flat());
  });

  it("forgets the records of a failed transaction, and their changes only", () => {
    const states = statesWith([2]);
    states.mark();
    states.addRecord(9, recordParts([1, 70_000]).parts, 2, 1);
    states.clear(9, 0, 1);
    states.clear(2, 0, 1);
    states.rollBack();
    expect(states.unsettledParts).toBe(1);
    expect(states.partsOf(9)).toBe(0);
    expect(staged((writer) => states.stageDirty(writer))).toEqual([[
      7, 2, 1, 1, 1,
    ]]);
    states.committed();
    states.addRecord(9, recordParts([5]).parts, 1, 3);
    expect(states.state(9, 0)).toBe(3);
    expect(states.spans(9, 0)).toBe(5);
  });

  it("grows past its hint and shrinks when sealed", () => {
    const states = new PartStates(1, { entries: 4, parts: 4 });
    for (let entry = 1; entry < 5000; entry += 2) {
      states.addRecord(entry, recordParts([1, 2]).parts, 2, 1);
    }
    const grown = states.bytes();
    states.seal();
    expect(states.bytes()).toBeLessThan(grown);
    expect(states.spans(4999, 1)).toBe(2);
    expect(states.unsettledParts).toBe(5000);
  });
});
