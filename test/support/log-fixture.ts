// A lane log in a directory of its own, with small bounds and a clock the test moves.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../engine/base/clock.ts";
import { freeBytes } from "../../engine/log/durable-file.ts";
import type { RecordParts } from "../../engine/log/index-entry.ts";
import { LaneLog } from "../../engine/log/lane-log.ts";
import type { LaneLogDependencies, LaneLogOptions } from "../../engine/log/log-options.ts";
import { STORAGE_LOG, StorageAccount } from "../../engine/log/storage-account.ts";
import { PART_SPANS, PART_WORDS } from "../../engine/part/part-layout.ts";

/** A directory that goes away with remove(). */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "tailrace-log-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A clock that stands still until the test moves it. */
export class TestClock implements Clock {
  nowMs = 1000;
  startedAtMs = 1_700_000_000_000;

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.startedAtMs + this.nowMs;
  }
}

/** Record parts with the given spans each, and index bytes of one value. */
export function recordParts(spans: readonly number[], indexBytes = 0, fill = 7): RecordParts {
  const parts = new Uint32Array(spans.length * PART_WORDS);
  spans.forEach((count, part) => {
    parts[part * PART_WORDS + PART_SPANS] = count;
  });
  return {
    parts,
    partCount: spans.length,
    spanCount: spans.reduce((sum, count) => sum + count, 0),
    format: 1,
    encodedBytes: () => indexBytes,
    encodeInto: (target, at) => {
      target.fill(fill, at, at + indexBytes);
      return at + indexBytes;
    },
  };
}

/** A log, everything it was given, and a count of generation ids. */
export interface TestLog {
  readonly log: LaneLog;
  readonly storage: StorageAccount;
  readonly clock: TestClock;
}

/** Opens a log; `firstGeneration` continues where a former one stopped. */
export function openLog(
  directory: string, options: Partial<LaneLogOptions> = {},
  dependencies: Partial<LaneLogDependencies> & { firstGeneration?: number } = {},
): TestLog {
  let generation = (dependencies.firstGeneration ?? 1) - 1;
  const storage = dependencies.storage ?? new StorageAccount();
  const clock = new TestClock();
  const log = new LaneLog(
    {
      directory, durability: "process", generationBytes: 1 << 20, generationAgeMs: 60_000,
      entriesMax: 1000, environmentsMax: 3, mappedBytesMax: 64 << 20, unverifiedReadMs: 0,
      reserveBytes: 0,
      storageKind: STORAGE_LOG,
      nextGeneration: () => ++generation,
      meta: () => new TextEncoder().encode("meta"),
      ...options,
    },
    {
      clock: dependencies.clock ?? clock, storage,
      freeBytes: dependencies.freeBytes ?? freeBytes,
      freeFiles: dependencies.freeFiles ?? (() => 1e6),
      probe: dependencies.probe ?? (() => true),
    },
  );
  return { log, storage, clock };
}

/** Visitor of a recovery that keeps what it is told. */
export class TestVisitor {
  readonly metas: [number, string][] = [];
  readonly words: { kind: number; words: number[]; generation: number }[] = [];

  onMeta(generation: number, bytes: Uint8Array, at: number, end: number): void {
    this.metas.push([generation, new TextDecoder().decode(bytes.subarray(at, end))]);
  }

  onWords(kind: number, words: Uint32Array, count: number, generation: number): void {
    this.words.push({ kind, words: [...words.subarray(0, count)], generation });
  }
}
