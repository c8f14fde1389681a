// Random histories of a small cluster: processes are killed, come back, lose their disks, take each
// other's names, leave; etcd is cut off from some or from all, forgets leases, tells late; messages
// are delayed and lost, requests take effect long after anybody waits for them; members are silent
// for others, who delete their registrations, and so do hands. At every moment:
//
//   - maps follow each other, one an epoch;
//   - no process that may decide, by its fence, is missing in the map that is in force in etcd.
//
// And after quiet everything that lives is in the map and may decide.

import { afterEach, describe, expect, it, vi } from "vitest";
import { GatewayError } from "../../engine/base/errors.ts";
import { FROZEN_MAX_MS } from "../../engine/cluster/fence.ts";
import { MAP_KEY } from "../../engine/cluster/membership.ts";
import { NODES_PREFIX } from "../../engine/cluster/node-registry.ts";
import { ABANDONED_MS } from "../../engine/cluster/next-members.ts";
import { decodeMap } from "../../engine/cluster/shard-map-codec.ts";
import type { ShardMap } from "../../engine/cluster/shard-map.ts";
import { Random } from "../support/random.ts";
import { Fleet, TTL_SECONDS, type GatewayProcess } from "./map-keeper-nodes.ts";
import { World } from "./map-keeper-world.ts";

/** Reading a map is most of the time that a history takes, and all nodes read the same texts. */
vi.mock("../../engine/cluster/shard-map-codec.ts", async (importActual) => {
  const actual = await importActual<typeof import("../../engine/cluster/shard-map-codec.ts")>();
  const read = new Map<string, ShardMap>();
  const decode = (text: string): ShardMap => {
    if (read.size > 20) read.clear();
    const map = read.get(text) ?? actual.decodeMap(text);
    read.set(text, map);
    return map;
  };
  return { ...actual, decodeMap: decode };
});

const HISTORIES = Number(process.env["TAILRACE_HISTORIES"] ?? 100);
const CHAOS_MS = 60_000;
/** Whoever leaves has left, whoever waits for a name has it or was refused. */
const SETTLE_MS = 3 * TTL_SECONDS * 1_000;
/** A lease ends, is waited for, and all pauses in between. */
const QUIET_MS = 4 * TTL_SECONDS * 1_000;
/** As long as a node stays away that was taken out a few times. */
const AWAY_MS = 400_000;
const NAMES = ["a", "b", "c", "d", "e"];

/** What histories have shown, all together: a model that shows nothing proves nothing. */
const shown = {
  maps: 0, removals: 0, repetitions: 0, frozen: 0, left: 0, refused: 0,
  takenOut: 0, returned: 0, bySilence: 0, byHand: 0,
};

let world: World;
let fleet: Fleet;
let inForce: ShardMap | null;
let members: ReadonlySet<string>;
/** What was planned before does no more harm. */
let isQuiet: boolean;

function open(random: Random): void {
  world = new World(random);
  fleet = new Fleet(world);
  inForce = null;
  isQuiet = false;
  world.etcd.watch(MAP_KEY, 0, {
    gap: () => {},
    events: ([event]) => {
      const map = decodeMap(event!.value!);
      expect(map.epoch, "one map an epoch").toBe((inForce?.epoch ?? 0) + 1);
      count(inForce, map);
      inForce = map;
      members = new Set(map.members.map(({ incarnation }) => incarnation));
    },
  });
  world.check = checkFences;
}

function count(before: ShardMap | null, after: ShardMap): void {
  shown.maps++;
  const logs = new Set(after.members.map(({ logId }) => logId));
  shown.removals += before?.members.filter(({ logId }) => !logs.has(logId)).length ?? 0;
  if (JSON.stringify(before?.members) === JSON.stringify(after.members)) shown.repetitions++;
}

function checkFences(): void {
  if (inForce === null) return;
  for (const each of fleet.processes) {
    if (each.isOver || members.has(each.self.incarnation) || !each.mayDecide) continue;
    expect.fail(`${each.self.incarnation} decides at ${world.nowMs} by map `
      + `${each.membership.map?.epoch}, and map ${inForce.epoch} is without it `
      + `(frozen: ${each.isFrozen})\n${each.log.slice(-5).join("\n")}`);
  }
}

