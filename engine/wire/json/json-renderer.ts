// What renderers of JSON records have in common: ranges, the scratch buffer, bounds.
//
// A range is rendered by measure(), into scratch memory; write() only puts the groups together.
// JSON is nearly always longer than the protobuf that it becomes, and never much shorter: of each
// span
//   output ≤ its JSON + PIECE_EXTRA_BYTES + its suffix + what is left of RANGE_GROWTH_BYTES_MAX,
// own fields of resources and scopes alike. A renderer that comes near it writes one byte for a
// byte that is no UTF-8, and leaves out tags, which it counts as dropped. So a message never
// outgrows a ring that was made for its body, and scratch memory is bounded by the record.

import { assert } from "../../base/assert.ts";
import {
  GROUP_RESOURCE_AT, GROUP_RESOURCE_END, GROUP_RESOURCE_SCHEMA_AT, GROUP_RESOURCE_SCHEMA_END,
  GROUP_SCOPE_AT, GROUP_SCOPE_END, GROUP_SCOPE_SCHEMA_AT, GROUP_SCOPE_SCHEMA_END, GROUP_WORDS,
  SPAN_AT, SPAN_BYTES, SPAN_GROUP, SPAN_PART, SPAN_WORDS, type RecordIndex,
} from "../record-index.ts";
import type { Renderer } from "../renderer.ts";
import { GroupedSpans } from "./grouped-spans.ts";
import { ProtoWriter, SIZE_BYTES_MAX } from "./proto-writer.ts";
import { JsonReader } from "./reader.ts";

/** Around a message: its tag and the longest size. */
const FIELD_HEADER_BYTES_MAX = 1 + SIZE_BYTES_MAX;
/**
 * What any piece may become longer than its JSON, half of it under way: what stands for something
 * absent, the one tag that comes too far, sizes of the messages around the piece.
 */
const PIECE_EXTRA_BYTES = 256;
/** What the pieces of a range may become longer beyond that, all together. */
export const RANGE_GROWTH_BYTES_MAX = 256 * 1024;
/** A long text in a list grows by less than one byte in so many, for its size. */
const SIZES_SHIFT = 12;
/** Scratch memory kept between records: what a range of usual spans needs, and some. */
const SCRATCH_KEPT_BYTES = 4 * 1024 * 1024;
/** Field 2 of a ScopeSpans. */
const TAG_SPAN = 0x12;
/** Bytes of most spans' sizes. */
const SPAN_SIZE_BYTES = 2;
const NOTHING = new Uint8Array(0);

/** Renders one record at a time, whole or in ranges of spans. Reused; one thread. */
export abstract class JsonRenderer implements Renderer {
  /** Wanted spans of the last measure(). */
  spanCount = 0;
  protected readonly reader = new JsonReader();
  protected readonly writer = new ProtoWriter();
  protected readonly groups = new GroupedSpans();
  protected bytes: Uint8Array = NOTHING;
  protected bodyAt = 0;
  #bodyBytes = 0;
  #index: RecordIndex | null = null;
  #wanted: Uint32Array = new Uint32Array(0);
  #suffixes: readonly Uint8Array[] = [];
  #growthLeft = 0;
  #measured = false;
  // Of the piece under hand.
  #pieceAt = 0;
  #pieceBytes = 0;

  /** Forgets the groups of the range before. */
  protected abstract beginRange(): void;

  /**
   * Opens the group for spans of `group` of the index, when their scope is told by it, and renders
   * its own fields, each inside beginPiece() and endPiece().
   */
  protected abstract beginGroup(index: RecordIndex, group: number): void;

  /** Writes the fields of the span in bytes[at, end) but for its suffix; the message is open. */
  protected abstract renderSpan(at: number, end: number): void;

  /** The message of that span is closed: renders own fields it needs; answers its scope. */
  protected abstract scopeOfSpan(): number;

  prepare(
    bytes: Uint8Array, bodyAt: number, bodyEnd: number, index: RecordIndex, wanted: Uint32Array,
    suffixes: readonly Uint8Array[],
  ): void {
    assert(bodyEnd <= bytes.length, "the body lies in its memory");
    assert(index.payloadBytesMin() <= bodyEnd - bodyAt, "the index belongs to the body");
    assert(wanted.length >= index.partCount, "each part is wanted or not");
    this.bytes = bytes;
    this.bodyAt = bodyAt;
    this.#bodyBytes = bodyEnd - bodyAt;
    this.#index = index;
    this.#wanted = wanted;
    this.#suffixes = suffixes;
    this.#measured = false;
  }

  release(): void {
    this.bytes = NOTHING;
    this.#index = null;
    this.#suffixes = [];
    this.#measured = false;
    this.reader.close();
    this.writer.shrink(SCRATCH_KEPT_BYTES);
    this.groups.reset();
  }

