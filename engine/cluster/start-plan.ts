// What a server is started as: with its data, as the first of a cluster, or as a new member of one
// that runs. Run before every start, the restarts of a server that died too: its cluster may have
// removed it meanwhile.

import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { GatewayError } from "../base/errors.ts";
import { etcdUrls, type ClusterLog, type ClusterOptions } from "./cluster-options.ts";
import type { ClusterGate, ClusterView } from "./cluster-view.ts";
import type { EtcdDirectory } from "./etcd-directory.ts";
import type { InitialCluster } from "./etcd-flags.ts";
import type { EtcdMember } from "./etcd-members.ts";

/** A learner of a small cluster catches up in less than a second. */
const PROMOTE_LOOKS = 4;
/** The guide's number: every member of etcd's takes part in every write. */
const JOINED_MEMBERS_MAX = 7;
/** Between two looks at a cluster that could not be joined yet. */
export const JOIN_RETRY_MS = 1_000;
/** An instance that is being replaced gets this long to end, or a quarter of the grace period. */
const REPLACED_MS_MAX = 15_000;

export interface StartPlanDependencies {
  readonly directory: EtcdDirectory;
  /** To the targets, this node's own address left out. */
  readonly gate: ClusterGate;
  readonly clock: Clock;
  readonly log: ClusterLog;
  /** JOIN_RETRY_MS, outside of tests. */
  readonly retryMs: number;
}

/** Decides from the directory and from what the targets say. */
export class StartPlan {
  readonly #options: ClusterOptions;
  readonly #with: StartPlanDependencies;
  readonly #peerUrls: readonly string[];
  /** Why the last try to join failed, for the operator. */
  #waitingFor = "";
  #sameNameSinceMs: number | null = null;
  #hasWarned = false;
  /** The member that this process added and that has not served yet: to be taken back. */
  addedMemberId: string | null = null;
  /** The member to be promoted after its start. */
  #learnerId: string | null = null;

  constructor(options: ClusterOptions, dependencies: StartPlanDependencies) {
    this.#options = options;
    this.#with = dependencies;
    const { server } = options;
    this.#peerUrls = etcdUrls(server.advertisePeerAddresses, server.peerTls);
  }

