// Decisions that are under way together: judged, witnessed, committed, told.

import { NOBODY, SELF } from "../cluster/cluster-words.ts";
import { assert } from "../base/assert.ts";
import { MEMORY_MASKS, MEMORY_WORDS } from "../traces/memory-layout.ts";

/** Written by its lane only. */
export class DecisionBatch {
  readonly max: number;
  /** MEMORY_WORDS of each decision. */
  readonly words: Uint32Array;
  /** The row that each is about; 0 = void. */
  readonly rows: Uint32Array;
  /** Whom each was asked of; NOBODY = not asked yet, SELF = needs no answer (any more). */
  readonly asked: Uint8Array;
  count = 0;
  /** Decisions that lack an answer. */
  unanswered = 0;
  /** What questions and answers call it. */
  number = 0;
  /** Next to ask about. */
  askAt = 0;
  /** When it was begun, and when it was begun or asked about again: monotonic ms. */
  begunMs = 0;
  askedMs = 0;

  /** @param max decisions. */
  constructor(max: number) {
    this.max = max;
    this.words = new Uint32Array(max * MEMORY_WORDS);
    this.rows = new Uint32Array(max);
    this.asked = new Uint8Array(max);
  }

  /** @param words a decision in memory layout at words[at..]; copied. */
  add(words: Uint32Array, at: number, row: number): void {
    assert(this.count < this.max, "a batch is added to with room");
    const to = this.count * MEMORY_WORDS;
    for (let word = 0; word < MEMORY_WORDS; word++) this.words[to + word] = words[at + word]!;
    this.rows[this.count] = row;
    this.asked[this.count] = SELF;
    this.count++;
  }

  /** The decision is to be asked about. */
  lacksAnswer(index: number): void {
    if (this.asked[index] === SELF) this.unanswered++;
    this.asked[index] = NOBODY;
  }

  /** The decision needs no answer any more. */
  answered(index: number): void {
    if (this.asked[index] !== SELF) this.unanswered--;
    this.asked[index] = SELF;
  }

  /** Nothing is decided, and the log is told nothing. */
  makeVoid(index: number): void {
    this.answered(index);
    this.rows[index] = 0;
    this.words[index * MEMORY_WORDS + MEMORY_MASKS] = 0;
  }

  /** Leaves out what is void; nothing may lack an answer: places change. */
  compact(): void {
    assert(this.unanswered === 0, "places are kept while answers are missing");
    const before = this.count;
    this.count = 0;
    for (let index = 0; index < before; index++) {
      const row = this.rows[index]!;
      if (row !== 0) this.add(this.words, index * MEMORY_WORDS, row);
    }
  }

  clear(): void {
    this.count = 0;
    this.unanswered = 0;
    this.askAt = 0;
  }
}
