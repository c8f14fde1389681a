// The second member that must commit a decision before it exists: for each shard the first of the
// members without the owner, by rendezvous order. Every member gets a rank for every shard from a
// hash of its name, so that a member that comes or goes changes only the shards it wins or won.
//
// Nothing here may change: nodes of all versions must name the same witness.

import { SHARDS } from "../hash/shard-of.ts";
import { NO_OWNER, type ShardMap } from "./shard-map.ts";

/** Witness of a shard in a map of one member or none. */
export const NO_WITNESS = NO_OWNER;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Of the golden ratio: spreads consecutive shards over all 32 bits. */
const SHARD_MULTIPLIER = 0x9e3779b1;

/** By shard: index of the witness among the map's members, or NO_WITNESS. */
export function planWitnesses(map: ShardMap): Uint16Array {
  const seeds = map.members.map(({ name }) => hashName(name));
  const witnesses = new Uint16Array(SHARDS).fill(NO_WITNESS);
  for (let shard = 0; shard < SHARDS; shard++) {
    const owner = map.owners[shard]!;
    let highest = -1;
    for (let member = 0; member < seeds.length; member++) {
      if (member === owner) continue;
      const rank = rankOf(seeds[member]!, shard);
      if (rank > highest) { // the first of equals, and members are sorted by name
        highest = rank;
        witnesses[shard] = member;
      }
    }
  }
  return witnesses;
}

/** FNV-1a, 32 bits, over the name's UTF-8. */
function hashName(name: string): number {
  let hash = FNV_OFFSET;
  for (const byte of Buffer.from(name, "utf8")) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

/** Finalizer of MurmurHash3, 32 bits: every bit of seed and shard changes half of the rank's. */
function rankOf(seed: number, shard: number): number {
  let hash = seed ^ Math.imul(shard + 1, SHARD_MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
