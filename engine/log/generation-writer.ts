// Appends entries to a generation inside a transaction of its environment, and keeps its counts.

import { assert } from "../base/assert.ts";
import { DECISION_GENERATION, DECISION_WORDS } from "../part/decision-layout.ts";
import {
  KIND_BODY, KIND_INDEX, KIND_KEPT, KIND_MEMORY, KIND_META, KIND_STATES, LOG_FORMAT_VERSION,
  META_BYTES_MAX, META_TEXT_AT, PREFIX_BYTES, WORDS_PER_ENTRY_MAX, pieceCount,
} from "./entry-layout.ts";
import type { WordsKind } from "./entry-layout.ts";
import { EntryWriter, writeWord } from "./entry-writer.ts";
import type { Generation } from "./generation.ts";
import { IndexEntryEncoder } from "./index-entry.ts";
import type { RecordParts } from "./index-entry.ts";

const WORD_BYTES = 4;

/** One thread; buffers are shared by all generations. */
export class GenerationWriter {
  readonly #entries = new EntryWriter();
  readonly #encoder = new IndexEntryEncoder();

  /** The first entry of a generation. */
  putMeta(generation: Generation, text: Uint8Array): void {
    assert(generation.nextEntry === 1, "META is the first entry");
    assert(text.length <= META_BYTES_MAX, "META fits one value");
    const value = new Uint8Array(META_TEXT_AT + text.length);
    writeWord(value, PREFIX_BYTES, LOG_FORMAT_VERSION);
    value.set(text, META_TEXT_AT);
    this.#putPrefixed(generation, KIND_META, value);
  }

  /** INDEX and BODY of a record. @returns the entry of the record. */
  putRecord(
    generation: Generation, bytes: Uint8Array, at: number, end: number, index: RecordParts,
    initialState: number, arrivalMs: number,
  ): number {
    const entry = generation.nextEntry;
    const value = this.#encoder.encode(
      index, end - at, pieceCount(end - at), initialState, arrivalMs,
    );
    const pieces = this.#putPrefixed(generation, KIND_INDEX, value);
    if (pieces > 1) generation.longIndexes.set(entry, pieces);
    this.#put(generation, KIND_BODY, bytes, at, end);
    generation.states.addRecord(entry, index.parts, index.partCount, initialState);
    return entry;
  }

  /** Words of the lane; KEPT and DECISIONS of any count, MEMORY of WORDS_PER_ENTRY_MAX at most. */
  putWords(generation: Generation, kind: WordsKind, words: Uint32Array, count: number): void {
    if (kind === KIND_MEMORY) {
      assert(count <= WORDS_PER_ENTRY_MAX, "a batch of memory fits one value");
    } else {
      assert(count % DECISION_WORDS === 0, "decisions are whole");
    }
    if (kind === KIND_KEPT) noteKept(generation, words, count);
    else generation.hasDecisions = true;
    for (let done = 0; done < count; done += WORDS_PER_ENTRY_MAX) {
      const end = Math.min(done + WORDS_PER_ENTRY_MAX, count);
      this.#putWords(generation, kind, words, done, end);
    }
  }

  /** words[0, count) of states; at most WORDS_PER_ENTRY_MAX. */
  putStates(generation: Generation, words: Uint32Array, count: number): void {
    assert(count <= WORDS_PER_ENTRY_MAX, "a batch of states fits one value");
    this.#putWords(generation, KIND_STATES, words, 0, count);
  }

  #putWords(
    generation: Generation, kind: number, words: Uint32Array, at: number, end: number,
  ): void {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#put(generation, kind, bytes, at * WORD_BYTES, end * WORD_BYTES);
  }

  #put(
    generation: Generation, kind: number, bytes: Uint8Array, at: number, end: number,
  ): number {
    const pieces =
      this.#entries.put(generation.environment, generation.nextEntry, kind, bytes, at, end);
    return this.#count(generation, pieces);
  }

  #putPrefixed(generation: Generation, kind: number, value: Uint8Array): number {
    const pieces =
      this.#entries.putPrefixed(generation.environment, generation.nextEntry, kind, value);
    return this.#count(generation, pieces);
  }

  #count(generation: Generation, pieces: number): number {
    generation.nextEntry += pieces;
    generation.bytes += this.#entries.addedBytes;
    return pieces;
  }
}

/** Remembers whose KEPT decisions words[0, count) are: what `generation` logs of others. */
export function noteKept(generation: Generation, words: Uint32Array, count: number): void {
  let last = 0;
  for (let at = 0; at + DECISION_WORDS <= count; at += DECISION_WORDS) {
    const of = words[at + DECISION_GENERATION]!;
    if (of !== last) generation.keptOf.add(of);
    last = of;
  }
}