function anyOf<Item>(items: readonly Item[]): Item | undefined {
  return items[world.random.below(Math.max(1, items.length))];
}

function cut(some: readonly GatewayProcess[], ms: number): void {
  if (isQuiet) return;
  for (const { store } of some) store.isCut = true;
  world.after(ms, () => some.forEach(({ store }) => { store.isCut = false; }));
}

/** Some hear nothing of one for a while, and report it as long as that lasts. */
function silence(some: readonly GatewayProcess[], silent: GatewayProcess, ms: number): void {
  const untilMs = world.nowMs + ms;
  silent.reachesOthers = world.random.chance(0.5);
  const report = (): void => {
    const isOver = isQuiet || world.nowMs >= untilMs;
    for (const each of some) {
      if (!each.isOver) each.reportSilent(isOver ? "" : silent.self.name);
    }
    if (isOver) silent.reachesOthers = true;
    else world.after(2_000, report);
  };
  report();
}

/** Names whose process is dead. */
function absent(): string[] {
  return NAMES.filter((name) => !fleet.alive.some(({ self }) => self.name === name));
}

/** The log with which a name was started last. */
function logOf(name: string): string {
  const logs = fleet.processes.filter(({ self }) => self.name === name);
  return logs.at(-1)?.self.logId ?? `log-of-${name}`;
}

function isFree(logId: string): boolean {
  return !fleet.alive.some(({ self }) => self.logId === logId);
}

const ACTIONS: readonly (() => void)[] = [
  () => cut(fleet.alive.filter(() => world.random.chance(0.4)), world.between(500, 40_000)),
  () => cut(fleet.alive, world.between(2_000, 30_000)),
  () => cut(fleet.alive.slice(1), world.between(2_000, 30_000)),
  () => { // one is gone for long, and its time to be removed comes while all others are cut off
    const gone = anyOf(fleet.alive);
    if (gone === undefined) return;
    cut([gone], world.between(20_000, 45_000));
    for (let ms = 18_000; ms < 30_000; ms += 3_000) {
      world.after(ms + world.random.below(2_000), () => {
        const others = fleet.alive.filter((each) => each !== gone);
        others.forEach((each) => cut([each], world.between(3_200, 6_000)));
      });
    }
  },
  () => { // one is gone for long, and what removes it takes effect while all others are cut off
    const gone = anyOf(fleet.alive);
    if (gone === undefined) return;
    cut([gone], world.between(25_000, 45_000));
    world.after(world.between(11_000, 20_000), () => {
      if (isQuiet) return;
      for (const { store } of fleet.alive) store.stallNextWriteMs = world.between(2_000, 12_000);
      const pauseMs = world.between(0, 10_000);
      world.after(pauseMs, () => cut(fleet.alive.filter(() => world.random.chance(0.8)), 10_000));
    });
  },
  () => { // one is gone, is back for a moment, and its new lease is lost at once
    const gone = anyOf(fleet.alive);
    if (gone === undefined) return;
    cut([gone], world.between(11_000, 18_000));
    anyOf(fleet.alive)!.store.deafUntilMs = world.nowMs + world.between(0, 60_000);
    world.after(world.between(19_000, 22_000), () => {
      cut([gone], 20_000);
      const key = NODES_PREFIX + gone.self.name;
      const lease = world.etcd.leaseOf(key);
      if (lease !== null && !isQuiet) world.etcd.endLease(lease);
    });
  },
  () => anyOf(fleet.alive)?.kill(),
  () => {
    const name = anyOf(absent());
    if (name !== undefined && isFree(logOf(name))) fleet.start(name, logOf(name));
  },
  () => {
    const name = anyOf(absent());
    if (name !== undefined && isFree(logOf(name))) fleet.start(name, logOf(name));
  },
  () => { // a new disk, while the former process may live: two of one name
    const name = anyOf(NAMES)!;
    if (world.random.chance(0.3)) fleet.start(name, `log-${world.random.hex(4)}`);
  },
  () => { // one is not heard by some
    const silent = anyOf(fleet.alive);
    if (silent === undefined) return;
    const others = fleet.alive.filter((each) => each !== silent && world.random.chance(0.6));
    silence(others, silent, world.between(1_000, 40_000));
  },
  () => { // two do not hear each other
    const [one, two] = [anyOf(fleet.alive), anyOf(fleet.alive)];
    if (one === undefined || two === undefined || one === two) return;
    silence([one], two, 20_000);
    silence([two], one, 20_000);
  },
  () => { // what takes one out takes effect late, perhaps while all others are cut off
    const [one, two] = [anyOf(fleet.alive), anyOf(fleet.alive)];
    if (one === undefined || two === undefined || one === two || isQuiet) return;
    silence([one], two, 10_000);
    one.store.stallNextDeletionMs = world.between(2_000, 15_000);
    const pauseMs = world.between(0, 12_000);
    world.after(pauseMs, () => cut(fleet.alive.filter(() => world.random.chance(0.8)), 10_000));
  },
  () => { // a hand deletes a registration, and its node may not see it
    const node = anyOf(fleet.alive);
    if (node === undefined) return;
    if (world.random.chance(0.5)) node.store.deafUntilMs = world.nowMs + 30_000;
    const key = NODES_PREFIX + node.self.name;
    if (world.etcd.read(key) !== null) shown.byHand++;
    world.etcd.remove(key);
  },
  () => { // another name for the same disk
    const former = anyOf(fleet.processes);
    const name = anyOf(absent());
    if (former === undefined || name === undefined || !former.isOver) return;
    if (isFree(former.self.logId)) fleet.start(name, former.self.logId);
  },
  () => { // killed and back at once
    const former = anyOf(fleet.alive);
    former?.kill();
    if (former !== undefined) fleet.start(former.self.name, former.self.logId);
  },
  () => {
    const id = anyOf(world.etcd.leaseIds);
    if (id !== undefined) world.etcd.endLease(id);
  },
  () => {
    const deaf = anyOf(fleet.alive);
    if (deaf !== undefined) deaf.store.deafUntilMs = world.nowMs + world.between(0, 40_000);
  },
  () => anyOf(fleet.alive)?.store.breakWatches(),
  () => {
    const leaving = anyOf(fleet.alive);
    if (leaving === undefined || world.random.chance(0.5)) return;
    shown.left++;
    void leaving.leave();
  },
  () => {
    const hanging = anyOf(fleet.alive);
    if (hanging === undefined) return;
    hanging.isHanging = true;
    world.after(world.between(1_000, 25_000), () => { hanging.isHanging = false; });
  },
  () => { fleet.loss = world.random.below(60) / 100; },
  () => { fleet.loss = 0; },
  () => {
    const slow = anyOf(fleet.alive);
    if (slow !== undefined) slow.store.delayMsMax = anyOf([5, 20, 300, 2_000])!;
  },
];

