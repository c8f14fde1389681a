// StoragePolicy hash-sample under pressure: of a payload only the spans of traces in the share are
// stored. The share is a hash of the trace id that every lane and node agrees on. What is left of
// the payload is written as a payload of its own, OTLP whatever it came in, and says at each span
// how many like it there were.

import { assert } from "../base/assert.ts";
import { isInShare, shardOf, SHARE_LEVEL_MAX } from "../hash/shard-of.ts";
import type { AttributeMatcher } from "../part/attribute-matcher.ts";
import { PART_SPANS, PART_WORDS } from "../part/part-layout.ts";
import { FORMAT_OTLP_PROTO } from "../ring/payload-layout.ts";
import type { DecisionMemory } from "../traces/decision-memory.ts";
import type { TraceTable } from "../traces/trace-table.ts";
import { encodeStoredRate } from "../wire/otlp-proto/suffix.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import { Renderers } from "../wire/renderer.ts";
import { SCAN_OK } from "../wire/scan-codes.ts";
import { scanPayload } from "../wire/scan-payload.ts";

const BYTES_FIRST = 64 * 1024;

export interface StorageSamplerParts {
  readonly table: TraceTable;
  readonly memory: DecisionMemory;
  readonly matcher: AttributeMatcher;
  /** Of its own: the index of what is left. */
  readonly index: RecordIndex;
}

/** Used by one lane. */
export class StorageSampler {
  readonly index: RecordIndex;
  readonly #in: StorageSamplerParts;
  readonly #lane: number;
  readonly #lanes: number;
  readonly #renderers = new Renderers();
  /** By level, for traces that are new; 0 = nothing to say. */
  readonly #suffixes: readonly Uint8Array[];
  #wanted = new Uint32Array(1024);
  /** What is left: bytes[0, end), as OTLP. */
  bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_FIRST);
  end = 0;

  constructor(parts: StorageSamplerParts, lane: number, lanes: number) {
    this.#in = parts;
    this.index = parts.index;
    this.#lane = lane;
    this.#lanes = lanes;
    this.#suffixes = Array.from({ length: SHARE_LEVEL_MAX + 1 }, (_, level) => {
      return level === 0 ? new Uint8Array(0) : encodeStoredRate(2 ** level);
    });
  }

  /**
   * Chooses what of a scanned payload is stored; borrows it until return.
   * @returns spans that are not; the others are in `bytes` and `index`. Of known traces every span
   * is stored, as far as this lane owns them.
   */
  sample(
    format: number, bytes: Uint8Array, at: number, end: number, index: RecordIndex, level: number,
  ): number {
    const evicted = this.#choose(index, level);
    this.end = 0;
    if (evicted === index.spanCount) return evicted;
    const renderer = this.#renderers.of(format);
    renderer.prepare(bytes, at, end, index, this.#wanted, this.#suffixes);
    const size = renderer.measure(0, index.spanCount);
    if (this.bytes.length < size) this.bytes = Buffer.allocUnsafeSlow(2 * size);
    this.end = renderer.write(this.bytes, 0);
    renderer.release();
    assert(this.end === size, "a payload is as long as it was measured");
    const scanned = scanPayload(
      FORMAT_OTLP_PROTO, this.bytes, 0, size, this.#in.matcher, this.index);
    assert(scanned === SCAN_OK, "what was rendered can be scanned");
    assert(this.index.spanCount === index.spanCount - evicted, "and has every span that is stored");
    return evicted;
  }

  /** Sets what is wanted of each part. @returns spans of those that are not. */
  #choose(index: RecordIndex, level: number): number {
    const { parts, partCount } = index;
    if (this.#wanted.length < partCount) this.#wanted = new Uint32Array(partCount * 2);
    let evicted = 0;
    for (let part = 0; part < partCount; part++) {
      const from = part * PART_WORDS;
      if (this.#isKnown(parts, from)) {
        this.#wanted[part] = 1; // suffix 0
      } else if (isInShare(parts, from, level)) {
        this.#wanted[part] = level + 1;
      } else {
        this.#wanted[part] = 0;
        evicted += parts[from + PART_SPANS]!;
      }
    }
    return evicted;
  }

  /** True for traces that this lane owns and has spans, or a decision, of. */
  #isKnown(parts: Uint32Array, from: number): boolean {
    if (shardOf(parts, from) % this.#lanes !== this.#lane) return false;
    return this.#in.table.find(parts, from) !== 0 || this.#in.memory.lookup(parts, from) !== 0;
  }
}
