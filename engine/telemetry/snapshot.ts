// The reading side of counter blocks. A block is read as one publication of its thread; blocks of
// different threads are read one after the other, which no balance depends on: the balance is
// raised by holders alone, and each lane's share of it closes by itself.

import { layoutOf, SharedBlock } from "./counters.ts";
import type { BlockThread } from "./metric-layout.ts";

/** Memory of all threads that count. */
export interface CounterMemory {
  readonly lanes: readonly SharedArrayBuffer[];
  readonly doors: readonly SharedArrayBuffer[];
  readonly forwards: readonly SharedArrayBuffer[];
}

/**
 * Everything counted, at one moment. Cells are indexed by a metric's number plus the label index.
 */
export interface Snapshot {
  /** Sums over the threads of a kind. */
  readonly lane: Float64Array;
  readonly door: Float64Array;
  readonly forward: Float64Array;
  /** Each lane's own. */
  readonly lanes: readonly Float64Array[];
  /** Blocks that stayed locked (their thread died) and appear as they were before. */
  readonly staleBlocks: number;
}

/** Reads all blocks; any thread that may wait for milliseconds can have one. */
export class SnapshotReader {
  readonly #lanes: BlockReader[];
  readonly #doors: BlockReader[];
  readonly #forwards: BlockReader[];

  constructor(memory: CounterMemory) {
    this.#lanes = memory.lanes.map((block) => new BlockReader("lane", block));
    this.#doors = memory.doors.map((block) => new BlockReader("door", block));
    this.#forwards = memory.forwards.map((block) => new BlockReader("forward", block));
  }

  /** A new snapshot; later publications do not change it. */
  readBlocks(): Snapshot {
    const groups = [this.#lanes, this.#doors, this.#forwards];
    let staleBlocks = 0;
    for (const group of groups) for (const block of group) if (!block.read()) staleBlocks++;
    return {
      lane: sum("lane", this.#lanes),
      door: sum("door", this.#doors),
      forward: sum("forward", this.#forwards),
      lanes: this.#lanes.map((block) => block.cells.slice()),
      staleBlocks,
    };
  }
}

/** One block as last read. */
class BlockReader {
  readonly cells: Float64Array;
  readonly #block: SharedBlock;

  constructor(thread: BlockThread, memory: SharedArrayBuffer) {
    this.#block = new SharedBlock(thread, memory);
    this.cells = new Float64Array(layoutOf(thread).cells);
  }

  /** False when the block stayed locked; `cells` are then those of an earlier read. */
  read(): boolean {
    return this.#block.readInto(this.cells);
  }
}

function sum(thread: BlockThread, blocks: readonly BlockReader[]): Float64Array {
  const total = new Float64Array(layoutOf(thread).cells);
  for (const block of blocks) {
    const { cells } = block;
    for (let cell = 0; cell < total.length; cell++) {
      total[cell] = (total[cell] ?? 0) + (cells[cell] ?? 0);
    }
  }
  return total;
}
