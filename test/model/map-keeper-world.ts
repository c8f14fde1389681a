// A small world for the model of the map keeper: an etcd, processes that come and go, a network
// that delays and loses, clocks that disagree. Nothing here is random but by the seed, and time
// passes from event to event. The engine's timers run on it while a world is open.

import { vi } from "vitest";
import {
  storeUnavailable, type ClusterStore, type Renewal, type StoreEntry, type StoreEvent,
  type StoreHold, type StoreLease, type StoreListing, type StoreWatch, type WatchHandlers,
} from "../../engine/cluster/cluster-store.ts";
import { MemoryCluster } from "../support/memory-store.ts";
import type { Random } from "../support/random.ts";

/** Bound of a call, as the client of etcd has it. */
const CALL_MS = 4_500;
/** How long a request that nobody waits for any more may lie about. */
const LURK_MS = 30_000;

/** More than any chain of promises between two events has; cheaper than a turn of Node's loop. */
const PROMISE_STEPS = 24;

interface Event {
  readonly atMs: number;
  readonly order: number;
  /** Null: it was called off. */
  run: (() => void) | null;
}

/** Time and everything that is due. */
export class World {
  readonly random: Random;
  readonly etcd = new MemoryCluster();
  nowMs = 1_000;
  readonly #events: Event[] = [];
  #order = 0;
  /** Looks for broken promises after every event. */
  check: () => void = () => {};

  constructor(random: Random) {
    this.random = random;
    vi.stubGlobal("setTimeout", (run: () => void, delayMs = 0) => this.after(delayMs, run));
    vi.stubGlobal("clearTimeout", (event: Event | undefined) => {
      if (event !== undefined) event.run = null;
    });
  }

  close(): void {
    vi.unstubAllGlobals();
  }

  between(low: number, high: number): number {
    return low + this.random.below(high - low + 1);
  }

  after(delayMs: number, run: () => void): Event {
    const event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#push(event);
    return event;
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#events[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      if (next.run === null) continue;
      this.#moveTo(next.atMs);
      next.run();
      for (let step = 0; step < PROMISE_STEPS; step++) await Promise.resolve();
      this.check();
    }
    this.#moveTo(endMs);
    this.check();
  }

  #moveTo(ms: number): void {
    this.etcd.advance(ms - this.nowMs);
    this.nowMs = ms;
  }

  #push(event: Event): void {
    const events = this.#events;
    let at = events.push(event) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && isBefore(event, events[parent]!);) {
      events[at] = events[parent]!;
      at = parent;
      parent = (at - 1) >> 1;
    }
    events[at] = event;
  }

  #pop(): void {
    const events = this.#events;
    const last = events.pop()!;
    if (events.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child++;
      if (!isBefore(events[child]!, last)) break;
      events[at] = events[child]!;
      at = child;
    }
    events[at] = last;
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

/** One process's way to etcd. */
export class FarStore implements ClusterStore {
  readonly #world: World;
  readonly #watches = new Set<FarWatch>();
  /** Nothing reaches etcd, nothing comes back. */
  isCut = false;
  /** The process is dead. */
  isDead = false;
  /** Watches tell nothing before. */
  deafUntilMs = 0;
  /** By the world's clock. */
  lastAnswerMs: number;
  /** Longest way of a request, and of an answer. */
  delayMsMax = 20;
  /** The next write takes effect after so long, and everything is cut off meanwhile. */
  stallNextWriteMs = 0;
  /** The same of the next deletion. */
  stallNextDeletionMs = 0;

  constructor(world: World) {
    this.#world = world;
    this.lastAnswerMs = world.nowMs;
  }

  async get(key: string): Promise<StoreEntry | null> {
    return await this.#call(() => this.#world.etcd.read(key));
  }

