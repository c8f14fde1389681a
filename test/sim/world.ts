// A seeded history of a cluster: clients, time, and everything that goes wrong.

import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ShardMap } from "../../engine/cluster/shard-map.ts";
import { Random } from "../support/random.ts";
import { EtcdDouble, LEASE_TTL_MS } from "./etcd-double.ts";
import { ABSENCES, EVENTS, type Events, type Outcome } from "./history.ts";
import { Ledger } from "./ledger.ts";
import { Network } from "./network.ts";
import { firstConfig, nextConfig, PLAIN, withExtra } from "./sim-policies.ts";
import { SimNode, SimulatedCrash, type Place } from "./sim-node.ts";
import { VirtualTime } from "./virtual-time.ts";

/** Memory, where there is some: a history makes and copies many small files. */
const DISK = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const CHAOS_MS = 15_000;
const SETTLE_MS = 90_000;
const JOIN_MS_MAX = 8_000;
const HOUR_S = 3_600;
/** For all to be back before the last one goes away. */
const WAIT_STEPS = 2_000;
const STORY_LINES = 60;

/** Time between two events. */
const PAUSE_MS = 1_200;
/** After each new map there is one within this time. */
const MAP_TROUBLE_MS = 300;

export class World implements Events {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly network: Network;
  readonly etcd: EtcdDouble;
  readonly ledger: Ledger;
  /** Processes that live, by incarnation. */
  readonly #living = new Map<string, SimNode>();
  readonly #root = mkdtempSync(join(DISK, "tailrace-sim-"));
  readonly #places: Place[] = [];
  readonly #faults: string[] = [];
  readonly #story: string[] = [];
  readonly #events = new Map<string, number>();
  readonly #beganMs: number;
  #later: { readonly atMs: number; readonly run: () => void }[] = [];
  #directories = 0;
  #isHealed = false;
  /**
   * Nobody goes away before all others are back, and know what is to be known, but for one that
   * joins: then decisions must agree. With several away at once they need not: what only owner and
   * witness know of a decision is judged anew while both are out of the map, and what a witness
   * committed and its owner did not comes back with the witness, and wins when it keeps.
   */
  readonly #oneAtATime: boolean;
  /** Nodes have different configurations, and another one after a start. */
  readonly #isMixed: boolean;
  /** At its end a node is away for an hour. */
  readonly #hasHour: boolean;
  readonly #disagreed = new Set<string>();
  #wasWhole = false; // after the last absence all were there again, and knew everything

  constructor(seed: number) {
    this.random = new Random(seed);
    this.network = new Network(
      this.time, this.random, (incarnation) => this.#living.get(incarnation));
    this.etcd = new EtcdDouble(this.time, this.random, (map) => this.#publish(map));
    this.ledger = new Ledger(this.random);
    this.#beganMs = this.time.nowMs;
    this.#oneAtATime = seed % 2 === 0;
    this.#isMixed = seed % 4 >= 2;
    this.#hasHour = seed % 16 < 2;
    const count = 4 + this.random.below(2);
    for (let index = 0; index < count; index++) {
      const name = "abcde"[index]!;
      const directory = this.#directory();
      mkdirSync(join(directory, "log"), { recursive: true });
      mkdirSync(join(directory, "outbox"), { recursive: true });
      this.#places.push({
        name, logId: `log-${name}`, directory, highestGeneration: 0, starts: 0, node: null,
        isGone: false, config: this.#isMixed ? firstConfig(this.random) : PLAIN,
      });
    }
  }

