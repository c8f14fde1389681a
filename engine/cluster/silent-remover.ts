// Deletes the registration of a silent member, or says why it does not. Part of the map keeper: it
// acts on a list of the nodes that the keeper has just asked for, and only when the keeper may
// propose a map.

import type { ClusterLog } from "./cluster-options.ts";
import { nameAll } from "./map-news.ts";
import type { Membership, RegisteredNode } from "./membership.ts";
import type { MapMember } from "./shard-map.ts";
import { planRemoval, type RemovalPlan, type SilentMember } from "./silent-members.ts";

const SECOND_MS = 1_000;

/** What the node knows of the others by its connections. */
export interface Silence {
  readonly silent: readonly SilentMember[];
  readonly isConnected: (member: MapMember) => boolean;
}

export interface SilentRemoverOptions {
  readonly self: MapMember;
  readonly membership: Pick<Membership, "deleteNode">;
  readonly log: ClusterLog;
}

/** Used by the map keeper only. */
export class SilentRemover {
  readonly #with: SilentRemoverOptions;
  #silence: Silence = { silent: [], isConnected: () => false };
  #isDue = false;
  #told = "";
  /** Members taken out. */
  removed = 0;

  constructor(options: SilentRemoverOptions) {
    this.#with = options;
  }

  /** Whether remove() has something to look at; once for each report. */
  get isDue(): boolean {
    return this.#isDue;
  }

  report(silence: Silence): void {
    this.#silence = silence;
    this.#isDue = silence.silent.length > 0;
    if (silence.silent.length === 0) this.#told = "";
  }

  /**
   * Takes out the member that has to go, if there is one.
   * @param members of the map in force. @param nodes as a list found them since.
   * @throws GatewayError CLUSTER_STORE_UNAVAILABLE: it may be out; it can come back at any time.
   */
  async remove(members: readonly MapMember[], nodes: readonly RegisteredNode[]): Promise<void> {
    this.#isDue = false;
    const { self, membership, log } = this.#with;
    const find = (member: MapMember): RegisteredNode | undefined => nodes.find((node) => {
      return node.member.logId === member.logId && node.member.incarnation === member.incarnation;
    });
    const own = find(self);
    const plan = planRemoval({
      members, self, silent: this.#silence.silent, isConnected: this.#silence.isConnected,
      isRegistered: (member) => find(member) !== undefined,
    });
    if (typeof plan === "string") {
      this.#tell(plan);
      return;
    }
    const node = find(plan.member);
    if (own === undefined || node === undefined) return;
    if (!await membership.deleteNode(node, own)) return; // it registered anew meanwhile
    this.removed++;
    log("warn", `"${plan.member.name}" ${silentFor(plan.silentMs)}: it is taken out of the map, so `
      + "that its traces go on elsewhere; it comes back by itself when it reaches all members",
    { node: plan.member.name });
  }

  /** Once, as long as it is about the same members. */
  #tell(plan: Exclude<RemovalPlan, SilentMember>): void {
    if (plan === "nobody" || plan === "another is going") return;
    const { silent } = this.#silence;
    const names = nameAll(silent.map(({ member }) => member));
    const told = `${plan} ${names}`;
    if (told === this.#told) return;
    this.#told = told;
    const longestMs = Math.max(...silent.map(({ silentMs }) => silentMs));
    const why = plan === "pair"
      ? "of two nodes nobody can say which one is cut off, so none is taken out: mend the"
        + " connection between them, or stop one"
      : "this node has no connections with most of the members, so it takes nobody out: see its"
        + " own network first";
    this.#with.log("warn", `${names} ${silentFor(longestMs)}, and traces wait: ${why}`);
  }
}

function silentFor(silentMs: number): string {
  return `has not reported for ${Math.round(silentMs / SECOND_MS)} s though its lease lives`;
}
