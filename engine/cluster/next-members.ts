// Who is in the next map. Pure; every member plans it, and the first whose proposal comes into
// force has decided.
//
// Two things are not done, on purpose:
//   - A node that is registered is never removed, however long it has been silent: it may decide.
//     First its registration is deleted (silent-members.ts); then it is a node that is gone.
//   - A node that is no member does not add itself. The freeze of a map (grants.ts) rests on the
//     members proposing nothing; with a newcomer that can, it would not hold.

import { PEERS_MAX } from "./cluster-words.ts";
import { FROZEN_MAX_MS } from "./fence.ts";
import { areSame } from "./registrations.ts";
import { compareTexts, type MapMember, type ShardMap } from "./shard-map.ts";

/**
 * Members of a map: as many as a process has numbers for. A map itself has room for more, and the
 * numbers of those that came and went are used up too.
 */
export const MEMBERS_MAX_LINKED = PEERS_MAX;
/**
 * A newcomer begins anew when for as long no member has had a lease: they may be frozen, and out of
 * its reach, until FROZEN_MAX_MS after the last keepalive. The minute is for clocks.
 */
export const ABANDONED_MS = FROZEN_MAX_MS + 60_000;

/** All times are monotonic and of the node that plans. */
export interface NextMembersInput {
  /** In force; null before the first. */
  readonly map: ShardMap | null;
  /** Nodes that are registered, by a list that was asked for while this map was known. */
  readonly living: readonly MapMember[];
  readonly self: MapMember;
  readonly nowMs: number;
  /** Grants.blockedUntilMs. */
  readonly blockedUntilMs: number;
  /** Of a member whose process is not registered: until when it may decide; infinite: not known. */
  readonly decidesUntilMs: (member: MapMember) => number;
  /** This node removes nobody before: it may have promised so before it was started again. */
  readonly removesFromMs: number;
}

/**
 * Members of the next map, sorted by name; null: the map stays, as far as this node is
 * concerned.
 */
export function planMembers(input: NextMembersInput): MapMember[] | null {
  const { map, living, self, nowMs } = input;
  if (nowMs < input.blockedUntilMs) return null;
  const isRegistered = living.some(({ logId, incarnation }) =>
    logId === self.logId && incarnation === self.incarnation);
  if (!isRegistered) return null;
  if (map === null || map.members.length === 0) return admit([], living);
  if (map.members.some(({ logId }) => logId === self.logId)) {
    const next = admit(keepMembers(input, map.members), living);
    return areSame(map.members, next) ? null : next;
  }
  return nowMs >= beginsAnewMs(input, map.members) ? admit([], living) : null;
}

/**
 * When a node that is no member may plan without the members; infinite while one of them lives, or
 * is not known to be gone. A map of one is never frozen, so nothing is waited for but its lease.
 */
export function beginsAnewMs(
  { living, decidesUntilMs }: Pick<NextMembersInput, "living" | "decidesUntilMs">,
  members: readonly MapMember[],
): number {
  const logs = new Set(living.map(({ logId }) => logId));
  if (members.some(({ logId }) => logs.has(logId))) return Number.POSITIVE_INFINITY;
  const goneMs = Math.max(...members.map(decidesUntilMs));
  return members.length > 1 ? goneMs + ABANDONED_MS : goneMs;
}

/** Nodes that live and find no room in a map of these members, by name. */
export function refusedNodes(
  members: readonly MapMember[], living: readonly MapMember[],
): MapMember[] {
  if (members.length < MEMBERS_MAX_LINKED) return [];
  const logs = new Set(members.map(({ logId }) => logId));
  return living.filter(({ logId }) => !logs.has(logId)).sort(byName);
}

/** The members that stay, as they are registered now. */
function keepMembers(input: NextMembersInput, members: readonly MapMember[]): MapMember[] {
  const next = members.map((member) => successorOf(input, member));
  // A name that another keeps is not free: whoever was to have it stays as it was, and so keeps a
  // name itself. Each round but the last settles one member at least.
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    const kept = new Set(members.filter(({ name }, index) => next[index]?.name === name)
      .map(({ name }) => name));
    members.forEach((member, index) => {
      const name = next[index]?.name;
      if (name === undefined || name === member.name || !kept.has(name)) return;
      next[index] = member;
      isSettled = false;
    });
  }
  return next.filter((node) => node !== null);
}

/** Who has a member's place in the next map: itself, another process of its log, or nobody. */
function successorOf(input: NextMembersInput, member: MapMember): MapMember | null {
  const nodes = input.living.filter(({ logId }) => logId === member.logId);
  const present = nodes.find(({ incarnation }) => incarnation === member.incarnation);
  if (present !== undefined) return present;
  // This process takes the place of its former one at once: that is dead, or this one would not
  // have its data directory. Which of two others is dead only time tells: a process that was killed
  // may have left a request that registers it after its successor lost its lease.
  const own = nodes.find(({ incarnation }) => incarnation === input.self.incarnation);
  if (own !== undefined) return own;
  const isOver = input.nowMs >= input.removesFromMs
    && input.nowMs >= input.decidesUntilMs(member);
  if (!isOver) return member;
  return nodes.find(({ name }) => name === member.name) ?? nodes[0] ?? null;
}

/**
 * Adds nodes in the order of their names, as long as there is room. Whoever has the name of a
 * member with another log waits until that one is removed: it may live.
 */
function admit(kept: readonly MapMember[], living: readonly MapMember[]): MapMember[] {
  const members = [...kept];
  const names = new Set(members.map(({ name }) => name));
  const logs = new Set(members.map(({ logId }) => logId));
  for (const node of [...living].sort(byName)) {
    if (members.length >= MEMBERS_MAX_LINKED) break;
    if (names.has(node.name) || logs.has(node.logId)) continue;
    names.add(node.name);
    logs.add(node.logId);
    members.push(node);
  }
  return members.sort(byName);
}

function byName(left: MapMember, right: MapMember): number {
  return compareTexts(left.name, right.name);
}
