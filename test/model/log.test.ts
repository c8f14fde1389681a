// Random appends, state changes, rotations, failures, retirements and kills of a lane's log,
// against maps. A kill copies the directory as it is and opens the copy: what was committed must be
// there, and nothing that was not.

import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_ID_0, DECISION_INDEX, DECISION_WORDS,
} from "../../engine/part/decision-layout.ts";
import { KIND_DECISIONS, KIND_KEPT, KIND_MEMORY } from "../../engine/log/entry-layout.ts";
import { generationName } from "../../engine/log/generation.ts";
import type { LaneLog } from "../../engine/log/lane-log.ts";
import { LOG_OK } from "../../engine/log/log-status.ts";
import { OWED_BITS } from "../../engine/log/part-states.ts";
import { TestVisitor, openLog, recordParts, temporaryDirectory } from "../support/log-fixture.ts";
import { Random } from "../support/random.ts";

const seed = Random.fromEnvironment().seed;
const STEPS = 400;

interface ModelPart {
  /** What the log has been told; ahead of what is committed. */
  state: number;
  committed: number;
  spans: number;
  /** Serial of its KEPT decision; 0 for none. */
  kept: number;
}

interface ModelRecord {
  readonly generation: number;
  readonly entry: number;
  readonly body: Uint8Array;
  readonly indexBytes: number;
  readonly fill: number;
  readonly parts: ModelPart[];
}

class Model {
  readonly random: Random;
  readonly root = temporaryDirectory();
  readonly copies: string[] = [];
  log: LaneLog;
  lastGeneration = 0;
  records: ModelRecord[] = [];
  /** Serials of decisions that are remembered. */
  readonly decisions = new Set<number>();
  serial = 0;
  kills = 0;
  retired = 0;

  constructor(random: Random) {
    this.random = random;
    this.log = this.open(this.root.path);
  }

  open(directory: string): LaneLog {
    const { log } = openLog(directory, {
      generationBytes: 128 * 1024, entriesMax: 60, environmentsMax: 2, mappedBytesMax: 256 * 1024,
      nextGeneration: () => ++this.lastGeneration,
    });
    return log;
  }

  step(): void {
    const choice = this.random.below(100);
    if (choice < 50) this.transact();
    else if (choice < 60) this.failingTransact();
    else if (choice < 75) this.changeStates();
    else if (choice < 85) this.readBack();
    else if (choice < 90) this.log.rotateIfDue();
    else if (choice < 92) this.log.seal();
    else if (choice < 98) this.retire();
    else this.kill();
  }

  transact(): void {
    const appended: ModelRecord[] = [];
    const status = this.log.transact(() => {
      const count = this.random.below(4);
      for (let record = 0; record < count; record++) appended.push(this.appendRecord());
      if (this.random.chance(0.3)) this.appendDecisions();
      if (this.random.chance(0.3)) this.keepSome([...this.records, ...appended]);
    });
    expect(status).toBe(LOG_OK);
    this.records.push(...appended);
    this.commit();
  }

  commit(): void {
    for (const { parts } of this.records) for (const part of parts) part.committed = part.state;
  }

  failingTransact(): void {
    const serialBefore = this.serial;
    const decided = new Set(this.decisions);
    expect(() => this.log.transact(() => {
      const count = this.random.below(4);
      for (let record = 0; record < count; record++) {
        const { generation, entry } = this.appendRecord();
        this.log.states(generation)!.set(entry, 0, 0);
      }
      this.appendDecisions();
      throw new Error("the lane gave up");
    })).toThrow("the lane gave up");
    this.decisions.clear();
    for (const serial of decided) this.decisions.add(serial);
    expect(this.serial).toBeGreaterThanOrEqual(serialBefore);
  }

