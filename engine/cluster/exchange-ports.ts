// What the exchange between lanes and nodes stands between: rings of the lanes, connections with
// other nodes; a simulation has doubles of the latter.

import type { SlotRingConsumer, SlotRingProducer } from "../ring/slot-ring.ts";
import type { WakeWord } from "../ring/wake-word.ts";
import type { MapMember } from "./shard-map.ts";

/** Streams of a pair of nodes: parts that find no room never hold up decisions. */
export const STREAM_PARTS = 0;
export const STREAM_DECISIONS = 1;
export type Stream = typeof STREAM_PARTS | typeof STREAM_DECISIONS;
export const STREAMS: readonly Stream[] = [STREAM_PARTS, STREAM_DECISIONS];

/** The coordinator's ends of a lane's rings. */
export interface LaneEnds {
  readonly partsOut: SlotRingConsumer;
  readonly partsIn: SlotRingProducer;
  readonly decisionsOut: SlotRingConsumer;
  readonly decisionsIn: SlotRingProducer;
  readonly wake: WakeWord;
}

/** A member to be connected with, by this process's number for it. */
export interface Peer {
  readonly number: number;
  readonly member: MapMember;
}

/** The way to other nodes: ordered and whole while a connection lasts. */
export interface Transport {
  /** @returns true when the bytes are not needed any more: their memory may be used again. */
  send(node: number, stream: Stream, bytes: Uint8Array): boolean;
  /** Sent and not acknowledged: acknowledged is what the other node's lanes have. */
  waitingBytes(node: number, stream: Stream): number;
  /** Ends the connection; another is made. */
  reset(node: number, stream: Stream): void;
}

/** Figures for pages. */
export interface ExchangeCounts {
  partsSent: number;
  partsReceived: number;
  partsRefused: number;
  decisionsSent: number;
  decisionsReceived: number;
  framesHeld: number;
}
