// Which silent member a node takes out of the map, if any. Pure.
//
// A member is silent when this node has waited for it past HandoverTimeout (silence-watch.ts). It
// may decide as long as its lease lives, so nobody decides around it: its registration is deleted,
// by a compare on the very one that was seen, and then it is a node that is gone. It may decide
// until one TTL after that, its fence closes because no keepalive counts any more
// (lease-keeper.ts), and the next map is without it (next-members.ts).
//
// Who is cut off nobody can know. So only a node deletes that has connections, both ways, with more
// than half of the members: one with a broken network card takes nobody out. Two of such a majority
// that do not hear each other may both want to delete the other: the deletion compares the own
// registration too, so etcd lets only the first one through. In a map of two nobody can say which
// is cut off, and nobody is taken out.
//
// One at a time: while a member is not registered no other is taken out, because the map without
// the first one may be one in which the others report.

import type { MapMember } from "./shard-map.ts";

/** A member that this node waits for. */
export interface SilentMember {
  readonly member: MapMember;
  /** For how long it has shown no progress. */
  readonly silentMs: number;
}

export interface RemovalInput {
  /** Of the map in force, this node among them. */
  readonly members: readonly MapMember[];
  readonly self: MapMember;
  readonly silent: readonly SilentMember[];
  /** By the last list of the nodes. */
  readonly isRegistered: (member: MapMember) => boolean;
  /** Connections for parts and decisions are up in both directions. */
  readonly isConnected: (member: MapMember) => boolean;
}

/** Nobody is silent; or who goes; or why nobody does. */
export type RemovalPlan = "nobody" | "pair" | "minority" | "another is going" | SilentMember;

/** Whom to take out now: the one that has been silent for longest. */
export function planRemoval(input: RemovalInput): RemovalPlan {
  const { members, self, silent, isRegistered, isConnected } = input;
  const incarnations = new Set(members.map(({ incarnation }) => incarnation));
  // One that is not registered goes by itself.
  const inMap = silent
    .filter(({ member }) => incarnations.has(member.incarnation) && isRegistered(member))
    .sort((left, right) => right.silentMs - left.silentMs);
  const [longest] = inMap;
  if (longest === undefined) return "nobody";
  if (members.length <= 2) return "pair";
  const unheard = new Set(inMap.map(({ member }) => member.incarnation));
  const heard = members.filter((member) => member.incarnation === self.incarnation
    || (!unheard.has(member.incarnation) && isRegistered(member) && isConnected(member)));
  if (2 * heard.length <= members.length) return "minority";
  return members.every(isRegistered) ? longest : "another is going";
}
