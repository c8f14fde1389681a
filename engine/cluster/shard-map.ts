// Who owns which shard. Pure, integers only: every node derives the same map from the same
// previous one and the same members, in whatever order they come.
//
// The rule is one sentence: no member's shards per capacity may exceed what another member would
// have with one shard more. (D'Hondt's division of seats, taken up where the previous map left it.)
// It makes the fullest member as little full as whole shards allow, and moves as little as that
// needs: a newcomer takes its share from the fullest and nobody else's shards move; what a member
// left behind goes to those with the most room.

import { assert } from "../base/assert.ts";
import { SHARDS } from "../hash/shard-of.ts";

/** Owner of a shard in a map without members. */
export const NO_OWNER = 0xffff;
/**
 * Members of a map: with more than this a member has fewer than eight shards, and one more or less
 * is a large part of its work. A node that would be one too many is refused by whoever plans.
 */
export const MEMBERS_MAX = 512;
export const CAPACITY_MAX = 0xffff;
/** Epochs are u32; at one change a second they last 136 years. */
export const EPOCH_MAX = 0xffff_ffff;

/** A gateway in the map, as it registered itself. */
export interface MapMember {
  /** ServerName: unique among the members, and what a member is known by from map to map. */
  readonly name: string;
  /** Id of its data directory's log. */
  readonly logId: string;
  /** New at every start of the process. */
  readonly incarnation: string;
  /** Weight of its share, 1..65535: lanes, or what the operator says. */
  readonly capacity: number;
  readonly rebalanceAddress: string;
  readonly ingestAddress: string;
  /** Hash of the policy set that it decides by. */
  readonly policySet: string;
}

/** Never changed once planned. */
export interface ShardMap {
  readonly epoch: number;
  /** By name, in the order of UTF-16 code units. */
  readonly members: readonly MapMember[];
  /** By shard: index into members, or NO_OWNER where there are none. */
  readonly owners: Uint16Array;
  /** By shard: epoch at which the present owner's present incarnation got it. */
  readonly since: Uint32Array;
}

/**
 * The map that follows `previous` (null: the first of a cluster) for these members, in any order.
 * Its epoch is one higher, whether or not anything moved.
 */
export function planMap(previous: ShardMap | null, members: readonly MapMember[]): ShardMap {
  assert(members.length <= MEMBERS_MAX, "more members than a map has room for");
  const epoch = (previous?.epoch ?? 0) + 1;
  assert(epoch <= EPOCH_MAX, "epochs are used up");
  const sorted = sortMembers(members);
  const owners = keepOwners(previous, sorted);
  if (sorted.length > 0) new Division(owners, sorted).settle();
  return { epoch, members: sorted, owners, since: sinceOf(previous, sorted, owners, epoch) };
}

/** Shards of each member, by its index. */
export function countShards(map: ShardMap): number[] {
  const counts = map.members.map(() => 0);
  for (const owner of map.owners) {
    if (owner !== NO_OWNER) counts[owner]!++;
  }
  return counts;
}

/** Order of texts that no locale changes. */
export function compareTexts(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

function sortMembers(members: readonly MapMember[]): MapMember[] {
  const sorted = [...members].sort((left, right) => compareTexts(left.name, right.name));
  sorted.forEach(({ name, capacity }, index) => {
    assert(index === 0 || sorted[index - 1]!.name !== name, "two members have one name");
    assert(Number.isInteger(capacity), "a capacity is an integer");
    assert(capacity >= 1, "a capacity is at least 1");
    assert(capacity <= CAPACITY_MAX, "a capacity is at most 65535");
  });
  return sorted;
}

/** Owners of the previous map as indices into the new members; NO_OWNER where the owner is gone. */
function keepOwners(previous: ShardMap | null, members: readonly MapMember[]): Uint16Array {
  const owners = new Uint16Array(SHARDS).fill(NO_OWNER);
  if (previous === null) return owners;
  const indexOf = new Map(members.map(({ name }, index) => [name, index]));
  const kept = previous.members.map(({ name }) => indexOf.get(name) ?? NO_OWNER);
  for (let shard = 0; shard < SHARDS; shard++) {
    const former = previous.owners[shard]!;
    if (former !== NO_OWNER) owners[shard] = kept[former]!;
  }
  return owners;
}

function sinceOf(
  previous: ShardMap | null, members: readonly MapMember[], owners: Uint16Array, epoch: number,
): Uint32Array {
  const since = new Uint32Array(SHARDS).fill(epoch);
  if (previous === null) return since;
  for (let shard = 0; shard < SHARDS; shard++) {
    const former = previous.members[previous.owners[shard]!];
    const owner = members[owners[shard]!];
    if (former === undefined || owner === undefined) continue;
    const isSame = former.name === owner.name && former.incarnation === owner.incarnation;
    if (isSame) since[shard] = previous.since[shard]!;
  }
  return since;
}

/** Hands out what has no owner, then evens out. Writes `owners`. */
class Division {
  readonly #owners: Uint16Array;
  readonly #capacities: readonly number[];
  /** By member: its shards, ascending; the highest goes first. */
  readonly #shards: number[][];

  constructor(owners: Uint16Array, members: readonly MapMember[]) {
    this.#owners = owners;
    this.#capacities = members.map(({ capacity }) => capacity);
    this.#shards = members.map(() => []);
    owners.forEach((owner, shard) => {
      if (owner !== NO_OWNER) this.#shards[owner]!.push(shard);
    });
  }

  settle(): void {
    for (let shard = 0; shard < SHARDS; shard++) {
      if (this.#owners[shard] === NO_OWNER) this.#give(shard, this.#roomiest());
    }
    // Each move lowers a ratio and none repeats: no shard can be given more often than it exists.
    for (let moves = 0; moves <= SHARDS; moves++) {
      const fullest = this.#fullest();
      const roomiest = this.#roomiest();
      if (!this.#isOver(fullest, roomiest)) return;
      this.#give(this.#shards[fullest]!.pop()!, roomiest);
    }
    assert(false, "shards moved in a circle");
  }

  #give(shard: number, member: number): void {
    this.#owners[shard] = member;
    this.#shards[member]!.push(shard);
  }

  /** The member with the most shards per capacity; the first of equals. */
  #fullest(): number {
    let fullest = 0;
    for (let member = 1; member < this.#shards.length; member++) {
      const more = this.#shards[member]!.length * this.#capacities[fullest]!;
      if (more > this.#shards[fullest]!.length * this.#capacities[member]!) fullest = member;
    }
    return fullest;
  }

  /** The member with the fewest shards per capacity after one more; the first of equals. */
  #roomiest(): number {
    let roomiest = 0;
    for (let member = 1; member < this.#shards.length; member++) {
      const fewer = (this.#shards[member]!.length + 1) * this.#capacities[roomiest]!;
      if (fewer < (this.#shards[roomiest]!.length + 1) * this.#capacities[member]!) {
        roomiest = member;
      }
    }
    return roomiest;
  }

  /** Whether `from` has more per capacity than `to` would have with one of its shards. */
  #isOver(from: number, to: number): boolean {
    const present = this.#shards[from]!.length * this.#capacities[to]!;
    return present > (this.#shards[to]!.length + 1) * this.#capacities[from]!;
  }
}
