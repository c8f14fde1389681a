// A batch: the payloads of many messages back to back in one reused buffer, and columns that say
// which message lies where, so that a batch can be cut between messages and each message
// acknowledged.

import { assert } from "../base/assert.ts";
import { copyBytes } from "../base/copy-bytes.ts";

/** One batch. Payloads lie at bytes[offsets[i], offsets[i + 1]); message i came from lanes[i]. */
export class Batch {
  messages = 0;
  spans = 0;
  readonly messagesMax: number;
  readonly ids: Uint32Array;
  readonly lanes: Uint8Array;
  /** One more than messages: offsets[messages] is the size of the batch. */
  readonly offsets: Uint32Array;
  /** Spans before message i; one more than messages. */
  readonly spansBefore: Float64Array;
  readonly #bytesMax: number;
  /** Allocated when first used, so that an idle forwarder costs nothing. */
  #own: Buffer | null = null;
  #bytes: Buffer | null = null;

  constructor(bytesMax: number, messagesMax: number) {
    assert(bytesMax > 0, "a batch has room");
    assert(messagesMax > 0, "a batch has messages");
    this.#bytesMax = bytesMax;
    this.messagesMax = messagesMax;
    this.ids = new Uint32Array(messagesMax);
    this.lanes = new Uint8Array(messagesMax);
    this.offsets = new Uint32Array(messagesMax + 1);
    this.spansBefore = new Float64Array(messagesMax + 1);
  }

  get usedBytes(): number {
    return this.offsets[this.messages]!;
  }

  /** True when a payload of that size can be added. An empty batch takes one of any size. */
  fits(payloadBytes: number): boolean {
    if (this.messages === 0) return true;
    if (this.messages === this.messagesMax) return false;
    return this.usedBytes + payloadBytes <= this.#bytesMax;
  }

  /**
   * Copies a payload in.
   * @param source the ring's data region; the payload lies at source[at, at + payloadBytes).
   */
  add(
    source: Uint8Array, at: number, payloadBytes: number, id: number, spans: number, lane: number,
  ): void {
    assert(this.fits(payloadBytes), "a batch takes what fits");
    const index = this.messages;
    const usedBytes = this.usedBytes;
    this.#bytes ??= this.#memory(payloadBytes);
    copyBytes(source, at, at + payloadBytes, this.#bytes, usedBytes);
    this.ids[index] = id;
    this.lanes[index] = lane;
    this.offsets[index + 1] = usedBytes + payloadBytes;
    this.spansBefore[index + 1] = this.spansBefore[index]! + spans;
    this.spans += spans;
    this.messages = index + 1;
  }

  /** Payloads of messages [first, end), a view of the batch's buffer. */
  bytesOf(first: number, end: number): Buffer {
    assert(this.#bytes !== null, "a batch with messages has bytes");
    return this.#bytes.subarray(this.offsets[first]!, this.offsets[end]!);
  }

  spansOf(first: number, end: number): number {
    return this.spansBefore[end]! - this.spansBefore[first]!;
  }

  /** Empties the batch; the buffer stays, unless it was one message's own. */
  clear(): void {
    this.messages = 0;
    this.spans = 0;
    this.#bytes = null;
  }

  #memory(payloadBytes: number): Buffer {
    if (payloadBytes > this.#bytesMax) return Buffer.allocUnsafeSlow(payloadBytes);
    this.#own ??= Buffer.allocUnsafeSlow(this.#bytesMax);
    return this.#own;
  }
}
