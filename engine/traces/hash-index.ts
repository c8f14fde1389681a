// From a hash to the numbers (rows, entries) stored under it: open addressing with linear walks
// over one Uint32Array. The index does not know the keys: a seek yields candidates, the caller
// compares.
//
// slot, u32: 0 = empty, else check << numberBits | number, numbers 1..numbersMax
// check:     low WALK_BITS of the home slot | above them, as many low bits of the hash as are left
//
// The home's low bits say how far an entry lies from its home, so an entry can be moved back on
// removal without looking at its key: removal leaves no tombstones and touches nothing but the
// index. They also filter candidates: every one has exactly the sought home.
//
// Hashes are taken as u32 or as i32, whichever the caller has: an i32 is never boxed when it is
// passed to a function that was not inlined.
//
// Walks end after WALK_SLOTS slots whatever the load and the keys. The table has that many slots
// beyond the last home, so walks do not wrap, and the slot after the last reachable one stays
// empty.

import { assert } from "../base/assert.ts";

const WALK_BITS = 8;
const WALK_SLOTS = 1 << WALK_BITS;
const WALK_MASK = WALK_SLOTS - 1;

/** Most numbers an index can have: WALK_BITS of every slot are taken. */
export const INDEX_NUMBERS_MAX = 2 ** (32 - WALK_BITS) - 1;

/** Index of one table; the table's thread alone uses it. */
export class HashIndex {
  readonly slots: Uint32Array;
  count = 0;
  readonly numberBits: number;
  readonly numberMask: number;
  readonly hashMask: number;
  /** Homes a unit of hash: home = hash × scale, rounded down. */
  readonly scale: number;
  seekAt = 0;
  seekEnd = 0;
  seekCheck = 0;

  /**
   * @param numbersMax numbers are 1..numbersMax, each stored at most once.
   * @param load share of slots used when all numbers are in: at 0.5 a walk has 2.5 slots on average
   * and
   *   reaches the bound never, at 0.7 it has 6 and reaches it once in two million inserts.
   */
  constructor(numbersMax: number, load: number) {
    assert(Number.isInteger(numbersMax), "an index holds a whole number of numbers");
    assert(numbersMax >= 1, "an index holds something");
    assert(numbersMax <= INDEX_NUMBERS_MAX, "a number fits its slot");
    assert(load > 0, "load is positive");
    assert(load <= 0.75, "walks stay short");
    const homes = Math.ceil(numbersMax / load);
    this.numberBits = 32 - Math.clz32(numbersMax);
    this.numberMask = 2 ** this.numberBits - 1;
    this.hashMask = 2 ** (32 - this.numberBits - WALK_BITS) - 1;
    this.scale = homes / 2 ** 32;
    this.slots = new Uint32Array(homes + WALK_SLOTS);
  }

  /** Bytes of memory an index takes; what the constructor would allocate. */
  static bytesFor(numbersMax: number, load: number): number {
    return (Math.ceil(numbersMax / load) + WALK_SLOTS) * 4;
  }

  /** First number that may be stored under this hash, 0 = none. Starts the only seek there is. */
  first(hash: number): number {
    const home = ((hash >>> 0) * this.scale) >>> 0;
    this.seekCheck = this.checkOf(hash, home);
    this.seekAt = home;
    this.seekEnd = home + WALK_SLOTS;
    return this.next();
  }

  /** The next candidate of the seek begun by `first`, 0 = none. */
  next(): number {
    const slots = this.slots;
    const check = this.seekCheck;
    const bits = this.numberBits;
    const end = this.seekEnd;
    for (let at = this.seekAt; at < end; at++) {
      const slot = slots[at]!;
      if (slot === 0) break;
      if (slot >>> bits === check) {
        this.seekAt = at + 1;
        return slot & this.numberMask;
      }
    }
    this.seekAt = end;
    return 0;
  }

  /** Stores a number that is not stored yet. False when the walk found no empty slot. */
  insert(hash: number, number: number): boolean {
    assert(number >= 1, "0 is the empty marker");
    assert(number <= this.numberMask, "a number fits its slot");
    const home = ((hash >>> 0) * this.scale) >>> 0;
    const slots = this.slots;
    const end = home + WALK_SLOTS;
    for (let at = home; at < end; at++) {
      if (slots[at] !== 0) continue;
      slots[at] = (this.checkOf(hash, home) << this.numberBits) | number;
      this.count++;
      return true;
    }
    return false;
  }

  /** Takes a stored number out and closes the gap. */
  remove(hash: number, number: number): void {
    const home = ((hash >>> 0) * this.scale) >>> 0;
    const slots = this.slots;
    const mask = this.numberMask;
    const end = home + WALK_SLOTS;
    let at = home;
    while (at < end && (slots[at]! & mask) !== number) at++;
    assert(at < end, "only a stored number is removed");
    this.closeGap(at);
    this.count--;
  }

  /** Moves entries back over the gap until none behind it is away from home because of it. */
  closeGap(gap: number): void {
    const slots = this.slots;
    const bits = this.numberBits;
    let hole = gap;
    // An entry WALK_SLOTS or more behind the hole has its home behind the hole too.
    for (let at = gap + 1; at - hole < WALK_SLOTS; at++) {
      const slot = slots[at]!;
      if (slot === 0) break;
      const away = (at - (slot >>> bits)) & WALK_MASK;
      if (at - away > hole) continue;
      slots[hole] = slot;
      hole = at;
    }
    slots[hole] = 0;
  }

  checkOf(hash: number, home: number): number {
    return ((hash & this.hashMask) << WALK_BITS) | (home & WALK_MASK);
  }

  bytes(): number {
    return this.slots.byteLength;
  }
}