  /** Runs the whole history. */
  run(): Outcome {
    this.time.install();
    try {
      for (const [index, place] of this.#places.entries()) {
        // The last one joins the others later.
        const isLast = index === this.#places.length - 1;
        const fromMs = isLast ? 3_000 + this.random.below(JOIN_MS_MAX) : 0;
        this.#after(fromMs + this.random.below(2_000), () => this.#start(place));
      }
      let eventAtMs = this.time.nowMs + 1_500 + this.random.below(2_000);
      const endMs = this.time.nowMs + CHAOS_MS;
      while (this.time.nowMs < endMs && this.#faults.length === 0) {
        if (this.time.nowMs >= eventAtMs) {
          this.#event();
          eventAtMs = this.time.nowMs + this.random.below(PAUSE_MS);
        }
        this.#step(1 + this.random.below(25), 0.12);
      }
      if (this.#hasHour) this.#passHour();
      this.#heal();
      this.#settle();
    } finally {
      for (const { node } of this.#places) node?.close();
      this.time.restore();
      rmSync(this.#root, { recursive: true, force: true });
    }
    return {
      faults: this.#faults, story: this.#story.slice(-STORY_LINES), events: this.#events,
      acknowledged: this.ledger.acknowledged, delivered: this.ledger.delivered,
      epochs: this.etcd.map?.epoch ?? 0, disagreements: this.#disagreed.size,
    };
  }

  #directory(): string {
    return join(this.#root, String(++this.#directories));
  }

  #alive(): SimNode[] {
    return [...this.#living.values()];
  }

  #after(ms: number, run: () => void): void {
    this.#later.push({ atMs: this.time.nowMs + ms, run });
  }

  #tell(line: string): void {
    this.#story.push(`${Math.round(this.time.nowMs - this.#beganMs)} ${line}`);
  }

  #fault(fault: string): void {
    this.#tell(`FAULT ${fault}`);
    this.#faults.push(`${Math.round(this.time.nowMs - this.#beganMs)} ms: ${fault}`);
  }

  /** Everybody has its turn, in any order; who is paused has none. */
  #step(ms: number, load: number): void {
    this.time.nowMs += ms;
    const due = this.#later.filter(({ atMs }) => atMs <= this.time.nowMs);
    this.#later = this.#later.filter(({ atMs }) => atMs > this.time.nowMs);
    for (const { run } of due) run();
    this.etcd.run();
    // What a first node decided before it had others, it alone knows.
    const isFormed = this.#places.slice(0, -1).every(({ starts }) => starts > 0);
    if (!this.#wasWhole && this.#oneAtATime && isFormed) this.#wasWhole = this.#isWhole;
    const nodes = this.#alive().filter(({ isPaused }) => !isPaused);
    for (let turns = nodes.length * 2; turns > 0; turns--) {
      const node = nodes[this.random.below(nodes.length)]!;
      if (node.isAlive) this.#turn(node, load);
    }
  }

