// Keeps the map what it should be: looks when nodes or the map change, and now and then, because
// who is gone is removed only later. Every member does; whoever is first wins, and the others plan
// again from what is in force.
//
// What watches tell says only when to look. What is proposed rests on a list of the nodes that was
// asked for while the map was known, and is put only over that very map (registrations.ts says
// why).

import type { Clock } from "../base/clock.ts";
import type { ClusterLog } from "./cluster-options.ts";
import { isUnavailable } from "./cluster-store.ts";
import { nameAll, tellNews } from "./map-news.ts";
import type { Membership, RegisteredNode } from "./membership.ts";
import { beginsAnewMs, planMembers, refusedNodes } from "./next-members.ts";
import { Registrations } from "./registrations.ts";
import { planMap, type MapMember, type ShardMap } from "./shard-map.ts";
import { SilentRemover, type Silence } from "./silent-remover.ts";

/** Between two looks when nothing changes: how late a removal that is due may be. */
export const LOOK_MS = 500;
/** Longest pause after etcd did not answer; each is twice the one before. */
const RETRY_MAX_MS = 8_000;
/**
 * After a change each of n members waits a random time below n times this, so that one map comes
 * into force before most of the others have asked for anything.
 */
const SPREAD_MS_PER_MEMBER = 2;
/** Between two tries to leave. */
const LEAVE_PAUSE_MS = 100;

/** What the keeper needs of the membership; tests put a double here. */
export type KeptMembership = Pick<Membership,
  "map" | "mapRevision" | "nodes" | "isRegistered" | "counts" | "takeoverTtlMs" | "decidesUntilMs"
  | "listNodes" | "deleteNode" | "proposeMap" | "endLease" | "close">;

export interface MapKeeperOptions {
  readonly self: MapMember;
  readonly membership: KeptMembership;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: ClusterLog;
  /** Grants.blockedUntilMs. */
  readonly blockedUntilMs: () => number;
  /** What only a bug or a refusal can cause; the keeper has stopped. Called once. */
  readonly failed: (error: unknown) => void;
}

export interface MapKeeperCounts {
  /** Maps that this node put into force. */
  readonly proposed: number;
  /** Proposals that another map came before. */
  readonly overtaken: number;
  /** Members that this node took out because they were silent. */
  readonly removed: number;
  /** Nodes that live and find no room in the map. */
  readonly refused: number;
}

/** From start() to leave() or close(). */
export class MapKeeper {
  readonly #with: MapKeeperOptions;
  readonly #registrations: Registrations;
  #timer: NodeJS.Timeout | null = null;
  #isSoon = false;
  #isLooking = false;
  #turn: Promise<void> = Promise.resolve();
  #isClosed = true;
  #isLeaving = false;
  #failures = 0;
  /** The revision that a proposal was to be put over whose outcome is not known. */
  #openRevision: number | null = null;
  #proposed = 0;
  #overtaken = 0;
  readonly #remover: SilentRemover;
  #refused = "";
  #refusedCount = 0;
  #isAlone = false;

  constructor(options: MapKeeperOptions) {
    this.#with = options;
    this.#registrations = new Registrations(options.self);
    this.#remover = new SilentRemover(options);
  }

  /**
   * Whether the map in force has this very process by its present registration: without it nothing
   * may be decided, whatever the lease says. False for good from the beginning of leave() on.
   */
  get isInForce(): boolean {
    this.#observe();
    return !this.#isLeaving && this.#registrations.counts(this.#leasesLost);
  }

  /** Whether a proposal of this node may yet come into force: then it must grant nothing. */
  get hasOpenProposal(): boolean {
    return this.#openRevision !== null && this.#with.membership.mapRevision === this.#openRevision;
  }

  get counts(): MapKeeperCounts {
    return {
      proposed: this.#proposed, overtaken: this.#overtaken,
      removed: this.#remover.removed, refused: this.#refusedCount,
    };
  }

  start(): void {
    this.#isClosed = false;
    this.consider();
  }

