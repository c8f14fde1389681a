// What frames of other nodes bring, into the rings of the lanes it is for. A frame is taken whole
// or not at all: room is asked for before the first entry is put. Lanes see what several frames
// brought at once, with flush.

import { assert } from "../base/assert.ts";
import { shardOf } from "../hash/shard-of.ts";
import {
  DECISION_GENERATION, DECISION_KIND, DECISION_REASON, DECISION_WORDS, KIND_DECISION,
  KIND_NODE_SHIFT, KIND_WITNESS, KIND_WITNESSED, PLACE_LANE_MASK, PLACE_LANE_SHIFT, WITNESS_EPOCH,
  WITNESS_PLACE,
} from "../part/decision-layout.ts";
import {
  HOLDER_PEER, KIND_COMPLETE, KIND_FINGERPRINT, KIND_PART, KIND_REMEMBERED, MESSAGE_AGAIN,
  MESSAGE_HOLDER, MESSAGE_KIND, MESSAGE_UNDECIDED, MESSAGE_WORDS,
} from "../part/part-layout.ts";
import {
  FRAME_COMPLETE, FRAME_DECISION, FRAME_FINGERPRINT, FRAME_PART, FRAME_REMEMBERED, FRAME_WITNESS,
  FRAME_WITNESSED, FRAME_WORDS, type FrameKind,
} from "../peer/frame-layout.ts";
import type { FrameReader } from "../peer/frame-reader.ts";
import type { SlotRingProducer } from "../ring/slot-ring.ts";
import { shardOfFingerprint } from "../traces/decision-memory.ts";
import {
  BATCH_FINGERPRINTS, BATCH_HEADER_WORDS, BATCH_VERSION, FINGERPRINT_CHECK, MEMORY_REASON,
  REASON_POLICY_SET_MASK, REASON_POLICY_SET_SHIFT,
} from "../traces/memory-layout.ts";
import { OWN_SET, SELF, type ShardColumns, NODES } from "./cluster-words.ts";
import type { ExchangeCounts, LaneEnds } from "./exchange-ports.ts";


export interface FrameIntakeOptions {
  readonly lanes: readonly LaneEnds[];
  readonly columns: ShardColumns;
  readonly fingerprintProof: number;
  readonly counts: ExchangeCounts;
  /** Lane of a generation of this node's log; undefined: not known. */
  readonly laneOf: (generation: number) => number | undefined;
}

/** Used by the coordinator's thread only. */
export class FrameIntake {
  readonly #lanes: readonly LaneEnds[];
  readonly #partRings: readonly SlotRingProducer[];
  readonly #decisionRings: readonly SlotRingProducer[];
  readonly #columns: ShardColumns;
  readonly #fingerprintProof: number;
  readonly #counts: ExchangeCounts;
  readonly #laneOf: (generation: number) => number | undefined;
  readonly #slot = new Uint32Array(Math.max(MESSAGE_WORDS, DECISION_WORDS));
  /** By node: the epoch for which it said last that its report is complete. */
  readonly reported: Uint32Array = new Uint32Array(NODES);
  /** By node: rises with what counts as progress in silence-watch.ts. */
  readonly progress: Uint32Array = new Uint32Array(NODES);

  constructor(options: FrameIntakeOptions) {
    this.#lanes = options.lanes;
    this.#partRings = options.lanes.map(({ partsIn }) => partsIn);
    this.#decisionRings = options.lanes.map(({ decisionsIn }) => decisionsIn);
    this.#columns = options.columns;
    this.#fingerprintProof = options.fingerprintProof;
    this.#counts = options.counts;
    this.#laneOf = options.laneOf;
  }

