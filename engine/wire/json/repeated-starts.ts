// How the members of a list began last time, place by place: spans of a service have the same tags
// in the same order, so the n-th one's start, its name and whatever stands around it up to the
// value, is compared with the n-th start before it, and only read where that fails. Texts are where
// they lie in the payload, so everything is forgotten with it.
//
// To compare values too was no gain: it made spans that repeat them 8 % faster and those that do
// not 14 % slower (native-bench/scan.bench.ts).
//
// Place: [0] start at | [1] its bytes, 0 = not known | [2] key in the matcher or -1 | [3] kind

import { isSameText } from "./text.ts";

/** Places that are remembered; members after them are read. */
const PLACES_MAX = 64;
/** Shortest text that can be compared. */
const SIZE_MIN = 4;

const START_AT = 0;
const START_BYTES = 1;
const START_KEY = 2;
const START_KIND = 3;
const START_WORDS = 4;

/** Starts of one kind of list. One thread. */
export class RepeatedStarts {
  readonly words: Int32Array;
  /** The matcher's number of the name that match() found, or -1. */
  key: number;
  /** What the scanner needs to know of it besides. */
  kind: number;

  constructor() {
    this.words = new Int32Array(PLACES_MAX * START_WORDS);
    this.key = -1;
    this.kind = 0;
  }

  /** Forgets the payload. */
  forget(): void {
    this.words.fill(0);
  }

  /** Size of the start at `at` when it is the one known for the place; else 0. */
  match(view: DataView, at: number, end: number, place: number): number {
    if (place >= PLACES_MAX) return 0;
    const words = this.words;
    const word = place * START_WORDS;
    const size = words[word + START_BYTES]!;
    if (size === 0 || size > end - at) return 0;
    if (!isSameText(view, at, view, words[word + START_AT]!, size)) return 0;
    this.key = words[word + START_KEY]!;
    this.kind = words[word + START_KIND]!;
    return size;
  }

  /** Remembers the start of `size` bytes at `at`, which was read; `key` and `kind` are its own. */
  remember(place: number, at: number, size: number, key: number, kind: number): void {
    this.key = key;
    this.kind = kind;
    if (place >= PLACES_MAX || size < SIZE_MIN) return;
    const word = place * START_WORDS;
    this.words[word + START_AT] = at;
    this.words[word + START_BYTES] = size;
    this.words[word + START_KEY] = key;
    this.words[word + START_KIND] = kind;
  }
}
