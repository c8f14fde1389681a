// The servers that make up an etcd cluster: list, add, remove. Ids are decimal texts.

import { GRPCNotFoundError, type IMember } from "etcd3";
import { EtcdClient, type ClientCredentials, type EtcdClientOptions } from "./etcd-client.ts";

export interface EtcdMember {
  readonly id: string;
  /** Empty until it has started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** It follows and does not vote yet: no quorum counts it, and it serves nobody. */
  readonly isLearner: boolean;
}

export interface ServerStatus {
  readonly memberId: string;
  readonly clusterId: string;
  readonly isLeader: boolean;
}

/** Member calls over one client, which it does not own. */
export class EtcdMembers {
  readonly #client: EtcdClient;

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /** As the server that is asked knows them. */
  async list(): Promise<EtcdMember[]> {
    // Without the empty object the library fails inside, and takes the server for broken.
    const answer = await this.#client.call("listing members", (etcd) =>
      etcd.cluster.memberList({}));
    return answer.members.map(memberOf);
  }

  /**
   * Adds a learner: a voter that never starts would cost a cluster of one its quorum for good.
   * @returns the new member and all members with it.
   */
  async add(peerUrls: readonly string[]): Promise<{ member: EtcdMember; members: EtcdMember[] }> {
    const answer = await this.#client.call("adding a member", (etcd) =>
      etcd.cluster.memberAdd({ peerURLs: [...peerUrls], isLearner: true }));
    return { member: memberOf(answer.member), members: answer.members.map(memberOf) };
  }

  /** Makes a learner a voter; refused until it has caught up. */
  async promote(id: string): Promise<void> {
    await this.#client.call(`promoting member ${id}`, (etcd) =>
      etcd.cluster.memberPromote({ ID: id }));
  }

  async remove(id: string): Promise<void> {
    try {
      await this.#client.call(`removing member ${id}`, (etcd) =>
        etcd.cluster.memberRemove({ ID: id }));
    } catch (error) {
      // The library calls again when an answer was lost: the first call may have done it.
      if (!(error instanceof GRPCNotFoundError)) throw error;
    }
  }

  /** Gives a member that does not run other addresses. */
  async update(id: string, peerUrls: readonly string[]): Promise<void> {
    await this.#client.call(`changing member ${id}`, (etcd) =>
      etcd.cluster.memberUpdate({ ID: id, peerURLs: [...peerUrls] }));
  }

  /** Of the server that is asked; meaningful over a client with one endpoint. */
  async status(): Promise<ServerStatus> {
    const { header, leader } = await this.#client.call("asking a server", (etcd) =>
      etcd.maintenance.status());
    return {
      memberId: header.member_id, clusterId: header.cluster_id,
      isLeader: leader === header.member_id,
    };
  }

  /** The server that is asked must lead. */
  async moveLeader(id: string): Promise<void> {
    await this.#client.call("handing over the leadership", (etcd) =>
      etcd.maintenance.moveLeader({ targetID: id }));
  }
}

/** Runs with a client of its own for one server. */
export async function withServer<T>(
  urls: readonly string[], options: Omit<EtcdClientOptions, "endpoints">,
  run: (client: EtcdClient) => Promise<T>,
): Promise<T> {
  const client = new EtcdClient({ ...options, endpoints: urls });
  try {
    return await run(client);
  } finally {
    client.close();
  }
}

/** What connections to servers need; the endpoints come from elsewhere. */
export interface ConnectionOptions {
  readonly credentials: ClientCredentials | null;
  readonly callTimeoutMs: number;
}

function memberOf({ ID, name, peerURLs, clientURLs, isLearner }: IMember): EtcdMember {
  return { id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner };
}
