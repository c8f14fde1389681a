// Collects u32 words into values of the log: when the next words do not fit, what is there goes
// out.

import { assert } from "../base/assert.ts";

const WORDS_FIRST = 1024;

/** Takes a full batch: words[0, count), borrowed until return. */
export type WordSink = (words: Uint32Array, count: number) => void;

/** Reused buffer of words; grows by doubling up to wordsMax. One thread. */
export class WordWriter {
  words: Uint32Array;
  count: number;
  readonly wordsMax: number;
  readonly sink: WordSink;

  constructor(wordsMax: number, sink: WordSink) {
    this.words = new Uint32Array(Math.min(WORDS_FIRST, wordsMax));
    this.count = 0;
    this.wordsMax = wordsMax;
    this.sink = sink;
  }

  /** Room for `words` neighbours; fill all of them. @returns where they start in `words`. */
  reserve(words: number): number {
    assert(words <= this.wordsMax, "neighbouring words fit one value");
    if (this.count + words > this.wordsMax) this.flush();
    const at = this.count;
    const end = at + words;
    if (end > this.words.length) {
      const capacity = Math.min(this.wordsMax, Math.max(end, this.words.length * 2));
      const larger = new Uint32Array(capacity);
      larger.set(this.words);
      this.words = larger;
    }
    this.count = end;
    return at;
  }

  /** Hands out what was collected. */
  flush(): void {
    const count = this.count;
    this.count = 0;
    if (count > 0) this.sink(this.words, count);
  }

  /** Drops what was collected. */
  clear(): void {
    this.count = 0;
  }
}
