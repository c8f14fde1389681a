// A running cluster as a node sees it that is not part of it yet, or not any more: what it says of
// itself, and what can be asked of it.

import { bounded } from "./etcd-client.ts";
import { EtcdStore } from "./etcd-store.ts";
import {
  EtcdMembers, withServer, type ConnectionOptions, type EtcdMember,
} from "./etcd-members.ts";

/** The cluster's name, the key of the original. */
export const CLUSTER_NAME_KEY = "/gateway/cluster/name";

export interface ClusterView {
  /** Client URL of the server that answered; changes go there too. */
  readonly endpoint: string;
  /** Null when nobody has written it. */
  readonly clusterName: string | null;
  readonly clusterId: string;
  readonly members: readonly EtcdMember[];
}

/** The way to a cluster from outside. Every call ends within a bound. */
export interface ClusterGate {
  /** @returns null when no target answers with a quorum behind it. */
  ask(): Promise<ClusterView | null>;
  /** Whether a member answers a read that needs a quorum. */
  serves(member: EtcdMember): Promise<boolean>;
  /** Adds a learner. @returns it, and all members with it. */
  add(
    view: ClusterView, peerUrls: readonly string[],
  ): Promise<{ member: EtcdMember; members: readonly EtcdMember[] }>;
  remove(view: ClusterView, id: string): Promise<void>;
  update(view: ClusterView, id: string, peerUrls: readonly string[]): Promise<void>;
  promote(view: ClusterView, id: string): Promise<void>;
}

/** The cluster behind client URLs of its servers. */
export class EtcdGate implements ClusterGate {
  readonly #targetUrls: readonly string[];
  readonly #connection: ConnectionOptions;
  readonly #askTimeoutMs: number;

  /** @param askTimeoutMs of ask(): targets that are switched off answer nothing at all. */
  constructor(
    targetUrls: readonly string[], connection: ConnectionOptions, askTimeoutMs: number,
  ) {
    this.#targetUrls = targetUrls;
    this.#connection = connection;
    this.#askTimeoutMs = askTimeoutMs;
  }

  async ask(): Promise<ClusterView | null> {
    const asked = this.#targetUrls.map(async (url) =>
      await withServer([url], this.#connection, async (client) => {
        // First a read that needs a quorum: after it this server has applied every change of
        // members that came before, so its list is no older than the question.
        const name = await new EtcdStore(client).get(CLUSTER_NAME_KEY);
        const members = new EtcdMembers(client);
        const { clusterId } = await members.status();
        return {
          endpoint: url, clusterName: name?.value ?? null, clusterId, members: await members.list(),
        };
      }));
    try {
      return await bounded("asking the targets", this.#askTimeoutMs, Promise.any(asked));
    } catch {
      return null; // every target failed; which of them should have answered is not known here
    }
  }

  async serves(member: EtcdMember): Promise<boolean> {
    return await serves(member, this.#connection);
  }

  async add(
    view: ClusterView, peerUrls: readonly string[],
  ): Promise<{ member: EtcdMember; members: readonly EtcdMember[] }> {
    return await this.#at(view, (members) => members.add(peerUrls));
  }

  async remove(view: ClusterView, id: string): Promise<void> {
    await this.#at(view, (members) => members.remove(id));
  }

  async update(view: ClusterView, id: string, peerUrls: readonly string[]): Promise<void> {
    await this.#at(view, (members) => members.update(id, peerUrls));
  }

  async promote(view: ClusterView, id: string): Promise<void> {
    await this.#at(view, (members) => members.promote(id));
  }

  async #at<T>(
    { endpoint }: ClusterView, run: (members: EtcdMembers) => Promise<T>,
  ): Promise<T> {
    return await withServer([endpoint], this.#connection, (client) =>
      run(new EtcdMembers(client)));
  }
}

/** Whether a server answers a read that needs a quorum at any of its client URLs. */
export async function serves(member: EtcdMember, options: ConnectionOptions): Promise<boolean> {
  if (member.clientUrls.length === 0) return false;
  try {
    await withServer(member.clientUrls, options, async (client) =>
      await new EtcdStore(client).get(CLUSTER_NAME_KEY));
    return true;
  } catch {
    return false; // whatever it is, it does not serve
  }
}