async function runChaos(): Promise<void> {
  const count = world.between(1, NAMES.length);
  const isSlow = world.random.chance(0.3);
  for (const name of NAMES.slice(0, count)) {
    const { store } = fleet.start(name);
    if (isSlow) store.delayMsMax = 1_500;
  }
  await world.pass(world.between(0, 5_000));
  const endMs = world.nowMs + CHAOS_MS;
  // Some histories are wild, others have time to settle between two faults.
  const pauseMsMax = anyOf([1_500, 5_000, 20_000])!;
  while (world.nowMs < endMs) {
    anyOf(ACTIONS)!();
    await world.pass(world.random.below(pauseMsMax));
    shown.frozen += Number(fleet.alive.some((each) => each.isFrozen && each.mayDecide));
  }
}

async function makeQuiet(): Promise<void> {
  isQuiet = true;
  fleet.loss = 0;
  for (const each of fleet.alive) {
    each.isHanging = false;
    each.store.isCut = false;
    each.store.deafUntilMs = 0;
    each.store.stallNextWriteMs = 0;
    each.store.stallNextDeletionMs = 0;
    each.store.delayMsMax = 20;
  }
  await world.pass(SETTLE_MS);
  for (let ms = 0; ms < AWAY_MS && fleet.alive.some(isAway); ms += 1_000) await world.pass(1_000);
  // Newcomers need one that is in the map; the others may be gone for good. One that is alive and
  // not registered has lost its name to another log, and is about to be refused.
  const members = inForce?.members ?? [];
  const isManned = fleet.alive.some(({ self, membership }) =>
    membership.isRegistered && members.some(({ logId }) => logId === self.logId));
  if (members.length > 0 && !isManned) {
    const { name, logId } = members[0]!;
    for (const each of fleet.alive) {
      if (each.self.name === name || each.self.logId === logId) each.kill();
    }
    fleet.start(name, logId);
  }
  if (fleet.alive.length === 0) fleet.start("a", logOf("a"));
  await world.pass(QUIET_MS);
}

