// The door without an HTTP engine: what becomes of a request, step by step. An adapter translates
// its engine's events into begin, bodyChunk and abort, and writes the replies it gets.
//
//   begin ──► slot ──► bodyChunk … ──► (lane) ──► drainCompletions ──► reply
//     └────► reply         └────► reply
//
// All in the main thread. A step that answers with a reply has ended the request.

import { assert } from "../base/assert.ts";
import { REQUEST_ABORTED, statusIndex } from "../telemetry/label-values.ts";
import {
  COMPLETION_REASON, COMPLETION_REJECTED, COMPLETION_REQUEST, COMPLETION_VERDICT,
} from "../ring/payload-layout.ts";
import { Admission, checkFraming } from "./admission.ts";
import { isPreflight, preflightReply } from "./allowed-origins.ts";
import { BodyMemory } from "./body-assembly.ts";
import { POOLED_BODY_BYTES } from "./door-limits.ts";
import type { DoorListener } from "./door-listener.ts";
import type { FrontDoorDependencies, FrontDoorOptions } from "./front-door.ts";
import { type LaneEnds, LaneRings } from "./lane-rings.ts";
import {
  ADMITTED, REFUSE_BODY_MEMORY, REFUSE_DRAINING, REFUSE_GREW_TOO_LARGE, REFUSE_INTERNAL,
  REFUSE_NOT_FOUND, REFUSE_ORIGIN, REFUSE_REQUESTS, REFUSE_RINGS_FULL, REFUSE_TIMEOUT,
  REFUSE_TOO_LARGE, REFUSE_UNAUTHORIZED,
} from "./refusals.ts";
import { Replies } from "./replies.ts";
import type { Reply } from "./reply.ts";
import type { RequestHeaders } from "./request-headers.ts";
import {
  REQUEST_BODY, REQUEST_FREE, REQUEST_GONE, REQUEST_WAITING, RequestTable,
} from "./request-table.ts";
import { HEALTH_PATH, READY_PATH, type Route } from "./routes.ts";

/** Of `begin`: there is no slot, because `reply` is the answer already. */
export const ANSWERED = -1;

/** The rules of a door; `Exchange` is what the adapter needs to answer a request. */
export class DoorCore<Exchange> {
  /** The answer of the last `begin` that returned ANSWERED. */
  reply: Reply;
  /** Access-Control-Allow-Origin of whatever answers the last `begin`, or "". */
  allowOrigin: string;
  /** From stopListening on: only health paths are answered. */
  refusing: boolean;
  readonly memory: BodyMemory;
  readonly table: RequestTable<Exchange>;
  private readonly rings: LaneRings;
  private readonly replies: Replies;
  private readonly admission: Admission;
  private readonly options: FrontDoorOptions;
  private readonly dependencies: FrontDoorDependencies;
  private idleWaiters: (() => void)[];

  constructor(options: FrontDoorOptions, dependencies: FrontDoorDependencies) {
    const { limits } = options;
    assert(limits.retryAfterSeconds > 0, "clients are told to wait");
    this.options = options;
    this.dependencies = dependencies;
    this.replies = new Replies({
      maxBodyBytes: limits.maxBodyBytes, retryAfterSeconds: limits.retryAfterSeconds,
      reasons: options.reasons,
    });
    this.reply = this.replies.notReady;
    this.allowOrigin = "";
    this.refusing = false;
    this.memory = new BodyMemory(
      limits.unfinishedBodyBytes, POOLED_BODY_BYTES, limits.maxBodyBytes,
    );
    this.table = new RequestTable(limits.requestsMax);
    this.rings = new LaneRings(options.lanes, limits.laneRingCreditBytes, limits.maxBodyBytes);
    this.admission = new Admission();
    this.idleWaiters = [];
  }

