// All connections of this node with the others: two dialed to each of them, one for parts and one
// for decisions, so that parts that find no room never hold up decisions; and what they dial here.
// One node's trouble is no other's. Knows frames as bytes only.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { assert } from "../base/assert.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { GatewayError } from "../base/errors.ts";
import type { LinkIdentity } from "./handshake.ts";
import { IncomingLink } from "./incoming-link.ts";
import {
  createLinkCounts, LINK_LIMITS, type LinkContext, type LinkCounts, type LinkLimits,
} from "./link-context.ts";
import { OutgoingLink } from "./outgoing-link.ts";

const STREAMS = 2;
/** A tick is late when it is this many times its time: then the thread was not looking. */
const TICK_LATE = 2;
const TICK_MS_MAX = 250;
const TICKS_PER_SILENCE = 10;
/** What was told lately; beyond it all is told anew. */
const TOLD_MAX = 1_024;
const ADDRESS = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/;
const PORT_MAX = 65_535;

const LOST = "the connection to another node was lost; it is dialed again";
const UNREACHABLE = "another node cannot be reached: see that it runs, and that this node can reach"
  + " its AdvertiseRebalanceAddress";
const REFUSED = "a connection between nodes was refused";
const BAD_ADDRESS = "another node's AdvertiseRebalanceAddress is not host:port: correct it there";
const LISTENER_FAILED = "a connection of another node could not be taken";

/** A node to send to. */
export interface PeerAddress extends LinkIdentity {
  /** By which the caller knows it; 0 and up. */
  readonly number: number;
  /** host:port */
  readonly address: string;
}

export interface PeerLinksOptions {
  readonly self: LinkIdentity;
  /** ClusterName. */
  readonly cluster: string;
  /** ClusterSecret; may be empty. */
  readonly secret: string;
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Without a byte from the other side for this long, a connection is given up. */
  readonly silenceMsMax: number;
  /** In [0, 1): spreads attempts. */
  readonly random: () => number;
  readonly limits?: LinkLimits;
  readonly clock?: Clock;
}

/** None is called after close(). A handler may call anything of PeerLinks. */
export interface PeerLinksHandlers {
  readonly up: (number: number, stream: number) => void;
  /** It was up. */
  readonly down: (number: number, stream: number) => void;
  /**
   * A frame behind its size, in order for each node and stream.
   * @returns false: no room now; it is offered again, and before all others, at resume().
   * @param bytes borrowed until the return; offered again they may lie elsewhere.
   */
  readonly frame: (
    logId: string, incarnation: string, stream: number, bytes: Uint8Array,
  ) => boolean;
  /** A node's connection to this one begins or ends. */
  readonly inboundUp?: (logId: string, stream: number) => void;
  readonly inboundDown?: (logId: string, stream: number) => void;
  readonly log: (
    level: "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>,
  ) => void;
}

interface Outgoing {
  readonly peer: PeerAddress;
  readonly links: readonly OutgoingLink[];
}

/** From start() to close(). Used by one thread. */
export class PeerLinks {
  readonly counts: LinkCounts = createLinkCounts();
  readonly #options: PeerLinksOptions;
  readonly #handlers: PeerLinksHandlers;
  readonly #context: LinkContext;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #outgoing = new Map<number, Outgoing>();
  /** All that have a socket, proved or not. */
  readonly #incoming = new Set<IncomingLink>();
  /** Those that were accepted, by sender and stream. */
  readonly #accepted = new Map<string, IncomingLink>();
  readonly #told = new Map<string, number>();
  readonly #tickMs: number;
  #ticking: NodeJS.Timeout | null = null;
  #tickedAtMs: number;
  #notLookingMs = 0;
  #isClosed = false;

