// Gathers entries, then writes them as one frame. Memory is reused: nothing is allocated an entry.

import * as flatbuffers from "flatbuffers";
import { assert } from "../base/assert.ts";
import { Frame } from "./generated/frame.ts";
import {
  FRAME_ENTRIES_MAX, FRAME_KINDS, FRAME_NOTE_CHARACTERS_MAX, FRAME_WORDS, type FrameKind,
} from "./frame-layout.ts";

/** Most batches are small; columns and the builder's memory double where they are not. */
const FIRST_WORDS = 256;
const BUILDER_BYTES = 64 * 1024;

/** A batch for one node and stream. Used by one thread. */
export class FrameWriter {
  readonly #words = FRAME_WORDS.map(() => new Uint32Array(FIRST_WORDS));
  readonly #counts = new Uint32Array(FRAME_KINDS);
  readonly #vectors = new Int32Array(FRAME_KINDS);
  #builder = new flatbuffers.Builder(BUILDER_BYTES);
  /** Entries gathered so far; at most FRAME_ENTRIES_MAX. */
  entries = 0;
  /** Bytes of these entries. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.entries === 0;
  }

  get isFull(): boolean {
    return this.entries >= FRAME_ENTRIES_MAX;
  }

  /** Copies the entry at words[at..], as many words as its kind has. Not when it is full. */
  add(kind: FrameKind, words: Uint32Array, at: number): void {
    assert(this.entries < FRAME_ENTRIES_MAX, "a full frame is sent before the next entry");
    const size = FRAME_WORDS[kind]!;
    const to = this.#counts[kind]! * size;
    let own = this.#words[kind]!;
    if (to + size > own.length) own = this.#grow(kind);
    for (let word = 0; word < size; word++) own[to + word] = words[at + word]!;
    this.#counts[kind]!++;
    this.entries++;
    this.bytes += size * 4;
  }

  #grow(kind: FrameKind): Uint32Array<ArrayBuffer> {
    const former = this.#words[kind]!;
    const grown = new Uint32Array(former.length * 2);
    grown.set(former);
    this.#words[kind] = grown;
    return grown;
  }

  /** Forgets what was gathered. */
  reset(): void {
    this.#counts.fill(0);
    this.entries = 0;
    this.bytes = 0;
  }

  /**
   * Writes what was gathered; the writer is empty then.
   * @param note JSON, at most FRAME_NOTE_CHARACTERS_MAX.
   * @returns the frame behind its size, borrowed until the next one; see handOver.
   */
  encode(epoch: number, sequence: number, note: string): Uint8Array {
    const builder = this.#builder;
    builder.clear();
    assert(note.length <= FRAME_NOTE_CHARACTERS_MAX, "a note has a bound, as entries have");
    const noteAt = note === "" ? 0 : builder.createString(note);
    // From the last kind, because a frame is written from its end.
    for (let kind = FRAME_KINDS - 1; kind >= 0; kind--) {
      this.#vectors[kind] = this.#counts[kind] === 0 ? 0 : this.#writeVector(kind);
    }
    const [remembered, fingerprints, parts, complete, witness, witnessed, decisions]
      = this.#vectors;
    Frame.startFrame(builder);
    Frame.addEpoch(builder, epoch);
    Frame.addSequence(builder, sequence);
    if (remembered !== 0) Frame.addRemembered(builder, remembered!);
    if (fingerprints !== 0) Frame.addFingerprints(builder, fingerprints!);
    if (parts !== 0) Frame.addParts(builder, parts!);
    if (complete !== 0) Frame.addComplete(builder, complete!);
    if (witness !== 0) Frame.addWitness(builder, witness!);
    if (witnessed !== 0) Frame.addWitnessed(builder, witnessed!);
    if (decisions !== 0) Frame.addDecisions(builder, decisions!);
    if (noteAt !== 0) Frame.addNote(builder, noteAt);
    builder.finishSizePrefixed(Frame.endFrame(builder));
    this.reset();
    return builder.asUint8Array();
  }

  /**
   * What encode returned last belongs to whoever has it: the next frame gets other memory. Needed
   * for those that do not leave at once; new memory for every frame would have the collector walk
   * through everything once a second, because it lies outside of the heap.
   */
  handOver(): void {
    this.#builder = new flatbuffers.Builder(BUILDER_BYTES);
  }

  /**
   * Copied as bytes, then told how many entries they are: a call a word takes three times as long.
   * See native-bench/peer.bench.ts.
   */
  #writeVector(kind: number): number {
    const builder = this.#builder;
    const count = this.#counts[kind]!;
    const bytes = count * FRAME_WORDS[kind]! * 4;
    const vector = builder.createByteVector(new Uint8Array(this.#words[kind]!.buffer, 0, bytes));
    const buffer = builder.dataBuffer();
    buffer.writeUint32(buffer.capacity() - vector, count);
    return vector;
  }
}
