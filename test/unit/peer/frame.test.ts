import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, cpSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flatbuffers from "flatbuffers";
import { describe, expect, it } from "vitest";
import {
  FRAME_BYTES_MAX, FRAME_COMPLETE, FRAME_DECISION, FRAME_ENTRIES_MAX, FRAME_FINGERPRINT,
  FRAME_KINDS, FRAME_NOTE_CHARACTERS_MAX, FRAME_PART, FRAME_PREFIX_BYTES, FRAME_REMEMBERED,
  FRAME_WITNESS, FRAME_WITNESSED, FRAME_WORDS, type FrameKind,
} from "../../../engine/peer/frame-layout.ts";
import { FrameReader } from "../../../engine/peer/frame-reader.ts";
import { FrameWriter } from "../../../engine/peer/frame-writer.ts";
import { Complete } from "../../../engine/peer/generated/complete.ts";
import { Decision } from "../../../engine/peer/generated/decision.ts";
import { Fingerprint } from "../../../engine/peer/generated/fingerprint.ts";
import { Frame } from "../../../engine/peer/generated/frame.ts";
import { Part } from "../../../engine/peer/generated/part.ts";
import { Remembered } from "../../../engine/peer/generated/remembered.ts";
import { Witness } from "../../../engine/peer/generated/witness.ts";
import { Witnessed } from "../../../engine/peer/generated/witnessed.ts";
import { Random } from "../../support/random.ts";

const random = Random.fromEnvironment();
console.log(`frames: TAILRACE_SEED=${random.seed}`);

/** Entries by kind, as lists of words. */
type Model = number[][][];

function randomModel(entriesMax: number): Model {
  return FRAME_WORDS.map((size) =>
    Array.from({ length: random.below(entriesMax + 1) }, () =>
      Array.from({ length: size }, () => random.word())));
}

/** Kinds in turns, each from the middle of other words. */
function write(writer: FrameWriter, model: Model): void {
  const longest = Math.max(...model.map(({ length }) => length));
  for (let index = 0; index < longest; index++) {
    model.forEach((entries, kind) => {
      const entry = entries[index];
      if (entry === undefined) return;
      const before = random.below(5);
      const around = Uint32Array.from([...Array<number>(before).fill(7), ...entry, 7, 7]);
      writer.add(kind as FrameKind, around, before); // the model has a list for each kind
    });
  }
}

function readBack(reader: FrameReader): Model {
  return FRAME_WORDS.map((size, kind) =>
    Array.from({ length: reader.count(kind as FrameKind) }, (_, index) => {
      const at = reader.wordsAt(kind as FrameKind) + index * size;
      return [...reader.words.subarray(at, at + size)];
    }));
}

function frameOf(model: Model, note = ""): Uint8Array {
  const writer = new FrameWriter();
  write(writer, model);
  return writer.encode(1, 2, note).slice();
}

/** At an odd place of a larger memory, as a socket may give it. */
function misaligned(bytes: Uint8Array, by: number): Uint8Array {
  const memory = new Uint8Array(bytes.length + by);
  memory.set(bytes, by);
  return memory.subarray(by);
}

