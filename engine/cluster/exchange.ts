// Between this node's lanes and the other nodes: takes what lanes have for others from their rings
// and puts it into frames, and puts what frames bring into the rings of the lanes it is for.
//
//   lane ring ─► batch of a node and stream ─► frame ─► transport
//   transport ─► frame ─► is it of the map in force? ─► lane rings ─► wake
//
// Nothing waits in memory here: a message for a node without a connection is dropped, because its
// lane sends everything again over the next one; a frame that finds no room stays with its
// connection. Pure but for its ports: the simulation runs this very code.

import { assert } from "../base/assert.ts";
import {
  DECISION_KIND, DECISION_WORDS, KIND_DECISION, KIND_NODE_SHIFT, KIND_WITNESS, KIND_WITNESSED,
  WITNESS_PLACE,
} from "../part/decision-layout.ts";
import {
  HOLDER_SET_SHIFT, HOLDER_TO_SHIFT, KIND_COMPLETE, KIND_EPOCH, KIND_FINGERPRINT, KIND_PART,
  KIND_REMEMBERED, MESSAGE_GENERATION, MESSAGE_HOLDER, MESSAGE_KIND, MESSAGE_WORDS,
} from "../part/part-layout.ts";
import { FRAME_COMPLETE, FRAME_PART, FRAME_WITNESSED } from "../peer/frame-layout.ts";
import { FrameReader } from "../peer/frame-reader.ts";
import { FrameWriter } from "../peer/frame-writer.ts";
import { NOBODY, SELF, createShardColumns, type ClusterWords, NODES } from "./cluster-words.ts";
import {
  STREAM_DECISIONS, STREAM_PARTS, type ExchangeCounts, type LaneEnds, type Peer, type Stream,
  type Transport,
} from "./exchange-ports.ts";
import { FrameIntake } from "./frame-intake.ts";
import { NodeNumbers } from "./node-numbers.ts";
import { PeerEntries } from "./peer-entries.ts";
import type { PeerSet } from "./peer-policy-sets.ts";
import { NO_OWNER, type MapMember, type ShardMap } from "./shard-map.ts";
import type { SlotMapping } from "./slot-mapping.ts";
import { NO_WITNESS, planWitnesses } from "./witnesses.ts";

/** Not acknowledged by a node: above it lanes send it nothing new, until it is below the second. */
const CONGESTED_BYTES = 4 * 1024 * 1024;
const EASED_BYTES = 1024 * 1024;
/** Decisions that a node does not take: its connection is given up, and its lanes ask again. */
const DECISIONS_BYTES_MAX = 64 * 1024 * 1024;
const ENTRIES_PER_FRAME = 4096;
/** Slots taken from one ring before the next is looked at. */
const SLOTS_PER_RUN = 16_384;
/** Generations whose lane is known; decisions for others go to every lane. */
const GENERATIONS_MAX = 65_536;
/** A trace explained by many policies; longer ones are not answered for. */
const NOTE_CHARACTERS_MAX = 256 * 1024;
const KIND_MASK = 0xff;

export interface ExchangeOptions {
  readonly logId: string;
  readonly incarnation: string;
  readonly lanes: readonly LaneEnds[];
  readonly words: ClusterWords;
  /** Of this node's fingerprints; equal on all nodes of a cluster. */
  readonly fingerprintProof: number;
}

/** Used by the coordinator's thread only. */
export class Exchange {
  readonly counts: ExchangeCounts = {
    partsSent: 0, partsReceived: 0, partsRefused: 0, decisionsSent: 0, decisionsReceived: 0,
    framesHeld: 0,
  };
  readonly #options: ExchangeOptions;
  readonly #transport: Transport;
  readonly #numbers = new NodeNumbers();
  readonly #writers: (FrameWriter | undefined)[] = [];
  readonly #reader = new FrameReader();
  readonly #columns = createShardColumns();
  /** By node, the number of its policy set. */
  readonly #sets = this.#columns.sets;
  readonly #laneEpochs: Uint32Array;
  /** Epoch of what each node's batch of parts was sent by. */
  readonly #batchEpochs = new Uint32Array(NODES);
  readonly #sequences = new Uint32Array(2 * NODES);
  readonly #sessions = new Int32Array(2 * NODES);
  #sessionCount = 0;
  /** By node and lane: epoch that the lane has completed in the present session. */
  readonly #completed: Uint32Array[];
  readonly #completeSent = new Uint32Array(NODES);
  readonly #laneOf = new Map<number, number>();
  readonly #slot = new Uint32Array(Math.max(MESSAGE_WORDS, DECISION_WORDS));
  #map: ShardMap | null = null;
  #peers: Peer[] = [];
  #members = new Map<string, Peer>();
  readonly #entries = new PeerEntries();
  /** By node, null: its numbers of forwarders are this one's. */
  readonly #slots: (SlotMapping | null)[] = new Array<null>(NODES).fill(null);

