// How the lanes learn other nodes' policy sets: one text at a time lies in memory that all threads
// share, and the next is put there when every lane has said that it has this one.
//
//   word 0  offers, wraps: raised when the text is there
//   word 1  number of the set | 2 bytes of the text
//   WORDS_OF_LANES + lane: the last offer that the lane has compiled
//   TEXT_AT: the text, UTF-8
//
// The coordinator writes everything but the words of a lane.

import { assert } from "../base/assert.ts";
import { POLICY_SET_BYTES_MAX } from "./policy-set-store.ts";

const OFFERS = 0;
const NUMBER = 1;
const TEXT_BYTES = 2;
const WORDS_OF_LANES = 8;
const LANES = 64;
const TEXT_AT = (WORDS_OF_LANES + LANES) * 4;

/** Bytes of a board. */
export const BOARD_BYTES = TEXT_AT + POLICY_SET_BYTES_MAX;

/** A set as it is offered; its number never gets a second meaning in this process. */
export interface OfferedSet {
  readonly number: number;
  readonly text: string;
}

/** One thread's view of the board. */
export class PolicySetBoard {
  readonly #words: Int32Array;
  readonly #text: Uint8Array;

  /** @param memory the board is its end. */
  constructor(memory: SharedArrayBuffer) {
    const at = memory.byteLength - BOARD_BYTES;
    assert(at >= 0, "a board has its memory");
    this.#words = new Int32Array(memory, at, TEXT_AT >>> 2);
    this.#text = new Uint8Array(memory, at + TEXT_AT, POLICY_SET_BYTES_MAX);
  }

  /** Number of the last offer; 0 before the first. */
  get offers(): number {
    return Atomics.load(this.#words, OFFERS);
  }

  /** Coordinator: offers a set, when all lanes have the last one. */
  offer({ number, text }: OfferedSet): void {
    const bytes = Buffer.from(text, "utf8");
    assert(bytes.length <= this.#text.length, "a published set fits");
    this.#text.set(bytes);
    this.#words[NUMBER] = number;
    this.#words[TEXT_BYTES] = bytes.length;
    Atomics.add(this.#words, OFFERS, 1);
  }

  /** Coordinator: true when all lanes have what was offered. */
  isTaken(lanes: number): boolean {
    const { offers } = this;
    for (let lane = 0; lane < lanes; lane++) {
      if (Atomics.load(this.#words, WORDS_OF_LANES + lane) !== offers) return false;
    }
    return true;
  }

  /** Lane: what is offered now. It stays until every lane has said `took`. */
  read(): OfferedSet {
    const bytes = this.#text.slice(0, this.#words[TEXT_BYTES]); // no decoder takes shared memory
    return { number: this.#words[NUMBER]!, text: new TextDecoder().decode(bytes) };
  }

  /** Lane: it has compiled this offer. */
  took(lane: number, offer: number): void {
    Atomics.store(this.#words, WORDS_OF_LANES + lane, offer);
  }
}
