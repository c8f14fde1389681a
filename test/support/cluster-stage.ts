// Several gateways that form a cluster on loopback addresses, each with the etcd server it starts.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import type { ClusterReport } from "../../engine/cluster/cluster-report.ts";
import type { RecordingBackend } from "./backend.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { getJson } from "./etcd-nodes.ts";
import { GatewayProcess, type GatewayConfig, type Ports } from "./gateway.ts";
import { freePort } from "./ports.ts";
import { duplicates } from "./reckoning.ts";
import { fateSampler, type Stage } from "./stage.ts";
import { until } from "./until.ts";

export type Operation = "seed" | "join" | "client";
/** A node that starts while others are killed waits for their leases. */
const JOIN_MS = 60_000;
/** Another server leads, or a killed one serves again. */
const ETCD_MS = 30_000;
/** A server that is stopped answers nothing. */
const ETCD_ANSWER_MS = 1_000;
/** Traces that a node must have judged to count as one that decides. */
const JUDGED_MIN = 20;
/** The longest pause: a batch may wait for a witness whose node is slow. */
const JUDGED_MS = 30_000;

/** What stays of a node through its restarts. */
export interface ClusterPlace {
  readonly name: string;
  readonly directory: string;
  readonly host: string;
  readonly ports: Ports;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly metricsPort: number;
  readonly rebalancePort: number;
  /** What other nodes are told to dial: the node itself, or a proxy before it. */
  advertised: string;
}

/** The nodes of one test. */
export class ClusterStage {
  readonly stage: Stage;
  readonly backend: RecordingBackend;
  readonly places: ClusterPlace[] = [];
  readonly nodes = new Map<string, GatewayProcess>();
  readonly proxies: CuttingProxy[] = [];
  /** Names of those that run no etcd: nobody calls them for it. */
  readonly #clients = new Set<string>();
  /** By what its forwarder says of the run: whose it was. */
  readonly #runs = new Map<string, string>();
  readonly #more: GatewayConfig;
  /** ForwardTo of the nodes that start from now on. */
  forwarders: () => readonly GatewayConfig[];

  constructor(stage: Stage, backend: RecordingBackend, more: GatewayConfig = {}) {
    this.stage = stage;
    this.backend = backend;
    this.#more = more;
    this.forwarders = () => [this.kept(fateSampler("1500ms"))];
  }

  /** The forwarder to the backend, for the next start. */
  kept(sampler: GatewayConfig): GatewayConfig {
    return this.stage.otlpForwarder("kept", this.backend, {
      TraceSample: sampler, Timeout: "30s", // many processes share two cores
    });
  }

  /** Addresses and a directory for another node. */
  async place(name: string): Promise<ClusterPlace> {
    const place = {
      name, directory: path.join(this.stage.directory, name),
      host: `127.0.0.${11 + this.places.length}`,
      ports: { port: await freePort(), adminPort: await freePort() },
      clientPort: await freePort(), peerPort: await freePort(), metricsPort: await freePort(),
      rebalancePort: await freePort(), advertised: "",
    };
    place.advertised = `${place.host}:${place.rebalancePort}`;
    this.places.push(place);
    return place;
  }

  /** Everything that others send to this node goes through a proxy that can be cut. */
  async proxied(place: ClusterPlace): Promise<CuttingProxy> {
    const proxy = await CuttingProxy.open(place.host, place.rebalancePort);
    place.advertised = `127.0.0.1:${proxy.port}`;
    this.proxies.push(proxy);
    return proxy;
  }

  /** Starts a node and waits until it is ready. */
  async start(place: ClusterPlace, operation: Operation): Promise<GatewayProcess> {
    const node = await this.launch(place, operation);
    await node.ready(JOIN_MS);
    return node;
  }

