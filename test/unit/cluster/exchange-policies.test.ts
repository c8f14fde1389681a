// What an exchange makes of entries for, and of, a node with another policy set.

import { beforeEach, describe, expect, it } from "vitest";
import { ClusterWords, createClusterWords } from "../../../engine/cluster/cluster-words.ts";
import { Exchange } from "../../../engine/cluster/exchange.ts";
import type { Stream } from "../../../engine/cluster/exchange-ports.ts";
import type { PeerSet } from "../../../engine/cluster/peer-policy-sets.ts";
import { planMap } from "../../../engine/cluster/shard-map.ts";
import { SlotMapping } from "../../../engine/cluster/slot-mapping.ts";
import {
  DECISION_KIND, DECISION_MASKS, DECISION_REASON, DECISION_WORDS, KIND_NODE_SHIFT, KIND_WITNESS,
  WITNESS_PLACE,
} from "../../../engine/part/decision-layout.ts";
import {
  HOLDER_SET_SHIFT, HOLDER_TO_SHIFT, KIND_FINGERPRINT, KIND_PART, KIND_REMEMBERED, MESSAGE_AGAIN,
  MESSAGE_HOLDER, MESSAGE_KIND, MESSAGE_UNDECIDED, MESSAGE_WORDS,
} from "../../../engine/part/part-layout.ts";
import {
  FRAME_DECISION, FRAME_FINGERPRINT, FRAME_PART, FRAME_REMEMBERED, FRAME_WITNESS, FRAME_WORDS,
  type FrameKind,
} from "../../../engine/peer/frame-layout.ts";
import { FrameReader } from "../../../engine/peer/frame-reader.ts";
import {
  createSlotRing, SlotRingConsumer, SlotRingProducer,
} from "../../../engine/ring/slot-ring.ts";
import { createWakeWord, WakeWord } from "../../../engine/ring/wake-word.ts";
import {
  FINGERPRINT_MASKS, MEMORY_MASKS, MEMORY_REASON, POLICY_SET_UNKNOWN,
} from "../../../engine/traces/memory-layout.ts";
import { mapMember } from "../../support/map-members.ts";

const SLOTS = 64;
const SET = 5;
const NODE = 1;
const PARTS = 0;
const DECISIONS = 1;
/** "a" is 0 here and 2 there, "b" is 1 and 0, "c" is 2 here and not there. */
const MAPPING = new SlotMapping(names("a", "b", "c"), {
  slotNames: names("b", "x", "a"), samplersMask: 0b100,
});
const OTHER: PeerSet = { number: SET, isKnown: true, slots: MAPPING, hasSamePolicies: false };
const SAME: PeerSet = { number: 0, isKnown: true, slots: null, hasSamePolicies: true };

function names(...some: string[]): string[] {
  return Array.from({ length: 16 }, (_, slot) => some[slot] ?? "");
}

class Bed {
  readonly sent: { stream: Stream; bytes: Uint8Array }[] = [];
  readonly rings = [MESSAGE_WORDS, MESSAGE_WORDS, DECISION_WORDS, DECISION_WORDS]
    .map((words) => createSlotRing(SLOTS, words));
  readonly partsOut = new SlotRingProducer(this.rings[0]!);
  readonly partsIn = new SlotRingConsumer(this.rings[1]!);
  readonly decisionsOut = new SlotRingProducer(this.rings[2]!);
  readonly decisionsIn = new SlotRingConsumer(this.rings[3]!);
  readonly words = new ClusterWords(createClusterWords());
  readonly exchange: Exchange;
  readonly map = planMap(null, [mapMember("here"), mapMember("there")]);

  constructor() {
    this.exchange = new Exchange({
      logId: "log-of-here", incarnation: "first-of-here", words: this.words, fingerprintProof: 1,
      lanes: [{
        partsOut: new SlotRingConsumer(this.rings[0]!),
        partsIn: new SlotRingProducer(this.rings[1]!),
        decisionsOut: new SlotRingConsumer(this.rings[2]!),
        decisionsIn: new SlotRingProducer(this.rings[3]!),
        wake: new WakeWord(createWakeWord()),
      }],
    }, {
      send: (_, stream, bytes) => {
        this.sent.push({ stream, bytes });
        return false;
      },
      waitingBytes: () => 0, reset: () => undefined,
    }, () => undefined);
    this.words.setAdopted(0, 100);
  }

  link(set: PeerSet): void {
    this.exchange.takeMap(this.map, () => set);
    this.exchange.up(NODE, PARTS);
    this.exchange.up(NODE, DECISIONS);
  }

  /** Puts an entry into a ring; words are their places but for these. */
  put(ring: SlotRingProducer, size: number, changes: Record<number, number>): void {
    const at = ring.reserve();
    for (let word = 0; word < size; word++) ring.words[at + word] = changes[word] ?? word;
    ring.publish();
    ring.flush();
  }

  putPart(undecided: number, set: number): void {
    this.put(this.partsOut, MESSAGE_WORDS, {
      [MESSAGE_KIND]: KIND_PART, [MESSAGE_UNDECIDED]: undecided,
      [MESSAGE_HOLDER]: (NODE << HOLDER_TO_SHIFT) | (set << HOLDER_SET_SHIFT),
    });
  }

  /** Entries of a kind that were sent. */
  take(kind: FrameKind): number[][] {
    this.exchange.run();
    const reader = new FrameReader();
    return this.sent.splice(0).flatMap(({ bytes }) => {
      expect(reader.read(bytes)).toBe(true);
      const size = FRAME_WORDS[kind]!;
      return Array.from({ length: reader.count(kind) }, (_, index) => {
        const at = reader.wordsAt(kind) + index * size;
        return [...reader.words.subarray(at, at + size)];
      });
    });
  }
}

