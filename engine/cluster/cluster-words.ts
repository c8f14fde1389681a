// What the coordinator tells the lanes about the cluster, in memory that all of them see. The
// coordinator writes everything but the words of a lane.
//
//   word 0  sequence of the tables: odd while they are being written | 1 epoch of the tables
//   word 2  fence: 0 closed, 1 open | 3 until when, low word of ms by the system's monotonic clock
//   WORDS_OF_PEERS + peer * PEER_WORDS: session of the parts stream (0 = down), session of the
//     decisions stream, congested, epoch that the peer has taken everything for, member, number of
//     its policy set
//   WORDS_OF_LANES + lane * LANE_WORDS: epoch adopted, turns taken, the witness that its
//     decisions wait for, slices of walks
//   then owner u8 and witness u8 of each shard, then since u32 of each shard, then the board of
//   policy sets (policy-set-board.ts)
//
// Nodes are numbered by the process: 0 is this one, 1 … PEERS_MAX are logs that it has met, in the
// order in which it met them; a number never gets a second meaning.

import { SHARDS } from "../hash/shard-of.ts";
import { BOARD_BYTES } from "./policy-set-board.ts";

/** This node among the numbers of nodes. */
export const SELF = 0;
/** Logs that a process can meet: with 64 lanes their numbers fit the 8 bits of a part's link. */
export const PEERS_MAX = 190;
/** No node: a shard without an owner in force, or without a witness. */
export const NOBODY = 255;
/** This node's policy set among the numbers of sets; others have 1 and up, for good. */
export const OWN_SET = 0;
/** The set of a node that is not to be exchanged with: one more than can be known. */
export const NO_SET = 255;
/** Numbers of nodes, NOBODY among them. */
export const NODES = 256;
const LANES = 64;

const SEQUENCE = 0;
const EPOCH = 1;
const FENCE_OPEN = 2;
const FENCE_UNTIL = 3;
const WORDS_OF_PEERS = 8;
const PEER_WORDS = 8;
const PEER_PARTS_SESSION = 0;
const PEER_DECISIONS_SESSION = 1;
const PEER_CONGESTED = 2;
const PEER_COMPLETE = 3;
const PEER_MEMBER = 4;
const PEER_SET = 5;
const WORDS_OF_LANES = WORDS_OF_PEERS + NODES * PEER_WORDS;
const LANE_WORDS = 8;
const LANE_ADOPTED = 0;
const LANE_TURNS = 1;
const LANE_AWAITED = 2;
const LANE_WALKED = 3;
const OWNERS_AT = (WORDS_OF_LANES + LANES * LANE_WORDS) * 4;
const WITNESSES_AT = OWNERS_AT + SHARDS;
const SINCE_AT = WITNESSES_AT + SHARDS;
const BYTES = SINCE_AT + SHARDS * 4;

/** Memory of the words: no map yet, the fence closed. */
export function createClusterWords(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(BYTES + BOARD_BYTES);
  new Uint8Array(memory, OWNERS_AT, SHARDS).fill(NOBODY);
  new Uint8Array(memory, WITNESSES_AT, SHARDS).fill(NOBODY);
  return memory;
}

/** Milliseconds of the system's monotonic clock: the same in every thread of the process. */
export function systemMonotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}

/** By shard, numbers of nodes. */
export interface ShardColumns {
  readonly owners: Uint8Array;
  readonly witnesses: Uint8Array;
  readonly since: Uint32Array;
  /** By number of a node: 1 when it is a member of the map. */
  readonly members: Uint8Array;
  /** By number of a node: number of its policy set. */
  readonly sets: Uint8Array;
}

/** Empty columns for `read` and `publish`. */
export function createShardColumns(): ShardColumns {
  return {
    owners: new Uint8Array(SHARDS).fill(NOBODY), witnesses: new Uint8Array(SHARDS).fill(NOBODY),
    since: new Uint32Array(SHARDS), members: new Uint8Array(NODES), sets: new Uint8Array(NODES),
  };
}