  appendRecord(): ModelRecord {
    const body = new Uint8Array(this.random.below(9000));
    for (let at = 0; at < body.length; at++) body[at] = this.random.word();
    const spans = Array.from({ length: 1 + this.random.below(6) }, () => 1 + this.random.below(9));
    const indexBytes = this.random.below(300);
    const fill = this.random.below(256);
    const state = this.random.chance(0.1) ? 0 : 1 + this.random.below(3);
    const entry = this.log.appendRecord(
      body, 0, body.length, recordParts(spans, indexBytes, fill), state,
    );
    return {
      generation: this.log.openGeneration, entry, body, indexBytes, fill,
      parts: spans.map((count) => ({ state, committed: state, spans: count, kept: 0 })),
    };
  }

  appendDecisions(): void {
    const words = new Uint32Array(DECISION_WORDS * (1 + this.random.below(5)));
    for (let at = 0; at < words.length; at += DECISION_WORDS) {
      words[at + DECISION_ID_0] = ++this.serial;
      this.decisions.add(this.serial);
    }
    this.log.appendWords(KIND_DECISIONS, words, words.length);
  }

  /** Some undecided parts are kept: state and KEPT words in the same transaction. */
  keepSome(records: ModelRecord[]): void {
    const words: number[] = [];
    for (const record of records) {
      record.parts.forEach((part, index) => {
        if (part.state === 0 || part.kept !== 0 || !this.random.chance(0.2)) return;
        part.kept = ++this.serial;
        part.state = 0x8001_0000;
        this.log.states(record.generation)!.set(record.entry, index, part.state);
        words.push(...keptWords(record, index, part.kept));
      });
    }
    if (words.length > 0) this.log.appendWords(KIND_KEPT, Uint32Array.from(words), words.length);
  }

  /** Memory runs ahead of the log. */
  changeStates(): void {
    for (const { generation, entry, parts } of this.records) {
      parts.forEach((part, index) => {
        if (part.state === 0 || !this.random.chance(0.3)) return;
        const mask = this.random.chance(0.7) ? 0xffff_ffff : 0x8000_0001;
        part.state = (part.state & ~mask) >>> 0;
        expect(this.log.states(generation)!.clear(entry, index, mask)).toBe(part.state);
      });
    }
  }

  readBack(): void {
    if (this.records.length === 0) return;
    const record = this.records[this.random.below(this.records.length)]!;
    this.checkRecord(record);
  }

  checkRecord({ generation, entry, body, indexBytes, fill, parts }: ModelRecord): void {
    const index = this.log.readIndex(generation, entry)!;
    expect(index.partCount).toBe(parts.length);
    const words = index.bytes.slice(index.at, index.end);
    expect(words.length).toBe(indexBytes);
    expect(words.every((byte) => byte === fill)).toBe(true);
    const found = this.log.readRecord(generation, entry)!;
    expect(Buffer.compare(found.bytes.subarray(found.at, found.end), body)).toBe(0);
  }

  retire(): void {
    const carrier = {
      appendKept: (generation: number) => {
        const words = this.owed(generation).flatMap(([record, index, part]) =>
          keptWords(record, index, part.kept));
        expect(words.length).toBeGreaterThan(0);
        this.log.appendWords(KIND_KEPT, Uint32Array.from(words), words.length);
      },
      appendMemory: () => {
        const all = Uint32Array.from(this.decisions);
        this.log.appendWords(KIND_MEMORY, all, all.length);
      },
    };
    const before = this.log.generations();
    const dirty = this.log.hasChangedStates();
    expect(this.log.retire(carrier, 1 + this.random.below(4))).toBe(LOG_OK);
    // A retirement that carried something committed every change; one that did not changed nothing.
    if (dirty && !this.log.hasChangedStates()) this.commit();
    const living = new Set(this.log.generations());
    for (const id of before) if (!living.has(id)) this.retired++;
    for (const { generation, parts } of this.records) {
      if (living.has(generation)) continue;
      expect(parts.every((part) => part.state === 0)).toBe(true);
    }
    this.records = this.records.filter(({ generation }) => living.has(generation));
    const gone = before.filter((id) => !living.has(id));
    if (gone.length > 0 && this.random.chance(0.3)) this.killWhileRetiring(gone);
    else if (this.random.chance(0.5)) this.log.removeGone();
  }

