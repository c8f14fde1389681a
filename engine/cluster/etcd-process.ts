// Supervises one etcd server: starts it or takes a running one over, waits until it serves, starts
// it again when it dies, stops it.

import { setTimeout as sleep } from "node:timers/promises";
import { GatewayError } from "../base/errors.ts";
import { etcdUrls, type ClusterLog, type ClusterOptions } from "./cluster-options.ts";
import { etcdVersion, findEtcd } from "./etcd-binary.ts";
import { EtcdChild, type EtcdEnd } from "./etcd-child.ts";
import type { EtcdDirectory } from "./etcd-directory.ts";
import {
  etcdArguments, sameServer, type EtcdVersion, type InitialCluster,
} from "./etcd-flags.ts";
import { isHealthy, type HealthTls } from "./etcd-health.ts";
import { EtcdLog } from "./etcd-log.ts";
import { findServer, removePidFile, writePidFile } from "./etcd-orphan.ts";
import { checkAddresses } from "./etcd-ports.ts";

const HEALTH_MS = 1_500;
const HEALTH_POLL_MS = 150;
/** A server found running gets this long to say that it is well. */
const ADOPTION_MS = 3_000;
const RESTART_MS_MIN = 500;
const RESTART_MS_MAX = 30_000;
/** A server that ran this long is started again as if for the first time. */
const STEADY_MS = 60_000;
/** Faults that another try may mend; everything else ends the supervision. */
const PASSING = new Set([
  "ADDRESS_IN_USE", "CLUSTER_ETCD_FAILED", "CLUSTER_STORE_UNAVAILABLE", "CLUSTER_UNREACHABLE",
]);

export interface EtcdProcessDependencies {
  readonly directory: EtcdDirectory;
  readonly log: ClusterLog;
  readonly healthTls: HealthTls | null;
  /** Before every start: what the server is to be part of. May exchange its data. */
  readonly plan: (signal: AbortSignal) => Promise<InitialCluster>;
  /** After every start, before it serves: makes a learner a voter. */
  readonly started: (hasEnded: () => boolean, signal: AbortSignal) => Promise<void>;
  /** The server will not be started again. */
  readonly failed: (error: unknown) => void;
}

/** From start() to stop(). */
export class EtcdProcess {
  readonly #options: ClusterOptions;
  readonly #with: EtcdProcessDependencies;
  readonly #stopping = new AbortController();
  readonly #healthUrl: string;
  #program = "";
  #version: EtcdVersion = { major: 0, minor: 0 };
  #output: EtcdLog | null = null;
  #child: EtcdChild | null = null;
  #supervision: Promise<void> = Promise.resolve();
  /** Starts after the server had died. */
  restarts = 0;
  /** The server was running when this process started. */
  wasAdopted = false;

  constructor(options: ClusterOptions, dependencies: EtcdProcessDependencies) {
    this.#options = options;
    this.#with = dependencies;
    const { metricsAddresses, listenClientAddresses } = options.server;
    const urls = [
      ...etcdUrls(metricsAddresses, null),
      ...etcdUrls(listenClientAddresses, options.clientTls),
    ];
    this.#healthUrl = urls[0]!;
  }

  get pid(): number | null {
    return this.#child?.hasEnded === false ? this.#child.found.identity.pid : null;
  }

