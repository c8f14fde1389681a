// "A holder sends a part until it is decided": the walk over this lane's log that sends undecided
// parts again. After a start they go to the lanes of this node; in a cluster also to whoever got
// shards, was away or could not take them. One walk a destination, in slices, each with a cursor.
//
//   another owner, another connection ─► SWEEP what is remembered ─► WALK what is undecided
//                                        ─► COMPLETE ─► new parts go as they come
//   a node that could take no more    ─► WALK from there on ─► COMPLETE
//   a node that decides by other policies: each new record is such a WALK
//
// What is sent by a walk is marked: its owner may have it already. Its predicate bits are those of
// the policies of the node it is for.

import { NOBODY, SELF, NODES } from "../cluster/cluster-words.ts";
import { shardOf, SHARDS } from "../hash/shard-of.ts";
import type { LaneLog } from "../log/lane-log.ts";
import { UNDECIDED_BITS, type PartStates } from "../log/part-states.ts";
import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import { KIND_FINGERPRINT, KIND_REMEMBERED, PART_WORDS } from "../part/part-layout.ts";
import type { CounterBlock } from "../telemetry/counters.ts";
import { LOST_RECORD_CORRUPT, lostIndex } from "../telemetry/label-values.ts";
import { PARTS_SENT_AGAIN, SPANS_IN_FLIGHT, SPANS_LOST } from "../telemetry/metric-table.ts";
import type { DecisionMemory } from "../traces/decision-memory.ts";
import {
  BATCH_FULL, BATCH_HEADER_WORDS, batchWordsFor, FINGERPRINT_WORDS, MEMORY_WORDS,
} from "../traces/memory-layout.ts";
import { MemorySweep } from "../traces/memory-sweep.ts";
import type { RecordIndex } from "../wire/record-index.ts";
import {
  STAGE_COMPLETE, STAGE_IDLE, STAGE_SWEEP, STAGE_WALK, type Destinations,
} from "./destinations.ts";
import { OWN_BITS, UNKNOWN_BITS, type ForeignSets } from "./foreign-sets.ts";
import { HeldRecord } from "./held-record.ts";
import type { LaneClock } from "./lane-clock.ts";
import { isPeer, type PartSender } from "./part-sender.ts";
import type { ShardTable } from "./shard-table.ts";

/** Records of one slice of a walk: a few microseconds each, when they need not be scanned again. */
const RECORDS_PER_SLICE = 256;
/** Bytes that one slice scans again: with all slices of a turn twice what a commit takes in. */
const SCAN_BYTES_PER_SLICE = 2 * 1024 * 1024;
/** Slices of a turn: every new record is a walk for each node that decides by other policies. */
const SLICES_PER_TURN = 4;
/** Remembered decisions of one slice of a sweep. */
const ENTRIES_PER_SLICE = 1024;

export interface FoldAgainParts {
  readonly log: LaneLog;
  readonly memory: DecisionMemory;
  readonly foreign: ForeignSets;
  readonly index: RecordIndex;
  readonly sender: PartSender;
  readonly shards: ShardTable;
  readonly destinations: Destinations;
  readonly clock: LaneClock;
  readonly counters: CounterBlock<"lane">;
  /** Whether the bits of a generation's parts are those of the loaded policies. */
  readonly isCurrent: (generation: number) => boolean;
}

/** Written by its lane only. */
export class FoldAgain {
  readonly #in: FoldAgainParts;
  readonly #sweep: MemorySweep;
  readonly #slice = new Uint32Array(batchWordsFor(ENTRIES_PER_SLICE));
  readonly #wanted = new Uint8Array(SHARDS);
  /** Node whose sweep is under way, -1 = none; what is left of the slice under hand. */
  #sweeping = -1;
  #sliceAt = 0;
  #sliceEnd = 0;
  #next = 0;
  #part = 0;
  /** Younger records wait for their time; the walk over overdue ones ends at the first of them. */
  #overdueMs = 0;
  #isYoung = false;
  readonly #held: HeldRecord;

