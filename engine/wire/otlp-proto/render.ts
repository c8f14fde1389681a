// Kept spans of an OTLP record, back to OTLP: bytes are spliced, nothing is decoded or re-encoded.
//
// Output: ResourceSpans fields, each with its tag, so that outputs laid end to end are again one
// ExportTraceServiceRequest. Of a ResourceSpans and a ScopeSpans every field but the spans goes
// along verbatim, unknown ones too; of the spans those wanted, each with the suffix of its part:
//   0a <size> [own fields of the ResourceSpans]
//     12 <size> [own fields of the ScopeSpans]
//       12 <size> [Span as received] [suffix: attributes = 9]

import { assert } from "../../base/assert.ts";
import { copyBytes } from "../../base/copy-bytes.ts";
import {
  GROUP_RESOURCE_AT, GROUP_RESOURCE_END, GROUP_SCOPE_AT, GROUP_SCOPE_END, GROUP_WORDS, SPAN_AT,
  SPAN_BYTES, SPAN_GROUP, SPAN_PART, SPAN_WORDS, type RecordIndex,
} from "../record-index.ts";
import type { Renderer } from "../renderer.ts";
import { READ_LOW, read, readTag, skipValue } from "./cursor.ts";

const TAG_RESOURCE_SPANS = 0x0a;
const TAG_SCOPE_SPANS = 0x12;
const TAG_SPAN = 0x12;
/** scope_spans of a ResourceSpans and spans of a ScopeSpans: both are field 2. */
const TAG_CHILD = 0x12;

/** Around a message: its tag and the longest size. */
const FIELD_HEADER_BYTES_MAX = 6;
const OUTPUT_BYTES_MAX = 0x7fff_ffff;
/** Up to here a loop beats the call of a copy; see native-bench/render.bench.ts. */
const COPY_BYTES_SMALL = 72;
const GROUPS_FIRST = 16;
const numbers = read;
const LOW = READ_LOW;
const NOTHING = new Uint8Array(0);

/** Renders one record at a time, whole or in ranges of spans. Reused; one thread. */
export class OtlpRenderer implements Renderer {
  /** Wanted spans of the last measure(). */
  spanCount: number;
  // Of the last measure(): range, size of each group's ScopeSpans message, and, with the first
  // group of a resource, size of the ResourceSpans message. 0 where nothing is wanted.
  firstSpan: number;
  endSpan: number;
  outputBytes: number;
  scopeBytes: Uint32Array;
  resourceBytes: Uint32Array;
  /** More than the whole record can become. */
  outputBytesMax: number;
  bytes: Uint8Array;
  bodyAt: number;
  bodyBytes: number;
  index: RecordIndex | null;
  wanted: Uint32Array;
  suffixes: readonly Uint8Array[];

  constructor() {
    this.spanCount = 0;
    this.firstSpan = 0;
    this.endSpan = 0;
    this.outputBytes = 0;
    this.scopeBytes = new Uint32Array(GROUPS_FIRST);
    this.resourceBytes = new Uint32Array(GROUPS_FIRST);
    this.outputBytesMax = 0;
    this.bytes = NOTHING;
    this.bodyAt = 0;
    this.bodyBytes = 0;
    this.index = null;
    this.wanted = new Uint32Array(0);
    this.suffixes = [];
  }

  /**
   * Takes a record; everything is borrowed until the next prepare() or release().
   * @param bytes holds the body, as it was scanned, in bytes[bodyAt, bodyEnd).
   * @param wanted for each part of the index: 0 = not wanted, else number of its suffix + 1.
   * @param suffixes encoded fields to append to a Span message, see encodeSuffix(); may be empty.
   */
  prepare(
    bytes: Uint8Array, bodyAt: number, bodyEnd: number, index: RecordIndex, wanted: Uint32Array,
    suffixes: readonly Uint8Array[],
  ): void {
    assert(bodyEnd <= bytes.length, "the body lies in its memory");
    assert(index.payloadBytesMin() <= bodyEnd - bodyAt, "the index belongs to the body");
    assert(wanted.length >= index.partCount, "each part is wanted or not");
    this.bytes = bytes;
    this.bodyAt = bodyAt;
    this.bodyBytes = bodyEnd - bodyAt;
    this.index = index;
    this.wanted = wanted;
    this.suffixes = suffixes;
    this.endSpan = 0;
    this.firstSpan = 0;
    this.outputBytes = 0;
    // A span brings its suffix, and at worst a longer size for itself, its scope and its resource.
    const suffixBytesMax = suffixes.reduce((most, suffix) => Math.max(most, suffix.length), 0);
    const growthMax = suffixBytesMax + 3 * FIELD_HEADER_BYTES_MAX;
    this.outputBytesMax = bodyEnd - bodyAt + index.spanCount * growthMax;
  }

  /** Gives the borrowed memory back. */
  release(): void {
    this.bytes = NOTHING;
    this.index = null;
    this.suffixes = [];
  }

