import { describe, expect, it } from "vitest";
import { etcdArguments } from "../../../engine/cluster/etcd-flags.ts";
import { clusterOptions } from "../../../engine/gateway/cluster-settings.ts";
import { loadFile, settingsOf } from "./load-input.ts";

const TLS = {
  EtcdClientCertFile: "c.pem", EtcdClientKeyFile: "c.key", EtcdClientTrustedCaFile: "ca.pem",
  EtcdClientCertAuth: "yes", EtcdPeerCertFile: "p.pem", EtcdPeerKeyFile: "p.key",
};

function optionsOf(keys: Readonly<Record<string, unknown>>) {
  const { cluster } = settingsOf(loadFile({ ClusterOperation: "existing", ...keys }));
  if (cluster === null) throw new Error("a single node");
  return clusterOptions(cluster, "/usr/bin:/bin");
}

describe("options of the cluster's etcd", () => {
  it("are the settings, every one in its place", () => {
    expect(optionsOf({
      ServerName: "node-1", ClusterName: "prod", ClusterDataDir: "etcd", EtcdBinary: "etcd3",
      TargetClusterAddresses: ["a:1"],
      ListenOnPeerAddress: "10.0.0.1:11", AdvertisePeerAddress: "b:12",
      ListenOnClientAddress: "10.0.0.1:13", AdvertiseClientAddress: "b:14",
      ETCDMetricsAddress: "10.0.0.1:15",
      EtcdHeartBeatInterval: "101ms", EtcdElectionTimeout: "1002ms", EtcdSnapCount: 1_003,
      EtcdMaxSnapFiles: 4, EtcdMaxWalFiles: 6, EtcdDialTimeout: "1007ms",
      EtcdStartupGracePeriod: "5008ms", UnhealthyMemberTTL: "1009ms",
      RemoveMemberTimeout: "1010ms", EtcdClusterCleanUpInterval: "1011ms",
      EtcdAutoSyncInterval: "1012ms",
    })).toEqual({
      operation: "join", serverName: "node-1", clusterName: "prod", targetAddresses: ["a:1"],
      server: {
        binary: "etcd3", searchPath: "/usr/bin:/bin", clusterDataDirectory: "/srv/etcd",
        listenPeerAddresses: ["10.0.0.1:11"], advertisePeerAddresses: ["b:12"],
        listenClientAddresses: ["10.0.0.1:13"], advertiseClientAddresses: ["b:14"],
        metricsAddresses: ["10.0.0.1:15"], heartbeatMs: 101, electionMs: 1_002,
        snapshotCount: 1_003, snapshotFilesMax: 4, walFilesMax: 6, peerTls: null,
      },
      clientTls: null, dialTimeoutMs: 1_007, startupGraceMs: 5_008, unhealthyMemberTtlMs: 1_009,
      removeMemberTimeoutMs: 1_010, cleanUpIntervalMs: 1_011, autoSyncIntervalMs: 1_012,
    });
  });

  it("have TLS files where there is a certificate", () => {
    const { clientTls, server } = optionsOf(TLS);
    expect(clientTls).toEqual({
      certificateFile: "/srv/c.pem", keyFile: "/srv/c.key", trustedCaFile: "/srv/ca.pem",
      requireClientCertificate: true,
    });
    expect(server.peerTls).toEqual({
      certificateFile: "/srv/p.pem", keyFile: "/srv/p.key", trustedCaFile: "",
      requireClientCertificate: false,
    });
  });

  it("make a command line of etcd", () => {
    const options = optionsOf({ ...TLS, AdvertisedClientAddresses: ["b:14", "https://c:15"] });
    const words = etcdArguments(options, { state: "new", members: [] }, { major: 3, minor: 5 });
    expect(words).toEqual(expect.arrayContaining([
      "--name=host-1", "--initial-cluster-token=gateway", "--data-dir=/srv/etcd-data/etcd",
      "--listen-client-urls=https://0.0.0.0:2379",
      "--advertise-client-urls=https://b:14,https://c:15",
      "--initial-advertise-peer-urls=https://127.0.0.1:2380", "--cert-file=/srv/c.pem",
      "--client-cert-auth=true", "--peer-key-file=/srv/p.key",
    ]));
  });
});
