// Puts what lanes have for another node into the batch for it, in that node's numbers of
// forwarders. Nothing is turned on the way in, so that a node can take what comes from one whose
// policies it does not know yet.
//
// Forwarders that the other node does not have go: a part or a decision that says nothing without
// them is not sent. A question to a witness always is, because it must be answered.

import { DECISION_MASKS, DECISION_REASON } from "../part/decision-layout.ts";
import {
  MESSAGE_UNDECIDED, MESSAGE_UNDECIDED_BITS, MESSAGE_WORDS,
} from "../part/part-layout.ts";
import {
  FRAME_DECISION, FRAME_FINGERPRINT, FRAME_PART, FRAME_REMEMBERED, FRAME_WITNESS, FRAME_WORDS,
  type FrameKind,
} from "../peer/frame-layout.ts";
import type { FrameWriter } from "../peer/frame-writer.ts";
import {
  FINGERPRINT_MASKS, MEMORY_MASKS, MEMORY_REASON, POLICY_SET_UNKNOWN, REASON_POLICY_SET_MASK,
  REASON_POLICY_SET_SHIFT,
} from "../traces/memory-layout.ts";
import type { SlotMapping } from "./slot-mapping.ts";

/** Used by one thread; `slots` is null when the other node has this one's numbers. */
export class PeerEntries {
  readonly #slot = new Uint32Array(MESSAGE_WORDS);

  /** @returns false: the other node has no sampler that the part waits for. */
  addPart(writer: FrameWriter, words: Uint32Array, at: number, slots: SlotMapping): boolean {
    const undecided = slots.undecided(words[at + MESSAGE_UNDECIDED]!);
    if ((undecided & MESSAGE_UNDECIDED_BITS) === 0) return false;
    this.#copy(FRAME_PART, words, at);
    this.#slot[MESSAGE_UNDECIDED] = undecided;
    writer.add(FRAME_PART, this.#slot, 0);
    return true;
  }

  addRemembered(
    writer: FrameWriter, words: Uint32Array, at: number, slots: SlotMapping | null,
  ): void {
    const reason = words[at + MEMORY_REASON]!;
    const told = toldReason(reason);
    if (slots === null && told === reason) {
      writer.add(FRAME_REMEMBERED, words, at);
      return;
    }
    this.#copy(FRAME_REMEMBERED, words, at);
    this.#slot[MEMORY_REASON] = told;
    if (slots !== null) this.#slot[MEMORY_MASKS] = slots.masks(words[at + MEMORY_MASKS]!);
    if (this.#slot[MEMORY_MASKS] !== 0) writer.add(FRAME_REMEMBERED, this.#slot, 0);
  }

  addFingerprint(
    writer: FrameWriter, words: Uint32Array, at: number, slots: SlotMapping | null,
  ): void {
    if (slots === null) {
      writer.add(FRAME_FINGERPRINT, words, at);
      return;
    }
    this.#copy(FRAME_FINGERPRINT, words, at);
    const masks = slots.masks(words[at + FINGERPRINT_MASKS]!);
    this.#slot[FINGERPRINT_MASKS] = masks;
    if (masks !== 0) writer.add(FRAME_FINGERPRINT, this.#slot, 0);
  }

  /** A question to a witness: a decision in memory layout, then epoch and place. */
  addWitness(
    writer: FrameWriter, words: Uint32Array, at: number, slots: SlotMapping | null,
  ): void {
    this.#copy(FRAME_WITNESS, words, at);
    this.#slot[MEMORY_REASON] = toldReason(words[at + MEMORY_REASON]!);
    if (slots !== null) this.#slot[MEMORY_MASKS] = slots.masks(words[at + MEMORY_MASKS]!);
    writer.add(FRAME_WITNESS, this.#slot, 0);
  }

  /** @returns false: nothing of it is about forwarders of the other node. */
  addDecision(
    writer: FrameWriter, words: Uint32Array, at: number, slots: SlotMapping | null,
  ): boolean {
    const reason = words[at + DECISION_REASON]!;
    if (slots === null && (reason & REASON_POLICY_SET_MASK) === 0) {
      writer.add(FRAME_DECISION, words, at);
      return true;
    }
    this.#copy(FRAME_DECISION, words, at);
    this.#slot[DECISION_REASON] = toldReason(reason);
    const masks = slots === null ? words[at + DECISION_MASKS]!
      : slots.masks(words[at + DECISION_MASKS]!);
    this.#slot[DECISION_MASKS] = masks;
    if (masks === 0) return false;
    writer.add(FRAME_DECISION, this.#slot, 0);
    return true;
  }

  #copy(kind: FrameKind, words: Uint32Array, at: number): void {
    const count = FRAME_WORDS[kind]!;
    for (let word = 0; word < count; word++) this.#slot[word] = words[at + word]!;
  }
}

/** Votes under a set that only this node knows by number say nothing to another. */
function toldReason(reason: number): number {
  if ((reason & REASON_POLICY_SET_MASK) === 0) return reason;
  return (reason & ~REASON_POLICY_SET_MASK) | (POLICY_SET_UNKNOWN << REASON_POLICY_SET_SHIFT);
}
