// What one scanned payload says, as numbers: its traces folded into parts, and where its spans lie.
// Format independent: a scanner fills `registers` for a span and calls addSpan().
//
// Part (PART_WORDS u32): see part-layout. Numbered by first appearance of its trace id in the
// payload, whatever the policies, so that folding a record again gives the same numbers.
// Span (SPAN_WORDS u32):  [0] at | [1] bytes | [2] part | [3] group       in payload order
// Group (GROUP_WORDS u32): [0] resource at | [1] its end | [2] scope at | [3] its end
//   | [4] schema URL of the resource at | [5] its end | [6] that of the scope at | [7] its end
//   What resource and scope cover is the format's own: whole messages in protobuf, the values of
//   these names in JSON. Only formats that cannot find schema URLs there use words 4 to 7.
// All offsets are relative to the payload's first byte. A group has at least one span; the spans of
// a group are neighbours, and so are the groups of a resource.
//
// Value kept in the log, little-endian u32 words:
// [version, part count, span count, group count, format] parts.. spans.. groups..
// Version 1 has groups of 4 words.

import { endianness } from "node:os";
import { assert } from "../base/assert.ts";
import {
  PART_BITS_0, PART_BITS_1, PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS, PART_SPANS,
  PART_START_HIGH, PART_START_LOW, PART_WORDS,
} from "../part/part-layout.ts";
import { hashTraceId } from "../hash/trace-hash.ts";

export const SPAN_AT = 0;
export const SPAN_BYTES = 1;
export const SPAN_PART = 2;
export const SPAN_GROUP = 3;
export const SPAN_WORDS = 4;

export const GROUP_RESOURCE_AT = 0;
export const GROUP_RESOURCE_END = 1;
export const GROUP_SCOPE_AT = 2;
export const GROUP_SCOPE_END = 3;
export const GROUP_RESOURCE_SCHEMA_AT = 4;
export const GROUP_RESOURCE_SCHEMA_END = 5;
export const GROUP_SCOPE_SCHEMA_AT = 6;
export const GROUP_SCOPE_SCHEMA_END = 7;
export const GROUP_WORDS = 8;

/** Registers 0..PART_WORDS-1 are the span as a part of one span; PART_SPANS is not read. */
export const REGISTER_SPAN_AT = PART_WORDS;
export const REGISTER_WORDS = PART_WORDS + 1;

export const RECORD_INDEX_VERSION = 2;
/** Its groups have the first GROUP_WORDS_1 words only. */
const RECORD_INDEX_VERSION_1 = 1;
const GROUP_WORDS_1 = 4;
const HEADER_WORDS = 5;
const SLOT_WORDS = 2;
const WORD_BYTES = 4;

const PARTS_FIRST = 64;
const SPANS_FIRST = 256;
const GROUPS_FIRST = 16;
const U32_MAX = 0xffff_ffff;

// Rebound: imported bindings are live and cost a check where they are used as index arithmetic.
const PART = PART_WORDS;
const START_HIGH = PART_START_HIGH;
const START_LOW = PART_START_LOW;
const END_HIGH = PART_END_HIGH;
const END_LOW = PART_END_LOW;
const BITS_0 = PART_BITS_0;
const BITS_1 = PART_BITS_1;
const FLAGS = PART_FLAGS;
const SPANS = PART_SPANS;
const BYTES = PART_BYTES;
const REGISTER_AT = PART_WORDS;

assert(endianness() === "LE", "the log's words are little-endian and copied as memory");

export interface RecordIndexOptions {
  /** Spans one payload may have; addSpan() answers false past it. */
  readonly spansMax: number;
  /** Seed of the hash over trace ids; any u32. Random per process against chosen collisions. */
  readonly hashSeed: number;
}

/** One payload's parts, spans and groups. Reused per payload; one thread. */
export class RecordIndex {
  /** PART_WORDS each; replaced when it grows, so do not keep it. */
  parts: Uint32Array;
  partCount: number;
  /** SPAN_WORDS each; replaced when it grows, so do not keep it. */
  spans: Uint32Array;
  spanCount: number;
  /** GROUP_WORDS each; replaced when it grows, so do not keep it. */
  groups: Uint32Array;
  groupCount: number;
  /** Spans of the payload without valid ids: counted, not indexed, never forwarded. */
  refusedSpans: number;
  /** Format of the payload, see payload-layout; the scanner sets it. */
  format: number;
  /** Numbers of the span that addSpan() adds: REGISTER_WORDS. No number travels as an argument,
   *  because one above 2^31 would be allocated. */
  readonly registers: Uint32Array;
  readonly spansMax: number;
  readonly hashSeed: number;
  // Open addressing, linear probing, at most half full; part numbers by trace id.
  // Slot: [0] epoch, an older one means empty | [1] part
  slots: Uint32Array;
  slotMask: number;
  epoch: number;
  groupHasSpan: boolean;
  /** Part of the last span: spans of a trace mostly come together. */
  lastPart: number;

