import { beforeEach, describe, expect, it } from "vitest";
import { ClusterWords, createClusterWords } from "../../../engine/cluster/cluster-words.ts";
import { Exchange } from "../../../engine/cluster/exchange.ts";
import {
  STREAM_DECISIONS, STREAM_PARTS, type Stream,
} from "../../../engine/cluster/exchange-ports.ts";
import { planMap } from "../../../engine/cluster/shard-map.ts";
import { DECISION_WORDS } from "../../../engine/part/decision-layout.ts";
import {
  MESSAGE_AGAIN, MESSAGE_UNDECIDED, MESSAGE_WORDS,
} from "../../../engine/part/part-layout.ts";
import {
  FRAME_COMPLETE, FRAME_DECISION, FRAME_PART, FRAME_REMEMBERED, FRAME_WITNESSED, type FrameKind,
} from "../../../engine/peer/frame-layout.ts";
import { FrameWriter } from "../../../engine/peer/frame-writer.ts";
import {
  SlotRingConsumer, SlotRingProducer, createSlotRing,
} from "../../../engine/ring/slot-ring.ts";
import { WakeWord } from "../../../engine/ring/wake-word.ts";
import { mapMember } from "../../support/map-members.ts";

const [SELF, OTHER] = [mapMember("a"), mapMember("b")];
const SLOTS = 8;

let words: ClusterWords;
let exchange: Exchange;
let number: number;

/** A frame of one entry, as the other node sends it. */
function take(stream: Stream, kind: FrameKind, epoch: number, entry: readonly number[]): boolean {
  const writer = new FrameWriter();
  const slot = new Uint32Array(32);
  slot.set(entry);
  writer.add(kind, slot, 0);
  const bytes = writer.encode(epoch, 1, "");
  return exchange.frame(OTHER.logId, OTHER.incarnation, stream, bytes);
}

beforeEach(() => {
  words = new ClusterWords(createClusterWords());
  const parts = createSlotRing(SLOTS, MESSAGE_WORDS);
  const decisions = createSlotRing(SLOTS, DECISION_WORDS);
  exchange = new Exchange({
    logId: SELF.logId, incarnation: SELF.incarnation, words, fingerprintProof: 1,
    lanes: [{
      partsOut: new SlotRingConsumer(createSlotRing(SLOTS, MESSAGE_WORDS)),
      partsIn: new SlotRingProducer(parts),
      decisionsOut: new SlotRingConsumer(createSlotRing(SLOTS, DECISION_WORDS)),
      decisionsIn: new SlotRingProducer(decisions),
      wake: new WakeWord(new SharedArrayBuffer(8)),
    }],
  }, { send: () => true, waitingBytes: () => 0, reset: () => {} }, () => {});
  exchange.takeMap(planMap(null, [SELF, OTHER]), () => {
    return { number: 0, isKnown: true, slots: null, hasSamePolicies: true };
  });
  words.setAdopted(0, 1);
  number = exchange.peers[0]!.number;
});

describe("of what a node sends", () => {
  const progress = (): number => exchange.heard.progress[number]!;

  it("the word that its report is complete is noted, with its epoch", () => {
    expect(take(STREAM_PARTS, FRAME_COMPLETE, 1, [1, 1])).toBe(true);
    expect(exchange.heard.reported[number]).toBe(1);
    expect(progress()).toBe(1);
  });

  it("what a sweep or a walk sends is progress, and new parts are not", () => {
    expect(take(STREAM_PARTS, FRAME_REMEMBERED, 1, [])).toBe(true);
    expect(progress()).toBe(1);
    const part = new Array<number>(MESSAGE_WORDS).fill(0);
    // Until it is of a trace whose shard is this node's; others are refused.
    for (part[0] = 0; exchange.counts.partsReceived === 0; part[0]++) {
      expect(take(STREAM_PARTS, FRAME_PART, 1, part)).toBe(true);
    }
    expect(progress()).toBe(1);
    part[0]--;
    part[MESSAGE_UNDECIDED] = MESSAGE_AGAIN;
    expect(take(STREAM_PARTS, FRAME_PART, 1, part)).toBe(true);
    expect(progress()).toBe(2);
  });

  it("a witness's answers are progress, and decisions are not", () => {
    expect(take(STREAM_DECISIONS, FRAME_DECISION, 0, [])).toBe(true);
    expect(progress()).toBe(0);
    expect(take(STREAM_DECISIONS, FRAME_WITNESSED, 0, [])).toBe(true);
    expect(progress()).toBe(1);
  });

  it("a frame that this node does not take is progress each time that it is offered", () => {
    expect(take(STREAM_PARTS, FRAME_COMPLETE, 2, [1, 2])).toBe(false);
    expect(take(STREAM_PARTS, FRAME_COMPLETE, 2, [1, 2])).toBe(false);
    expect(progress()).toBe(2);
    expect(exchange.heard.reported[number]).toBe(0);
    for (let slot = 0; slot < SLOTS; slot++) take(STREAM_PARTS, FRAME_REMEMBERED, 1, []);
    const before = progress();
    expect(take(STREAM_PARTS, FRAME_REMEMBERED, 1, [])).toBe(false);
    expect(progress()).toBe(before + 1);
  });
});
