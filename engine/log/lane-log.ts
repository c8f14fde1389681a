// The log of one lane: generations of records, and of what the lane knows about them. Everything a
// lane tells anyone is committed here first.
//
//   transact(() => { appendRecord() …; appendWords() …; states(generation).clear() … })
//
// LOG_OK: all of it is safe, the changed states too. Otherwise nothing was written: appended
// records are forgotten and their entry numbers used again; changed states of older records stay
// changed in memory and go into the next commit. So a caller whose transaction failed does the same
// appends again later, and until then lets nothing take effect elsewhere.
//
// Used by the lane's thread only. Nothing here awaits, and nothing needs an event loop.

import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { syncDirectory } from "./durable-file.ts";
import { WORDS_PER_ENTRY_MAX } from "./entry-layout.ts";
import type { WordsKind } from "./entry-layout.ts";
import type { ReadStatus } from "./entry-reader.ts";
import { DiskPressure, GENERATION_BYTES_MIN } from "./disk-pressure.ts";
import type { EnvironmentFailed } from "./environment.ts";
import type { LaneLogDependencies, LaneLogOptions } from "./log-options.ts";
import type { Probe } from "./generation-probe.ts";
import { GenerationSet } from "./generation-set.ts";
import type { LogFigures } from "./generation-set.ts";
import { GenerationWriter } from "./generation-writer.ts";
import type { Generation } from "./generation.ts";
import { GoneDirectories } from "./gone-directories.ts";
import type { RecordParts } from "./index-entry.ts";
import { LOG_FULL, LOG_OK } from "./log-status.ts";
import type { LogStatus } from "./log-status.ts";
import { LogReader, type BorrowedBody, type BorrowedIndex } from "./log-reader.ts";
import { newGeneration } from "./new-generation.ts";
import type { PartStates, PartStatesHint } from "./part-states.ts";
import { replayLog } from "./recovery.ts";
import type { RecoveryReport, RecoveryVisitor } from "./recovery.ts";
import { isRetirable, needsMemory, planRetirement } from "./retirement.ts";
import type { Carrier } from "./retirement.ts";
import type { StorageAccount } from "./storage-account.ts";
import { WordWriter } from "./word-writer.ts";

/** A settled generation smaller than this frees too little for what another one costs. */
const SEALED_BYTES_MIN = 1 << 20;
const MARKER_FILE = "touching";

