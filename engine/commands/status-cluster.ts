// The part of a status page about a node's cluster, and where it comes from.

import type { Address } from "../../config/setting-row.ts";
import { addressText } from "../../config/values.ts";
import type { ClusterReport, MemberReport } from "../cluster/cluster-report.ts";
import { askAdmin, jsonOf } from "./admin-client.ts";
import { bytes, counted, duration, grouped } from "./show-numbers.ts";
import { printable, type Terminal } from "./terminal.ts";
import { tableLines, wrapped, type Cell, type Column } from "./text-table.ts";

const OK = 200;
const NOT_FOUND = 404;
const LABEL_COLUMNS = 10;
const COLUMNS: readonly Column[] = [
  { head: "member" }, { head: "shards", align: "right" }, { head: "lease" }, { head: "link" },
  { head: "waiting", align: "right" }, { head: "awaited", align: "right" },
  { head: "takes spans at" },
];

/** What is known of a gateway's cluster: a report, why there is none, or null on a single node. */
export type ClusterAnswer = ClusterReport | { readonly unknown: string } | null;

/** GET /cluster; never throws. */
export async function askCluster(address: Address): Promise<ClusterAnswer> {
  const answer = await askAdmin(address, "/cluster");
  if ("unreachable" in answer) return { unknown: answer.unreachable };
  if (answer.status === NOT_FOUND) return null;
  const body = jsonOf(answer.body);
  if (answer.status === OK && isClusterReport(body)) return body;
  return {
    unknown: `${addressText(address)} answered ${answer.status} to /cluster, and not what this `
      + "version of tailrace does",
  };
}

/** The lines below the section's head. */
export function clusterLines(
  cluster: ClusterReport | { readonly unknown: string }, { columns, paint }: Terminal,
): string[] {
  const labelled = (label: string, text: string): string[] => wrapped(
    `  ${label.padEnd(LABEL_COLUMNS)}`, printable(text), columns, " ".repeat(2 + LABEL_COLUMNS));
  if ("unknown" in cluster) return labelled("unknown", cluster.unknown);
  const { name, node, operation, epoch } = cluster;
  const rows = cluster.members.map(memberRow);
  return [
    ...labelled("cluster", `${name}, epoch ${grouped(epoch)}; this is ${node} (${operation})`),
    ...labelled("state", stateText(cluster)),
    ...tableLines(COLUMNS, rows, columns - 2, paint).map((line) => `  ${line}`),
  ];
}

function stateText({ ready, mayDecide, frozen, closedShards, members }: ClusterReport): string {
  const facts = [ready ? "ready" : "not ready"];
  if (!members.some(({ isSelf }) => isSelf)) facts.push("not in the map");
  if (!mayDecide) facts.push("decides nothing: no lease in etcd");
  else facts.push(frozen ? "decides by a frozen map: no member reaches etcd" : "may decide");
  const closed = counted(closedShards, "shard");
  return [...facts, closedShards === 0 ? "no shards closed"
    : `${closed} closed: ${closedShards === 1 ? "it waits" : "they wait"} for other nodes' reports`,
  ].join(", ");
}

function memberRow(member: MemberReport): Cell[] {
  const { name, shards, hasLease, waitingBytes, waitedForMs, ingestAddress } = member;
  return [
    name, grouped(shards), hasLease ? "yes" : { text: "no", style: "bad" }, linkCell(member),
    bytes(waitingBytes), waitedForMs === null ? "-" : duration(waitedForMs),
    ingestAddress === "" ? "-" : ingestAddress,
  ];
}

function linkCell(member: MemberReport): Cell {
  const { isSelf, samePolicies, readsPolicies, linked, heard } = member;
  if (isSelf) return "-";
  if (!readsPolicies) return { text: "policies unknown", style: "bad" };
  if (!linked) return { text: "down", style: "bad" };
  if (!heard) return { text: "not heard", style: "bad" };
  return samePolicies ? "up" : "up, other policies";
}

/** The parts that the page cannot do without. */
function isClusterReport(value: unknown): value is ClusterReport {
  return typeof value === "object" && value !== null
    && "name" in value && typeof value.name === "string"
    && "epoch" in value && typeof value.epoch === "number"
    && "ready" in value && typeof value.ready === "boolean"
    && "mayDecide" in value && typeof value.mayDecide === "boolean"
    && "closedShards" in value && typeof value.closedShards === "number"
    && "members" in value && Array.isArray(value.members);
}
