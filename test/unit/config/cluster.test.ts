import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CLUSTER_ROWS } from "../../../config/cluster-rows.ts";
import { variablesOf } from "../../../config/environment.ts";
import type { LoadInput, LoadResult } from "../../../config/load.ts";
import type { ClusterSettings } from "../../../config/settings-types.ts";
import type { Row } from "../../../config/setting-row.ts";
import { parsePolicies } from "../../../engine/sampling/policy-config.ts";
import {
  configWith, loadFile, loadYaml, otlpForwarder, problemsOf, settingsOf, warningsOf,
} from "./load-input.ts";

type Keys = Readonly<Record<string, unknown>>;

/** A node that other machines can reach, with nothing to say about it. */
const REACHABLE: Keys = {
  ClusterOperation: "join", ClusterSecret: "between-us",
  AdvertiseClientAddress: "10.0.0.1:2379", AdvertisePeerAddress: "10.0.0.1:2380",
  TargetClusterAddresses: ["10.0.0.1:2379", "10.0.0.2:2379"],
};

function loadNode(keys: Keys, changes: Partial<LoadInput> = {}, sample: Keys = {}): LoadResult {
  const forwarder = otlpForwarder({ TraceSample: sample });
  return loadFile({ ...configWith(forwarder), ...REACHABLE, ...keys }, changes);
}

function clusterOf(result: LoadResult): ClusterSettings {
  const { cluster } = settingsOf(result);
  if (cluster === null) throw new Error("a single node");
  return cluster;
}

/** The problems of a refused load, as `path: message`. */
function refusalsOf(result: LoadResult): string[] {
  return problemsOf(result).map(({ path, message }) => `${path}: ${message}`);
}

describe("a node of a cluster", () => {
  it("has the original's defaults", () => {
    const cluster = clusterOf(loadFile({
      ...configWith(otlpForwarder()), ClusterOperation: "seed",
    }));
    expect(cluster).toMatchObject({
      operation: "seed", serverName: "host-1", clusterName: "gateway", capacity: 7,
      leaseTtlSeconds: 10, handoverTimeoutMs: 30_000, secret: "",
      rebalance: { listen: { host: "0.0.0.0", port: 2382 }, advertise: "127.0.0.1:2382" },
      ingestAddress: "http://127.0.0.1:4318", clusterDataDirectory: "/srv/etcd-data",
      targetClusterAddresses: [],
      listenPeerAddresses: ["0.0.0.0:2380"], advertisePeerAddresses: ["127.0.0.1:2380"],
      listenClientAddresses: ["0.0.0.0:2379"], advertiseClientAddresses: ["127.0.0.1:2379"],
      metricsAddresses: ["127.0.0.1:2381"], etcdBinary: "etcd",
      unhealthyMemberTtlMs: 5_000, removeMemberTimeoutMs: 1_000, etcdDialTimeoutMs: 5_000,
      etcdCleanUpIntervalMs: 10_000, etcdAutoSyncIntervalMs: 5_000, etcdStartupGraceMs: 120_000,
      etcdHeartbeatMs: 500, etcdElectionMs: 5_000, etcdSnapshotCount: 100_000,
      etcdSnapshotFilesMax: 5, etcdWalFilesMax: 5,
      etcdClientCertFile: "", etcdClientKeyFile: "", etcdClientTrustedCaFile: "",
      etcdClientCertAuth: "no", etcdPeerCertFile: "", etcdPeerKeyFile: "",
      etcdPeerTrustedCaFile: "", etcdPeerCertAuth: "no",
    });
    expect(Object.isFrozen(cluster.rebalance.listen)).toBe(true);
    const others = Object.keys(settingsOf(loadFile({})));
    expect(Object.keys(cluster).filter((field) => others.includes(field)).toSorted())
      .toEqual(["clusterName", "serverName"]);
  });

  it("is none without an operation, whatever else is written", () => {
    const keys = { ClusterOperation: "", AdvertiseClientAddress: "", ClusterSecret: "" };
    const result = loadNode(
      { ...keys, AdvertisePeerAddress: "0.0.0.0:2380", ListenOnPeerAddress: "nowhere" }, {},
      { ListenRebalanceAddress: 5, IngestAddress: "a", AdvertiseRebalanceAddress: "[::]:1" });
    expect(settingsOf(result).cluster).toBeNull();
    expect(warningsOf(result)).toEqual([]);
  });

  it("is what the flag says, else a variable, else the file", () => {
    const file = { ClusterOperation: "seed" };
    const env = { SFX_CLUSTER_OPERATION: "existing" };
    const both = { ...env, TAILRACE_CLUSTER_OPERATION: "new" };
    const flag = (operation: string) =>
      ["--configfile", "/srv/gateway.conf", "-cluster-op", operation];
    expect(clusterOf(loadNode(file)).operation).toBe("seed");
    expect(clusterOf(loadNode(file, { env })).operation).toBe("join");
    expect(clusterOf(loadNode({ ClusterOperation: "join" }, { env: both })).operation).toBe("seed");
    expect(clusterOf(loadNode(file, { env, argv: flag("client") })).operation).toBe("client");
    expect(settingsOf(loadNode(file, { env: both, argv: flag("") })).cluster).toBeNull();
  });

  it("keeps what it has not judged at a shutdown, and says so", () => {
    const result = loadNode({ OnShutdown: "decide" });
    expect(settingsOf(result).onShutdown).toBe("keep");
    expect(warningsOf(result)).toEqual(["OnShutdown: \"decide\" means \"keep\" in a cluster: what "
      + "this node has not judged, the other nodes judge"]);
    expect(settingsOf(loadNode({ OnShutdown: "decide", ClusterOperation: "" })).onShutdown)
      .toBe("decide");
  });

  it("has a weight of its own, or that of its workers", () => {
    expect(clusterOf(loadNode({ Workers: 3 })).capacity).toBe(3);
    expect(clusterOf(loadNode({ Workers: 3, ClusterCapacity: 40 })).capacity).toBe(40);
  });

  it("puts single and plural addresses together, and the default for neither", () => {
    const cluster = clusterOf(loadNode({
      ListenOnClientAddress: "10.0.0.1:2379", ListenOnClientAddresses: ["127.0.0.1:2379"],
      AdvertiseClientAddress: null, AdvertisedClientAddresses: ["http://[fd00::1]:2379", "b:2379"],
      ListenOnPeerAddress: "", ListenOnPeerAddresses: [],
    }));
    expect(cluster.listenClientAddresses).toEqual(["10.0.0.1:2379", "127.0.0.1:2379"]);
    expect(cluster.advertiseClientAddresses).toEqual(["http://[fd00::1]:2379", "b:2379"]);
    expect(cluster.listenPeerAddresses).toEqual(["0.0.0.0:2380"]);
    expect(cluster.rebalance.advertise).toBe("[fd00::1]:2382");
  });
});

