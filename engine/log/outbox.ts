// Rendered spans that one forwarder has not taken for a while, on disk: so that a dead backend pins
// no generation of the log. A log of its own whose records are messages with one part; that part
// owes the acknowledgement. Messages leave in order and are acknowledged in any; past its limit the
// oldest generation is given up and counted.
//
// Order at the lane: append and commit here, then clear the forwarder's bit in the lane's log. A
// process that dies in between sends the spans twice, never not at all.

import { assert } from "../base/assert.ts";
import { PART_SPANS, PART_WORDS } from "../part/part-layout.ts";
import type { RecordParts } from "./index-entry.ts";
import { LaneLog } from "./lane-log.ts";
import type { LaneLogDependencies } from "./log-options.ts";
import { LOG_FULL, LOG_OK } from "./log-status.ts";
import type { Durability, LogStatus } from "./log-status.ts";
import { STORAGE_OUTBOX } from "./storage-account.ts";

/** State of a message: owed. */
const OWED = 1;
/** Given up a generation at a time: an eighth of the limit at most. */
const GENERATIONS_MIN = 8;
const GENERATION_BYTES_MIN = 1024 * 1024;
const ENTRIES_MAX = 65_536;
/** One generation is written, one is read; a third saves opening when they change places. */
const ENVIRONMENTS_MAX = 3;
/** Messages go back in order, so few pages are touched twice. */
const MAPPED_BYTES_MAX = 16 * 1024 * 1024;
/** Generations removed in one maintain(). */
const RETIRED_MAX = 4;
const NO_TEXT = new Uint8Array(0);
const NO_CARRIER = { appendKept: () => undefined, appendMemory: () => undefined };

export interface OutboxOptions {
  /** Of this lane and forwarder. */
  readonly directory: string;
  readonly durability: Durability;
  /** Bytes on disk; evict() gives up the oldest messages beyond. */
  readonly bytesMax: number;
  readonly generationBytes: number;
  readonly generationAgeMs: number;
  nextGeneration(): number;
}

/** A message read back: bytes[at, end), borrowed until the next read of any log in this thread. */
export interface OutboxMessage {
  bytes: Uint8Array;
  at: number;
  end: number;
  spans: number;
}

interface Taken {
  readonly generation: number;
  readonly entry: number;
  readonly spans: number;
}

/** The outbox of one lane for one forwarder. Used by the lane's thread only. */
export class Outbox {
  readonly #log: LaneLog;
  readonly #bytesMax: number;
  readonly #message: OutboxMessage = { bytes: NO_TEXT, at: 0, end: 0, spans: 0 };
  readonly #parts: RecordParts;
  /** Messages that were taken and not acknowledged, by ticket. */
  readonly #taken = new Map<number, Taken>();
  /** Places of taken messages that the cursor has not passed. */
  readonly #ahead = new Set<string>();
  #lastTicket = 0;
  /** The last message taken, or skipped as settled. */
  #cursorGeneration = 0;
  #cursorEntry = 0;
  /** The message that peek() found; entry 0 for none. */
  #peekedGeneration = 0;
  #peekedEntry = 0;
  #partSpans = 0;
  /** Spans of messages that could not be read back. */
  corruptSpans = 0;

