// The etcd server of a node that seeds or joins: started until it serves, kept among the members,
// taken out of them on a drain.

import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { GatewayError } from "../base/errors.ts";
import {
  etcdUrls, hasCertificate, type ClusterLog, type ClusterOptions,
} from "./cluster-options.ts";
import { EtcdGate } from "./cluster-view.ts";
import { bounded, EtcdClient } from "./etcd-client.ts";
import { EtcdDirectory } from "./etcd-directory.ts";
import { reachableUrl } from "./etcd-health.ts";
import { EtcdMembers, type ConnectionOptions } from "./etcd-members.ts";
import { EtcdProcess } from "./etcd-process.ts";
import { MemberSweep } from "./member-sweep.ts";
import { JOIN_RETRY_MS, otherTargets, StartPlan } from "./start-plan.ts";
import { healthTls } from "./tls-credentials.ts";

/** Starts of a server that ends before it serves: a member list that changes meanwhile ends it. */
const START_ATTEMPTS_MAX = 5;
const RETRY_MS = 500;
const LEAVE_RETRY_MS = 100;

export interface ClusterDependencies {
  readonly clock: Clock;
  readonly log: ClusterLog;
  /** Ends a start that waits. */
  readonly signal: AbortSignal;
  /** The own server is gone for good: the node cannot stay. */
  readonly failed: (error: unknown) => void;
}

/** For /status and the metrics page. */
export interface ServerFacts {
  /** Null while it does not run. */
  readonly pid: number | null;
  readonly restarts: number;
  readonly wasAdopted: boolean;
  /** Dead members that this one removed. */
  readonly removals: number;
}

/** The etcd server that this node runs, and its place among the members. */
export class OwnServer {
  readonly #options: ClusterOptions;
  readonly #with: ClusterDependencies;
  readonly #process: EtcdProcess;
  readonly #directory: EtcdDirectory;
  readonly #gate: EtcdGate;
  readonly #plan: StartPlan;
  readonly #connection: ConnectionOptions;
  /** Client URL of this server as this machine reaches it. */
  readonly url: string;
  readonly #client: EtcdClient;
  #sweep: MemberSweep | null = null;
  memberId = "";