  /** The process dies between the commit and the last rename: the youngest are still in place. */
  killWhileRetiring(gone: number[]): void {
    for (const id of gone.slice(this.random.below(gone.length))) {
      const directory = join(this.log.options.directory, generationName(id));
      renameSync(`${directory}.gone`, directory);
    }
    this.kill();
    for (const id of this.log.generations()) {
      if (gone.includes(id)) expect(this.log.states(id)!.unsettledParts).toBe(0);
    }
  }

  /** Parts that owe an acknowledgement, and have a KEPT decision. */
  owed(generation?: number): [ModelRecord, number, ModelPart][] {
    const owed: [ModelRecord, number, ModelPart][] = [];
    for (const record of this.records) {
      if (generation !== undefined && record.generation !== generation) continue;
      record.parts.forEach((part, index) => {
        if ((part.state & OWED_BITS) !== 0) owed.push([record, index, part]);
      });
    }
    return owed;
  }

  kill(): void {
    this.kills++;
    const from = this.log.options.directory;
    const copy = `${this.root.path}-${this.kills}`;
    this.copies.push(copy);
    cpSync(from, copy, { recursive: true });
    this.log.close();
    rmSync(from, { recursive: true, force: true });
    this.log = this.open(copy);
    const visitor = new TestVisitor();
    const report = this.log.recover(visitor);
    expect(report.corruptEntries).toBe(0);
    expect(report.setAside).toEqual([]);
    for (const record of this.records) {
      for (const part of record.parts) part.state = part.committed;
    }
    this.check(visitor);
  }

  check(visitor: TestVisitor): void {
    let records = 0;
    for (const generation of this.log.generations()) {
      const states = this.log.states(generation)!;
      const known = this.records.some((record) => record.generation === generation);
      if (known) records += states.recordCount;
      else expect(states.unsettledParts).toBe(0);
    }
    expect(records).toBe(this.records.length);
    for (const { generation, entry, parts } of this.records) {
      const states = this.log.states(generation)!;
      expect(states.partsOf(entry)).toBe(parts.length);
      parts.forEach((part, index) => {
        expect(states.state(entry, index)).toBe(part.state);
        expect(states.spans(entry, index)).toBe(part.spans);
      });
    }
    this.checkWords(visitor);
  }

  checkWords(visitor: TestVisitor): void {
    const decided = new Set<number>();
    const kept = new Set<string>();
    for (const { kind, words } of visitor.words) {
      if (kind === KIND_MEMORY) for (const serial of words) decided.add(serial);
      if (kind === KIND_MEMORY) continue;
      for (let at = 0; at < words.length; at += DECISION_WORDS) {
        if (kind === KIND_DECISIONS) decided.add(words[at + DECISION_ID_0]!);
        else kept.add(words.slice(at, at + DECISION_WORDS).join());
      }
    }
    expect([...decided].sort()).toEqual([...this.decisions].sort());
    for (const [record, index, part] of this.owed()) {
      expect(kept.has(keptWords(record, index, part.kept).join())).toBe(true);
    }
  }

  close(): void {
    this.log.close();
    this.root.remove();
    for (const copy of this.copies) rmSync(copy, { recursive: true, force: true });
  }
}

function keptWords(record: ModelRecord, index: number, serial: number): number[] {
  const words = new Array<number>(DECISION_WORDS).fill(0);
  words[DECISION_ID_0] = serial;
  words[DECISION_GENERATION] = record.generation;
  words[DECISION_ENTRY] = record.entry;
  words[DECISION_INDEX] = index;
  return words;
}

describe("the log against a plain model", () => {
  const models: Model[] = [];
  afterAll(() => {
    for (const model of models) model.close();
  });

  for (let round = 0; round < 4; round++) {
    it(`keeps what was committed and nothing else, seed ${seed} round ${round}`, () => {
      const model = new Model(new Random(seed + round));
      models.push(model);
      for (let step = 0; step < STEPS; step++) model.step();
      model.kill();
      expect(model.retired).toBeGreaterThan(0);
      for (const record of model.records) model.checkRecord(record);
    }, 60_000);
  }
});
