// Nodes of a real etcd cluster on loopback addresses, through the engine's own code. The servers
// end with the test process, whatever happens.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemClock } from "../../engine/base/clock.ts";
import { identityOf, lives, type ProcessIdentity } from "../../engine/base/process-identity.ts";
import type { LogLevel } from "../../engine/base/log.ts";
import { Cluster } from "../../engine/cluster/bootstrap.ts";
import type { ClusterOperation, ClusterOptions } from "../../engine/cluster/cluster-options.ts";
import { findEtcd } from "../../engine/cluster/etcd-binary.ts";
import { EtcdClient } from "../../engine/cluster/etcd-client.ts";
import { freePort } from "./ports.ts";

const INSTALL_MS = 120_000;
const HOW = "install it (Debian and Ubuntu: apt-get install etcd-server); "
  + "it is done by itself for root on Debian";

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
}

/** Directory and addresses of a node; they stay through restarts. */
export interface NodePlace {
  readonly name: string;
  readonly host: string;
  readonly directory: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly metricsPort: number;
}

export interface OpenOptions {
  readonly operation: ClusterOperation;
  readonly targets?: readonly NodePlace[];
  readonly clusterName?: string;
  readonly changes?: Partial<ClusterOptions>;
  readonly server?: Partial<ClusterOptions["server"]>;
}

/** Servers that this process started; a number may have another process by the end. */
const servers = new Map<number, ProcessIdentity>();
process.once("exit", () => {
  for (const identity of servers.values()) {
    if (lives(identity)) killServer(identity.pid, "SIGKILL");
  }
});

/** Whether there is an etcd; says on the console why tests are skipped when there is none. */
export function hasEtcd(): boolean {
  if (isInstalled()) return true;
  const mayInstall = process.getuid?.() === 0 && fs.existsSync("/etc/debian_version");
  // A fresh image has no list of packages yet.
  if (mayInstall && !install()) {
    aptGet("update");
    install();
  }
  if (isInstalled()) return true;
  process.stdout.write(`skipped: tests with a real etcd. There is no etcd in PATH: ${HOW}\n`);
  return false;
}

/** Whether certificates for tests can be made. */
export function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "pipe" });
    return true;
  } catch {
    process.stdout.write("skipped: a test with certificates. It needs the program openssl\n");
    return false;
  }
}

/** A place for a node, at a loopback address of its own. */
export async function nodePlace(name: string, lastByte: number): Promise<NodePlace> {
  return {
    name, host: `127.0.0.${lastByte}`,
    directory: fs.mkdtempSync(path.join(tmpdir(), "tailrace-etcd-")),
    clientPort: await freePort(), peerPort: await freePort(), metricsPort: await freePort(),
  };
}

export function clusterOptions(place: NodePlace, open: OpenOptions): ClusterOptions {
  const at = (port: number): string[] => [`${place.host}:${port}`];
  return {
    operation: open.operation,
    serverName: place.name,
    clusterName: open.clusterName ?? "test",
    targetAddresses: (open.targets ?? []).map(({ host, clientPort }) => `${host}:${clientPort}`),
    server: {
      binary: "etcd",
      searchPath: process.env["PATH"] ?? "",
      clusterDataDirectory: place.directory,
      listenPeerAddresses: at(place.peerPort),
      advertisePeerAddresses: at(place.peerPort),
      listenClientAddresses: at(place.clientPort),
      advertiseClientAddresses: at(place.clientPort),
      metricsAddresses: at(place.metricsPort),
      heartbeatMs: 100, electionMs: 1_000, snapshotCount: 100_000, snapshotFilesMax: 5,
      walFilesMax: 5, peerTls: null, ...open.server,
    },
    clientTls: null,
    dialTimeoutMs: 3_000,
    startupGraceMs: 20_000,
    unhealthyMemberTtlMs: 5_000,
    removeMemberTimeoutMs: 2_000,
    cleanUpIntervalMs: 60_000,
    autoSyncIntervalMs: 500,
    ...open.changes,
  };
}

/** A node in this process. */
export class TestNode {
  readonly place: NodePlace;
  readonly cluster: Cluster;
  readonly log: LogEntry[];
  readonly failures: unknown[];

  private constructor(
    place: NodePlace, cluster: Cluster, log: LogEntry[], failures: unknown[],
  ) {
    this.place = place;
    this.cluster = cluster;
    this.log = log;
    this.failures = failures;
    this.noteServer();
  }

  static async open(place: NodePlace, open: OpenOptions): Promise<TestNode> {
    const log: LogEntry[] = [];
    const failures: unknown[] = [];
    const cluster = await Cluster.open(clusterOptions(place, open), {
      clock: systemClock, signal: new AbortController().signal,
      log: (level, message) => log.push({ level, message }),
      failed: (error) => failures.push(error),
    });
    return new TestNode(place, cluster, log, failures);
  }

  /** Pid of the server; one that was started again is noted for the end. */
  get pid(): number {
    return this.noteServer();
  }

  noteServer(): number {
    const pid = this.cluster.server?.pid ?? 0;
    if (pid > 0) noteServerPid(pid);
    return pid;
  }

  logged(pattern: RegExp): boolean {
    return this.log.some(({ message }) => pattern.test(message));
  }

  async close(): Promise<void> {
    await this.cluster.close();
  }
}

/** A client of one server, for what a node does not do; to be closed by who asked for it. */
export function etcdClient({ host, clientPort }: NodePlace): EtcdClient {
  return new EtcdClient({
    endpoints: [`http://${host}:${clientPort}`], credentials: null, callTimeoutMs: 1_500,
  });
}

/** GET from the client address. */
export async function getJson(place: NodePlace, pathname: string): Promise<unknown> {
  const reply = await fetch(`http://${place.host}:${place.clientPort}${pathname}`, {
    signal: AbortSignal.timeout(3_000),
  });
  return await reply.json();
}

export interface V2Member {
  readonly id: string;
  readonly name: string;
  readonly clientURLs: readonly string[];
  readonly peerURLs: readonly string[];
}

/** The members as the operator's guide looks at them. */
export async function v2Members(place: NodePlace): Promise<V2Member[]> {
  const { members } = await getJson(place, "/v2/members") as { members: V2Member[] };
  return [...members].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Signals a server of these tests; one that is gone is no fault. */
export function killServer(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** A server that another process of the test started ends with this one too. */
export function noteServerPid(pid: number): void {
  servers.set(pid, identityOf(pid));
}

export function removePlaces(places: readonly NodePlace[]): void {
  for (const { directory } of places) fs.rmSync(directory, { recursive: true, force: true });
}

function install(): boolean {
  // Another test file may be at it.
  return aptGet("-o", "DPkg::Lock::Timeout=120", "install", "--yes", "--no-install-recommends",
    "etcd-server", "etcd-client");
}

function aptGet(...words: string[]): boolean {
  try {
    execFileSync("apt-get", words, {
      stdio: "pipe", timeout: INSTALL_MS,
      // Its service would take the ports of a gateway on this machine.
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    });
    return true;
  } catch (error) {
    process.stdout.write(`apt-get ${words[0]} failed: ${String(error)}\n`);
    return false;
  }
}

function isInstalled(): boolean {
  try {
    findEtcd("etcd", process.env["PATH"] ?? "");
    return true;
  } catch {
    return false;
  }
}