describe("the node's own addresses", () => {
  const SAMPLE = {
    ListenRebalanceAddress: "0.0.0.0:2390", AdvertiseRebalanceAddress: "10.0.0.7:2391",
    ingestaddress: "http://10.0.0.7:8080",
  };

  it("follow AdvertiseClientAddress and the first listener", () => {
    const { rebalance, ingestAddress } = clusterOf(loadNode({
      ListenRebalanceAddress: ":2390", ListenFrom: [
        { Type: "signalfx", ListenAddr: ":8080", TLSCertFile: "a", TLSKeyFile: "b" },
        { Type: "otlp" },
      ],
    }));
    expect(rebalance).toEqual({
      listen: { host: "0.0.0.0", port: 2390 }, advertise: "10.0.0.1:2390",
    });
    expect(ingestAddress).toBe("https://10.0.0.1:8080");
    const unknown = loadNode({ ListenFrom: [{ Type: "otlp", ListenAddr: ":0" }] });
    expect(clusterOf(unknown).ingestAddress).toBe("");
    expect(clusterOf(loadNode({ ListenFrom: [] })).ingestAddress).toBe("");
  });

  it("are taken from a TraceSample, as the original had them", () => {
    const cluster = clusterOf(loadNode({}, {}, SAMPLE));
    expect(cluster.rebalance)
      .toEqual({ listen: { host: "0.0.0.0", port: 2390 }, advertise: "10.0.0.7:2391" });
    expect(cluster.ingestAddress).toBe("http://10.0.0.7:8080");
    expect(warningsOf(loadNode({}, {}, SAMPLE))).toEqual([]);
  });

  it("must be the same wherever they are written", () => {
    const own = {
      ListenRebalanceAddress: ":2390", AdvertiseRebalanceAddress: "10.0.0.7:2391",
      IngestAddress: "http://10.0.0.7:8080",
    };
    expect(clusterOf(loadNode(own, {}, SAMPLE)).ingestAddress).toBe("http://10.0.0.7:8080");
    const other = {
      ListenRebalanceAddress: ":1", AdvertiseRebalanceAddress: "b:2", IngestAddress: "c:3",
    };
    const say = (name: string, text: string, first: string) =>
      `ForwardTo[0].TraceSample.${name}: ${text} is not ${first}, which ${name} says; a node has `
        + "one such address: write the same, or leave this key out";
    const result = loadNode(own, {}, other);
    expect(refusalsOf(result)).toEqual([
      say("ListenRebalanceAddress", ":1", ":2390"),
      say("AdvertiseRebalanceAddress", "b:2", "10.0.0.7:2391"),
      say("IngestAddress", "c:3", "http://10.0.0.7:8080"),
    ]);
    expect(problemsOf(result).every(({ place }) => place !== null)).toBe(true);
  });

  it("of two TraceSamples must be the same as well", () => {
    const forwarder = (Name: string, IngestAddress: string) =>
      otlpForwarder({ Name, TraceSample: { IngestAddress } });
    expect(refusalsOf(loadNode({ ForwardTo: [forwarder("a", "x:1"), forwarder("b", "y:1")] })))
      .toEqual([expect.stringContaining(
        "ForwardTo[1].TraceSample.IngestAddress: y:1 is not x:1, which "
          + "ForwardTo[0].TraceSample.IngestAddress says")]);
  });

  it("are settled by a variable", () => {
    const env = { TAILRACE_INGEST_ADDRESS: "z:1", TAILRACE_LISTEN_REBALANCE_ADDRESS: ":9" };
    const cluster = clusterOf(loadNode({ IngestAddress: "y:1" }, { env }, SAMPLE));
    expect(cluster.ingestAddress).toBe("z:1");
    expect(cluster.rebalance)
      .toEqual({ listen: { host: "0.0.0.0", port: 9 }, advertise: "10.0.0.7:2391" });
  });

  it("must be texts", () => {
    expect(refusalsOf(loadNode({}, {}, { IngestAddress: 5, ListenRebalanceAddress: "" }))).toEqual([
      "ForwardTo[0].TraceSample.IngestAddress: 5 is no string; allowed: host:port, or "
        + "http://host:port; put it in double quotes",
    ]);
  });
});