  #turn(node: SimNode, load: number): void {
    if (!node.isLeaving && this.random.chance(load)) node.put();
    if (!this.random.chance(0.2)) node.coordinate();
    if (this.random.chance(0.2)) return;
    try {
      node.turn();
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
      this.#end(node, "crashed at a commit");
      this.#startLater(node.place);
    }
  }

  #publish(map: ShardMap): void {
    const counts = map.members.map(({ incarnation }) => incarnation).join(" ");
    this.#tell(`map ${map.epoch}: ${counts}`);
    // Shards move: it is the moment for trouble.
    if (!this.#isHealed) this.#after(this.random.below(MAP_TROUBLE_MS), () => this.#event());
    for (const node of this.#alive()) {
      const delayMs = this.random.chance(0.15) ? this.random.below(3_000) : this.random.below(200);
      const atMs = Math.max(this.time.nowMs + delayMs, node.maps.at(-1)?.atMs ?? 0);
      node.maps.push({ map, atMs });
    }
  }

  #start(place: Place): void {
    if (place.node !== null || place.isGone) return;
    if (this.#isHealed) place.config = withExtra(place.config, this.#isMixed);
    else if (this.#isMixed) place.config = nextConfig(place.config, this.random);
    place.node = new SimNode(this, place);
    this.#living.set(place.node.incarnation, place.node);
    this.#tell(`${place.node.incarnation} starts`);
    const { map } = this.etcd;
    if (map !== null) {
      place.node.maps.push({ map, atMs: this.time.nowMs + this.random.below(500) });
    }
  }

  #startLater(place: Place): void {
    this.#after(this.random.chance(0.3) ? this.random.below(9_000) : this.random.below(1_500),
      () => this.#start(place));
  }

  #end(node: SimNode, how: string): void {
    if (!node.isAlive) return;
    this.#tell(`${node.incarnation} ${how}`);
    node.end(this.#directory());
    node.place.node = null;
    this.#living.delete(node.incarnation);
    this.network.died(node);
  }

  tookEffect(traceId: string, keep: boolean, node: SimNode): void {
    const atMs = Math.round(this.time.nowMs - this.#beganMs);
    const fault = this.ledger.effect(traceId, keep, node.incarnation, atMs);
    if (fault === null) return;
    if (this.#oneAtATime) this.#fault(fault);
    else this.#disagreed.add(traceId);
  }

  delivered(spanId: string, node: SimNode): void {
    const fault = this.ledger.deliver(spanId, node.incarnation);
    if (fault !== null) this.#fault(fault);
  }


  /** All are there, act by the map in force, and have told each other everything. */
  get #isWhole(): boolean {
    const { map } = this.etcd;
    return this.network.isQuiet && this.#places.every(({ node, isGone, name, starts }) => {
      if (isGone || starts === 0) return map?.members.some((own) => own.name === name) !== true;
      if (node === null || node.isPaused || node.isLeaving || node.commitsLeft < Infinity) {
        return false;
      }
      return node.parts.shards.epoch === map?.epoch && node.parts.shards.closedShards() === 0
        && node.parts.foldAgain.waiting === 0 && node.etcdCutUntilMs <= this.time.nowMs
        && map.members.some(({ incarnation }) => incarnation === node.incarnation);
    });
  }

  /** All that have started are there, and reach each other. */
  get #areThere(): boolean {
    return this.network.isHealthy && this.#places.every(({ node, isGone, starts }) => {
      return isGone || starts === 0 || (node !== null && !node.isPaused && !node.isLeaving
        && node.commitsLeft === Infinity && node.etcdCutUntilMs <= this.time.nowMs);
    });
  }

  #event(): void {
    const nodes = this.#alive();
    if (nodes.length === 0) return;
    const node = nodes[this.random.below(nodes.length)]!;
    let at = this.random.below(EVENTS.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, name] of EVENTS) {
      at -= weight;
      if (at >= 0) continue;
      if (this.#oneAtATime && ABSENCES.has(name)) {
        if (!this.#wasWhole || !this.#areThere) return;
        this.#wasWhole = false;
      }
      this.#events.set(name, (this.#events.get(name) ?? 0) + 1);
      this.#tell(`${name} ${node.incarnation}`);
      this[name](node);
      return;
    }
  }

  #other(node: SimNode): string {
    const others = this.#places.filter(({ name }) => name !== node.name);
    return others[this.random.below(others.length)]!.name;
  }

  crash(node: SimNode): void {
    this.#end(node, "crashed");
    this.#startLater(node.place);
  }

  crashAtCommit(node: SimNode): void {
    node.commitsLeft = 1 + this.random.below(4);
  }

  /** Once more while the others still tell it what they know. */
  crashTwice(node: SimNode): void {
    this.#end(node, "crashed");
    const { place } = node;
    this.#after(this.random.below(1_000), () => {
      this.#start(place);
      this.#after(this.random.below(1_200), () => {
        if (place.node === null) return;
        this.#end(place.node, "crashed again");
        this.#startLater(place);
      });
    });
  }

  /** One of all nodes at most: a decision is on two. */
  lose(node: SimNode): void {
    if (this.#places.some(({ isGone }) => isGone)) return;
    this.#end(node, "is lost for good");
    node.place.isGone = true;
  }

  leave(node: SimNode): void {
    if (node.isLeaving) return;
    node.leave();
    this.#after(this.random.below(1_500), () => {
      this.#end(node, "left");
      this.#startLater(node.place);
    });
  }

  pause(node: SimNode): void {
    node.pausedUntilMs = this.time.nowMs + this.random.below(2 * LEASE_TTL_MS);
  }

  partition(node: SimNode): void {
    const other = this.#other(node);
    const untilMs = this.time.nowMs + this.random.below(9_000);
    this.network.block(node.name, other, untilMs);
    this.network.block(other, node.name, untilMs);
  }

  partitionOneWay(node: SimNode): void {
    this.network.block(
      node.name, this.#other(node), this.time.nowMs + this.random.below(9_000));
  }

  cut(node: SimNode): void {
    const streams = [0, 1, null] as const;
    this.network.cut(node.name, this.#other(node), streams[this.random.below(3)]!);
  }

  delay(node: SimNode): void {
    this.network.slow(node.name, this.#other(node), this.time.nowMs + this.random.below(5_000));
  }

  cutFromEtcd(node: SimNode): void {
    node.etcdCutUntilMs = this.time.nowMs + this.random.below(2 * LEASE_TTL_MS);
  }

  /** A node is away for an hour: it comes back to traces that were judged long ago. */
  #passHour(): void {
    const mayGo = (): boolean => !this.#oneAtATime || (this.#wasWhole && this.#areThere);
    for (let steps = 0; steps < WAIT_STEPS && !mayGo(); steps++) this.#step(25, 0);
    const node = this.#alive().find(({ isLeaving }) => !isLeaving);
    if (node === undefined || !mayGo()) return;
    this.#events.set("hour", (this.#events.get("hour") ?? 0) + 1);
    this.#end(node, "is off for an hour");
    for (let second = 0; second < HOUR_S && this.#faults.length === 0; second++) {
      this.#step(1_000, 0);
    }
    this.#start(node.place);
  }

  #heal(): void {
    if (this.#isHealed) return;
    this.#isHealed = true;
    this.#tell("all heals");
    this.network.heal();
    for (const node of this.#alive()) {
      node.pausedUntilMs = 0;
      node.etcdCutUntilMs = 0;
      node.commitsLeft = Infinity;
    }
  }

  /** Until nothing waits any more, and what clients were told is true. */
  #settle(): void {
    const endMs = this.time.nowMs + SETTLE_MS;
    let lookAtMs = this.time.nowMs + 2_000;
    let waits = "";
    while (this.#faults.length === 0) {
      this.#step(10 + this.random.below(40), 0);
      if (this.time.nowMs < lookAtMs) continue;
      lookAtMs = this.time.nowMs + 500;
      if (this.#isWhole) this.#agree();
      waits = this.#waits();
      if (waits === "") break;
      if (this.time.nowMs > endMs) this.#fault(`does not settle: ${waits}`);
    }
    if (this.#faults.length > 0) return;
    const gone = new Set(this.#places.filter(({ isGone }) => isGone).map(({ name }) => name));
    for (const fault of this.ledger.faults(gone, this.#disagreed)) this.#fault(fault);
  }

  /** What waits for a forwarder that not all have goes on when they do: one after the other. */
  #agree(): void {
    const other = this.#alive().find(({ config }) => config.hasExtra !== this.#isMixed);
    if (other === undefined) return;
    this.#end(other, "is configured as the others");
    this.#start(other.place);
  }

  #waits(): string {
    for (const { node, isGone, name } of this.#places) {
      if (isGone) continue;
      if (node === null || node.isLeaving) return `${name} is down`;
      if (node.config.hasExtra !== this.#isMixed) return `${name} has another configuration`;
      const unsettled = node.unsettled();
      if (unsettled !== "") return `${node.incarnation}: ${unsettled}`;
    }
    return "";
  }
}