  /**
   * Finds the program, prepares the directory, and takes over or ends a server that runs on it.
   * @returns whether one was taken over: then launch() is not needed.
   * @throws GatewayError CLUSTER_ETCD_MISSING, DATA_DIRECTORY
   */
  async open(): Promise<boolean> {
    const { server } = this.#options;
    const { directory, log } = this.#with;
    this.#program = findEtcd(server.binary, server.searchPath);
    this.#version = await etcdVersion(this.#program);
    directory.prepare();
    this.#output = new EtcdLog(directory.logPath, log);
    const found = findServer(directory.path, this.#program, directory.dataPath);
    if (found === null) return false;
    const child = EtcdChild.adopt(found);
    const { pid } = found.identity;
    const wanted = etcdArguments(this.#options, { state: "existing", members: [] }, this.#version);
    if (sameServer(found.arguments, wanted) && await this.#isWell(child, ADOPTION_MS)) {
      log("warn", `etcd of a former process (${pid}) is running and well: taken over`, { pid });
      this.wasAdopted = true;
      this.#adopt(child);
      return true;
    }
    log("warn", `etcd of a former process (${pid}) is running otherwise: stopped`, { pid });
    await child.stop();
    return false;
  }

  /** Plans and starts. @throws GatewayError ADDRESS_IN_USE, CLUSTER_ETCD_FAILED, or plan's */
  async launch(): Promise<void> {
    const { directory } = this.#with;
    await this.#checkAddresses(); // before anybody counts on this server
    const initial = await this.#with.plan(this.#stopping.signal);
    const words = etcdArguments(this.#options, initial, this.#version);
    this.#output!.forgetLastWords();
    const child = await EtcdChild.start(
      this.#program, words, this.#output!.descriptor, directory.dataPath);
    this.#adopt(child);
    await this.#with.started(() => child.hasEnded, this.#stopping.signal);
  }

  /**
   * Waits until the server has a leader and a quorum.
   * @throws GatewayError CLUSTER_ETCD_FAILED when it ends before that, CLUSTER_UNREACHABLE when the
   * time is over.
   */
  async ready(limitMs: number): Promise<void> {
    const child = this.#child!;
    if (await this.#isWell(child, limitMs)) return;
    this.#stopping.signal.throwIfAborted();
    if (child.hasEnded) throw this.#ended(await child.ended);
    throw new GatewayError(
      "CLUSTER_UNREACHABLE",
      `etcd has had no quorum for ${limitMs} ms: start enough of the cluster's other members`,
      { limitMs },
    );
  }

  /** From now on the server is started again when it dies. */
  supervise(): void {
    this.#supervision = this.#keepRunning();
  }

  /** From now on the server may end. */
  async release(): Promise<void> {
    this.#stopping.abort();
    await this.#supervision;
  }

  /** Ends the server. @throws GatewayError when it cannot be ended */
  async stop(): Promise<void> {
    try {
      await this.release();
      await this.#child?.stop();
      if (this.#child !== null) removePidFile(this.#with.directory.path);
    } finally {
      this.#output?.close();
      this.#output = null;
    }
  }

  #adopt(child: EtcdChild): void {
    this.#child = child;
    writePidFile(this.#with.directory.path, child.found.identity);
  }

  async #isWell(child: EtcdChild, limitMs: number): Promise<boolean> {
    const end = performance.now() + limitMs;
    const { signal } = this.#stopping;
    while (!child.hasEnded && !signal.aborted && performance.now() < end) {
      const restMs = Math.max(1, end - performance.now());
      const tls = this.#with.healthTls;
      if (await isHealthy(this.#healthUrl, tls, Math.min(HEALTH_MS, restMs))) return true;
      await sleep(Math.min(HEALTH_POLL_MS, restMs));
    }
    return false;
  }

  async #checkAddresses(): Promise<void> {
    const { server, clientTls } = this.#options;
    await checkAddresses([
      {
        setting: "ListenOnPeerAddress",
        urls: etcdUrls(server.listenPeerAddresses, server.peerTls),
      },
      { setting: "ListenOnClientAddress", urls: etcdUrls(server.listenClientAddresses, clientTls) },
      { setting: "ETCDMetricsAddress", urls: etcdUrls(server.metricsAddresses, null) },
    ]);
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve()));
    let told: EtcdChild | null = null;
    let pauseMs = RESTART_MS_MIN;
    let startedMs = performance.now();
    while (!signal.aborted) {
      const child = this.#child!;
      await Promise.race([child.ended, stopped]);
      if (signal.aborted) return;
      if (performance.now() - startedMs > STEADY_MS) pauseMs = RESTART_MS_MIN;
      if (child !== told) this.#with.log("error", this.#ended(await child.ended).message);
      told = child;
      await this.#restart(pauseMs);
      pauseMs = Math.min(pauseMs * 2, RESTART_MS_MAX);
      startedMs = performance.now();
    }
  }

  async #restart(pauseMs: number): Promise<void> {
    const { signal } = this.#stopping;
    await sleep(pauseMs, null, { signal }).catch(() => null);
    if (signal.aborted) return;
    this.restarts++;
    try {
      await this.launch();
      this.#with.log("warn", "etcd has been started again", { restarts: this.restarts });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof GatewayError && PASSING.has(error.code)) {
        this.#with.log("error", `etcd is not started again yet: ${String(error)}`);
        return;
      }
      this.#stopping.abort();
      this.#with.failed(error);
    }
  }

  #ended({ code, signal }: EtcdEnd): GatewayError {
    this.#output?.follow();
    const how = signal ?? (code === null ? "it was another process's" : `exit ${code}`);
    const words = this.#output?.lastWords.join(" | ") ?? "";
    return new GatewayError(
      "CLUSTER_ETCD_FAILED", `etcd has ended (${how})${words === "" ? "" : `: ${words}`}`,
      { code, signal },
    );
  }
}
