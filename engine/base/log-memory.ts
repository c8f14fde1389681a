// What the threads that write one log share. Words of 32 bits:
//
//   [0] lock      0 free, 1 held
//   [1] torn      1: the last write left a piece of a line behind; the next one ends it first
//   [2] told      second of the wall clock at which standard error was last told, 0: never
//   [3] lost      lines lost that no line has told of yet
//   [4] lost      lines lost in all
//   [5] suppressed  lines not written because their message came too often, in all

import { assert } from "./assert.ts";

const LOCK = 0;
const TORN = 1;
const TOLD = 2;
const LOST_UNTOLD = 3;
const LOST = 4;
const SUPPRESSED = 5;
const WORDS = 6;
/** Longest sleep for the lock: who holds it wakes one sleeper, and this is the belt to it. */
const NAP_MS = 20;

/** Memory for one log of one process. */
export function createLogMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
}

/** Written by every thread that logs. */
export class LogMemory {
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    assert(this.#words.length === WORDS, "the memory is that of a log");
  }

  /** @returns false when another thread held the lock for all of this time. */
  take(withinMs: number): boolean {
    if (this.#tryTake()) return true;
    const untilMs = performance.now() + withinMs;
    while (performance.now() < untilMs) {
      Atomics.wait(this.#words, LOCK, 1, NAP_MS);
      if (this.#tryTake()) return true;
    }
    return false;
  }

  release(): void {
    const held = Atomics.exchange(this.#words, LOCK, 0);
    assert(held === 1, "who releases the lock holds it");
    Atomics.notify(this.#words, LOCK, 1);
  }

  #tryTake(): boolean {
    return Atomics.compareExchange(this.#words, LOCK, 0, 1) === 0;
  }

  get torn(): boolean {
    return Atomics.load(this.#words, TORN) === 1;
  }

  set torn(torn: boolean) {
    Atomics.store(this.#words, TORN, torn ? 1 : 0);
  }

  /** Counts a line that was not written. */
  countLost(): void {
    Atomics.add(this.#words, LOST_UNTOLD, 1);
    Atomics.add(this.#words, LOST, 1);
  }

  /** True for who may tell standard error now: one thread, once in a time. */
  mayTell(wallMs: number, everyMs: number): boolean {
    const now = Math.floor(wallMs / 1_000) | 0;
    const told = Atomics.load(this.#words, TOLD);
    // A wall clock that was set back does not silence it.
    if (told !== 0 && now >= told && now - told < everyMs / 1_000) return false;
    return Atomics.compareExchange(this.#words, TOLD, told, now) === told;
  }

  /** Lines lost that are to be told of now; whoever takes the number tells it. */
  takeLost(): number {
    if (Atomics.load(this.#words, LOST_UNTOLD) === 0) return 0;
    return Atomics.exchange(this.#words, LOST_UNTOLD, 0);
  }

  /** The line that was to tell of them was lost as well. */
  giveBackLost(lines: number): void {
    Atomics.add(this.#words, LOST_UNTOLD, lines);
  }

  countSuppressed(): void {
    Atomics.add(this.#words, SUPPRESSED, 1);
  }

  /** Totals of all threads, for metrics. */
  totals(): { readonly lost: number; readonly suppressed: number } {
    return {
      lost: Atomics.load(this.#words, LOST) >>> 0,
      suppressed: Atomics.load(this.#words, SUPPRESSED) >>> 0,
    };
  }
}
