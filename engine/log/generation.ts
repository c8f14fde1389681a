// One generation: an LMDB environment of the log, the states of its parts, and what it logs about
// others.

import { join } from "node:path";
import { Environment } from "./environment.ts";
import { PartStates } from "./part-states.ts";
import type { PartStatesHint } from "./part-states.ts";
import type { Durability } from "./log-status.ts";

/** Digits of a generation's directory name; u32 ids fit. */
const NAME_DIGITS = 10;
const NAME = /^\d{10}$/;

export interface GenerationOptions {
  readonly id: number;
  /** Of the lane, the parent of the generation's own. */
  readonly directory: string;
  readonly durability: Durability;
  readonly bytes: number;
  readonly hint: PartStatesHint;
}

/** Plain state of one generation; LaneLog is its one writer. */
export class Generation {
  readonly id: number;
  readonly environment: Environment;
  readonly states: PartStates;
  /** Key of the next entry. */
  nextEntry = 1;
  /** Bytes on disk: counted while open, measured once sealed. */
  bytes = 0;
  /** Monotonic time of the first record; only meaningful with records. */
  firstRecordMs = 0;
  sealed = false;
  /** Monotonic time at which this process created it; a former one's are as old as can be. */
  writtenMs = -Infinity;
  /**
   * Older generations that this one logs states of: they need what is logged here while they live.
   */
  readonly statesOf = new Set<number>();
  /** Generations whose parts' KEPT decisions are logged here. */
  readonly keptOf = new Set<number>();
  /** Decisions, or an export of them, are logged here. */
  hasDecisions = false;
  /** Records whose INDEX lies in more than one piece: pieces by entry. */
  readonly longIndexes = new Map<number, number>();
  /** Counts up; the least recently used environments are closed first. */
  usedAt = 0;
  #markEntry = 1;
  #markBytes = 0;

  constructor(options: GenerationOptions) {
    this.id = options.id;
    this.environment = new Environment({
      directory: join(options.directory, generationName(options.id)),
      durability: options.durability,
      bytes: options.bytes,
    });
    this.states = new PartStates(options.id, options.hint);
  }

  /** Key of the body of the record at `entry`. */
  bodyEntry(entry: number): number {
    return entry + (this.longIndexes.get(entry) ?? 1);
  }

  /** Remembers where a transaction begins. */
  mark(): void {
    this.#markEntry = this.nextEntry;
    this.#markBytes = this.bytes;
    this.states.mark();
  }

  /** Forgets what was appended since mark(): its entry numbers are used again. */
  rollBack(): void {
    for (const entry of this.longIndexes.keys()) {
      if (entry >= this.#markEntry) this.longIndexes.delete(entry);
    }
    this.nextEntry = this.#markEntry;
    this.bytes = this.#markBytes;
    this.states.rollBack();
  }
}

/** Directory name of a generation. */
export function generationName(id: number): string {
  return String(id).padStart(NAME_DIGITS, "0");
}

/** Generation of a directory name; 0 when it is none. */
export function generationOf(name: string): number {
  return NAME.test(name) ? Number(name) : 0;
}
