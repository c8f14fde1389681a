// Policy sets of the other members, as the coordinator knows them: fetched from etcd by their hash,
// checked, and offered to the lanes. A member is linked when every lane has compiled its set.
//
//   wanted ─► fetched ─► offered ─► known
//       └► refused: this version cannot read it; told once
//
// Used by the coordinator's thread only; time and store are ports.

import type { Clock } from "../base/clock.ts";
import { NO_SET, OWN_SET } from "./cluster-words.ts";
import type { PolicySetBoard } from "./policy-set-board.ts";
import { POLICY_SET_BYTES_MAX } from "./policy-set-store.ts";
import type { MapMember, ShardMap } from "./shard-map.ts";
import { SlotMapping, type ForwarderNumbers } from "./slot-mapping.ts";

/** Sets of other nodes at a time: a change of configuration needs one, and each costs memory. */
export const FOREIGN_SETS_MAX = 8;
/** Different sets that a process can meet: their numbers are a byte of a decision. */
const SET_NUMBERS_MAX = 200;
/** After etcd did not answer, or had no such text. */
const RETRY_MS = 1_000;
const TOLD_MAX = 1_024;
const TOO_MANY = "a node decides by other policies, and this one knows as many other sets as it"
  + " can: nothing is sent to it until nodes have the same configuration, or this one starts anew";
const UNREADABLE = "a node decides by policies that this version cannot read: nothing is sent to"
  + " it until both have one version, or the same configuration";
const NOT_HAD = "a node decides by other policies, and etcd has not given their text yet: nothing"
  + " is sent to it until it has";
const OTHER = "a node decides by other policies or forwarders than this one: spans are matched"
  + " again for it until both have the same configuration";

/** What the exchange has to know of a member's policy set. */
export interface PeerSet {
  readonly number: number;
  /** False: nothing can be sent to it yet. */
  readonly isKnown: boolean;
  /** Null: its numbers of forwarders, and its votes, are this node's. */
  readonly slots: SlotMapping | null;
  /** It may have other numbers of forwarders all the same. */
  readonly hasSamePolicies: boolean;
}

/** What a text says, as far as the coordinator needs it. */
export interface ReadPolicySet extends ForwarderNumbers {
  readonly hasSamePolicies: boolean;
}

export interface PeerPolicySetsOptions {
  /** Hash of this node's own set. */
  readonly ownHash: string;
  readonly slotNames: readonly string[];
  readonly lanes: number;
}

export interface PeerPolicySetsDependencies {
  readonly board: PolicySetBoard;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Asks etcd, and answers once, later. Null: it has no such text. */
  readonly fetch: (hash: string, take: (text: string | null | Error) => void) => void;
  /** Checks hash and format and compiles. @throws Error that says what is wrong. */
  readonly read: (hash: string, text: string) => ReadPolicySet;
  readonly log: (
    level: "info" | "warn" | "error", message: string, fields: Readonly<Record<string, unknown>>,
  ) => void;
  /** Members of this set may be linked from here on. */
  readonly known: () => void;
  /** The thread has something to do. */
  readonly wake: () => void;
}

interface Known {
  readonly number: number;
  readonly hash: string;
  /** Of a member that has it, for the log. */
  readonly node: string;
  state: "wanted" | "asked" | "fetched" | "offered" | "known" | "refused";
  text: string;
  slots: SlotMapping | null;
  hasSamePolicies: boolean;
  retryAtMs: number;
}

const OWN: PeerSet = { number: OWN_SET, isKnown: true, slots: null, hasSamePolicies: true };
const NOBODYS: PeerSet = {
  number: NO_SET, isKnown: false, slots: null, hasSamePolicies: false,
};

export class PeerPolicySets {
  readonly #options: PeerPolicySetsOptions;
  readonly #with: PeerPolicySetsDependencies;
  /** By hash, those that members of the map have. */
  readonly #sets = new Map<string, Known>();
  /** By hash, for good: a number in a ring or in a log means one set. */
  readonly #numbers = new Map<string, number>();
  readonly #toldOf = new Set<string>();

