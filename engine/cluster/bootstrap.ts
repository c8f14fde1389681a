// A node's way into its cluster: seed and join run an etcd server of their own, client only
// connects. Afterwards all three are the same: endpoints that follow the members, and a store.

import { setTimeout as sleep } from "node:timers/promises";
import { GatewayError } from "../base/errors.ts";
import { etcdUrls, type ClusterOptions } from "./cluster-options.ts";
import { isUnavailable, type ClusterStore } from "./cluster-store.ts";
import { CLUSTER_NAME_KEY } from "./cluster-view.ts";
import { EtcdClient } from "./etcd-client.ts";
import { EtcdMembers, type ConnectionOptions } from "./etcd-members.ts";
import { EtcdStore } from "./etcd-store.ts";
import { OwnServer, type ClusterDependencies, type ServerFacts } from "./own-server.ts";
import { checkClusterName } from "./start-plan.ts";
import { readCredentials } from "./tls-credentials.ts";

/** A call to a server that hangs is given up after this; the next one goes to another. */
export const CALL_TIMEOUT_MS = 1_500;
const RETRY_MS = 1_000;

/** A node that is connected to its cluster. */
export class Cluster {
  readonly store: ClusterStore;
  readonly #options: ClusterOptions;
  readonly #with: ClusterDependencies;
  readonly #client: EtcdClient;
  readonly #members: EtcdMembers;
  readonly #server: OwnServer | null;
  #syncTimer: NodeJS.Timeout | null = null;
  #sync: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(
    options: ClusterOptions, dependencies: ClusterDependencies, client: EtcdClient,
    server: OwnServer | null,
  ) {
    this.#options = options;
    this.#with = dependencies;
    this.#client = client;
    this.#server = server;
    this.store = new EtcdStore(client);
    this.#members = new EtcdMembers(client);
    this.#scheduleSync();
  }

  /**
   * Does what the operation says, within startupGraceMs.
   * @throws GatewayError a refusal that says what to do. Nothing is left running then.
   */
  static async open(options: ClusterOptions, dependencies: ClusterDependencies): Promise<Cluster> {
    const connection: ConnectionOptions = {
      credentials: readCredentials(options.clientTls), callTimeoutMs: CALL_TIMEOUT_MS,
    };
    const deadlineMs = dependencies.clock.monotonicMs() + options.startupGraceMs;
    const server = options.operation === "client"
      ? null
      : await OwnServer.open(options, dependencies, connection, deadlineMs);
    const targets = etcdUrls(options.targetAddresses, options.clientTls);
    const endpoints = server === null ? targets : [server.url];
    if (endpoints.length === 0) {
      throw new GatewayError(
        "CONFIG_INVALID",
        "client needs TargetClusterAddresses: client addresses of nodes that seeded or joined");
    }
    const client = new EtcdClient({ ...connection, endpoints });
    try {
      await agreeOnName(new EtcdStore(client), options, dependencies, deadlineMs);
      const cluster = new Cluster(options, dependencies, client, server);
      await cluster.#followMembers();
      server?.supervise();
      return cluster;
    } catch (error) {
      client.close();
      await server?.close();
      throw error;
    }
  }

  /** Client URLs in use. */
  get endpoints(): readonly string[] {
    return this.#client.endpoints;
  }

  /** Null on a client. */
  get server(): ServerFacts | null {
    return this.#server?.facts ?? null;
  }

  /**
   * Takes the own server out of its cluster, within removeMemberTimeoutMs; it ends by that. The
   * last member stays: it has the cluster's data.
   * @returns whether it is out; false also on a client.
   */
  async leave(): Promise<boolean> {
    return await this.#server?.leave(this.#members) ?? false;
  }

  /** Ends everything of this. Close what uses the store first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer);
    await this.#sync;
    this.#client.close();
    await this.#server?.close();
  }

  #scheduleSync(): void {
    this.#syncTimer = setTimeout(() => {
      this.#sync = this.#followMembers()
        .catch((error: unknown) =>
          this.#with.log("error", `etcd's members cannot be followed: ${String(error)}`))
        .finally(() => {
          if (!this.#isClosed) this.#scheduleSync();
        });
    }, this.#options.autoSyncIntervalMs);
  }

  /** Calls whatever members there are; the own server as it is reached from here. */
  async #followMembers(): Promise<void> {
    try {
      const members = await this.#members.list();
      const urls = members
        .filter(({ id, isLearner }) => id !== this.#server?.memberId && !isLearner)
        .flatMap(({ clientUrls }) => clientUrls);
      if (this.#server !== null) urls.push(this.#server.url);
      if (!this.#isClosed) this.#client.setEndpoints([...new Set(urls)]);
    } catch (error) {
      if (!isUnavailable(error)) throw error; // unavailable: the present ones are kept
    }
  }
}

/** Compares the cluster's name, and writes it where there is none. */
async function agreeOnName(
  store: ClusterStore, { clusterName }: ClusterOptions,
  { clock, signal }: ClusterDependencies, deadlineMs: number,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const found = await store.get(CLUSTER_NAME_KEY);
      if (found !== null) {
        checkClusterName(clusterName, found.value, "etcd");
        return;
      }
      if (await store.compareAndSet(CLUSTER_NAME_KEY, 0, clusterName, null) !== null) return;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      if (clock.monotonicMs() + RETRY_MS > deadlineMs) {
        throw new GatewayError(
          "CLUSTER_UNREACHABLE",
          "no etcd server answered within EtcdStartupGracePeriod: check TargetClusterAddresses",
          {}, error,
        );
      }
      await sleep(RETRY_MS, null, { signal });
    }
  }
}
