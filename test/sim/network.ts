// The network's double: for each pair of processes and stream one ordered way, as PeerLinks keeps
// it: dialed again and again while the other one is a peer, lost with a part of what is on it,
// silent when a direction is blocked, and given up after SILENCE_MS.

import type { Stream, Transport } from "../../engine/cluster/exchange-ports.ts";
import type { Random } from "../support/random.ts";
import type { SimNode } from "./sim-node.ts";
import type { VirtualTime } from "./virtual-time.ts";

const SILENCE_MS = 5_000;
const STREAMS: readonly Stream[] = [0, 1];

interface Flying {
  readonly bytes: Uint8Array;
  readonly atMs: number;
}

class Link {
  readonly from: SimNode;
  readonly number: number;
  readonly stream: Stream;
  readonly incarnation: string;
  readonly toName: string;
  isUp = false;
  /** Nobody sends on it any more; what is on it may still arrive. */
  isGhost = false;
  isGivenUp = false;
  sentBytes = 0;
  takenBytes = 0;
  queue: Flying[] = [];
  acks: { readonly atMs: number; readonly bytes: number }[] = [];
  dialAtMs = 0;
  heardMs = 0;

  constructor(
    from: SimNode, number: number, stream: Stream,
    to: { readonly incarnation: string; readonly name: string },
  ) {
    this.from = from;
    this.number = number;
    this.stream = stream;
    this.incarnation = to.incarnation;
    this.toName = to.name;
  }
}

/** All ways between all processes. */
export class Network {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #find: (incarnation: string) => SimNode | undefined;
  #links: Link[] = [];
  /** "a>b": until when nothing gets through. */
  readonly #blocked = new Map<string, number>();
  /** "a>b": until when everything takes seconds. */
  readonly #slow = new Map<string, number>();

  constructor(
    time: VirtualTime, random: Random,
    find: (incarnation: string) => SimNode | undefined,
  ) {
    this.#time = time;
    this.#random = random;
    this.#find = find;
  }

  block(from: string, to: string, untilMs: number): void {
    this.#blocked.set(`${from}>${to}`, untilMs);
  }

  slow(from: string, to: string, untilMs: number): void {
    this.#slow.set(`${from}>${to}`, untilMs);
  }

  heal(): void {
    this.#blocked.clear();
    this.#slow.clear();
  }

  /** Cuts what one node dialed to another: one stream of it, or both. */
  cut(from: string, to: string, stream: Stream | null): void {
    for (const link of this.#links) {
      if (link.from.name !== from || link.toName !== to) continue;
      if (stream === null || link.stream === stream) link.isGivenUp = true;
    }
  }

