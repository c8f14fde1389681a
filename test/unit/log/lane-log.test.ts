import { cpSync, readdirSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DECISION_GENERATION, DECISION_WORDS } from "../../../engine/part/decision-layout.ts";
import {
  KIND_DECISIONS, KIND_KEPT, KIND_MEMORY, VALUE_BYTES_MAX,
} from "../../../engine/log/entry-layout.ts";
import { READ_MISSING, READ_OK } from "../../../engine/log/entry-reader.ts";
import { LOG_FULL, LOG_OK } from "../../../engine/log/log-status.ts";
import { STORAGE_GONE, STORAGE_LOG } from "../../../engine/log/storage-account.ts";
import {
  TestVisitor, openLog, recordParts, temporaryDirectory,
} from "../../support/log-fixture.ts";
import type { LaneLog } from "../../../engine/log/lane-log.ts";

let root: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => root.remove());

const BODY = new TextEncoder().encode("..a payload of some bytes..");

function appendOne(log: LaneLog, state = 1, spans = [2, 3]): number {
  let entry = 0;
  const status = log.transact(() => {
    entry = log.appendRecord(BODY, 2, BODY.length - 2, recordParts(spans, 40), state);
  });
  expect(status).toBe(LOG_OK);
  return entry;
}

function textOf(value: { bytes: Uint8Array; at: number; end: number } | null): string {
  return value === null ? "" : new TextDecoder().decode(value.bytes.slice(value.at, value.end));
}

const NO_CARRIER = { appendKept: () => undefined, appendMemory: () => undefined };

