// Nodes that are only their links, a way between them that can be cut or go silent, and raw ends
// of connections that say what no node would.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { LinkIdentity } from "../../../engine/peer/handshake.ts";
import { LINK_LIMITS, type LinkLimits } from "../../../engine/peer/link-context.ts";
import {
  PeerLinks, type PeerAddress, type PeerLinksOptions,
} from "../../../engine/peer/peer-links.ts";
import { until } from "../../support/until.ts";

export const HOST = "127.0.0.1";

export const QUICK: LinkLimits = {
  ...LINK_LIMITS, retryMsMin: 5, retryMsMax: 40, handshakeMsMax: 300, pingMs: 50, tellAfterMs: 50,
};

export interface Taken {
  readonly logId: string;
  readonly incarnation: string;
  readonly stream: number;
  readonly bytes: Buffer;
}

export interface Told {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const open = new Set<{ close(): Promise<void> }>();

/** For afterEach: ends everything that a test began. */
export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((each) => each.close()));
  open.clear();
}

/** A node that takes every frame, or those that `accepts` says. */
export class LinkNode {
  readonly self: LinkIdentity;
  readonly links: PeerLinks;
  readonly taken: Taken[] = [];
  readonly told: Told[] = [];
  readonly events: string[] = [];
  accepts: (frame: Taken) => boolean = () => true;
  port = 0;

  constructor(name: string, options: Partial<PeerLinksOptions> = {}, incarnation = "1") {
    this.self = { name, logId: `log-${name}`, incarnation };
    this.links = new PeerLinks({
      self: this.self, cluster: "shop", secret: "", silenceMsMax: 5_000, limits: QUICK,
      random: Math.random, listen: { host: HOST, port: 0 }, ...options,
    }, {
      up: (number, stream) => this.events.push(`up ${number} ${stream}`),
      down: (number, stream) => this.events.push(`down ${number} ${stream}`),
      inboundUp: (logId, stream) => this.events.push(`inbound up ${logId} ${stream}`),
      inboundDown: (logId, stream) => this.events.push(`inbound down ${logId} ${stream}`),
      frame: (logId, from, stream, bytes) => {
        const frame = { logId, incarnation: from, stream, bytes: Buffer.from(bytes) };
        if (!this.accepts(frame)) return false;
        this.taken.push(frame);
        return true;
      },
      log: (level, message, fields) => this.told.push({ level, message, fields }),
    });
    open.add(this.links);
  }

  static async start(
    name: string, options: Partial<PeerLinksOptions> = {}, incarnation = "1",
  ): Promise<LinkNode> {
    const node = new LinkNode(name, options, incarnation);
    node.port = await node.links.start();
    return node;
  }

  /** As others dial it. @param port of a way to it, instead of its own. */
  as(number: number, port = this.port): PeerAddress {
    return { number, ...this.self, address: `${HOST}:${port}` };
  }

  count(event: string): number {
    return this.events.filter((each) => each === event).length;
  }

  async becomesUp(number: number, streams = [0, 1]): Promise<void> {
    await until(() => streams.every((stream) => this.links.isUp(number, stream)),
      () => `${this.self.name} up with ${number}; told: ${JSON.stringify(this.told)}`);
  }

  /** Sizes of frames' bodies of one stream, in order. */
  bodies(stream: number): string[] {
    return this.taken.filter((frame) => frame.stream === stream)
      .map(({ bytes }) => bytes.toString("latin1", 4));
  }
}

/** A body behind its size, in memory of its own. */
export function framed(body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const frame = Buffer.alloc(4 + bytes.length);
  frame.writeUInt32LE(bytes.length, 0);
  bytes.copy(frame, 4);
  return frame;
}

/** Carries connections to a port; can cut them, or let either direction go silent. */
export class Way {
  port = 0;
  #to: number;
  #silent = { there: false, back: false };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(to: number) {
    this.#to = to;
    this.#server = createServer((socket) => this.#carry(socket));
    open.add(this);
  }

  static async to(port: number): Promise<Way> {
    const way = new Way(port);
    way.#server.listen(0, HOST);
    await once(way.#server, "listening");
    way.port = portOf(way.#server);
    return way;
  }

  #carry(near: Socket): void {
    const far = connect(this.#to, HOST);
    const ends = [[near, far, "there"], [far, near, "back"]] as const;
    for (const [from, to, direction] of ends) {
      this.#sockets.add(from);
      from.on("data", (chunk) => {
        if (!this.#silent[direction]) to.write(chunk);
      });
      from.on("error", () => from.destroy()); // "close" ends the other one
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#silent.there || !this.#silent.back) to.destroy();
      });
    }
  }

  /** Everything that goes in a direction vanishes from now on; nobody is told. */
  silence(there: boolean, back: boolean): void {
    this.#silent = { there, back };
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The dialing end of a connection, by hand. */
export class RawDialer {
  readonly socket: Socket;
  received = "";
  isClosed = false;

  constructor(port: number) {
    this.socket = connect(port, HOST);
    this.socket.on("data", (chunk) => { this.received += chunk.toString("latin1"); });
    this.socket.on("error", () => this.socket.destroy()); // "close" follows
    this.socket.on("close", () => { this.isClosed = true; });
    open.add(this);
  }

  /** The lines that came so far. */
  get lines(): string[] {
    return this.received.split("\n").slice(0, -1);
  }

  async line(index: number): Promise<Record<string, unknown>> {
    await until(() => this.lines.length > index || this.isClosed, `line ${index}`);
    return JSON.parse(this.lines[index] ?? "{}") as Record<string, unknown>;
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await until(() => this.isClosed, "closed");
  }
}

/** A listener that answers by hand, line by line. */
export class RawAnswerer {
  port = 0;
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: (line: string, socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.connections++;
      this.#sockets.add(socket);
      let held = "";
      socket.on("error", () => socket.destroy()); // the test looks at the other side
      socket.on("data", (chunk) => {
        held += chunk.toString("latin1");
        for (let end = held.indexOf("\n"); end >= 0; end = held.indexOf("\n")) {
          const line = held.slice(0, end);
          held = held.slice(end + 1);
          answer(line, socket);
        }
      });
    });
    open.add(this);
  }

  static async start(answer: (line: string, socket: Socket) => void): Promise<RawAnswerer> {
    const answerer = new RawAnswerer(answer);
    answerer.#server.listen(0, HOST);
    await once(answerer.#server, "listening");
    answerer.port = portOf(answerer.#server);
    return answerer;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP listener");
  return address.port;
}
