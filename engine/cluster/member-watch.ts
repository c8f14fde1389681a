// What the coordinator knows of each other member by its connections: whether it is heard and
// hears, whether this node waits for it, and for how long already. And the word to others that this
// node's lanes are still at what those wait for.

import type { PeerLinks } from "../peer/peer-links.ts";
import type { ClusterWords } from "./cluster-words.ts";
import { STREAM_PARTS, STREAMS, type Peer } from "./exchange-ports.ts";
import type { FrameIntake } from "./frame-intake.ts";
import type { MapMember, ShardMap } from "./shard-map.ts";
import type { SilentMember } from "./silent-members.ts";
import { SilenceWatch, STEADY_MS } from "./silence-watch.ts";

/** Of the exchange. */
export interface WatchedExchange {
  readonly peers: readonly Peer[];
  readonly map: ShardMap | null;
  readonly heard: Pick<FrameIntake, "reported" | "progress">;
  sendNote(node: number, note: string): void;
}

export interface MemberWatchParts {
  readonly incarnation: string;
  readonly lanes: number;
  readonly handoverTimeoutMs: number;
  readonly words: ClusterWords;
  readonly exchange: WatchedExchange;
  readonly links: Pick<PeerLinks, "isUp">;
}

/** Used by the coordinator's thread only; times are monotonic. */
export class MemberWatch {
  readonly #in: MemberWatchParts;
  readonly #silence = new SilenceWatch();
  /** By log and stream: since when the node's own connection to this one is there. */
  readonly #heardSinceMs = new Map<string, number>();
  /** By incarnation: words that it is at work, as far as they count. */
  readonly #walking = new Map<string, number>();
  #walked = 0;
  #sinceOf: { readonly map: ShardMap; readonly since: readonly number[] } | null = null;

  constructor(parts: MemberWatchParts) {
    this.#in = parts;
  }

  /** A node's connection to this one begins, or ends. */
  inbound(logId: string, stream: number, isUp: boolean, nowMs: number): void {
    if (isUp) this.#heardSinceMs.set(`${stream} ${logId}`, nowMs);
    else this.#heardSinceMs.delete(`${stream} ${logId}`);
  }

  /** Both connections that this node dialed to the member are up. */
  reaches({ number }: Peer): boolean {
    return STREAMS.every((stream) => this.#in.links.isUp(number, stream));
  }

  /** Reaches all members that are registered: the others may be gone for good. */
  reachesAll(registered: readonly MapMember[]): boolean {
    const incarnations = new Set(registered.map(({ incarnation }) => incarnation));
    return this.#in.exchange.peers.every((peer) => {
      return !incarnations.has(peer.member.incarnation) || this.reaches(peer);
    });
  }

  /** Both connections that the member dialed to this node are up. */
  hears({ logId }: MapMember): boolean {
    return STREAMS.every((stream) => this.#heardSinceMs.has(`${stream} ${logId}`));
  }

  isConnected(member: MapMember): boolean {
    const peer = this.#in.exchange.peers.find((each) => {
      return each.member.incarnation === member.incarnation;
    });
    return peer !== undefined && this.reaches(peer) && this.hears(member);
  }

  /** The member says that its lanes are at work; see silence-watch.ts for when that counts. */
  takeWalking({ member: { logId, incarnation } }: Peer, nowMs: number): void {
    const sinceMs = this.#heardSinceMs.get(`${STREAM_PARTS} ${logId}`) ?? nowMs;
    if (nowMs - sinceMs < STEADY_MS) return;
    this.#walking.set(incarnation, (this.#walking.get(incarnation) ?? 0) + 1);
  }

  /** Call it every second or so. @param isMember of the map in force. */
  look(isMember: boolean, nowMs: number): void {
    const { exchange: { peers, heard, map }, words, lanes, incarnation } = this.#in;
    const present = new Set(peers.map(({ member }) => member.incarnation));
    for (const each of this.#walking.keys()) if (!present.has(each)) this.#walking.delete(each);
    const awaited = Array.from({ length: lanes }, (_, lane) => words.awaited(lane));
    const since = isMember && map !== null ? this.#highestSince(map, incarnation) : 0;
    this.#silence.look(peers.map(({ number, member }) => {
      // The batches that wait for it: each has a number, so another one is another text.
      const batches = awaited.filter((word) => word !== 0 && (word & 0xff) === number);
      return {
        incarnation: member.incarnation,
        isWaitedFor: isMember && (heard.reported[number]! < since || batches.length > 0),
        progress: `${heard.progress[number]!} ${this.#walking.get(member.incarnation) ?? 0} `
          + batches.join(","),
      };
    }), nowMs);
  }

  waitedMs({ incarnation }: MapMember, nowMs: number): number | null {
    return this.#silence.waitedMs(incarnation, nowMs);
  }

  /** Members that this node has waited for past HandoverTimeout. */
  silent(nowMs: number): SilentMember[] {
    const { exchange: { peers }, handoverTimeoutMs } = this.#in;
    return peers.map(({ member }) => ({ member, silentMs: this.waitedMs(member, nowMs) ?? 0 }))
      .filter(({ silentMs }) => silentMs >= handoverTimeoutMs);
  }

  /** Tells members whose report this node owes that its lanes are at it, if they are. */
  tellWalking(): void {
    const { exchange, words, lanes } = this.#in;
    let walked = 0;
    for (let lane = 0; lane < lanes; lane++) walked = (walked + words.walked(lane)) | 0;
    if (walked === this.#walked || exchange.map === null) return;
    this.#walked = walked;
    for (const { number, member } of exchange.peers) {
      const since = this.#highestSince(exchange.map, member.incarnation);
      if (words.completeAt(number) >= since) continue;
      exchange.sendNote(number, JSON.stringify({ kind: "walking" }));
    }
  }

  /** The last epoch at which a member got a shard: for that it waits for everybody's report. */
  #highestSince(map: ShardMap, incarnation: string): number {
    if (this.#sinceOf?.map !== map) {
      const since = map.members.map(() => 0);
      map.owners.forEach((owner, shard) => {
        if (owner < since.length) since[owner] = Math.max(since[owner]!, map.since[shard]!);
      });
      this.#sinceOf = { map, since };
    }
    const index = map.members.findIndex((member) => member.incarnation === incarnation);
    return this.#sinceOf.since[index] ?? 0;
  }
}
