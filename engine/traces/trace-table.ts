// The owner's table of undecided traces: one row a trace, one link a part. Everything lies in three
// typed arrays sized once (rows, links, index), so that a row is 80 bytes + 8 of index, a link 16,
// and nothing is on the heap. Row 0 and link 0 do not exist: 0 is the empty marker. Numbers are
// given out from the bottom and reused last in, first out, so memory that was never needed is never
// touched.

import { assert } from "../base/assert.ts";
import { hashTraceId } from "../hash/trace-hash.ts";
import {
  PART_BITS_0, PART_BITS_1, PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_ID_0,
  PART_ID_1, PART_ID_2, PART_ID_3, PART_SPANS, PART_START_HIGH, PART_START_LOW,
} from "../part/part-layout.ts";
import { HashIndex, INDEX_NUMBERS_MAX } from "./hash-index.ts";
import {
  LINK_ENTRY, LINK_GENERATION, LINK_HOLDER_MAX, LINK_HOLDER_SHIFT, LINK_INDEX_MAX, LINK_NEXT,
  LINK_PLACE, LINK_WORDS, ROW_DEADLINE, ROW_LINK_FIRST, ROW_LINKS, ROW_WORDS,
} from "./row-layout.ts";

/** Rows a table can have: their numbers fit the index. */
export const ROWS_MAX = INDEX_NUMBERS_MAX;
/** Links a table can have: their word offsets stay small integers. */
export const LINKS_MAX = 2 ** 28 - 1;

const INDEX_LOAD = 0.5;
const U32_MAX = 0xffffffff;

export interface TraceTableOptions {
  /** Live traces at most; `insert` answers 0 beyond it. */
  readonly rowsMax: number;
  /** Parts of live traces at most; `link` answers false beyond it. */
  readonly linksMax: number;
  /** Secret of the process, so that nobody can choose ids that collide. */
  readonly seed: number;
}

/** Rows and links of one lane; only that lane touches it. */
export class TraceTable {
  readonly rowsMax: number;
  readonly linksMax: number;
  readonly seed: number;
  /** Row r is `words[r * ROW_WORDS ..]`, in row layout. */
  readonly words: Uint32Array;
  /** Link l is `linkWords[l * LINK_WORDS ..]`, in link layout. */
  readonly linkWords: Uint32Array;
  readonly index: HashIndex;
  rows = 0;
  links = 0;
  /** Highest row and link number ever given out; all above it are untouched. */
  rowsTouched = 0;
  linksTouched = 0;
  freeRow = 0;
  freeLink = 0;

  constructor(options: TraceTableOptions) {
    assert(Number.isInteger(options.rowsMax), "rowsMax is a whole number");
    assert(options.rowsMax >= 1, "a table has rows");
    assert(options.rowsMax <= ROWS_MAX, "rowsMax is within ROWS_MAX");
    assert(Number.isInteger(options.linksMax), "linksMax is a whole number");
    assert(options.linksMax >= 1, "a table has links");
    assert(options.linksMax <= LINKS_MAX, "linksMax is within LINKS_MAX");
    this.rowsMax = options.rowsMax;
    this.linksMax = options.linksMax;
    this.seed = options.seed >>> 0;
    this.words = new Uint32Array((options.rowsMax + 1) * ROW_WORDS);
    this.linkWords = new Uint32Array((options.linksMax + 1) * LINK_WORDS);
    this.index = new HashIndex(options.rowsMax, INDEX_LOAD);
  }

  /** Bytes that a table of this size reserves; they become resident as rows are used. */
  static bytesFor(rowsMax: number, linksMax: number): number {
    return (rowsMax + 1) * ROW_WORDS * 4 + (linksMax + 1) * LINK_WORDS * 4
      + HashIndex.bytesFor(rowsMax, INDEX_LOAD);
  }

