// etcd and the members that plan the map, as one: leases, registrations, one map. Whoever cannot
// reach it loses its lease and then its place, never before its fence has passed. What MapKeeper,
// Membership and Grants do to bring that about has its own model (test/model/map-keeper.test.ts).

import { decideUntilMs } from "../../engine/cluster/fence.ts";
import { NEVER_MS } from "../../engine/cluster/lease-keeper.ts";
import { planMap, type MapMember, type ShardMap } from "../../engine/cluster/shard-map.ts";
import type { Random } from "../support/random.ts";
import type { SimNode } from "./sim-node.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** Shorter than any that is allowed, so that a history has many. */
export const LEASE_TTL_MS = 5_000;
const KEEPALIVE_MS = 1_000;

interface Registration {
  readonly member: MapMember;
  readonly node: SimNode;
  /** The first map that counts for it. */
  readonly sinceEpoch: number;
  sentMs: number;
}

/** What a process knows of its lease. */
export interface LeaseView {
  acknowledgedSentMs: number;
  sinceEpoch: number;
  nextMs: number;
}

export function createLeaseView(): LeaseView {
  return { acknowledgedSentMs: NEVER_MS, sinceEpoch: 0, nextMs: 0 };
}

export class EtcdDouble {
  map: ShardMap | null = null;
  /** Texts by hash. */
  readonly policySets = new Map<string, string>();
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #registered = new Map<string, Registration>();
  #lookAtMs = 0;
  /** A map for all processes: each gets it in its own time. */
  readonly #publish: (map: ShardMap) => void;

  constructor(time: VirtualTime, random: Random, publish: (map: ShardMap) => void) {
    this.#time = time;
    this.#random = random;
    this.#publish = publish;
  }

  /** A process's keepalive, when one is due and etcd can be reached; registers it anew. */
  keepAlive(node: SimNode): void {
    const { nowMs } = this.#time;
    const { lease } = node;
    if (node.isLeaving || nowMs < lease.nextMs || node.etcdCutUntilMs > nowMs) return;
    lease.nextMs = nowMs + KEEPALIVE_MS / 2 + this.#random.below(KEEPALIVE_MS / 2);
    const own = this.#registered.get(node.name);
    if (own?.node === node && !this.#hasEnded(own)) {
      own.sentMs = nowMs;
      lease.acknowledgedSentMs = nowMs;
      return;
    }
    lease.acknowledgedSentMs = nowMs;
    lease.sinceEpoch = (this.map?.epoch ?? 0) + 1;
    this.#registered.set(node.name, {
      member: node.member, node, sinceEpoch: lease.sinceEpoch, sentMs: nowMs,
    });
  }

  leave(node: SimNode): void {
    if (this.#registered.get(node.name)?.node === node) this.#registered.delete(node.name);
  }

  #hasEnded({ sentMs }: Registration): boolean {
    return this.#time.nowMs >= sentMs + LEASE_TTL_MS;
  }

  /** Until when a process may decide. */
  fenceOf(node: SimNode): number {
    const { lease, isLeaving } = node;
    const map = node.exchange.map;
    const isMember = !isLeaving && map !== null && map.epoch >= lease.sinceEpoch
      && map.members.some(({ incarnation }) => incarnation === node.incarnation);
    return decideUntilMs({
      acknowledgedSentMs: lease.acknowledgedSentMs, leaseTtlMs: LEASE_TTL_MS, isMember,
      grantedUntilMs: NEVER_MS,
    });
  }

  /** Puts the next map into force when the members have changed. */
  run(): void {
    const { nowMs } = this.#time;
    if (nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + 50 + this.#random.below(700);
    const members = this.#nextMembers();
    if (members === null || members.length === 0) return;
    this.map = planMap(this.map, members);
    this.#publish(this.map);
  }

  /** Null when nothing has changed. */
  #nextMembers(): MapMember[] | null {
    const members = new Map<string, MapMember>();
    let isNew = this.map === null;
    for (const member of this.map?.members ?? []) {
      const own = this.#registered.get(member.name);
      const isOver = own === undefined
        || (own.member.incarnation === member.incarnation && this.#hasEnded(own));
      if (isOver) isNew = true;
      else members.set(member.name, this.#hasEnded(own) ? member : own.member);
      if (!isOver && members.get(member.name)!.incarnation !== member.incarnation) isNew = true;
    }
    for (const own of this.#registered.values()) {
      if (this.#hasEnded(own)) continue;
      if (own.sinceEpoch > (this.map?.epoch ?? 0)) isNew = true;
      members.set(own.member.name, own.member);
    }
    return isNew ? [...members.values()] : null;
  }
}
