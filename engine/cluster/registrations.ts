// What this node has made sure of about who is registered: since when members of the map are not,
// and whether its own registration counts.
//
// Keys of nodes and the map reach a node on two ways, each late in its own time. So that nobody is
// removed who may decide, both sides keep to a rule:
//
//   - Others: a member is absent from the moment when a list of the nodes, asked for while the map
//     was known and answered before another came, did not have it. It is removed one TTL later, if
//     the map is what it was then, but for steps that this node has seen one by one and that cannot
//     have made a registration of the member's count.
//   - Self: a registration counts from the first map after it that either was the first to have
//     this process, or *repeats* its members: the one before with a higher epoch. A node whose
//     lease was lost and that is in the map still has to put such a map.
//
// Say that X is absent at T, and removed at T + TTL by a map put over revision r. What X registered
// before T had ended by T, and X's fence with it before T + TTL. What it registered later counts
// only by a map after it: either that is younger than r, and the removal fails because r is not in
// force any more; or it was seen here as a repetition, or as a change of X's entry, and T was
// forgotten. It does not matter how late the removal reaches etcd.

import type { RegisteredNode } from "./membership.ts";
import type { MapMember, ShardMap } from "./shard-map.ts";

interface OwnRegistration {
  /** Of the write in etcd. */
  readonly revision: number;
  /** Leases lost before it: another number means another registration. */
  readonly leasesLost: number;
}

/** Told of every map in force, in order, and of lists of the nodes. Times are monotonic. */
export class Registrations {
  readonly #self: MapMember;
  #map: ShardMap | null = null;
  /** By process: since when a member of the map is known to be registered no more. */
  readonly #absentSinceMs = new Map<string, number>();
  #registration: OwnRegistration | null = null;
  /** Revision of the last map by which registrations of this process count that are older. */
  #countingRevision = 0;
  #isMember = false;
  #logSinceMs: number | null = null;

  constructor(self: MapMember) {
    this.#self = self;
  }

  /** The last map that it was told of. */
  get map(): ShardMap | null {
    return this.#map;
  }

  /** Whether the map in force has this process. */
  get isMember(): boolean {
    return this.#isMember;
  }

  /**
   * Since when this process has known its log in the map, be it that of a former process; null: it
   * is not there. What the former one has promised the others counts from before.
   */
  get logSinceMs(): number | null {
    return this.#logSinceMs;
  }

  takeMap(map: ShardMap, revision: number, nowMs: number): void {
    const before = this.#map;
    const isNextStep = map.epoch === (before?.epoch ?? 0) + 1;
    const isRepetition = isNextStep && before !== null && areSame(before.members, map.members);
    const isNewHere = isNextStep && !this.#isMember;
    this.#isMember = map.members.some((member) => processOf(member) === processOf(this.#self));
    if (this.#isMember && (isRepetition || isNewHere)) this.#countingRevision = revision;
    const hasLog = map.members.some(({ logId }) => logId === this.#self.logId);
    this.#logSinceMs = hasLog ? this.#logSinceMs ?? nowMs : null;
    const present = new Set(map.members.map(processOf));
    for (const process of this.#absentSinceMs.keys()) {
      const isKept = isNextStep && !isRepetition && present.has(process);
      if (!isKept) this.#absentSinceMs.delete(process);
    }
    this.#map = map;
  }

  /**
   * @param nodes from a list that was asked for when the map was known, and no other has come
   *   since.
   * @param leasesLost by this node, counted when the list was asked for.
   */
  takeNodes(nodes: readonly RegisteredNode[], leasesLost: number, nowMs: number): void {
    const processes = new Set(nodes.map(({ member }) => processOf(member)));
    for (const member of this.#map?.members ?? []) {
      const process = processOf(member);
      if (processes.has(process)) this.#absentSinceMs.delete(process);
      else if (!this.#absentSinceMs.has(process)) this.#absentSinceMs.set(process, nowMs);
    }
    const own = nodes.find(({ member }) => processOf(member) === processOf(this.#self));
    this.#registration = own === undefined ? null : { revision: own.revision, leasesLost };
  }

  /** Whether a member is not among these nodes and no list has yet said that it is absent. */
  hasNewlyGone(nodes: readonly MapMember[]): boolean {
    const present = new Set(nodes.map(processOf));
    return this.#map?.members.some((member) => {
      const process = processOf(member);
      return !present.has(process) && !this.#absentSinceMs.has(process);
    }) ?? false;
  }

  /** Null: it may be registered. */
  absentSinceMs(member: MapMember): number | null {
    return this.#absentSinceMs.get(processOf(member)) ?? null;
  }

  /** Whether a list since the last loss of a lease had this process. */
  knowsOwn(leasesLost: number): boolean {
    return this.#registration?.leasesLost === leasesLost;
  }

  /** Whether this process is a member of the map in force by its present registration. */
  counts(leasesLost: number): boolean {
    const registration = this.#registration;
    return this.#isMember && registration?.leasesLost === leasesLost
      && this.#countingRevision > registration.revision;
  }

  /** Whether it is a member, but only a repetition makes its registration count. */
  needsRepetition(leasesLost: number): boolean {
    return this.#isMember && this.knowsOwn(leasesLost) && !this.counts(leasesLost);
  }
}

/** What a process is known by: a log is opened by one process at a time. */
function processOf({ logId, incarnation }: MapMember): string {
  return `${logId} ${incarnation}`;
}

/** Whether two lists have the same members, each sorted by name, in every field. */
export function areSame(left: readonly MapMember[], right: readonly MapMember[]): boolean {
  return left.length === right.length
    && left.every((member, index) => isSameMember(member, right[index]!));
}

function isSameMember(left: MapMember, right: MapMember): boolean {
  return left.name === right.name && left.logId === right.logId
    && left.incarnation === right.incarnation && left.capacity === right.capacity
    && left.rebalanceAddress === right.rebalanceAddress
    && left.ingestAddress === right.ingestAddress && left.policySet === right.policySet;
}
