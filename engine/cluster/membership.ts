// A node's view of its cluster and its place in it: the map, the nodes that live, its own lease. It
// tells what is so; who proposes which map, and when, is decided elsewhere.

import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { GatewayError } from "../base/errors.ts";
import { isUnavailable, type ClusterStore } from "./cluster-store.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { NODE_FORMAT, NODES_PREFIX, NodeRegistry } from "./node-registry.ts";
import { PolicySetStore } from "./policy-set-store.ts";
import { ReturnPause } from "./return-pause.ts";
import { decodeMap, encodeMap, memberSchema, readFormatted } from "./shard-map-codec.ts";
import type { MapMember, ShardMap } from "./shard-map.ts";
import { StoreMirror } from "./store-mirror.ts";

export const MAP_KEY = "/tailrace/map";

export interface MembershipOptions {
  /** This node as it registers itself. */
  readonly self: MapMember;
  /** At least LEASE_TTL_SECONDS_MIN. */
  readonly leaseTtlSeconds: number;
}

export interface MembershipHandlers {
  /** Another map is in force. Called for the first one too. */
  readonly mapChanged: (map: ShardMap) => void;
  /** A node registered itself, again, or is gone. */
  readonly nodesChanged: () => void;
  /** The lease is gone: decide nothing until lastAcknowledgedSentMs says otherwise. */
  readonly leaseLost: () => void;
  /**
   * This node's key was deleted though its lease lived; leaseLost follows. It registers anew by
   * itself (return-pause.ts). @param pauseMs the least that it stays away.
   */
  readonly takenOut: (pauseMs: number) => void;
  /** Connections with all other members of the map that are registered are up. */
  readonly reachesOthers: () => boolean;
  /** False while a lane hangs. */
  readonly mayRenew: () => boolean;
  /** A refusal, or a bug: this node cannot be part of the cluster. Called once. */
  readonly failed: (error: unknown) => void;
}

export interface MembershipDependencies {
  readonly store: ClusterStore;
  readonly clock: Clock;
}

/** A node as a list of them found it. */
export interface RegisteredNode {
  readonly member: MapMember;
  /** At which its key was written. */
  readonly revision: number;
}

/** What a list reads of a node's key. */
const nodeSchema = z.object({ member: memberSchema });

