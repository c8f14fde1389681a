import { describe, expect, it } from "vitest";
import {
  FLAG_ROOT, PART_BITS_0, PART_BITS_1, PART_BYTES, PART_END_HIGH, PART_END_LOW, PART_FLAGS,
  PART_SPANS, PART_START_HIGH, PART_START_LOW, PART_WORDS,
} from "../../../engine/part/part-layout.ts";
import {
  GROUP_WORDS, RECORD_INDEX_VERSION, RecordIndex, REGISTER_SPAN_AT, SPAN_GROUP, SPAN_PART,
  SPAN_WORDS,
} from "../../../engine/wire/record-index.ts";
import { Random } from "../../support/random.ts";
import { plainParts, type PlainPart } from "../../support/scan-check.ts";

interface SpanNumbers {
  readonly id: readonly number[];
  readonly startNs?: bigint;
  readonly endNs?: bigint;
  readonly bits?: bigint;
  readonly flags?: number;
  readonly at?: number;
  readonly bytes?: number;
}

function newIndex(spansMax = 100_000): RecordIndex {
  return new RecordIndex({ spansMax, hashSeed: 7 });
}

function add(index: RecordIndex, span: SpanNumbers): boolean {
  const registers = index.registers;
  const high = (value = 0n): number => Number(value >> 32n);
  const low = (value = 0n): number => Number(value & 0xffff_ffffn);
  registers.set(span.id);
  registers[PART_START_HIGH] = high(span.startNs);
  registers[PART_START_LOW] = low(span.startNs);
  registers[PART_END_HIGH] = high(span.endNs);
  registers[PART_END_LOW] = low(span.endNs);
  registers[PART_BITS_0] = low(span.bits);
  registers[PART_BITS_1] = high(span.bits);
  registers[PART_FLAGS] = span.flags ?? 0;
  registers[PART_SPANS] = 0xdead_beef; // not read
  registers[PART_BYTES] = span.bytes ?? 10;
  registers[REGISTER_SPAN_AT] = span.at ?? 0;
  return index.addSpan();
}

function encoded(index: RecordIndex): Uint8Array {
  const bytes = new Uint8Array(index.encodedBytes());
  expect(index.encodeInto(bytes, 0)).toBe(bytes.length);
  return bytes;
}

function contents(index: RecordIndex): unknown {
  return {
    parts: [...index.parts.subarray(0, index.partCount * PART_WORDS)],
    spans: [...index.spans.subarray(0, index.spanCount * SPAN_WORDS)],
    groups: [...index.groups.subarray(0, index.groupCount * GROUP_WORDS)],
    format: index.format,
  };
}

