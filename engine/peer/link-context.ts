// What all connections of a node have in common: who it is, what bounds them, what they count.

import type { LinkIdentity } from "./handshake.ts";

/** Bounds of the links. Tests make them small. */
export interface LinkLimits {
  /** First pause before a node is dialed again; it doubles up to the second. */
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  /** From the connection to the last word of the handshake: three messages. */
  readonly handshakeMsMax: number;
  /** Connections that have not proved anything yet; more are closed at once. */
  readonly unprovenMax: number;
  /** Connections of other nodes: two of each of the 512 members that a map can have. */
  readonly incomingMax: number;
  /** Frames are acknowledged after this time, or this many, whichever is first. */
  readonly ackMs: number;
  readonly ackFrames: number;
  /** A side that has nothing to say says so this often. */
  readonly pingMs: number;
  /** Sent and not taken: beyond it the connection is given up. Senders stop far earlier. */
  readonly waitingBytesMax: number;
  /** What was handed to the system gets so long to leave at close(). */
  readonly closeMs: number;
  /** A node that cannot be reached is told of after this time; most come back before. */
  readonly tellAfterMs: number;
  /** The same about the same node is told of once in this time. */
  readonly tellAgainMs: number;
}

export const LINK_LIMITS: LinkLimits = {
  retryMsMin: 100, retryMsMax: 2_000, handshakeMsMax: 5_000, unprovenMax: 64, incomingMax: 1_024,
  ackMs: 20, ackFrames: 64, pingMs: 1_000, waitingBytesMax: 256 * 1024 * 1024, closeMs: 100,
  tellAfterMs: 5_000, tellAgainMs: 60_000,
};

/** Since the start, of all connections. Written by the thread of the links only. */
export interface LinkCounts {
  /** Frames handed to the system, and frames that a receiver took; without pings. */
  framesSent: number;
  framesTaken: number;
  bytesSent: number;
  bytesTaken: number;
  /** Times that a handler had no room for a frame. */
  framesHeld: number;
  /** Dialed again after a failure or a loss. */
  reconnects: number;
  /** Connections that were up and were lost, in either direction. */
  linksLost: number;
  /** By this node or by the other. */
  refusedHandshakes: number;
  /** Connections that said nothing useful in time. */
  silentHandshakes: number;
  /** Connections beyond unprovenMax or incomingMax. */
  connectionsDropped: number;
}

export function createLinkCounts(): LinkCounts {
  return {
    framesSent: 0, framesTaken: 0, bytesSent: 0, bytesTaken: 0, framesHeld: 0, reconnects: 0,
    linksLost: 0, refusedHandshakes: 0, silentHandshakes: 0, connectionsDropped: 0,
  };
}

/** Made once by PeerLinks for all of its connections. */
export interface LinkContext {
  readonly self: LinkIdentity;
  /** ClusterName. */
  readonly cluster: string;
  /** ClusterSecret; empty where there is none. */
  readonly secret: string;
  /** Without a byte from the other side for this long, a connection is given up. */
  readonly silenceMsMax: number;
  readonly limits: LinkLimits;
  readonly random: () => number;
  readonly counts: LinkCounts;
  /** Monotonic; stands still while this thread does not look, so its own pauses cut nobody off. */
  readonly nowMs: () => number;
}

/** Both sides say something at least this often: several times in what counts as silence. */
export function heartbeatMs({ silenceMsMax, limits }: LinkContext): number {
  return Math.min(limits.pingMs, silenceMsMax / 4);
}