  constructor(options: RecordIndexOptions) {
    assert(Number.isInteger(options.spansMax), "spansMax is a whole number");
    assert(options.spansMax >= 1, "a payload may have a span");
    assert(options.spansMax <= 1 << 24, "part numbers fit the 24 bits of a part link");
    this.parts = new Uint32Array(PARTS_FIRST * PART);
    this.partCount = 0;
    this.spans = new Uint32Array(SPANS_FIRST * SPAN_WORDS);
    this.spanCount = 0;
    this.groups = new Uint32Array(GROUPS_FIRST * GROUP_WORDS);
    this.groupCount = 0;
    this.refusedSpans = 0;
    this.format = 0;
    this.registers = new Uint32Array(REGISTER_WORDS);
    this.spansMax = options.spansMax;
    this.hashSeed = options.hashSeed >>> 0;
    this.slots = new Uint32Array(PARTS_FIRST * 2 * SLOT_WORDS);
    this.slotMask = PARTS_FIRST * 2 - 1;
    this.epoch = 1;
    this.groupHasSpan = true;
    this.lastPart = 0;
  }

  /** Forgets the payload; keeps the memory. O(1). */
  reset(): void {
    this.partCount = 0;
    this.spanCount = 0;
    this.groupCount = 0;
    this.refusedSpans = 0;
    this.format = 0;
    this.groupHasSpan = true;
    this.#nextEpoch();
  }

  /** Memory held now, for the memory budget. It grows with payloads up to spansMax and stays. */
  bytes(): number {
    const words = this.parts.length + this.spans.length + this.groups.length + this.slots.length;
    return words * WORD_BYTES;
  }

  /**
   * Opens the group that the next spans belong to: offsets of the resource and of the scope around
   * them, relative to the payload. A group that gets no span leaves no trace.
   */
  beginGroup(resourceAt: number, resourceEnd: number, scopeAt: number, scopeEnd: number): void {
    const at = this.groupCount * GROUP_WORDS;
    if (at === this.groups.length) this.groups = doubled(this.groups);
    const groups = this.groups;
    groups[at + GROUP_RESOURCE_AT] = resourceAt;
    groups[at + GROUP_RESOURCE_END] = resourceEnd;
    groups[at + GROUP_SCOPE_AT] = scopeAt;
    groups[at + GROUP_SCOPE_END] = scopeEnd;
    for (let word = GROUP_RESOURCE_SCHEMA_AT; word < GROUP_WORDS; word++) groups[at + word] = 0;
    this.groupHasSpan = false;
  }

  /**
   * Adds the span in `registers` to the open group and folds it into the part of its trace.
   * @returns false when the payload has spansMax spans already; nothing is added then.
   */
  addSpan(): boolean {
    const span = this.spanCount;
    if (span === this.spansMax) return false;
    if (!this.groupHasSpan) {
      this.groupCount++;
      this.groupHasSpan = true;
    }
    const at = span * SPAN_WORDS;
    if (at === this.spans.length) this.spans = doubled(this.spans);
    const part = this.#foldRegisters();
    const spans = this.spans;
    const registers = this.registers;
    spans[at + SPAN_AT] = registers[REGISTER_AT]!;
    spans[at + SPAN_BYTES] = registers[BYTES]!;
    spans[at + SPAN_PART] = part;
    spans[at + SPAN_GROUP] = this.groupCount - 1;
    this.spanCount = span + 1;
    return true;
  }

  /** Size of the value that encodeInto() writes. */
  encodedBytes(): number {
    return (HEADER_WORDS + this.partCount * PART + this.spanCount * SPAN_WORDS
      + this.groupCount * GROUP_WORDS) * WORD_BYTES;
  }

  /**
   * Writes the value kept in the log, encodedBytes() long, at any alignment.
   * @returns the offset after it.
   */
  encodeInto(target: Uint8Array, at: number): number {
    assert(at + this.encodedBytes() <= target.length, "room for the record index");
    const header = Uint32Array.of(
      RECORD_INDEX_VERSION, this.partCount, this.spanCount, this.groupCount, this.format,
    );
    let end = copyWords(header, HEADER_WORDS, target, at);
    end = copyWords(this.parts, this.partCount * PART, target, end);
    end = copyWords(this.spans, this.spanCount * SPAN_WORDS, target, end);
    return copyWords(this.groups, this.groupCount * GROUP_WORDS, target, end);
  }