describe("a frame", () => {
  it("gives back every entry as it was added, whatever its alignment", () => {
    const writer = new FrameWriter();
    const reader = new FrameReader();
    for (let round = 0; round < 200; round++) {
      const model = randomModel(round % 10 === 0 ? 400 : 6);
      const note = random.chance(0.3) ? JSON.stringify({ ask: "Ωé", round }) : "";
      write(writer, model);
      const entries = model.reduce((sum, { length }) => sum + length, 0);
      expect(writer.entries).toBe(entries);
      expect(writer.isEmpty).toBe(entries === 0);
      const [epoch, sequence] = [random.word(), random.word()];
      const bytes = misaligned(writer.encode(epoch, sequence, note), round % 5);
      expect(writer).toMatchObject({ entries: 0, bytes: 0, isEmpty: true });
      expect(reader.read(bytes)).toBe(true);
      expect(reader).toMatchObject({ epoch, sequence, note, entries });
      expect(readBack(reader)).toEqual(model);
    }
  });

  it("is what the schema says: others read it by the generated code", () => {
    const model = FRAME_WORDS.map((size) => [Array.from({ length: size }, () => random.word())]);
    const bytes = frameOf(model, "{}");
    const frame = Frame.getSizePrefixedRootAsFrame(new flatbuffers.ByteBuffer(bytes));
    const part = frame.parts(0)!;
    const expected = model[FRAME_PART]![0]!;
    expect([frame.epoch(), frame.sequence(), frame.note()]).toEqual([1, 2, "{}"]);
    expect([part.id0(), part.bytes(), part.holderLane(), part.kind()])
      .toEqual([expected[0], expected[12], expected[16], expected[19]]);
    expect(frame.remembered(0)!.durationUs()).toBe(model[FRAME_REMEMBERED]![0]![12]);
    expect(frame.fingerprints(0)!.masks()).toBe(model[FRAME_FINGERPRINT]![0]![2]);
    expect(frame.complete(0)!.epoch()).toBe(model[FRAME_COMPLETE]![0]![1]);
    expect(frame.witness(0)!.place()).toBe(model[FRAME_WITNESS]![0]![14]);
    expect(frame.witnessed(0)!.place()).toBe(model[FRAME_WITNESSED]![0]![0]);
    expect(frame.decisions(0)!.atS()).toBe(model[FRAME_DECISION]![0]![13]);
  });

  it("has entries of the sizes that the generated code has", () => {
    const structs = [Remembered, Fingerprint, Part, Complete, Witness, Witnessed, Decision];
    expect(structs.map((struct) => struct.sizeOf() / 4)).toEqual(FRAME_WORDS);
    expect(FRAME_KINDS).toBe(structs.length);
  });

  it("of the most entries and the longest note is below its bound, and is read", () => {
    const writer = new FrameWriter();
    const words = new Uint32Array(20).fill(0xffffffff);
    while (!writer.isFull) writer.add(FRAME_PART, words, 0);
    expect(writer.bytes).toBe(FRAME_ENTRIES_MAX * 80);
    expect(() => writer.add(FRAME_PART, words, 0)).toThrow("a full frame is sent");
    const note = "€".repeat(FRAME_NOTE_CHARACTERS_MAX); // three bytes each
    const bytes = writer.encode(1, 1, note);
    expect(bytes.length).toBeLessThan(FRAME_BYTES_MAX);
    const reader = new FrameReader();
    expect(reader.read(bytes)).toBe(true);
    expect(reader.note).toBe(note);
    expect(reader.count(FRAME_PART)).toBe(FRAME_ENTRIES_MAX);
  });

  it("stays as it is when it was handed over, and what was gathered can be forgotten", () => {
    const writer = new FrameWriter();
    writer.add(FRAME_WITNESSED, Uint32Array.of(1), 0);
    const first = writer.encode(1, 1, "");
    const copy = first.slice();
    writer.handOver();
    writer.add(FRAME_WITNESSED, Uint32Array.of(2), 0);
    writer.encode(2, 2, "");
    expect(first).toEqual(copy);
    writer.add(FRAME_PART, new Uint32Array(20), 0);
    writer.reset();
    expect(writer).toMatchObject({ entries: 0, bytes: 0, isEmpty: true });
    const reader = new FrameReader();
    expect(reader.read(writer.encode(3, 3, ""))).toBe(true);
    expect(reader.entries).toBe(0);
  });
});

