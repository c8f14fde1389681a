// Starts of a node that must not succeed, each with a sentence that says what to do; and starts on
// what an earlier process left.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../engine/base/clock.ts";
import { GatewayError } from "../../engine/base/errors.ts";
import { Cluster } from "../../engine/cluster/bootstrap.ts";
import { EtcdMembers } from "../../engine/cluster/etcd-members.ts";
import {
  clusterOptions, etcdClient, hasEtcd, hasOpenssl, killServer, nodePlace, noteServerPid,
  removePlaces, TestNode, v2Members, type NodePlace, type OpenOptions,
} from "../support/etcd-nodes.ts";
import { until } from "../support/until.ts";

const LIMIT_MS = 60_000;
const SHORT = { startupGraceMs: 1_200 };
const OPERATIONS = ["join", "client"] as const;
const has = hasEtcd();

async function refusal(place: NodePlace, open: OpenOptions): Promise<GatewayError> {
  try {
    const node = await TestNode.open(place, open);
    await node.close();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("it started");
}

/** Opens a node in a process of its own. */
async function openApart(place: NodePlace): Promise<{ child: ChildProcess; server: number }> {
  const options = JSON.stringify(clusterOptions(place, { operation: "seed" }));
  const program = path.join(import.meta.dirname, "../support/cluster-process.mjs");
  const child = spawn(process.execPath, [program, options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout!, "data") as [Buffer];
  const server = Number(/server (\d+)/.exec(line.toString())?.[1]);
  noteServerPid(server);
  return { child, server };
}

async function killApart(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe.skipIf(!has)("beside a cluster that runs", () => {
  let seedPlace: NodePlace;
  let seed: TestNode;
  let place: NodePlace;
  const places: NodePlace[] = [];

  beforeAll(async () => {
    seedPlace = await nodePlace("gateway-1", 71);
    place = await nodePlace("gateway-2", 72);
    places.push(seedPlace, place);
    seed = await TestNode.open(seedPlace, { operation: "seed" });
  }, LIMIT_MS);

  afterAll(async () => {
    await seed?.close();
    removePlaces(places);
  }, LIMIT_MS);

  it.each(OPERATIONS)("%s with another cluster name is refused", async (operation) => {
    const error = await refusal(place, { operation, targets: [seedPlace], clusterName: "other" });
    expect(error.code).toBe("CLUSTER_NAME_MISMATCH");
    expect(error.message).toContain("the configured cluster name 'other' does not match the "
      + "existing cluster name 'test'");
    expect(await v2Members(seedPlace)).toHaveLength(1);
  });

  it("a seed without data is refused: it would be a second cluster", async () => {
    const error = await refusal(place, { operation: "seed", targets: [seedPlace, place] });
    expect(error.code).toBe("CLUSTER_EXISTS");
    expect(error.message).toContain("--cluster-op join");
  });

  it("a client connects, and runs no server", async () => {
    const client = await TestNode.open(place, { operation: "client", targets: [seedPlace] });
    expect(client.cluster.server).toBeNull();
    expect((await client.cluster.store.get("/gateway/cluster/name"))?.value).toBe("test");
    expect(await v2Members(seedPlace)).toHaveLength(1);
    await client.close();
  });

  it("a second node with the name of a member that lives is refused", async () => {
    const twin = { ...await nodePlace("gateway-1", 73) };
    places.push(twin);
    const error = await refusal(twin, {
      operation: "join", targets: [seedPlace], changes: { startupGraceMs: 6_000 },
    });
    expect(error.code).toBe("CLUSTER_SERVER_NAME_TAKEN");
    expect(error.message).toContain("give this node its own ServerName");
    expect(await v2Members(seedPlace)).toHaveLength(1);
  }, LIMIT_MS);

  it("a node that advertises a member's peer address is refused", async () => {
    const error = await refusal(place, {
      operation: "join", targets: [seedPlace],
      server: { advertisePeerAddresses: [`${seedPlace.host}:${seedPlace.peerPort}`] },
    });
    expect(error.code).toBe("ADDRESS_IN_USE");
    expect(error.message).toContain("AdvertisePeerAddress");
  });

  it("a member that was added and cannot start is taken back", async () => {
    const error = await refusal(place, {
      operation: "join", targets: [seedPlace], server: { electionMs: 100, heartbeatMs: 100 },
    });
    expect(error.code).toBe("CLUSTER_ETCD_FAILED");
    expect(await v2Members(seedPlace)).toHaveLength(1);
    expect(await seed.cluster.store.compareAndSet("/test/quorum", 0, "still", null)).not.toBeNull();
  }, LIMIT_MS);

  it("a member that was killed while it joined costs nobody the quorum", async () => {
    const other = await nodePlace("gateway-4", 74);
    places.push(other);
    // What a process that was killed at this point leaves.
    const client = etcdClient(seedPlace);
    await until(async () => await new EtcdMembers(client)
      .add([`http://${other.host}:${other.peerPort}`])
      .then(() => true, () => false), "it is added");
    client.close();
    expect(await seed.cluster.store.compareAndSet("/test/learner", 0, "yes", null)).not.toBeNull();
    const node = await TestNode.open(other, { operation: "join", targets: [seedPlace] });
    expect((await v2Members(other)).map(({ name }) => name)).toEqual(["gateway-1", "gateway-4"]);
    await node.close(); // the last test with this cluster: it has no quorum any more
  }, LIMIT_MS);
});

describe.skipIf(!has)("alone", () => {
  const places: NodePlace[] = [];
  let last = 80;

  async function newPlace(): Promise<NodePlace> {
    const place = await nodePlace(`gateway-${++last}`, last);
    places.push(place);
    return place;
  }

  afterAll(() => removePlaces(places));

  it.each(OPERATIONS)("%s gives up when no target answers", async (operation) => {
    const [place, nobody] = [await newPlace(), await newPlace()];
    const error = await refusal(place, { operation, targets: [nobody], changes: SHORT });
    expect(error.code).toBe("CLUSTER_UNREACHABLE");
    expect(error.message).toContain("EtcdStartupGracePeriod");
    expect(error.message).toContain("TargetClusterAddresses");
  }, LIMIT_MS);

  it.each(OPERATIONS)("%s without targets is refused at once", async (operation) => {
    const error = await refusal(await newPlace(), { operation });
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain("TargetClusterAddresses");
  });

  it("a missing program is refused with how to get it", async () => {
    const place = await newPlace();
    for (const binary of ["etcd-that-is-not", "/nowhere/etcd"]) {
      const error = await refusal(place, { operation: "seed", server: { binary } });
      expect(error.code).toBe("CLUSTER_ETCD_MISSING");
      expect(error.message).toContain("apt-get install etcd-server");
      expect(error.message).toContain("EtcdBinary");
    }
    const other = await refusal(place, { operation: "seed", server: { binary: "true" } });
    expect(other.code).toBe("CLUSTER_ETCD_MISSING");
  });

  it.each([
    ["ListenOnClientAddress", "clientPort"], ["ListenOnPeerAddress", "peerPort"],
    ["ETCDMetricsAddress", "metricsPort"],
  ] as const)("a port of %s in use is refused with the setting's name", async (setting, key) => {
    const place = await newPlace();
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(place[key], place.host, resolve));
    const error = await refusal(place, { operation: "seed" });
    server.close();
    expect(error.code).toBe("ADDRESS_IN_USE");
    expect(error.message).toBe(`${place.host}:${place[key]} is in use: stop what listens there, or `
      + `change ${setting}`);
  });

  it("a data directory that is a file is refused", async () => {
    const place = await newPlace();
    const file = path.join(place.directory, "file");
    fs.writeFileSync(file, "");
    const error = await refusal({ ...place, directory: file }, { operation: "seed" });
    expect(error.code).toBe("DATA_DIRECTORY");
    expect(error.message).toContain("ClusterDataDir");
  });

  it("a server that refuses its settings is told with its own last words", async () => {
    const error = await refusal(await newPlace(), {
      operation: "seed", server: { electionMs: 100, heartbeatMs: 100 },
    });
    expect(error.code).toBe("CLUSTER_ETCD_FAILED");
    expect(error.message).toMatch(/^etcd has ended \(exit 1\): .*election-timeout/);
  }, LIMIT_MS);

  it("the last member stays, and a seed resumes its data, for its user's eyes alone", async () => {
    const place = await newPlace();
    const first = await TestNode.open(place, { operation: "seed" });
    await first.cluster.store.compareAndSet("/test/kept", 0, "yes", null);
    const before = await v2Members(place);
    expect(await first.cluster.leave()).toBe(false);
    await first.close();
    fs.chmodSync(path.join(place.directory, "etcd"), 0o755);
    const again = await TestNode.open(place, { operation: "seed" });
    expect(fs.statSync(path.join(place.directory, "etcd")).mode & 0o777).toBe(0o700);
    expect((await again.cluster.store.get("/test/kept"))?.value).toBe("yes");
    expect(await v2Members(place)).toEqual(before);
    await again.close();
    const other = await refusal(place, { operation: "seed", clusterName: "other" });
    expect(other.code).toBe("CLUSTER_NAME_MISMATCH");
  }, LIMIT_MS);

  it.skipIf(!hasOpenssl())("seeds with certificates on every connection", async () => {
    const place = await newPlace();
    const [cert, key] = ["cert.pem", "key.pem"].map((name) => path.join(place.directory, name));
    execFileSync("openssl", [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-days", "1", "-subj", "/CN=test", "-addext", `subjectAltName=IP:${place.host}`,
      "-addext", "extendedKeyUsage=serverAuth,clientAuth",
      "-keyout", key!, "-out", cert!,
    ], { stdio: "pipe" });
    const tls = {
      certificateFile: cert!, keyFile: key!, trustedCaFile: cert!,
      requireClientCertificate: true,
    };
    // Without an address for metrics, health is asked for at the client address.
    const server = { peerTls: tls, metricsAddresses: [] };
    const changes = { clientTls: tls };
    const node = await TestNode.open(place, { operation: "seed", changes, server });
    expect(node.cluster.endpoints).toEqual([`https://${place.host}:${place.clientPort}`]);
    expect((await node.cluster.store.get("/gateway/cluster/name"))?.value).toBe("test");
    await expect(v2Members(place)).rejects.toThrow();
    await node.close();
    const missing = { ...tls, certificateFile: path.join(place.directory, "missing") };
    const error = await refusal(place, { operation: "seed", changes: { clientTls: missing } });
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain("missing");
  }, LIMIT_MS);

  it("a start that waits ends when it is told to", async () => {
    const [place, nobody] = [await newPlace(), await newPlace()];
    const abort = new AbortController();
    const startedMs = performance.now();
    setTimeout(() => abort.abort(new Error("stop")), 1_000);
    await expect(Cluster.open(clusterOptions(place, { operation: "join", targets: [nobody] }), {
      clock: systemClock, signal: abort.signal, log: () => {}, failed: () => {},
    })).rejects.toThrow();
    expect(performance.now() - startedMs).toBeLessThan(8_000);
  }, LIMIT_MS);
});

describe.skipIf(!has)("a server whose gateway was killed", () => {
  const places: NodePlace[] = [];
  afterAll(() => removePlaces(places));

  it("goes on, and is taken over by the next process", async () => {
    const place = await nodePlace("gateway-1", 91);
    places.push(place);
    const { child, server } = await openApart(place);
    await killApart(child);
    expect(await v2Members(place)).toHaveLength(1);
    const node = await TestNode.open(place, { operation: "seed" });
    expect(node.pid).toBe(server);
    expect(node.cluster.server?.wasAdopted).toBe(true);
    expect(node.logged(/taken over/)).toBe(true);
    // It is supervised like one of this process's own.
    killServer(server, "SIGKILL");
    await until(() => node.pid > 0 && node.pid !== server, "another server runs");
    await node.close();
    expect(node.pid).toBe(0);
  }, LIMIT_MS);

  it("is stopped when it runs with other settings, or hangs", async () => {
    const place = await nodePlace("gateway-1", 92);
    places.push(place);
    const first = await openApart(place);
    await killApart(first.child);
    fs.rmSync(path.join(place.directory, "etcd.pid")); // its command line is enough to know it
    const changed = await TestNode.open(place, {
      operation: "seed", server: { snapshotCount: 50_000 },
    });
    expect(changed.cluster.server?.wasAdopted).toBe(false);
    expect(changed.pid).not.toBe(first.server);
    await changed.close();
    const second = await openApart(place);
    killServer(second.server, "SIGSTOP");
    await killApart(second.child);
    const node = await TestNode.open(place, { operation: "seed" });
    expect(node.pid).not.toBe(second.server);
    expect(node.logged(/running otherwise: stopped/)).toBe(true);
    await node.close();
  }, LIMIT_MS);
});
