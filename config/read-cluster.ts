// The cluster's settings put together from their rows, from the keys of the original that belong to
// the node but stand in a TraceSample, and from what other settings say. What must hold between
// them is in check-cluster.ts.

import { readNodeAddress } from "./cluster-addresses.ts";
import { CLUSTER_DEFAULTS, CLUSTER_ROWS, type ClusterRows } from "./cluster-rows.ts";
import { SECOND_MS } from "./durations.ts";
import type { Findings } from "./findings.ts";
import { MEMBER_TEXT_MAX } from "./limits.ts";
import { nearestName } from "./nearest-name.ts";
import { memberOf, pathOf, type ReadContext, type Section } from "./read-section.ts";
import type { Address, ValueRow } from "./setting-row.ts";
import type {
  ClusterOperation, ClusterSettings, ListenerSettings, SettledClusterRow,
} from "./settings-types.ts";
import { TOP_LEVEL } from "./settings.ts";
import { addressText, describeAllowed, readValue, withoutSecrets } from "./values.ts";

/** Keys of a TraceSample of the original that belong to the node. */
export const NODE_KEYS = [
  "ListenRebalanceAddress", "AdvertiseRebalanceAddress", "IngestAddress",
] as const satisfies readonly (keyof typeof CLUSTER_ROWS)[];
export type NodeKey = (typeof NODE_KEYS)[number];

/** One of these keys as a TraceSample has it; nothing of its value is checked. */
export interface WrittenNodeKey {
  readonly name: NodeKey;
  readonly path: string;
  readonly value: unknown;
  readonly offset: number;
}

/** What a node's part in a cluster follows from. */
export interface ClusterInput {
  /** With the environment in them. */
  readonly rows: ClusterRows;
  /** --cluster-op; null when it was not given. */
  readonly flag: string | null;
  readonly serverName: string;
  readonly clusterName: string;
  readonly workers: number;
  readonly onShutdown: "keep" | "decide";
  readonly adminAddress: Address;
  readonly listeners: readonly ListenerSettings[];
  /** Variables that set a field. */
  readonly variables: ReadonlyMap<string, string>;
  /** The top level of the file. */
  readonly section: Section;
  /** Of all TraceSamples. */
  readonly nodeKeys: readonly WrittenNodeKey[];
}

/** Where a setting was written, for messages; a key's name when it was not. */
export interface Place {
  readonly path: string;
  /** Null when it is not in the file. */
  readonly offset: number | null;
}

/** The operations, under the original's other words as well. */
const OPERATIONS: ReadonlyMap<string, ClusterOperation> = new Map([
  ["seed", "seed"], ["join", "join"], ["client", "client"], ["new", "seed"], ["existing", "join"],
]);
/** Stands for an address that was refused. */
const REFUSED_ADDRESS: Address = { host: "127.0.0.1", port: 0 };

/** @returns null for a single node, and where the operation is refused. */
export function readCluster(input: ClusterInput, context: ReadContext): ClusterSettings | null {
  const { rows } = input;
  const operation = readOperation(input, context.findings);
  if (operation === null) return null;
  const addresses = {
    listenPeerAddresses: both(
      rows.listenOnPeerAddress, rows.listenOnPeerAddresses, CLUSTER_DEFAULTS.listenPeer),
    advertisePeerAddresses: both(
      rows.advertisePeerAddress, rows.advertisedPeerAddresses, CLUSTER_DEFAULTS.advertisePeer),
    listenClientAddresses: both(
      rows.listenOnClientAddress, rows.listenOnClientAddresses, CLUSTER_DEFAULTS.listenClient),
    advertiseClientAddresses: both(
      rows.advertiseClientAddress, rows.advertisedClientAddresses,
      CLUSTER_DEFAULTS.advertiseClient),
    metricsAddresses: both(
      rows.etcdMetricsAddress, rows.etcdListenOnMetricsAddresses, CLUSTER_DEFAULTS.metrics),
  };
  const listen = readListen(input, context);
  const advertise = nodeText("AdvertiseRebalanceAddress", input, context)
    || `${hostOf(addresses.advertiseClientAddresses[0]!)}:${listen.port}`; // never empty
  return {
    ...withoutSettled(rows), ...addresses, operation,
    serverName: input.serverName, clusterName: input.clusterName,
    capacity: rows.clusterCapacity === 0 ? input.workers : rows.clusterCapacity,
    leaseTtlSeconds: Math.ceil(rows.clusterLeaseTtlMs / SECOND_MS),
    rebalance: { listen, advertise },
    ingestAddress: nodeText("IngestAddress", input, context)
      || ingestOf(input.listeners, hostOf(advertise)),
    secret: rows.clusterSecret,
  };
}

/** The variable, or the key of the file, that says a top-level setting. */
export function placeOf(
  name: Exclude<keyof typeof TOP_LEVEL, "ListenFrom" | "ForwardTo">,
  { variables, section }: Pick<ClusterInput, "variables" | "section">,
): Place {
  const variable = variables.get(TOP_LEVEL[name].field);
  if (variable !== undefined) return { path: variable, offset: null };
  return { path: pathOf(section, name), offset: memberOf(section, name)?.node.offset ?? null };
}

