// The map as it is kept in etcd: JSON, so that an operator can read it with etcdctl, with the two
// tables in base64 as little-endian words. About 33 KB, and a few hundred bytes a member.

import { z } from "zod";
import { GatewayError } from "../base/errors.ts";
import { SHARDS } from "../hash/shard-of.ts";
import {
  CAPACITY_MAX, compareTexts, EPOCH_MAX, MEMBERS_MAX, NO_OWNER, type ShardMap,
} from "./shard-map.ts";

/** Raised when an older version could not read the map; the previous one stays readable. */
export const MAP_FORMAT = 1;
/** Names, addresses and hashes: 512 members of these stay below what etcd takes for a value. */
export const MEMBER_TEXT_MAX = 255;

const OWNER_BYTES = 2;
const SINCE_BYTES = 4;

const memberText = z.string().max(MEMBER_TEXT_MAX);
/** A member as it is written, in the map and when a node registers itself. */
export const memberSchema = z.object({
  name: memberText.min(1),
  logId: memberText.min(1),
  incarnation: memberText.min(1),
  capacity: z.int().min(1).max(CAPACITY_MAX),
  rebalanceAddress: memberText,
  ingestAddress: memberText,
  policySet: memberText,
});
const mapSchema = z.object({
  format: z.literal(MAP_FORMAT),
  epoch: z.int().min(1).max(EPOCH_MAX),
  members: z.array(memberSchema).max(MEMBERS_MAX),
  owners: z.base64(),
  since: z.base64(),
});

/** The map's value in etcd. */
export function encodeMap(map: ShardMap): string {
  const owners = Buffer.alloc(SHARDS * OWNER_BYTES);
  const since = Buffer.alloc(SHARDS * SINCE_BYTES);
  for (let shard = 0; shard < SHARDS; shard++) {
    owners.writeUInt16LE(map.owners[shard]!, shard * OWNER_BYTES);
    since.writeUInt32LE(map.since[shard]!, shard * SINCE_BYTES);
  }
  return JSON.stringify({
    format: MAP_FORMAT, epoch: map.epoch, members: map.members,
    owners: owners.toString("base64"), since: since.toString("base64"),
  });
}

/** @throws GatewayError CLUSTER_FORMAT for a newer format, or what no version wrote. */
export function decodeMap(text: string): ShardMap {
  const value = readFormatted(text, MAP_FORMAT, "the cluster's map");
  const read = mapSchema.safeParse(value);
  if (!read.success) throw damaged(z.prettifyError(read.error));
  const { epoch, members } = read.data;
  members.forEach(({ name }, index) => {
    const isSorted = index === 0 || compareTexts(members[index - 1]!.name, name) < 0;
    if (!isSorted) throw damaged(`member "${name}" is out of order`);
  });
  const owners = Buffer.from(read.data.owners, "base64");
  const since = Buffer.from(read.data.since, "base64");
  const isWhole = owners.length === SHARDS * OWNER_BYTES && since.length === SHARDS * SINCE_BYTES;
  if (!isWhole) throw damaged("a table has another length");
  const map = {
    epoch, members, owners: new Uint16Array(SHARDS), since: new Uint32Array(SHARDS),
  };
  for (let shard = 0; shard < SHARDS; shard++) {
    const owner = owners.readUInt16LE(shard * OWNER_BYTES);
    const epochOf = since.readUInt32LE(shard * SINCE_BYTES);
    const isOwned = owner < members.length || (owner === NO_OWNER && members.length === 0);
    if (!isOwned) throw damaged(`shard ${shard} has no owner among the members`);
    if (epochOf < 1 || epochOf > epoch) throw damaged(`shard ${shard} is owned since no epoch`);
    map.owners[shard] = owner;
    map.since[shard] = epochOf;
  }
  return map;
}

/**
 * JSON that carries a format number.
 * @param what it is, for the message.
 * @throws GatewayError CLUSTER_FORMAT when it is none, or newer than `format`.
 */
export function readFormatted(text: string, format: number, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GatewayError("CLUSTER_FORMAT", `${what} in etcd is not JSON`, {}, error);
  }
  const written = typeof value === "object" && value !== null && "format" in value
    ? value.format : undefined;
  if (typeof written === "number" && written > format) {
    throw new GatewayError(
      "CLUSTER_FORMAT",
      `${what} has format ${written} and this version reads up to ${format}: upgrade this node`,
      { written, format },
    );
  }
  return value;
}

function damaged(problem: string): GatewayError {
  return new GatewayError(
    "CLUSTER_FORMAT", `the cluster's map in etcd cannot be read: ${problem}`, { problem },
  );
}