  /**
   * A request's headers are here.
   * @param listener that it came through.
   * @param method as in the request line.
   * @returns the slot that its body goes to, or ANSWERED with `reply` set.
   */
  begin(
    listener: DoorListener, method: string, path: string, headers: RequestHeaders,
    exchange: Exchange,
  ): number {
    this.allowOrigin = "";
    const framing = checkFraming(headers);
    if (framing !== ADMITTED) return this.refused(listener, headers, framing);
    if (path === HEALTH_PATH || path === READY_PATH) return this.answered(this.health(path));
    if (listener.origins !== null) this.allowOrigin = listener.origins.allow(headers.origin);
    const route = listener.routes.get(path);
    if (route === undefined) return this.refused(listener, headers, REFUSE_NOT_FOUND);
    if (listener.origins !== null && headers.origin !== "") {
      if (this.allowOrigin === "") return this.refused(listener, headers, REFUSE_ORIGIN);
      if (isPreflight(method, headers)) return this.answered(preflightReply(route.method, headers));
    }
    if (method !== route.method) {
      const replies = this.replies.of(listener.styleFor(headers.contentType));
      return this.answered(replies.ofMethod(route.method));
    }
    const refusal = this.admit(listener, route, headers);
    if (refusal !== ADMITTED) return this.refused(listener, headers, refusal);
    const nowMs = this.dependencies.clock.monotonicMs();
    const slot = this.table.take(this.admission.format, this.admission.encoding, nowMs);
    if (slot < 0) return this.refused(listener, headers, REFUSE_REQUESTS);
    this.table.exchanges[slot] = exchange;
    return slot;
  }

  /**
   * A piece of a body is here.
   * @param chunk borrowed until return; may be empty.
   * @returns null while the request goes on (to its next piece, or with a lane), else its answer.
   */
  bodyChunk(slot: number, chunk: Uint8Array, isLast: boolean): Reply | null {
    const { table } = this;
    assert(table.state[slot] === REQUEST_BODY, "a body belongs to a request that waits for one");
    const before = table.receivedBytes[slot]!; // slot is taken
    const block = table.blocks[slot] ?? null;
    if (before + chunk.length > this.options.limits.maxBodyBytes) {
      return this.refuseSlot(slot, isLast ? REFUSE_TOO_LARGE : REFUSE_GREW_TOO_LARGE);
    }
    if (!isLast) {
      if (chunk.length === 0) return null;
      const held = this.memory.append(block, before, chunk);
      if (held === null) return this.refuseSlot(slot, REFUSE_BODY_MEMORY);
      table.blocks[slot] = held;
      table.receivedBytes[slot] = before + chunk.length;
      return null;
    }
    const taken = this.rings.offer(
      table.requestId(slot), table.format[slot]!, table.encoding[slot]!, // slot is taken
      this.dependencies.clock.wallMs(), block, before, chunk,
    );
    if (!taken) return this.refuseSlot(slot, REFUSE_RINGS_FULL);
    this.giveMemory(slot);
    table.state[slot] = REQUEST_WAITING;
    this.dependencies.counters.payloads++;
    this.dependencies.counters.payloadBytes += before + chunk.length;
    return null;
  }

  /** The client is gone: there is nobody to answer. A slot that is with a lane stays taken. */
  abort(slot: number): void {
    const state = this.table.state[slot];
    assert(state === REQUEST_BODY || state === REQUEST_WAITING, "an open request is aborted once");
    const refused = this.dependencies.counters.refused;
    if (state === REQUEST_BODY) refused[REQUEST_ABORTED] = refused[REQUEST_ABORTED]! + 1;
    this.abandon(slot);
  }

  /** Forgets the client of a slot in any state; used by abort and after a caught bug. */
  abandon(slot: number): void {
    const state = this.table.state[slot];
    if (state === REQUEST_FREE) return;
    this.giveMemory(slot);
    if (state === REQUEST_BODY) {
      this.freeSlot(slot);
      return;
    }
    this.table.state[slot] = REQUEST_GONE;
    this.table.exchanges[slot] = null;
  }

  /** The answer to a request that met a bug. */
  internalError(listener: DoorListener): Reply {
    return this.counted(this.replies.of(listener.styleFor("")).ofRefusal(REFUSE_INTERNAL));
  }

  /** The answer to a request that the engine does not even want to begin. */
  refuse(listener: DoorListener, headers: RequestHeaders, refusal: number): Reply {
    this.refused(listener, headers, refusal);
    return this.reply;
  }

  /** The engine refused something by itself; `status` 0 when it did not even answer. */
  countEngineRefusal(status: number, reason: number): void {
    const { answered, refused } = this.dependencies.counters;
    if (status !== 0) answered[statusIndex(status)] = answered[statusIndex(status)]! + 1;
    refused[reason] = refused[reason]! + 1; // both are indices of their tables
  }

