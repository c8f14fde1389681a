// What changed between two maps, in the words of the log.

import { SHARDS } from "../hash/shard-of.ts";
import { countShards, type MapMember, type ShardMap } from "./shard-map.ts";

/** Names told in one line; the rest is counted. */
const NAMES_MAX = 16;

export interface MapNews {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A line for those that joined, one for those that returned, one for those that left. */
export function tellNews(before: ShardMap, after: ShardMap): MapNews[] {
  const former = new Map(before.members.map((member) => [member.name, member]));
  const present = new Map(after.members.map((member) => [member.name, member]));
  const joined = after.members.filter(({ name, logId }) => former.get(name)?.logId !== logId);
  const returned = after.members.filter(({ name, logId, incarnation }) =>
    former.get(name)?.logId === logId && former.get(name)?.incarnation !== incarnation);
  const left = before.members.filter(({ name, logId }) => present.get(name)?.logId !== logId);
  const fields = { epoch: after.epoch, members: after.members.length };
  const news: MapNews[] = [];
  const tell = (
    members: readonly MapMember[], owners: ShardMap, what: string, shardsAre: string,
  ): void => {
    if (members.length === 0) return;
    const shards = `${shardsOf(members, owners)} of ${SHARDS} shards`;
    news.push({ message: `${nameAll(members)} ${what}: ${shards} ${shardsAre}`, fields });
  };
  tell(joined, after, "joined the cluster", "moved there");
  tell(returned, after, "returned to the cluster", "wait for reports there");
  tell(left, before, "left the cluster", "moved to others");
  return news;
}

/** Names in quotes, NAMES_MAX of them at most. */
export function nameAll(members: readonly { readonly name: string }[]): string {
  const names = members.slice(0, NAMES_MAX).map(({ name }) => `"${name}"`);
  const rest = members.length - names.length;
  return rest === 0 ? names.join(", ") : `${names.join(", ")} and ${rest} more`;
}

function shardsOf(members: readonly MapMember[], owners: ShardMap): number {
  const names = new Set(members.map(({ name }) => name));
  const counts = countShards(owners);
  return owners.members.reduce(
    (sum, { name }, index) => sum + (names.has(name) ? counts[index]! : 0), 0);
}