describe("RecordIndex folding", () => {
  it("numbers parts by first appearance of the trace id", () => {
    const index = newIndex();
    index.beginGroup(0, 100, 10, 90);
    for (const last of [3, 1, 3, 2, 1]) expect(add(index, { id: [0, 0, 0, last] })).toBe(true);
    expect(plainParts(index).map(({ traceId }) => traceId.at(-1))).toEqual(["3", "1", "2"]);
    expect(plainParts(index).map(({ spans }) => spans)).toEqual([2, 2, 1]);
    const parts = [0, 1, 2, 3, 4].map((span) => index.spans[span * SPAN_WORDS + SPAN_PART]);
    expect(parts).toEqual([0, 1, 0, 2, 1]);
  });

  it("keeps the earliest start, the latest end, all bits and flags, and sums", () => {
    const index = newIndex();
    index.beginGroup(0, 100, 10, 90);
    const id = [1, 2, 3, 4];
    const high = 2n ** 63n;
    add(index, { id, startNs: high + 5n, endNs: 9n, bits: 1n, flags: FLAG_ROOT, bytes: 7 });
    add(index, { id, startNs: high + 4n, endNs: high, bits: 1n << 63n, flags: 8, bytes: 8 });
    add(index, { id, startNs: high + 2n ** 32n, endNs: 2n ** 32n, bits: 1n << 32n, bytes: 9 });
    expect(plainParts(index)).toEqual([{
      traceId: "00000001000000020000000300000004", startNs: high + 4n, endNs: high,
      bits: 1n | (1n << 63n) | (1n << 32n), flags: FLAG_ROOT | 8, spans: 3, bytes: 24,
    }]);
  });

  it("does not take a start of 0, which means none, for the earliest", () => {
    for (const starts of [[0n, 5n, 0n, 3n], [5n, 0n, 3n], [3n, 0n], [0n, 3n], [2n ** 40n, 3n]]) {
      const index = newIndex();
      index.beginGroup(0, 1, 0, 1);
      for (const startNs of starts) add(index, { id: [1, 1, 1, 1], startNs });
      expect(plainParts(index)[0]!.startNs).toBe(3n);
    }
    const index = newIndex();
    index.beginGroup(0, 1, 0, 1);
    add(index, { id: [1, 1, 1, 1], startNs: 0n });
    add(index, { id: [1, 1, 1, 1], startNs: 0n });
    expect(plainParts(index)[0]!.startNs).toBe(0n);
  });

  it("folds as a plain map does, payload after payload in the same memory", () => {
    const random = Random.fromEnvironment();
    console.log(`record-index: TAILRACE_SEED=${random.seed}`);
    const index = newIndex();
    index.epoch = 0xffff_fffd; // wraps after a few payloads
    for (let round = 0; round < 12; round++) {
      index.reset();
      index.beginGroup(0, 1, 0, 1);
      const plain = new Map<string, { -readonly [name in keyof PlainPart]: PlainPart[name] }>();
      const traces = 1 + random.below(round === 5 ? 5_000 : 40);
      for (let span = random.below(traces * 3); span >= 0; span--) {
        const id = [random.below(3), 0, 0xffff_0000, random.below(traces)];
        const startNs = random.chance(0.1) ? 0n : BigInt(random.word()) * 77n + 1n;
        const endNs = BigInt(random.word()) * 99n;
        const bits = 1n << BigInt(random.below(64));
        const flags = random.below(16);
        add(index, { id, startNs, endNs, bits, flags, bytes: 3 });
        const traceId = id.map((word) => word.toString(16).padStart(8, "0")).join("");
        const part = plain.get(traceId);
        if (part === undefined) {
          plain.set(traceId, { traceId, startNs, endNs, bits, flags, spans: 1, bytes: 3 });
          continue;
        }
        if (startNs !== 0n && (part.startNs === 0n || startNs < part.startNs)) {
          part.startNs = startNs;
        }
        if (endNs > part.endNs) part.endNs = endNs;
        part.bits |= bits;
        part.flags |= flags;
        part.spans++;
        part.bytes += 3;
      }
      expect(plainParts(index)).toEqual([...plain.values()]);
    }
  });

  it("forgets a payload entirely, also when its count of payloads wraps", () => {
    const index = newIndex();
    const ids = Array.from({ length: 40 }, (_, number) => [0, 0, 0, number]);
    const fill = (order: readonly number[][]): void => {
      index.reset();
      index.beginGroup(0, 1, 0, 1);
      for (const id of order) add(index, { id });
      expect(plainParts(index).map(({ traceId }) => Number.parseInt(traceId, 16)))
        .toEqual(order.map((id) => id[3]));
    };
    for (let payload = 0; payload < 5; payload++) fill(ids);
    index.epoch = 0xffff_fffe;
    for (let payload = 0; payload < 6; payload++) fill([[0, 0, 0, 99]]);
    for (let payload = 0; payload < 8; payload++) fill(ids.toReversed().slice(payload * 4));
  });

  it("takes spansMax spans and not one more", () => {
    const index = newIndex(3);
    index.beginGroup(0, 1, 0, 1);
    for (let span = 0; span < 3; span++) expect(add(index, { id: [1, 0, 0, span] })).toBe(true);
    expect(add(index, { id: [1, 0, 0, 9] })).toBe(false);
    expect(index.spanCount).toBe(3);
    expect(index.partCount).toBe(3);
    index.reset();
    index.beginGroup(0, 1, 0, 1);
    expect(add(index, { id: [1, 0, 0, 9] })).toBe(true);
  });

  it("counts a group only when it gets a span", () => {
    const index = newIndex();
    index.beginGroup(1, 2, 3, 4);
    index.beginGroup(5, 6, 7, 8);
    add(index, { id: [1, 0, 0, 0], at: 7, bytes: 1 });
    add(index, { id: [1, 0, 0, 0], at: 8, bytes: 0 });
    index.beginGroup(9, 10, 11, 12);
    index.beginGroup(13, 20, 15, 18);
    add(index, { id: [1, 0, 0, 0], at: 15, bytes: 2 });
    index.beginGroup(17, 18, 19, 20);
    expect(index.groupCount).toBe(2);
    expect([...index.groups.subarray(0, 16)])
      .toEqual([5, 6, 7, 8, 0, 0, 0, 0, 13, 20, 15, 18, 0, 0, 0, 0]);
    expect([...index.spans.subarray(0, 12)]).toEqual([7, 1, 0, 0, 8, 0, 0, 0, 15, 2, 0, 1]);
    expect(index.payloadBytesMin()).toBe(20);
  });

  it("grows its memory only to what payloads needed", () => {
    const index = newIndex();
    const before = index.bytes();
    for (let round = 0; round < 50; round++) {
      index.reset();
      for (let span = 0; span < 64; span++) {
        index.beginGroup(0, 1, 0, 1);
        add(index, { id: [round, 0, 0, span % 60] });
      }
    }
    expect(index.bytes()).toBeLessThan(before * 2);
  });
});