  /**
   * The map or the nodes have changed: looks soon. Call it from the handlers of the membership,
   * each time: a map that was not seen here costs a repetition.
   */
  consider(): void {
    this.#observe();
    if (this.#isClosed || this.#isSoon) return;
    this.#isSoon = true;
    const members = this.#with.membership.map?.members.length ?? 0;
    if (!this.#isLooking) this.#schedule(this.#with.random() * members * SPREAD_MS_PER_MEMBER);
  }

  /** Members that have been silent past HandoverTimeout, and who is heard; call it now and then. */
  reportSilence(silence: Silence): void {
    this.#remover.report(silence);
    if (silence.silent.length > 0) this.consider();
  }

  /** Proposes nothing more; waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#turn;
  }

  /**
   * Takes this node out of the map, for good, then closes the membership. It decides nothing from
   * here on; let lanes that may be in the middle of it come to an end before.
   * @param timeoutMs no try begins after it. The one before may last as long as calls of the store.
   * @returns false: it may still be in the map, and others wait until its lease has ended.
   */
  async leave(timeoutMs: number): Promise<boolean> {
    this.#isLeaving = true;
    const deadlineMs = this.#nowMs + timeoutMs;
    await this.close();
    const { membership } = this.#with;
    // The lease first: while it lives others would add this node again.
    const hasLeft = await membership.endLease() && await this.#leaveMap(deadlineMs);
    return await membership.close() && hasLeft;
  }

  get #nowMs(): number {
    return this.#with.clock.monotonicMs();
  }

  get #leasesLost(): number {
    return this.#with.membership.counts.leasesLost;
  }