describe("variables of the cluster", () => {
  const CASES: readonly [variables: readonly string[], text: string, settled: Keys][] = [
    [["TAILRACE_CLUSTER_OPERATION", "SFX_CLUSTER_OPERATION"], "client", { operation: "client" }],
    [["TAILRACE_CLUSTER_DATA_DIR", "SFX_CLUSTER_DATA_DIR"], "etcd",
      { clusterDataDirectory: "/srv/etcd" }],
    [["TAILRACE_TARGET_CLUSTER_ADDRESSES", "SFX_TARGET_CLUSTER_ADDRESSES"], "a:1, b:2 ,",
      { targetClusterAddresses: ["a:1", "b:2"] }],
    [["TAILRACE_CLUSTER_SECRET"], "hush", { secret: "hush" }],
    [["TAILRACE_LISTEN_REBALANCE_ADDRESS"], "10.0.0.1:9",
      { rebalance: { listen: { host: "10.0.0.1", port: 9 }, advertise: "10.0.0.1:9" } }],
    [["TAILRACE_ADVERTISE_REBALANCE_ADDRESS"], "10.0.0.1:8",
      { rebalance: { listen: { host: "0.0.0.0", port: 2382 }, advertise: "10.0.0.1:8" } }],
    [["TAILRACE_INGEST_ADDRESS"], "http://lb:80", { ingestAddress: "http://lb:80" }],
    [["TAILRACE_LISTEN_ON_PEER_ADDRESS", "SFX_LISTEN_ON_PEER_ADDRESS"], "10.0.0.1:7",
      { listenPeerAddresses: ["10.0.0.1:7"] }],
    [["TAILRACE_LISTEN_ON_PEER_ADDRESSES", "SFX_LISTEN_ON_PEER_ADDRESSES"], "10.0.0.1:7,10.0.0.2:7",
      { listenPeerAddresses: ["10.0.0.1:7", "10.0.0.2:7"] }],
    [["TAILRACE_ADVERTISE_PEER_ADDRESS", "SFX_ADVERTISE_PEER_ADDRESS"], "p:7",
      { advertisePeerAddresses: ["p:7"] }],
    [["TAILRACE_ADVERTISED_PEER_ADDRESSES", "SFX_ADVERTISED_PEER_ADDRESSES"], "p:7,q:7",
      { advertisePeerAddresses: ["10.0.0.1:2380", "p:7", "q:7"] }],
    [["TAILRACE_LISTEN_ON_CLIENT_ADDRESS", "SFX_LISTEN_ON_CLIENT_ADDRESS"], "10.0.0.1:7",
      { listenClientAddresses: ["10.0.0.1:7"] }],
    [["TAILRACE_LISTEN_ON_CLIENT_ADDRESSES", "SFX_LISTEN_ON_CLIENT_ADDRESSES"], "10.0.0.1:7",
      { listenClientAddresses: ["10.0.0.1:7"] }],
    [["TAILRACE_ADVERTISE_CLIENT_ADDRESS", "SFX_ADVERTISE_CLIENT_ADDRESS"], "c:7",
      { advertiseClientAddresses: ["c:7"] }],
    [["TAILRACE_ADVERTISED_CLIENT_ADDRESSES", "SFX_ADVERTISED_CLIENT_ADDRESSES"], "c:7",
      { advertiseClientAddresses: ["10.0.0.1:2379", "c:7"] }],
    [["TAILRACE_ETCD_METRICS_ADDRESS", "SFX_ETCD_METRICS_ADDRESS"], "127.0.0.1:7",
      { metricsAddresses: ["127.0.0.1:7"] }],
    [["TAILRACE_ETCD_LISTEN_ON_METRICS_ADDRESSES", "SFX_ETCD_LISTEN_ON_METRICS_ADDRESSES"],
      "127.0.0.1:7", { metricsAddresses: ["127.0.0.1:7"] }],
    [["TAILRACE_ETCD_BINARY"], "/opt/etcd", { etcdBinary: "/opt/etcd" }],
    [["TAILRACE_UNHEALTHY_MEMBER_TTL", "SFX_UNHEALTHY_MEMBER_TTL"], "7s",
      { unhealthyMemberTtlMs: 7_000 }],
    [["TAILRACE_REMOVE_MEMBER_TIMEOUT", "SFX_REMOVE_MEMBER_TIMEOUT"], "7s",
      { removeMemberTimeoutMs: 7_000 }],
    [["TAILRACE_ETCD_DIAL_TIMEOUT", "SFX_ETCD_DIAL_TIMEOUT"], "7s", { etcdDialTimeoutMs: 7_000 }],
    [["TAILRACE_ETCD_CLUSTER_CLEAN_UP_INTERVAL", "SFX_ETCD_CLUSTER_CLEANUP_INTERVAL"], "7s",
      { etcdCleanUpIntervalMs: 7_000 }],
    [["TAILRACE_ETCD_AUTO_SYNC_INTERVAL", "SFX_ETCD_AUTOSYNC_INTERVAL"], "7s",
      { etcdAutoSyncIntervalMs: 7_000 }],
    [["TAILRACE_ETCD_STARTUP_GRACE_PERIOD", "SFX_ETCD_STARTUP_GRACE_PERIOD"], "7s",
      { etcdStartupGraceMs: 7_000 }],
    [["TAILRACE_ETCD_HEART_BEAT_INTERVAL", "SFX_ETCD_HEARTBEAT_INTERVAL"], "70ms",
      { etcdHeartbeatMs: 70 }],
    [["TAILRACE_ETCD_ELECTION_TIMEOUT", "SFX_ETCD_ELECTION_TIMEOUT"], "7s",
      { etcdElectionMs: 7_000 }],
    [["TAILRACE_ETCD_SNAP_COUNT", "SFX_ETCD_SNAP_COUNT"], "7000", { etcdSnapshotCount: 7_000 }],
    [["TAILRACE_ETCD_MAX_SNAP_FILES", "SFX_ETCD_MAX_SNAP_FILES"], "0",
      { etcdSnapshotFilesMax: 0 }],
    [["TAILRACE_ETCD_MAX_WAL_FILES", "SFX_ETD_MAX_WAL_FILES"], "7", { etcdWalFilesMax: 7 }],
    [["TAILRACE_ETCD_CLIENT_CERT_FILE"], "c.pem", { etcdClientCertFile: "/srv/c.pem" }],
    [["TAILRACE_ETCD_CLIENT_KEY_FILE"], "c.key", { etcdClientKeyFile: "/srv/c.key" }],
    [["TAILRACE_ETCD_CLIENT_TRUSTED_CA_FILE"], "ca.pem",
      { etcdClientTrustedCaFile: "/srv/ca.pem" }],
    [["TAILRACE_ETCD_CLIENT_CERT_AUTH"], "no", { etcdClientCertAuth: "no" }],
    [["TAILRACE_ETCD_PEER_CERT_FILE"], "p.pem", { etcdPeerCertFile: "/srv/p.pem" }],
    [["TAILRACE_ETCD_PEER_KEY_FILE"], "p.key", { etcdPeerKeyFile: "/srv/p.key" }],
    [["TAILRACE_ETCD_PEER_TRUSTED_CA_FILE"], "ca.pem", { etcdPeerTrustedCaFile: "/srv/ca.pem" }],
    [["TAILRACE_ETCD_PEER_CERT_AUTH"], "no", { etcdPeerCertAuth: "no" }],
    [["TAILRACE_CLUSTER_LEASE_TTL"], "12s", { leaseTtlSeconds: 12 }],
    [["TAILRACE_CLUSTER_CAPACITY"], "7", { capacity: 7 }],
    [["TAILRACE_HANDOVER_TIMEOUT"], "7s", { handoverTimeoutMs: 7_000 }],
  ];
  const TLS = {
    EtcdClientCertFile: "x", EtcdClientKeyFile: "x", EtcdClientTrustedCaFile: "x",
    EtcdClientCertAuth: "yes", EtcdPeerCertFile: "x", EtcdPeerKeyFile: "x",
    EtcdPeerTrustedCaFile: "x", EtcdPeerCertAuth: "yes",
  };

  it("are all in this test", () => {
    const tested = CASES.flatMap(([variables]) => variables).toSorted();
    const known = Object.entries<Row>(CLUSTER_ROWS)
      .flatMap(([name, row]) => variablesOf(name, row));
    expect(tested).toEqual(known.toSorted());
  });

  it.each(CASES)("%j win over the file", (variables, text, settled) => {
    for (const variable of variables) {
      expect(clusterOf(loadNode(TLS, { env: { [variable]: text } }))).toMatchObject(settled);
    }
    // Ours over the original's, whatever that says.
    const [own = "", original] = variables;
    if (original === undefined) return;
    const env = { [own]: text, [original]: "an unreadable text" };
    expect(clusterOf(loadNode(TLS, { env }))).toMatchObject(settled);
  });

  it("are named where what they say is refused", () => {
    const env = {
      SFX_ADVERTISE_PEER_ADDRESS: "0.0.0.0:2380", SFX_TARGET_CLUSTER_ADDRESSES: "a",
      TAILRACE_CLUSTER_LEASE_TTL: "1s", SFX_ETCD_ELECTION_TIMEOUT: "600ms",
    };
    expect(problemsOf(loadNode({}, { env })).map(({ path, place }) => [path, place]))
      .toEqual(expect.arrayContaining(Object.keys(env).map((variable) => [variable, null])));
  });
});

describe("the shipped example of a cluster", () => {
  it.each(["1", "2", "3"])("loads without a warning on node %s", (number) => {
    const env = {
      TAILRACE_SERVER_NAME: `node-${number}`,
      TAILRACE_ADVERTISE_CLIENT_ADDRESS: `10.0.0.${number}:2379`,
      TAILRACE_ADVERTISE_PEER_ADDRESS: `10.0.0.${number}:2380`,
    };
    const text = readFileSync("config/examples/cluster.yaml", "utf8");
    if (number === "1") {
      for (const entry of Object.entries(env)) expect(text).toContain(entry.join("="));
    }
    const validatePolicies = (value: unknown, path: string) => parsePolicies(value, path).problems;
    const result = loadYaml(text, { env, validatePolicies });
    expect(warningsOf(result)).toEqual([]);
    expect(clusterOf(result)).toMatchObject({
      operation: "join", serverName: `node-${number}`, clusterName: "prod",
      rebalance: { advertise: `10.0.0.${number}:2382` },
      ingestAddress: `http://10.0.0.${number}:4318`,
      targetClusterAddresses: ["10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"],
    });
  });
});
