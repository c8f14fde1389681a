// One producer thread, one consumer thread, fixed slots of u32 words in a SharedArrayBuffer: parts,
// decisions, completions, acknowledgements.
//
//   producer: reserve, fill, publish (staged, invisible) … flush (visible, then wake the consumer)
//   consumer: peek, use, release (staged) … flush (free for the producer)
//
// Both ends cache the other's sequence and look at the shared word again only when the cache says
// "full" or "empty". Invariant: 0 ≤ published − released ≤ slots. Sequences count slots and wrap.

import { assert } from "../base/assert.ts";
import {
  RING_BYTES_MAX, RING_CAPACITY, RING_CONTROL_BYTES, RING_CONTROL_WORDS, RING_PUBLISHED,
  RING_RELEASED, RING_SLOT_WORDS, isPowerOfTwo,
} from "./ring-layout.ts";

const PUBLISHED = RING_PUBLISHED;
const RELEASED = RING_RELEASED;

/**
 * Memory of one slot ring.
 * @param slots a power of two.
 * @param slotWords u32 words of a slot, at least 1.
 * @param firstSequence where the sequences start; tests start near the wrap.
 */
export function createSlotRing(
  slots: number, slotWords: number, firstSequence = 0,
): SharedArrayBuffer {
  assert(isPowerOfTwo(slots), "slots of a slot ring are a power of two");
  assert(Number.isInteger(slotWords), "a slot has whole words");
  assert(slotWords > 0, "a slot has words");
  assert(slots * slotWords * 4 <= RING_BYTES_MAX, "a slot ring has at most RING_BYTES_MAX");
  const memory = new SharedArrayBuffer(RING_CONTROL_BYTES + slots * slotWords * 4);
  const control = new Int32Array(memory, 0, RING_CONTROL_WORDS);
  control[RING_CAPACITY] = slots;
  control[RING_SLOT_WORDS] = slotWords;
  control[PUBLISHED] = firstSequence;
  control[RELEASED] = firstSequence;
  return memory;
}

/** The writing end. One thread owns it; a ring has one. */
export class SlotRingProducer {
  /** All slots; `reserve` gives the word where one starts. */
  readonly words: Uint32Array;
  readonly slots: number;
  readonly slotWords: number;
  private readonly control: Int32Array;
  private readonly mask: number;
  private staged: number;
  private published: number;
  private releasedSeen: number;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, RING_CONTROL_WORDS);
    this.slots = this.control[RING_CAPACITY]!;
    this.slotWords = this.control[RING_SLOT_WORDS]!;
    assert(this.slotWords > 0, "memory of a slot ring");
    this.words = new Uint32Array(memory, RING_CONTROL_BYTES, this.slots * this.slotWords);
    this.mask = this.slots - 1;
    this.published = Atomics.load(this.control, PUBLISHED);
    this.staged = this.published;
    this.releasedSeen = Atomics.load(this.control, RELEASED);
  }

  /** Slots that `reserve` can still give; staged ones are taken. Looks at the shared word. */
  free(): number {
    this.releasedSeen = Atomics.load(this.control, RELEASED);
    return this.slots - ((this.staged - this.releasedSeen) >>> 0);
  }

  /** First word of the next slot, or -1 when the ring is full. The same slot until `publish`. */
  reserve(): number {
    if ((this.staged - this.releasedSeen) >>> 0 === this.slots && this.free() === 0) return -1;
    return (this.staged & this.mask) * this.slotWords;
  }

  /** Stages the reserved slot; the consumer sees it after `flush`. */
  publish(): void {
    this.staged = (this.staged + 1) | 0;
    assert((this.staged - this.releasedSeen) >>> 0 <= this.slots, "published without room");
  }

  /** Forgets staged slots: they were never published. */
  discard(): void {
    this.staged = this.published;
  }

  /** Makes staged slots visible. True when there were any: then wake the consumer. */
  flush(): boolean {
    if (this.staged === this.published) return false;
    this.published = this.staged;
    Atomics.store(this.control, PUBLISHED, this.published);
    return true;
  }
}

/** The reading end. One thread owns it; a ring has one. */
export class SlotRingConsumer {
  /** All slots; `peek` gives the word where one starts. Borrowed until released and flushed. */
  readonly words: Uint32Array;
  readonly slots: number;
  readonly slotWords: number;
  private readonly control: Int32Array;
  private readonly mask: number;
  private position: number;
  private released: number;
  private publishedSeen: number;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, RING_CONTROL_WORDS);
    this.slots = this.control[RING_CAPACITY]!;
    this.slotWords = this.control[RING_SLOT_WORDS]!;
    assert(this.slotWords > 0, "memory of a slot ring");
    this.words = new Uint32Array(memory, RING_CONTROL_BYTES, this.slots * this.slotWords);
    this.mask = this.slots - 1;
    this.released = Atomics.load(this.control, RELEASED);
    this.position = this.released;
    this.publishedSeen = this.released;
  }

  /** First word of the next slot, or -1 when the ring is empty; does not consume it. */
  peek(): number {
    if (this.position === this.publishedSeen && this.waiting() === 0) return -1;
    return (this.position & this.mask) * this.slotWords;
  }

  /** Steps over the peeked slot; the producer may reuse it after `flush`. */
  release(): void {
    assert(this.position !== this.publishedSeen, "released without a peeked slot");
    this.position = (this.position + 1) | 0;
  }

  /** Gives released slots back. True when there were any: a waiting producer may go on. */
  flush(): boolean {
    if (this.position === this.released) return false;
    this.released = this.position;
    Atomics.store(this.control, RELEASED, this.released);
    return true;
  }

  /** Slots published and not stepped over. Looks at the shared word. */
  waiting(): number {
    this.publishedSeen = Atomics.load(this.control, PUBLISHED);
    const waiting = (this.publishedSeen - this.position) >>> 0;
    assert(waiting <= this.slots, "slot ring overrun");
    return waiting;
  }
}
