// From the settings of the cluster to the options of its etcd.

import type { ClusterSettings } from "../../config/settings-types.ts";
import type { ClusterOptions, TlsFiles } from "../cluster/cluster-options.ts";

/** @param searchPath directories to look for etcd's program in, as PATH. */
export function clusterOptions(settings: ClusterSettings, searchPath: string): ClusterOptions {
  return {
    operation: settings.operation,
    serverName: settings.serverName,
    clusterName: settings.clusterName,
    targetAddresses: settings.targetClusterAddresses,
    server: {
      binary: settings.etcdBinary, searchPath,
      clusterDataDirectory: settings.clusterDataDirectory,
      listenPeerAddresses: settings.listenPeerAddresses,
      advertisePeerAddresses: settings.advertisePeerAddresses,
      listenClientAddresses: settings.listenClientAddresses,
      advertiseClientAddresses: settings.advertiseClientAddresses,
      metricsAddresses: settings.metricsAddresses,
      heartbeatMs: settings.etcdHeartbeatMs,
      electionMs: settings.etcdElectionMs,
      snapshotCount: settings.etcdSnapshotCount,
      snapshotFilesMax: settings.etcdSnapshotFilesMax,
      walFilesMax: settings.etcdWalFilesMax,
      peerTls: tlsFiles(settings.etcdPeerCertFile, settings.etcdPeerKeyFile,
        settings.etcdPeerTrustedCaFile, settings.etcdPeerCertAuth),
    },
    clientTls: tlsFiles(settings.etcdClientCertFile, settings.etcdClientKeyFile,
      settings.etcdClientTrustedCaFile, settings.etcdClientCertAuth),
    dialTimeoutMs: settings.etcdDialTimeoutMs,
    startupGraceMs: settings.etcdStartupGraceMs,
    unhealthyMemberTtlMs: settings.unhealthyMemberTtlMs,
    removeMemberTimeoutMs: settings.removeMemberTimeoutMs,
    cleanUpIntervalMs: settings.etcdCleanUpIntervalMs,
    autoSyncIntervalMs: settings.etcdAutoSyncIntervalMs,
  };
}

/** Null without a certificate: such connections are plain. */
function tlsFiles(
  certificateFile: string, keyFile: string, trustedCaFile: string, asks: "no" | "yes",
): TlsFiles | null {
  if (certificateFile === "") return null;
  return { certificateFile, keyFile, trustedCaFile, requireClientCertificate: asks === "yes" };
}
