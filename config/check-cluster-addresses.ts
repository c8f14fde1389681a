// The addresses of a node in a cluster: that this machine can listen at the one kind, and that
// other nodes can reach the other.

import {
  collide, isBindable, isLoopback, isWildcard, readNodeAddress, type NodeAddress,
} from "./cluster-addresses.ts";
import { CLUSTER_DEFAULTS } from "./cluster-rows.ts";
import type { Findings } from "./findings.ts";
import { MEMBER_TEXT_MAX } from "./limits.ts";
import {
  nodePlace, placeOf, type ClusterInput, type NodeKey, type Place,
} from "./read-cluster.ts";
import { memberOf } from "./read-section.ts";
import type { ClusterSettings } from "./settings-types.ts";
import { TOP_LEVEL } from "./settings.ts";
import { addressText, showValue, withoutSecrets } from "./values.ts";

/** Single and plural of each kind of address of the etcd server. */
const KEYS = {
  listenPeer: ["ListenOnPeerAddress", "ListenOnPeerAddresses"],
  advertisePeer: ["AdvertisePeerAddress", "AdvertisedPeerAddresses"],
  listenClient: ["ListenOnClientAddress", "ListenOnClientAddresses"],
  advertiseClient: ["AdvertiseClientAddress", "AdvertisedClientAddresses"],
  metrics: ["ETCDMetricsAddress", "EtcdListenOnMetricsAddresses"],
} as const;
type ServerAddress = keyof typeof KEYS;

/** An address with the place that says it; of a default, the key that would. */
interface SaidAddress extends Place {
  readonly text: string;
}

/** Reports addresses that cannot work, and warns of those that hardly can. */
export function checkClusterAddresses(
  settings: ClusterSettings, input: ClusterInput, findings: Findings,
): void {
  const report = ({ path, offset }: Place, fault: string | null): void => {
    if (fault !== null) findings.problem(path, fault, offset);
  };
  for (const kind of ["listenPeer", "listenClient", "metrics"] as const) {
    for (const said of saidAddresses(kind, input)) {
      report(said, bindFault(said.text, CLUSTER_DEFAULTS[kind]));
    }
  }
  for (const kind of ["advertisePeer", "advertiseClient"] as const) {
    for (const said of saidAddresses(kind, input)) {
      report(said, reachFault(said.text, exampleOf(kind), true));
    }
  }
  const { rebalance, ingestAddress } = settings;
  const advertised = nodePlace("AdvertiseRebalanceAddress", input);
  if (isWritten("AdvertiseRebalanceAddress", input)) {
    report(advertised, reachFault(rebalance.advertise, exampleOf("rebalance"), false));
  }
  if (isWritten("IngestAddress", input)) {
    report(nodePlace("IngestAddress", input), ingestFault(ingestAddress));
  }
  checkTargets(settings, input, report);
  checkCollisions(settings, input, report);
  warnOfLoopback(settings, input, findings);
  const listen = readNodeAddress(addressText(rebalance.listen));
  if (settings.secret === "" && listen !== null && !isLoopback(listen)) {
    const { path, offset } = placeOf("ClusterSecret", input);
    findings.warning(path, "is empty: whoever reaches ListenRebalanceAddress can take part in the "
      + "cluster; write the same long random text on every node", offset);
  }
}

/** All addresses of a kind, as `ClusterSettings` has them, with their places. */
function saidAddresses(kind: ServerAddress, input: ClusterInput): SaidAddress[] {
  const [single, plural] = KEYS[kind];
  const own = input.rows[TOP_LEVEL[single].field];
  const place = placeOf(single, input);
  const more = placeOf(plural, input);
  const items = more.offset === null ? [] : memberOf(input.section, plural)?.node.items ?? [];
  const written = [
    ...(own === "" ? [] : [{ ...place, text: own }]),
    ...input.rows[TOP_LEVEL[plural].field].map((text, index) => ({
      path: more.offset === null ? more.path : `${more.path}[${index}]`,
      offset: items[index]?.offset ?? more.offset, text,
    })),
  ];
  return written.length > 0 ? written : [{ ...place, text: CLUSTER_DEFAULTS[kind] }];
}

function isWritten(name: NodeKey, input: ClusterInput): boolean {
  return input.rows[TOP_LEVEL[name].field] !== "" || input.nodeKeys.some((key) => {
    return key.name === name;
  });
}

/** What an operator could write instead. */
function exampleOf(kind: "advertisePeer" | "advertiseClient" | "rebalance"): string {
  const port = kind === "rebalance" ? CLUSTER_DEFAULTS.listenRebalance : CLUSTER_DEFAULTS[kind];
  return `10.0.0.1${port.slice(port.lastIndexOf(":"))}`;
}

function shown(text: string): string {
  return showValue(withoutSecrets(text));
}

function noAddress(text: string, allowed: string, example: string): string {
  return `${shown(text)} is no address; allowed: ${allowed}; write it like "${example}"`;
}

const WITH_SCHEME = "host:port, or http://host:port";

/** Of an address that etcd is to listen at. */
function bindFault(text: string, example: string): string | null {
  const address = readNodeAddress(text);
  if (address === null || address.host === "" || !hasPort(address)) {
    return noAddress(text, WITH_SCHEME, example);
  }
  return isBindable(address) ? null
    : `${shown(text)} has a host name, and etcd listens at IP addresses only; write the IP, or `
      + `"0.0.0.0:${address.port}" for every address`;
}