  async launch(place: ClusterPlace, operation: Operation): Promise<GatewayProcess> {
    const { stage } = this;
    stage.run++;
    this.#runs.set(String(stage.run), place.name);
    if (operation === "client") this.#clients.add(place.name);
    const config = stage.config(this.forwarders(), {
      Workers: 2, ServerName: place.name, ClusterName: "test", ClusterSecret: "of-the-tests",
      ClusterOperation: operation, ClusterDataDir: path.join(place.directory, "etcd"),
      ListenOnClientAddress: `${place.host}:${place.clientPort}`,
      AdvertiseClientAddress: `${place.host}:${place.clientPort}`,
      ListenOnPeerAddress: `${place.host}:${place.peerPort}`,
      AdvertisePeerAddress: `${place.host}:${place.peerPort}`,
      ETCDMetricsAddress: `${place.host}:${place.metricsPort}`,
      TargetClusterAddresses: this.places.filter(({ name }) => !this.#clients.has(name))
        .map(({ host, clientPort }) => `${host}:${clientPort}`),
      ListenRebalanceAddress: `${place.host}:${place.rebalancePort}`,
      AdvertiseRebalanceAddress: place.advertised,
      EtcdHeartBeatInterval: "100ms", EtcdElectionTimeout: "1s",
      EtcdStartupGracePeriod: "20s", EtcdClusterCleanUpInterval: "2s",
      ...this.#more,
    });
    const node = stage.watch(
      await GatewayProcess.launch(place.directory, config, place.ports));
    this.nodes.set(place.name, node);
    return node;
  }

  node(place: ClusterPlace): GatewayProcess {
    const node = this.nodes.get(place.name);
    if (node === undefined) throw new Error(`${place.name} was not started`);
    return node;
  }

  /** Those that run. */
  get running(): GatewayProcess[] {
    return [...this.nodes.values()].filter(({ running }) => running);
  }

  async report(place: ClusterPlace): Promise<ClusterReport> {
    const { body } = await this.node(place).get("/cluster");
    return JSON.parse(body) as ClusterReport;
  }

  /** Waits until every node that runs is ready and sees `members` members. */
  async formed(members: number, limitMs = JOIN_MS): Promise<void> {
    await until(async () => {
      const seen = await Promise.all(this.running.map(async (node) => {
        const { status, body } = await node.get("/cluster");
        if (status !== 200) return false;
        const report = JSON.parse(body) as ClusterReport;
        return report.ready && report.members.length === members;
      }));
      return seen.every(Boolean);
    }, `${members} members are ready`, limitMs);
  }

  /** Waits until everything is decided and delivered on every node that runs. */
  async settled(limitMs = 40_000): Promise<void> {
    await Promise.all(this.running.map(async (node) => await node.settled(limitMs)));
  }

  /** Spans that came more than once, other than from one of `places` alone. */
  duplicatesBeside(places: readonly ClusterPlace[]): string[] {
    const names = new Set(places.map(({ name }) => name));
    return duplicates(this.backend).filter((key) => {
      const from = [...this.backend.receivedByRun].filter(([, spans]) => spans.has(key))
        .map(([run]) => this.#runs.get(run) ?? "nobody");
      return new Set(from).size > 1 || !names.has(from[0]!); // it came from somewhere
    });
  }

  /** Waits until each of these nodes has judged more traces than now. */
  async judging(places: readonly ClusterPlace[]): Promise<void> {
    await Promise.all(places.map(async (place) => {
      const judged = async (): Promise<number> =>
        await this.node(place).metric("tailrace_decisions_total");
      const before = await judged();
      await until(async () => await judged() >= before + JUDGED_MIN,
        `${place.name} judges traces`, JUDGED_MS);
    }));
  }

  /** For as long each of these nodes goes on to judge traces. */
  async judgingFor(places: readonly ClusterPlace[], ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) await this.judging(places);
  }

  /** Waits until the etcd server of one of these nodes leads. */
  async etcdLeader(places: readonly ClusterPlace[]): Promise<ClusterPlace> {
    let leader: ClusterPlace | undefined;
    await until(async () => {
      const leads = await Promise.all(places.map(etcdLeads));
      leader = places[leads.indexOf(true)];
      return leader !== undefined;
    }, `etcd has a leader among ${places.map(({ name }) => name).join(", ")}`, ETCD_MS);
    return leader!; // or until() has thrown
  }

  /** Signals the etcd server of a node, and not its gateway. */
  signalEtcd(place: ClusterPlace, signal: NodeJS.Signals): void {
    signalOwn(this.etcdPid(place), place.directory, signal);
  }

  /** Kills the etcd server of a node, and waits until its gateway has started another. */
  async killEtcd(place: ClusterPlace): Promise<void> {
    const former = this.etcdPid(place);
    this.signalEtcd(place, "SIGKILL");
    await until(() => this.etcdPid(place) !== former, "another etcd server runs", ETCD_MS);
    await until(async () => {
      const health = await getJson(place, "/health").catch(() => null);
      return JSON.stringify(health) === "{\"health\":\"true\"}";
    }, "it serves", ETCD_MS);
  }

  /** The etcd server of a node, which outlives a killed gateway. */
  etcdPid(place: ClusterPlace): number {
    const text = fs.readFileSync(path.join(place.directory, "etcd", "etcd.pid"), "utf8");
    return Number((JSON.parse(text) as { pid: number }).pid);
  }

  /** Kills the gateway and its etcd server, as a power cut does. */
  async cutPower(place: ClusterPlace): Promise<void> {
    const pid = this.etcdPid(place);
    await this.node(place).kill();
    signalOwn(pid, place.directory, "SIGKILL");
  }

  /** Ends whatever etcd servers are left. */
  close(): void {
    for (const place of this.places) {
      try {
        this.signalEtcd(place, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // it ended by itself
      }
    }
    for (const proxy of this.proxies) proxy.close();
  }
}

/** Signals a server that runs on a directory of this test, and nothing else of its number. */
function signalOwn(pid: number, directory: string, signal: NodeJS.Signals): void {
  let command: string;
  try {
    command = execFileSync("cat", [`/proc/${pid}/cmdline`], { encoding: "utf8", stdio: "pipe" });
  } catch {
    return; // it has ended
  }
  if (command.includes(directory)) process.kill(pid, signal);
}

async function etcdLeads({ host, metricsPort }: ClusterPlace): Promise<boolean> {
  try {
    const reply = await fetch(`http://${host}:${metricsPort}/metrics`, {
      signal: AbortSignal.timeout(ETCD_ANSWER_MS),
    });
    return /^etcd_server_is_leader 1$/m.test(await reply.text());
  } catch {
    return false; // stopped, or on its way
  }
}
