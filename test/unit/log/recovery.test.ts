import {
  closeSync, existsSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import {
  KIND_DECISIONS, KIND_META, META_TEXT_AT, PREFIX_BYTES,
} from "../../../engine/log/entry-layout.ts";
import { EntryWriter, writeWord } from "../../../engine/log/entry-writer.ts";
import { Environment } from "../../../engine/log/environment.ts";
import { probeGeneration } from "../../../engine/log/generation-probe.ts";
import { generationName } from "../../../engine/log/generation.ts";
import { LOG_OK } from "../../../engine/log/log-status.ts";
import { DECISION_WORDS } from "../../../engine/part/decision-layout.ts";
import {
  TestVisitor, openLog, recordParts, temporaryDirectory,
} from "../../support/log-fixture.ts";

let root: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => root.remove());

/**
 * Two sealed generations of three records of 20 kB, decisions among them, and a change of states.
 */
function fillLog(): number[] {
  const { log } = openLog(root.path);
  const entries: number[] = [];
  for (let generation = 1; generation <= 2; generation++) {
    for (let record = 0; record < 3; record++) {
      const body = new Uint8Array(20_000).fill(100 * generation + record);
      expect(log.transact(() => {
        const entry = log.appendRecord(body, 0, body.length, recordParts([1, 1], 5000), 1);
        if (generation === 1) entries.push(entry);
        const words = new Uint32Array(DECISION_WORDS).fill(record);
        log.appendWords(KIND_DECISIONS, words, words.length);
        log.states(generation)!.set(entry, 0, 2);
      })).toBe(LOG_OK);
    }
    log.seal();
  }
  log.close();
  return entries;
}

function recover(probe: (directory: string) => boolean = () => true) {
  const { log } = openLog(root.path, {}, { firstGeneration: 10, probe });
  const visitor = new TestVisitor();
  return { log, visitor, report: log.recover(visitor) };
}

function dataFile(generation: number): string {
  return join(root.path, generationName(generation), "data.mdb");
}

/** Changes a byte of the data file where `pattern` is found, `skip` bytes behind it. */
function damage(generation: number, pattern: Uint8Array, skip: number): void {
  const bytes = readFileSync(dataFile(generation));
  const at = bytes.indexOf(pattern);
  expect(at).toBeGreaterThan(0);
  const file = openSync(dataFile(generation), "r+");
  writeSync(file, Uint8Array.of(bytes[at + skip]! ^ 0x40), 0, 1, at + skip);
  closeSync(file);
}

describe("recovery of a damaged log", () => {
  it("finds a damaged body when it is read, and counts it", () => {
    const entries = fillLog();
    damage(1, new Uint8Array(200).fill(101), 100);
    const { log, report } = recover();
    expect(report.corruptEntries).toBe(0);
    expect(log.readRecord(1, entries[1]!)).toBeNull();
    expect(log.corruptReads).toBe(1);
    expect(log.readRecord(1, entries[0]!)!.bytes[100]).toBe(100);
    expect(log.readIndex(1, entries[1]!)!.partCount).toBe(2);
    log.close();
  });

  it("skips a record whose index is damaged, and keeps the others", () => {
    const entries = fillLog();
    damage(1, new Uint8Array(300).fill(7), 10);
    const { log, report, visitor } = recover();
    expect(report).toMatchObject({ records: 5, corruptEntries: 1, lostRecords: 1, setAside: [] });
    expect(log.states(1)!.partsOf(entries[0]!)).toBe(0);
    expect(log.states(1)!.state(entries[1]!, 0)).toBe(2);
    expect(log.readRecord(1, entries[0]!)).toBeNull();
    expect(visitor.words.length).toBe(6);
    log.close();
  });

  it("sets a file aside that is no LMDB file", () => {
    fillLog();
    writeFileSync(dataFile(1), new Uint8Array(50_000).fill(3));
    const { log, report } = recover(probeGeneration);
    expect(report).toMatchObject({ generations: 1, records: 3 });
    expect(report.setAside).toEqual([join(root.path, `${generationName(1)}.set-aside`)]);
    expect(existsSync(report.setAside[0]!)).toBe(true);
    expect(log.generations()).toEqual([2]);
    log.close();
  });

  it("sets a file aside that was cut short, before LMDB maps it", () => {
    fillLog();
    const bytes = readFileSync(dataFile(2));
    writeFileSync(dataFile(2), bytes.subarray(0, 12_288));
    const { log, report } = recover(probeGeneration);
    expect(report).toMatchObject({ generations: 1, records: 3 });
    expect(report.setAside.length).toBe(1);
    log.close();
  });

  it("removes a generation that died before its first commit", () => {
    fillLog();
    const environment = new Environment({
      directory: join(root.path, generationName(9)), durability: "process", bytes: 4096,
    });
    environment.create();
    environment.close();
    const { log, report } = recover();
    expect(report.generations).toBe(2);
    expect(readdirSync(root.path)).not.toContain(generationName(9));
    log.close();
  });

  it("refuses a log of a newer release", () => {
    fillLog();
    const environment = new Environment({
      directory: join(root.path, generationName(5)), durability: "process", bytes: 4096,
    });
    environment.create();
    const value = new Uint8Array(META_TEXT_AT);
    writeWord(value, PREFIX_BYTES, 99);
    environment.transact(() => {
      new EntryWriter().putPrefixed(environment, 1, KIND_META, value);
    });
    environment.close();
    expect(() => recover()).toThrow(GatewayError);
  });

  it("ignores what is no generation and removes what was on its way out", () => {
    fillLog();
    writeFileSync(join(root.path, "notes.txt"), "of the operator");
    const { log } = recover();
    log.close();
    expect(readdirSync(root.path)).toContain("notes.txt");
  });
});

describe("a generation that was being read when the process died", () => {
  function markAsTouched(generation: number): void {
    const bytes = new Uint8Array(4);
    writeWord(bytes, 0, generation);
    writeFileSync(join(root.path, "touching"), bytes);
  }

  it("is probed, and kept when it can be read", () => {
    fillLog();
    markAsTouched(1);
    const probed: string[] = [];
    const { log, report } = recover(() => probed.push("once") > 0);
    expect(probed).toEqual(["once"]);
    expect(report).toMatchObject({ generations: 2, records: 6 });
    log.close();
  });

  it("is set aside when the probe fails, and only then", () => {
    fillLog();
    markAsTouched(1);
    const { log, report } = recover(() => false);
    expect(report.setAside.length).toBe(1);
    expect(log.generations()).toEqual([2]);
    log.close();
    const again = recover(() => false);
    expect(again.report.setAside).toEqual([]);
    again.log.close();
  });

  it("leaves no mark after reads that ended", () => {
    const entries = fillLog();
    const { log } = recover();
    log.readRecord(1, entries[0]!);
    expect([...readFileSync(join(root.path, "touching"))]).toEqual([0, 0, 0, 0]);
    expect(() => log.reading(1, () => {
      expect(readFileSync(join(root.path, "touching"))[0]).toBe(1);
      throw new Error("of the lane");
    })).toThrow("of the lane");
    expect([...readFileSync(join(root.path, "touching"))]).toEqual([0, 0, 0, 0]);
    log.close();
  });

  it("is read in another process, which a cut file kills instead of this one", () => {
    fillLog();
    expect(probeGeneration(join(root.path, generationName(1)))).toBe(true);
    const bytes = readFileSync(dataFile(2));
    writeFileSync(dataFile(2), bytes.subarray(0, 16_384));
    expect(probeGeneration(join(root.path, generationName(2)))).toBe(false);
  }, 20_000);
});