  /** The row of the trace whose id is at `words[at..at+3]`, 0 = none. */
  find(words: Uint32Array, at: number): number {
    const own = this.words;
    const index = this.index;
    let row = index.first(hashTraceId(words, at, this.seed));
    while (row !== 0) {
      const rowAt = row * ROW_WORDS;
      if (own[rowAt + PART_ID_3] === words[at + 3] && own[rowAt + PART_ID_2] === words[at + 2]
        && own[rowAt + PART_ID_1] === words[at + 1] && own[rowAt] === words[at]) return row;
      row = index.next();
    }
    return 0;
  }

  /**
   * A new, empty row for a trace that has none; fold its first part into it.
   * @returns 0 when the table is full: the caller makes room (`TimerWheel.earliest`) and tries
   * again.
   */
  insert(words: Uint32Array, at: number): number {
    const own = this.words;
    const row = this.freeRow === 0 ? this.rowsTouched + 1 : this.freeRow;
    if (row > this.rowsMax) return 0;
    if (!this.index.insert(hashTraceId(words, at, this.seed), row)) return 0;
    const rowAt = row * ROW_WORDS;
    if (this.freeRow === 0) this.rowsTouched = row;
    else this.freeRow = own[rowAt + ROW_LINK_FIRST]!;
    own[rowAt + PART_ID_0] = words[at]!;
    own[rowAt + PART_ID_1] = words[at + 1]!;
    own[rowAt + PART_ID_2] = words[at + 2]!;
    own[rowAt + PART_ID_3] = words[at + 3]!;
    for (let word = PART_START_HIGH; word < ROW_WORDS; word++) own[rowAt + word] = 0;
    this.rows++;
    assert(this.isLive(row), "a trace id is never all zero");
    return row;
  }

  /** Folds the part at `words[at..]` in: OR of bits, min and max of times, saturating sums. */
  fold(row: number, words: Uint32Array, at: number): void {
    const own = this.words;
    const rowAt = row * ROW_WORDS;
    const startHigh = words[at + PART_START_HIGH]!;
    const startLow = words[at + PART_START_LOW]!;
    if (startHigh !== 0 || startLow !== 0) { // 0 is an unset start, not 1970
      const high = own[rowAt + PART_START_HIGH]!;
      const low = own[rowAt + PART_START_LOW]!;
      if ((high === 0 && low === 0) || startHigh < high || (startHigh === high && startLow < low)) {
        own[rowAt + PART_START_HIGH] = startHigh;
        own[rowAt + PART_START_LOW] = startLow;
      }
    }
    const endHigh = words[at + PART_END_HIGH]!;
    const endLow = words[at + PART_END_LOW]!;
    const high = own[rowAt + PART_END_HIGH]!;
    if (endHigh > high || (endHigh === high && endLow > own[rowAt + PART_END_LOW]!)) {
      own[rowAt + PART_END_HIGH] = endHigh;
      own[rowAt + PART_END_LOW] = endLow;
    }
    own[rowAt + PART_BITS_0] = own[rowAt + PART_BITS_0]! | words[at + PART_BITS_0]!;
    own[rowAt + PART_BITS_1] = own[rowAt + PART_BITS_1]! | words[at + PART_BITS_1]!;
    own[rowAt + PART_FLAGS] = own[rowAt + PART_FLAGS]! | words[at + PART_FLAGS]!;
    const spans = own[rowAt + PART_SPANS]! + words[at + PART_SPANS]!;
    own[rowAt + PART_SPANS] = spans > U32_MAX ? U32_MAX : spans;
    const bytes = own[rowAt + PART_BYTES]! + words[at + PART_BYTES]!;
    own[rowAt + PART_BYTES] = bytes > U32_MAX ? U32_MAX : bytes;
  }

