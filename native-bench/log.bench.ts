// The log alone: append and commit as a lane does, settle, rotate, retire, read back, recover.
// Payloads of 100 spans of 436 bytes in 12 traces, 16 a commit; the index is encoded for real.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LaneLog } from "../engine/log/lane-log.ts";
import { LOG_OK } from "../engine/log/log-status.ts";
import { MACHINE } from "../engine/log/machine.ts";
import { STORAGE_LOG, StorageAccount } from "../engine/log/storage-account.ts";
import { PART_BYTES, PART_WORDS } from "../engine/part/part-layout.ts";
import { RecordIndex, REGISTER_SPAN_AT } from "../engine/wire/record-index.ts";
import { runWhenMain } from "./result.ts";
import type { BenchOptions, BenchResult } from "./result.ts";

const SPANS_PER_PAYLOAD = 100;
const SPAN_BYTES = 436;
const TRACES_PER_PAYLOAD = 12;
const PAYLOADS_PER_COMMIT = 16;
const GENERATION_BYTES = 128 * 1024 * 1024;
const RETIRED_MAX = 4;
const SEED = 20_261_120;
const NO_CARRIER = { appendKept: () => undefined, appendMemory: () => undefined };
const NO_VISITOR = { onMeta: () => undefined, onWords: () => undefined };

/** Smoke: a few commits. Full: some gigabytes, removed as they settle. */
export function run(options: BenchOptions): BenchResult {
  const commits = options.smoke ? 40 : 6000;
  const directory = mkdtempSync(join(tmpdir(), "tailrace-log-bench-"));
  try {
    const generationBytes = options.smoke ? 4 * 1024 * 1024 : GENERATION_BYTES;
    const log = openLog(directory, generationBytes, 1);
    const writing = measureWriting(log, commits);
    const reading = measureReading(log, options.smoke ? 100 : 2000);
    log.close();
    const recovery = measureRecovery(directory, generationBytes);
    return {
      name: "log",
      spansPerSecond: writing.spansPerSecond,
      detail: {
        seed: SEED, commits, ...writing.detail, ...reading, ...recovery,
        resultHash: `${recovery["recoveredRecords"]}-${recovery["recoveredUnsettledParts"]}`,
      },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function openLog(directory: string, generationBytes: number, firstGeneration: number): LaneLog {
  let generation = firstGeneration - 1;
  return new LaneLog({
    directory: join(directory, "lane-0"), durability: "process", generationBytes,
    generationAgeMs: 60_000, entriesMax: 262_144, environmentsMax: 4,
    mappedBytesMax: 128 * 1024 * 1024, reserveBytes: 0, unverifiedReadMs: 60_000,
    storageKind: STORAGE_LOG,
    nextGeneration: () => ++generation, meta: () => new Uint8Array(100),
  }, { ...MACHINE, storage: new StorageAccount() });
}

/**
 * Appends; the records of the last commit but 200 are settled in each, so generations come and go.
 */
function measureWriting(log: LaneLog, commits: number) {
  const body = new Uint8Array(new SharedArrayBuffer(SPANS_PER_PAYLOAD * SPAN_BYTES)).fill(7);
  const index = new RecordIndex({ spansMax: 1000, hashSeed: SEED });
  const commitMs: number[] = [];
  const rotateMs: number[] = [];
  const records: [number, number][] = [];
  let settled = 0;
  const startedMs = performance.now();
  for (let commit = 0; commit < commits; commit++) {
    const beforeMs = performance.now();
    const status = log.transact(() => {
      for (let payload = 0; payload < PAYLOADS_PER_COMMIT; payload++) {
        fillIndex(index, commit * PAYLOADS_PER_COMMIT + payload);
        const entry = log.appendRecord(body, 0, body.length, index, 1);
        records.push([log.openGeneration, entry]);
      }
      while (settled < records.length - 200 * PAYLOADS_PER_COMMIT) settle(log, records[settled++]!);
    });
    if (status !== LOG_OK) throw new Error(`the log answered ${status}`, { cause: log.lastError });
    commitMs.push(performance.now() - beforeMs);
    const rotatedMs = performance.now();
    if (log.rotateIfDue()) {
      log.retire(NO_CARRIER, RETIRED_MAX);
      while (log.removeGone());
      rotateMs.push(performance.now() - rotatedMs);
    }
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const payloads = commits * PAYLOADS_PER_COMMIT;
  return {
    spansPerSecond: Math.round(payloads * SPANS_PER_PAYLOAD / seconds),
    detail: {
      mibPerSecond: Math.round(payloads * body.length / seconds / 1024 / 1024),
      commitP50Ms: percentile(commitMs, 0.5), commitP99Ms: percentile(commitMs, 0.99),
      commitMaxMs: percentile(commitMs, 1), rotations: rotateMs.length,
      rotateP50Ms: percentile(rotateMs, 0.5), rotateMaxMs: percentile(rotateMs, 1),
    },
  };
}

function settle(log: LaneLog, record: readonly [number, number]): void {
  const states = log.states(record[0]);
  if (states === undefined) return;
  const parts = states.partsOf(record[1]);
  for (let part = 0; part < parts; part++) states.clear(record[1], part, 1);
}

/** One scanned payload: spans of TRACES_PER_PAYLOAD new traces, in turn. */
function fillIndex(index: RecordIndex, payload: number): void {
  index.reset();
  index.format = 1;
  index.beginGroup(0, 10, 10, 20);
  const registers = index.registers;
  for (let span = 0; span < SPANS_PER_PAYLOAD; span++) {
    registers.fill(0, 0, PART_WORDS);
    registers[0] = SEED;
    registers[2] = payload;
    registers[3] = span % TRACES_PER_PAYLOAD;
    registers[PART_BYTES] = SPAN_BYTES;
    registers[REGISTER_SPAN_AT] = span * SPAN_BYTES;
    index.addSpan();
  }
}

/** Reads records of the generations that are left: one by one, and sharing a transaction. */
function measureReading(log: LaneLog, count: number): Record<string, number> {
  const generation = log.generations()[0]!; // something is left: the last commits are unsettled
  const states = log.states(generation)!;
  const entries: number[] = [];
  for (let entry = states.nextRecord(0, 1); entry !== 0 && entries.length < count;
    entry = states.nextRecord(entry, 1)) entries.push(entry);
  let bytes = 0;
  const oneMs = performance.now();
  for (const entry of entries) bytes += log.readRecord(generation, entry)!.end;
  const sharedMs = performance.now();
  log.reading(generation, () => {
    for (const entry of entries) bytes += log.readRecord(generation, entry)!.end;
  });
  const endMs = performance.now();
  return {
    readRecords: entries.length, readBytes: bytes,
    readAloneUs: (sharedMs - oneMs) / entries.length * 1000,
    readSharedUs: (endMs - sharedMs) / entries.length * 1000,
  };
}

function measureRecovery(directory: string, generationBytes: number): Record<string, number> {
  const startedMs = performance.now();
  const log = openLog(directory, generationBytes, 1_000_000);
  const report = log.recover(NO_VISITOR);
  const ms = performance.now() - startedMs;
  log.close();
  return {
    recoveredRecords: report.records, recoveredUnsettledParts: report.unsettledParts,
    recoveryMs: ms,
  };
}

function percentile(values: number[], share: number): number {
  values.sort((left, right) => left - right);
  const at = Math.min(values.length - 1, Math.floor(values.length * share));
  return Math.round((values[at] ?? 0) * 1000) / 1000;
}

await runWhenMain(import.meta.url, run);