function readOperation(input: ClusterInput, findings: Findings): ClusterOperation | null {
  const word = input.flag ?? input.rows.clusterOperation;
  if (word === "") return null;
  const operation = OPERATIONS.get(word);
  if (operation !== undefined) return operation;
  const { path, offset } = input.flag === null ? placeOf("ClusterOperation", input)
    : { path: "--cluster-op", offset: null };
  const near = nearestName(word, OPERATIONS.keys());
  const message = `unsupported cluster-op specified ${JSON.stringify(word)}; allowed: `
    + `${describeAllowed(CLUSTER_ROWS.ClusterOperation)}; `
    + `use ${near === null ? "one of them" : `"${near}"`}`;
  findings.problem(path, message, offset);
  return null;
}

/** What stays as it was written. */
function withoutSettled(rows: ClusterRows): Omit<ClusterRows, SettledClusterRow> {
  const {
    clusterOperation: _operation, clusterSecret: _secret, clusterLeaseTtlMs: _lease,
    clusterCapacity: _capacity, listenRebalanceAddress: _listen,
    advertiseRebalanceAddress: _advertise,
    listenOnPeerAddress: _listenPeer, listenOnPeerAddresses: _listenPeers,
    advertisePeerAddress: _peer, advertisedPeerAddresses: _peers,
    listenOnClientAddress: _listenClient, listenOnClientAddresses: _listenClients,
    advertiseClientAddress: _client, advertisedClientAddresses: _clients,
    etcdMetricsAddress: _metrics, etcdListenOnMetricsAddresses: _moreMetrics, ...rest
  } = rows;
  return rest;
}

/** The single address first; its default counts only when neither is written. */
function both(single: string, more: readonly string[], byDefault: string): string[] {
  const written = [single, ...more].filter((address) => address !== "");
  return written.length === 0 ? [byDefault] : written;
}

function readListen(input: ClusterInput, context: ReadContext): Address {
  const name = "ListenRebalanceAddress";
  const text = nodeText(name, input, context) || CLUSTER_DEFAULTS.listenRebalance;
  const address = readPlainAddress(text);
  const { path, offset } = nodePlace(name, input);
  if (address === null) {
    context.findings.problem(path, `${JSON.stringify(text)} is no address; allowed: host:port; `
      + `write it like "${CLUSTER_DEFAULTS.listenRebalance}"`, offset);
    return REFUSED_ADDRESS;
  }
  if (address.port === 0) {
    context.findings.problem(path, `${JSON.stringify(text)} lets the system choose the port, and `
      + "other nodes could not be told which; write one, such as "
      + `"${CLUSTER_DEFAULTS.listenRebalance}"`, offset);
  }
  return address;
}

/** As listeners take it: ":2382" means every IPv4 address. */
function readPlainAddress(text: string): Address | null {
  const row: ValueRow = {
    field: "", kind: "address", default: CLUSTER_DEFAULTS.listenRebalance, doc: "",
  };
  const reading = readValue(row, text, "/");
  return reading.accepted ? reading.value as Address : null; // the form of this kind
}

/** Where a key is written: the variable, the top level, the first TraceSample that has it. */
export function nodePlace(name: NodeKey, input: ClusterInput): Place {
  const place = placeOf(name, input);
  const isOwn = input.rows[CLUSTER_ROWS[name].field] !== "";
  return isOwn ? place : (input.nodeKeys.find((key) => key.name === name) ?? place);
}

/** What is written, "" when nothing is. All that are written must agree, if no variable decides. */
function nodeText(name: NodeKey, input: ClusterInput, context: ReadContext): string {
  const row = CLUSTER_ROWS[name];
  const own = input.rows[row.field];
  if (own !== "" && input.variables.has(row.field)) return own;
  let first = own === "" ? null : { text: own, path: pathOf(input.section, name) };
  for (const { path, value, offset } of input.nodeKeys.filter((key) => key.name === name)) {
    const reading = readValue(row, value, context.cwd);
    if (!reading.accepted) {
      context.findings.problem(path, reading.message, offset);
      continue;
    }
    const text = String(reading.value);
    first ??= { text, path };
    if (sameForm(text) === sameForm(first.text)) continue;
    const message = `${withoutSecrets(text)} is not ${withoutSecrets(first.text)}, which `
      + `${first.path} says; a node has one such address: write the same, or leave this key out`;
    context.findings.problem(path, message, offset);
  }
  return first?.text ?? "";
}

/** One form for ":2382" and "0.0.0.0:2382". */
function sameForm(text: string): string {
  const address = readPlainAddress(text);
  return address === null ? text : addressText(address);
}

function hostOf(address: string): string {
  return readNodeAddress(address)?.host ?? "";
}

/** Empty when there is no listener, the system chooses its port, or no map would take it. */
function ingestOf(listeners: readonly ListenerSettings[], host: string): string {
  const [first] = listeners;
  if (first === undefined || first.address.port === 0) return "";
  const text = `${first.tlsCertFile === "" ? "http" : "https"}://${host}:${first.address.port}`;
  return text.length > MEMBER_TEXT_MAX ? "" : text;
}
