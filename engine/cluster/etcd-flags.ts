// The command line of an etcd server, from the options. Flags only: the server gets no variables of
// this process's environment, which it would read as settings.

import { resolve } from "node:path";
import { etcdUrls, hasCertificate, type ClusterOptions, type TlsFiles } from "./cluster-options.ts";

/** How a server finds its cluster when its data directory is empty; ignored otherwise. */
export interface InitialCluster {
  readonly state: "new" | "existing";
  /** All members, this one included. */
  readonly members: readonly { readonly name: string; readonly peerUrls: readonly string[] }[];
}

export interface EtcdVersion {
  readonly major: number;
  readonly minor: number;
}

/**
 * Clients ping every 5 s, just what etcd allows by default; a ping that comes late and the next in
 * time are too close then, and the connection is cut.
 */
const PING_INTERVAL_MIN = "1s";
/** The history of a key that changes with the members; without this it grows for ever. */
const HISTORY_KEPT = "1h";
/** From 3.6 on there is no v2 API, and no flag for it. */
const VERSION_WITHOUT_V2 = { major: 3, minor: 6 };
const INITIAL_FLAG = /^--initial-/;

/** Where the server's data is; absolute, so that a server is known by it. */
export function etcdDirectory(clusterDataDirectory: string): string {
  return resolve(clusterDataDirectory, "etcd");
}

/** Arguments of one start, "--flag=value" each. */
export function etcdArguments(
  { serverName, clusterName, server, clientTls }: ClusterOptions, initial: InitialCluster,
  version: EtcdVersion,
): string[] {
  const flags: [name: string, value: string | number | boolean][] = [
    ["name", serverName],
    ["data-dir", etcdDirectory(server.clusterDataDirectory)],
    ["listen-peer-urls", etcdUrls(server.listenPeerAddresses, server.peerTls).join()],
    ["listen-client-urls", etcdUrls(server.listenClientAddresses, clientTls).join()],
    ["advertise-client-urls", etcdUrls(server.advertiseClientAddresses, clientTls).join()],
    ["listen-metrics-urls", etcdUrls(server.metricsAddresses, null).join()],
    ["initial-advertise-peer-urls", etcdUrls(server.advertisePeerAddresses, server.peerTls).join()],
    ["initial-cluster", initialClusterText(initial)],
    ["initial-cluster-state", initial.state],
    ["initial-cluster-token", clusterName],
    ["heartbeat-interval", server.heartbeatMs],
    ["election-timeout", server.electionMs],
    ["snapshot-count", server.snapshotCount],
    ["max-snapshots", server.snapshotFilesMax],
    ["max-wals", server.walFilesMax],
    ["auto-compaction-mode", "periodic"],
    ["auto-compaction-retention", HISTORY_KEPT],
    ["grpc-keepalive-min-time", PING_INTERVAL_MIN],
    ["pre-vote", true],
    ["logger", "zap"],
    ["log-outputs", "stderr"],
    ...tlsFlags("", clientTls),
    ...tlsFlags("peer-", server.peerTls),
  ];
  if (hasV2(version)) flags.push(["enable-v2", true]);
  return flags.filter(([, value]) => value !== "").map(([name, value]) => `--${name}=${value}`);
}

/** Whether two command lines make the same server, once its data directory is not empty. */
export function sameServer(left: readonly string[], right: readonly string[]): boolean {
  const lasting = (words: readonly string[]): string =>
    JSON.stringify(words.filter((word) => !INITIAL_FLAG.test(word)));
  return lasting(left) === lasting(right);
}

function hasV2({ major, minor }: EtcdVersion): boolean {
  const { major: withoutMajor, minor: withoutMinor } = VERSION_WITHOUT_V2;
  return major < withoutMajor || (major === withoutMajor && minor < withoutMinor);
}

function initialClusterText({ members }: InitialCluster): string {
  return members
    .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`)).join();
}

function tlsFlags(prefix: string, tls: TlsFiles | null): [string, string | boolean][] {
  if (!hasCertificate(tls)) return [];
  return [
    [`${prefix}cert-file`, tls.certificateFile],
    [`${prefix}key-file`, tls.keyFile],
    [`${prefix}trusted-ca-file`, tls.trustedCaFile],
    [`${prefix}client-cert-auth`, tls.requireClientCertificate ? true : ""],
  ];
}