/** Of an address that other nodes are to connect to. */
function reachFault(text: string, example: string, takesScheme: boolean): string | null {
  const address = readNodeAddress(text);
  if (address === null || (address.hasScheme && !takesScheme)) {
    return noAddress(text, takesScheme ? WITH_SCHEME : "host:port", example);
  }
  if (isWildcard(address)) {
    return `${shown(text)} is not routable: it stands for every address of a machine, and other `
      + "nodes must connect to this one; write this node's own host name or IP, and the port, "
      + `such as "${example}"`;
  }
  if (!hasPort(address)) {
    return `${shown(text)} is not routable: it has no port; write host:port, such as "${example}"`;
  }
  return text.length <= MEMBER_TEXT_MAX ? null
    : `has ${text.length} characters; allowed: at most ${MEMBER_TEXT_MAX}; shorten it`;
}

function hasPort({ port }: NodeAddress): boolean {
  return port !== null && port > 0;
}

/** It is only shown, so a path does no harm; a password would. */
function ingestFault(text: string): string | null {
  const url = text.includes("://") ? text : `http://${text}`;
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isPlain = parsed !== null && /^https?:$/.test(parsed.protocol)
    && parsed.username === "" && parsed.password === "" && text.length <= MEMBER_TEXT_MAX;
  return isPlain ? null : noAddress(text, WITH_SCHEME, "http://10.0.0.1:4318");
}

function checkTargets(
  { operation, targetClusterAddresses }: ClusterSettings, input: ClusterInput,
  report: (place: Place, fault: string) => void,
): void {
  const place = placeOf("TargetClusterAddresses", input);
  const example = exampleOf("advertiseClient");
  if (operation === "client" && targetClusterAddresses.length === 0) {
    report(place, "is empty, and a client finds its cluster only through it; write client "
      + `addresses of nodes that seeded or joined, such as ["${example}"]`);
  }
  targetClusterAddresses.forEach((text, index) => {
    const address = readNodeAddress(text);
    if (address !== null && address.host !== "" && hasPort(address)) return;
    const fault = noAddress(text, WITH_SCHEME, example);
    report(place.offset === null ? place : { ...place, path: `${place.path}[${index}]` }, fault);
  });
}

/** Listeners of one process that would be in each other's way; those of etcd are its child's. */
function checkCollisions(
  { operation, rebalance }: ClusterSettings, input: ClusterInput,
  report: (place: Place, fault: string) => void,
): void {
  const taken = [
    { name: "AdminAddress", text: addressText(input.adminAddress) },
    ...input.listeners.map(({ address }, index) => {
      return { name: `ListenFrom[${index}].ListenAddr`, text: addressText(address) };
    }),
  ];
  const kinds = operation === "client" ? [] : ["listenPeer", "listenClient", "metrics"] as const;
  const own: SaidAddress[] = [
    { ...nodePlace("ListenRebalanceAddress", input), text: addressText(rebalance.listen) },
    ...kinds.flatMap((kind) => saidAddresses(kind, input)),
  ];
  for (const said of own) {
    const address = readNodeAddress(said.text);
    if (address === null || address.host === "" || !hasPort(address)) continue; // reported
    const earlier = taken.find(({ text }) => {
      const other = readNodeAddress(text);
      return other !== null && collide(address, other);
    });
    if (earlier !== undefined) {
      report(said, `${shown(said.text)} is taken by ${earlier.name}; choose another port`);
    }
    taken.push({ name: said.path, text: said.text });
  }
}

/** A node that other machines are to find, and that tells them to look at themselves. */
function warnOfLoopback(
  settings: ClusterSettings, input: ClusterInput, findings: Findings,
): void {
  const isElsewhere = (text: string): boolean => {
    const address = readNodeAddress(text);
    return address !== null && !isLoopback(address);
  };
  if (!settings.targetClusterAddresses.some(isElsewhere)) return;
  const warn = (
    listen: readonly string[], advertise: readonly SaidAddress[], example: string,
  ): void => {
    const [first] = advertise;
    if (first === undefined || !listen.some(isElsewhere)) return;
    if (advertise.some(({ text }) => isElsewhere(text))) return;
    findings.warning(first.path, `${shown(first.text)} is this machine alone, and `
      + "TargetClusterAddresses has others, which could not reach this node; write its address as "
      + `they see it, such as "${example}"`, first.offset);
  };
  const isClient = settings.operation === "client";
  if (!isClient) {
    warn(settings.listenPeerAddresses, saidAddresses("advertisePeer", input),
      exampleOf("advertisePeer"));
    warn(settings.listenClientAddresses, saidAddresses("advertiseClient", input),
      exampleOf("advertiseClient"));
  }
  // When it is not written it follows AdvertiseClientAddress, and that has been said.
  if (isClient || isWritten("AdvertiseRebalanceAddress", input)) {
    const place = nodePlace("AdvertiseRebalanceAddress", input);
    warn([addressText(settings.rebalance.listen)],
      [{ ...place, text: settings.rebalance.advertise }], exampleOf("rebalance"));
  }
}
