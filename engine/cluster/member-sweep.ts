// Members of etcd's that are dead are removed, so that the next failure still finds a quorum. All
// members look; the one that leads acts, on one member a sweep at most.

import type { Clock } from "../base/clock.ts";
import type { ClusterLog } from "./cluster-options.ts";
import { isUnavailable } from "./cluster-store.ts";
import { serves } from "./cluster-view.ts";
import type { EtcdMember, EtcdMembers, ConnectionOptions } from "./etcd-members.ts";

/** One member as this node has seen it. Monotonic times. */
export interface MemberSight {
  readonly id: string;
  readonly isVoter: boolean;
  readonly knownSinceMs: number;
  /** Null while it is well. */
  readonly unhealthySinceMs: number | null;
}

export interface RemovalRules {
  readonly selfId: string;
  readonly unhealthyTtlMs: number;
  readonly graceMs: number;
}

/** The member to remove now, or null: the one that has been unhealthy the longest, if it may go. */
export function planRemoval(
  sights: readonly MemberSight[], rules: RemovalRules, nowMs: number,
): string | null {
  const voters = sights.filter(({ isVoter }) => isVoter);
  const healthy = voters.filter(({ unhealthySinceMs }) => unhealthySinceMs === null).length;
  // Enough to agree to it now is enough to have a quorum of the rest.
  if (healthy < Math.floor(voters.length / 2) + 1) return null;
  const due = sights.flatMap(({ id, knownSinceMs, unhealthySinceMs }) => {
    const mayGo = id !== rules.selfId && unhealthySinceMs !== null
      && nowMs - unhealthySinceMs >= rules.unhealthyTtlMs
      && nowMs - knownSinceMs >= rules.graceMs;
    return mayGo ? [{ id, sinceMs: unhealthySinceMs }] : [];
  });
  due.sort((left, right) => left.sinceMs - right.sinceMs || (left.id < right.id ? -1 : 1));
  return due[0]?.id ?? null;
}

export interface MemberSweepOptions {
  readonly selfId: () => string;
  readonly intervalMs: number;
  readonly unhealthyTtlMs: number;
  readonly graceMs: number;
  readonly connection: ConnectionOptions;
}

export interface MemberSweepDependencies {
  /** Over a client of the own server alone: it is asked whether it leads. */
  readonly ownMembers: EtcdMembers;
  readonly clock: Clock;
  readonly log: ClusterLog;
}

/** Looks every intervalMs, from start() to stop(). */
export class MemberSweep {
  readonly #options: MemberSweepOptions;
  readonly #with: MemberSweepDependencies;
  #sights = new Map<string, MemberSight>();
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #isStopped = false;
  /** Members removed by this node. */
  removals = 0;

  constructor(options: MemberSweepOptions, dependencies: MemberSweepDependencies) {
    this.#options = options;
    this.#with = dependencies;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#turn = this.#look().finally(() => {
        if (!this.#isStopped) this.start();
      });
    }, this.#options.intervalMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#turn;
  }

  async #look(): Promise<void> {
    try {
      const members = await this.#with.ownMembers.list();
      await this.#observe(members);
      if (this.#isStopped) return;
      await this.#removeOne(members);
    } catch (error) {
      // Without a quorum nothing can be removed, and refusals are the cluster's own caution.
      const level = isUnavailable(error) ? "info" : "warn";
      this.#with.log(level, `members were not looked after: ${String(error)}`);
    }
  }

  async #observe(members: readonly EtcdMember[]): Promise<void> {
    const selfId = this.#options.selfId();
    const healthy = await Promise.all(members.map(async (member) =>
      member.id === selfId || await serves(member, this.#options.connection)));
    const now = this.#with.clock.monotonicMs();
    this.#sights = new Map(members.map(({ id, isLearner }, index): [string, MemberSight] => {
      const before = this.#sights.get(id);
      const unhealthySinceMs = healthy[index]! ? null : before?.unhealthySinceMs ?? now;
      const knownSinceMs = before?.knownSinceMs ?? now;
      return [id, { id, isVoter: !isLearner, knownSinceMs, unhealthySinceMs }];
    }));
  }

  async #removeOne(members: readonly EtcdMember[]): Promise<void> {
    const now = this.#with.clock.monotonicMs();
    const rules = { ...this.#options, selfId: this.#options.selfId() };
    const id = planRemoval([...this.#sights.values()], rules, now);
    if (id === null || !(await this.#with.ownMembers.status()).isLeader) return;
    const name = members.find((member) => member.id === id)?.name ?? "";
    await this.#with.ownMembers.remove(id);
    this.removals++;
    this.#with.log("warn", `etcd member "${name}" was dead and is removed; it joins anew when it `
      + "is back", { id });
  }
}
