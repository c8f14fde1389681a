import { describe, expect, it } from "vitest";
import { etcdUrl } from "../../../engine/cluster/cluster-options.ts";
import { etcdArguments, sameServer } from "../../../engine/cluster/etcd-flags.ts";
import { clusterOptions, type NodePlace } from "../../support/etcd-nodes.ts";

const PLACE: NodePlace = {
  name: "gateway-1", host: "10.0.0.1", directory: "/var/lib/gateway",
  clientPort: 2379, peerPort: 2380, metricsPort: 2381,
};
const OPTIONS = clusterOptions(PLACE, {
  operation: "seed", clusterName: "prod",
  server: { listenClientAddresses: ["0.0.0.0:2379", "https://[::1]:2379"] },
});
const ALONE = {
  state: "new" as const, members: [{ name: "gateway-1", peerUrls: ["http://10.0.0.1:2380"] }],
};
const TLS = {
  certificateFile: "/c", keyFile: "/k", trustedCaFile: "", requireClientCertificate: false,
};

describe("the server's arguments", () => {
  const words = etcdArguments(OPTIONS, ALONE, { major: 3, minor: 4 });

  it("say addresses as URLs, and where the data is", () => {
    expect(words).toEqual(expect.arrayContaining([
      "--name=gateway-1", "--data-dir=/var/lib/gateway/etcd",
      "--listen-client-urls=http://0.0.0.0:2379,https://[::1]:2379",
      "--advertise-client-urls=http://10.0.0.1:2379", "--listen-peer-urls=http://10.0.0.1:2380",
      "--initial-advertise-peer-urls=http://10.0.0.1:2380",
      "--listen-metrics-urls=http://10.0.0.1:2381",
      "--initial-cluster=gateway-1=http://10.0.0.1:2380", "--initial-cluster-state=new",
      "--initial-cluster-token=prod", "--heartbeat-interval=100", "--election-timeout=1000",
      "--snapshot-count=100000", "--max-snapshots=5", "--max-wals=5",
    ]));
  });

  it("ask for the members API of the guide where the server has it", () => {
    expect(words).toContain("--enable-v2=true");
    const newer = etcdArguments(OPTIONS, ALONE, { major: 3, minor: 6 });
    expect(newer.filter((word) => word.includes("v2"))).toEqual([]);
    expect(newer).toEqual(words.filter((word) => !word.includes("v2")));
  });

  it("leave out what is empty", () => {
    const bare = etcdArguments(
      { ...OPTIONS, server: { ...OPTIONS.server, metricsAddresses: [] } }, ALONE,
      { major: 3, minor: 5 });
    expect(bare.filter((word) => word.includes("metrics") || word.endsWith("="))).toEqual([]);
  });

  it("encrypt both kinds of connections when told to", () => {
    const secure = etcdArguments(
      {
        ...OPTIONS, clientTls: { ...TLS, trustedCaFile: "/ca", requireClientCertificate: true },
        server: { ...OPTIONS.server, peerTls: TLS },
      }, ALONE, { major: 3, minor: 4 });
    expect(secure).toEqual(expect.arrayContaining([
      "--cert-file=/c", "--key-file=/k", "--trusted-ca-file=/ca", "--client-cert-auth=true",
      "--peer-cert-file=/c", "--peer-key-file=/k", "--listen-peer-urls=https://10.0.0.1:2380",
      "--advertise-client-urls=https://10.0.0.1:2379",
    ]));
    expect(secure.filter((word) => word.startsWith("--peer-client-cert-auth"))).toEqual([]);
    expect(etcdUrl("http://x:1", TLS)).toBe("http://x:1");
  });

  it("are those of the same server however it found its cluster", () => {
    const joined = etcdArguments(OPTIONS, {
      state: "existing", members: [...ALONE.members, { name: "b", peerUrls: ["http://b:1"] }],
    }, { major: 3, minor: 4 });
    expect(joined).not.toEqual(words);
    expect(sameServer(joined, words)).toBe(true);
    const other = etcdArguments(
      { ...OPTIONS, serverName: "gateway-2" }, ALONE, { major: 3, minor: 4 });
    expect(sameServer(other, words)).toBe(false);
    expect(sameServer(words.slice(1), words)).toBe(false);
  });
});