  /** Notes where a part of the row's trace lies. False when links are used up: not noted then. */
  link(row: number, generation: number, entry: number, index: number, holder: number): boolean {
    assert(index <= LINK_INDEX_MAX, "a part's index fits its link");
    assert(holder <= LINK_HOLDER_MAX, "a holder's lane fits its link");
    const links = this.linkWords;
    let link = this.freeLink;
    if (link === 0) {
      if (this.linksTouched === this.linksMax) return false;
      link = ++this.linksTouched;
    } else {
      this.freeLink = links[link * LINK_WORDS + LINK_NEXT]!;
    }
    const linkAt = link * LINK_WORDS;
    const rowAt = row * ROW_WORDS;
    links[linkAt + LINK_NEXT] = this.words[rowAt + ROW_LINK_FIRST]!;
    links[linkAt + LINK_PLACE] = (holder << LINK_HOLDER_SHIFT) | index;
    links[linkAt + LINK_GENERATION] = generation;
    links[linkAt + LINK_ENTRY] = entry;
    this.words[rowAt + ROW_LINK_FIRST] = link;
    this.words[rowAt + ROW_LINKS] = this.words[rowAt + ROW_LINKS]! + 1;
    this.links++;
    return true;
  }

  /** Whether the row already has this part: asked only for parts that a holder sends again. */
  hasLink(row: number, generation: number, entry: number, index: number, holder: number): boolean {
    const links = this.linkWords;
    const place = ((holder << LINK_HOLDER_SHIFT) | index) >>> 0;
    for (let link = this.firstLink(row); link !== 0; link = links[link * LINK_WORDS + LINK_NEXT]!) {
      const linkAt = link * LINK_WORDS;
      if (links[linkAt + LINK_ENTRY] === entry && links[linkAt + LINK_PLACE] === place
        && links[linkAt + LINK_GENERATION] === generation) return true;
    }
    return false;
  }

  /** The row's newest link, 0 = none. */
  firstLink(row: number): number {
    return this.words[row * ROW_WORDS + ROW_LINK_FIRST]!;
  }

  /** The link noted before this one, 0 = none. */
  nextLink(link: number): number {
    return this.linkWords[link * LINK_WORDS + LINK_NEXT]!;
  }

  /** Frees the row and its links. Its timer must be cancelled or expired. */
  remove(row: number): void {
    const own = this.words;
    const rowAt = row * ROW_WORDS;
    assert(this.isLive(row), "only a row in use is removed");
    assert(own[rowAt + ROW_DEADLINE] === 0, "a row leaves the timer wheel before the table");
    this.index.remove(hashTraceId(own, rowAt, this.seed), row);
    this.freeLinks(own[rowAt + ROW_LINK_FIRST]!, own[rowAt + ROW_LINKS]!);
    own[rowAt + PART_ID_0] = 0;
    own[rowAt + PART_ID_1] = 0;
    own[rowAt + PART_ID_2] = 0;
    own[rowAt + PART_ID_3] = 0;
    own[rowAt + ROW_LINK_FIRST] = this.freeRow;
    this.freeRow = row;
    this.rows--;
  }

  /** Puts a whole chain in front of the free links: one write, after a walk to its last link. */
  freeLinks(first: number, count: number): void {
    if (first === 0) return;
    const links = this.linkWords;
    let last = first;
    let walked = 1;
    for (let link = links[first * LINK_WORDS]!; link !== 0; link = links[link * LINK_WORDS]!) {
      last = link;
      walked++;
      assert(walked <= count, "a chain is as long as its row says");
    }
    assert(walked === count, "a chain is as long as its row says");
    links[last * LINK_WORDS + LINK_NEXT] = this.freeLink;
    this.freeLink = first;
    this.links -= count;
  }

  /** Rows in use in ascending order, for walks over everything: pass 0 to begin; 0 = no more. */
  nextRow(row: number): number {
    for (let next = row + 1; next <= this.rowsTouched; next++) if (this.isLive(next)) return next;
    return 0;
  }

  isLive(row: number): boolean {
    assert(row >= 1, "row 0 is the empty marker");
    assert(row <= this.rowsTouched, "a row was given out");
    const own = this.words;
    const at = row * ROW_WORDS;
    return (own[at]! | own[at + PART_ID_1]! | own[at + PART_ID_2]! | own[at + PART_ID_3]!) !== 0;
  }

  /** Bytes reserved by all arrays; what is resident follows `rowsTouched` and `linksTouched`. */
  bytes(): number {
    return this.words.byteLength + this.linkWords.byteLength + this.index.bytes();
  }
}