let bed: Bed;
beforeEach(() => {
  bed = new Bed();
});

describe("parts for a node with another policy set", () => {
  it("wait for its samplers, by its numbers", () => {
    bed.link(OTHER);
    bed.putPart(0b111 | MESSAGE_AGAIN, SET);
    bed.putPart(0b110, SET); // "b" has no sampler there
    const parts = bed.take(FRAME_PART);
    expect(parts.map((words) => words[MESSAGE_UNDECIDED])).toEqual([0b100 | MESSAGE_AGAIN]);
    expect(parts[0]!.slice(0, MESSAGE_HOLDER)).toEqual(
      Array.from({ length: MESSAGE_HOLDER }, (_, word) => word));
    expect(bed.exchange.counts.partsSent).toBe(1);
  });

  it("that were folded by another set are not sent", () => {
    bed.link(OTHER);
    bed.putPart(0b001, 0);
    bed.putPart(0b001, SET + 1);
    expect(bed.take(FRAME_PART)).toEqual([]);
    bed.link(SAME);
    bed.putPart(0b001, SET);
    bed.putPart(0b111, 0);
    expect(bed.take(FRAME_PART).map((words) => words[MESSAGE_UNDECIDED])).toEqual([0b111]);
  });

  it("are not sent before its set is known, and what it sends is taken", () => {
    bed.link(OTHER);
    bed.putPart(0b001, SET);
    const bytes = bed.exchange.run() ? bed.sent.splice(0)[0]!.bytes : new Uint8Array(0);
    const other = new Bed();
    other.exchange.takeMap(other.map, () => ({ ...OTHER, isKnown: false }));
    expect(other.exchange.peers).toEqual([]);
    expect(other.exchange.frame("log-of-there", "first-of-there", PARTS, bytes))
      .toBe(true);
    const { partsReceived, partsRefused } = other.exchange.counts;
    expect(partsReceived + partsRefused).toBe(1); // by its shard
  });
});

describe("decisions for a node with another policy set", () => {
  const holder = NODE << HOLDER_TO_SHIFT;

  it("name its forwarders, and are not sent when they name none", () => {
    bed.link(OTHER);
    for (const masks of [0b111 | (0b011 << 16), 0b100 | (0b100 << 16)]) {
      bed.put(bed.decisionsOut, DECISION_WORDS, {
        [DECISION_MASKS]: masks, [DECISION_REASON]: 1, [DECISION_KIND]: NODE << KIND_NODE_SHIFT,
      });
      bed.put(bed.partsOut, MESSAGE_WORDS, {
        [MEMORY_MASKS]: masks, [MEMORY_REASON]: 1, [MESSAGE_KIND]: KIND_REMEMBERED,
        [MESSAGE_HOLDER]: holder,
      });
      bed.put(bed.partsOut, MESSAGE_WORDS, {
        [FINGERPRINT_MASKS]: masks, [MESSAGE_KIND]: KIND_FINGERPRINT, [MESSAGE_HOLDER]: holder,
      });
    }
    const there = 0b101 | (0b101 << 16);
    bed.exchange.run();
    const sent = bed.sent.splice(0);
    const masksOf = (kind: FrameKind, at: number): (number | undefined)[] => {
      bed.sent.push(...sent);
      return bed.take(kind).map((words) => words[at]);
    };
    expect(masksOf(FRAME_DECISION, DECISION_MASKS)).toEqual([there]);
    expect(masksOf(FRAME_REMEMBERED, MEMORY_MASKS)).toEqual([there]);
    expect(masksOf(FRAME_FINGERPRINT, FINGERPRINT_MASKS)).toEqual([there]);
  });

  it("are asked about in any case, because the owner waits for the answer", () => {
    bed.link(OTHER);
    for (const masks of [0b001, 0b100]) {
      bed.put(bed.decisionsOut, DECISION_WORDS, {
        [MEMORY_MASKS]: masks, [MEMORY_REASON]: 1, [WITNESS_PLACE]: masks,
        [DECISION_KIND]: KIND_WITNESS | (NODE << KIND_NODE_SHIFT),
      });
    }
    const questions = bed.take(FRAME_WITNESS);
    expect(questions.map((words) => [words[MEMORY_MASKS], words[WITNESS_PLACE]]))
      .toEqual([[0b100, 0b001], [0, 0b100]]);
  });

  it("tell votes of its own set by the number that its set has for the receiver", () => {
    for (const [set, reason, expected] of [
      [OTHER, 7, 7 | (SET << 8)], [SAME, 7, 7],
      [OTHER, 7 | (3 << 8), 7 | (POLICY_SET_UNKNOWN << 8)],
      [SAME, 7 | (3 << 8), 7 | (POLICY_SET_UNKNOWN << 8)],
    ] as const) {
      const from = new Bed();
      from.link({ ...set, number: 9 });
      from.put(from.decisionsOut, DECISION_WORDS, {
        [DECISION_MASKS]: 0b001, [DECISION_REASON]: reason,
        [DECISION_KIND]: NODE << KIND_NODE_SHIFT,
      });
      from.exchange.run();
      const to = new Bed();
      to.link(set);
      for (const { bytes } of from.sent) {
        expect(to.exchange.frame("log-of-there", "first-of-there", DECISIONS, bytes))
          .toBe(true);
      }
      to.exchange.run();
      const at = to.decisionsIn.peek();
      expect(to.decisionsIn.words[at + DECISION_REASON]).toBe(expected);
    }
  });
});
