// What a lane hears of decisions that others made: remembered ones of another log or node, those
// that it witnesses. All of it is remembered at once and logged with the next commit.

import { assert } from "../base/assert.ts";
import { KIND_DECISIONS, KIND_MEMORY } from "../log/entry-layout.ts";
import type { LaneLog } from "../log/lane-log.ts";
import { KIND_FINGERPRINT, KIND_REMEMBERED, MESSAGE_KIND } from "../part/part-layout.ts";
import { LOADED, type DecisionMemory } from "../traces/decision-memory.ts";
import {
  BATCH_FINGERPRINTS, BATCH_HEADER_WORDS, BATCH_VERSION, FINGERPRINT_WORDS, MEMORY_CHANGE,
  MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import type { LaneClock } from "./lane-clock.ts";

/** Decisions of one commit; with more, messages wait in their rings. */
const STAGED_MAX = 16_384;

/** Written by its lane only. */
export class Knowledge {
  readonly #log: LaneLog;
  readonly #memory: DecisionMemory;
  readonly #clock: LaneClock;
  // In normal memory: the log never gets shared memory.
  #staged = new Uint32Array(1024 * MEMORY_WORDS);
  #count = 0;
  /** A batch, as the memory exports it: its head is written when it is logged. */
  readonly #fingerprints = new Uint32Array(BATCH_HEADER_WORDS + STAGED_MAX * FINGERPRINT_WORDS);
  #fingerprintCount = 0;

  constructor(log: LaneLog, memory: DecisionMemory, clock: LaneClock) {
    this.#log = log;
    this.#memory = memory;
    this.#clock = clock;
  }

  /** Nothing waits for a commit. */
  get clean(): boolean {
    return this.#count === 0 && this.#fingerprintCount === 0;
  }

  get room(): boolean {
    return this.#count < STAGED_MAX && this.#fingerprintCount < STAGED_MAX;
  }

  /** Takes a message of another lane or node: KIND_REMEMBERED or KIND_FINGERPRINT. */
  take(words: Uint32Array, at: number): void {
    const kind = words[at + MESSAGE_KIND]!;
    if (kind === KIND_FINGERPRINT) {
      const nowS = Math.floor(this.#clock.wallMs / 1000);
      const from = at + BATCH_HEADER_WORDS;
      const end = from + FINGERPRINT_WORDS;
      if (this.#memory.load(words, at, end, this.#clock.nowMs, nowS) !== LOADED) return;
      const to = BATCH_HEADER_WORDS + this.#fingerprintCount * FINGERPRINT_WORDS;
      for (let word = 0; word < FINGERPRINT_WORDS; word++) {
        this.#fingerprints[to + word] = words[from + word]!;
      }
      this.#fingerprintCount++;
      return;
    }
    assert(kind === KIND_REMEMBERED, "decisions and fingerprints are passed on");
    this.takeDecision(words, at);
  }

  /** Remembers the decision at words[at..] (memory layout) and stages it. */
  takeDecision(words: Uint32Array, at: number): void {
    const nowS = Math.floor(this.#clock.wallMs / 1000);
    this.#memory.loadEntry(words, at, this.#clock.nowMs, nowS);
    const to = this.#count * MEMORY_WORDS;
    if (to + MEMORY_WORDS > this.#staged.length) {
      const grown = new Uint32Array(this.#staged.length * 2);
      grown.set(this.#staged);
      this.#staged = grown;
    }
    for (let word = 0; word < MEMORY_CHANGE; word++) this.#staged[to + word] = words[at + word]!;
    for (let word = MEMORY_CHANGE - 1; word < MEMORY_WORDS; word++) this.#staged[to + word] = 0;
    this.#count++;
  }

  /** Inside a transaction: logs what is staged. */
  append(): void {
    if (this.#count > 0) {
      this.#log.appendWords(KIND_DECISIONS, this.#staged, this.#count * MEMORY_WORDS);
    }
    if (this.#fingerprintCount === 0) return;
    this.#fingerprints[0] = BATCH_FINGERPRINTS | (BATCH_VERSION << 8)
      | (this.#fingerprintCount << 16);
    this.#fingerprints[1] = this.#memory.seedProof;
    this.#log.appendWords(KIND_MEMORY, this.#fingerprints,
      BATCH_HEADER_WORDS + this.#fingerprintCount * FINGERPRINT_WORDS);
  }

  /** The commit succeeded. */
  committed(): void {
    this.#count = 0;
    this.#fingerprintCount = 0;
  }
}