  #room(rings: readonly SlotRingProducer[], entries: number): boolean {
    return rings.every((ring) => ring.free() >= entries);
  }

  /** Gives lanes what was taken. @returns true when there was something. */
  flush(): boolean {
    let worked = false;
    for (const { partsIn, decisionsIn, wake } of this.#lanes) {
      const hasParts = partsIn.flush();
      if (!decisionsIn.flush() && !hasParts) continue;
      wake.wake();
      worked = true;
    }
    return worked;
  }

  /** Parts and what is known of shards. @returns false: no room. */
  takeParts(node: number, reader: FrameReader): boolean {
    const rings = this.#partRings;
    const entries = reader.count(FRAME_PART) + reader.count(FRAME_REMEMBERED)
      + reader.count(FRAME_FINGERPRINT) + reader.count(FRAME_COMPLETE);
    if (!this.#room(rings, entries)) return false;
    const { words } = reader;
    const remembered = reader.wordsAt(FRAME_REMEMBERED);
    this.#nameVotes(reader, FRAME_REMEMBERED, MEMORY_REASON, node);
    for (let index = 0; index < reader.count(FRAME_REMEMBERED); index++) {
      const at = remembered + index * FRAME_WORDS[FRAME_REMEMBERED]!;
      this.#put(rings[shardOf(words, at) % rings.length]!, words, at,
        FRAME_WORDS[FRAME_REMEMBERED]!, KIND_REMEMBERED, node);
    }
    this.#putFingerprints(reader, rings, node);
    this.#putParts(reader, rings, node);
    const complete = reader.wordsAt(FRAME_COMPLETE);
    for (let index = 0; index < reader.count(FRAME_COMPLETE); index++) {
      const at = complete + index * FRAME_WORDS[FRAME_COMPLETE]!;
      for (const ring of rings) this.#put(ring, words, at + 1, 1, KIND_COMPLETE, node);
      this.reported[node] = Math.max(this.reported[node]!, words[at + 1]!);
    }
    // All of these but new parts come from sweeps and walks.
    if (entries > reader.count(FRAME_PART)) this.progress[node]!++;
    return true;
  }

  /**
   * Votes by the policies that the other node has now are by number 0 there, and by the number of
   * its set here. In the frame itself: it is taken whole by now, and not read again.
   */
  #nameVotes(reader: FrameReader, kind: FrameKind, reasonAt: number, node: number): void {
    const set = this.#columns.sets[node]!;
    if (set === OWN_SET) return;
    const { words } = reader;
    const first = reader.wordsAt(kind) + reasonAt;
    for (let index = 0; index < reader.count(kind); index++) {
      const at = first + index * FRAME_WORDS[kind]!;
      if ((words[at]! & REASON_POLICY_SET_MASK) !== 0) continue;
      words[at] = words[at]! | (set << REASON_POLICY_SET_SHIFT);
    }
  }

  #putFingerprints(reader: FrameReader, rings: readonly SlotRingProducer[], node: number): void {
    const slot = this.#slot;
    const first = reader.wordsAt(FRAME_FINGERPRINT);
    const words = FRAME_WORDS[FRAME_FINGERPRINT]!;
    for (let index = 0; index < reader.count(FRAME_FINGERPRINT); index++) {
      const at = first + index * words;
      slot[0] = BATCH_FINGERPRINTS | (BATCH_VERSION << 8) | (1 << 16);
      slot[1] = this.#fingerprintProof;
      for (let word = 0; word < words; word++) {
        slot[BATCH_HEADER_WORDS + word] = reader.words[at + word]!;
      }
      const shard = shardOfFingerprint(reader.words[at + FINGERPRINT_CHECK]!);
      this.#put(rings[shard % rings.length]!, slot, 0, BATCH_HEADER_WORDS + words,
        KIND_FINGERPRINT, node);
    }
  }

  /** Parts of shards that this node has had since the map they were sent by, or longer. */
  #putParts(reader: FrameReader, rings: readonly SlotRingProducer[], node: number): void {
    const { owners, since } = this.#columns;
    const first = reader.wordsAt(FRAME_PART);
    for (let index = 0; index < reader.count(FRAME_PART); index++) {
      const at = first + index * FRAME_WORDS[FRAME_PART]!;
      const shard = shardOf(reader.words, at);
      if (owners[shard] !== SELF || since[shard]! > reader.epoch) {
        this.#counts.partsRefused++; // its holder learns of the younger map, and sends it again
        continue;
      }
      this.#counts.partsReceived++;
      if ((reader.words[at + MESSAGE_UNDECIDED]! & MESSAGE_AGAIN) !== 0) this.progress[node]!++;
      this.#put(rings[shard % rings.length]!, reader.words, at, FRAME_WORDS[FRAME_PART]!,
        KIND_PART, node);
    }
  }

  #put(
    ring: SlotRingProducer, words: Uint32Array, at: number, count: number, kind: number,
    node: number,
  ): void {
    const to = ring.reserve();
    assert(to >= 0, "room was asked for");
    for (let word = 0; word < count; word++) ring.words[to + word] = words[at + word]!;
    ring.words[to + MESSAGE_HOLDER] = HOLDER_PEER + node;
    ring.words[to + MESSAGE_KIND] = kind;
    ring.publish();
  }

  /**
   * Decisions, questions to witnesses and their answers.
   * @param adopted the lowest epoch by which lanes act.
   * @returns false: no room, or a question of a younger map.
   */
  takeDecisions(node: number, reader: FrameReader, adopted: number): boolean {
    const rings = this.#decisionRings;
    const entries = reader.count(FRAME_DECISION) + reader.count(FRAME_WITNESS)
      + reader.count(FRAME_WITNESSED);
    if (!this.#room(rings, entries)) return false;
    const { words } = reader;
    const witness = reader.wordsAt(FRAME_WITNESS);
    const asked = reader.count(FRAME_WITNESS);
    for (let index = 0; index < asked; index++) {
      const at = witness + index * FRAME_WORDS[FRAME_WITNESS]!;
      if (words[at + WITNESS_EPOCH]! > adopted) return false; // before anything was put
    }
    this.#nameVotes(reader, FRAME_WITNESS, MEMORY_REASON, node);
    this.#nameVotes(reader, FRAME_DECISION, DECISION_REASON, node);
    for (let index = 0; index < asked; index++) {
      const at = witness + index * FRAME_WORDS[FRAME_WITNESS]!;
      this.#putDecision(rings[shardOf(words, at) % rings.length]!, words, at,
        FRAME_WORDS[FRAME_WITNESS]!, KIND_WITNESS | (node << KIND_NODE_SHIFT));
    }
    this.#putAnswers(reader, rings, node);
    const decision = reader.wordsAt(FRAME_DECISION);
    for (let index = 0; index < reader.count(FRAME_DECISION); index++) {
      const at = decision + index * FRAME_WORDS[FRAME_DECISION]!;
      const lane = this.#laneOf(words[at + DECISION_GENERATION]!) ?? -1;
      for (let number = 0; number < rings.length; number++) {
        if (lane >= 0 && lane !== number) continue;
        this.#putDecision(rings[number]!, words, at, DECISION_KIND - 1, KIND_DECISION);
      }
      this.#counts.decisionsReceived++;
    }
    return true;
  }

  #putAnswers(reader: FrameReader, rings: readonly SlotRingProducer[], node: number): void {
    const slot = this.#slot;
    const first = reader.wordsAt(FRAME_WITNESSED);
    if (reader.count(FRAME_WITNESSED) > 0) this.progress[node]!++;
    for (let index = 0; index < reader.count(FRAME_WITNESSED); index++) {
      slot.fill(0, 0, DECISION_WORDS);
      const place = reader.words[first + index * FRAME_WORDS[FRAME_WITNESSED]!]!;
      slot[WITNESS_PLACE] = place;
      const lane = (place >>> PLACE_LANE_SHIFT) & PLACE_LANE_MASK;
      const ring = rings[lane];
      if (ring === undefined) continue; // of a former run with more lanes
      this.#putDecision(
        ring, slot, 0, DECISION_KIND, KIND_WITNESSED | (node << KIND_NODE_SHIFT));
    }
  }

  #putDecision(
    ring: SlotRingProducer, words: Uint32Array, at: number, count: number, kind: number,
  ): void {
    const to = ring.reserve();
    assert(to >= 0, "room was asked for");
    const end = Math.min(count, DECISION_KIND);
    for (let word = 0; word < end; word++) ring.words[to + word] = words[at + word]!;
    ring.words[to + DECISION_KIND] = kind;
    ring.publish();
  }
}
