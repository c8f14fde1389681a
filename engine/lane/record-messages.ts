// Kept spans of one record as messages for a forwarder: reads the record once, renders what is
// wanted.

import { FORMAT_OTLP_PROTO } from "../ring/payload-layout.ts";
import { READ_OK } from "../log/entry-reader.ts";
import type { LaneLog } from "../log/lane-log.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_INDEX, DECISION_WORDS,
} from "../part/decision-layout.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import { Renderers, type Renderer } from "../wire/renderer.ts";
import type { KeptStore } from "./kept-store.ts";
import type { SuffixTable } from "./suffix-table.ts";

/** Size of one message, except that a span is never cut. */
const MESSAGE_BYTES = 1024 * 1024;
/** Answers of `put` beside a span's number: the record is gone or corrupt. */
export const UNREADABLE = -1;

export interface RecordMessagesParts {
  readonly log: LaneLog;
  readonly kept: KeptStore;
  readonly suffixes: SuffixTable;
  readonly index: RecordIndex;
}

/** Used by one lane; holds borrowed memory only within `put`. */
export class RecordMessages {
  readonly #in: RecordMessagesParts;
  readonly #renderers = new Renderers();
  /** Of the record under hand. */
  #renderer: Renderer = this.#renderers.of(FORMAT_OTLP_PROTO);
  #wanted = new Uint32Array(1024);
  /** The record whose index was decoded last; a generation's number is never given out again. */
  #indexGeneration = 0;
  #indexEntry = 0;
  #bodyBytesMin = 0;

  constructor(parts: RecordMessagesParts) {
    this.#in = parts;
  }

  /** Spans of the record that was put last. */
  get recordSpans(): number {
    return this.#in.index.spanCount;
  }

  /** Spans of the message under hand. */
  get spans(): number {
    return this.#renderer.spanCount;
  }

  /** Within `take`: writes the message under hand. @returns the offset after it. */
  write(target: Buffer, at: number): number {
    return this.#renderer.write(target, at);
  }

  /**
   * Renders kept parts of one record, from span `firstSpan` on, message by message.
   * @param entries numbers in the kept store, all of one record.
   * @param take gets the size of each message and may `write` it; false = no room, stop there.
   * @returns the first span that found no room, `recordSpans` when all did, or UNREADABLE.
   */
  put(
    slot: number, entries: Uint32Array, firstSpan: number, take: (bytes: number) => boolean,
  ): number {
    const { log, kept } = this.#in;
    const first = entries[0]! * DECISION_WORDS; // a record has a kept part
    const generation = kept.words[first + DECISION_GENERATION]!;
    let next = UNREADABLE;
    const status = log.reading(generation, () => {
      if (!this.#prepare(slot, entries, generation, kept.words[first + DECISION_ENTRY]!)) return;
      next = this.#putAll(firstSpan, take);
      this.#renderer.release();
    });
    return status === READ_OK ? next : UNREADABLE;
  }

  #putAll(firstSpan: number, take: (bytes: number) => boolean): number {
    const { spanCount } = this.#in.index;
    for (let span = firstSpan; span < spanCount;) {
      const end = this.#renderer.planEnd(span, MESSAGE_BYTES);
      const bytes = this.#renderer.measure(span, end);
      if (bytes > 0 && !take(bytes)) return span;
      span = end;
    }
    return spanCount;
  }

  /** A record with many kept parts comes again and again: its index is decoded once. */
  #decodeIndex(generation: number, entry: number): boolean {
    if (this.#indexGeneration === generation && this.#indexEntry === entry) return true;
    const { log, index } = this.#in;
    this.#indexGeneration = 0;
    const found = log.readIndex(generation, entry);
    if (found === null || !index.decodeFrom(found.bytes, found.at, found.end)) return false;
    this.#indexGeneration = generation;
    this.#indexEntry = entry;
    this.#bodyBytesMin = index.payloadBytesMin();
    return true;
  }

  /** Reads the record and marks the wanted parts; false when it is gone or corrupt. */
  #prepare(slot: number, entries: Uint32Array, generation: number, entry: number): boolean {
    const { log, kept, index, suffixes } = this.#in;
    if (!this.#decodeIndex(generation, entry)) return false;
    const body = log.readRecord(generation, entry);
    if (body === null || this.#bodyBytesMin > body.end - body.at) return false;
    if (this.#wanted.length < index.partCount) this.#wanted = new Uint32Array(index.partCount * 2);
    if (kept.isWholeRecord(entries[0]!)) {
      this.#wanted.fill(1, 0, index.partCount);
    } else {
      this.#wanted.fill(0, 0, index.partCount);
      for (const number of entries) {
        const at = number * DECISION_WORDS;
        const part = kept.words[at + DECISION_INDEX]!;
        if (part < index.partCount) {
          this.#wanted[part] = suffixes.numberFor(kept.words, at, slot) + 1;
        }
      }
    }
    this.#renderer = this.#renderers.of(index.format);
    this.#renderer.prepare(body.bytes, body.at, body.end, index, this.#wanted, suffixes.suffixes);
    return true;
  }
}