  constructor(options: PeerLinksOptions, handlers: PeerLinksHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#clock = options.clock ?? systemClock;
    this.#tickedAtMs = this.#clock.monotonicMs();
    this.#tickMs = Math.min(TICK_MS_MAX, options.silenceMsMax / TICKS_PER_SILENCE);
    const { self, cluster, secret, silenceMsMax, random } = options;
    this.#context = {
      self, cluster, secret, silenceMsMax, random, counts: this.counts,
      limits: options.limits ?? LINK_LIMITS,
      nowMs: () => this.#clock.monotonicMs() - this.#notLookingMs,
    };
    this.#server = createServer({ noDelay: true }, (socket) => this.#takeSocket(socket));
  }

  /**
   * Listens; resolves with the port.
   * @throws GatewayError ADDRESS_IN_USE, or CONFIG_INVALID when the address cannot be used at all.
   */
  async start(): Promise<number> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => reject(listenFault(error, host, port));
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.off("error", failed);
        this.#server.on("error", (error) => {
          this.#tell("", "warn", LISTENER_FAILED, { cause: error.message });
        });
        resolve();
      });
    });
    this.#tickFromNow();
    const address = this.#server.address();
    assert(address !== null && typeof address !== "string", "a TCP listener has an address");
    return (address as AddressInfo).port;
  }

  /** Dials new ones, and anew when a node is another process or has moved; ends the others. */
  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#isClosed) return;
    const wanted = new Map(peers.map((peer) => [peer.number, peer]));
    for (const [number, { peer, links }] of this.#outgoing) {
      const now = wanted.get(number);
      const isSame = now !== undefined && now.incarnation === peer.incarnation
        && now.address === peer.address && now.logId === peer.logId;
      if (isSame) continue;
      this.#outgoing.delete(number);
      links.forEach((link, stream) => {
        const { owesDown } = link;
        link.close()?.destroy();
        if (owesDown) this.#handlers.down(number, stream);
      });
    }
    for (const [number, peer] of wanted) {
      if (!this.#outgoing.has(number)) this.#outgoing.set(number, this.#dial(peer));
    }
    this.#tickFromNow();
  }

  #dial(peer: PeerAddress): Outgoing {
    const place = readAddress(peer.address);
    if (place === null) {
      this.#tell(peer.name, "warn", BAD_ADDRESS, { node: peer.name, address: peer.address });
      return { peer, links: [] };
    }
    const { number, name, logId, incarnation, address } = peer;
    const fields = { node: name, address };
    const links = Array.from({ length: STREAMS }, (_, stream) => new OutgoingLink(
      { stream, to: { name, logId, incarnation }, ...place }, this.#context, {
        up: () => this.#handlers.up(number, stream),
        down: (reason) => {
          this.counts.linksLost++;
          this.#tell(name, "warn", LOST, { ...fields, reason });
          this.#handlers.down(number, stream);
        },
        refused: (reason) => this.#refused(name, { ...fields, reason }),
        failed: (reason, forMs) => {
          if (forMs < this.#context.limits.tellAfterMs) return;
          this.#tell(name, "warn", UNREACHABLE, { ...fields, reason });
        },
      }));
    return { peer, links };
  }

  #takeSocket(socket: Socket): void {
    const { limits } = this.#context;
    const unproven = this.#incoming.size - this.#accepted.size;
    if (this.#isClosed || unproven >= limits.unprovenMax
      || this.#incoming.size >= limits.incomingMax) {
      this.counts.connectionsDropped++;
      socket.on("error", () => socket.destroy()); // it was reset meanwhile: the same end
      socket.destroy();
      return;
    }
    this.#incoming.add(new IncomingLink(socket, this.#context, {
      accepted: (link) => this.#accept(link),
      frame: ({ from: { from, stream } }, bytes) =>
        this.#handlers.frame(from.logId, from.incarnation, stream, bytes),
      refused: (reason, hello, address) => {
        // By its address: whoever was refused may have chosen its name.
        this.#refused(address, { node: hello?.from.name, address, reason });
      },
      closed: (link) => {
        this.#incoming.delete(link);
        this.#forget(link);
      },
    }));
  }

  /** A node that dials again has given its former connection up, whatever is left on it. */
  #accept(link: IncomingLink): void {
    const { from, stream } = link.from;
    const former = this.#accepted.get(keyOf(link));
    if (former !== undefined) {
      former.close();
      this.#forget(former);
    }
    this.#accepted.set(keyOf(link), link);
    this.#handlers.inboundUp?.(from.logId, stream);
  }

  #forget(link: IncomingLink): void {
    for (const [key, accepted] of this.#accepted) {
      if (accepted !== link) continue;
      this.#accepted.delete(key);
      if (this.#isClosed) return;
      const { from, stream } = link.from;
      this.counts.linksLost++;
      this.#handlers.inboundDown?.(from.logId, stream);
    }
  }

  #refused(who: string, fields: Readonly<Record<string, unknown>>): void {
    this.counts.refusedHandshakes++;
    this.#tell(who, "warn", REFUSED, fields);
  }

  /** Once in a while about the same node; what is refused comes again and again. */
  #tell(
    who: string, level: "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>,
  ): void {
    const nowMs = this.#clock.monotonicMs();
    const key = `${message} ${who}`;
    const toldAtMs = this.#told.get(key);
    const { tellAgainMs } = this.#context.limits;
    if (toldAtMs !== undefined && nowMs - toldAtMs < tellAgainMs) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.set(key, nowMs);
    this.#handlers.log(level, message, fields);
  }

  #tickFromNow(): void {
    if (this.#ticking !== null) return;
    this.#tickedAtMs = this.#clock.monotonicMs();
    this.#ticking = setInterval(() => this.#tick(), this.#tickMs);
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const tookMs = nowMs - this.#tickedAtMs;
    this.#tickedAtMs = nowMs;
    // What others said while this thread was busy lies unread: it is no silence of theirs.
    if (tookMs > TICK_LATE * this.#tickMs) this.#notLookingMs += tookMs - this.#tickMs;
    for (const { links } of this.#outgoing.values()) for (const link of links) link.tick();
    for (const link of this.#incoming) link.tick();
  }

  /**
   * Sends a frame that has its size before it, if the connection is up; else it is gone.
   * @returns true when the bytes are not needed any more; else they are kept until they have left,
   * and are not to be used again.
   */
  send(number: number, stream: number, bytes: Uint8Array): boolean {
    return this.#outgoing.get(number)?.links[stream]?.send(bytes) ?? true;
  }

  /** Sent and not taken by the other node's handler: also what is on the way, and its pings. */
  waitingBytes(number: number, stream: number): number {
    return this.#outgoing.get(number)?.links[stream]?.waitingBytes ?? 0;
  }

  isUp(number: number, stream: number): boolean {
    return this.#outgoing.get(number)?.links[stream]?.isUp ?? false;
  }

  /** Ends the connection; down follows, and another one is made. */
  reset(number: number, stream: number): void {
    this.#outgoing.get(number)?.links[stream]?.reset();
  }

  /** Room may be there again: frames that found none are offered. */
  resume(): void {
    for (const link of this.#incoming) link.resume();
  }

  /** See counts. */
  get reconnects(): number {
    return this.counts.reconnects;
  }

  /** See counts. */
  get refusedHandshakes(): number {
    return this.counts.refusedHandshakes;
  }

  /** The longest time that a node has taken nothing of what was sent to it, ms. */
  get stalledMs(): number {
    let longest = 0;
    for (const { links } of this.#outgoing.values()) {
      for (const link of links) longest = Math.max(longest, link.stalledMs);
    }
    return longest;
  }

  /** Takes no more frames, lets what was sent leave for closeMs, then ends every connection. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#ticking !== null) clearInterval(this.#ticking);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const link of this.#incoming) link.close();
    const leaving: Promise<void>[] = [];
    for (const { links } of this.#outgoing.values()) {
      for (const link of links) {
        const socket = link.close();
        if (socket !== null) leaving.push(endSocket(socket, this.#context.limits.closeMs));
      }
    }
    this.#outgoing.clear();
    await Promise.all(leaving);
    await closed;
  }
}

/** Resolves when it is closed: by the other side, which has read all, or by the time. */
function endSocket(socket: Socket, closeMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), closeMs);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.connecting || socket.destroyed) socket.destroy();
    else socket.end();
  });
}

function keyOf(link: IncomingLink): string {
  const { from, stream } = link.from;
  return `${stream} ${from.logId}`;
}

/** Null when it is not host:port. */
function readAddress(address: string): { host: string; port: number } | null {
  const found = ADDRESS.exec(address);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  return host === undefined || port < 1 || port > PORT_MAX ? null : { host, port };
}

function listenFault(error: NodeJS.ErrnoException, host: string, port: number): GatewayError {
  const setting = "ListenRebalanceAddress";
  const shown = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const detail = { host, port, setting };
  if (error.code === "EADDRINUSE") {
    return new GatewayError("ADDRESS_IN_USE",
      `cannot listen on ${shown}: another process does. Stop it (ss -ltnp 'sport = :${port}' `
      + `names it), or set ${setting} to a free address.`, detail, error);
  }
  return new GatewayError("CONFIG_INVALID",
    `cannot listen on ${shown} (${error.code ?? "error"}). Set ${setting} to an address of this `
    + "machine and a port this user may open.", detail, error);
}