  async list(prefix: string): Promise<StoreListing> {
    const { etcd } = this.#world;
    return await this.#call(() => ({
      entries: etcd.keys.filter((key) => key.startsWith(prefix)).map((key) => etcd.read(key)!),
      revision: etcd.revision,
    }));
  }

  async listKeys(prefix: string): Promise<StoreListing> {
    return await this.list(prefix);
  }

  async compareAndSet(
    key: string, revision: number, value: string, leaseId: string | null,
  ): Promise<number | null> {
    const { etcd } = this.#world;
    const stallMs = this.stallNextWriteMs;
    this.stallNextWriteMs = 0;
    return await this.#call(() => {
      const found = etcd.read(key);
      if ((found?.revision ?? 0) === revision) return etcd.write(key, value, leaseId);
      return found?.value === value && etcd.leaseOf(key) === leaseId ? found.revision : null;
    }, stallMs);
  }

  async compareAndDelete(
    key: string, revision: number, beside: StoreHold | null,
  ): Promise<boolean> {
    const { etcd } = this.#world;
    const stallMs = this.stallNextDeletionMs;
    this.stallNextDeletionMs = 0;
    return await this.#call(() => etcd.removeAt(key, revision, beside), stallMs);
  }

  watch(prefix: string, revision: number, handlers: WatchHandlers): StoreWatch {
    const watch = new FarWatch(this.#world, this, prefix, revision, handlers);
    this.#watches.add(watch);
    return { close: () => {
      this.#watches.delete(watch);
      watch.close();
    } };
  }

  async grantLease(ttlSeconds: number): Promise<StoreLease> {
    return await this.#call(() => this.#world.etcd.grant(ttlSeconds));
  }

  async renewLease(leaseId: string, confirmKey: string, ownKey: string): Promise<Renewal> {
    const { etcd } = this.#world;
    const ttlMs = await this.#call(() => etcd.renew(leaseId));
    if (ttlMs <= 0) return { held: false, ttlMs: 0, confirmed: null, own: null };
    return await this.#call(() => ({
      held: true, ttlMs, confirmed: etcd.read(confirmKey), own: etcd.read(ownKey),
    }));
  }

  async revokeLease(leaseId: string): Promise<void> {
    await this.#call(() => this.#world.etcd.endLease(leaseId));
  }

  /** Makes the watches list anew: what they missed is skipped. */
  breakWatches(): void {
    for (const watch of this.#watches) watch.breakOff();
  }

  /** A request that is cut off is lost, or lies about and takes effect later. */
  #call<Answer>(apply: () => Answer, stallMs = 0): Promise<Answer> {
    const world = this.#world;
    return new Promise((resolve, reject) => {
      const timeout = world.after(CALL_MS, () => reject(storeUnavailable("a call", null)));
      const attempt = (): void => {
        let give: () => void;
        try {
          const answer = apply();
          give = () => resolve(answer);
        } catch (error) {
          give = () => reject(error);
        }
        this.#answer(() => {
          timeout.run = null;
          give();
        });
      };
      if (stallMs > 0) {
        this.isCut = true;
        world.after(stallMs, attempt);
        world.after(stallMs + 1, () => { this.isCut = false; });
        return;
      }
      world.after(world.random.below(this.delayMsMax), () => {
        if (!this.isCut && !this.isDead) attempt();
        else if (world.random.chance(0.5)) world.after(world.random.below(LURK_MS), attempt);
      });
    });
  }

  #answer(give: () => void): void {
    const { random } = this.#world;
    const delayMs = random.chance(0.02) ? random.below(CALL_MS) : random.below(this.delayMsMax);
    this.#world.after(delayMs, () => {
      if (this.isCut || this.isDead) return;
      this.lastAnswerMs = this.#world.nowMs;
      give();
    });
  }
}

/** Tells events in their order, late. */
class FarWatch {
  readonly #world: World;
  readonly #store: FarStore;
  readonly #handlers: WatchHandlers;
  readonly #server: StoreWatch;
  readonly #waiting: StoreEvent[] = [];
  #isOver = false;
  #isDue = false;

  constructor(
    world: World, store: FarStore, prefix: string, revision: number, handlers: WatchHandlers,
  ) {
    this.#world = world;
    this.#store = store;
    this.#handlers = handlers;
    this.#server = world.etcd.watch(prefix, revision, {
      gap: () => this.breakOff(),
      events: (events) => {
        this.#waiting.push(...events);
        this.#schedule();
      },
    });
  }

  breakOff(): void {
    if (this.#isOver) return;
    this.close();
    this.#world.after(0, () => this.#handlers.gap());
  }

  close(): void {
    this.#isOver = true;
    this.#server.close();
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const { random } = this.#world;
    const delayMs = random.chance(0.1) ? random.below(3_000) : random.below(20);
    this.#world.after(delayMs, () => this.#deliver());
  }

  #deliver(): void {
    this.#isDue = false;
    if (this.#isOver || this.#store.isDead) return;
    const isHeld = this.#store.isCut || this.#world.nowMs < this.#store.deafUntilMs;
    if (!isHeld) {
      const count = this.#world.between(1, this.#waiting.length);
      this.#handlers.events(this.#waiting.splice(0, count));
    }
    if (this.#waiting.length === 0) return;
    this.#isDue = true;
    this.#world.after(isHeld ? 250 : 1, () => this.#deliver());
  }
}
