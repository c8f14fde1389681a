// What an operator says about the cluster, as typed options. Addresses are as the original takes
// them: host:port, or a URL.

import type { LogLevel } from "../base/log.ts";

/** `new` and `existing` are the original's other words for seed and join. */
export type ClusterOperation = "seed" | "join" | "client";

/** PEM files of one kind of connection; empty paths mean none. */
export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  /** The server asks its clients for certificates of that authority. */
  readonly requireClientCertificate: boolean;
}

export interface EtcdServerOptions {
  /** Program name or path. */
  readonly binary: string;
  /** Directories to look in for a name, separated by colons. */
  readonly searchPath: string;
  /** etcd's data goes in "etcd" below it. */
  readonly clusterDataDirectory: string;
  readonly listenPeerAddresses: readonly string[];
  readonly advertisePeerAddresses: readonly string[];
  readonly listenClientAddresses: readonly string[];
  readonly advertiseClientAddresses: readonly string[];
  /** Without any, health is asked for at the client address. */
  readonly metricsAddresses: readonly string[];
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly snapshotCount: number;
  readonly snapshotFilesMax: number;
  readonly walFilesMax: number;
  readonly peerTls: TlsFiles | null;
}

export interface ClusterOptions {
  readonly operation: ClusterOperation;
  readonly serverName: string;
  readonly clusterName: string;
  readonly targetAddresses: readonly string[];
  readonly server: EtcdServerOptions;
  /** Of connections to client addresses, this node's and others'. */
  readonly clientTls: TlsFiles | null;
  /** How long a node that starts waits for the first answer of the targets, at each look. */
  readonly dialTimeoutMs: number;
  /** Bounds the whole start, and keeps new members from being removed as unhealthy. */
  readonly startupGraceMs: number;
  readonly unhealthyMemberTtlMs: number;
  readonly removeMemberTimeoutMs: number;
  readonly cleanUpIntervalMs: number;
  /** How often the endpoints follow the list of members. */
  readonly autoSyncIntervalMs: number;
}

/** Writes a line of this node's log. */
export type ClusterLog = (
  level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>,
) => void;

/** An address as a URL; what begins with "http" is one already. */
export function etcdUrl(address: string, tls: TlsFiles | null): string {
  if (address.startsWith("http")) return address;
  return `${hasCertificate(tls) ? "https" : "http"}://${address}`;
}

export function etcdUrls(addresses: readonly string[], tls: TlsFiles | null): string[] {
  return addresses.map((address) => etcdUrl(address, tls));
}

/** Whether connections of this kind are encrypted. */
export function hasCertificate(tls: TlsFiles | null): tls is TlsFiles {
  return tls !== null && tls.certificateFile !== "";
}