  readonly #intake: FrameIntake;
  readonly #onNote: (peer: Peer, note: string) => void;

  /** @param onNote what is rare: questions, grants; JSON of another node. */
  constructor(
    options: ExchangeOptions, transport: Transport, onNote: (peer: Peer, note: string) => void,
  ) {
    this.#options = options;
    this.#transport = transport;
    this.#onNote = onNote;
    this.#intake = new FrameIntake({
      lanes: options.lanes, columns: this.#columns, counts: this.counts,
      fingerprintProof: options.fingerprintProof,
      laneOf: (generation) => this.#laneOf.get(generation),
    });
    this.#laneEpochs = new Uint32Array(options.lanes.length);
    this.#completed = Array.from({ length: NODES }, () => new Uint32Array(options.lanes.length));
  }

  /** Members to be connected with. */
  get peers(): readonly Peer[] {
    return this.#peers;
  }

  get map(): ShardMap | null {
    return this.#map;
  }

  /** What came of other nodes. */
  get heard(): Pick<FrameIntake, "reported" | "progress"> {
    return this.#intake;
  }

  /**
   * Puts a map into force for the lanes.
   * @param setOf what is known of a member's policies: nothing is sent to it before they are. Say
   * the map again when they are.
   * @returns false when this process has met too many logs: it must start anew.
   */
  takeMap(map: ShardMap, setOf: (member: MapMember) => PeerSet): boolean {
    this.#map = map;
    const numbers: number[] = [];
    this.#peers = [];
    this.#members = new Map();
    this.#columns.members.fill(0);
    for (const member of map.members) {
      const isSelf = member.logId === this.#options.logId
        && member.incarnation === this.#options.incarnation;
      const number = isSelf ? SELF : this.#numberOf(member);
      if (number === null) return false;
      numbers.push(number);
      this.#columns.members[number] = 1;
      if (number === SELF || number === NOBODY) continue;
      const set = setOf(member);
      this.#sets[number] = set.number;
      this.#slots[number] = set.slots;
      const peer = { number, member };
      if (set.isKnown) this.#peers.push(peer);
      // What it sends counts in any case: it is in this node's numbers.
      this.#members.set(`${member.logId} ${member.incarnation}`, peer);
    }
    const witnesses = planWitnesses(map);
    for (let shard = 0; shard < map.owners.length; shard++) {
      const owner = map.owners[shard]!;
      const witness = witnesses[shard]!;
      this.#columns.owners[shard] = owner === NO_OWNER ? NOBODY : numbers[owner]!;
      this.#columns.witnesses[shard] = witness === NO_WITNESS ? NOBODY : numbers[witness]!;
      this.#columns.since[shard] = map.since[shard]!;
    }
    this.#options.words.publish(map.epoch, this.#columns);
    for (const { wake } of this.#options.lanes) wake.wake();
    return true;
  }

  /** This log under a former incarnation is nobody: its process is gone. */
  #numberOf(member: MapMember): number | null {
    return member.logId === this.#options.logId ? NOBODY : this.#numbers.numberOf(member.logId);
  }

  /** A connection to a node is there: its lanes begin with it. */
  up(node: number, stream: Stream): void {
    const session = ++this.#sessionCount;
    this.#sessions[2 * node + stream] = session;
    this.#writers[2 * node + stream]?.reset();
    this.#sequences[2 * node + stream] = 0;
    if (stream === STREAM_PARTS) {
      this.#completed[node]!.fill(0);
      this.#completeSent[node] = 0;
      this.#options.words.setCongested(node, false);
      this.#options.words.setPartsSession(node, session);
    } else this.#options.words.setDecisionsSession(node, session);
    for (const { wake } of this.#options.lanes) wake.wake();
  }

  /** It is gone. */
  down(node: number, stream: Stream): void {
    this.#sessions[2 * node + stream] = 0;
    this.#writers[2 * node + stream]?.reset();
    if (stream === STREAM_PARTS) {
      this.#completeSent[node] = 0; // what was not acknowledged may not have arrived
      this.#options.words.setPartsSession(node, 0);
    } else this.#options.words.setDecisionsSession(node, 0);
  }

  /** Sends a note of at most NOTE_CHARACTERS_MAX; it is lost when there is no connection. */
  sendNote(node: number, note: string): void {
    if (this.#sessions[2 * node + STREAM_DECISIONS] === 0 || note.length > NOTE_CHARACTERS_MAX) {
      return;
    }
    this.#flush(node, STREAM_DECISIONS, 0);
    const sequence = ++this.#sequences[2 * node + STREAM_DECISIONS]!;
    const writer = this.#writer(node, STREAM_DECISIONS);
    const bytes = writer.encode(0, sequence, note);
    if (!this.#transport.send(node, STREAM_DECISIONS, bytes)) writer.handOver();
  }

  /**
   * Sends what lanes have for other nodes, and gives them what came. @returns true when there was
   * something.
   */
  run(): boolean {
    let worked = this.#intake.flush();
    this.#options.lanes.forEach((ends, lane) => {
      if (this.#takeDecisions(ends)) worked = true;
      if (this.#takeParts(ends, lane)) worked = true;
    });
    for (const { number } of this.#peers) {
      this.#flush(number, STREAM_DECISIONS, 0);
      this.#flush(number, STREAM_PARTS, this.#batchEpochs[number]!);
      this.#look(number);
    }
    return worked;
  }

  /** Tells lanes how their node takes it. */
  #look(node: number): void {
    const { words } = this.#options;
    const waiting = this.#transport.waitingBytes(node, STREAM_PARTS);
    if (waiting > CONGESTED_BYTES) words.setCongested(node, true);
    else if (waiting < EASED_BYTES && words.isCongested(node)) {
      words.setCongested(node, false);
      for (const { wake } of this.#options.lanes) wake.wake();
    }
    const complete = this.#completeSent[node]!;
    if (waiting === 0 && complete > words.completeAt(node)) words.setCompleteAt(node, complete);
    if (this.#transport.waitingBytes(node, STREAM_DECISIONS) > DECISIONS_BYTES_MAX) {
      this.#transport.reset(node, STREAM_DECISIONS);
      this.#transport.reset(node, STREAM_PARTS); // its walk asks for what it does not hear
    }
  }

  #writer(node: number, stream: Stream): FrameWriter {
    const at = 2 * node + stream;
    return this.#writers[at] ??= new FrameWriter();
  }

  #flush(node: number, stream: Stream, epoch: number): void {
    const writer = this.#writers[2 * node + stream];
    if (writer === undefined || writer.isEmpty) return;
    const sequence = ++this.#sequences[2 * node + stream]!;
    const bytes = writer.encode(epoch, sequence, "");
    if (this.#sessions[2 * node + stream] === 0) return;
    if (!this.#transport.send(node, stream, bytes)) writer.handOver();
  }

  #takeParts({ partsOut }: LaneEnds, lane: number): boolean {
    let taken = 0;
    for (; taken < SLOTS_PER_RUN; taken++) {
      const at = partsOut.peek();
      if (at < 0) break;
      this.#takePartSlot(partsOut.words, at, lane);
      partsOut.release();
    }
    if (taken > 0) partsOut.flush();
    return taken > 0;
  }

  #takePartSlot(words: Uint32Array, at: number, lane: number): void {
    const kind = words[at + MESSAGE_KIND]!;
    if (kind === KIND_EPOCH) {
      this.#laneEpochs[lane] = words[at]!;
      return;
    }
    const holder = words[at + MESSAGE_HOLDER]!;
    const node = (holder >>> HOLDER_TO_SHIFT) & KIND_MASK;
    if (this.#sessions[2 * node + STREAM_PARTS] === 0) return; // sent again over the next one
    const epoch = this.#laneEpochs[lane]!;
    const writer = this.#writer(node, STREAM_PARTS);
    // What was sent by one map is not said to be of another.
    if (epoch !== this.#batchEpochs[node] || writer.entries >= ENTRIES_PER_FRAME) {
      this.#flush(node, STREAM_PARTS, this.#batchEpochs[node]!);
      this.#batchEpochs[node] = epoch;
    }
    switch (kind) {
      case KIND_PART:
        // Folded for a former process of the node: it is folded again for this one.
        if (holder >>> HOLDER_SET_SHIFT !== this.#sets[node]) break;
        this.#noteLane(words[at + MESSAGE_GENERATION]!, lane);
        this.#addPart(writer, words, at, this.#slots[node]!);
        break;
      case KIND_REMEMBERED:
        this.#entries.addRemembered(writer, words, at, this.#slots[node]!);
        break;
      case KIND_FINGERPRINT:
        this.#entries.addFingerprint(writer, words, at, this.#slots[node]!);
        break;
      default:
        assert(kind === KIND_COMPLETE, "lanes send parts, knowledge and how far they are");
        this.#takeComplete(node, lane, words[at]!, words[at + 1]!, writer);
    }
  }

  #addPart(
    writer: FrameWriter, words: Uint32Array, at: number, slots: SlotMapping | null,
  ): void {
    if (slots === null) writer.add(FRAME_PART, words, at);
    else if (!this.#entries.addPart(writer, words, at, slots)) return;
    this.counts.partsSent++;
  }

  /** When every lane has said it, the node hears of it, behind all that they sent. */
  #takeComplete(
    node: number, lane: number, epoch: number, session: number, writer: FrameWriter,
  ): void {
    if (session !== this.#sessions[2 * node + STREAM_PARTS]) return; // of a former connection
    const completed = this.#completed[node]!;
    completed[lane] = epoch;
    let least = epoch;
    for (const other of completed) least = Math.min(least, other);
    if (least <= this.#completeSent[node]!) return;
    this.#completeSent[node] = least;
    this.#slot[0] = completed.length;
    this.#slot[1] = least;
    writer.add(FRAME_COMPLETE, this.#slot, 0);
  }

  #noteLane(generation: number, lane: number): void {
    if (this.#laneOf.get(generation) === lane) return;
    if (this.#laneOf.size >= GENERATIONS_MAX) {
      for (const oldest of this.#laneOf.keys()) {
        this.#laneOf.delete(oldest);
        break;
      }
    }
    this.#laneOf.set(generation, lane);
  }

  #takeDecisions({ decisionsOut }: LaneEnds): boolean {
    let taken = 0;
    for (; taken < SLOTS_PER_RUN; taken++) {
      const at = decisionsOut.peek();
      if (at < 0) break;
      this.#takeDecisionSlot(decisionsOut.words, at);
      decisionsOut.release();
    }
    if (taken > 0) decisionsOut.flush();
    return taken > 0;
  }

  #takeDecisionSlot(words: Uint32Array, at: number): void {
    const kind = words[at + DECISION_KIND]! & KIND_MASK;
    const node = words[at + DECISION_KIND]! >>> KIND_NODE_SHIFT;
    if (this.#sessions[2 * node + STREAM_DECISIONS] === 0) return; // asked for again
    const writer = this.#writer(node, STREAM_DECISIONS);
    if (writer.entries >= ENTRIES_PER_FRAME) this.#flush(node, STREAM_DECISIONS, 0);
    const slots = this.#slots[node]!;
    if (kind === KIND_DECISION) {
      if (this.#entries.addDecision(writer, words, at, slots)) this.counts.decisionsSent++;
      return;
    }
    if (kind === KIND_WITNESS) {
      this.#entries.addWitness(writer, words, at, slots);
      return;
    }
    assert(kind === KIND_WITNESSED, "lanes send decisions, questions and answers");
    const slot = this.#slot;
    slot.fill(0, 0, 4);
    slot[0] = words[at + WITNESS_PLACE]!;
    writer.add(FRAME_WITNESSED, slot, 0);
  }

  /**
   * Takes a frame of another node; lanes see it at the next run.
   * @returns false when it must wait: for a map, or for room. Offer it again, in order.
   */
  frame(logId: string, incarnation: string, stream: Stream, bytes: Uint8Array): boolean {
    const reader = this.#reader;
    if (!reader.read(bytes)) return true; // the connection is checked: only a bug writes this
    const adopted = this.#options.words.adopted(this.#options.lanes.length);
    const peer = this.#members.get(`${logId} ${incarnation}`);
    if (reader.epoch > adopted) return this.#hold(peer);
    // Not a member by a map that is at least as young: what it does has no effect here.
    if (peer === undefined) return true;
    if (reader.note !== "") {
      this.#onNote(peer, reader.note);
      return true; // a note travels alone
    }
    const taken = stream === STREAM_PARTS ? this.#intake.takeParts(peer.number, reader)
      : this.#intake.takeDecisions(peer.number, reader, adopted);
    return taken || this.#hold(peer);
  }

  /** It waits for this node, which so waits for nobody. */
  #hold(peer: Peer | undefined): false {
    this.counts.framesHeld++;
    if (peer !== undefined) this.#intake.progress[peer.number]!++;
    return false;
  }
}