  constructor(options: PeerPolicySetsOptions, dependencies: PeerPolicySetsDependencies) {
    this.#options = options;
    this.#with = dependencies;
  }

  /** Another map: forgets sets that nobody has any more, and wants those that are new. */
  takeMap({ members }: ShardMap): void {
    const used = new Set(members.map(({ policySet }) => policySet));
    for (const hash of this.#sets.keys()) if (!used.has(hash)) this.#sets.delete(hash);
    for (const { policySet: hash, name } of members) {
      if (hash === this.#options.ownHash || this.#sets.has(hash)) continue;
      const number = this.#numberOf(hash);
      if (number === null) {
        this.#tellOnce(hash, "error", TOO_MANY, { node: name });
        continue;
      }
      this.#sets.set(hash, {
        number, hash, node: name, state: "wanted", text: "", slots: null,
        hasSamePolicies: false, retryAtMs: 0,
      });
    }
  }

  #numberOf(hash: string): number | null {
    if (this.#sets.size === FOREIGN_SETS_MAX) return null;
    const known = this.#numbers.get(hash);
    if (known !== undefined) return known;
    if (this.#numbers.size === SET_NUMBERS_MAX) return null;
    const number = this.#numbers.size + 1;
    this.#numbers.set(hash, number);
    return number;
  }

  /** What is known of a member of the map's set. */
  of({ policySet }: MapMember): PeerSet {
    if (policySet === this.#options.ownHash) return OWN;
    const set = this.#sets.get(policySet);
    if (set === undefined) return NOBODYS;
    const { number, slots, hasSamePolicies } = set;
    return { number, isKnown: set.state === "known", slots, hasSamePolicies };
  }

  /** Does what is due. */
  run(): void {
    if (this.#sets.size === 0) return;
    const { board, clock } = this.#with;
    const nowMs = clock.monotonicMs();
    const isFree = board.isTaken(this.#options.lanes);
    let isOffered = !isFree;
    let isNew = false;
    for (const set of this.#sets.values()) {
      if (set.state === "wanted" && nowMs >= set.retryAtMs) this.#ask(set);
      if (set.state === "offered" && isFree) {
        set.state = "known";
        isNew = true;
        if (!set.hasSamePolicies) this.#with.log("warn", OTHER, { node: set.node });
      }
    }
    for (const set of this.#sets.values()) {
      if (isOffered || set.state !== "fetched") continue;
      board.offer({ number: set.number, text: set.text });
      set.text = "";
      set.state = "offered";
      isOffered = true;
    }
    if (isNew) this.#with.known();
  }

  #ask(set: Known): void {
    set.state = "asked";
    this.#with.fetch(set.hash, (answer) => {
      this.#take(set, answer);
      this.#with.wake();
    });
  }

  #take(set: Known, answer: string | null | Error): void {
    if (this.#sets.get(set.hash) !== set) return; // nobody has it any more
    if (typeof answer !== "string") {
      set.state = "wanted";
      set.retryAtMs = this.#with.clock.monotonicMs() + RETRY_MS;
      const cause = answer === null ? "there is no such key" : String(answer);
      this.#tellOnce(set.hash, "warn", NOT_HAD, { node: set.node, cause });
      return;
    }
    try {
      if (Buffer.byteLength(answer) > POLICY_SET_BYTES_MAX) throw new Error("it is too large");
      const read = this.#with.read(set.hash, answer);
      set.slots = new SlotMapping(this.#options.slotNames, read);
      set.hasSamePolicies = read.hasSamePolicies;
      set.text = answer;
      set.state = "fetched";
    } catch (error) {
      set.state = "refused";
      this.#tellOnce(set.hash, "error", UNREADABLE, { node: set.node, cause: String(error) });
    }
  }

  #tellOnce(
    hash: string, level: "warn" | "error", message: string,
    fields: Readonly<Record<string, unknown>>,
  ): void {
    const key = `${message} ${hash}`;
    if (this.#toldOf.has(key)) return;
    if (this.#toldOf.size === TOLD_MAX) this.#toldOf.clear();
    this.#toldOf.add(key);
    this.#with.log(level, message, fields);
  }
}
