// What a former process left, loaded in two passes over the generations, oldest first: states of
// all parts, without touching a body; then the words of the lane, when it can ask what a part still
// owes.
//
// A generation that LMDB cannot read, or that ended the former process and fails a probe, is set
// aside under another name for the operator. An entry that fails its checksum is skipped and
// counted: a lost INDEX loses its record; lost STATES let settled parts be judged and sent again.

import { readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../base/errors.ts";
import {
  KIND_BODY, KIND_CONTINUATION, KIND_DECISIONS, KIND_INDEX, KIND_KEPT, KIND_MEMORY, KIND_META,
  KIND_STATES, LOG_FORMAT_VERSION, STATES_CHANGED_ONLY, STATES_COUNT, STATES_ENTRY,
  STATES_GENERATION, STATES_HEADER_WORDS,
} from "./entry-layout.ts";
import type { WordsKind } from "./entry-layout.ts";
import { EntryReader, READ_OK } from "./entry-reader.ts";
import { readWord } from "./entry-writer.ts";
import { EnvironmentFailed } from "./environment.ts";
import type { Probe } from "./generation-probe.ts";
import { looksWhole } from "./generation-header.ts";
import type { GenerationSet } from "./generation-set.ts";
import { noteKept } from "./generation-writer.ts";
import { Generation, generationName, generationOf } from "./generation.ts";
import { removeLeftovers } from "./gone-directories.ts";
import { IndexEntry } from "./index-entry.ts";
import type { Durability } from "./log-status.ts";

/** End of the name of a generation that could not be read. */
export const SET_ASIDE = ".set-aside";
const WORD_BYTES = 4;

/** Learns what was logged. Everything it gets is borrowed until it returns. */
export interface RecoveryVisitor {
  /** META text bytes[at, end) of a generation; not called when it is corrupt. */
  onMeta(generation: number, bytes: Uint8Array, at: number, end: number): void;
  /**
   * words[0, count) as one appendWords() got them or a part of it, in log order, from `generation`.
   * All states are loaded: KEPT words of parts that owe nothing any more can be dropped at once.
   */
  onWords(kind: WordsKind, words: Uint32Array, count: number, generation: number): void;
}

export interface RecoveryReport {
  generations: number;
  records: number;
  parts: number;
  unsettledParts: number;
  /** Entries that failed their checksum or could not be read. */
  corruptEntries: number;
  /** Records that are lost because their INDEX is. */
  lostRecords: number;
  /** New names of the directories set aside. */
  setAside: string[];
}

export interface RecoveryOptions {
  readonly directory: string;
  readonly durability: Durability;
  readonly generationBytes: number;
}

/** Loads the generations of `directory` into `set`. @throws GatewayError LOG_VERSION */
export function replayLog(
  options: RecoveryOptions, set: GenerationSet, visitor: RecoveryVisitor, probe: Probe,
): RecoveryReport {
  removeLeftovers(options.directory);
  const replay = new Replay(options, set, visitor);
  const ids = readdirSync(options.directory).map(generationOf).filter((id) => id !== 0);
  ids.sort((left, right) => left - right);
  // The probes come first: the marker says what ended the former process until something is read.
  const damaged = ids.filter((id) => isDamaged(options.directory, id, set.marker.previous, probe));
  for (const id of damaged) replay.setAside(join(options.directory, generationName(id)));
  for (const id of ids) if (!damaged.includes(id)) replay.loadStates(id);
  for (const generation of set.list) {
    generation.states.recovered();
    generation.states.seal();
  }
  for (const generation of set.list) replay.loadWords(generation);
  set.reopened = 0;
  return replay.finish();
}

function isDamaged(directory: string, id: number, suspect: number, probe: Probe): boolean {
  const generation = join(directory, generationName(id));
  return (id === suspect || !looksWhole(generation)) && !probe(generation);
}

class Replay {
  readonly #options: RecoveryOptions;
  readonly #set: GenerationSet;
  readonly #visitor: RecoveryVisitor;
  readonly #reader = new EntryReader();
  readonly #index = new IndexEntry();
  readonly #report: RecoveryReport = {
    generations: 0, records: 0, parts: 0, unsettledParts: 0, corruptEntries: 0, lostRecords: 0,
    setAside: [],
  };
  /** Keys of the entries with words of the lane, by generation. */
  readonly #wordKeys = new Map<Generation, number[]>();
  #words = new Uint32Array(1024);

  constructor(options: RecoveryOptions, set: GenerationSet, visitor: RecoveryVisitor) {
    this.#options = options;
    this.#set = set;
    this.#visitor = visitor;
  }

  /** First pass over one generation. */
  loadStates(id: number): void {
    const { directory, durability, generationBytes } = this.#options;
    const generation = new Generation({
      id, directory, durability, bytes: generationBytes, hint: { entries: 0, parts: 0 },
    });
    generation.sealed = true;
    this.#set.add(generation);
    try {
      this.#set.reading(generation, () => this.#scan(generation));
    } catch (error) {
      if (!(error instanceof EnvironmentFailed)) throw error;
      this.#set.remove(generation);
      this.setAside(generation.environment.directory);
      return;
    }
    generation.bytes = generation.environment.fileBytes();
    if (generation.nextEntry > 1) return;
    // Made, but its META was never committed: nothing was ever in it.
    this.#set.remove(generation);
    rmSync(generation.environment.directory, { recursive: true, force: true });
  }

  /** Second pass over one generation. */
  loadWords(generation: Generation): void {
    const keys = this.#wordKeys.get(generation);
    if (keys === undefined) return;
    this.#set.reading(generation, () => {
      for (const key of keys) {
        if (this.#reader.read(generation.environment, key, 0) !== READ_OK) {
          this.#report.corruptEntries++;
          continue;
        }
        const kind = this.#reader.kind as WordsKind; // scan() noted keys of these kinds only
        const count = this.#copyWords(); // may replace #words
        this.#visitor.onWords(kind, this.#words, count, generation.id);
      }
    });
  }

  setAside(directory: string): void {
    const name = `${directory}${SET_ASIDE}`;
    renameSync(directory, name);
    this.#report.setAside.push(name);
  }

  finish(): RecoveryReport {
    const report = this.#report;
    for (const { states } of this.#set.list) {
      report.generations++;
      report.records += states.recordCount;
      report.parts += states.partCount;
      report.unsettledParts += states.unsettledParts;
    }
    return report;
  }

  #scan(generation: Generation): void {
    const last = generation.environment.lastKey();
    generation.nextEntry = last + 1;
    for (let key = 1; key <= last;) key += this.#scanEntry(generation, key);
  }

  /** @returns the keys of the entry, and of a body behind it. */
  #scanEntry(generation: Generation, key: number): number {
    const reader = this.#reader;
    if (reader.read(generation.environment, key, 0) !== READ_OK) {
      this.#report.corruptEntries++;
      return 1;
    }
    switch (reader.kind) {
      case KIND_META:
        this.#meta(generation);
        return 1;
      case KIND_INDEX:
        return this.#record(generation, key);
      case KIND_BODY: // of a record whose INDEX was not readable
        this.#report.lostRecords++;
        return reader.pieces;
      case KIND_CONTINUATION: // of a value whose first piece was not readable
        return 1;
      case KIND_STATES:
        this.#states(generation, this.#copyWords());
        return reader.pieces;
      case KIND_KEPT:
        this.#kept(generation, this.#copyWords());
        this.#noteWords(generation, key);
        return reader.pieces;
      case KIND_DECISIONS:
      case KIND_MEMORY:
        generation.hasDecisions = true;
        this.#noteWords(generation, key);
        return reader.pieces;
      default:
        this.#report.corruptEntries++;
        return 1;
    }
  }

  #meta(generation: Generation): void {
    const { bytes, at, end } = this.#reader;
    const version = readWord(bytes, at);
    if (version > LOG_FORMAT_VERSION) {
      throw new GatewayError(
        "LOG_VERSION",
        `the log in ${generation.environment.directory} has format ${version}, written by a newer `
        + `release; this one reads up to ${LOG_FORMAT_VERSION}: run the newer release on it`,
        { directory: generation.environment.directory, version },
      );
    }
    this.#visitor.onMeta(generation.id, bytes, at + WORD_BYTES, end);
  }

  #record(generation: Generation, entry: number): number {
    const { bytes, at, end, pieces } = this.#reader;
    const index = this.#index;
    if (!index.decode(bytes, at, end)) {
      this.#report.corruptEntries++;
      return pieces;
    }
    index.decodeSpans(bytes);
    generation.states.addRecovered(entry, index.spans, 0, index.partCount, index.initialState);
    if (pieces > 1) generation.longIndexes.set(entry, pieces);
    return pieces + index.bodyPieces;
  }

  #states(generation: Generation, count: number): void {
    const words = this.#words;
    let at = 0;
    while (at + STATES_HEADER_WORDS <= count) {
      const of = words[at + STATES_GENERATION]!;
      const pairs = words[at + STATES_COUNT]! & ~STATES_CHANGED_ONLY;
      const end = at + STATES_HEADER_WORDS + pairs * 2;
      if (end > count) break;
      const target = this.#set.find(of);
      if (target !== undefined) {
        if (target !== generation) generation.statesOf.add(of);
        applyStates(target, words, at, end);
      }
      at = end;
    }
    if (at !== count) this.#report.corruptEntries++;
  }

  #kept(generation: Generation, count: number): void {
    noteKept(generation, this.#words, count);
  }

  #noteWords(generation: Generation, key: number): void {
    const keys = this.#wordKeys.get(generation);
    if (keys === undefined) this.#wordKeys.set(generation, [key]);
    else keys.push(key);
  }

  /** Copies the value read into #words, where words are aligned. @returns how many. */
  #copyWords(): number {
    const { bytes, at, end } = this.#reader;
    const count = (end - at) >>> 2;
    if (count > this.#words.length) this.#words = new Uint32Array(count * 2);
    const target = new Uint8Array(this.#words.buffer, 0, count * WORD_BYTES);
    target.set(bytes.subarray(at, at + count * WORD_BYTES));
    return count;
  }
}

/** One record of a STATES value: header at `at`, pairs up to `end`. */
function applyStates(target: Generation, words: Uint32Array, at: number, end: number): void {
  const states = target.states;
  const entry = words[at + STATES_ENTRY]!;
  const parts = states.partsOf(entry); // 0 when the record's INDEX is lost
  if ((words[at + STATES_COUNT]! & STATES_CHANGED_ONLY) === 0) {
    for (let index = 0; index < parts; index++) states.set(entry, index, 0);
  }
  for (let pair = at + STATES_HEADER_WORDS; pair < end; pair += 2) {
    if (words[pair]! < parts) states.set(entry, words[pair]!, words[pair + 1]!);
  }
}
