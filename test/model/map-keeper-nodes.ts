// Gateway processes in the world of the map keeper's model: membership, keeper, grants and fence as
// the engine wires them, and nothing else. Lanes are one question: may this process decide now?

import { decideUntilMs } from "../../engine/cluster/fence.ts";
import {
  ETCD_LOST_MS, Grants, type AskMessage, type EtcdState, type GrantMessage,
} from "../../engine/cluster/grants.ts";
import { MapKeeper } from "../../engine/cluster/map-keeper.ts";
import { MAP_KEY, Membership } from "../../engine/cluster/membership.ts";
import type { MapMember } from "../../engine/cluster/shard-map.ts";
import { mapMember } from "../support/map-members.ts";
import { FarStore, type World } from "./map-keeper-world.ts";

export const TTL_SECONDS = 10;
const TICK_MS = 300;
const PROBE_MS = 1_000;

/** A process; `isOver` once it was killed, was refused, or has left. */
export class GatewayProcess {
  readonly self: MapMember;
  readonly store: FarStore;
  readonly membership: Membership;
  readonly keeper: MapKeeper;
  readonly grants: Grants;
  readonly log: string[] = [];
  isOver = false;
  isHanging = false;
  reachesOthers = true;
  /** Times that its registration was found to be gone while its lease lived. */
  takenOut = 0;
  refusal: unknown = null;
  readonly #world: World;
  readonly #fleet: Fleet;
  readonly #offsetMs: number;
  readonly #rate: number;

  constructor(fleet: Fleet, self: MapMember) {
    const { world } = fleet;
    this.#fleet = fleet;
    this.#world = world;
    this.self = self;
    this.#offsetMs = world.random.below(1_000_000);
    this.#rate = 0.99 + world.random.below(2_000) / 100_000;
    this.store = new FarStore(world);
    const clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
    const failed = (error: unknown): void => {
      this.refusal = error;
      this.kill();
    };
    this.membership = new Membership({ self, leaseTtlSeconds: TTL_SECONDS }, {
      failed,
      mapChanged: () => this.keeper.consider(),
      nodesChanged: () => this.keeper.consider(),
      leaseLost: () => {},
      takenOut: () => { this.takenOut++; },
      reachesOthers: () => this.reachesOthers,
      mayRenew: () => !this.isHanging,
    }, { store: this.store, clock });
    this.grants = new Grants({ incarnation: self.incarnation, firstNonce: world.random.word() });
    this.keeper = new MapKeeper({
      self, membership: this.membership, clock, failed,
      random: () => world.random.below(1_000) / 1_000,
      log: (_, message) => this.log.push(`${Math.round(world.nowMs)} ${message}`),
      blockedUntilMs: () => this.grants.blockedUntilMs,
    });
    this.#start();
    this.#every(TICK_MS, () => this.#tick());
    this.#every(PROBE_MS, () => this.store.get(MAP_KEY).catch(() => {}));
  }

  get nowMs(): number {
    return this.#offsetMs + this.#world.nowMs * this.#rate;
  }

  get state(): EtcdState {
    const silentMs = (this.#world.nowMs - this.store.lastAnswerMs) * this.#rate;
    return {
      hasEtcd: silentMs < ETCD_LOST_MS, hasOpenProposal: this.keeper.hasOpenProposal,
      epoch: this.membership.map?.epoch ?? 0,
    };
  }

  get isFrozen(): boolean {
    return this.#frozenUntilMs > this.nowMs;
  }

  get mayDecide(): boolean {
    return !this.isOver && decideUntilMs({
      acknowledgedSentMs: this.membership.lastAcknowledgedSentMs,
      leaseTtlMs: this.membership.leaseTtlMs,
      isMember: this.keeper.isInForce,
      grantedUntilMs: this.#frozenUntilMs,
    }) > this.nowMs;
  }

  /** It has waited for one of the others too long, and hears all the rest. */
  reportSilent(name: string): void {
    const member = this.membership.map?.members.find((each) => each.name === name);
    const silent = member === undefined ? [] : [{ member, silentMs: 30_000 }];
    this.keeper.reportSilence({ silent, isConnected: () => true });
  }

  /** SIGKILL: what is on its way stays on its way. */
  kill(): void {
    this.isOver = true;
    this.store.isDead = true;
    void this.keeper.close();
    void this.membership.close();
  }

  async leave(): Promise<void> {
    await this.keeper.leave(5_000);
    this.kill();
  }

  hear(from: GatewayProcess, message: AskMessage | GrantMessage): void {
    if (this.isOver) return;
    if ("incarnation" in message) {
      this.grants.onGrant(from.self.name, message);
      return;
    }
    const answer = this.grants.onAsk(this.nowMs, message, this.state);
    if (answer !== null) this.#fleet.send(this, from.self.name, answer);
  }

  get #frozenUntilMs(): number {
    const others = this.membership.map?.members.filter(({ logId }) => logId !== this.self.logId);
    return this.grants.frozenUntilMs(this.nowMs, others ?? [], this.state);
  }

  #start(): void {
    this.membership.start().then(() => this.keeper.start(), () => {
      if (!this.isOver) this.#world.after(1_000, () => this.#start());
    });
  }

  #tick(): void {
    const ask = this.grants.onTick(this.nowMs, this.state);
    if (ask === null) return;
    for (const { name, logId } of this.membership.map?.members ?? []) {
      if (logId !== this.self.logId) this.#fleet.send(this, name, ask);
    }
  }

  #every(ms: number, run: () => void): void {
    this.#world.after(ms, () => {
      if (this.isOver) return;
      run();
      this.#every(ms, run);
    });
  }
}

/** All processes, dead ones too, and the network between them. */
export class Fleet {
  readonly world: World;
  readonly processes: GatewayProcess[] = [];
  /** Share of messages between nodes that is lost. */
  loss = 0;
  /** Share that comes seconds late. */
  lateness = 0.05;
  #incarnations = 0;

  constructor(world: World) {
    this.world = world;
  }

  get alive(): GatewayProcess[] {
    return this.processes.filter(({ isOver }) => !isOver);
  }

  start(name: string, logId = `log-of-${name}`): GatewayProcess {
    const incarnation = `${name}-${++this.#incarnations}`;
    const started = new GatewayProcess(this, mapMember(name, { logId, incarnation }));
    this.processes.push(started);
    return started;
  }

  /** To whoever has the name when the message arrives. */
  send(from: GatewayProcess, name: string, message: AskMessage | GrantMessage): void {
    const { random } = this.world;
    if (random.chance(this.loss)) return;
    const delayMs = random.chance(this.lateness) ? random.below(8_000) : random.below(50);
    this.world.after(delayMs, () => {
      for (const each of this.alive) {
        if (each.self.name === name) each.hear(from, message);
      }
    });
  }
}
