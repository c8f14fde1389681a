// What a change of the cluster costs a node: planning the map, naming the witnesses, writing and
// reading the key. The figure is of the plan alone, for a node that joins 99 others; the hash is of
// all maps of the bench.
//
// A coordinator does this once for a change, and must answer peers and its lease meanwhile: all of
// it together should stay below 50 ms.

import { decodeMap, encodeMap } from "../engine/cluster/shard-map-codec.ts";
import { planMap, type MapMember, type ShardMap } from "../engine/cluster/shard-map.ts";
import { planWitnesses } from "../engine/cluster/witnesses.ts";
import { SHARDS } from "../engine/hash/shard-of.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

/** Of the capacities; everything else follows from the node's number. */
const SEED = 4_096;
const NODES = 100;
const CAPACITIES = 8;

/** A map from nothing, one with a node less, and back, round after round. */
export function run(options: BenchOptions): BenchResult {
  const rounds = options.smoke ? 2 : 200;
  const members = Array.from({ length: NODES }, (_, index) => member(index));
  const times = { first: 0, leave: 0, join: 0, witnesses: 0, encode: 0, decode: 0 };
  let hash = 0;
  let value = "";
  for (let round = 0; round < rounds; round++) {
    let at = performance.now();
    const lap = (name: keyof typeof times): void => {
      const now = performance.now();
      times[name] += now - at;
      at = now;
    };
    const first = planMap(null, members);
    lap("first");
    const left = planMap(first, members.slice(1));
    lap("leave");
    const joined = planMap(left, members);
    lap("join");
    const witnesses = planWitnesses(joined);
    lap("witnesses");
    value = encodeMap(joined);
    lap("encode");
    const decoded = decodeMap(value);
    lap("decode");
    for (const map of [first, left, decoded]) hash = mix(hash, map);
    for (const witness of witnesses) hash = (Math.imul(hash, 31) + witness) | 0;
  }
  const each = (ms: number): number => rounded(ms / rounds);
  return {
    name: "cluster",
    spansPerSecond: Math.round((SHARDS * rounds * 1000) / times.join),
    detail: {
      seed: SEED, nodes: NODES, rounds,
      firstMapMs: each(times.first), leaveMs: each(times.leave), joinMs: each(times.join),
      witnessesMs: each(times.witnesses), encodeMs: each(times.encode),
      decodeMs: each(times.decode), valueBytes: Buffer.byteLength(value),
      resultHash: (hash >>> 0).toString(16),
    },
  };
}

function member(index: number): MapMember {
  const capacity = 1 + ((Math.imul(SEED + index, 0x9e3779b1) >>> 16) % CAPACITIES);
  return {
    name: `smart-gateway-${index}`, logId: `log-${index}`, incarnation: "1", capacity,
    rebalanceAddress: `10.0.0.${index}:2382`, ingestAddress: `http://10.0.0.${index}:8080`,
    policySet: "none",
  };
}

function mix(start: number, map: ShardMap): number {
  let hash = start;
  for (const owner of map.owners) hash = (Math.imul(hash, 31) + owner) | 0;
  for (const epoch of map.since) hash = (Math.imul(hash, 31) + epoch) | 0;
  return hash;
}

await runWhenMain(import.meta.url, run);
