// The nodes that live: each has a key under its lease. A node knows by it who may be in the map,
// and for how long one that is gone may still decide.

import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { GatewayError } from "../base/errors.ts";
import type { ClusterStore, StoreLease } from "./cluster-store.ts";
import { memberSchema, readFormatted } from "./shard-map-codec.ts";
import type { MapMember } from "./shard-map.ts";
import { StoreMirror } from "./store-mirror.ts";

export const NODES_PREFIX = "/tailrace/nodes/";
/** Raised when an older version could not read a node's key. */
export const NODE_FORMAT = 1;
/**
 * How many TTLs a node waits for its name: one that was replaced keeps it for one TTL after its
 * end; whoever has it after two is alive.
 */
const NAME_WAIT_TTLS = 2;

const nodeSchema = z.object({
  format: z.literal(NODE_FORMAT),
  member: memberSchema,
  leaseTtlMs: z.int().min(1),
});

export interface NodeRegistryHandlers {
  readonly changed: () => void;
  readonly failed: (error: unknown) => void;
}

interface GoneNode {
  readonly goneMs: number;
  readonly leaseTtlMs: number;
}

/** Registers this node, and knows the others. */
export class NodeRegistry {
  readonly #self: MapMember;
  readonly #store: ClusterStore;
  readonly #clock: Clock;
  readonly #mirror: StoreMirror;
  readonly #handlers: NodeRegistryHandlers;
  readonly #nodes = new Map<string, { member: MapMember; leaseTtlMs: number }>();
  readonly #gone = new Map<string, GoneNode>();
  /** Since when another node has had this one's name; null: it does not. */
  #takenSinceMs: number | null = null;
  #startedMs: number;

  constructor(
    self: MapMember, store: ClusterStore, clock: Clock, handlers: NodeRegistryHandlers,
  ) {
    this.#self = self;
    this.#store = store;
    this.#clock = clock;
    this.#handlers = handlers;
    this.#startedMs = clock.monotonicMs();
    this.#mirror = new StoreMirror(store, NODES_PREFIX, {
      changed: (key, entry) => this.#take(key, entry?.value ?? null),
      failed: handlers.failed,
    });
  }

  /** Nodes whose lease lives, by name. */
  get members(): MapMember[] {
    return [...this.#nodes.values()].map(({ member }) => member);
  }

  async start(): Promise<void> {
    this.#startedMs = this.#clock.monotonicMs();
    await this.#mirror.start();
  }

  close(): void {
    this.#mirror.close();
  }

  /**
   * Monotonic time until which a node may still decide, by everything known here; infinite while it
   * is registered. A node counts from the sending of its last keepalive, which was before its key
   * vanished here; so it is closed one TTL after that at the latest, whatever ended its lease.
   */
  decidesUntilMs(name: string, ownTtlMs: number): number {
    if (this.#nodes.has(name)) return Number.POSITIVE_INFINITY;
    const gone = this.#gone.get(name);
    if (gone === undefined) return this.#startedMs + ownTtlMs;
    return gone.goneMs + gone.leaseTtlMs;
  }

  /**
   * Writes this node's key under its lease. A former incarnation of the same log is replaced: its
   * process is dead, or this one could not have the data directory.
   * @returns its revision; null while another log has the name: it may be about to end.
   * @throws GatewayError CLUSTER_SERVER_NAME_TAKEN when that one goes on living.
   */
  async register(lease: StoreLease): Promise<number | null> {
    const key = NODES_PREFIX + this.#self.name;
    const found = await this.#store.get(key);
    const other = found === null ? null : readNode(found.value).member;
    if (other !== null && other.logId !== this.#self.logId) {
      this.#waitForName(other, lease.ttlMs);
      return null;
    }
    this.#takenSinceMs = null;
    const value = JSON.stringify({
      format: NODE_FORMAT, member: this.#self, leaseTtlMs: lease.ttlMs,
    });
    const revision = found?.revision ?? 0;
    return await this.#store.compareAndSet(key, revision, value, lease.id);
  }

  #waitForName(other: MapMember, ttlMs: number): void {
    const now = this.#clock.monotonicMs();
    this.#takenSinceMs ??= now;
    if (now - this.#takenSinceMs <= ttlMs * NAME_WAIT_TTLS) return;
    throw new GatewayError(
      "CLUSTER_SERVER_NAME_TAKEN",
      `another node of the cluster is called "${other.name}" (${other.ingestAddress}): give this `
      + "one its own ServerName",
      { name: other.name, ingestAddress: other.ingestAddress, logId: other.logId },
    );
  }

  #take(key: string, value: string | null): void {
    const name = key.slice(NODES_PREFIX.length);
    if (value === null) {
      const leaseTtlMs = this.#nodes.get(name)?.leaseTtlMs;
      if (leaseTtlMs !== undefined) {
        this.#gone.set(name, { goneMs: this.#clock.monotonicMs(), leaseTtlMs });
      }
      this.#nodes.delete(name);
    } else {
      try {
        this.#nodes.set(name, readNode(value));
      } catch (error) {
        this.#handlers.failed(error);
        return;
      }
      this.#gone.delete(name);
    }
    this.#handlers.changed();
  }

  /** Names that are in no map any more need no memory. */
  forgetGone(mapNames: ReadonlySet<string>): void {
    for (const name of this.#gone.keys()) {
      if (!mapNames.has(name)) this.#gone.delete(name);
    }
  }
}

/** @throws GatewayError CLUSTER_FORMAT */
function readNode(value: string): { member: MapMember; leaseTtlMs: number } {
  const read = nodeSchema.safeParse(readFormatted(value, NODE_FORMAT, "a node's key"));
  if (read.success) return read.data;
  throw new GatewayError(
    "CLUSTER_FORMAT", `a node's key in etcd cannot be read: ${z.prettifyError(read.error)}`,
  );
}
