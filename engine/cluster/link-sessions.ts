// Connections as sessions of the exchange. A node that is in no map is dialed by nobody and what it
// says is dropped, so its lanes must not take a connection of it for one on which they have told
// something: sessions begin when the node is a member, and end when it is not any more. The
// connections themselves stay: they show that it reaches the others, and it may come back
// (return-pause.ts).

import type { Stream } from "./exchange-ports.ts";

/** What becomes of sessions: the exchange. */
export interface SessionEnds {
  up(node: number, stream: Stream): void;
  down(node: number, stream: Stream): void;
}

/** Used by the coordinator's thread only. */
export class LinkSessions {
  readonly #ends: SessionEnds;
  /** Connections that are up: number of the node, twice, and the stream. */
  readonly #up = new Set<number>();
  #isMember = false;

  constructor(ends: SessionEnds) {
    this.#ends = ends;
  }

  /** A connection that this node dialed is up, or is not any more. */
  linked(node: number, stream: Stream, isUp: boolean): void {
    const link = 2 * node + stream;
    if (isUp) this.#up.add(link);
    else this.#up.delete(link);
    if (this.#isMember) this.#tell(link, isUp);
  }

  /** Whether the map in force has this node. */
  setMember(isMember: boolean): void {
    if (isMember === this.#isMember) return;
    this.#isMember = isMember;
    for (const link of this.#up) this.#tell(link, isMember);
  }

  #tell(link: number, isUp: boolean): void {
    const stream = (link & 1) as Stream; // 0 or 1
    if (isUp) this.#ends.up(link >>> 1, stream);
    else this.#ends.down(link >>> 1, stream);
  }
}
