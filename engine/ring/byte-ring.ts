// One producer thread, one consumer thread, messages of any size in a SharedArrayBuffer.
//
//        released          published
//           ▼                  ▼
//   ┌───────┬────────┬────────┬┬──────────┬──────┐
//   │ free  │ held   │ waiting ││   free   │ skip │   a message never wraps: the rest of the
//   └───────┴────────┴────────┴┴──────────┴──────┘   data region is skipped instead
//
// held = advanced over by the consumer and not yet released, because nothing that depends on it is
// committed. Invariant: 0 ≤ published − released ≤ capacity.
//
// When the ring is empty the producer starts again at data offset 0 by moving `base` to the present
// sequence. So a ring under light load touches its first pages only and the rest never becomes
// resident. The consumer cannot see `base` change under it: the producer moves it only while
// released = published, and the consumer reads it only after it saw a newer `published`.

import { assert } from "../base/assert.ts";
import {
  MESSAGE_ALIGN_BYTES, MESSAGE_HEADER_BYTES, MESSAGE_SKIP, RING_BASE, RING_BYTES_MAX,
  RING_CAPACITY, RING_CONTROL_BYTES, RING_CONTROL_WORDS, RING_PUBLISHED, RING_RELEASED,
  RING_SLOT_WORDS, isPowerOfTwo,
} from "./ring-layout.ts";

const PUBLISHED = RING_PUBLISHED;
const RELEASED = RING_RELEASED;
const BASE = RING_BASE;
const HEADER_BYTES = MESSAGE_HEADER_BYTES;
const ALIGN_MASK = MESSAGE_ALIGN_BYTES - 1;
const SKIP = MESSAGE_SKIP;
const CAPACITY_BYTES_MIN = 64;

/**
 * Memory of one byte ring. Pages are not resident until they are first written.
 * @param capacityBytes bytes of the data region: a power of two, 64 to RING_BYTES_MAX.
 * @param firstSequence where the sequences start; tests start near the wrap.
 */
export function createByteRing(capacityBytes: number, firstSequence = 0): SharedArrayBuffer {
  assert(isPowerOfTwo(capacityBytes), "capacity of a byte ring is a power of two");
  assert(capacityBytes >= CAPACITY_BYTES_MIN, "a byte ring has at least 64 bytes");
  assert(capacityBytes <= RING_BYTES_MAX, "a byte ring has at most RING_BYTES_MAX");
  assert((firstSequence & ALIGN_MASK) === 0, "sequences of a byte ring are aligned");
  const memory = new SharedArrayBuffer(RING_CONTROL_BYTES + capacityBytes);
  const control = new Int32Array(memory, 0, RING_CONTROL_WORDS);
  control[RING_CAPACITY] = capacityBytes;
  control[RING_SLOT_WORDS] = 0;
  control[PUBLISHED] = firstSequence;
  control[BASE] = firstSequence;
  control[RELEASED] = firstSequence;
  return memory;
}

/** Largest message that a ring of this capacity takes: it fits whatever else the ring has held. */
export function messageBytesMax(capacityBytes: number): number {
  return capacityBytes / 2 - HEADER_BYTES;
}

/** The writing end. One thread owns it; a ring has one. */
export class ByteRingProducer {
  /** The data region as bytes; offsets of `reserve` are into it. */
  readonly bytes: Buffer;
  /** The data region as u32 words: message offset >>> 2 is its first word. */
  readonly words: Uint32Array;
  readonly capacityBytes: number;
  /** Larger messages are refused whatever room there is. */
  readonly messageBytesMax: number;
  private readonly control: Int32Array;
  private readonly headers: Int32Array;
  private readonly mask: number;
  private published: number;
  private base: number;
  private releasedSeen: number;
  /** Sequence of the reserved message's header; published itself when nothing is skipped. */
  private reservedSequence: number;
  private reservedBytes: number;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, RING_CONTROL_WORDS);
    assert(this.control[RING_SLOT_WORDS] === 0, "memory of a byte ring");
    this.capacityBytes = this.control[RING_CAPACITY]!;
    this.messageBytesMax = messageBytesMax(this.capacityBytes);
    this.bytes = Buffer.from(memory, RING_CONTROL_BYTES, this.capacityBytes);
    this.words = new Uint32Array(memory, RING_CONTROL_BYTES, this.capacityBytes >>> 2);
    this.headers = new Int32Array(memory, RING_CONTROL_BYTES, this.capacityBytes >>> 2);
    this.mask = this.capacityBytes - 1;
    this.published = Atomics.load(this.control, PUBLISHED);
    this.base = Atomics.load(this.control, BASE);
    this.releasedSeen = Atomics.load(this.control, RELEASED);
    this.reservedSequence = this.published;
    this.reservedBytes = -1;
  }

  /**
   * Room for one message, contiguous and 8-byte aligned.
   * @returns its byte offset in `bytes`, valid until `publish` or the next `reserve`, which
   * replaces it; -1 when the ring is full or the message larger than `messageBytesMax`.
   */
  reserve(messageBytes: number): number {
    assert(messageBytes >= 0, "a message has no negative size");
    this.reservedBytes = -1;
    if (messageBytes > this.messageBytesMax) return -1;
    const needed = HEADER_BYTES + ((messageBytes + ALIGN_MASK) & ~ALIGN_MASK);
    this.releasedSeen = Atomics.load(this.control, RELEASED);
    if (this.releasedSeen === this.published) this.base = this.published;
    let sequence = this.published;
    let offset = ((sequence - this.base) | 0) & this.mask;
    if (offset + needed > this.capacityBytes) {
      sequence = (sequence + this.capacityBytes - offset) | 0;
      offset = 0;
    }
    const usedAfter = (sequence + needed - this.releasedSeen) >>> 0;
    if (usedAfter > this.capacityBytes) return -1;
    this.reservedSequence = sequence;
    this.reservedBytes = messageBytes;
    return offset + HEADER_BYTES;
  }

  /**
   * Hands the reserved message to the consumer; wake it afterwards.
   * @param messageBytes its final size, at most what was reserved.
   */
  publish(messageBytes: number): void {
    assert(messageBytes >= 0, "a message has no negative size");
    assert(messageBytes <= this.reservedBytes, "published more than reserved, or nothing reserved");
    const sequence = this.reservedSequence;
    if (sequence !== this.published) {
      const skipAt = (((this.published - this.base) | 0) & this.mask) >>> 2;
      this.headers[skipAt] = SKIP;
      this.headers[skipAt + 1] = this.published;
    }
    const headerAt = (((sequence - this.base) | 0) & this.mask) >>> 2;
    this.headers[headerAt] = messageBytes;
    this.headers[headerAt + 1] = sequence;
    const taken = HEADER_BYTES + ((messageBytes + ALIGN_MASK) & ~ALIGN_MASK);
    this.published = (sequence + taken) | 0;
    this.reservedBytes = -1;
    assert(
      (this.published - this.releasedSeen) >>> 0 <= this.capacityBytes, "byte ring overrun",
    );
    Atomics.store(this.control, BASE, this.base);
    Atomics.store(this.control, PUBLISHED, this.published);
  }

  /** Bytes that are published and not released, headers and skipped ends included. */
  usedBytes(): number {
    return (this.published - Atomics.load(this.control, RELEASED)) >>> 0;
  }
}

