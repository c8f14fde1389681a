// How many rows and links an owner's table may have in use, and which rows it gives up when it has
// more: by parts when links are short, else by bytes.

import { HeavyRows } from "../traces/heavy-rows.ts";
import { PART_BYTES } from "../part/part-layout.ts";
import { ROW_LINKS } from "../traces/row-layout.ts";
import type { TraceTable } from "../traces/trace-table.ts";

/** A table this full makes its heaviest traces decide early. */
const FULL_SHARE = 0.98;
/** And this is what they make of it. */
const EASED_SHARE = 0.96;
/** A table that may not grow keeps room for this many rows, and links. */
const HELD_MIN = 1024;

/** Written by its lane only. */
export class TableBounds {
  readonly #table: TraceTable;
  readonly #heavy: HeavyRows;
  /** Rows and links that may be in use: less than the table has while memory is short. */
  #rowsBound: number;
  #linksBound: number;
  #held = false;

  constructor(table: TraceTable) {
    this.#table = table;
    this.#heavy = new HeavyRows(table);
    this.#rowsBound = table.rowsMax;
    this.#linksBound = table.linksMax;
  }

  /** True when traces must decide before their time to make room. */
  get crowded(): boolean {
    return this.#table.rows >= this.#rowsBound * FULL_SHARE
      || this.#table.links >= this.#linksBound * FULL_SHARE;
  }

  /** While held, the table lives in the memory that it has touched so far. */
  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    const { rowsMax, linksMax, rowsTouched, linksTouched } = this.#table;
    this.#rowsBound = held ? Math.min(rowsMax, Math.max(rowsTouched, HELD_MIN)) : rowsMax;
    this.#linksBound = held ? Math.min(linksMax, Math.max(linksTouched, HELD_MIN)) : linksMax;
  }

  /**
   * A row that a crowded table gives up: by parts when links are short, else by bytes.
   * @param links that will be in use when the batch is sent.
   * @param judged rows that go with it.
   * @param nowLow of the lane's clock.
   * @returns 0 when there is room.
   */
  heaviest(links: number, judged: number, nowLow: number): number {
    if (links > this.#linksBound * EASED_SHARE) return this.#heavy.next(ROW_LINKS, nowLow);
    if (this.#table.rows - judged <= this.#rowsBound * EASED_SHARE) return 0;
    return this.#heavy.next(PART_BYTES, nowLow);
  }
}