  /**
   * Reads a value that encodeInto() wrote, in place of what this index held. Only for reading: the
   * hash table stays empty, so call reset() before adding spans again.
   * @returns false, and an empty index, when bytes[at, end) is no such value: another version,
   * counts that do not fill it exactly, or numbers that point outside of it.
   */
  decodeFrom(bytes: Uint8Array, at: number, end: number): boolean {
    this.reset();
    if (end - at < HEADER_WORDS * WORD_BYTES) return false;
    const header = new Uint32Array(HEADER_WORDS);
    copyFrom(bytes, at, header, HEADER_WORDS);
    const version = header[0];
    if (version !== RECORD_INDEX_VERSION && version !== RECORD_INDEX_VERSION_1) return false;
    const groupWords = version === RECORD_INDEX_VERSION_1 ? GROUP_WORDS_1 : GROUP_WORDS;
    const partCount = header[1]!;
    const spanCount = header[2]!;
    const groupCount = header[3]!;
    const words = HEADER_WORDS + partCount * PART + spanCount * SPAN_WORDS
      + groupCount * groupWords;
    if (end - at !== words * WORD_BYTES) return false;
    this.parts = grownTo(this.parts, partCount * PART);
    this.spans = grownTo(this.spans, spanCount * SPAN_WORDS);
    this.groups = grownTo(this.groups, groupCount * GROUP_WORDS);
    let next = copyFrom(bytes, at + HEADER_WORDS * WORD_BYTES, this.parts, partCount * PART);
    next = copyFrom(bytes, next, this.spans, spanCount * SPAN_WORDS);
    copyFrom(bytes, next, this.groups, groupCount * groupWords);
    if (version === RECORD_INDEX_VERSION_1) widenGroups(this.groups, groupCount);
    if (!numbersInOrder(this.spans, spanCount, SPAN_PART, partCount, false)) return false;
    if (!numbersInOrder(this.spans, spanCount, SPAN_GROUP, groupCount, true)) return false;
    this.partCount = partCount;
    this.spanCount = spanCount;
    this.groupCount = groupCount;
    this.format = header[4]!;
    return true;
  }

  /** Bytes of payload that the offsets need; a renderer checks it before it reads. */
  payloadBytesMin(): number {
    let bytes = 0;
    for (let at = 0; at < this.spanCount * SPAN_WORDS; at += SPAN_WORDS) {
      bytes = Math.max(bytes, this.spans[at + SPAN_AT]! + this.spans[at + SPAN_BYTES]!);
    }
    for (let at = 0; at < this.groupCount * GROUP_WORDS; at += GROUP_WORDS) {
      for (let end = at + GROUP_RESOURCE_END; end < at + GROUP_WORDS; end += 2) {
        bytes = Math.max(bytes, this.groups[end]!);
      }
    }
    return bytes;
  }

  /** Folds the registers into the part of their trace; answers its number. */
  #foldRegisters(): number {
    let part = this.lastPart;
    if (this.partCount === 0 || !sameId(this.parts, part * PART, this.registers)) {
      part = this.#findPart();
      this.lastPart = part;
      if (part === this.partCount) {
        this.#addPart(part);
        return part;
      }
    }
    foldSpan(this.parts, part * PART, this.registers);
    return part;
  }

  /** Number of the part of the registers' trace; a new one is entered into the table. */
  #findPart(): number {
    const registers = this.registers;
    const slots = this.slots;
    const mask = this.slotMask;
    let slot = hashTraceId(registers, 0, this.hashSeed) & mask;
    while (slots[slot * SLOT_WORDS] === this.epoch) {
      const part = slots[slot * SLOT_WORDS + 1]!;
      if (sameId(this.parts, part * PART, registers)) return part;
      slot = (slot + 1) & mask;
    }
    slots[slot * SLOT_WORDS] = this.epoch;
    slots[slot * SLOT_WORDS + 1] = this.partCount;
    return this.partCount;
  }

  #addPart(part: number): void {
    const at = part * PART;
    if (at === this.parts.length) this.parts = doubled(this.parts);
    const parts = this.parts;
    const registers = this.registers;
    for (let word = 0; word < PART; word++) parts[at + word] = registers[word]!;
    parts[at + SPANS] = 1;
    this.partCount = part + 1;
    if (this.partCount * 2 > this.slotMask) this.#growSlots();
  }

  #growSlots(): void {
    this.slots = new Uint32Array(this.slots.length * 2);
    this.slotMask = this.slotMask * 2 + 1;
    for (let part = 0; part < this.partCount; part++) {
      let slot = hashTraceId(this.parts, part * PART, this.hashSeed) & this.slotMask;
      while (this.slots[slot * SLOT_WORDS] === this.epoch) slot = (slot + 1) & this.slotMask;
      this.slots[slot * SLOT_WORDS] = this.epoch;
      this.slots[slot * SLOT_WORDS + 1] = part;
    }
  }

  #nextEpoch(): void {
    if (this.epoch === U32_MAX) {
      this.slots.fill(0);
      this.epoch = 0;
    }
    this.epoch++;
  }
}

