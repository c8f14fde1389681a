// One connection to Node's HTTP server: which of its requests are open, and how it ends.

import type { Socket } from "node:net";
import type { NodeExchange } from "./node-exchange.ts";

/** A connection and its requests that are not answered. */
export class NodeConnection {
  readonly socket: Socket;
  /** In the order in which they came. */
  private readonly open = new Set<NodeExchange>();
  /** The request that came last, answered or not. */
  private last: NodeExchange | null = null;
  /** An answer left that is the last one of this connection: what follows is not taken. */
  closing = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.once("close", () => this.onClose());
  }

  get openCount(): number {
    return this.open.size;
  }

  /** Every request that is here is with a lane: silence is ours, not the client's. */
  get waitsForLanes(): boolean {
    if (this.open.size === 0) return false;
    for (const exchange of this.open) if (!exchange.complete) return false;
    return true;
  }

  /**
   * An answer of the engine's own may be written: the request at fault has none, and no other is
   * due before it. Only the last request can be one whose body is not complete.
   */
  get mayAnswer(): boolean {
    if (this.closing || !this.socket.writable) return false;
    for (const exchange of this.open) if (exchange.complete) return false;
    return this.last === null || this.last.open || this.last.ended;
  }

  begin(exchange: NodeExchange): void {
    this.open.add(exchange);
    this.last = exchange;
  }

  /** @param closes the connection ends after this answer. */
  answered(exchange: NodeExchange, closes: boolean): void {
    this.open.delete(exchange);
    if (closes) this.closing = true;
  }

  /** Forgets its requests without counting them as aborted. */
  abandon(): void {
    for (const exchange of this.open) exchange.abandon();
    this.open.clear();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private onClose(): void {
    for (const exchange of this.open) exchange.abort();
    this.open.clear();
  }
}