describe("a lane's log", () => {
  it("answers a committed record with its body, its index and its states", () => {
    const { log, clock } = openLog(root.path);
    const entry = appendOne(log, 5);
    const generation = log.openGeneration;
    expect(textOf(log.readRecord(generation, entry))).toBe("a payload of some bytes");
    const index = log.readIndex(generation, entry)!;
    expect(index.partCount).toBe(2);
    expect(index.spanCount).toBe(5);
    expect(index.format).toBe(1);
    expect(index.arrivalMs).toBe(clock.wallMs());
    expect(index.bodyBytes).toBe(BODY.length - 4);
    expect([...index.bytes.slice(index.at, index.end)]).toEqual(new Array(40).fill(7));
    expect(log.states(generation)!.state(entry, 1)).toBe(5);
    expect(log.states(generation)!.spans(entry, 1)).toBe(3);
    expect(log.unsettledParts()).toBe(2);
    log.close();
  });

  it("copies payloads out of shared memory", () => {
    const { log } = openLog(root.path);
    const shared = new Uint8Array(new SharedArrayBuffer(64));
    shared.set(BODY);
    log.transact(() => {
      log.appendRecord(shared, 2, BODY.length - 2, recordParts([1]), 1);
    });
    expect(textOf(log.readRecord(1, 2))).toBe("a payload of some bytes");
    log.close();
  });

  it("splits bodies and indexes that are longer than a value", () => {
    const { log } = openLog(root.path, { generationBytes: 64 << 20 });
    const long = new Uint8Array(VALUE_BYTES_MAX * 2 + 5000);
    for (let at = 0; at < long.length; at++) long[at] = (at * 31) >>> 7;
    let entry = 0;
    log.transact(() => {
      entry = log.appendRecord(long, 0, long.length, recordParts([1, 2], VALUE_BYTES_MAX + 9), 1);
      log.appendRecord(BODY, 2, BODY.length - 2, recordParts([1]), 1);
    });
    const next = log.states(1)!.nextRecord(entry, 1);
    expect(textOf(log.readRecord(1, next))).toBe("a payload of some bytes");
    const index = log.readIndex(1, entry)!;
    expect(index.end - index.at).toBe(VALUE_BYTES_MAX + 9);
    expect(index.bytes.subarray(index.at, index.end).every((byte) => byte === 7)).toBe(true);
    const body = log.readRecord(1, entry)!;
    expect(Buffer.compare(body.bytes.subarray(body.at, body.end), long)).toBe(0);
    log.close();
    const again = openLog(root.path, {}, { firstGeneration: 2 });
    const report = again.log.recover(new TestVisitor());
    expect(report.records).toBe(2);
    expect(report.corruptEntries).toBe(0);
    const found = again.log.readRecord(1, entry)!;
    expect(Buffer.compare(found.bytes.subarray(found.at, found.end), long)).toBe(0);
    expect(textOf(again.log.readRecord(1, next))).toBe("a payload of some bytes");
    again.log.close();
  });

  it("takes a payload many times larger than a generation is meant to be", () => {
    const { log } = openLog(root.path, { generationBytes: 1 << 20 });
    appendOne(log);
    const huge = new Uint8Array(24 << 20);
    for (let at = 0; at < huge.length; at += 1021) huge[at] = at >>> 3;
    let entry = 0;
    expect(log.transact(() => {
      entry = log.appendRecord(huge, 0, huge.length, recordParts([1], 9 << 20), 1);
    })).toBe(LOG_OK);
    expect(log.rotateIfDue()).toBe(true);
    appendOne(log);
    const body = log.readRecord(1, entry)!;
    expect(Buffer.compare(body.bytes.subarray(body.at, body.end), huge)).toBe(0);
    log.close();
    const again = openLog(root.path, {}, { firstGeneration: 9 });
    expect(again.log.recover(new TestVisitor())).toMatchObject({ records: 3, corruptEntries: 0 });
    expect(again.log.readIndex(1, entry)!.spanCount).toBe(1);
    again.log.close();
  });

  it("forgets all of a transaction whose work throws, and uses its entry numbers again", () => {
    const { log, storage } = openLog(root.path);
    const first = appendOne(log);
    const before = storage.bytes(STORAGE_LOG);
    log.states(1)!.clear(first, 0, 1);
    let lost = 0;
    expect(() => log.transact(() => {
      lost = log.appendRecord(BODY, 0, BODY.length, recordParts([9, 9, 9]), 1);
      log.states(1)!.clear(lost, 1, 1);
      throw new Error("of the lane");
    })).toThrow("of the lane");
    expect(log.states(1)!.partsOf(lost)).toBe(0);
    expect(log.unsettledParts()).toBe(1);
    expect(storage.bytes(STORAGE_LOG)).toBe(before);
    expect(log.hasChangedStates()).toBe(true);
    expect(appendOne(log)).toBe(lost);
    expect(log.hasChangedStates()).toBe(false);
    log.close();
    const again = openLog(root.path, {}, { firstGeneration: 2 });
    again.log.recover(new TestVisitor());
    expect(again.log.states(1)!.state(first, 0)).toBe(0);
    expect(again.log.states(1)!.state(first, 1)).toBe(1);
    expect(again.log.states(1)!.partsOf(lost)).toBe(2);
    again.log.close();
  });

  it("opens no generation on a full disk and says so", () => {
    let free = 1000;
    const { log } = openLog(root.path, {}, { freeBytes: () => free });
    let ran = false;
    expect(log.transact(() => {
      ran = true;
    })).toBe(LOG_FULL);
    expect(ran).toBe(false);
    expect(readdirSync(root.path)).toEqual(["touching"]);
    free = 1 << 30;
    appendOne(log);
    log.close();
  });

  it("seals by bytes, entries and age, and never an empty generation by age", () => {
    const { log, clock } = openLog(root.path, { generationBytes: 50_000, entriesMax: 20 });
    expect(log.rotateIfDue()).toBe(false);
    log.transact(() => log.appendWords(KIND_DECISIONS, new Uint32Array(16), 16));
    clock.nowMs += 100_000;
    expect(log.rotateIfDue()).toBe(false);
    appendOne(log);
    expect(log.rotateIfDue()).toBe(false);
    clock.nowMs += 60_000;
    expect(log.rotateIfDue()).toBe(true);
    expect(log.openGeneration).toBe(0);
    for (let record = 0; record < 10; record++) appendOne(log);
    expect(log.rotateIfDue()).toBe(true);
    log.transact(() => {
      log.appendRecord(new Uint8Array(60_000), 0, 60_000, recordParts([1]), 1);
    });
    expect(log.rotateIfDue()).toBe(true);
    expect(log.generations()).toEqual([1, 2, 3]);
    log.close();
  });

  it("reads many records of a generation in one transaction, and says when it is gone", () => {
    const { log } = openLog(root.path);
    const first = appendOne(log);
    const second = appendOne(log);
    const texts: string[] = [];
    expect(log.reading(1, () => {
      for (const entry of [first, second]) texts.push(textOf(log.readRecord(1, entry)));
    })).toBe(READ_OK);
    expect(texts).toEqual(["a payload of some bytes", "a payload of some bytes"]);
    expect(log.reading(9, () => undefined)).toBe(READ_MISSING);
    expect(log.readRecord(9, 1)).toBeNull();
    expect(log.readRecord(1, second + 1)).toBeNull();
    log.close();
  });

  it("keeps no more environments open than it may, and opens them again to read", () => {
    const { log } = openLog(root.path, { environmentsMax: 2 });
    for (let generation = 0; generation < 5; generation++) {
      appendOne(log);
      log.seal();
    }
    for (let generation = 1; generation <= 5; generation++) {
      expect(textOf(log.readRecord(generation, 2))).toBe("a payload of some bytes");
    }
    expect(log.figures().openEnvironments).toBeLessThanOrEqual(2);
    expect(log.figures().reopened).toBeGreaterThanOrEqual(3);
    log.close();
  });

  it("leaves no timers behind: a lane's event loop never turns", () => {
    const { log } = openLog(root.path);
    const entry = appendOne(log);
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout");
    const before = timers().length;
    for (let round = 0; round < 50; round++) {
      appendOne(log);
      log.readRecord(1, entry);
      log.readIndex(1, entry);
    }
    log.seal();
    log.readRecord(1, entry);
    expect(timers().length).toBe(before);
    log.close();
  });

  it("bounds what is touched through the maps", () => {
    const { log } = openLog(root.path, { mappedBytesMax: 300_000, generationBytes: 4 << 20 });
    const body = new Uint8Array(100_000);
    log.transact(() => {
      for (let record = 0; record < 20; record++) {
        log.appendRecord(body, 0, body.length, recordParts([1]), 1);
      }
    });
    for (let entry = log.states(1)!.nextRecord(0, 1); entry !== 0;
      entry = log.states(1)!.nextRecord(entry, 1)) {
      expect(log.readRecord(1, entry)).not.toBeNull();
      expect(log.figures().mappedBytes).toBeLessThanOrEqual(300_000);
    }
    expect(log.figures().reopened).toBeGreaterThan(3);
    appendOne(log);
    log.close();
  });
});

