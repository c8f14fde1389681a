// Deciding goes on when all members have lost etcd: each asks every other, every second, and each
// that has no etcd either answers with a grant, "for GRANT_MS from now I propose no map". Whoever
// holds grants of all others knows that the map stays as it is until the first of them ends.
//
// A grant that is late must not last longer than its promise, and clocks cannot be compared. So it
// carries the number of the question, and the receiver counts from when it asked, the sender from
// when it answered, which was later.
//
// What makes it hold:
//   - Only members propose maps (next-members.ts), and each of them grants, this node included: a
//     node with a proposal whose outcome it does not know grants nothing and is not frozen itself,
//     because that proposal may come into force at any time.
//   - Grants count for one epoch and one incarnation. A member that knows another map says another
//     epoch. One that started again and forgot its promises removes nobody within one TTL of its
//     start (Registrations.logSinceMs), and promises are shorter.

import { assert } from "../base/assert.ts";
import { FENCE_MARGIN_MS } from "./fence.ts";
import { LEASE_TTL_SECONDS_MIN, NEVER_MS } from "./lease-keeper.ts";
import type { MapMember } from "./shard-map.ts";

/**
 * Without any answer for as long etcd counts as lost: above two tries of a call, which a server
 * that hangs may cost, and so early that the fence of the shortest lease has not closed yet. Who
 * tells `hasEtcd` must ask etcd something at least once a second, or silence means nothing.
 */
export const ETCD_LOST_MS = 3_000;
/** Pause between two questions: two of them may be lost before a grant has ended. */
export const ASK_MS = 1_000;
/** Length of a promise: also how long after etcd's return the map cannot change. */
export const GRANT_MS = 4_000;
/** Questions that an answer may still belong to. */
const ASKS_MAX = GRANT_MS / ASK_MS + 1;
const NONCES = 4_294_967_296;

assert(ASK_MS + FENCE_MARGIN_MS < GRANT_MS, "the next grant comes before the fence closes");
assert(
  GRANT_MS + FENCE_MARGIN_MS < LEASE_TTL_SECONDS_MIN * 1_000,
  "a promise that a restart forgot ends before the restarted node removes anybody",
);

/** To every other member of the map. */
export interface AskMessage {
  /** u32. */
  readonly nonce: number;
}

/** The answer to the one that asked. */
export interface GrantMessage {
  readonly nonce: number;
  /** Of the map that the sender knows. */
  readonly epoch: number;
  /** The sender's. */
  readonly incarnation: string;
}

/** This node's own state when something is asked of it. */
export interface EtcdState {
  /** An answer of etcd came within ETCD_LOST_MS. */
  readonly hasEtcd: boolean;
  /** MapKeeper.hasOpenProposal. */
  readonly hasOpenProposal: boolean;
  /** Of the map in force here; 0 without one. */
  readonly epoch: number;
}

export interface GrantsOptions {
  /** This process's. */
  readonly incarnation: string;
  /** Random u32: answers to a former process's questions match none of this one's. */
  readonly firstNonce: number;
}

interface Granted {
  readonly epoch: number;
  readonly incarnation: string;
  readonly untilMs: number;
}

/** Times are this node's, monotonic. */
export class Grants {
  readonly #incarnation: string;
  #nonce: number;
  #askedMs = NEVER_MS;
  /** By nonce: when it was asked. */
  readonly #asks = new Map<number, number>();
  /** By name: the latest of each. */
  readonly #grants = new Map<string, Granted>();
  #blockedUntilMs = NEVER_MS;

  constructor({ incarnation, firstNonce }: GrantsOptions) {
    this.#incarnation = incarnation;
    this.#nonce = firstNonce % NONCES;
  }

  /** This node has promised to propose no map before. */
  get blockedUntilMs(): number {
    return this.#blockedUntilMs;
  }

  /** Call several times a second. @returns what to send to all other members; null: nothing. */
  onTick(nowMs: number, { hasEtcd }: EtcdState): AskMessage | null {
    if (hasEtcd) {
      this.#asks.clear();
      this.#grants.clear();
      return null;
    }
    if (nowMs < this.#askedMs + ASK_MS) return null;
    this.#askedMs = nowMs;
    this.#nonce = (this.#nonce + 1) % NONCES;
    this.#asks.set(this.#nonce, nowMs);
    for (const nonce of this.#asks.keys()) { // oldest first
      if (this.#asks.size <= ASKS_MAX) break;
      this.#asks.delete(nonce);
    }
    return { nonce: this.#nonce };
  }

  /** @returns the grant to send back, which binds this node from here on; null: none is given. */
  onAsk(
    nowMs: number, { nonce }: AskMessage, { hasEtcd, hasOpenProposal, epoch }: EtcdState,
  ): GrantMessage | null {
    if (hasEtcd || hasOpenProposal || epoch === 0) return null;
    this.#blockedUntilMs = Math.max(this.#blockedUntilMs, nowMs + GRANT_MS);
    return { nonce, epoch, incarnation: this.#incarnation };
  }

  /** @param name of the member at the other end of the link. */
  onGrant(name: string, { nonce, epoch, incarnation }: GrantMessage): void {
    const askedMs = this.#asks.get(nonce);
    if (askedMs === undefined) return; // no question of late, or etcd is back
    const untilMs = askedMs + GRANT_MS;
    const present = this.#grants.get(name);
    if (present !== undefined && present.untilMs > untilMs) return; // overtaken on its way
    this.#grants.set(name, { epoch, incarnation, untilMs });
  }

  /**
   * Until when the map cannot change, less the margin; NEVER_MS when it is not frozen.
   * @param others all members of the map in force without this node. Without any it is not frozen:
   * a newcomer that finds a lone member gone begins anew once its lease has ended.
   */
  frozenUntilMs(
    nowMs: number, others: readonly MapMember[], { hasEtcd, hasOpenProposal, epoch }: EtcdState,
  ): number {
    if (hasEtcd || hasOpenProposal || epoch === 0 || others.length === 0) return NEVER_MS;
    let untilMs = nowMs + GRANT_MS;
    for (const { name, incarnation } of others) {
      const granted = this.#grants.get(name);
      const isValid = granted?.epoch === epoch && granted.incarnation === incarnation;
      if (!isValid) return NEVER_MS;
      untilMs = Math.min(untilMs, granted.untilMs);
    }
    untilMs -= FENCE_MARGIN_MS;
    return untilMs > nowMs ? untilMs : NEVER_MS;
  }
}
