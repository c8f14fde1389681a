// This node in its cluster: etcd and membership, the map that the lanes act by, the connections to
// the other nodes, and until when anything may be decided. Runs in the coordinator's thread.

import { randomUUID } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { PeerLinks } from "../peer/peer-links.ts";
import { SlotRingConsumer, SlotRingProducer } from "../ring/slot-ring.ts";
import { WakeWord } from "../ring/wake-word.ts";
import { Cluster } from "./bootstrap.ts";
import type { ClusterLog } from "./cluster-options.ts";
import type { ClusterReport, ClusterTotals } from "./cluster-report.ts";
import { ClusterWords, systemMonotonicMs } from "./cluster-words.ts";
import { EtcdProbe } from "./etcd-probe.ts";
import { Exchange } from "./exchange.ts";
import { STREAM_DECISIONS, type Peer, type Stream } from "./exchange-ports.ts";
import { decideUntilMs } from "./fence.ts";
import { Grants, type EtcdState } from "./grants.ts";
import { LinkSessions } from "./link-sessions.ts";
import { MapKeeper } from "./map-keeper.ts";
import { reportMembers } from "./member-reports.ts";
import { MemberWatch } from "./member-watch.ts";
import { Membership, type MembershipHandlers } from "./membership.ts";
import type { ClusterPlan } from "./node-plan.ts";
import { readNote } from "./notes.ts";
import { PeerPolicySets, type ReadPolicySet } from "./peer-policy-sets.ts";
import { PolicySetBoard } from "./policy-set-board.ts";
import { publishPolicySet } from "./publish-policy-set.ts";
import type { MapMember, ShardMap } from "./shard-map.ts";
import { TraceQuestions } from "./trace-questions.ts";

/** A lane that takes no turn for this long hangs: the lease is let go, others take its traces. */
const LANE_HANG_MS = 5_000;
/** Between two looks at who is silent, each of which may delete a registration. */
const SILENCE_LOOK_MS = 1_000;
/** Trying to get out of the map; others would take over anyhow when the lease has ended. */
const LEAVE_MS = 3_000;
const NONCES = 4_294_967_296;
/** A node that says nothing for this long is cut off, and dialed again. */
const SILENCE_MS_MAX = 5_000;
const TAKEN_OUT = "this node's registration in etcd was deleted, by a member that waited for its"
  + " reports too long, or by hand: it stores spans and decides nothing, and comes back by itself"
  + " after a pause, when it reaches all members";
const TOO_MANY_NODES = "this process has met more nodes than it can number: it starts anew";

export interface ClusterNodeDependencies {
  readonly clock: Clock;
  readonly log: ClusterLog;
  readonly random: () => number;
  /** What this node's own lanes know of a trace. */
  readonly lookup: (traceId: string) => Promise<object | null>;
  /** Checks and compiles another node's policies. @throws Error that says what is wrong. */
  readonly readPolicySet: (hash: string, text: string) => ReadPolicySet;
  /** The thread has something to do. */
  readonly wake: () => void;
  /** A refusal, or a bug: this node cannot stay in the cluster. */
  readonly failed: (error: unknown) => void;
}

/** From open() to leave(). */
export class ClusterNode {
  readonly words: ClusterWords;
  readonly #plan: ClusterPlan;
  readonly #with: ClusterNodeDependencies;
  readonly #self: MapMember;
  readonly #exchange: Exchange;
  readonly #links: PeerLinks;
  readonly #keeper: MapKeeper;
  readonly #membership: Membership;
  readonly #cluster: Cluster;
  readonly #grants: Grants;
  readonly #policySets: PeerPolicySets;
  readonly #etcd: EtcdProbe;
  readonly #questions = new TraceQuestions();
  readonly #sessions: LinkSessions;
  readonly #watch: MemberWatch;
  #lookAtMs = 0;
  readonly #turns: { count: number; seenMs: number }[];
  #isMember = false;
  #isLeaving = false;