describe("retirement", () => {
  it("removes a generation once it is sealed, settled, and its end is committed", () => {
    const { log, storage } = openLog(root.path);
    const entry = appendOne(log);
    log.states(1)!.clear(entry, 0, 1);
    log.states(1)!.clear(entry, 1, 1);
    expect(log.retirable()).toBe(0);
    log.seal();
    expect(log.retirable()).toBe(0);
    log.transact(() => undefined);
    expect(log.retirable()).toBe(1);
    expect(log.retire(NO_CARRIER, 10)).toBe(LOG_OK);
    expect(log.generations()).toEqual([2]);
    expect(storage.bytes(STORAGE_GONE)).toBeGreaterThan(0);
    expect(readdirSync(root.path).sort()).toEqual(["0000000001.gone", "0000000002", "touching"]);
    expect(log.removeGone()).toBe(true);
    expect(log.removeGone()).toBe(false);
    expect(storage.bytes(STORAGE_GONE)).toBe(0);
    expect(readdirSync(root.path).sort()).toEqual(["0000000002", "touching"]);
    log.close();
  });

  it("commits anew the states of living generations that the removed one logged", () => {
    const { log } = openLog(root.path);
    const old = appendOne(log);
    log.seal();
    const young = appendOne(log, 1, [1]);
    log.states(1)!.clear(old, 0, 1); // logged in generation 2
    log.states(2)!.clear(young, 0, 1);
    log.transact(() => undefined);
    log.seal();
    expect(log.retire(NO_CARRIER, 10)).toBe(LOG_OK);
    expect(log.generations()).toEqual([1, 3]);
    log.close();
    const again = openLog(root.path, {}, { firstGeneration: 4 });
    again.log.recover(new TestVisitor());
    expect(again.log.states(1)!.state(old, 0)).toBe(0);
    expect(again.log.states(1)!.state(old, 1)).toBe(1);
    expect(again.log.states(2)).toBeUndefined();
    again.log.close();
  });

  it("asks for kept decisions and for the memory only when the removed one logged them", () => {
    const { log } = openLog(root.path);
    const asked: string[] = [];
    const carrier = {
      appendKept: (generation: number) => asked.push(`kept ${generation}`),
      appendMemory: () => {
        asked.push("memory");
        log.appendWords(KIND_MEMORY, new Uint32Array([1, 2, 3]), 3);
      },
    };
    const owing = appendOne(log, 0x0001_0000, [1]);
    log.seal();
    const kept = new Uint32Array(DECISION_WORDS);
    kept[DECISION_GENERATION] = 1;
    const second = appendOne(log, 1, [1]);
    log.transact(() => log.appendWords(KIND_KEPT, kept, kept.length));
    log.states(2)!.clear(second, 0, 1);
    log.transact(() => undefined);
    log.seal();
    log.retire(carrier, 10);
    expect(asked).toEqual(["kept 1"]);
    const third = appendOne(log, 1, [1]);
    log.transact(() => log.appendWords(KIND_DECISIONS, kept, kept.length));
    log.states(3)!.clear(third, 0, 1);
    log.transact(() => undefined);
    log.seal();
    log.retire(carrier, 10);
    expect(asked).toEqual(["kept 1", "memory"]);
    expect(log.generations()).toEqual([1, 4]);
    log.states(1)!.clear(owing, 0, -1);
    log.transact(() => undefined);
    log.seal();
    log.retire(carrier, 10);
    // Generation 4 has the memory now: it went too, and the memory was written once more.
    expect(asked).toEqual(["kept 1", "memory", "memory"]);
    expect(log.generations()).toEqual([5]);
    log.close();
  });

  it("gives up a generation and says what was lost", () => {
    const { log } = openLog(root.path);
    appendOne(log, 1, [70_000, 2]);
    const entry = appendOne(log, 1, [5]);
    log.states(1)!.clear(entry, 0, 1);
    expect(log.abandon(1)).toBe(70_002);
    expect(log.abandon(1)).toBe(0);
    log.transact(() => undefined);
    log.retire(NO_CARRIER, 1);
    expect(log.generations()).not.toContain(1);
    log.close();
  });
});