/** From start() to close(). */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #handlers: MembershipHandlers;
  readonly #store: ClusterStore;
  readonly #mapMirror: StoreMirror;
  readonly #registry: NodeRegistry;
  readonly #keeper: LeaseKeeper;
  readonly #pause: ReturnPause;
  #takenOutCount = 0;
  readonly policySets: PolicySetStore;
  #map: ShardMap | null = null;
  #mapRevision = 0;
  #hasFailed = false;

  constructor(
    options: MembershipOptions, handlers: MembershipHandlers,
    { store, clock }: MembershipDependencies,
  ) {
    this.#options = options;
    this.#handlers = handlers;
    this.#store = store;
    this.policySets = new PolicySetStore(store);
    const failed = (error: unknown): void => this.#fail(error);
    this.#mapMirror = new StoreMirror(store, MAP_KEY, {
      failed,
      changed: (key, entry) => {
        if (key !== MAP_KEY) return;
        // Deleted by hand: the next map is planned from the one that was in force.
        if (entry === null) this.#mapRevision = 0;
        else this.#takeMap(entry.value, entry.revision);
      },
    });
    this.#registry = new NodeRegistry(options.self, store, clock, {
      failed, changed: handlers.nodesChanged,
    });
    this.#pause = new ReturnPause(options.leaseTtlSeconds * 1_000);
    this.#keeper = new LeaseKeeper({
      ttlSeconds: options.leaseTtlSeconds, confirmKey: MAP_KEY,
      ownKey: NODES_PREFIX + options.self.name,
    }, {
      store, clock, failed,
      mayRenew: handlers.mayRenew,
      mayReturn: () => this.#pause.mayReturn(clock.monotonicMs(), handlers.reachesOthers()),
      register: async (lease) => {
        const revision = await this.#registry.register(lease);
        if (revision !== null) this.#pause.registered(clock.monotonicMs());
        return revision;
      },
      confirmed: (entry) => this.#mapMirror.offer(MAP_KEY, entry),
      takenOut: () => {
        this.#takenOutCount++;
        handlers.takenOut(this.#pause.takenOut(clock.monotonicMs()));
      },
      lost: handlers.leaseLost,
    });
  }

  /** The map in force; null before the first. */
  get map(): ShardMap | null {
    return this.#map;
  }

  /** At which the map in force was written; 0 before the first, and when its key was deleted. */
  get mapRevision(): number {
    return this.#mapRevision;
  }

  /** Nodes whose lease lives, this one too once it is registered. */
  get nodes(): MapMember[] {
    return this.#registry.members;
  }

  /** See LeaseKeeper. */
  get lastAcknowledgedSentMs(): number {
    return this.#keeper.lastAcknowledgedSentMs;
  }

  get leaseTtlMs(): number {
    return this.#keeper.leaseTtlMs;
  }

  get isRegistered(): boolean {
    return this.#keeper.leaseId !== null;
  }

  /** This node's registration was deleted, and it has not come back yet. */
  get isOut(): boolean {
    return this.#pause.isOut;
  }

  /** For the metrics page. A lease counts as lost too when the key under it is. */
  get counts(): {
    leasesLost: number; keepalivesFailed: number; resyncs: number; takenOut: number;
  } {
    return {
      leasesLost: this.#keeper.lostCount, keepalivesFailed: this.#keeper.failedKeepalives,
      resyncs: this.#mapMirror.resyncs, takenOut: this.#takenOutCount,
    };
  }

  /** Reads map and nodes, then asks for the lease; leaseTtlMs tells when there is one. */
  async start(): Promise<void> {
    await this.#mapMirror.start();
    await this.#registry.start();
    this.#keeper.start();
  }

  /** See NodeRegistry: before this a node must not be taken out of the map. */
  decidesUntilMs(name: string): number {
    return this.#registry.decidesUntilMs(name, this.takeoverTtlMs);
  }

  /** For how long a node of which nothing else is known may decide after its last keepalive. */
  get takeoverTtlMs(): number {
    return Math.max(this.leaseTtlMs, this.#options.leaseTtlSeconds * 1_000);
  }

  /**
   * Nodes whose lease lives at some moment between this call and its answer; what is known by
   * watches may be older.
   * @throws GatewayError CLUSTER_STORE_UNAVAILABLE, CLUSTER_FORMAT.
   */
  async listNodes(): Promise<RegisteredNode[]> {
    const { entries } = await this.#store.list(NODES_PREFIX);
    return entries.map(({ key, value, revision }) => {
      const read = nodeSchema.safeParse(readFormatted(value, NODE_FORMAT, "a node's key"));
      if (read.success) return { member: read.data.member, revision };
      throw new GatewayError(
        "CLUSTER_FORMAT", `${key} in etcd cannot be read: ${z.prettifyError(read.error)}`, { key });
    });
  }

  /**
   * Deletes a node's registration, if it is the one that a list found and this node's own is too:
   * of two nodes that want this of each other only one gets it.
   * @returns whether it is gone.
   * @throws GatewayError CLUSTER_STORE_UNAVAILABLE: it may be gone, or go later.
   */
  async deleteNode(node: RegisteredNode, own: RegisteredNode): Promise<boolean> {
    return await this.#store.compareAndDelete(
      NODES_PREFIX + node.member.name, node.revision,
      { key: NODES_PREFIX + own.member.name, revision: own.revision });
  }

  /**
   * Puts a map into force that was planned from the present one.
   * @returns false when another one is in force by now: plan again from that.
   * @throws GatewayError CLUSTER_STORE_UNAVAILABLE: it may be in force or not.
   */
  async proposeMap(planned: ShardMap): Promise<boolean> {
    const value = encodeMap(planned);
    const isNext = planned.epoch === (this.#map?.epoch ?? 0) + 1;
    if (!isNext) return false;
    const revision = await this.#store.compareAndSet(MAP_KEY, this.#mapRevision, value, null);
    if (revision === null) return false;
    this.#mapMirror.offer(MAP_KEY, { key: MAP_KEY, value, revision });
    return true;
  }

  /**
   * Ends watches, then the lease and with it this node's key.
   * @returns false when etcd did not take the end: then the lease ends after its TTL.
   */
  async close(): Promise<boolean> {
    this.#mapMirror.close();
    this.#registry.close();
    return await this.endLease();
  }

  /** Ends the lease alone: others see this node go, and it still sees the map. Answers as close. */
  async endLease(): Promise<boolean> {
    try {
      await this.#keeper.stop();
      return true;
    } catch (error) {
      if (isUnavailable(error)) return false;
      throw error;
    }
  }

  #takeMap(value: string, revision: number): void {
    let map: ShardMap;
    try {
      map = decodeMap(value);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#map = map;
    this.#mapRevision = revision;
    this.#registry.forgetGone(new Set(map.members.map(({ name }) => name)));
    this.#handlers.mapChanged(map);
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#handlers.failed(error);
  }
}