/** One lane's log. Counters are read by the lane's telemetry. */
export class LaneLog {
  readonly options: LaneLogOptions;
  readonly #clock: Clock;
  readonly #storage: StorageAccount;
  readonly #probe: Probe;
  readonly #set: GenerationSet;
  readonly #gone: GoneDirectories;
  readonly #disk: DiskPressure;
  readonly #writer = new GenerationWriter();
  readonly #reader: LogReader;
  readonly #states = new WordWriter(WORDS_PER_ENTRY_MAX, (words, count) => {
    this.#writer.putStates(this.#open!, words, count); // flushed in transactions only
  });
  #open: Generation | null = null;
  #hint: PartStatesHint = { entries: 0, parts: 0 };
  #transacting = false;
  /** Generation of the last complete MEMORY; 0 before there is one. */
  #memoryGeneration = 0;
  failedTransactions = 0;
  generationsOpened = 0;
  generationsRetired = 0;

  constructor(options: LaneLogOptions, dependencies: LaneLogDependencies) {
    assert(options.generationBytes >= 4096, "a generation has room for a page");
    assert(options.entriesMax >= 2, "a generation has room for a record");
    this.options = options;
    this.#clock = dependencies.clock;
    this.#storage = dependencies.storage;
    this.#probe = dependencies.probe;
    mkdirSync(options.directory, { recursive: true });
    if (options.durability === "disk") {
      syncDirectory(dirname(options.directory));
      syncDirectory(dirname(dirname(options.directory)));
    }
    this.#set = new GenerationSet({
      markerPath: join(options.directory, MARKER_FILE),
      environmentsMax: options.environmentsMax,
      mappedBytesMax: options.mappedBytesMax,
    });
    this.#disk = new DiskPressure(options, dependencies);
    this.#reader = new LogReader(
      this.#set, options.unverifiedReadMs, () => dependencies.clock.monotonicMs(),
    );
    this.#gone = new GoneDirectories(dependencies.storage, options.durability);
  }

  /**
   * Loads what a former process left: states first, then the words, to the visitor. Once, before
   * anything else. New records go to a fresh generation.
   */
  recover(visitor: RecoveryVisitor): RecoveryReport {
    assert(this.#set.list.length === 0, "a log is recovered before it is used");
    const report = replayLog(this.options, this.#set, visitor, this.#probe);
    for (const { bytes } of this.#set.list) this.#storage.add(this.options.storageKind, bytes);
    return report;
  }

  /** Ids of the generations, oldest first. Allocates: not for every turn. */
  generations(): number[] {
    return this.#set.list.map(({ id }) => id);
  }

  /** The generation that records go to now; 0 when the next transaction opens one. */
  get openGeneration(): number {
    return this.#open?.id ?? 0;
  }

  /** False while the disk is so full that only settling may be committed: take no payloads. */
  get takesRecords(): boolean {
    return this.#disk.reserveHeld;
  }

  /** States of a generation's parts; undefined when it is gone, so all its parts are settled. */
  states(generation: number): PartStates | undefined {
    return this.#set.find(generation)?.states;
  }

  /** Bytes of the generations on disk, about. */
  bytesOnDisk(): number {
    let sum = 0;
    for (const { bytes } of this.#set.list) sum += bytes;
    return sum;
  }

  /** Parts of the log that are not settled. */
  unsettledParts(): number {
    let parts = 0;
    for (const { states } of this.#set.list) parts += states.unsettledParts;
    return parts;
  }

  /** True when a commit would write changed states though nothing is appended. */
  hasChangedStates(): boolean {
    for (const { states } of this.#set.list) if (states.dirtyRecords > 0) return true;
    return false;
  }

  /** Why the last transaction failed; null before one did. */
  get lastError(): EnvironmentFailed | null {
    return this.#disk.lastError;
  }

  /** Values that failed their checksum, and generations that LMDB could not read. */
  get corruptReads(): number {
    return this.#reader.corruptReads;
  }

  /** What is open, mapped and held in memory. Allocates: not for every turn. */
  figures(): LogFigures {
    return this.#set.figures();
  }

  /**
   * Commits what `work` appends and all changed states, or nothing; see the head of this file.
   * What `work` throws itself comes out, undone.
   */
  transact(work: () => void): LogStatus {
    assert(!this.#transacting, "transactions are not nested");
    const opened = this.#ensureOpen();
    if (opened !== LOG_OK) return this.#disk.starved(opened);
    const open = this.#open!; // ensureOpen() set it
    const bytesBefore = open.bytes;
    open.mark();
    this.#transacting = true;
    try {
      open.environment.transact(() => {
        work();
        this.#stageStates(open);
        this.#disk.requireRoom(open.bytes - bytesBefore, open.states.addedSinceMark());
      });
    } catch (error) {
      const attempted = open.bytes - bytesBefore;
      const hadRecords = open.states.addedSinceMark();
      this.#transacting = false;
      this.#rollBack(open);
      const status = this.#disk.statusOf(error, attempted);
      return hadRecords ? status : this.#disk.starved(status);
    }
    this.#transacting = false;
    for (const { states } of this.#set.list) states.committed();
    this.#storage.add(this.options.storageKind, open.bytes - bytesBefore);
    this.#set.used(open);
    return LOG_OK;
  }

  /**
   * Appends a payload and its index, in a transaction. The record's identity is (openGeneration,
   * the entry answered); its parts start with `initialState`.
   * @param bytes any memory; [at, end) is copied.
   */
  appendRecord(
    bytes: Uint8Array, at: number, end: number, index: RecordParts, initialState: number,
  ): number {
    assert(this.#transacting, "records are appended in a transaction");
    const open = this.#open!; // a transaction is running
    if (open.states.recordCount === 0) open.firstRecordMs = this.#clock.monotonicMs();
    return this.#writer.putRecord(
      open, bytes, at, end, index, initialState, this.#clock.wallMs(),
    );
  }

  /**
   * Appends words[0, count) of the lane, in a transaction. KEPT and DECISIONS are DECISION_WORDS
   * each and may be any number; one MEMORY batch has at most WORDS_PER_ENTRY_MAX.
   */
  appendWords(kind: WordsKind, words: Uint32Array, count: number): void {
    assert(this.#transacting, "words are appended in a transaction");
    this.#writer.putWords(this.#open!, kind, words, count); // open: a transaction is running
  }

  /** Seals the open generation when it is large or old enough; an empty one never is by age. */
  rotateIfDue(): boolean {
    this.#disk.restore();
    const open = this.#open;
    if (open === null) return false;
    const { generationBytes, generationAgeMs, entriesMax } = this.options;
    const aged = open.states.recordCount > 0
      && this.#clock.monotonicMs() - open.firstRecordMs >= generationAgeMs;
    if (open.bytes < generationBytes && open.nextEntry <= entriesMax && !aged) return false;
    this.seal();
    return true;
  }

  /** Ends the open generation when nothing in it is owed any more, so that it can go. */
  sealIfSettled(): void {
    const open = this.#open;
    if (open === null || open.bytes < SEALED_BYTES_MIN || open.states.unsettledParts > 0) return;
    if (open.states.recordCount > 0) this.seal();
  }

  /** Ends the open generation; the next transaction opens another, with a new META. */
  seal(): void {
    assert(!this.#transacting, "generations change between transactions");
    const open = this.#open;
    if (open === null) return;
    this.#hint = { entries: open.nextEntry, parts: open.states.partCount };
    open.sealed = true;
    open.states.seal();
    const measured = open.environment.fileBytes();
    this.#storage.add(this.options.storageKind, measured - open.bytes);
    open.bytes = measured;
    this.#open = null;
    this.#set.enforce();
  }

  /**
   * Runs `work` so that its readRecord() and readIndex() of this generation share one transaction.
   * @returns READ_MISSING when the generation is gone; READ_CORRUPT when it cannot be opened.
   */
  reading(generation: number, work: () => void): ReadStatus {
    return this.#reader.reading(generation, work);
  }

  /**
   * The index of a record; its record index decoded, the body may be read. Borrowed until then.
   * @returns null when the record is gone, or corrupt (counted).
   */
  readIndex(generation: number, entry: number): BorrowedIndex | null {
    return this.#reader.readIndex(generation, entry);
  }

  /** The payload of a record, borrowed until the next read. @returns null as readIndex(). */
  readRecord(generation: number, entry: number): BorrowedBody | null {
    return this.#reader.readRecord(generation, entry);
  }

  /** Generations that retire() would remove. */
  retirable(): number {
    let count = 0;
    for (const generation of this.#set.list) if (isRetirable(generation)) count++;
    return count;
  }

  /**
   * Removes up to `removedMax` generations whose parts are all settled, after committing anew what
   * of them is still needed. Their directories wait for removeGone(). Nothing goes but on LOG_OK.
   */
  retire(carrier: Carrier, removedMax: number): LogStatus {
    const plan = planRetirement(
      this.#set.list, this.#memoryGeneration, removedMax, carrier.appendMemory !== undefined,
    );
    if (plan.removed.length === 0) return LOG_OK;
    const carries = plan.statesOf.length + plan.keptOf.length > 0 || plan.memory;
    if (carries) {
      const status = this.transact(() => {
        for (const living of plan.statesOf) this.#carryStates(living);
        for (const living of plan.keptOf) carrier.appendKept(living.id);
        if (plan.memory) carrier.appendMemory?.();
      });
      if (status !== LOG_OK) return status;
      if (plan.memory) this.#memoryGeneration = this.openGeneration;
    }
    for (const generation of plan.removed) this.#remove(generation);
    return LOG_OK;
  }

  /** True when a settled generation stays only because its decisions are in no complete MEMORY. */
  waitsForMemory(): boolean {
    return this.#set.list.some((generation) => {
      return isRetirable(generation) && needsMemory(generation, this.#memoryGeneration);
    });
  }

  /** All that was remembered when `generation` was the open one has been committed anew since. */
  memoryExported(generation: number): void {
    this.#memoryGeneration = Math.max(this.#memoryGeneration, generation);
  }

  get generationCount(): number {
    return this.#set.list.length;
  }

  /** Unlinks one retired generation: milliseconds. @returns false when none waits. */
  removeGone(): boolean {
    return this.#gone.removeNext();
  }

  /**
   * Gives up every unsettled part of a generation, so that it can be retired; sealed first if open.
   * @returns the spans given up; the caller counts them by reason.
   */
  abandon(generation: number): number {
    if (generation === this.openGeneration) this.seal();
    return this.states(generation)?.abandon() ?? 0;
  }

  /**
   * Removes the oldest generation at once and without a commit, so on a full disk too. Only for a
   * log without words of a lane: nothing else lives in its oldest generation.
   * @returns the spans of its unsettled parts.
   */
  dropOldest(): number {
    const oldest = this.#set.list[0];
    if (oldest === undefined) return 0;
    const spans = this.abandon(oldest.id);
    assert(!oldest.hasDecisions && oldest.keptOf.size === 0, "nothing else lives in it");
    this.#remove(oldest);
    return spans;
  }

  /** Closes the environments. What is committed is safe without it. */
  close(): void {
    assert(!this.#transacting, "a log is closed between transactions");
    this.#set.close();
  }

  #remove(generation: Generation): void {
    this.#set.remove(generation);
    this.#storage.add(this.options.storageKind, -generation.bytes);
    this.#gone.add(generation.environment.directory, generation.bytes);
    this.generationsRetired++;
  }

  #ensureOpen(): LogStatus {
    if (this.#open !== null) return LOG_OK;
    if (!this.#disk.roomForGeneration()) return LOG_FULL;
    let generation: Generation;
    try {
      generation = newGeneration(this.options, this.#hint, this.#writer);
    } catch (error) {
      return this.#disk.statusOf(error, GENERATION_BYTES_MIN);
    }
    generation.writtenMs = this.#clock.monotonicMs();
    this.#set.add(generation);
    this.#storage.add(this.options.storageKind, generation.bytes);
    this.#open = generation;
    this.generationsOpened++;
    this.#set.used(generation);
    this.#set.enforce();
    return LOG_OK;
  }

  #stageStates(open: Generation): void {
    for (const { id, states } of this.#set.list) {
      if (states.dirtyRecords === 0) continue;
      states.stageDirty(this.#states);
      if (id !== open.id) open.statesOf.add(id);
    }
    this.#states.flush();
  }

  #carryStates(living: Generation): void {
    living.states.stageSnapshot(this.#states);
    this.#open!.statesOf.add(living.id); // called in a transaction
  }

  #rollBack(open: Generation): void {
    this.#states.clear();
    for (const { states } of this.#set.list) states.unstage();
    open.rollBack();
    this.failedTransactions++;
  }
}