describe("recovery", () => {
  it("loads metas, states and words of every generation in order", () => {
    const { log } = openLog(root.path);
    const first = appendOne(log);
    const words = Uint32Array.from({ length: 2 * DECISION_WORDS }, (_, at) => at);
    log.transact(() => log.appendWords(KIND_DECISIONS, words, words.length));
    log.seal();
    log.states(1)!.set(first, 1, 0x8000_0002);
    const second = appendOne(log);
    log.transact(() => log.appendWords(KIND_KEPT, words.subarray(16), 16));
    // The process dies: nothing is closed, another reads what is on disk.
    const copy = `${root.path}-copy`;
    cpSync(root.path, copy, { recursive: true });
    const again = openLog(copy, {}, { firstGeneration: 3 });
    const visitor = new TestVisitor();
    const report = again.log.recover(visitor);
    expect(report).toMatchObject({ generations: 2, records: 2, parts: 4, unsettledParts: 4 });
    expect(visitor.metas).toEqual([[1, "meta"], [2, "meta"]]);
    expect(visitor.words).toEqual([
      { kind: KIND_DECISIONS, words: [...words], generation: 1 },
      { kind: KIND_KEPT, words: [...words.subarray(DECISION_WORDS)], generation: 2 },
    ]);
    expect(again.log.states(1)!.state(first, 1)).toBe(0x8000_0002);
    expect(again.log.states(1)!.spans(first, 1)).toBe(3);
    expect(again.log.states(2)!.state(second, 0)).toBe(1);
    expect(textOf(again.log.readRecord(1, first))).toBe("a payload of some bytes");
    appendOne(again.log);
    expect(again.log.openGeneration).toBe(3);
    log.close();
    again.log.close();
    rmSync(copy, { recursive: true });
  });
});
