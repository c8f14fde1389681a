// A cluster of map keepers over a store in memory: the engine's membership and keepers, and time
// that passes when a test says so.

import { expect, vi } from "vitest";
import { MapKeeper } from "../../engine/cluster/map-keeper.ts";
import { MAP_KEY, Membership } from "../../engine/cluster/membership.ts";
import { decodeMap } from "../../engine/cluster/shard-map-codec.ts";
import type { MapMember } from "../../engine/cluster/shard-map.ts";
import { MemoryCluster, MemoryStore } from "./memory-store.ts";

const TTL_SECONDS = 10;
const STEP_MS = 50;
export const TTL_MS = TTL_SECONDS * 1_000;

export interface KeeperNode {
  readonly membership: Membership;
  readonly keeper: MapKeeper;
  readonly store: MemoryStore;
  readonly log: string[];
  readonly failures: unknown[];
  blockedUntilMs: number;
  reachesOthers: boolean;
}

/** From its making, which fakes the timers, to close(). */
export class KeeperCluster {
  readonly etcd = new MemoryCluster();
  readonly nodes: KeeperNode[] = [];

  constructor() {
    vi.useFakeTimers();
  }

  /** A node that has not started. */
  node(self: MapMember): KeeperNode {
    const store = new MemoryStore(this.etcd);
    const clock = { monotonicMs: () => this.etcd.nowMs, wallMs: () => this.etcd.nowMs };
    const failures: unknown[] = [];
    const log: string[] = [];
    const failed = (error: unknown): void => { failures.push(error); };
    const membership = new Membership({ self, leaseTtlSeconds: TTL_SECONDS }, {
      failed,
      mapChanged: () => keeper.consider(),
      nodesChanged: () => keeper.consider(),
      leaseLost: () => {},
      mayRenew: () => true,
      takenOut: () => log.push("taken out"),
      reachesOthers: () => made.reachesOthers,
    }, { store, clock });
    const keeper: MapKeeper = new MapKeeper({
      self, membership, clock, failed, random: () => 0.5,
      log: (level, message) => log.push(`${level}: ${message}`),
      blockedUntilMs: () => made.blockedUntilMs,
    });
    const made: KeeperNode = {
      membership, keeper, store, log, failures, blockedUntilMs: Number.NEGATIVE_INFINITY,
      reachesOthers: true,
    };
    this.nodes.push(made);
    return made;
  }

  async started(self: MapMember): Promise<KeeperNode> {
    const made = this.node(self);
    await made.membership.start();
    made.keeper.start();
    await this.pass(100);
    return made;
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.etcd.advance(STEP_MS);
      await vi.advanceTimersByTimeAsync(STEP_MS);
    }
  }

  /** Incarnations in the map in force. */
  get members(): string[] {
    const found = this.etcd.read(MAP_KEY);
    if (found === null) return [];
    return decodeMap(found.value).members.map(({ incarnation }) => incarnation);
  }

  get epoch(): number {
    return decodeMap(this.etcd.read(MAP_KEY)!.value).epoch;
  }

  /** Ends all nodes, and sees that none has failed and no timer is left. */
  async close(): Promise<void> {
    for (const { keeper, membership, store, failures } of this.nodes) {
      store.isDown = false;
      await keeper.close();
      await membership.close();
      expect(failures).toEqual([]);
    }
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  }
}