describe("RecordIndex in the log", () => {
  function filled(): RecordIndex {
    const index = newIndex();
    index.format = 1;
    for (let group = 0; group < 3; group++) {
      index.beginGroup(group * 100, group * 100 + 99, group * 100 + 10, group * 100 + 90);
      for (let span = 0; span < 4; span++) {
        const at = group * 100 + 20 + span;
        add(index, { id: [span, 0, 0, 1], at, bytes: 1, startNs: 5n, bits: 3n });
      }
    }
    return index;
  }

  it("is read back as it was written, at any alignment", () => {
    const index = filled();
    const bytes = encoded(index);
    for (let at = 0; at < 5; at++) {
      const target = new Uint8Array(bytes.length + 16).fill(0xee);
      expect(index.encodeInto(target, at)).toBe(at + bytes.length);
      const copy = newIndex();
      expect(copy.decodeFrom(target, at, at + bytes.length)).toBe(true);
      expect(contents(copy)).toEqual(contents(index));
      expect(copy.payloadBytesMin()).toBe(299);
    }
  });

  it("is read as version 1 wrote it, with groups of four words", () => {
    const index = filled();
    const bytes = encoded(index);
    const groupsAt = bytes.length - index.groupCount * 32;
    const old = [...bytes.subarray(0, groupsAt)];
    for (let at = groupsAt; at < bytes.length; at += 32) old.push(...bytes.subarray(at, at + 16));
    old[0] = 1;
    const copy = newIndex();
    expect(copy.decodeFrom(Uint8Array.from(old), 0, old.length)).toBe(true);
    expect(contents(copy)).toEqual(contents(index));
    expect(copy.decodeFrom(Uint8Array.from(old), 0, old.length - 16)).toBe(false);
  });

  it("is read into memory that grows for it, and again after smaller ones", () => {
    const large = newIndex();
    large.beginGroup(0, 9, 0, 9);
    for (let span = 0; span < 3_000; span++) add(large, { id: [1, 2, 3, span] });
    const copy = newIndex();
    expect(copy.decodeFrom(encoded(large), 0, large.encodedBytes())).toBe(true);
    expect(contents(copy)).toEqual(contents(large));
    const small = filled();
    expect(copy.decodeFrom(encoded(small), 0, small.encodedBytes())).toBe(true);
    expect(contents(copy)).toEqual(contents(small));
  });

  it("refuses a value cut or extended by any byte", () => {
    const bytes = encoded(filled());
    const copy = newIndex();
    for (let end = 0; end < bytes.length; end++) expect(copy.decodeFrom(bytes, 0, end)).toBe(false);
    const longer = new Uint8Array(bytes.length + 4);
    longer.set(bytes);
    expect(copy.decodeFrom(longer, 0, longer.length)).toBe(false);
    expect(copy.partCount + copy.spanCount + copy.groupCount).toBe(0);
  });

  it("refuses another version, impossible counts, and numbers that point outside", () => {
    const original = encoded(filled());
    const words = new Uint32Array(original.buffer);
    const spansAt = 5 + 4 * PART_WORDS;
    const changes: [number, number][] = [
      [0, RECORD_INDEX_VERSION + 1], [1, 0xffff_ffff], [2, 0xffff_ffff], [3, 0], [1, 5],
      [spansAt + SPAN_PART, 1], [spansAt + SPAN_PART, 4], [spansAt + SPAN_GROUP, 3],
      [spansAt + 5 * SPAN_WORDS + SPAN_GROUP, 0],
      [spansAt + 3 * SPAN_WORDS + SPAN_PART, 0xffff_ffff],
    ];
    const copy = newIndex();
    for (const [at, value] of changes) {
      const before = words[at]!;
      words[at] = value;
      expect(copy.decodeFrom(original, 0, original.length), `word ${at}`).toBe(false);
      expect(copy.spanCount).toBe(0);
      words[at] = before;
    }
    expect(copy.decodeFrom(original, 0, original.length)).toBe(true);
    for (const span of [3, 7, 11]) words[spansAt + span * SPAN_WORDS + SPAN_PART] = 0;
    expect(copy.decodeFrom(original, 0, original.length), "a part without spans").toBe(false);
  });
});