  /**
   * As in OTLP protobuf: each range repeats what is around its spans; where that is large the range
   * may be twice as large as it, and as large as the record.
   */
  planEnd(firstSpan: number, bytesMax: number): number {
    const index = this.#prepared();
    let bytes = 0;
    let group = -1;
    let resourceBytes = 0;
    let limit = bytesMax;
    for (let span = firstSpan; span < index.spanCount; span++) {
      const at = span * SPAN_WORDS;
      const wanted = this.#wanted[index.spans[at + SPAN_PART]!]!;
      if (wanted === 0) continue;
      let added = pieceBytesMax(index.spans[at + SPAN_BYTES]!) + this.#suffixes[wanted - 1]!.length;
      const spanGroup = index.spans[at + SPAN_GROUP]!;
      if (spanGroup !== group) {
        const scopeBytes = ownScopeBytes(index, spanGroup);
        added += scopeBytes;
        if (group < 0 || !sameResource(index, group, spanGroup)) {
          resourceBytes = ownResourceBytes(index, spanGroup);
          added += resourceBytes;
        }
        group = spanGroup;
        limit = Math.max(bytesMax, Math.min(2 * (resourceBytes + scopeBytes), this.#bodyBytes));
      }
      if (bytes > 0 && bytes + added > limit) return span;
      bytes += added;
    }
    return index.spanCount;
  }

  measure(firstSpan: number, endSpan: number): number {
    const index = this.#prepared();
    assert(firstSpan <= endSpan, "a range of spans");
    assert(endSpan <= index.spanCount, "a range of the record's spans");
    this.writer.reset();
    this.groups.reset();
    this.spanCount = 0;
    this.#growthLeft = RANGE_GROWTH_BYTES_MAX;
    this.beginRange();
    let group = -1;
    for (let span = firstSpan; span < endSpan; span++) {
      const at = span * SPAN_WORDS;
      const wanted = this.#wanted[index.spans[at + SPAN_PART]!]!;
      if (wanted === 0) continue;
      if (index.spans[at + SPAN_GROUP] !== group) {
        group = index.spans[at + SPAN_GROUP]!;
        this.beginGroup(index, group);
      }
      const from = this.bodyAt + index.spans[at + SPAN_AT]!;
      this.#addSpan(from, from + index.spans[at + SPAN_BYTES]!, this.#suffixes[wanted - 1]!);
      this.spanCount++;
    }
    this.#measured = true;
    return this.groups.measure();
  }

  write(target: Buffer, at: number): number {
    this.#prepared();
    assert(this.#measured, "measure() comes first");
    return this.groups.write(this.writer.bytes, target, at);
  }

  /** Begins what bytes[at, end) becomes: room for it, and how far it may grow. */
  protected beginPiece(at: number, end: number, suffixBytes: number): void {
    const { writer } = this;
    writer.reserve(pieceBytesMax(end - at) + this.#growthLeft + suffixBytes);
    this.#pieceAt = writer.at;
    this.#pieceBytes = end - at;
    writer.aheadMax = writer.at - at + PIECE_EXTRA_BYTES / 2 + this.#growthLeft;
    this.reader.open(this.bytes, at, end);
  }

  /** Ends the piece, all that is written since beginPiece() but for a suffix. */
  protected endPiece(suffixBytes: number): void {
    const written = this.writer.at - this.#pieceAt - suffixBytes;
    const growth = written - pieceBytesMax(this.#pieceBytes);
    assert(growth <= this.#growthLeft, "a piece grows within its bound");
    if (growth > 0) this.#growthLeft -= growth;
  }

  #prepared(): RecordIndex {
    assert(this.#index !== null, "prepare() comes first");
    return this.#index;
  }

  #addSpan(at: number, end: number, suffix: Uint8Array): void {
    const { writer } = this;
    this.beginPiece(at, end, suffix.length);
    const spanAt = writer.at;
    writer.begin(TAG_SPAN, SPAN_SIZE_BYTES);
    this.renderSpan(at, end);
    writer.raw(suffix);
    writer.finish();
    const spanEnd = writer.at;
    const scope = this.scopeOfSpan();
    this.endPiece(suffix.length);
    this.groups.addSpan(scope, spanAt, spanEnd);
  }
}

/** True when two groups of a range are of one ResourceSpans. */
export function sameResource(index: RecordIndex, one: number, other: number): boolean {
  const { groups } = index;
  const at = one * GROUP_WORDS;
  const otherAt = other * GROUP_WORDS;
  return groups[at + GROUP_RESOURCE_AT] === groups[otherAt + GROUP_RESOURCE_AT]
    && groups[at + GROUP_RESOURCE_SCHEMA_AT] === groups[otherAt + GROUP_RESOURCE_SCHEMA_AT];
}

/** What bytes of JSON may become before they use up what a range may grow. */
function pieceBytesMax(jsonBytes: number): number {
  return jsonBytes + (jsonBytes >>> SIZES_SHIFT) + PIECE_EXTRA_BYTES + FIELD_HEADER_BYTES_MAX;
}

function ownResourceBytes(index: RecordIndex, group: number): number {
  const at = group * GROUP_WORDS;
  return FIELD_HEADER_BYTES_MAX
    + rangeBytes(index.groups[at + GROUP_RESOURCE_AT]!, index.groups[at + GROUP_RESOURCE_END]!)
    + rangeBytes(
      index.groups[at + GROUP_RESOURCE_SCHEMA_AT]!, index.groups[at + GROUP_RESOURCE_SCHEMA_END]!,
    );
}

function ownScopeBytes(index: RecordIndex, group: number): number {
  const at = group * GROUP_WORDS;
  return FIELD_HEADER_BYTES_MAX
    + rangeBytes(index.groups[at + GROUP_SCOPE_AT]!, index.groups[at + GROUP_SCOPE_END]!)
    + rangeBytes(
      index.groups[at + GROUP_SCOPE_SCHEMA_AT]!, index.groups[at + GROUP_SCOPE_SCHEMA_END]!,
    );
}

function rangeBytes(at: number, end: number): number {
  return end > at ? pieceBytesMax(end - at) : 0;
}
