import { describe, expect, it } from "vitest";
import { readNodeAddress } from "../../../config/cluster-addresses.ts";
import { MEMBER_TEXT_MAX } from "../../../config/limits.ts";
import type { LoadInput, LoadResult } from "../../../config/load.ts";
import { MEMBER_TEXT_MAX as MAP_TEXT_MAX } from "../../../engine/cluster/shard-map-codec.ts";
import {
  configWith, loadFile, otlpForwarder, problemsOf, warningsOf,
} from "./load-input.ts";

type Keys = Readonly<Record<string, unknown>>;

/** A node of which nothing is to be said. */
const REACHABLE: Keys = {
  ClusterOperation: "join", ClusterSecret: "between-us",
  AdvertiseClientAddress: "10.0.0.1:2379", AdvertisePeerAddress: "10.0.0.1:2380",
  TargetClusterAddresses: ["10.0.0.1:2379", "10.0.0.2:2379"],
};

function loadNode(keys: Keys, changes: Partial<LoadInput> = {}): LoadResult {
  return loadFile({ ...configWith(otlpForwarder()), ...REACHABLE, ...keys }, changes);
}

function refusalsOf(keys: Keys, changes: Partial<LoadInput> = {}): string[] {
  const problems = problemsOf(loadNode(keys, changes));
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

const ADDRESS_FORM = "allowed: host:port, or http://host:port";

describe("the operation of a node", () => {
  const ALLOWED = "allowed: \"seed\" (or \"new\"), \"join\" (or \"existing\"), \"client\", or \"\" "
    + "for a single node";

  it.each([
    ["sprout", "use one of them"], ["seeds", "use \"seed\""], ["JOIN", "use \"join\""],
    ["constructor", "use one of them"],
  ])("is refused when it is %s, with what is allowed", (operation, advice) => {
    const sentence = `unsupported cluster-op specified "${operation}"; ${ALLOWED}; ${advice}`;
    expect(refusalsOf({ ClusterOperation: operation })).toEqual([`ClusterOperation: ${sentence}`]);
    const env = { SFX_CLUSTER_OPERATION: operation };
    expect(refusalsOf({}, { env })).toEqual([`SFX_CLUSTER_OPERATION: ${sentence}`]);
    const argv = ["--configfile", "/srv/gateway.conf", `--cluster-op=${operation}`];
    expect(refusalsOf({}, { argv })).toEqual([`--cluster-op: ${sentence}`]);
  });

  it("client needs targets; join does not, its data may be a member's", () => {
    const none = { TargetClusterAddresses: [] };
    expect(refusalsOf({ ...none, ClusterOperation: "client" })).toEqual([
      "TargetClusterAddresses: is empty, and a client finds its cluster only through it; write "
        + "client addresses of nodes that seeded or joined, such as [\"10.0.0.1:2379\"]",
    ]);
    for (const operation of ["seed", "join"]) {
      expect(warningsOf(loadNode({ ...none, ClusterOperation: operation }))).toEqual([]);
    }
  });
});

describe("names of a node", () => {
  it.each([
    ["a,b", "\"a,b\" has a comma or an equals sign, at which etcd cuts names; choose another"],
    ["a=b", "\"a=b\" has a comma or an equals sign, at which etcd cuts names; choose another"],
    ["x".repeat(256), "has 256 characters; allowed: at most 255; shorten it"],
  ])("cannot be %s", (name, message) => {
    expect(refusalsOf({ ServerName: name })).toEqual([`ServerName: ${message}`]);
    expect(loadNode({ ServerName: name, ClusterOperation: "" }).kind).toBe("run");
  });

  it("cannot be empty where the machine has none either", () => {
    expect(refusalsOf({}, { hostname: "" })).toEqual([
      "ServerName: is empty, and this machine has no host name; write one that no other node of "
        + "the cluster has",
    ]);
  });

  it("are as long as the map takes them", () => {
    expect(MEMBER_TEXT_MAX).toBe(MAP_TEXT_MAX);
  });
});

describe("times of a cluster", () => {
  it("leave room for five heartbeats in an election", () => {
    expect(refusalsOf({ EtcdElectionTimeout: "2499ms" })).toEqual([
      "EtcdElectionTimeout: 2s499ms is less than 5 times EtcdHeartBeatInterval, 500ms; use at "
        + "least 2s500ms, or a shorter EtcdHeartBeatInterval",
    ]);
    expect(warningsOf(loadNode({ EtcdElectionTimeout: "2500ms" }))).toEqual([]);
  });

  it("are whole seconds where etcd counts in these", () => {
    expect(refusalsOf({ ClusterLeaseTTL: "10500ms" })).toEqual([
      "ClusterLeaseTTL: 10s500ms is no whole number of seconds, and etcd counts in these; use 11s",
    ]);
  });
});

describe("addresses that others are to reach", () => {
  const WILDCARD = "is not routable: it stands for every address of a machine, and other nodes "
    + "must connect to this one; write this node's own host name or IP, and the port, such as";
  const KEYS = [
    ["AdvertisePeerAddress", "2380"], ["AdvertiseClientAddress", "2379"],
    ["AdvertiseRebalanceAddress", "2382"],
  ] as const;

  it.each(KEYS)("%s cannot be a wildcard", (key, port) => {
    for (const host of ["", "0.0.0.0", "[::]", "[::0]", "0"]) {
      const text = `${host}:${port}`;
      for (const operation of ["seed", "join", "client"]) {
        expect(refusalsOf({ [key]: text, ClusterOperation: operation }))
          .toEqual([`${key}: "${text}" ${WILDCARD} "10.0.0.1:${port}"`]);
      }
    }
    expect(loadNode({ [key]: "0.0.0.0:1", ClusterOperation: "" }).kind).toBe("run");
  });

  it.each(KEYS)("%s needs a port", (key, port) => {
    for (const text of ["10.0.0.1", "edge-1", "edge-1:0", "[fd00::1]"]) {
      expect(refusalsOf({ [key]: text })).toEqual([
        `${key}: "${text}" is not routable: it has no port; write host:port, such as `
          + `"10.0.0.1:${port}"`,
      ]);
    }
  });

  it.each(KEYS)("%s must be an address", (key, port) => {
    const form = key === "AdvertiseRebalanceAddress" ? "allowed: host:port" : ADDRESS_FORM;
    for (const text of ["a b:1", "a:1,b:1", "a:1/x", "fd00::1:2379", "a:65536", "ftp://a:1"]) {
      expect(refusalsOf({ [key]: text })).toEqual([
        `${key}: "${text}" is no address; ${form}; write it like "10.0.0.1:${port}"`,
      ]);
    }
    expect(refusalsOf({ [key]: "http://u:hush@a:1" }).join()).not.toContain("hush");
  });

  it("may be URLs where etcd is asked, and host:port only where gateways are", () => {
    expect(warningsOf(loadNode({ AdvertisePeerAddress: "https://edge-1:2380" }))).toEqual([]);
    expect(refusalsOf({ AdvertiseRebalanceAddress: "http://edge-1:2382" })).toEqual([
      "AdvertiseRebalanceAddress: \"http://edge-1:2382\" is no address; allowed: host:port; write "
        + "it like \"10.0.0.1:2382\"",
    ]);
  });

  it("are named one by one in a list, with their places", () => {
    const result = loadFile(`{ "ClusterOperation": "join", "ClusterSecret": "x",
      "AdvertisedPeerAddresses": ["a:1",
        "0.0.0.0:2380"] }`);
    const [problem] = problemsOf(result);
    expect([problem?.path, problem?.place?.line, problem?.place?.column])
      .toEqual(["AdvertisedPeerAddresses[1]", 3, 9]);
  });

  it("are refused once where one follows from another", () => {
    expect(refusalsOf({ AdvertiseClientAddress: ":2379" })).toHaveLength(1);
  });

  it("are refused in a TraceSample under its path", () => {
    const sample = otlpForwarder({ TraceSample: { AdvertiseRebalanceAddress: "0.0.0.0:2382" } });
    expect(refusalsOf({ ForwardTo: [sample] })).toEqual([
      `ForwardTo[0].TraceSample.AdvertiseRebalanceAddress: "0.0.0.0:2382" ${WILDCARD} `
        + "\"10.0.0.1:2382\"",
    ]);
  });

  it("are shorter than the map's texts", () => {
    const host = `${"a".repeat(60)}.`.repeat(5);
    expect(refusalsOf({ AdvertiseRebalanceAddress: `${host}b:2382` })).toEqual([
      "AdvertiseRebalanceAddress: has 311 characters; allowed: at most 255; shorten it",
    ]);
  });

  it.each([
    ["ftp://a:1"], ["http://"], ["a b"], ["http://user:hush@a:1"], [`http://${"a".repeat(250)}`],
  ])("IngestAddress cannot be %s", (text) => {
    const [refusal = "", ...more] = refusalsOf({ IngestAddress: text });
    expect(more).toEqual([]);
    expect(refusal).toContain(`is no address; ${ADDRESS_FORM}; write it like "http://10.0.0.1:`);
    expect(refusal).not.toContain("hush");
  });
});

describe("addresses that this machine listens at", () => {
  it.each([
    ["ListenOnPeerAddress", "0.0.0.0:2380"], ["ListenOnClientAddress", "0.0.0.0:2379"],
    ["ETCDMetricsAddress", "127.0.0.1:2381"],
  ])("%s must be an IP with a port", (key, example) => {
    for (const text of ["10.0.0.1", ":2379", "10.0.0.1:0", "a:b", "10.0.0.1:1/x"]) {
      expect(refusalsOf({ [key]: text }))
        .toEqual([`${key}: "${text}" is no address; ${ADDRESS_FORM}; write it like "${example}"`]);
    }
    expect(refusalsOf({ [key]: "edge-1:7000" })).toEqual([
      `${key}: "edge-1:7000" has a host name, and etcd listens at IP addresses only; write the IP, `
        + "or \"0.0.0.0:7000\" for every address",
    ]);
    for (const text of ["localhost:7000", "[::]:7000", "http://10.0.0.1:7000"]) {
      expect(warningsOf(loadNode({ [key]: text }))).toEqual([]);
    }
  });

  it("ListenRebalanceAddress must be host:port, and the port its own", () => {
    expect(refusalsOf({ ListenRebalanceAddress: "2382" })).toEqual([
      "ListenRebalanceAddress: \"2382\" is no address; allowed: host:port; write it like "
        + "\"0.0.0.0:2382\"",
    ]);
    expect(refusalsOf({ ListenRebalanceAddress: ":0" })).toEqual([
      "ListenRebalanceAddress: \":0\" lets the system choose the port, and other nodes could not "
        + "be told which; write one, such as \"0.0.0.0:2382\"",
    ]);
  });

  it.each([
    [{ ListenRebalanceAddress: ":2380" }, "ListenOnPeerAddress",
      "\"0.0.0.0:2380\" is taken by ListenRebalanceAddress"],
    [{ ListenOnClientAddress: "127.0.0.1:2381" }, "ETCDMetricsAddress",
      "\"127.0.0.1:2381\" is taken by ListenOnClientAddress"],
    [{ ListenRebalanceAddress: "10.0.0.1:99", ListenFrom: [{ Type: "otlp", ListenAddr: ":99" }] },
      "ListenRebalanceAddress", "\"10.0.0.1:99\" is taken by ListenFrom[0].ListenAddr"],
    [{ AdminAddress: "127.0.0.1:2379" }, "ListenOnClientAddress",
      "\"0.0.0.0:2379\" is taken by AdminAddress"],
  ])("are not in each other's way: %j", (keys, path, sentence) => {
    expect(refusalsOf(keys)).toEqual([`${path}: ${sentence}; choose another port`]);
  });

  it("of etcd are nothing to a client, and ports of other addresses to nobody", () => {
    const taken = { AdminAddress: "127.0.0.1:2379" };
    expect(warningsOf(loadNode({ ...taken, ClusterOperation: "client" }))).toEqual([]);
    expect(warningsOf(loadNode({ ...taken, ListenOnClientAddress: "10.0.0.1:2379" }))).toEqual([]);
  });
});

describe("targets of a start", () => {
  it("are addresses with a port, each on its own", () => {
    expect(refusalsOf({ TargetClusterAddresses: ["10.0.0.1:2379", "10.0.0.2", ":2379"] })).toEqual([
      `TargetClusterAddresses[1]: "10.0.0.2" is no address; ${ADDRESS_FORM}; write it like `
        + "\"10.0.0.1:2379\"",
      `TargetClusterAddresses[2]: ":2379" is no address; ${ADDRESS_FORM}; write it like `
        + "\"10.0.0.1:2379\"",
    ]);
  });
});

describe("warnings of a node", () => {
  const ALONE = "is this machine alone, and TargetClusterAddresses has others, which could not "
    + "reach this node; write its address as they see it, such as";

  it("are given when others are told to look at themselves", () => {
    const keys = { AdvertiseClientAddress: null, AdvertisePeerAddress: "localhost:2380" };
    expect(warningsOf(loadNode(keys))).toEqual([
      `AdvertiseClientAddress: "127.0.0.1:2379" ${ALONE} "10.0.0.1:2379"`,
      `AdvertisePeerAddress: "localhost:2380" ${ALONE} "10.0.0.1:2380"`,
    ]);
    expect(warningsOf(loadNode({ AdvertiseRebalanceAddress: "[::1]:2382" }))).toEqual([
      `AdvertiseRebalanceAddress: "[::1]:2382" ${ALONE} "10.0.0.1:2382"`,
    ]);
    expect(warningsOf(loadNode({ ...keys, ClusterOperation: "client" }))).toEqual([
      `AdvertiseRebalanceAddress: "127.0.0.1:2382" ${ALONE} "10.0.0.1:2382"`,
    ]);
  });

  it("are not given where all are on this machine, or something else stands between", () => {
    const keys = { AdvertiseClientAddress: null, AdvertisePeerAddress: null };
    const loopback = { TargetClusterAddresses: ["127.0.0.12:2379", "localhost:2379"] };
    expect(warningsOf(loadNode({ ...keys, ...loopback }))).toEqual([]);
    expect(warningsOf(loadNode({ ...keys, TargetClusterAddresses: [] }))).toEqual([]);
    expect(warningsOf(loadNode({
      ...keys, ListenOnClientAddress: "127.0.0.1:2379", ListenOnPeerAddress: "127.0.0.1:2380",
    }))).toEqual([]);
    expect(warningsOf(loadNode({
      AdvertisedPeerAddresses: ["127.0.0.1:2380"], AdvertisedClientAddresses: ["127.0.0.1:2379"],
    }))).toEqual([]);
  });

  it("are given when anybody may take part", () => {
    expect(warningsOf(loadNode({ ClusterSecret: "" }))).toEqual([
      "ClusterSecret: is empty: whoever reaches ListenRebalanceAddress can take part in the "
        + "cluster; write the same long random text on every node",
    ]);
    for (const host of ["127.0.0.1", "127.3.2.1", "localhost", "[::1]"]) {
      const keys = { ClusterSecret: "", ListenRebalanceAddress: `${host}:2382` };
      expect(warningsOf(loadNode(keys))).toEqual([]);
    }
    const env = { TAILRACE_CLUSTER_SECRET: "from-a-variable" };
    expect(warningsOf(loadNode({ ClusterSecret: "" }, { env }))).toEqual([]);
  });
});

describe("TLS files of a cluster", () => {
  it.each(["Client", "Peer"])("go together for %s connections", (kind) => {
    const [certificate, key, authority, asks] = [
      `Etcd${kind}CertFile`, `Etcd${kind}KeyFile`, `Etcd${kind}TrustedCaFile`,
      `Etcd${kind}CertAuth`,
    ] as const;
    expect(refusalsOf({ [certificate]: "a" })).toEqual([
      `${certificate}: needs ${key}, the private key of the certificate; write both, or neither `
        + "for plain connections",
    ]);
    for (const [name, value] of [[key, "a"], [authority, "a"], [asks, "yes"]] as const) {
      expect(refusalsOf({ [name]: value })).toEqual([
        `${name}: needs ${certificate}, without which connections are plain; write it as well, or `
          + "leave this key out",
      ]);
    }
    expect(refusalsOf({ [certificate]: "a", [key]: "b", [asks]: "yes" })).toEqual([
      `${asks}: needs ${authority}, the certificates of those who sign the certificates that are `
        + "asked for; write it as well, or \"no\"",
    ]);
    const all = { [certificate]: "a", [key]: "b", [authority]: "c", [asks]: "yes" };
    expect(warningsOf(loadNode(all))).toEqual([]);
  });
});

describe("readNodeAddress", () => {
  it.each([
    ["a:1", "a", 1, false], ["http://A.b:1", "a.b", 1, true], ["https://a", "a", null, true],
    ["[FD00:0::1]:65535", "[fd00::1]", 65_535, false], [":1", "", 1, false], ["", "", null, false],
    ["my_service-1:1", "my_service-1", 1, false],
  ])("of %j", (text, host, port, hasScheme) => {
    expect(readNodeAddress(text)).toEqual({ host, port, hasScheme });
  });

  it.each(["::1", "[::1", "a:1:2", "[g]:1", "1.2.3.4.5:1", "a?b:1", "unix:///x", "a:-1", "http:a"])(
    "finds none in %j", (text) => {
      expect(readNodeAddress(text)).toBeNull();
    });
});