  constructor(options: OutboxOptions, dependencies: LaneLogDependencies) {
    assert(options.bytesMax > 0, "an outbox has a limit");
    const share = Math.floor(options.bytesMax / GENERATIONS_MIN);
    this.#bytesMax = options.bytesMax;
    this.#log = new LaneLog({
      directory: options.directory,
      durability: options.durability,
      generationBytes: Math.max(GENERATION_BYTES_MIN, Math.min(options.generationBytes, share)),
      generationAgeMs: options.generationAgeMs,
      entriesMax: ENTRIES_MAX,
      environmentsMax: ENVIRONMENTS_MAX,
      mappedBytesMax: MAPPED_BYTES_MAX,
      unverifiedReadMs: 0,
      reserveBytes: 0,
      storageKind: STORAGE_OUTBOX,
      nextGeneration: () => options.nextGeneration(),
      meta: () => NO_TEXT,
    }, dependencies);
    const parts = new Uint32Array(PART_WORDS);
    this.#parts = {
      parts, partCount: 1, spanCount: 0, format: 0,
      encodedBytes: () => 0, encodeInto: (_, at) => at,
    };
  }

  /** Loads what a former process left. @returns the spans that wait. */
  recover(): number {
    this.#log.recover({ onMeta: () => undefined, onWords: () => undefined });
    return this.waitingSpans();
  }

  /** Messages that peek() has yet to show. */
  get waiting(): number {
    return this.#log.unsettledParts() - this.#takenOwed();
  }

  /** Nothing waits and nothing is on its way. */
  get isEmpty(): boolean {
    return this.#log.unsettledParts() === 0 && this.#taken.size === 0;
  }

  /** Spans of every message not acknowledged. Walks all messages: at start, not every turn. */
  waitingSpans(): number {
    let spans = 0;
    for (const generation of this.#log.generations()) {
      const states = this.#log.states(generation)!; // just listed
      for (let entry = states.nextRecord(0, OWED); entry !== 0;
        entry = states.nextRecord(entry, OWED)) spans += states.spans(entry, 0);
    }
    return spans;
  }

  bytesOnDisk(): number {
    return this.#log.bytesOnDisk();
  }

  /** Commits what `work` appends, and acknowledgements; as LaneLog.transact(). */
  transact(work: () => void): LogStatus {
    return this.#log.transact(work);
  }

  /**
   * As append, for a message that the forwarder has in memory: peek() does not show it again.
   * @returns its ticket. Forget it with `forgetTicket` when the transaction fails.
   */
  appendTaken(bytes: Uint8Array, at: number, end: number, spans: number): number {
    this.#parts.parts[PART_SPANS] = spans;
    const entry = this.#log.appendRecord(bytes, at, end, this.#parts, OWED);
    const ticket = ++this.#lastTicket;
    const generation = this.#log.openGeneration;
    this.#taken.set(ticket, { generation, entry, spans });
    this.#ahead.add(placeOf(generation, entry));
    return ticket;
  }

  /** The transaction that appended it failed. */
  forgetTicket(ticket: number): void {
    this.#forget(ticket);
  }

  /** Appends a message, in a transaction. bytes[at, end) may be any memory; it is copied. */
  append(bytes: Uint8Array, at: number, end: number, spans: number): void {
    this.#parts.parts[PART_SPANS] = spans;
    this.#log.appendRecord(bytes, at, end, this.#parts, OWED);
  }

  /**
   * The next message in order, the same one until take(). Messages that cannot be read are settled,
   * and counted in corruptSpans.
   * @returns null when none waits.
   */
  peek(): OutboxMessage | null {
    while (this.#findNext()) {
      const states = this.#log.states(this.#peekedGeneration)!; // #findNext() found it there
      const spans = states.spans(this.#peekedEntry, 0);
      const body = this.#log.readRecord(this.#peekedGeneration, this.#peekedEntry);
      if (body !== null) {
        const message = this.#message;
        message.bytes = body.bytes;
        message.at = body.at;
        message.end = body.end;
        message.spans = spans;
        this.#partSpans = spans;
        return message;
      }
      states.clear(this.#peekedEntry, 0, OWED);
      this.corruptSpans += spans;
    }
    return null;
  }

  /** Takes the message that peek() showed. @returns its ticket for acknowledge(). */
  take(): number {
    assert(this.#peekedEntry !== 0, "a message is taken after it was seen");
    const ticket = ++this.#lastTicket;
    this.#taken.set(ticket, {
      generation: this.#peekedGeneration, entry: this.#peekedEntry, spans: this.#partSpans,
    });
    this.#cursorGeneration = this.#peekedGeneration;
    this.#cursorEntry = this.#peekedEntry;
    this.#peekedEntry = 0;
    return ticket;
  }

  /**
   * The forwarder has the message, or never will: it is settled. Safe with the next commit.
   * @returns its spans.
   */
  acknowledge(ticket: number): number {
    const taken = this.#taken.get(ticket);
    assert(taken !== undefined, "a message is acknowledged once");
    this.#forget(ticket);
    this.#log.states(taken.generation)?.clear(taken.entry, 0, OWED);
    return taken.spans;
  }

  /**
   * Commits acknowledgements, seals and removes what is settled. To be called now and then, and
   * before the process ends, so that nothing acknowledged is sent again.
   */
  maintain(): LogStatus {
    if (this.#log.hasChangedStates()) {
      const status = this.#log.transact(() => undefined);
      if (status === LOG_FULL) this.#dropSettled();
      if (status !== LOG_OK) return status;
    }
    this.#log.rotateIfDue();
    // Drained: it goes whole, and with it every file of this outbox.
    if (this.#log.unsettledParts() === 0) this.#log.seal();
    const status = this.#log.retire(NO_CARRIER, RETIRED_MAX);
    while (this.#log.removeGone());
    return status;
  }

  /**
   * Gives up the oldest generations while the outbox is over its limit; needs no free space.
   * @returns the spans lost, those on their way not among them.
   */
  evict(): number {
    let lost = 0;
    while (this.#log.bytesOnDisk() > this.#bytesMax) {
      const [oldest] = this.#log.generations();
      assert(oldest !== undefined, "bytes on disk belong to a generation");
      lost += this.#log.dropOldest() - this.#takenSpans(oldest);
      while (this.#log.removeGone());
      if (this.#peekedGeneration === oldest) this.#peekedEntry = 0;
    }
    return lost;
  }

  close(): void {
    this.#log.close();
  }

  /** Moves to the next message that owes and was not taken. */
  #findNext(): boolean {
    for (const generation of this.#log.generations()) {
      if (generation < this.#cursorGeneration) continue;
      const states = this.#log.states(generation)!; // just listed
      let entry = generation === this.#cursorGeneration ? this.#cursorEntry : 0;
      do entry = states.nextRecord(entry, OWED);
      while (entry !== 0 && this.#isAhead(generation, entry));
      if (entry === 0) continue;
      this.#peekedGeneration = generation;
      this.#peekedEntry = entry;
      return true;
    }
    this.#peekedEntry = 0;
    return false;
  }

  #forget(ticket: number): void {
    const taken = this.#taken.get(ticket);
    if (taken === undefined) return;
    this.#taken.delete(ticket);
    this.#ahead.delete(placeOf(taken.generation, taken.entry));
  }

  #isAhead(generation: number, entry: number): boolean {
    return this.#ahead.size > 0 && this.#ahead.has(placeOf(generation, entry));
  }

  /**
   * What is settled from the oldest on goes without a commit: on a full disk there is no other way.
   */
  #dropSettled(): void {
    for (const generation of this.#log.generations()) {
      if (this.#log.states(generation)!.unsettledParts > 0) break; // just listed
      this.#log.dropOldest();
    }
    while (this.#log.removeGone());
  }

  /** Taken messages that the log still counts as owed. */
  #takenOwed(): number {
    let owed = 0;
    for (const { generation } of this.#taken.values()) {
      if (this.#log.states(generation) !== undefined) owed++;
    }
    return owed;
  }

  #takenSpans(generation: number): number {
    let spans = 0;
    for (const taken of this.#taken.values()) {
      if (taken.generation === generation) spans += taken.spans;
    }
    return spans;
  }
}

function placeOf(generation: number, entry: number): string {
  return `${generation}/${entry}`;
}
