// Memory of bodies that arrive in more than one piece. A body never gets memory for what it only
// announces: its block doubles as bytes arrive, so a stalled client holds at most twice what it
// sent (or the smallest block), and many tiny chunks cost no more than few large ones.

import { assert } from "../base/assert.ts";

const BLOCK_BYTES_MIN = 4_096;

/** Blocks of doubling sizes under one budget; some that are done are kept for the next body. */
export class BodyMemory {
  /** Bytes of the blocks that bodies hold now. */
  heldBytes: number;
  private readonly budgetBytes: number;
  private readonly pooledBytesMax: number;
  private readonly blockBytesMax: number;
  private pooledBytes: number;
  /** Free blocks by size class: 4 KiB, 8 KiB, … and last `blockBytesMax`. */
  private readonly pools: Uint8Array[][];

  /** @param blockBytesMax the largest body. */
  constructor(budgetBytes: number, pooledBytesMax: number, blockBytesMax: number) {
    assert(blockBytesMax > 0, "a body may have bytes");
    this.heldBytes = 0;
    this.budgetBytes = budgetBytes;
    this.pooledBytesMax = pooledBytesMax;
    this.blockBytesMax = Math.max(blockBytesMax, BLOCK_BYTES_MIN);
    this.pooledBytes = 0;
    this.pools = [];
    for (let bytes = BLOCK_BYTES_MIN; ; bytes *= 2) {
      this.pools.push([]);
      if (bytes >= this.blockBytesMax) break;
    }
  }

  /**
   * `block` with `bytes` of content extended by `chunk`, moved to a larger block when it must be.
   * @param block the body's block, or null for its first piece; no longer valid if another returns.
   * @param chunk borrowed until return.
   * @returns the block to hold from now on, or null when the budget is used up: then `block` is
   * unchanged and still held.
   */
  append(block: Uint8Array | null, bytes: number, chunk: Uint8Array): Uint8Array | null {
    const bytesAfter = bytes + chunk.length;
    if (block !== null && bytesAfter <= block.length) {
      block.set(chunk, bytes);
      return block;
    }
    const larger = this.take(bytesAfter);
    if (larger === null) return null;
    if (block !== null) {
      copyStart(block, bytes, larger);
      this.give(block);
    }
    larger.set(chunk, bytes);
    return larger;
  }

  /** Takes a block back. The caller forgets it. */
  give(block: Uint8Array): void {
    this.heldBytes -= block.length;
    assert(this.heldBytes >= 0, "a block is given back once");
    if (this.pooledBytes + block.length > this.pooledBytesMax) return;
    this.pools[this.classOf(block.length)]!.push(block); // classOf stays below the last class
    this.pooledBytes += block.length;
  }

  private take(bytes: number): Uint8Array | null {
    const size = this.classOf(bytes);
    const blockBytes = Math.min(BLOCK_BYTES_MIN * 2 ** size, this.blockBytesMax);
    assert(bytes <= blockBytes, "bodies are refused before they pass the largest block");
    if (this.heldBytes + blockBytes > this.budgetBytes) return null;
    const pooled = this.pools[size]!.pop(); // classOf stays below the last class
    if (pooled !== undefined) this.pooledBytes -= blockBytes;
    this.heldBytes += blockBytes;
    return pooled ?? Buffer.allocUnsafeSlow(blockBytes);
  }

  private classOf(bytes: number): number {
    const size = Math.ceil(Math.log2(Math.max(bytes, BLOCK_BYTES_MIN) / BLOCK_BYTES_MIN));
    return Math.min(size, this.pools.length - 1);
  }
}

/** Copies the first `bytes` of a block; once for each doubling of a body. */
function copyStart(source: Uint8Array, bytes: number, target: Uint8Array): void {
  target.set(source.subarray(0, bytes), 0);
}
