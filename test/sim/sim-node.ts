// One process of a node: a real lane with a real log, a real exchange; what would be sockets, etcd,
// the door and the forwarder are doubles.

import { cpSync, existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { copyBytes } from "../../engine/base/copy-bytes.ts";
import { ClusterWords } from "../../engine/cluster/cluster-words.ts";
import { Exchange } from "../../engine/cluster/exchange.ts";
import { PeerPolicySets } from "../../engine/cluster/peer-policy-sets.ts";
import { PolicySetBoard } from "../../engine/cluster/policy-set-board.ts";
import type { MapMember, ShardMap } from "../../engine/cluster/shard-map.ts";
import {
  ACK_DELIVERED, ACK_FORWARDER, ACK_MESSAGE_ID, ACK_OUTCOME, MESSAGE_ID, MESSAGE_PAYLOAD_AT,
  MESSAGE_PAYLOAD_BYTES,
} from "../../engine/forward/message-layout.ts";
import { createSharedMemory } from "../../engine/gateway/shared-memory.ts";
import { COMMAND_KEEP } from "../../engine/lane/control.ts";
import { buildLane, type LaneParts } from "../../engine/lane/lane-parts.ts";
import type { LanePlan } from "../../engine/lane/lane-plan.ts";
import { Lane } from "../../engine/lane/lane.ts";
import { UNDECIDED_BITS } from "../../engine/log/part-states.ts";
import {
  DECISION_ENTRY, DECISION_GENERATION, DECISION_ID_0, DECISION_INDEX, DECISION_MASKS,
} from "../../engine/part/decision-layout.ts";
import { ACCEPTED } from "../../engine/part/verdict.ts";
import { ByteRingConsumer, ByteRingProducer } from "../../engine/ring/byte-ring.ts";
import {
  COMPLETION_REQUEST, COMPLETION_VERDICT, FORMAT_OTLP_PROTO, PAYLOAD_BODY_BYTES,
  PAYLOAD_ENCODING, PAYLOAD_FORMAT, PAYLOAD_HEADER_BYTES, PAYLOAD_REQUEST,
} from "../../engine/ring/payload-layout.ts";
import { SlotRingConsumer, SlotRingProducer } from "../../engine/ring/slot-ring.ts";
import { WakeWord } from "../../engine/ring/wake-word.ts";
import { DecisionMemory } from "../../engine/traces/decision-memory.ts";
import { decodeRequest } from "../support/otlp-builder.ts";
import { createLeaseView } from "./etcd-double.ts";
import {
  forwardersOf, publishedOf, readNumbers, slotNamesOf, type SimConfig,
} from "./sim-policies.ts";
import type { World } from "./world.ts";

const FINGERPRINT_SEED = 7;
const ALL_BITS = 0xffff_ffff;
const LIMITS: LanePlan["limits"] = {
  bodyBytesMax: 64 * 1024, inflateRatioMax: 100, spansPerBodyMax: 256,
  traceRowsMax: 4_096, partLinksMax: 16_384, spansPerTraceMax: 10_000,
  bytesPerTraceMax: 1 << 24, decisionsFullMax: 4_096, decisionsFullMs: 10_000,
  fingerprintBytes: 1 << 18, keptPartsMax: 4_096, generationBytes: 256 * 1024,
  generationAgeMs: 4_000,
};

/** Where a node's processes run one after the other. */
export interface Place {
  readonly name: string;
  readonly logId: string;
  /** Of the present process; each begins with a copy of its predecessor's. */
  directory: string;
  /** Of the next process. */
  config: SimConfig;
  highestGeneration: number;
  starts: number;
  node: SimNode | null;
  /** Its disk is lost. */
  isGone: boolean;
}

/** The process ended in the middle of a turn. */
export class SimulatedCrash extends Error {}

export class SimNode {
  readonly place: Place;
  readonly name: string;
  readonly incarnation: string;
  readonly member: MapMember;
  readonly exchange: Exchange;
  readonly parts: LaneParts;
  readonly lease = createLeaseView();
  readonly maps: { readonly map: ShardMap; readonly atMs: number }[] = [];
  isAlive = true;
  isLeaving = false;
  pausedUntilMs = 0;
  etcdCutUntilMs = 0;
  /** The process ends in this many commits, before anything of that commit takes effect. */
  commitsLeft = Infinity;
  readonly config: SimConfig;
  readonly #world: World;
  readonly #policySets: PeerPolicySets;
  /** Questions to etcd that are not answered yet. */
  #asked: { readonly hash: string; readonly done: (text: string | null | Error) => void }[] = [];
  readonly #words: ClusterWords;
  readonly #lane: Lane;
  readonly #payloads: ByteRingProducer;
  readonly #completions: SlotRingConsumer;
  /** By slot of a forwarder. */
  readonly #forward: readonly ByteRingConsumer[];
  readonly #acknowledgements: SlotRingProducer;
  /** Messages that the backend has, and the process was not told of yet. */
  readonly #unanswered: { readonly slot: number; readonly message: number }[] = [];

  constructor(world: World, place: Place) {
    this.#world = world;
    this.place = place;
    this.name = place.name;
    this.config = place.config;
    this.incarnation = `${place.name}-${++place.starts}`;
    const published = publishedOf(this.config);
    world.etcd.policySets.set(published.hash, published.text);
    this.member = {
      name: place.name, logId: place.logId, incarnation: this.incarnation, capacity: 1,
      rebalanceAddress: place.name, ingestAddress: place.name, policySet: published.hash,
    };
    const shared = createSharedMemory(
      1, [0, 1], LIMITS.bodyBytesMax, LIMITS.bodyBytesMax, true).lanes[0]!; // one lane
    this.parts = buildLane(planOf(place, shared));
    this.parts.control.startGenerationsAfter(place.highestGeneration);
    this.#watch();
    this.#lane = new Lane(this.parts);
    this.#words = new ClusterWords(shared.cluster!); // clustered
    this.exchange = new Exchange({
      logId: place.logId, incarnation: this.incarnation, words: this.#words,
      fingerprintProof: DecisionMemory.proofOf(FINGERPRINT_SEED),
      lanes: [{
        partsOut: new SlotRingConsumer(shared.partsTo.at(-1)!),
        partsIn: new SlotRingProducer(shared.partsFrom.at(-1)!),
        decisionsOut: new SlotRingConsumer(shared.decisionsTo.at(-1)!),
        decisionsIn: new SlotRingProducer(shared.decisionsFrom.at(-1)!),
        wake: new WakeWord(shared.wake.lanes[0]!),
      }],
    }, world.network.transportOf(this), () => {});
    this.#policySets = this.#createPolicySets(shared.cluster!); // clustered
    this.#payloads = new ByteRingProducer(shared.payloads);
    this.#completions = new SlotRingConsumer(shared.completions);
    this.#forward = [0, 1].map((slot) => new ByteRingConsumer(shared.forward[slot]!)); // both
    this.#acknowledgements = new SlotRingProducer(shared.acknowledgements);
    this.#lane.load();
  }

  #createPolicySets(memory: SharedArrayBuffer): PeerPolicySets {
    return new PeerPolicySets({
      ownHash: this.member.policySet, slotNames: slotNamesOf(this.config), lanes: 1,
    }, {
      board: new PolicySetBoard(memory), read: readNumbers, log: () => {}, wake: () => {},
      clock: { monotonicMs: () => this.#world.time.nowMs },
      fetch: (hash, done) => this.#asked.push({ hash, done }),
      known: () => this.#takeMap(this.exchange.map!), // it is of a member of the map
    });
  }

  #takeMap(map: ShardMap): void {
    this.#policySets.takeMap(map);
    this.exchange.takeMap(map, (member) => this.#policySets.of(member));
    this.#world.network.setPeers(this);
  }

  #answerQuestions(): void {
    const { etcd, random, time } = this.#world;
    const asked = this.#asked;
    this.#asked = asked.filter(() => random.chance(0.3));
    for (const question of asked) {
      if (this.#asked.includes(question)) continue;
      if (this.etcdCutUntilMs > time.nowMs) question.done(new Error("etcd does not answer"));
      else question.done(etcd.policySets.get(question.hash) ?? null);
    }
  }

  /** Looks at decisions as they are carried out, and ends the process at a commit. */
  #watch(): void {
    const { holder, log, control } = this.parts;
    const takeDecision = holder.takeDecision.bind(holder);
    holder.takeDecision = (words, at) => {
      const states = log.states(words[at + DECISION_GENERATION]!);
      const entry = words[at + DECISION_ENTRY]!;
      const index = words[at + DECISION_INDEX]!;
      const masks = words[at + DECISION_MASKS]!;
      const before = states?.has(entry, index) === true ? states.state(entry, index) : 0;
      const isTaken = takeDecision(words, at);
      const { backendSlot } = this.config;
      if (isTaken && (before & masks & (1 << backendSlot)) !== 0) {
        const isKept = ((masks >>> (16 + backendSlot)) & 1) === 1;
        this.#world.tookEffect(idOf(words, at), isKept, this);
      }
      return isTaken;
    };
    const transact = log.transact.bind(log);
    log.transact = (work) => {
      const status = transact(work);
      this.place.highestGeneration = Math.max(this.place.highestGeneration, log.openGeneration);
      if (--this.commitsLeft <= 0) throw new SimulatedCrash(this.incarnation);
      return status;
    };
    const nextGeneration = control.nextGeneration.bind(control);
    control.nextGeneration = () => {
      const generation = nextGeneration();
      this.place.highestGeneration = Math.max(this.place.highestGeneration, generation);
      return generation;
    };
  }

  get isPaused(): boolean {
    return this.pausedUntilMs > this.#world.time.nowMs;
  }

  /** What the coordinator's thread does. */
  coordinate(): void {
    const { network, etcd, time } = this.#world;
    etcd.keepAlive(this);
    let newest: ShardMap | null = null;
    while (this.maps.length > 0 && this.maps[0]!.atMs <= time.nowMs
      && this.etcdCutUntilMs <= time.nowMs) {
      newest = this.maps.shift()!.map;
      if (this.#world.random.chance(0.5)) break; // else only the last of several is seen
    }
    if (newest !== null) this.#takeMap(newest);
    this.#answerQuestions();
    this.#policySets.run();
    this.#words.setDecideUntil(etcd.fenceOf(this));
    network.tick(this);
    network.deliver(this);
    this.exchange.run();
  }

  /** What the lane's, the door's and the forwarder's threads do. @throws SimulatedCrash */
  turn(): void {
    this.#lane.step();
    for (let at = this.#completions.peek(); at >= 0; at = this.#completions.peek()) {
      const { words } = this.#completions;
      if (words[at + COMPLETION_VERDICT] === ACCEPTED) {
        this.#world.ledger.acknowledge(words[at + COMPLETION_REQUEST]!);
      }
      this.#completions.release();
    }
    this.#completions.flush();
    this.#forwardSome();
  }

  #forwardSome(): void {
    this.#forward.forEach((ring, slot) => {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        const { words, bytes } = ring;
        const size = words[(at >>> 2) + MESSAGE_PAYLOAD_BYTES]!;
        const from = at + MESSAGE_PAYLOAD_AT;
        const body = Uint8Array.from(bytes.subarray(from, from + size));
        for (const { spanId } of decodeRequest(body)) {
          if (slot === this.config.backendSlot) this.#world.delivered(spanId, this);
        }
        this.#unanswered.push({ slot, message: words[(at >>> 2) + MESSAGE_ID]! });
        ring.release();
      }
    });
    while (this.#unanswered.length > 0 && this.#world.random.chance(0.7)) {
      const to = this.#acknowledgements.reserve();
      if (to < 0) break;
      const { words } = this.#acknowledgements;
      const { slot, message } = this.#unanswered.shift()!;
      words[to + ACK_FORWARDER] = slot;
      words[to + ACK_MESSAGE_ID] = message;
      words[to + ACK_OUTCOME] = ACK_DELIVERED;
      this.#acknowledgements.publish();
    }
    this.#acknowledgements.flush();
  }

  /** A client's request. */
  put(): void {
    const { number, body } = this.#world.ledger.nextRequest(this.name);
    const bytes = PAYLOAD_HEADER_BYTES + body.length;
    const at = this.#payloads.reserve(bytes);
    if (at < 0) return;
    const { words } = this.#payloads;
    words[(at >>> 2) + PAYLOAD_REQUEST] = number;
    words[(at >>> 2) + PAYLOAD_FORMAT] = FORMAT_OTLP_PROTO;
    words[(at >>> 2) + PAYLOAD_ENCODING] = 0;
    words[(at >>> 2) + PAYLOAD_BODY_BYTES] = body.length;
    copyBytes(body, 0, body.length, this.#payloads.bytes, at + PAYLOAD_HEADER_BYTES);
    this.#payloads.publish(bytes);
  }

  /** Decides nothing from here on, and asks to be taken out of the map. */
  leave(): void {
    this.isLeaving = true;
    this.parts.control.command = COMMAND_KEEP;
    this.#world.etcd.leave(this);
  }

  /** Ends the process as it is: the next one gets a copy of its directory. */
  end(copyTo: string): void {
    this.isAlive = false;
    // The reserve is never written again: it need not be a copy.
    const reserve = join("log", "lane-0", "reserve");
    const isThere = existsSync(join(this.place.directory, reserve));
    cpSync(this.place.directory, copyTo, {
      recursive: true, filter: (source) => !source.endsWith(reserve),
    });
    if (isThere) renameSync(join(this.place.directory, reserve), join(copyTo, reserve));
    this.place.directory = copyTo;
    this.close();
  }

  close(): void {
    this.isAlive = false;
    for (const { outbox } of this.parts.deliveries.list) outbox.close();
    this.parts.log.close();
  }

  /** What it still waits for; empty when nothing does. */
  unsettled(): string {
    const { owner, desk, log, shards, foldAgain } = this.parts;
    if (shards.closedShards() > 0) return `${shards.closedShards()} shards closed`;
    if (!shards.mayDecide()) return "fenced";
    if (foldAgain.waiting > 0) return `${foldAgain.waiting} nodes behind`;
    for (const generation of log.generations()) {
      const states = log.states(generation);
      const entry = states?.nextRecord(0, UNDECIDED_BITS) ?? 0;
      if (entry !== 0) return `generation ${generation} entry ${entry} undecided`;
      if ((states?.nextRecord(0, ALL_BITS) ?? 0) !== 0) return "kept spans undelivered";
    }
    if (desk.isUnderWay) return "decisions under way";
    return owner.liveRows > 0 ? `${owner.liveRows} rows live` : "";
  }
}

function planOf(place: Place, memory: LanePlan["memory"]): LanePlan {
  return {
    lane: 0, lanes: 1, dataDirectory: place.directory, durability: "process",
    logId: place.logId, fingerprintSeed: FINGERPRINT_SEED, tableSeed: place.starts,
    slotNames: slotNamesOf(place.config), limits: LIMITS, memory,
    forwarders: forwardersOf(place.config),
  };
}

function idOf(words: Uint32Array, at: number): string {
  let id = "";
  for (let word = 0; word < 4; word++) {
    id += words[at + DECISION_ID_0 + word]!.toString(16).padStart(8, "0");
  }
  return id;
}