  /**
   * @param deadlineMs monotonic: until then a cluster to join is looked for.
   * @param signal ends the waiting, with its reason.
   * @throws GatewayError a refusal that says what to do; CLUSTER_UNREACHABLE at the deadline.
   */
  async next(deadlineMs: number, signal: AbortSignal): Promise<InitialCluster> {
    const { directory, log } = this.#with;
    if (directory.hasData()) {
      const view = await this.#with.gate.ask();
      if (view === null || await this.#isMember(view)) return this.#alone("existing");
      this.#checkName(view);
      const aside = directory.setAside(new Date());
      log("warn", "the cluster has removed this member: it joins anew, its data is set aside", {
        setAside: aside,
      });
      return await this.#join(deadlineMs, signal);
    }
    directory.clearUnstarted();
    if (this.#options.operation !== "seed") return await this.#join(deadlineMs, signal);
    const view = await this.#with.gate.ask();
    if (view === null) return this.#alone("new");
    throw new GatewayError(
      "CLUSTER_EXISTS",
      `a cluster${view.clusterName === null ? "" : ` "${view.clusterName}"`} runs at `
      + `${view.endpoint} and ${directory.path} has no data: a second cluster would split the `
      + "traces. Start this node with --cluster-op join",
      { endpoint: view.endpoint },
    );
  }

  /** Makes this member a voter once it has caught up; one that is a voter is left as it is. */
  async promote(
    hasEnded: () => boolean, deadlineMs: number, signal: AbortSignal,
  ): Promise<void> {
    const { clock, retryMs } = this.#with;
    while (this.#learnerId !== null && !hasEnded() && clock.monotonicMs() < deadlineMs) {
      if (await this.#tryPromote(this.#learnerId)) this.#learnerId = null;
      else await sleep(retryMs / PROMOTE_LOOKS, null, { signal });
    }
  }

  async #tryPromote(id: string): Promise<boolean> {
    const view = await this.#with.gate.ask();
    const own = view?.members.find((member) => member.id === id);
    if (view === null) return false;
    if (own?.isLearner !== true) return true; // promoted, or removed: its next start tells
    try {
      await this.#with.gate.promote(view, id);
      return true;
    } catch {
      return false; // it has not caught up yet, or nobody leads: the next try tells
    }
  }

  /** Whether the data is of a member that its cluster still has. */
  async #isMember(view: ClusterView): Promise<boolean> {
    const { members, clusterId } = view;
    const identity = this.#with.directory.readIdentity();
    if (identity === null) {
      // Data from before this was noted: the name and an address tell.
      return members.some((member) => this.#isNamed(member) && this.#hasAddress(member));
    }
    const own = members.find(({ id }) => id === identity.memberId);
    if (own === undefined || clusterId !== identity.clusterId) return false;
    this.#learnerId = own.isLearner ? own.id : null;
    if ([...own.peerUrls].sort().join() !== [...this.#peerUrls].sort().join()) {
      await this.#with.gate.update(view, own.id, this.#peerUrls);
      this.#with.log("info", "the cluster knows this member's new peer address", {
        from: own.peerUrls, to: this.#peerUrls,
      });
    }
    return true;
  }

  async #join(deadlineMs: number, signal: AbortSignal): Promise<InitialCluster> {
    if (otherTargets(this.#options).length === 0) {
      throw new GatewayError(
        "CONFIG_INVALID",
        "join without data needs TargetClusterAddresses: client addresses of nodes that run",
      );
    }
    this.#waitingFor = "no address of TargetClusterAddresses answers as a cluster with a quorum";
    for (;;) {
      const view = await this.#with.gate.ask();
      const initial = view === null ? null : await this.#joinThrough(view);
      if (initial !== null) return initial;
      if (this.#with.clock.monotonicMs() + this.#with.retryMs > deadlineMs) break;
      await sleep(this.#with.retryMs, null, { signal });
    }
    throw new GatewayError(
      "CLUSTER_UNREACHABLE",
      `the cluster could not be joined within EtcdStartupGracePeriod: ${this.#waitingFor}`,
      { targets: otherTargets(this.#options) },
    );
  }

  /** @returns null when another try may go better. */
  async #joinThrough(view: ClusterView): Promise<InitialCluster | null> {
    if (view.clusterName === null) {
      this.#waitingFor = `the cluster at ${view.endpoint} has no name yet: is its seed running?`;
      return null;
    }
    this.#checkName(view);
    const own = view.members.find((member) => this.#hasAddress(member));
    if (own !== undefined && own.name !== "" && !this.#isNamed(own)) {
      throw new GatewayError(
        "ADDRESS_IN_USE",
        `member "${own.name}" of the cluster advertises ${own.peerUrls.join()}: give this node an `
        + "AdvertisePeerAddress of its own",
        { member: own.name },
      );
    }
    if (own?.name === "") return this.#remember(view.clusterId, own, view.members);
    const former = view.members.find((member) => this.#isNamed(member));
    if (former !== undefined) {
      await this.#replace(view, former);
      return null;
    }
    this.#warnOfSize(view);
    return await this.#add(view);
  }

  async #add(view: ClusterView): Promise<InitialCluster | null> {
    try {
      const { member, members } = await this.#with.gate.add(view, this.#peerUrls);
      this.addedMemberId = member.id;
      return this.#remember(view.clusterId, member, members);
    } catch (error) {
      // Refused while another member starts, while the cluster has just started, or because an
      // answer was lost and the member is there: the next look tells.
      this.#waitingFor = `the cluster does not take another member now (${String(error)})`;
      return null;
    }
  }

  /** Takes away the member that had this name, when it is dead; waits when it may be ending. */
  async #replace(view: ClusterView, former: EtcdMember): Promise<void> {
    const { clock, gate, log } = this.#with;
    const isAlive = await gate.serves(former);
    this.#sameNameSinceMs ??= clock.monotonicMs();
    const waitedMs = clock.monotonicMs() - this.#sameNameSinceMs;
    this.#waitingFor = `member "${former.name}" is still in the cluster`;
    if (isAlive) {
      if (waitedMs < Math.min(REPLACED_MS_MAX, this.#options.startupGraceMs / 4)) return;
      throw new GatewayError(
        "CLUSTER_SERVER_NAME_TAKEN",
        `a member of the cluster is called "${former.name}" and lives at `
        + `${former.clientUrls.join()}: give this node its own ServerName`,
        { name: former.name, clientUrls: former.clientUrls },
      );
    }
    // At this node's own address nothing else can come back; elsewhere it gets the usual time.
    if (!this.#hasAddress(former) && waitedMs < this.#options.unhealthyMemberTtlMs) return;
    try {
      await gate.remove(view, former.id);
      log("warn", `the former member "${former.name}" was dead and is removed`, {
        peerUrls: former.peerUrls,
      });
    } catch (error) {
      this.#waitingFor = `the dead member "${former.name}" cannot be removed (${String(error)})`;
    }
  }

  #remember(
    clusterId: string, own: EtcdMember, members: readonly EtcdMember[],
  ): InitialCluster {
    this.#with.directory.writeIdentity({ memberId: own.id, clusterId });
    this.#learnerId = own.isLearner ? own.id : null;
    return {
      state: "existing",
      members: members.map(({ id, name, peerUrls }) => ({
        // Members that have not started have no name; any will do, addresses are compared.
        name: id === own.id ? this.#options.serverName : name === "" ? `unstarted-${id}` : name,
        peerUrls: id === own.id ? this.#peerUrls : peerUrls,
      })),
    };
  }

  #alone(state: InitialCluster["state"]): InitialCluster {
    return { state, members: [{ name: this.#options.serverName, peerUrls: this.#peerUrls }] };
  }

  #checkName({ clusterName, endpoint }: ClusterView): void {
    if (clusterName !== null) checkClusterName(this.#options.clusterName, clusterName, endpoint);
  }

  #warnOfSize({ members }: ClusterView): void {
    if (this.#hasWarned || members.length < JOINED_MEMBERS_MAX) return;
    this.#hasWarned = true;
    this.#with.log("warn",
      `the cluster has ${members.length} members already: start further nodes with --cluster-op `
      + "client, every member takes part in every write");
  }

  #isNamed({ name }: EtcdMember): boolean {
    return name === this.#options.serverName;
  }

  #hasAddress({ peerUrls }: EtcdMember): boolean {
    return peerUrls.some((url) => this.#peerUrls.includes(url));
  }
}

/** Client URLs of the targets that are not this node itself. */
export function otherTargets(
  { server, clientTls, targetAddresses }: ClusterOptions,
): readonly string[] {
  const own = new Set(etcdUrls(server.advertiseClientAddresses, clientTls));
  return etcdUrls(targetAddresses, clientTls).filter((url) => !own.has(url));
}

/** @throws GatewayError CLUSTER_NAME_MISMATCH */
export function checkClusterName(own: string, existing: string, endpoint: string): void {
  if (own === existing) return;
  throw new GatewayError(
    "CLUSTER_NAME_MISMATCH",
    `the configured cluster name '${own}' does not match the existing cluster name '${existing}' `
    + `at ${endpoint}: correct ClusterName or TargetClusterAddresses`,
    { own, existing, endpoint },
  );
}
