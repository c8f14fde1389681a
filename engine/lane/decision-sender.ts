// Decisions on their way from this owner to the holders: one slot ring to each lane, itself
// included, and in a cluster one to the coordinator for the holders of other nodes. Late answers
// wait in a small queue until the turn's commit; batches are sent by cursor.

import { assert } from "../base/assert.ts";
import {
  DECISION_AT_S, DECISION_ENTRY, DECISION_GENERATION, DECISION_ID_0, DECISION_INCOMPLETE,
  DECISION_INDEX, DECISION_KIND, DECISION_LATE, DECISION_MASKS, DECISION_REASON,
  DECISION_VOTES_0, DECISION_WORDS, FORWARDERS_MAX, KIND_DECISION, KIND_NODE_SHIFT, KIND_WITNESS,
  KIND_WITNESSED, TRIGGER_LATE, VOTE_WORDS, WITNESS_EPOCH, WITNESS_PLACE,
} from "../part/decision-layout.ts";
import {
  HOLDER_PEER, MESSAGE_ENTRY, MESSAGE_GENERATION, MESSAGE_HOLDER, MESSAGE_INDEX, PART_SPANS,
} from "../part/part-layout.ts";
import type { SlotRingProducer } from "../ring/slot-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import { lateIndex } from "../telemetry/label-values.ts";
import { LATE_SPANS } from "../telemetry/metric-table.ts";
import {
  MEMORY_AT_S, MEMORY_ID_0, MEMORY_MASKS, MEMORY_REASON, MEMORY_VOTES_0, MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import {
  LINK_ENTRY, LINK_GENERATION, LINK_HOLDER_SHIFT, LINK_INDEX_MAX, LINK_PLACE, LINK_WORDS,
} from "../traces/row-layout.ts";
import type { TraceTable } from "../traces/trace-table.ts";
import type { DecisionBatch } from "./decision-batch.ts";

/** Late answers of a turn; when they are used up, parts wait in their rings. */
const LATE_MAX = 8192;
/**
 * A queued late answer: a decision, in its last words the late spans (0: asked again) and the
 * holder.
 */
const LATE_COUNT = DECISION_WORDS - 2;
const LATE_HOLDER = DECISION_WORDS - 1;
const FLAGS_SHIFT = 16;

/** Sends what the owner decided, and what it asks of witnesses. Written by its lane only. */
export class DecisionSender {
  readonly #lanes: number;
  readonly #rings: readonly SlotRingProducer[];
  readonly #wakes: readonly WakeWord[];
  readonly #counters: CounterBlock<"lane">;
  readonly #late = new Uint32Array(LATE_MAX * DECISION_WORDS);
  #lateCount = 0;
  #lateSent = 0;
  #lateMark = 0;
  /** Where tellBatch goes on: decision of the batch, and its next link. */
  #batchAt = 0;
  #link = -1;

  /** @param rings by lane; beyond `lanes` the coordinator's. */
  constructor(
    lanes: number, rings: readonly SlotRingProducer[], wakes: readonly WakeWord[],
    counters: CounterBlock<"lane">,
  ) {
    this.#lanes = lanes;
    this.#rings = rings;
    this.#wakes = wakes;
    this.#counters = counters;
  }

  roomForLate(): boolean {
    return this.#lateCount < LATE_MAX;
  }

  /** True when answers wait for a commit or for room. */
  get lateWaiting(): boolean {
    return this.#lateCount > 0;
  }

  /**
   * Queues the answer to a part of a decided trace.
   * @param memory the remembered decision (memory layout); borrowed until return.
   * @param decided the samplers it answers for.
   * @param again the part was sent before: it is not late, its holder asks once more.
   */
  tellLate(
    words: Uint32Array, at: number, memory: Uint32Array, decided: number, again: boolean,
  ): void {
    assert(this.#lateCount < LATE_MAX, "late answers are asked for with room");
    const late = this.#late;
    const to = this.#lateCount * DECISION_WORDS;
    for (let word = 0; word < 4; word++) late[to + DECISION_ID_0 + word] = words[at + word]!;
    late[to + DECISION_GENERATION] = words[at + MESSAGE_GENERATION]!;
    late[to + DECISION_ENTRY] = words[at + MESSAGE_ENTRY]!;
    late[to + DECISION_INDEX] = words[at + MESSAGE_INDEX]!;
    const kept = (memory[MEMORY_MASKS]! >>> 16) & decided;
    late[to + DECISION_MASKS] = decided | (kept << 16);
    for (let word = 0; word < VOTE_WORDS; word++) {
      late[to + DECISION_VOTES_0 + word] = memory[MEMORY_VOTES_0 + word]!;
    }
    const reason = memory[MEMORY_REASON]!;
    late[to + DECISION_REASON] = again ? reason
      : (reason & ~0xff) | TRIGGER_LATE | ((DECISION_LATE | DECISION_INCOMPLETE) << FLAGS_SHIFT);
    late[to + DECISION_AT_S] = memory[MEMORY_AT_S]!;
    late[to + LATE_COUNT] = again ? 0 : words[at + PART_SPANS]!;
    late[to + LATE_HOLDER] = words[at + MESSAGE_HOLDER]!;
    this.#lateMark = this.#lateCount;
    this.#lateCount++;
  }

  /** Takes back the answer to the part just looked at, which found no room and comes again. */
  untellLate(): void {
    if (this.#lateMark < this.#lateCount) this.#lateCount = this.#lateMark;
  }

  /** Begins to look at another part: untellLate refers to it. */
  beginPart(): void {
    this.#lateMark = this.#lateCount;
  }

  /** After a commit: sends queued late answers as far as there is room. True when all are out. */
  sendLate(): boolean {
    while (this.#lateSent < this.#lateCount) {
      const from = this.#lateSent * DECISION_WORDS;
      const holder = this.#late[from + LATE_HOLDER]!;
      const ring = this.#ringOf(holder);
      const to = ring.reserve();
      if (to < 0) break;
      for (let word = 0; word < LATE_COUNT; word++) {
        ring.words[to + word] = this.#late[from + word]!;
      }
      ring.words[to + DECISION_KIND] = kindTo(holder);
      ring.publish();
      this.#countLate(this.#late[from + DECISION_MASKS]!, this.#late[from + LATE_COUNT]!);
      this.#lateSent++;
    }
    if (this.#lateSent < this.#lateCount) return false;
    this.#lateSent = 0;
    this.#lateCount = 0;
    this.#lateMark = 0;
    return true;
  }

  /** Holders are lanes of this node, or HOLDER_PEER + the number of another. */
  #ringOf(holder: number): SlotRingProducer {
    return this.#rings[holder < HOLDER_PEER ? holder : this.#lanes]!;
  }

  #countLate(masks: number, spans: number): void {
    if (spans === 0) return;
    for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
      if ((masks & (1 << slot)) === 0) continue;
      this.#counters.addAt(LATE_SPANS, lateIndex(slot, (masks >>> (16 + slot)) & 1), spans);
    }
  }

  /**
   * Tells every holder of every trace of the batch. Resumes where the last call found a full ring.
   * @returns true when the whole batch is out.
   */
  tellBatch(table: TraceTable, { words, rows, count }: DecisionBatch): boolean {
    for (; this.#batchAt < count; this.#batchAt++) {
      if (rows[this.#batchAt] === 0) continue; // void: its shard has another owner
      if (this.#link < 0) this.#link = table.firstLink(rows[this.#batchAt]!);
      while (this.#link !== 0) {
        if (!this.#tell(table, this.#link, words, this.#batchAt * MEMORY_WORDS)) return false;
        this.#link = table.nextLink(this.#link);
      }
      this.#link = -1;
    }
    this.#batchAt = 0;
    return true;
  }

  #tell(table: TraceTable, link: number, batch: Uint32Array, at: number): boolean {
    const links = table.linkWords;
    const linkAt = link * LINK_WORDS;
    const place = links[linkAt + LINK_PLACE]!;
    const holder = place >>> LINK_HOLDER_SHIFT;
    const ring = this.#ringOf(holder);
    const to = ring.reserve();
    if (to < 0) return false;
    const words = ring.words;
    for (let word = 0; word < 4; word++) {
      words[to + DECISION_ID_0 + word] = batch[at + MEMORY_ID_0 + word]!;
    }
    words[to + DECISION_GENERATION] = links[linkAt + LINK_GENERATION]!;
    words[to + DECISION_ENTRY] = links[linkAt + LINK_ENTRY]!;
    words[to + DECISION_INDEX] = place & LINK_INDEX_MAX;
    words[to + DECISION_MASKS] = batch[at + MEMORY_MASKS]!;
    for (let word = 0; word < VOTE_WORDS; word++) {
      words[to + DECISION_VOTES_0 + word] = batch[at + MEMORY_VOTES_0 + word]!;
    }
    words[to + DECISION_REASON] = batch[at + MEMORY_REASON]!;
    words[to + DECISION_AT_S] = batch[at + MEMORY_AT_S]!;
    words[to + DECISION_AT_S + 1] = 0;
    words[to + DECISION_KIND] = kindTo(holder);
    ring.publish();
    return true;
  }

  /**
   * Asks a witness to commit the decision at memory[at..] (memory layout).
   * @returns false when there is no room.
   */
  askWitness(
    node: number, memory: Uint32Array, at: number, epoch: number, place: number,
  ): boolean {
    const ring = this.#rings[this.#lanes]!;
    const to = ring.reserve();
    if (to < 0) return false;
    for (let word = 0; word < WITNESS_EPOCH; word++) ring.words[to + word] = memory[at + word]!;
    ring.words[to + WITNESS_EPOCH] = epoch;
    ring.words[to + WITNESS_PLACE] = place;
    ring.words[to + DECISION_KIND] = KIND_WITNESS | (node << KIND_NODE_SHIFT);
    ring.publish();
    return true;
  }

  /** Tells an owner that its decision is committed here. @returns false when there is no room. */
  tellWitnessed(node: number, place: number): boolean {
    const ring = this.#rings[this.#lanes]!;
    const to = ring.reserve();
    if (to < 0) return false;
    ring.words[to + WITNESS_PLACE] = place;
    ring.words[to + DECISION_KIND] = KIND_WITNESSED | (node << KIND_NODE_SHIFT);
    ring.publish();
    return true;
  }

  /** Makes everything sent visible and wakes the holders. */
  flush(): void {
    for (let lane = 0; lane < this.#rings.length; lane++) {
      if (this.#rings[lane]!.flush()) this.#wakes[lane]!.wake();
    }
  }
}

function kindTo(holder: number): number {
  return holder < HOLDER_PEER ? KIND_DECISION
    : KIND_DECISION | ((holder - HOLDER_PEER) << KIND_NODE_SHIFT);
}