/** Taken out, and not back. */
function isAway({ takenOut, membership }: GatewayProcess): boolean {
  return takenOut > 0 && !membership.isRegistered;
}

function expectWhole(): void {
  const alive = fleet.alive.map(({ self }) => self.incarnation).sort();
  expect(inForce!.members.map(({ incarnation }) => incarnation).sort()).toEqual(alive);
  for (const each of fleet.alive) {
    expect(each.membership.map!.epoch, `${each.self.incarnation} knows the map`)
      .toBe(inForce!.epoch);
    expect(each.mayDecide, `${each.self.incarnation} decides`).toBe(true);
    expect(each.isFrozen).toBe(false);
  }
  for (const { takenOut, isOver, keeper } of fleet.processes) {
    shown.bySilence += keeper.counts.removed;
    shown.takenOut += takenOut;
    shown.returned += Number(takenOut > 0 && !isOver);
  }
  for (const { refusal } of fleet.processes) {
    if (refusal === null) continue;
    if (!(refusal instanceof GatewayError)) throw refusal;
    expect(refusal.code).toBe("CLUSTER_SERVER_NAME_TAKEN");
    shown.refused++;
  }
}

afterEach(() => {
  for (const each of fleet.alive) each.kill();
  world.close();
});

describe("through random histories", () => {
  const { seed } = Random.fromEnvironment();
  process.stdout.write(`seed ${seed}\n`);

  it(`whoever may decide is in the map, ${HISTORIES} histories from seed ${seed}`, async () => {
    for (let index = 0; index < HISTORIES; index++) {
      const historySeed = (seed + index) >>> 0;
      open(new Random(historySeed));
      try {
        await runChaos();
        await makeQuiet();
        expectWhole();
      } catch (error) {
        process.stdout.write(`the history that failed: TAILRACE_SEED=${historySeed}\n`);
        throw error;
      } finally {
        for (const each of fleet.alive) each.kill();
        world.close();
      }
    }
    process.stdout.write(`${JSON.stringify(shown)}\n`);
    if (HISTORIES < 50) return;
    for (const [what, times] of Object.entries(shown)) {
      expect(times, `${what}: histories must show it`).toBeGreaterThan(0);
    }
  }, 120_000);
});

it("members that are frozen stop before a newcomer with etcd begins anew", async () => {
  const random = Random.fromEnvironment();
  process.stdout.write(`seed ${random.seed}\n`);
  open(random);
  fleet.lateness = 0;
  const members = ["a", "b", "c"].map((name) => fleet.start(name));
  // They are at rest when etcd is lost: who waits for the answer to a proposal then grants nothing,
  // and where a keepalive was lost just before, the lease ends before the grants are there.
  await world.pass(TTL_SECONDS * 1_000);
  const areReady = (): boolean => members.every(({ mayDecide, keeper, membership, nowMs }) =>
    mayDecide && !keeper.hasOpenProposal
    && nowMs - membership.lastAcknowledgedSentMs < TTL_SECONDS * 1_000 / 3);
  for (let ms = 0; ms < QUIET_MS && !areReady(); ms += 500) await world.pass(500);
  expect(areReady()).toBe(true);
  cut(members, FROZEN_MAX_MS + ABANDONED_MS);
  const newcomer = fleet.start("d");
  let isLate = false;
  const endMs = ABANDONED_MS + 20 * TTL_SECONDS * 1_000;
  for (let ms = 0; ms < endMs && !isLate; ms += 1_000) {
    await world.pass(1_000);
    const decide = members.filter(({ mayDecide }) => mayDecide).length;
    if (ms < FROZEN_MAX_MS * 0.95) expect(decide, `of the members after ${ms} ms`).toBe(3);
    if (newcomer.mayDecide) expect(decide).toBe(0);
    isLate = newcomer.mayDecide;
  }
  expect(isLate).toBe(true);
  expect(inForce!.members.map(({ name }) => name)).toEqual(["d"]);
  for (const { store } of members) store.isCut = false;
  await world.pass(QUIET_MS);
  expectWhole();
});