  constructor(parts: FoldAgainParts) {
    this.#in = parts;
    this.#sweep = new MemorySweep(parts.memory);
    this.#held = new HeldRecord(parts.index, parts.log, parts.foreign, parts.isCurrent);
  }

  /** After the log was loaded: everything undecided goes to this node's own lanes. */
  beginSelf(): void {
    this.#in.destinations.beginAgain(SELF, false);
  }

  /** True when this node's own lanes have all that this lane had for them. */
  get selfDone(): boolean {
    return this.#in.destinations.stage[SELF] === STAGE_IDLE;
  }

  /** Nodes that still wait for something of this lane, but for those that cannot be reached. */
  get waiting(): number {
    const { stage } = this.#in.destinations;
    let count = 0;
    for (let node = 0; node < NODES; node++) if (stage[node] !== STAGE_IDLE) count++;
    return count;
  }

  /** Sends slices to the next nodes that wait. @returns true when something was done. */
  run(): boolean {
    this.#followSessions();
    let slices = 0;
    while (slices < SLICES_PER_TURN && this.#runOne()) slices++;
    return slices > 0;
  }

  #runOne(): boolean {
    const { destinations, shards, foreign } = this.#in;
    for (let step = 1; step <= NODES; step++) {
      const node = (this.#next + step) % NODES;
      if (destinations.stage[node] === STAGE_IDLE) continue;
      if (foreign.bits[node] === UNKNOWN_BITS) continue; // until its policies are known here
      if (node !== SELF && shards.words?.isCongested(node) === true) continue;
      // One sweep at a time: the slice under hand is for one node.
      const isSweep = destinations.stage[node] === STAGE_SWEEP;
      if (isSweep && this.#sweeping >= 0 && this.#sweeping !== node) continue;
      this.#next = node;
      shards.walked();
      return this.#advance(node);
    }
    return false;
  }

  /** Connections that came and went since the last look. */
  #followSessions(): void {
    const { words } = this.#in.shards;
    if (words === null) return;
    const { destinations } = this.#in;
    for (let node = 1; node < NODES; node++) {
      const session = words.partsSession(node);
      if (session === destinations.session[node]) continue;
      destinations.session[node] = session;
      if (this.#sweeping === node) this.#sweeping = -1;
      if (session === 0) destinations.lose(node);
      else destinations.beginAgain(node, true);
    }
  }

  /** Another map is in force. @param nodes that got shards; @param witnesses see MapChange. */
  mapChanged(nodes: Uint8Array, witnesses: Uint8Array): void {
    const { destinations } = this.#in;
    for (let node = 0; node < NODES; node++) {
      const reachable = node === SELF || destinations.session[node] !== 0;
      if (!reachable || (node !== SELF && !isPeer(node))) continue;
      if (nodes[node] === 1) {
        if (this.#sweeping === node) this.#sweeping = -1;
        destinations.beginAgain(node, node !== SELF);
      } else if (witnesses[node] === 1) destinations.tellRemembered(node);
    }
  }

  /** Parts older than this are sent once more to whoever owns them: answers may be lost. */
  sendOverdueAgain(olderThanMs: number): void {
    this.#overdueMs = olderThanMs;
    const { destinations } = this.#in;
    for (let node = 0; node < NODES; node++) {
      const isReached = node === SELF || destinations.session[node] !== 0;
      if (isReached && node !== NOBODY) destinations.askAgain(node);
    }
  }

  #advance(node: number): boolean {
    const { destinations, sender } = this.#in;
    switch (destinations.stage[node]) {
      case STAGE_SWEEP:
        if (!this.#sweepSome(node)) return true;
        destinations.stage[node] = node !== SELF && destinations.live[node] === 1
          ? STAGE_COMPLETE : STAGE_WALK;
        break;
      case STAGE_WALK:
        if (!this.#walkSome(node)) return true;
        if (destinations.overdueOnly[node] === 1) {
          destinations.next(node);
          break;
        }
        // What is appended from here on is sent as it comes.
        destinations.live[node] = 1;
        destinations.stage[node] = STAGE_COMPLETE;
        break;
      default:
        // On a single node nobody asks.
        if (!this.#in.shards.clustered || sender.sayComplete(node, destinations.session[node]!)) {
          destinations.next(node);
        }
    }
    sender.flush();
    return true;
  }

  /** Sends remembered decisions of the shards that the node owns or witnesses. True when done. */
  #sweepSome(node: number): boolean {
    if (this.#sweeping !== node) {
      if (!this.#markWanted(node)) return true;
      this.#sweeping = node;
      this.#sliceAt = 0;
      this.#sliceEnd = 0;
      this.#sweep.exportAll(this.#wanted);
    }
    if (this.#sliceAt === this.#sliceEnd) {
      if (this.#sweep.done) {
        this.#sweeping = -1;
        return true;
      }
      const words = this.#sweep.slice(this.#slice, 0, this.#slice.length);
      this.#sliceAt = words === 0 ? 0 : BATCH_HEADER_WORDS;
      this.#sliceEnd = words;
    }
    const isFull = (this.#slice[0]! & 0xff) === BATCH_FULL;
    const step = isFull ? MEMORY_WORDS : FINGERPRINT_WORDS;
    const kind = isFull ? KIND_REMEMBERED : KIND_FINGERPRINT;
    while (this.#sliceAt < this.#sliceEnd) {
      if (!this.#in.sender.passToNode(node, this.#slice, this.#sliceAt, step, kind)) break;
      this.#sliceAt += step;
    }
    this.#in.sender.flush();
    return false;
  }

  /** @returns false when the node needs to hear of no shard. */
  #markWanted(node: number): boolean {
    const { owners, witnesses, since, witnessSince, words } = this.#in.shards;
    const told = words?.completeAt(node) ?? 0;
    let wanted = false;
    for (let shard = 0; shard < SHARDS; shard++) {
      const owns = owners[shard] === node && since[shard]! > told;
      const sees = owners[shard] === SELF && witnesses[shard] === node
        && witnessSince[shard]! > told;
      this.#wanted[shard] = owns || sees ? 1 : 0;
      if (owns || sees) wanted = true;
    }
    return wanted;
  }

  /** Sends undecided parts from the node's cursor on. True when the end of the log is reached. */
  #walkSome(node: number): boolean {
    const { log, destinations } = this.#in;
    for (const generation of log.generations()) {
      if (generation < destinations.cursorGeneration[node]!) continue;
      if (generation > destinations.cursorGeneration[node]!) {
        destinations.cursorGeneration[node] = generation;
        destinations.cursorEntry[node] = 0;
        this.#part = 0;
      }
      const states = log.states(generation);
      if (states === undefined) continue;
      if (!this.#walkGeneration(node, generation, states)) return false;
      if (this.#isYoung) break; // so are all records after it
    }
    this.#isYoung = false;
    return true;
  }

  #walkGeneration(node: number, generation: number, states: PartStates): boolean {
    const { destinations } = this.#in;
    // The cursor is the record to go on with; 0 = before the first.
    let entry = destinations.cursorEntry[node]!;
    if (entry === 0 || states.nextPart(entry, 0, UNDECIDED_BITS) < 0) {
      entry = states.nextRecord(entry, UNDECIDED_BITS);
    }
    if (entry === 0) return true;
    const scanEnd = this.#held.scannedBytes + SCAN_BYTES_PER_SLICE;
    let room = true;
    let records = 0;
    this.#in.log.reading(generation, () => {
      while (room && entry !== 0 && records < RECORDS_PER_SLICE
        && this.#held.scannedBytes < scanEnd) {
        room = this.#sendRecord(node, generation, states, entry);
        if (!room) return;
        if (this.#isYoung) {
          entry = 0;
          return;
        }
        entry = states.nextRecord(entry, UNDECIDED_BITS);
        records++;
      }
    });
    this.#in.sender.flush();
    if (entry !== 0) destinations.cursorEntry[node] = entry;
    return room && entry === 0;
  }

  /** Sends the undecided parts of one record that are the node's; false when a ring is full. */
  #sendRecord(node: number, generation: number, states: PartStates, entry: number): boolean {
    const { index, sender, shards, counters, foreign } = this.#in;
    const first = this.#held.isHeld(generation, entry) ? this.#part : 0;
    this.#part = 0;
    if (!this.#held.hold(generation, entry, false)) {
      this.#lose(states, entry);
      return true;
    }
    const ageMs = this.#ageMs();
    if (this.#in.destinations.overdueOnly[node] === 1 && ageMs < this.#overdueMs) {
      this.#isYoung = true;
      return true;
    }
    for (let part = states.nextPart(entry, first, UNDECIDED_BITS); part >= 0;
      part = states.nextPart(entry, part + 1, UNDECIDED_BITS)) {
      const shard = shardOf(index.parts, part * PART_WORDS);
      if (shards.owners[shard] !== node) continue;
      const undecided = states.state(entry, part) & UNDECIDED_BITS;
      if ((undecided & foreign.samplers[node]!) === 0) continue; // the node has none of them
      if (!this.#held.foldBy(foreign.bits[node]!)) {
        this.#lose(states, entry);
        return true;
      }
      if (!sender.sendTo(
        node, shard, index, part, generation, entry, undecided, ageMs, true)) {
        this.#part = part;
        return false;
      }
      counters.add(PARTS_SENT_AGAIN, 1);
    }
    return true;
  }

  /** Goes on with the record whose parts did not all fit their rings; true when it is out. */
  sendRest(): boolean {
    const { log, sender, index } = this.#in;
    const states = log.states(sender.restGeneration);
    if (states === undefined) return true;
    let sent = true;
    log.reading(sender.restGeneration, () => {
      const { restGeneration: generation, restEntry: entry } = sender;
      if (!this.#held.hold(generation, entry, true) || !this.#held.foldBy(OWN_BITS)) {
        this.#lose(states, entry);
        return;
      }
      const ageMs = this.#ageMs();
      for (let part = states.nextPart(entry, sender.restIndex, UNDECIDED_BITS); part >= 0;
        part = states.nextPart(entry, part + 1, UNDECIDED_BITS)) {
        const undecided = states.state(entry, part) & UNDECIDED_BITS;
        if (sender.sendPart(index, part, generation, entry, undecided, ageMs, false)) continue;
        sender.restIndex = part;
        sent = false;
        return;
      }
    });
    return sent;
  }

  #ageMs(): number {
    const ageMs = Math.floor(this.#in.clock.wallMs - this.#held.arrivalMs);
    return Math.max(0, Math.min(0xffff_ffff, ageMs));
  }

  /** The record is gone: its undecided spans are lost, and counted. */
  #lose(states: PartStates, entry: number): void {
    const { counters } = this.#in;
    for (let part = states.nextPart(entry, 0, UNDECIDED_BITS); part >= 0;
      part = states.nextPart(entry, part + 1, UNDECIDED_BITS)) {
      const undecided = states.state(entry, part) & UNDECIDED_BITS;
      const spans = states.spans(entry, part);
      for (let slot = 0; slot < FORWARDERS_MAX; slot++) {
        if ((undecided & (1 << slot)) === 0) continue;
        counters.addAt(SPANS_IN_FLIGHT, slot, -spans);
        counters.addAt(SPANS_LOST, lostIndex(slot, LOST_RECORD_CORRUPT), spans);
      }
      states.clear(entry, part, UNDECIDED_BITS);
    }
  }
}
