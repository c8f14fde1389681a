import { createHash } from "node:crypto";
import type { MapMember, ShardMap } from "../../engine/cluster/shard-map.ts";
import { planWitnesses } from "../../engine/cluster/witnesses.ts";

/** A member of a map, with everything but the given fields made up from its name. */
export function mapMember(name: string, changes: Partial<MapMember> = {}): MapMember {
  return {
    name, logId: `log-of-${name}`, incarnation: `first-of-${name}`, capacity: 1,
    rebalanceAddress: "127.0.0.1:2382", ingestAddress: "http://127.0.0.1:8080",
    policySet: "none", ...changes,
  };
}

/** What two nodes must agree on, in 16 hexadecimal digits. */
export function mapDigest(map: ShardMap): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([map.epoch, map.members.map(({ name }) => name)]));
  hash.update(Array.from(map.owners).join());
  hash.update(Array.from(map.since).join());
  hash.update(Array.from(planWitnesses(map)).join());
  return hash.digest("hex").slice(0, 16);
}
