// A lane's copy of the cluster's map: which node owns a shard, which is its witness, and whether
// this node may decide on it now. On a single node everything is its own and always open.

import {
  ClusterWords, createShardColumns, NOBODY, SELF, systemMonotonicMs, type ShardColumns, NODES,
} from "../cluster/cluster-words.ts";
import { SHARDS } from "../hash/shard-of.ts";


/** What another map changes for a lane. */
export interface MapChange {
  /** Nodes that got shards, by number: 1 when what is undecided must be sent to them again. */
  readonly gained: Uint8Array;
  /** Nodes that became witness of a shard of this node: they get what is remembered of it. */
  readonly witnesses: Uint8Array;
  /** Shards that this node owned and owns no more, or owns anew: what it has of them is void. */
  readonly lost: Uint8Array;
  readonly hasLost: boolean;
  /**
   * It is the very next map, and this node is in both: nobody has judged what it lost, and nobody
   * will before this node has told what it knows.
   */
  readonly isNext: boolean;
}

/** Written by its lane only. */
export class ShardTable {
  /** Null on a single node. */
  readonly words: ClusterWords | null;
  readonly #lane: number;
  readonly #lanes: number;
  #columns: ShardColumns = createShardColumns();
  #next: ShardColumns = createShardColumns();
  /** By shard: the number of the owner; SELF for all on a single node. */
  owners: Uint8Array;
  witnesses: Uint8Array;
  since: Uint32Array;
  /** By shard of this node: epoch at which its witness became that. */
  readonly witnessSince = new Uint32Array(SHARDS);
  epoch = 0;
  /** By node: the epoch for which it has told all that it knew; by lane for this node's own. */
  readonly #complete = new Uint32Array(NODES);
  readonly #completeLanes: Uint32Array;
  /** Shards that this node has since this epoch, or an earlier one, are open. */
  #openSince = 0;

  constructor(memory: SharedArrayBuffer | null, lane: number, lanes: number) {
    this.words = memory === null ? null : new ClusterWords(memory);
    this.#lane = lane;
    this.#lanes = lanes;
    this.#completeLanes = new Uint32Array(lanes);
    if (memory === null) {
      this.#columns.owners.fill(SELF);
      this.#openSince = 0xffff_ffff;
    }
    this.owners = this.#columns.owners;
    this.witnesses = this.#columns.witnesses;
    this.since = this.#columns.since;
  }

  /** The map in force, and which node has which policy set. Another object after every adopt. */
  get columns(): ShardColumns {
    return this.#columns;
  }

  get clustered(): boolean {
    return this.words !== null;
  }

  /** Takes over the map in force. @returns null when it is the one that the lane has. */
  adopt(): MapChange | null {
    if (this.words === null || this.words.epoch === this.epoch) return null;
    const former = this.#columns;
    const columns = this.#next;
    const formerEpoch = this.epoch;
    this.epoch = this.words.read(columns);
    this.#columns = columns;
    this.#next = former;
    this.owners = columns.owners;
    this.witnesses = columns.witnesses;
    this.since = columns.since;
    const isMember = former.members[SELF] === 1 && columns.members[SELF] === 1;
    const change = {
      ...this.#compare(former, columns), isNext: isMember && this.epoch === formerEpoch + 1,
    };
    this.#countComplete();
    this.words.setAdopted(this.#lane, this.epoch);
    return change;
  }

  #compare(former: ShardColumns, columns: ShardColumns): Omit<MapChange, "isNext"> {
    const gained = new Uint8Array(NODES);
    const witnesses = new Uint8Array(NODES);
    const lost = new Uint8Array(SHARDS);
    let hasLost = false;
    for (let shard = 0; shard < SHARDS; shard++) {
      const owner = columns.owners[shard]!;
      const isNew = owner !== former.owners[shard] || columns.since[shard] !== former.since[shard];
      if (isNew) {
        gained[owner] = 1;
        if (former.owners[shard] === SELF) {
          lost[shard] = 1;
          hasLost = true;
        }
      }
      const witness = columns.witnesses[shard]!;
      if (owner !== SELF || witness === NOBODY) continue;
      if (!isNew && witness === former.witnesses[shard]) continue;
      this.witnessSince[shard] = this.epoch;
      witnesses[witness] = 1;
    }
    return { gained, witnesses, lost, hasLost };
  }

  /** The lane did a slice of a sweep or a walk: whoever waits for it hears of it. */
  walked(): void {
    this.words?.addWalked(this.#lane);
  }

  /** Whether anything may be decided now. */
  mayDecide(): boolean {
    return this.words === null || this.words.mayDecide(systemMonotonicMs());
  }

  /** Whether everybody has told what was known of this shard of this node. */
  isOpen(shard: number): boolean {
    return this.words === null || this.since[shard]! <= this.#openSince;
  }

  /** Shards of this node that wait for the others' reports. */
  closedShards(): number {
    if (this.words === null) return 0;
    let closed = 0;
    for (let shard = 0; shard < SHARDS; shard++) {
      if (this.owners[shard] === SELF && this.since[shard]! > this.#openSince) closed++;
    }
    return closed;
  }

  /** A node has told all that it knew at `epoch`. */
  completed(node: number, epoch: number): void {
    this.#complete[node] = Math.max(this.#complete[node]!, epoch);
    this.#countComplete();
  }

  /** The same of a lane of this node. */
  laneCompleted(lane: number, epoch: number): void {
    this.#completeLanes[lane] = Math.max(this.#completeLanes[lane]!, epoch);
    this.#countComplete();
  }

  #countComplete(): void {
    if (this.words === null) return;
    let least = 0xffff_ffff;
    for (let lane = 0; lane < this.#lanes; lane++) {
      least = Math.min(least, this.#completeLanes[lane]!);
    }
    for (let node = 1; node < NODES; node++) {
      if (this.#columns.members[node] === 1) least = Math.min(least, this.#complete[node]!);
    }
    this.#openSince = least;
  }
}