  transportOf(node: SimNode): Transport {
    const find = (number: number, stream: Stream): Link | undefined => this.#links.find((link) => {
      return link.from === node && link.number === number && link.stream === stream
        && !link.isGhost;
    });
    return {
      send: (number, stream, bytes) => {
        const link = find(number, stream);
        if (link?.isUp !== true) return true;
        link.sentBytes += bytes.length;
        const atMs = Math.max(link.queue.at(-1)?.atMs ?? 0, this.#arrival(link));
        link.queue.push({ bytes, atMs });
        return false;
      },
      waitingBytes: (number, stream) => {
        const link = find(number, stream);
        return link === undefined ? 0 : link.sentBytes - link.takenBytes;
      },
      reset: (number, stream) => {
        const link = find(number, stream);
        if (link !== undefined) link.isGivenUp = true;
      },
    };
  }

  #arrival({ from, toName }: Link): number {
    const { nowMs } = this.#time;
    const isSlow = (this.#slow.get(`${from.name}>${toName}`) ?? 0) > nowMs;
    if (isSlow) return nowMs + this.#random.below(4_000);
    return nowMs + (this.#random.chance(0.03) ? this.#random.below(600) : this.#random.below(20));
  }

  #isBlocked(from: string, to: string): boolean {
    return (this.#blocked.get(`${from}>${to}`) ?? 0) > this.#time.nowMs;
  }

  /** As PeerLinks.setPeers: ends what is no peer, dials what is new. */
  setPeers(node: SimNode): void {
    const { peers } = node.exchange;
    for (const link of this.#links) {
      if (link.from !== node || link.isGhost) continue;
      const stays = peers.some(({ number, member }) => {
        return number === link.number && member.incarnation === link.incarnation;
      });
      if (stays) continue;
      const wasUp = link.isUp;
      this.#leave(link);
      if (wasUp) node.exchange.down(link.number, link.stream);
    }
    for (const { number, member } of peers) {
      for (const stream of STREAMS) {
        const has = this.#links.some((link) => link.from === node && link.number === number
          && link.stream === stream && !link.isGhost);
        if (has) continue;
        const link = new Link(node, number, stream, member);
        link.dialAtMs = this.#time.nowMs + this.#random.below(200);
        this.#links.push(link);
      }
    }
  }

  /** A process is gone: what it sent may arrive. */
  died(node: SimNode): void {
    for (const link of this.#links) if (link.from === node) this.#leave(link);
    this.#links = this.#links.filter((link) => {
      return link.incarnation !== node.incarnation || link.from.isAlive;
    });
  }

  #leave(link: Link): void {
    link.isGhost = true;
    link.isUp = false;
    link.queue.length = this.#random.below(link.queue.length + 1);
  }

  /** The sender's side of its connections. */
  tick(node: SimNode): void {
    const { nowMs } = this.#time;
    this.#links = this.#links.filter(({ isGhost, queue }) => !isGhost || queue.length > 0);
    for (const link of this.#links) {
      if (link.from !== node || link.isGhost) continue;
      if (link.isUp) this.#look(link, nowMs);
      else if (nowMs >= link.dialAtMs) this.#dial(link, nowMs);
    }
  }

  #reaches(link: Link): boolean {
    const to = this.#find(link.incarnation);
    return to !== undefined && !to.isPaused && !this.#isBlocked(link.from.name, link.toName)
      && !this.#isBlocked(link.toName, link.from.name);
  }

  #look(link: Link, nowMs: number): void {
    if (this.#reaches(link)) link.heardMs = nowMs;
    while (link.acks.length > 0 && link.acks[0]!.atMs <= nowMs
      && !this.#isBlocked(link.toName, link.from.name)) {
      link.takenBytes += link.acks.shift()!.bytes;
    }
    const isDead = this.#find(link.incarnation) === undefined
      && this.#random.chance(0.1);
    if (!isDead && !link.isGivenUp && nowMs - link.heardMs <= SILENCE_MS) return;
    link.isUp = false;
    link.isGivenUp = false;
    link.queue.length = this.#random.below(link.queue.length + 1);
    link.dialAtMs = nowMs + this.#random.below(400);
    link.from.exchange.down(link.number, link.stream);
  }

  #dial(link: Link, nowMs: number): void {
    link.isGivenUp = false;
    if (!this.#reaches(link)) {
      link.dialAtMs = nowMs + 50 + this.#random.below(450);
      return;
    }
    for (const other of this.#links) { // the other side closes what came before
      const isFormer = other.isGhost && other.from === link.from
        && other.incarnation === link.incarnation && other.stream === link.stream;
      if (isFormer) other.queue = [];
    }
    link.queue = [];
    link.acks = [];
    link.sentBytes = 0;
    link.takenBytes = 0;
    link.isUp = true;
    link.heardMs = nowMs;
    link.from.exchange.up(link.number, link.stream);
  }

  /** The receiver's side: gives it what has arrived, in order, as far as it takes it. */
  deliver(node: SimNode): void {
    const { nowMs } = this.#time;
    for (const link of this.#links) {
      if (link.incarnation !== node.incarnation) continue;
      if (this.#isBlocked(link.from.name, link.toName)) continue;
      const { from, stream, queue } = link;
      while (queue.length > 0 && queue[0]!.atMs <= nowMs) {
        const { bytes } = queue[0]!;
        if (!node.exchange.frame(from.place.logId, from.incarnation, stream, bytes)) break;
        queue.shift();
        link.acks.push({ atMs: nowMs + this.#random.below(30), bytes: bytes.length });
      }
    }
  }

  /** Nothing is blocked or slow. */
  get isHealthy(): boolean {
    const { nowMs } = this.#time;
    return [...this.#blocked.values(), ...this.#slow.values()].every((untilMs) => untilMs <= nowMs);
  }

  /** Nothing is on its way to a process that lives. */
  get isQuiet(): boolean {
    return this.#links.every(({ queue, incarnation }) => {
      return queue.length === 0 || this.#find(incarnation) === undefined;
    });
  }
}
