// Bounds of a front door, and what happens at each. All are constructor options; these are the
// values of a production door.

/** Bounds of one front door. */
export interface DoorLimits {
  /** Largest body as received; larger: 413. The lane applies the same bound to what inflates. */
  readonly maxBodyBytes: number;
  /** Memory of all bodies that are not complete; reached: 503 for the one that needs more. */
  readonly unfinishedBodyBytes: number;
  /** A lane whose ring holds this much takes no more; all lanes: 503 before a body is read. */
  readonly laneRingCreditBytes: number;
  /** Requests begun and not answered, aborted ones that a lane still has included; more: 503. */
  readonly requestsMax: number;
  /** Connections at once; more are closed at once, unanswered. */
  readonly connectionsMax: number;
  /** Time for a body to arrive from its headers on; past it: 408 and the connection ends. */
  readonly bodyMs: number;
  /** What clients are told to wait after a 503. */
  readonly retryAfterSeconds: number;
}

/** A request id has 16 bits for the slot and 16 for the slot's generation. */
export const REQUESTS_MAX = 65_536;

/** Hundreds of exporters in the middle of large bodies; more is an attack or a stalled network. */
export const UNFINISHED_BODY_BYTES = 256 * 1024 * 1024;

/**
 * uws ends a connection that is silent for about 10 s; this ends the one that trickles. 20 MiB
 * in a minute is 350 kB/s: slower links cannot use bodies that large.
 */
export const BODY_MS_MAX = 60_000;

/**
 * Memory kept for the next bodies once theirs are done. Enough for a hundred exporters that send
 * chunked bodies at once; what is above it goes back to the system.
 */
export const POOLED_BODY_BYTES = 8 * 1024 * 1024;

/**
 * Rest of a refused body that is read and thrown away, so that the client reads its answer instead
 * of a reset. A longer announced one ends the connection at once.
 */
export const DISCARD_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Header block of a request, request line included; larger: 431 by the HTTP engine. As large as
 * Node's own bound: bearer tokens of several kilobytes fit.
 */
export const HEADER_BYTES_MAX = 16 * 1024;

/** How often unfinished bodies are looked over, and the longest sleep of the completion pump. */
export const SWEEP_MS = 1_000;

/**
 * Silence after which Node's engine ends a connection that is idle, or in the middle of headers or
 * a body: what uws does, which has no setting for it. Proxies must keep idle connections for less.
 */
export const SILENCE_MS_MAX = 10_000;

/** Time for the headers of a request, on Node's engine; longer: 408. */
export const HEADERS_MS_MAX = 10_000;

/** How often Node's engine looks for connections that are past HEADERS_MS_MAX. */
export const HEADERS_CHECK_MS = 1_000;

/**
 * Requests of one connection that wait for their answer, on Node's engine; with more the connection
 * ends. Clients that send before they were answered are rare, and each takes a request's slot. (uws
 * ends the connection at the second one.)
 */
export const PIPELINED_MAX = 16;

/** A client that does not finish its TLS handshake in this time is cut off. */
export const HANDSHAKE_MS_MAX = 10_000;

/** How often certificate files are looked at. */
export const TLS_POLL_MS = 2_000;