  /**
   * End of the longest range from `firstSpan` on whose output fits `bytesMax`, estimated from
   * above; at least one wanted span is in it, however large, when there is one left. Each range
   * repeats the own fields around its spans. Where these are large the range may be twice as large
   * as they, and as large as the record, or a record would leave as many times its size.
   */
  planEnd(firstSpan: number, bytesMax: number): number {
    const index = this.#prepared();
    if (this.outputBytesMax <= bytesMax) return index.spanCount;
    let bytes = 0;
    let group = -1;
    let resourceAt = -1;
    let resourceBytes = 0;
    let limit = bytesMax;
    for (let span = firstSpan; span < index.spanCount; span++) {
      const size = this.#wantedBytes(index, span);
      if (size < 0) continue;
      let added = FIELD_HEADER_BYTES_MAX + size;
      const spanGroup = index.spans[span * SPAN_WORDS + SPAN_GROUP]!;
      if (spanGroup !== group) {
        const scopeBytes = this.#ownScopeBytes(index, spanGroup);
        added += FIELD_HEADER_BYTES_MAX + scopeBytes;
        group = spanGroup;
        const groupResourceAt = index.groups[group * GROUP_WORDS + GROUP_RESOURCE_AT]!;
        if (groupResourceAt !== resourceAt) {
          resourceBytes = this.#ownResourceBytes(index, group);
          added += FIELD_HEADER_BYTES_MAX + resourceBytes;
          resourceAt = groupResourceAt;
        }
        limit = Math.max(bytesMax, Math.min(2 * (resourceBytes + scopeBytes), this.bodyBytes));
      }
      if (bytes > 0 && bytes + added > limit) return span;
      bytes += added;
    }
    return index.spanCount;
  }

  /** Size of the output for the wanted spans of [firstSpan, endSpan); 0 when none is wanted. */
  measure(firstSpan: number, endSpan: number): number {
    const index = this.#prepared();
    assert(firstSpan <= endSpan, "a range of spans");
    assert(endSpan <= index.spanCount, "a range of the record's spans");
    this.firstSpan = firstSpan;
    this.endSpan = endSpan;
    this.#measureSpans(index);
    let total = 0;
    let first = 0;
    while (first < index.groupCount) {
      const end = endOfResource(index, first);
      const size = this.#measureResource(index, first, end);
      this.resourceBytes[first] = size;
      if (size > 0) total += 1 + sizeBytes(size) + size;
      first = end;
    }
    assert(total <= OUTPUT_BYTES_MAX, "a record fits a message");
    this.outputBytes = total;
    return total;
  }

  /**
   * Writes what the last measure() sized; `target` may be shared memory.
   * @returns the offset after it.
   */
  write(target: Buffer, at: number): number {
    const index = this.#prepared();
    assert(at + this.outputBytes <= target.length, "room for the output");
    let next = at;
    let first = 0;
    let span = this.firstSpan;
    while (first < index.groupCount) {
      const end = endOfResource(index, first);
      if (this.resourceBytes[first]! > 0) {
        next = writeHeader(target, next, TAG_RESOURCE_SPANS, this.resourceBytes[first]!);
        const groupAt = first * GROUP_WORDS;
        next = copyOwnFields(
          this.bytes, this.bodyAt + index.groups[groupAt + GROUP_RESOURCE_AT]!,
          this.bodyAt + index.groups[groupAt + GROUP_RESOURCE_END]!, target, next,
        );
        for (let group = first; group < end; group++) {
          if (this.scopeBytes[group] === 0) continue;
          while (index.spans[span * SPAN_WORDS + SPAN_GROUP]! < group) span++;
          next = this.#writeScope(index, group, span, target, next);
        }
      }
      first = end;
    }
    assert(next === at + this.outputBytes, "the output has the size measured");
    return next;
  }

