// The members of the map in force as one node sees them, for pages.

import type { PeerLinks } from "../peer/peer-links.ts";
import type { MemberReport } from "./cluster-report.ts";
import { STREAMS, type Peer } from "./exchange-ports.ts";
import type { MemberWatch } from "./member-watch.ts";
import type { PeerSet } from "./peer-policy-sets.ts";
import { countShards, type MapMember, type ShardMap } from "./shard-map.ts";

export interface MemberReportsInput {
  readonly map: ShardMap;
  readonly self: MapMember;
  readonly peers: readonly Peer[];
  readonly registered: readonly MapMember[];
  readonly links: Pick<PeerLinks, "waitingBytes">;
  readonly watch: Pick<MemberWatch, "reaches" | "hears" | "waitedMs">;
  readonly setOf: (member: MapMember) => PeerSet;
  readonly nowMs: number;
}

/** In the order of the map. */
export function reportMembers(input: MemberReportsInput): MemberReport[] {
  const { map, self, peers, registered, links, watch, setOf, nowMs } = input;
  const shards = countShards(map);
  return map.members.map((member, index) => {
    const peer = peers.find((each) => each.member === member);
    const { hasSamePolicies, isKnown } = setOf(member);
    return {
      name: member.name, shards: shards[index]!, capacity: member.capacity,
      rebalanceAddress: member.rebalanceAddress, ingestAddress: member.ingestAddress,
      isSelf: member.incarnation === self.incarnation,
      hasLease: registered.some(({ name }) => name === member.name),
      samePolicies: hasSamePolicies, readsPolicies: isKnown,
      linked: peer !== undefined && watch.reaches(peer),
      heard: peer !== undefined && watch.hears(member),
      waitedForMs: watch.waitedMs(member, nowMs),
      waitingBytes: peer === undefined ? 0 : STREAMS.reduce<number>((bytes, stream) => {
        return bytes + links.waitingBytes(peer.number, stream);
      }, 0),
    };
  });
}