/** One thread's view of the words. */
export class ClusterWords {
  readonly #words: Int32Array;
  readonly #owners: Uint8Array;
  readonly #witnesses: Uint8Array;
  readonly #since: Uint32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, OWNERS_AT >>> 2);
    this.#owners = new Uint8Array(memory, OWNERS_AT, SHARDS);
    this.#witnesses = new Uint8Array(memory, WITNESSES_AT, SHARDS);
    this.#since = new Uint32Array(memory, SINCE_AT, SHARDS);
  }

  /** Epoch of the map in force; 0 before the first. */
  get epoch(): number {
    return Atomics.load(this.#words, EPOCH) >>> 0;
  }

  /** Coordinator: puts a map into force. */
  publish(epoch: number, columns: ShardColumns): void {
    Atomics.add(this.#words, SEQUENCE, 1);
    this.#owners.set(columns.owners);
    this.#witnesses.set(columns.witnesses);
    this.#since.set(columns.since);
    for (let node = 0; node < NODES; node++) {
      Atomics.store(this.#words, peerAt(node, PEER_MEMBER), columns.members[node]!);
      Atomics.store(this.#words, peerAt(node, PEER_SET), columns.sets[node]!);
    }
    Atomics.store(this.#words, EPOCH, epoch | 0);
    Atomics.add(this.#words, SEQUENCE, 1);
  }

  /** Copies the map in force. @returns its epoch. */
  read(columns: ShardColumns): number {
    for (;;) {
      const before = Atomics.load(this.#words, SEQUENCE);
      if ((before & 1) === 0) {
        columns.owners.set(this.#owners);
        columns.witnesses.set(this.#witnesses);
        columns.since.set(this.#since);
        for (let node = 0; node < NODES; node++) {
          columns.members[node] = Atomics.load(this.#words, peerAt(node, PEER_MEMBER));
          columns.sets[node] = Atomics.load(this.#words, peerAt(node, PEER_SET));
        }
        const { epoch } = this;
        if (Atomics.load(this.#words, SEQUENCE) === before) return epoch;
      }
    }
  }

  /** Coordinator: until when lanes may decide, by systemMonotonicMs; minus infinity closes. */
  setDecideUntil(untilMs: number): void {
    if (untilMs === Number.NEGATIVE_INFINITY) {
      Atomics.store(this.#words, FENCE_OPEN, 0);
      return;
    }
    Atomics.store(this.#words, FENCE_UNTIL, lowWord(untilMs));
    Atomics.store(this.#words, FENCE_OPEN, 1);
  }

  /** Whether this node may decide at `nowMs`. Wrong only for a fence that nobody moved in weeks. */
  mayDecide(nowMs: number): boolean {
    if (Atomics.load(this.#words, FENCE_OPEN) === 0) return false;
    return ((Atomics.load(this.#words, FENCE_UNTIL) - lowWord(nowMs)) | 0) > 0;
  }

  /** Number of the connection that takes parts for a node; 0 while there is none. */
  partsSession(node: number): number {
    return Atomics.load(this.#words, peerAt(node, PEER_PARTS_SESSION));
  }

  setPartsSession(node: number, session: number): void {
    Atomics.store(this.#words, peerAt(node, PEER_PARTS_SESSION), session);
  }

  decisionsSession(node: number): number {
    return Atomics.load(this.#words, peerAt(node, PEER_DECISIONS_SESSION));
  }

  setDecisionsSession(node: number, session: number): void {
    Atomics.store(this.#words, peerAt(node, PEER_DECISIONS_SESSION), session);
  }

  /** True while more waits for the node than its connection takes: send it no parts. */
  isCongested(node: number): boolean {
    return Atomics.load(this.#words, peerAt(node, PEER_CONGESTED)) !== 0;
  }

  setCongested(node: number, congested: boolean): void {
    Atomics.store(this.#words, peerAt(node, PEER_CONGESTED), congested ? 1 : 0);
  }

  /** The node has everything that this one knew of the shards which it got up to this epoch. */
  completeAt(node: number): number {
    return Atomics.load(this.#words, peerAt(node, PEER_COMPLETE)) >>> 0;
  }

  setCompleteAt(node: number, epoch: number): void {
    Atomics.store(this.#words, peerAt(node, PEER_COMPLETE), epoch | 0);
  }

  /** Lane: the epoch by whose map it acts from now on. */
  setAdopted(lane: number, epoch: number): void {
    Atomics.store(this.#words, laneAt(lane, LANE_ADOPTED), epoch | 0);
  }

  /** The lowest epoch by which any of the lanes acts. */
  adopted(lanes: number): number {
    let least = 0xffff_ffff;
    for (let lane = 0; lane < lanes; lane++) {
      least = Math.min(least, Atomics.load(this.#words, laneAt(lane, LANE_ADOPTED)) >>> 0);
    }
    return least;
  }

  /** Lane: it lives. */
  beat(lane: number): void {
    Atomics.add(this.#words, laneAt(lane, LANE_TURNS), 1);
  }

  turns(lane: number): number {
    return Atomics.load(this.#words, laneAt(lane, LANE_TURNS));
  }

  /** Lane: see WitnessDesk.awaited. */
  setAwaited(lane: number, awaited: number): void {
    Atomics.store(this.#words, laneAt(lane, LANE_AWAITED), awaited);
  }

  /** 0, or the number of the lane's batch << 8 | the node whose answers it lacks. */
  awaited(lane: number): number {
    return Atomics.load(this.#words, laneAt(lane, LANE_AWAITED));
  }

  /** Lane: it did a slice of a sweep or a walk. */
  addWalked(lane: number): void {
    Atomics.add(this.#words, laneAt(lane, LANE_WALKED), 1);
  }

  walked(lane: number): number {
    return Atomics.load(this.#words, laneAt(lane, LANE_WALKED));
  }
}

function peerAt(node: number, word: number): number {
  return WORDS_OF_PEERS + node * PEER_WORDS + word;
}

function laneAt(lane: number, word: number): number {
  return WORDS_OF_LANES + lane * LANE_WORDS + word;
}

function lowWord(ms: number): number {
  return Math.floor(ms % 4_294_967_296) | 0;
}