  private constructor(
    options: ClusterOptions, dependencies: ClusterDependencies, connection: ConnectionOptions,
  ) {
    const { server, clientTls } = options;
    const { clock, log, failed } = dependencies;
    const graceEndMs = (): number => clock.monotonicMs() + options.startupGraceMs;
    this.#options = options;
    this.#with = dependencies;
    this.#connection = connection;
    this.#directory = new EtcdDirectory(server.clusterDataDirectory);
    this.#gate = new EtcdGate(otherTargets(options), connection, options.dialTimeoutMs);
    this.#plan = new StartPlan(options, {
      directory: this.#directory, gate: this.#gate, clock, log, retryMs: JOIN_RETRY_MS,
    });
    this.#process = new EtcdProcess(options, {
      directory: this.#directory, log, failed,
      healthTls: healthTls(connection.credentials),
      plan: (signal) => this.#plan.next(graceEndMs(), signal),
      started: (hasEnded, signal) => this.#plan.promote(hasEnded, graceEndMs(), signal),
    });
    // A certificate is for the advertised name; without one, what it listens at is surest.
    const urls = hasCertificate(clientTls)
      ? server.advertiseClientAddresses : server.listenClientAddresses;
    this.url = reachableUrl(etcdUrls(urls, clientTls)[0]!);
    this.#client = new EtcdClient({ ...connection, endpoints: [this.url] });
  }

  static async open(
    options: ClusterOptions, dependencies: ClusterDependencies, connection: ConnectionOptions,
    deadlineMs: number,
  ): Promise<OwnServer> {
    const own = new OwnServer(options, dependencies, connection);
    try {
      if (!(await own.#process.open())) await own.#start(deadlineMs);
      const { memberId, clusterId } = await new EtcdMembers(own.#client).status();
      own.#directory.writeIdentity({ memberId, clusterId });
      own.memberId = memberId;
      own.#plan.addedMemberId = null;
      return own;
    } catch (error) {
      await own.close();
      await own.#takeBack();
      throw error;
    }
  }

  get facts(): ServerFacts {
    return {
      pid: this.#process.pid, restarts: this.#process.restarts,
      wasAdopted: this.#process.wasAdopted, removals: this.#sweep?.removals ?? 0,
    };
  }

  supervise(): void {
    this.#process.supervise();
    const { clock, log } = this.#with;
    this.#sweep = new MemberSweep({
      // A server that joined anew is another member.
      selfId: () => this.#directory.readIdentity()?.memberId ?? this.memberId,
      intervalMs: this.#options.cleanUpIntervalMs,
      unhealthyTtlMs: this.#options.unhealthyMemberTtlMs,
      graceMs: this.#options.startupGraceMs,
      connection: this.#connection,
    }, { ownMembers: new EtcdMembers(this.#client), clock, log });
    this.#sweep.start();
  }

  async leave(members: EtcdMembers): Promise<boolean> {
    await this.#sweep?.stop();
    await this.#process.release();
    const limitMs = this.#options.removeMemberTimeoutMs;
    const endMs = this.#with.clock.monotonicMs() + limitMs;
    try {
      return await bounded("leaving etcd", limitMs, this.#leaveUntil(endMs, members));
    } catch (error) {
      const text = "this member stays in etcd's list until it is removed as dead, or is back";
      this.#with.log("warn", `${text}: ${String(error)}`);
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#sweep?.stop();
    this.#client.close();
    await this.#process.stop();
  }

  async #start(deadlineMs: number): Promise<void> {
    const { clock, log, signal } = this.#with;
    const stop = (): void => void this.#process.release();
    signal.addEventListener("abort", stop);
    try {
      for (let attempt = 1; ; attempt++) {
        signal.throwIfAborted();
        await this.#process.launch();
        try {
          await this.#process.ready(Math.max(0, deadlineMs - clock.monotonicMs()));
          return;
        } catch (error) {
          const hasEnded = error instanceof GatewayError && error.code === "CLUSTER_ETCD_FAILED";
          if (!hasEnded || attempt === START_ATTEMPTS_MAX) throw error;
          log("warn", `${error.message}; another try`, { attempt });
          await sleep(RETRY_MS, null, { signal });
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** etcd refuses for the first five seconds of a connection between members: tried again. */
  async #leaveUntil(endMs: number, members: EtcdMembers): Promise<boolean> {
    for (;;) {
      try {
        return await this.#leaveNow(members);
      } catch (error) {
        if (this.#with.clock.monotonicMs() + LEAVE_RETRY_MS > endMs) throw error;
        await sleep(LEAVE_RETRY_MS);
      }
    }
  }

  async #leaveNow(members: EtcdMembers): Promise<boolean> {
    const own = new EtcdMembers(this.#client);
    const [{ memberId, isLeader }, list] = await Promise.all([own.status(), members.list()]);
    const other = list.find(({ id, isLearner }) => id !== memberId && !isLearner);
    if (other === undefined) return false;
    // Or the cluster would be without a leader for an election, and others could not leave.
    if (isLeader) await own.moveLeader(other.id);
    await members.remove(memberId);
    return true;
  }

  /** A member that was added and never served would count in every quorum. */
  async #takeBack(): Promise<void> {
    const id = this.#plan.addedMemberId;
    const view = id === null ? null : await this.#gate.ask();
    if (id === null || view === null) return;
    try {
      await this.#gate.remove(view, id);
    } catch (error) {
      const text = "the member that was added for this node stays in etcd's list";
      this.#with.log("warn", `${text}: ${String(error)}`, { id });
    }
  }
}