  #prepared(): RecordIndex {
    assert(this.index !== null, "prepare() comes first");
    return this.index;
  }

  /** Size of the span's message as rendered, or -1 when it is not wanted. */
  #wantedBytes(index: RecordIndex, span: number): number {
    const at = span * SPAN_WORDS;
    const wanted = this.wanted[index.spans[at + SPAN_PART]!]!;
    if (wanted === 0) return -1;
    return index.spans[at + SPAN_BYTES]! + this.suffixes[wanted - 1]!.length;
  }

  /** Sums the wanted spans of the range by group. */
  #measureSpans(index: RecordIndex): void {
    while (this.scopeBytes.length < index.groupCount) {
      this.scopeBytes = new Uint32Array(this.scopeBytes.length * 2);
      this.resourceBytes = new Uint32Array(this.scopeBytes.length);
    }
    this.scopeBytes.fill(0, 0, index.groupCount);
    this.spanCount = 0;
    for (let span = this.firstSpan; span < this.endSpan; span++) {
      const size = this.#wantedBytes(index, span);
      if (size < 0) continue;
      const group = index.spans[span * SPAN_WORDS + SPAN_GROUP]!;
      this.scopeBytes[group] = this.scopeBytes[group]! + 1 + sizeBytes(size) + size;
      this.spanCount++;
    }
  }

  /** Completes the sizes of groups [first, end), all of one resource; answers the resource's. */
  #measureResource(index: RecordIndex, first: number, end: number): number {
    let size = 0;
    for (let group = first; group < end; group++) {
      if (this.scopeBytes[group] === 0) continue;
      const scopeBytes = this.scopeBytes[group]! + this.#ownScopeBytes(index, group);
      this.scopeBytes[group] = scopeBytes;
      size += 1 + sizeBytes(scopeBytes) + scopeBytes;
    }
    return size === 0 ? 0 : size + this.#ownResourceBytes(index, first);
  }

  #writeScope(
    index: RecordIndex, group: number, firstSpan: number, target: Buffer, at: number,
  ): number {
    const groupAt = group * GROUP_WORDS;
    let next = writeHeader(target, at, TAG_SCOPE_SPANS, this.scopeBytes[group]!);
    next = copyOwnFields(
      this.bytes, this.bodyAt + index.groups[groupAt + GROUP_SCOPE_AT]!,
      this.bodyAt + index.groups[groupAt + GROUP_SCOPE_END]!, target, next,
    );
    for (let span = firstSpan; span < this.endSpan; span++) {
      const spanAt = span * SPAN_WORDS;
      if (index.spans[spanAt + SPAN_GROUP] !== group) break;
      const wanted = this.wanted[index.spans[spanAt + SPAN_PART]!]!;
      if (wanted === 0) continue;
      const suffix = this.suffixes[wanted - 1]!;
      const bytes = index.spans[spanAt + SPAN_BYTES]!;
      const from = this.bodyAt + index.spans[spanAt + SPAN_AT]!;
      next = writeHeader(target, next, TAG_SPAN, bytes + suffix.length);
      next = copyRange(this.bytes, from, from + bytes, target, next);
      next = copyRange(suffix, 0, suffix.length, target, next);
    }
    return next;
  }

  #ownScopeBytes(index: RecordIndex, group: number): number {
    const at = group * GROUP_WORDS;
    return ownFieldsBytes(
      this.bytes, this.bodyAt + index.groups[at + GROUP_SCOPE_AT]!,
      this.bodyAt + index.groups[at + GROUP_SCOPE_END]!,
    );
  }

  #ownResourceBytes(index: RecordIndex, group: number): number {
    const at = group * GROUP_WORDS;
    return ownFieldsBytes(
      this.bytes, this.bodyAt + index.groups[at + GROUP_RESOURCE_AT]!,
      this.bodyAt + index.groups[at + GROUP_RESOURCE_END]!,
    );
  }
}

function endOfResource(index: RecordIndex, first: number): number {
  const resourceAt = index.groups[first * GROUP_WORDS + GROUP_RESOURCE_AT]!;
  let end = first + 1;
  while (end < index.groupCount
    && index.groups[end * GROUP_WORDS + GROUP_RESOURCE_AT] === resourceAt) end++;
  return end;
}

/** Size of a ResourceSpans or ScopeSpans message without the messages in its field 2. */
function ownFieldsBytes(bytes: Uint8Array, at: number, end: number): number {
  let size = 0;
  let next = at;
  while (next < end) {
    const fieldEnd = endOfField(bytes, next, end);
    if (numbers[LOW] !== TAG_CHILD) size += fieldEnd - next;
    next = fieldEnd;
  }
  return size;
}

/** Copies what ownFieldsBytes() counts, neighbouring fields together. */
function copyOwnFields(
  bytes: Uint8Array, at: number, end: number, target: Buffer, targetAt: number,
): number {
  let targetNext = targetAt;
  let copyFrom = at;
  let next = at;
  while (next < end) {
    const fieldEnd = endOfField(bytes, next, end);
    if (numbers[LOW] === TAG_CHILD) {
      targetNext = copyRange(bytes, copyFrom, next, target, targetNext);
      copyFrom = fieldEnd;
    }
    next = fieldEnd;
  }
  return copyRange(bytes, copyFrom, end, target, targetNext);
}

/** End of the field at `at`, its tag left in `read`; well-formed, because it was scanned. */
function endOfField(bytes: Uint8Array, at: number, end: number): number {
  const valueAt = readTag(bytes, at, end);
  assert(valueAt > 0, "a record is rendered as it was scanned");
  const tag = numbers[LOW]!;
  const fieldEnd = skipValue(bytes, valueAt, end, tag, 0);
  assert(fieldEnd > 0, "a record is rendered as it was scanned");
  numbers[LOW] = tag;
  return fieldEnd;
}

function copyRange(
  bytes: Uint8Array, from: number, end: number, target: Buffer, at: number,
): number {
  if (end - from > COPY_BYTES_SMALL) {
    copyBytes(bytes, from, end, target, at);
  } else {
    for (let next = from; next < end; next++) target[at + next - from] = bytes[next]!;
  }
  return at + end - from;
}

function writeHeader(target: Buffer, at: number, tag: number, size: number): number {
  target[at] = tag;
  let next = at + 1;
  let rest = size;
  while (rest >= 0x80) {
    target[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[next++] = rest;
  return next;
}

/** Bytes of a size as a varint. */
function sizeBytes(size: number): number {
  if (size < 0x80) return 1;
  if (size < 0x4000) return 2;
  if (size < 0x20_0000) return 3;
  return size < 0x1000_0000 ? 4 : 5;
}