  /** Takes the map in force, when it is another than before. */
  #observe(): void {
    const { membership, log } = this.#with;
    const { map } = membership;
    const before = this.#registrations.map;
    if (map === null || map === before) return;
    this.#registrations.takeMap(map, membership.mapRevision, this.#nowMs);
    if (before === null) {
      log("info", `the cluster's map has ${map.members.length} members`, { epoch: map.epoch });
    } else {
      for (const { message, fields } of tellNews(before, map)) log("info", message, fields);
    }
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#turn = this.#takeTurn();
    }, delayMs);
  }

  async #takeTurn(): Promise<void> {
    let pauseMs = LOOK_MS;
    this.#isSoon = false;
    this.#isLooking = true;
    this.#observe();
    try {
      if (this.#needsLook()) await this.#look();
      this.#failures = 0;
    } catch (error) {
      if (!isUnavailable(error)) {
        this.#isClosed = true;
        this.#with.failed(error);
        return;
      }
      pauseMs = Math.min(LOOK_MS * 2 ** this.#failures, RETRY_MAX_MS);
      this.#failures++;
      this.#isSoon = false; // only what comes from here on is news of an etcd that answers
    } finally {
      this.#isLooking = false;
    }
    if (this.#isClosed) return;
    if (this.#isSoon) pauseMs = LOOK_MS / 10; // something came while it looked
    this.#schedule(pauseMs * (0.75 + this.#with.random() / 2));
  }

  /** Whether a list of the nodes could lead to a proposal, by what watches have told. */
  #needsLook(): boolean {
    const { membership } = this.#with;
    if (!membership.isRegistered) return false;
    if (this.hasOpenProposal || !this.#registrations.knowsOwn(this.#leasesLost)) return true;
    const { nodes } = membership;
    return this.#registrations.hasNewlyGone(nodes) || this.#remover.isDue
      || this.#plan(nodes) !== null;
  }

  /** @throws GatewayError CLUSTER_STORE_UNAVAILABLE */
  async #look(): Promise<void> {
    const { membership } = this.#with;
    const { map, mapRevision } = membership;
    const leasesLost = this.#leasesLost;
    const nodes = await membership.listNodes();
    // Of another map the list says nothing; its news has asked for another look.
    if (membership.mapRevision !== mapRevision || this.#isClosed) return;
    this.#registrations.takeNodes(nodes, leasesLost, this.#nowMs);
    const living = nodes.map(({ member }) => member);
    this.#tellRefused(living);
    this.#tellAlone(living);
    const members = this.#plan(living);
    if (members !== null) await this.#propose(map, members);
    else if (map !== null) await this.#removeSilent(map, nodes);
  }

  /** With the map as it should be: members that are silent, one at a time. */
  async #removeSilent(map: ShardMap, nodes: readonly RegisteredNode[]): Promise<void> {
    const mayRemove = this.isInForce && this.#nowMs >= this.#with.blockedUntilMs();
    if (mayRemove) await this.#remover.remove(map.members, nodes);
  }

  #tellRefused(living: readonly MapMember[]): void {
    const members = this.#registrations.map?.members ?? [];
    const refused = refusedNodes(members, living);
    this.#refusedCount = refused.length;
    const told = nameAll(refused);
    if (told === this.#refused) return;
    this.#refused = told;
    if (refused.length === 0) return;
    this.#with.log("warn", `${told} cannot join: a cluster has at most ${members.length} members; `
      + "such a node keeps its spans and decides nothing until another has left");
  }

  /** A newcomer without members waits longer than anybody expects. */
  #tellAlone(living: readonly MapMember[]): void {
    const members = this.#registrations.map?.members ?? [];
    const { logId } = this.#with.self;
    if (members.length === 0 || members.some((member) => member.logId === logId)) return;
    const decidesUntilMs = (member: MapMember): number => this.#decidesUntilMs(member);
    const waitMs = beginsAnewMs({ living, decidesUntilMs }, members) - this.#nowMs;
    const isAlone = Number.isFinite(waitMs);
    if (isAlone && !this.#isAlone) {
      const seconds = Math.ceil(Math.max(0, waitMs) / 1_000);
      this.#with.log("warn", `none of the cluster's members (${nameAll(members)}) has a lease: `
        + "start one of them with its data; without any this node keeps its spans, and begins a "
        + `new map in ${seconds} s`);
    }
    this.#isAlone = isAlone;
  }

  #plan(living: readonly MapMember[]): readonly MapMember[] | null {
    const { self, membership, blockedUntilMs } = this.#with;
    const nowMs = this.#nowMs;
    if (nowMs < blockedUntilMs()) return null;
    const map = this.#registrations.map;
    const { isMember, logSinceMs } = this.#registrations;
    // Alone, so that everybody sees that it is one.
    if (this.#registrations.needsRepetition(this.#leasesLost)) return map?.members ?? null;
    // Deleted by hand: whoever starts now would take the cluster for a new one.
    const isDeleted = map !== null && membership.mapRevision === 0 && isMember;
    if (isDeleted) return map.members;
    const next = planMembers({
      map, living, self, nowMs, blockedUntilMs: blockedUntilMs(),
      decidesUntilMs: (member) => this.#decidesUntilMs(member),
      removesFromMs: (logSinceMs ?? Number.POSITIVE_INFINITY) + membership.takeoverTtlMs,
    });
    // A proposal of unknown outcome is void once another map is in force.
    return next ?? (this.hasOpenProposal ? map?.members ?? null : null);
  }

  /**
   * Infinite until a list did not have the member; then by that, or the registry when it is
   * later.
   */
  #decidesUntilMs(member: MapMember): number {
    const { membership } = this.#with;
    const absentSinceMs = this.#registrations.absentSinceMs(member);
    if (absentSinceMs === null) return Number.POSITIVE_INFINITY;
    const ownMs = absentSinceMs + membership.takeoverTtlMs;
    // Infinite there: another log has the name, or news of the end is on its way. The list knew.
    const registryMs = membership.decidesUntilMs(member.name);
    return Number.isFinite(registryMs) ? Math.max(ownMs, registryMs) : ownMs;
  }

  /** @throws GatewayError CLUSTER_STORE_UNAVAILABLE: then the outcome is open. */
  async #propose(map: ShardMap | null, members: readonly MapMember[]): Promise<boolean> {
    const { membership } = this.#with;
    this.#openRevision = membership.mapRevision;
    const isInForce = await membership.proposeMap(planMap(map, members));
    this.#openRevision = null;
    if (isInForce) this.#proposed++;
    else this.#overtaken++;
    this.#observe();
    return isInForce;
  }

  async #leaveMap(deadlineMs: number): Promise<boolean> {
    const { self, membership, blockedUntilMs } = this.#with;
    for (;;) {
      const { map } = membership;
      const rest = map?.members.filter(({ logId }) => logId !== self.logId) ?? [];
      if (map === null || rest.length === map.members.length) return true;
      try {
        const mayPropose = this.#nowMs >= blockedUntilMs();
        if (mayPropose && await this.#propose(map, rest)) return true;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
      }
      if (this.#nowMs + LEAVE_PAUSE_MS >= deadlineMs) return false;
      await new Promise((resolve) => setTimeout(resolve, LEAVE_PAUSE_MS));
    }
  }
}