function sameId(parts: Uint32Array, at: number, registers: Uint32Array): boolean {
  return parts[at] === registers[0] && parts[at + 1] === registers[1]
    && parts[at + 2] === registers[2] && parts[at + 3] === registers[3];
}

/** Start 0 means that the span has none: it never becomes the earliest of a part that has one. */
function foldSpan(parts: Uint32Array, at: number, registers: Uint32Array): void {
  const startHigh = registers[START_HIGH]!;
  const startLow = registers[START_LOW]!;
  const earliestHigh = parts[at + START_HIGH]!;
  const earliestLow = parts[at + START_LOW]!;
  const earlier = startHigh < earliestHigh
    || (startHigh === earliestHigh && startLow < earliestLow);
  if ((earlier && (startHigh | startLow) !== 0) || (earliestHigh | earliestLow) === 0) {
    parts[at + START_HIGH] = startHigh;
    parts[at + START_LOW] = startLow;
  }
  const endHigh = registers[END_HIGH]!;
  const endLow = registers[END_LOW]!;
  const latestHigh = parts[at + END_HIGH]!;
  if (endHigh > latestHigh || (endHigh === latestHigh && endLow > parts[at + END_LOW]!)) {
    parts[at + END_HIGH] = endHigh;
    parts[at + END_LOW] = endLow;
  }
  parts[at + BITS_0] = parts[at + BITS_0]! | registers[BITS_0]!;
  parts[at + BITS_1] = parts[at + BITS_1]! | registers[BITS_1]!;
  parts[at + FLAGS] = parts[at + FLAGS]! | registers[FLAGS]!;
  parts[at + SPANS] = parts[at + SPANS]! + 1;
  parts[at + BYTES] = parts[at + BYTES]! + registers[BYTES]!;
}

/** Numbers of a span column appear in ascending order of first use, all of them, below `count`. */
function numbersInOrder(
  spans: Uint32Array, spanCount: number, column: number, count: number, neighbours: boolean,
): boolean {
  let next = 0;
  for (let at = 0; at < spanCount * SPAN_WORDS; at += SPAN_WORDS) {
    const number = spans[at + column]!;
    if (number > next) return false;
    if (number === next) next++;
    else if (neighbours && number !== next - 1) return false;
  }
  return next === count;
}

/** Moves groups of version 1 apart, in place, last first. */
function widenGroups(groups: Uint32Array, count: number): void {
  for (let group = count - 1; group >= 0; group--) {
    const from = group * GROUP_WORDS_1;
    groups.copyWithin(group * GROUP_WORDS, from, from + GROUP_WORDS_1);
    groups.fill(0, group * GROUP_WORDS + GROUP_WORDS_1, (group + 1) * GROUP_WORDS);
  }
}

function copyWords(words: Uint32Array, count: number, target: Uint8Array, at: number): number {
  target.set(new Uint8Array(words.buffer, words.byteOffset, count * WORD_BYTES), at);
  return at + count * WORD_BYTES;
}

function copyFrom(bytes: Uint8Array, at: number, words: Uint32Array, count: number): number {
  const target = new Uint8Array(words.buffer, words.byteOffset, count * WORD_BYTES);
  target.set(bytes.subarray(at, at + count * WORD_BYTES));
  return at + count * WORD_BYTES;
}

function doubled(words: Uint32Array): Uint32Array {
  const larger = new Uint32Array(words.length * 2);
  larger.set(words);
  return larger;
}

function grownTo(words: Uint32Array, count: number): Uint32Array {
  let grown = words;
  while (grown.length < count) grown = doubled(grown);
  return grown;
}
