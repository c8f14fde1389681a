// One forwarder as a lane sees it: kept parts that wait for it, in order, and messages that it has
// not acknowledged. A forwarder that does not take what waits blocks only its own delivery.

import { assert } from "../base/assert.ts";
import {
  MESSAGE_FLAGS, MESSAGE_HEADER_WORDS, MESSAGE_ID, MESSAGE_PAYLOAD_AT, MESSAGE_PAYLOAD_BYTES,
  MESSAGE_SPANS,
} from "../forward/message-layout.ts";
import type { Outbox } from "../log/outbox.ts";
import type { ByteRingProducer } from "../ring/byte-ring.ts";

/** Bytes in a forwarder's ring beyond which a lane waits; one larger message may pass it. */
const RING_CREDIT_BYTES = 8 * 1024 * 1024;

/**
 * Kept parts of one record that left together; settled when all their messages are acknowledged.
 */
export interface Shipment {
  /** Numbers in the kept store. */
  readonly entries: Uint32Array;
  readonly sentMs: number;
  /**
   * Set when a copy lies in the outbox, because the answer took long: then the parts are settled in
   * the log, and the copy's messages end in place of them.
   */
  tickets: readonly number[] | null;
  /** Messages not acknowledged yet. */
  messages: number;
  /** False while more messages of it are to come. */
  complete: boolean;
  /** Its last messages lie in the outbox and are sent from there. */
  split: boolean;
}

/** A message that the forwarder has not answered for. */
export interface SentMessage {
  readonly spans: number;
  /** Null: it came from the outbox, under `ticket`. */
  readonly shipment: Shipment | null;
  readonly ticket: number;
}

/** A record that found no room for all of its messages. */
export interface PartialShipment {
  readonly shipment: Shipment;
  readonly nextSpan: number;
}

/** Written by its lane only. */
export class Delivery {
  readonly slot: number;
  /** Where spans go that the forwarder does not take. */
  readonly outbox: Outbox;
  readonly outboxAfterMs: number;
  readonly ring: ByteRingProducer;
  #queue: Uint32Array;
  #mask: number;
  #head = 0;
  #tail = 0;
  partial: PartialShipment | null = null;
  /** By message id, oldest first. */
  readonly inFlight = new Map<number, SentMessage>();
  /** When the ring refused and nothing was acknowledged since; -1 = it takes. */
  blockedSinceMs = -1;
  /** Since when it waits for more parts of the same records; -1 = it does not. */
  gathersSinceMs = -1;
  #corruptSpansTaken = 0;

  constructor(
    slot: number, ring: ByteRingProducer, outbox: Outbox, outboxAfterMs: number,
    entriesMax: number,
  ) {
    this.slot = slot;
    this.ring = ring;
    this.outbox = outbox;
    this.outboxAfterMs = outboxAfterMs;
    this.#queue = new Uint32Array(Delivery.bytesFor(entriesMax) / 4);
    this.#mask = this.#queue.length - 1;
  }

  /** Bytes of the queue of kept parts. */
  static bytesFor(entriesMax: number): number {
    return 4 * 2 ** Math.ceil(Math.log2(entriesMax + 1));
  }

  /** Spans of outbox messages that could not be read, once each. */
  takeCorruptSpans(): number {
    const fresh = this.outbox.corruptSpans - this.#corruptSpansTaken;
    this.#corruptSpansTaken = this.outbox.corruptSpans;
    return fresh;
  }

  /** Kept parts that wait. */
  get waiting(): number {
    return (this.#tail - this.#head) >>> 0;
  }

  /** Nothing is on its way, and nothing waits outside of the outbox. */
  get idle(): boolean {
    return this.waiting === 0 && this.partial === null && this.inFlight.size === 0;
  }

  /** Nothing more goes to the ring now: all is there, or it takes no more. */
  get handedOver(): boolean {
    return (this.waiting === 0 && this.partial === null) || !this.hasCredit;
  }

  /** The kept part that waits first; 0 = none does. */
  get firstWaiting(): number {
    return this.waiting === 0 ? 0 : this.#queue[this.#head & this.#mask]!;
  }

  /** Adds a kept part; the kept store bounds the queue, but for what a recovery found. */
  add(entry: number): void {
    if (this.waiting > this.#mask) this.#grow();
    this.#queue[this.#tail & this.#mask] = entry;
    this.#tail = (this.#tail + 1) >>> 0;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#queue.length * 2);
    this.first(larger, this.waiting);
    this.#tail = this.waiting;
    this.#head = 0;
    this.#queue = larger;
    this.#mask = larger.length - 1;
  }

  /** Copies the first `count` waiting entries to `target`. */
  first(target: Uint32Array, count: number): void {
    for (let at = 0; at < count; at++) {
      target[at] = this.#queue[(this.#head + at) & this.#mask]!;
    }
  }

  /**
   * Of the first `count`, all but the last `left` of `entries` are gone; those stay, in that order.
   */
  consume(entries: Uint32Array, count: number, left: number): void {
    for (let at = count - left; at < count; at++) {
      this.#queue[(this.#head + at) & this.#mask] = entries[at]!;
    }
    this.#head = (this.#head + count - left) >>> 0;
  }

  /** Puts entries that were consumed last back to the front. */
  restore(entries: Uint32Array): void {
    this.#head = (this.#head - entries.length) >>> 0;
    for (let at = 0; at < entries.length; at++) {
      this.#queue[(this.#head + at) & this.#mask] = entries[at]!;
    }
  }

  /** False for a message that is larger than the ring ever takes. */
  fits(payloadBytes: number): boolean {
    return MESSAGE_PAYLOAD_AT + payloadBytes <= this.ring.messageBytesMax;
  }

  /** True when the ring may take another message. */
  get hasCredit(): boolean {
    return this.ring.usedBytes() < RING_CREDIT_BYTES;
  }

  /**
   * Room for a message with `payloadBytes`, its header written.
   * @returns where in `ring.bytes` the payload goes, -1 without room. Then `publish`.
   */
  reserve(id: number, spans: number, payloadBytes: number): number {
    if (!this.hasCredit) return -1;
    const at = this.ring.reserve(MESSAGE_PAYLOAD_AT + payloadBytes);
    if (at < 0) return -1;
    const { words } = this.ring;
    const head = at >>> 2;
    words[head + MESSAGE_ID] = id;
    words[head + MESSAGE_SPANS] = spans;
    words[head + MESSAGE_PAYLOAD_BYTES] = payloadBytes;
    words[head + MESSAGE_FLAGS] = 0;
    assert(MESSAGE_HEADER_WORDS * 4 === MESSAGE_PAYLOAD_AT, "the payload follows the header");
    return at + MESSAGE_PAYLOAD_AT;
  }

  publish(payloadBytes: number): void {
    this.ring.publish(MESSAGE_PAYLOAD_AT + payloadBytes);
  }

  /** Notes that the ring refused; true when that has lasted so long that the outbox takes over. */
  blocked(nowMs: number): boolean {
    if (this.blockedSinceMs < 0) this.blockedSinceMs = nowMs;
    return nowMs - this.blockedSinceMs >= this.outboxAfterMs;
  }
}