describe("bytes that are no frame", () => {
  const model = FRAME_WORDS.map((size) =>
    [Array<number>(size).fill(1), Array<number>(size).fill(2)]);
  const whole = frameOf(model, "{\"a\":1}");

  /** What is wrong with a reader after read(); empty when nothing is. */
  function faultOf(reader: FrameReader, bytes: Uint8Array, isRead: boolean): string {
    let entries = 0;
    let words = 0;
    for (let kind = 0; kind < FRAME_KINDS; kind++) {
      const count = reader.count(kind as FrameKind);
      if (reader.wordsAt(kind as FrameKind) !== words) return `kind ${kind} is elsewhere`;
      if (count * FRAME_WORDS[kind]! * 4 > bytes.length) return `kind ${kind} was not there`;
      entries += count;
      words += count * FRAME_WORDS[kind]!;
    }
    if (words > reader.words.length) return "words are missing";
    if (entries !== reader.entries || entries > FRAME_ENTRIES_MAX) return `${entries} entries`;
    const said = entries + reader.epoch + reader.sequence + reader.note.length;
    return !isRead && said !== 0 ? "something of what is no frame" : "";
  }

  /** Reads the same bytes amid others of two kinds: what lies around them must not matter. */
  function readAmid(bytes: Uint8Array): string {
    const answers = [0x11, 0xee].map((around) => {
      const memory = new Uint8Array(bytes.length + 64).fill(around);
      memory.set(bytes, 32);
      const reader = new FrameReader();
      const isRead = reader.read(memory.subarray(32, 32 + bytes.length));
      const fault = faultOf(reader, bytes, isRead);
      const { epoch, sequence, note } = reader;
      return { answer: JSON.stringify([epoch, sequence, note, readBack(reader)]), isRead, fault };
    });
    if (answers[0]!.fault !== "") return answers[0]!.fault;
    if (answers[0]!.answer !== answers[1]!.answer) return "it depends on what lies around";
    return answers[0]!.isRead === answers[1]!.isRead ? "" : "it depends on chance";
  }

  it("are refused when they were cut at any byte", () => {
    const reader = new FrameReader();
    for (let end = 0; end < whole.length; end++) {
      const cut = whole.slice(0, end);
      expect(reader.read(cut), `cut at ${end}`).toBe(false);
      expect(faultOf(reader, cut, false)).toBe("");
      if (end < FRAME_PREFIX_BYTES) continue;
      new DataView(cut.buffer).setUint32(0, end - FRAME_PREFIX_BYTES, true); // a size that agrees
      expect(readAmid(cut), `cut at ${end} with its size`).toBe("");
    }
  });

  it("never throw and never read outside, with any byte changed", () => {
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 4, 0x7f, 0x80, 0xff, whole[at]! ^ 0x10, whole[at]! + 1]) {
        const bytes = whole.slice();
        bytes[at] = value;
        const fault = readAmid(bytes);
        if (fault !== "") expect.fail(`byte ${at} as ${value}: ${fault}`);
      }
    }
  });

  it("never throw with several bytes changed by chance, or made of chance alone", () => {
    const reader = new FrameReader();
    for (let round = 0; round < 100_000; round++) {
      const isChance = round % 4 === 0;
      const bytes = isChance ? new Uint8Array(random.below(200)) : whole.slice();
      // Most changes where the tables are: they decide what is looked at.
      const within = random.chance(0.7) ? Math.min(bytes.length, 120) : bytes.length;
      for (let change = isChance ? bytes.length : 1 + random.below(8); change > 0; change--) {
        bytes[random.below(within)] = random.chance(0.5) ? random.below(16) : random.below(256);
      }
      if (isChance && bytes.length >= FRAME_PREFIX_BYTES && random.chance(0.8)) {
        new DataView(bytes.buffer).setUint32(0, bytes.length - FRAME_PREFIX_BYTES, true);
      }
      const fault = faultOf(reader, bytes, reader.read(bytes));
      if (fault !== "") expect.fail(`round ${round}: ${fault}: ${bytes.join(" ")}`);
    }
  });

  it.each([
    [FRAME_ENTRIES_MAX / 2, true], [FRAME_ENTRIES_MAX / 2 + 1, false],
  ])("say no more than a frame may with two vectors in the same bytes: %i entries", (count, ok) => {
    const entries = Array.from({ length: count }, () => [5, 5, 5]);
    const bytes = frameOf(FRAME_WORDS.map((_, kind) =>
      kind === FRAME_FINGERPRINT ? entries : kind === FRAME_WITNESSED ? [[5]] : []));
    const view = new DataView(bytes.buffer);
    const table = 4 + view.getInt32(4, true);
    const vtable = table - view.getInt32(table, true);
    const [fingerprints, witnessed] = [10, 18].map((field) => {
      return table + view.getUint16(vtable + field, true);
    }) as [number, number];
    const vector = fingerprints + view.getUint32(fingerprints, true);
    view.setUint32(witnessed, vector - witnessed, true);
    expect(new FrameReader().read(bytes)).toBe(ok);
  });
});

describe("the generated code", () => {
  const compiler = spawnSync("flatc", ["--version"], { encoding: "utf8" });
  const isInstalled = compiler.status === 0 && compiler.stdout.includes("2.0.8");

  it.skipIf(!isInstalled)("is what the script makes of the schema", () => {
    const root = mkdtempSync(join(tmpdir(), "tailrace-frames-"));
    try {
      for (const path of ["engine/peer", "scripts/generate-frames.sh"]) {
        cpSync(path, join(root, path), { recursive: true });
      }
      execFileSync("bash", ["scripts/generate-frames.sh"], { cwd: root });
      const folder = "engine/peer/generated";
      expect(readdirSync(join(root, folder))).toEqual(readdirSync(folder));
      for (const name of readdirSync(folder)) {
        expect(readFileSync(join(root, folder, name), "utf8"), name)
          .toBe(readFileSync(join(folder, name), "utf8"));
      }
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