  /** Ends bodies that take longer than their time. */
  expire(send: (exchange: Exchange, reply: Reply) => void): void {
    const oldestMs = this.dependencies.clock.monotonicMs() - this.options.limits.bodyMs;
    for (let slot = 0; slot < this.table.usedSlots; slot++) {
      if (this.table.state[slot] !== REQUEST_BODY) continue;
      if (this.table.begunMs[slot]! > oldestMs) continue; // slot < usedSlots
      const exchange = this.table.exchanges[slot] ?? null;
      const reply = this.refuseSlot(slot, REFUSE_TIMEOUT);
      if (exchange !== null) send(exchange, reply);
    }
  }

  /** Answers what the lanes completed. @returns how many completions there were. */
  drainCompletions(send: (exchange: Exchange, reply: Reply) => void): number {
    let total = 0;
    for (const lane of this.options.lanes) total += this.drainLane(lane, send);
    return total;
  }

  /** Resolves when no slot is taken. */
  idle(): Promise<void> {
    if (this.table.taken === 0) return Promise.resolve();
    return new Promise((resolve) => { this.idleWaiters.push(resolve); });
  }

  private admit(listener: DoorListener, route: Route, headers: RequestHeaders): number {
    if (listener.tokens !== null && !listener.tokens.accept(headers)) return REFUSE_UNAUTHORIZED;
    if (this.refusing) return REFUSE_DRAINING;
    const { maxBodyBytes } = this.options.limits;
    const refusal = this.admission.decide(route, headers, maxBodyBytes);
    if (refusal !== ADMITTED) return refusal;
    return this.rings.isFull() ? REFUSE_RINGS_FULL : ADMITTED;
  }

  private health(path: string): Reply {
    const { health } = this.dependencies;
    if (health.draining) return path === HEALTH_PATH ? this.replies.leaving : this.replies.notReady;
    return health.ready ? this.replies.healthy : this.replies.notReady;
  }

  private drainLane(lane: LaneEnds, send: (exchange: Exchange, reply: Reply) => void): number {
    const { completions } = lane;
    const { words } = completions;
    let count = 0;
    for (let at = completions.peek(); at >= 0; at = completions.peek()) {
      const requestId = words[at + COMPLETION_REQUEST]!; // peek returns whole slots
      const verdict = words[at + COMPLETION_VERDICT]!;
      const rejected = words[at + COMPLETION_REJECTED]!;
      const reason = words[at + COMPLETION_REASON]!;
      completions.release();
      count++;
      this.complete(requestId, verdict, rejected, reason, send);
    }
    // A lane that found its ring full sleeps until there is room again. It was full between two
    // flushes of ours, so at least one pass since took all of it.
    if (completions.flush() && count * 2 >= completions.slots) lane.wake.wake();
    return count;
  }

  private complete(
    requestId: number, verdict: number, rejected: number, reason: number,
    send: (exchange: Exchange, reply: Reply) => void,
  ): void {
    const slot = this.table.slotOf(requestId);
    if (slot < 0) {
      this.dependencies.counters.staleCompletions++;
      return;
    }
    const exchange = this.table.exchanges[slot] ?? null;
    const replies = this.replies.of(this.table.format[slot]!); // slotOf returns taken ones
    this.freeSlot(slot);
    if (exchange === null) return;
    send(exchange, this.counted(replies.ofVerdict(verdict, rejected, reason)));
  }

  private answered(reply: Reply): number {
    this.reply = this.counted(reply);
    return ANSWERED;
  }

  private refused(listener: DoorListener, headers: RequestHeaders, refusal: number): number {
    const replies = this.replies.of(listener.styleFor(headers.contentType));
    return this.answered(replies.ofRefusal(refusal));
  }

  private refuseSlot(slot: number, refusal: number): Reply {
    const replies = this.replies.of(this.table.format[slot]!); // slot is taken
    this.giveMemory(slot);
    this.freeSlot(slot);
    return this.counted(replies.ofRefusal(refusal));
  }

  private counted(reply: Reply): Reply {
    const { answered, refused } = this.dependencies.counters;
    answered[reply.statusCounter] = answered[reply.statusCounter]! + 1; // indices of the table
    if (reply.refusedCounter >= 0) {
      refused[reply.refusedCounter] = refused[reply.refusedCounter]! + 1;
    }
    return reply;
  }

  private giveMemory(slot: number): void {
    const block = this.table.blocks[slot] ?? null;
    if (block === null) return;
    this.table.blocks[slot] = null;
    this.memory.give(block);
  }

  private freeSlot(slot: number): void {
    this.table.free(slot);
    if (this.table.taken > 0) return;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
