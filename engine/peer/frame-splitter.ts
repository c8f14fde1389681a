// Cuts what a socket gives into frames. A frame that lies whole in a chunk is given from there;
// one that comes in pieces is put together in memory that is used again.

import { assert } from "../base/assert.ts";
import { FRAME_BYTES_MAX, FRAME_PREFIX_BYTES } from "./frame-layout.ts";

const EMPTY: Buffer = Buffer.alloc(0);
/** Memory grows with what has come, not with what a prefix promises. */
const FIRST_BYTES = 64 * 1024;

/** One connection's. */
export class FrameSplitter {
  /** A frame says it is larger than any: what follows has no meaning. */
  isBroken = false;
  readonly #bytesMax: number;
  #chunk: Buffer = EMPTY;
  #at = 0;
  #pieces: Buffer = EMPTY;
  /** Bytes in #pieces of the frame that is put together; 0 = none is. */
  #held = 0;
  #frame: Buffer | null = null;

  constructor(bytesMax = FRAME_BYTES_MAX) {
    assert(bytesMax > FRAME_PREFIX_BYTES, "a frame has a prefix and more");
    this.#bytesMax = bytesMax;
  }

  /** Adds what came. @param chunk is kept until all of its frames were taken. */
  push(chunk: Buffer): void {
    const isLeft = this.#at < this.#chunk.length;
    this.#chunk = isLeft ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
  }

  /** The next frame behind its size, or null; the same until take(). Borrowed until then. */
  peek(): Buffer | null {
    if (this.#frame !== null || this.isBroken) return this.#frame;
    this.#frame = this.#held === 0 ? this.#inChunk() : this.#inPieces();
    return this.#frame;
  }

  /** Steps over the frame that peek gave. */
  take(): void {
    assert(this.#frame !== null, "a frame is peeked before it is taken");
    if (this.#held === 0) this.#at += this.#frame.length;
    this.#held = 0;
    this.#frame = null;
  }

  #inChunk(): Buffer | null {
    const left = this.#chunk.length - this.#at;
    if (left >= FRAME_PREFIX_BYTES) {
      const bytes = this.#frameBytes(this.#chunk, this.#at);
      if (bytes < 0) return null;
      if (left >= bytes) return this.#chunk.subarray(this.#at, this.#at + bytes);
    }
    return left === 0 ? null : this.#inPieces();
  }

  #inPieces(): Buffer | null {
    if (!this.#collect(FRAME_PREFIX_BYTES)) return null;
    const bytes = this.#frameBytes(this.#pieces, 0);
    if (bytes < 0 || !this.#collect(bytes)) return null;
    return this.#pieces.subarray(0, bytes);
  }

  /** Whether so many bytes of the frame are there; takes of the chunk what is missing. */
  #collect(bytes: number): boolean {
    const count = Math.min(bytes - this.#held, this.#chunk.length - this.#at);
    if (count > 0) {
      this.#makeRoom(this.#held + count, bytes);
      this.#chunk.copy(this.#pieces, this.#held, this.#at, this.#at + count);
      this.#held += count;
      this.#at += count;
    }
    return this.#held >= bytes;
  }

  #makeRoom(needed: number, bytes: number): void {
    if (needed <= this.#pieces.length) return;
    const doubled = Math.min(this.#pieces.length * 2, bytes);
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, doubled, needed));
    this.#pieces.copy(grown, 0, 0, this.#held);
    this.#pieces = grown;
  }

  #frameBytes(bytes: Buffer, at: number): number {
    const frameBytes = FRAME_PREFIX_BYTES + bytes.readUInt32LE(at);
    if (frameBytes <= this.#bytesMax) return frameBytes;
    this.isBroken = true;
    return -1;
  }
}