  private constructor(plan: ClusterPlan, cluster: Cluster, dependencies: ClusterNodeDependencies) {
    this.#plan = plan;
    this.#with = dependencies;
    this.#cluster = cluster;
    this.words = new ClusterWords(plan.words);
    this.#self = {
      name: plan.options.serverName, logId: plan.logId, incarnation: randomUUID(),
      capacity: plan.capacity, rebalanceAddress: plan.advertise,
      ingestAddress: plan.ingestAddress, policySet: plan.policySet.hash,
    };
    const { logId, incarnation, name } = this.#self;
    const { clock } = dependencies;
    this.#turns = plan.lanes.map(() => ({ count: -1, seenMs: clock.monotonicMs() }));
    this.#links = new PeerLinks({
      self: { name, logId, incarnation }, cluster: plan.options.clusterName, secret: plan.secret,
      listen: plan.listen, silenceMsMax: SILENCE_MS_MAX, random: dependencies.random,
    }, {
      up: (number, stream) => this.#linked(number, stream as Stream, true), // 0 or 1
      down: (number, stream) => this.#linked(number, stream as Stream, false),
      inboundUp: (log, stream) => this.#watch.inbound(log, stream, true, clock.monotonicMs()),
      inboundDown: (log, stream) => this.#watch.inbound(log, stream, false, clock.monotonicMs()),
      frame: (from, of, stream, bytes) => {
        const isTaken = this.#exchange.frame(from, of, stream as Stream, bytes);
        if (isTaken) dependencies.wake();
        return isTaken;
      },
      log: dependencies.log,
    });
    this.#exchange = new Exchange({
      logId, incarnation, words: this.words, fingerprintProof: plan.fingerprintProof,
      lanes: plan.lanes.map((rings) => ({
        partsOut: new SlotRingConsumer(rings.partsOut),
        partsIn: new SlotRingProducer(rings.partsIn),
        decisionsOut: new SlotRingConsumer(rings.decisionsOut),
        decisionsIn: new SlotRingProducer(rings.decisionsIn),
        wake: new WakeWord(rings.wake),
      })),
    }, this.#links, (peer, note) => this.#takeNote(peer, note));
    this.#sessions = new LinkSessions(this.#exchange);
    this.#watch = new MemberWatch({
      incarnation, lanes: plan.lanes.length, handoverTimeoutMs: plan.handoverTimeoutMs,
      words: this.words, exchange: this.#exchange, links: this.#links,
    });
    this.#membership = new Membership(
      { self: this.#self, leaseTtlSeconds: plan.leaseTtlSeconds }, this.#membershipHandlers(),
      { store: cluster.store, clock });
    this.#policySets = this.#createPolicySets();
    this.#grants = new Grants({
      incarnation, firstNonce: Math.floor(dependencies.random() * NONCES),
    });
    this.#keeper = new MapKeeper({
      self: this.#self, membership: this.#membership, clock,
      random: dependencies.random, log: dependencies.log, failed: dependencies.failed,
      blockedUntilMs: () => this.#grants.blockedUntilMs,
    });
    this.#etcd = new EtcdProbe(cluster.store, clock, dependencies.failed);
  }

  #membershipHandlers(): MembershipHandlers {
    return {
      mapChanged: (map) => this.#takeMap(map),
      nodesChanged: () => this.#keeper.consider(),
      // And longer when it does not reach all members.
      takenOut: (pauseMs) =>
        this.#with.log("warn", TAKEN_OUT, { pauseSeconds: Math.ceil(pauseMs / 1_000) }),
      reachesOthers: () => this.#watch.reachesAll(this.#membership.nodes),
      leaseLost: () => this.#fence(),
      mayRenew: () => this.#lanesLive(),
      failed: this.#with.failed,
    };
  }

  #createPolicySets(): PeerPolicySets {
    const { policySet, slotNames, lanes, words } = this.#plan;
    const { clock, log, readPolicySet, wake, failed } = this.#with;
    return new PeerPolicySets({ ownHash: policySet.hash, slotNames, lanes: lanes.length }, {
      board: new PolicySetBoard(words), clock, log, read: readPolicySet, wake,
      fetch: (hash, take) => {
        this.#membership.policySets.tryGet(hash).then(take, failed);
      },
      known: () => this.#takeMap(this.#exchange.map!), // it is of a member of the map
    });
  }

  /**
   * Starts or finds etcd, listens for other nodes, and registers this one.
   * @throws GatewayError a refusal that says what to do; nothing is left running.
   */
  static async open(
    plan: ClusterPlan, signal: AbortSignal, dependencies: ClusterNodeDependencies,
  ): Promise<ClusterNode> {
    const { clock, log, failed } = dependencies;
    const cluster = await Cluster.open(plan.options, { clock, log, signal, failed });
    const node = new ClusterNode(plan, cluster, dependencies);
    try {
      await node.#links.start();
      await publishPolicySet(cluster.store, plan.policySet); // before anybody hears of its hash
      await node.#membership.start();
    } catch (error) {
      node.#etcd.close();
      await node.#links.close();
      await cluster.close();
      throw error;
    }
    node.#keeper.start();
    return node;
  }

  /** True once the map in force has this process and all lanes act by it. */
  get isPlaced(): boolean {
    return this.#isMember && this.words.adopted(this.#plan.lanes.length) >= this.words.epoch;
  }

  /** Why this node is not ready; empty when it is. */
  reasons(closedShards: number): string[] {
    const reasons: string[] = [];
    if (this.#isLeaving) return ["leaving the cluster"];
    if (!this.#isMember) reasons.push("not in the cluster's map");
    if (this.#membership.isOut) {
      reasons.push("taken out of the map: it comes back by itself when it reaches all members");
    }
    if (!this.words.mayDecide(systemMonotonicMs())) {
      reasons.push("no lease in etcd: spans are stored, nothing is decided");
    }
    if (closedShards > 0) reasons.push(`${closedShards} shards wait for other nodes' reports`);
    return reasons;
  }

  /**
   * What the thread does whenever it is woken, and ten times a second.
   * @returns true when lanes had something for other nodes.
   */
  run(): boolean {
    this.#askForGrants();
    this.#fence();
    this.#policySets.run();
    this.#links.resume();
    this.#lookForSilence();
    return this.#exchange.run();
  }

  #lookForSilence(): void {
    const nowMs = this.#with.clock.monotonicMs();
    if (nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + SILENCE_LOOK_MS;
    this.#watch.tellWalking();
    this.#watch.look(this.#isMember, nowMs);
    this.#keeper.reportSilence({
      silent: this.#watch.silent(nowMs), isConnected: (member) => this.#watch.isConnected(member),
    });
  }

  #linked(number: number, stream: Stream, isUp: boolean): void {
    this.#sessions.linked(number, stream, isUp);
    this.#with.wake();
  }

  #takeMap(map: ShardMap): void {
    this.#isMember = map.members.some(({ logId, incarnation }) => {
      return logId === this.#self.logId && incarnation === this.#self.incarnation;
    });
    if (!this.#isMember) this.#sessions.setMember(false);
    this.#policySets.takeMap(map);
    if (!this.#exchange.takeMap(map, (member) => this.#policySets.of(member))) {
      this.#with.failed(new Error(TOO_MANY_NODES));
      return;
    }
    this.#links.setPeers(this.#exchange.peers.map(({ number, member }) => ({
      number, name: member.name, logId: member.logId, incarnation: member.incarnation,
      address: member.rebalanceAddress,
    })));
    if (this.#isMember) this.#sessions.setMember(true);
    this.#fence();
    this.#keeper.consider();
    this.#with.wake();
  }

  #fence(): void {
    const nowMs = this.#with.clock.monotonicMs();
    const { lastAcknowledgedSentMs, leaseTtlMs } = this.#membership;
    const untilMs = decideUntilMs({
      acknowledgedSentMs: lastAcknowledgedSentMs, leaseTtlMs,
      isMember: !this.#isLeaving && this.#keeper.isInForce,
      grantedUntilMs: this.#frozenUntilMs(nowMs),
    });
    // Lanes look at the clock that all threads share.
    this.words.setDecideUntil(untilMs + (systemMonotonicMs() - nowMs));
  }

  /** Until when the map cannot change though etcd is lost. */
  #frozenUntilMs(nowMs: number): number {
    const others = (this.#exchange.map?.members ?? []).filter(({ incarnation }) => {
      return incarnation !== this.#self.incarnation;
    });
    return this.#grants.frozenUntilMs(nowMs, others, this.#etcdState());
  }

  #etcdState(): EtcdState {
    const { hasOpenProposal } = this.#keeper;
    return { hasEtcd: this.#etcd.hasEtcd, hasOpenProposal, epoch: this.#exchange.map?.epoch ?? 0 };
  }

  #askForGrants(): void {
    const nowMs = this.#with.clock.monotonicMs();
    const ask = this.#grants.onTick(nowMs, this.#etcdState());
    if (ask === null) return;
    for (const { number } of this.#exchange.peers) {
      this.#exchange.sendNote(number, JSON.stringify({ kind: "ask", ...ask }));
    }
  }

  #takeNote(peer: Peer, text: string): void {
    const note = readNote(text);
    if (note === null) {
      this.#with.log("warn", "a node sent a note that this version does not read",
        { node: peer.member.name });
      return;
    }
    const reply = (answer: object): void =>
      this.#exchange.sendNote(peer.number, JSON.stringify(answer));
    const nowMs = this.#with.clock.monotonicMs();
    switch (note.kind) {
      case "ask": {
        const grant = this.#grants.onAsk(nowMs, note, this.#etcdState());
        if (grant !== null) reply({ kind: "grant", ...grant });
        return;
      }
      case "grant":
        this.#grants.onGrant(peer.member.name, note);
        return;
      case "walking":
        this.#watch.takeWalking(peer, nowMs);
        return;
      case "trace":
        this.#with.lookup(note.traceId).then(
          (trace) => reply({ kind: "answer", question: note.question, trace }),
          (error: unknown) => this.#with.log("warn", "a question of another node about a trace"
            + " could not be answered", { node: peer.member.name, cause: String(error) }));
        return;
      default:
        this.#questions.answered(note.question, note.trace as object | null); // its own type
    }
  }

  /**
   * Asks the node that owns a trace's shard. @param shard of the trace.
   * @returns undefined when that is this node, or nobody.
   * @throws when the owner cannot be asked.
   */
  async lookup(traceId: string, shard: number): Promise<object | null | undefined> {
    const { map } = this.#exchange;
    const owner = map?.members[map.owners[shard]!];
    if (owner === undefined || owner.incarnation === this.#self.incarnation) return undefined;
    const peer = this.#exchange.peers.find(({ member }) => member === owner);
    const isLinked = this.#isMember && peer !== undefined
      && this.#links.isUp(peer.number, STREAM_DECISIONS);
    if (!isLinked) {
      throw new Error(`node ${owner.name} owns the trace, and there is no connection with it`);
    }
    return await this.#questions.ask(traceId, owner.name, (note) =>
      this.#exchange.sendNote(peer.number, JSON.stringify(note)));
  }

  #lanesLive(): boolean {
    const nowMs = this.#with.clock.monotonicMs();
    return this.#turns.every((turn, lane) => {
      const count = this.words.turns(lane);
      if (count !== turn.count) {
        turn.count = count;
        turn.seenMs = nowMs;
      }
      return nowMs - turn.seenMs < LANE_HANG_MS;
    });
  }

  /** For GET /cluster and /status. */
  report(closedShards: number, behind: number): ClusterReport {
    const { map } = this.#exchange;
    const nowMs = this.#with.clock.monotonicMs();
    const { counts } = this.#membership;
    return {
      name: this.#plan.options.clusterName, node: this.#self.name,
      operation: this.#plan.options.operation, epoch: map?.epoch ?? 0,
      frozen: this.#frozenUntilMs(nowMs) > 0,
      ready: this.reasons(closedShards).length === 0,
      mayDecide: this.words.mayDecide(systemMonotonicMs()),
      closedShards, nodesBehind: behind, etcdEndpoints: [...this.#cluster.endpoints],
      leasesLost: counts.leasesLost, keepalivesFailed: counts.keepalivesFailed,
      reconnects: this.#links.reconnects, refusedHandshakes: this.#links.refusedHandshakes,
      exchange: { ...this.#exchange.counts },
      membersRemoved: this.#keeper.counts.removed, takenOut: counts.takenOut,
      members: map === null ? [] : reportMembers({
        map, self: this.#self, peers: this.#exchange.peers,
        registered: this.#membership.nodes, links: this.#links, watch: this.#watch, nowMs,
        setOf: (member) => this.#policySets.of(member),
      }),
    };
  }

  /** For the metrics page. */
  get totals(): ClusterTotals {
    const { takenOut } = this.#membership.counts;
    return { removed: this.#keeper.counts.removed, takenOut };
  }

  /** Ends this node's part: decides nothing from here on, says so to etcd, leaves its members. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#fence();
    this.#etcd.close();
    await this.#links.close();
    if (!await this.#keeper.leave(LEAVE_MS)) {
      this.#with.log("warn", "etcd did not take this node out of the map: others wait for the end"
        + " of its lease", {});
    }
    await this.#cluster.leave();
    await this.#cluster.close();
  }
}