/** The reading end. One thread owns it; a ring has one. */
export class ByteRingConsumer {
  /** The data region as bytes; offsets of `peek` are into it. Borrowed until released. */
  readonly bytes: Buffer;
  /** The data region as u32 words: message offset >>> 2 is its first word. */
  readonly words: Uint32Array;
  readonly capacityBytes: number;
  /** Size of the message that `peek` found last. */
  messageBytes: number;
  private readonly control: Int32Array;
  private readonly headers: Int32Array;
  private readonly mask: number;
  private base: number;
  private publishedSeen: number;
  /** Sequence behind everything advanced over. */
  private position: number;
  private released: number;
  /** Sequence behind the peeked message; equals position when nothing is peeked. */
  private peekedEnd: number;

  constructor(memory: SharedArrayBuffer) {
    this.control = new Int32Array(memory, 0, RING_CONTROL_WORDS);
    assert(this.control[RING_SLOT_WORDS] === 0, "memory of a byte ring");
    this.capacityBytes = this.control[RING_CAPACITY]!;
    this.bytes = Buffer.from(memory, RING_CONTROL_BYTES, this.capacityBytes);
    this.words = new Uint32Array(memory, RING_CONTROL_BYTES, this.capacityBytes >>> 2);
    this.headers = new Int32Array(memory, RING_CONTROL_BYTES, this.capacityBytes >>> 2);
    this.messageBytes = 0;
    this.mask = this.capacityBytes - 1;
    this.released = Atomics.load(this.control, RELEASED);
    this.position = this.released;
    this.peekedEnd = this.released;
    this.publishedSeen = this.released;
    this.base = 0;
  }

  /**
   * The next message that was not advanced over; does not consume it.
   * @returns its byte offset in `bytes` (size in `messageBytes`), or -1 when there is none.
   */
  peek(): number {
    if (this.position === this.publishedSeen && !this.refresh()) return -1;
    let sequence = this.position;
    let headerAt = (((sequence - this.base) | 0) & this.mask) >>> 2;
    if (this.headers[headerAt] === SKIP) {
      assert(this.headers[headerAt + 1] === sequence, "a skip lies at its own sequence");
      sequence = (sequence + this.capacityBytes - headerAt * 4) | 0;
      headerAt = 0;
    }
    const messageBytes = this.headers[headerAt]!;
    assert(this.headers[headerAt + 1] === sequence, "a message lies at its own sequence");
    assert(messageBytes >= 0, "a message has a size");
    const taken = HEADER_BYTES + ((messageBytes + ALIGN_MASK) & ~ALIGN_MASK);
    this.peekedEnd = (sequence + taken) | 0;
    assert(
      (this.publishedSeen - this.position) >>> 0 >= (this.peekedEnd - this.position) >>> 0,
      "a message ends before the published sequence",
    );
    this.messageBytes = messageBytes;
    return headerAt * 4 + HEADER_BYTES;
  }

  /** Steps over the peeked message and keeps it: its bytes stay valid until it is released. */
  advance(): void {
    assert(this.peekedEnd !== this.position, "advance follows a peek that found a message");
    this.position = this.peekedEnd;
  }

  /** Frees the peeked message and everything advanced over before it. */
  release(): void {
    this.advance();
    this.releaseAll();
  }

  /** Frees everything advanced over; a peeked message that was not advanced over stays. */
  releaseAll(): void {
    if (this.released === this.position) return;
    this.released = this.position;
    Atomics.store(this.control, RELEASED, this.released);
  }

  /** Bytes advanced over and not yet released. */
  heldBytes(): number {
    return (this.position - this.released) >>> 0;
  }

  /** Bytes that are published and not released, held ones included. */
  usedBytes(): number {
    return (Atomics.load(this.control, PUBLISHED) - this.released) >>> 0;
  }

  private refresh(): boolean {
    const published = Atomics.load(this.control, PUBLISHED);
    if (published === this.publishedSeen) return false;
    const base = Atomics.load(this.control, BASE);
    assert((published - this.released) >>> 0 <= this.capacityBytes, "byte ring overrun");
    this.publishedSeen = published;
    this.base = base;
    return true;
  }
}
