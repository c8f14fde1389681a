import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  LeaseKeeper, NEVER_MS, type LeaseKeeperDependencies,
} from "../../../engine/cluster/lease-keeper.ts";
import { MemoryCluster, MemoryStore } from "../../support/memory-store.ts";

const TTL_SECONDS = 10;
const TTL_MS = TTL_SECONDS * 1_000;

let cluster: MemoryCluster;
let store: MemoryStore;
let keepers: LeaseKeeper[];
let told: string[];

function keeper(changes: Partial<LeaseKeeperDependencies> = {}): LeaseKeeper {
  const options = { ttlSeconds: TTL_SECONDS, confirmKey: "/map", ownKey: "/node" };
  const made = new LeaseKeeper(options, {
    store, clock: { monotonicMs: () => cluster.nowMs, wallMs: () => cluster.nowMs },
    mayRenew: () => true,
    mayReturn: () => true,
    register: async (lease) => {
      const revision = cluster.read("/node")?.revision ?? 0;
      return await store.compareAndSet("/node", revision, "me", lease.id);
    },
    takenOut: () => told.push("taken out"),
    confirmed: (entry) => told.push(`confirmed ${entry?.value ?? "nothing"}`),
    lost: () => told.push("lost"),
    failed: (error) => told.push(`failed ${String(error)}`),
    ...changes,
  });
  keepers.push(made);
  return made;
}

/** Lets both clocks run. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    cluster.advance(50);
    await vi.advanceTimersByTimeAsync(50);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  cluster = new MemoryCluster();
  store = new MemoryStore(cluster);
  keepers = [];
  told = [];
});
afterEach(async () => {
  store.isDown = false;
  for (const each of keepers) await each.stop();
  vi.useRealTimers();
});

describe("a lease", () => {
  it("is not counted before the node is registered and a keepalive was answered", async () => {
    const made = keeper();
    expect(made.lastAcknowledgedSentMs).toBe(NEVER_MS);
    made.start();
    expect(made.lastAcknowledgedSentMs).toBe(NEVER_MS);
    await pass(50);
    expect(made.lastAcknowledgedSentMs).toBe(cluster.nowMs);
    expect(made.leaseTtlMs).toBe(TTL_MS);
    expect(store.calls.slice(0, 3)).toEqual(["grantLease", "compareAndSet", "renewLease"]);
  });

  it("counts from the sending of a keepalive, not from its answer", async () => {
    store.keepaliveMs = 1_200;
    const made = keeper();
    made.start();
    const sentMs = cluster.nowMs + 50;
    await pass(50);
    expect(cluster.nowMs).toBe(sentMs + 1_200);
    expect(made.lastAcknowledgedSentMs).toBe(sentMs);
  });

  it("is kept alive four times in a TTL", async () => {
    keeper().start();
    await pass(10 * TTL_MS);
    const renewals = store.calls.filter((call) => call === "renewLease").length;
    expect(renewals).toBeGreaterThanOrEqual(38);
    expect(renewals).toBeLessThanOrEqual(42);
    expect(cluster.keys).toEqual(["/node"]);
    expect(told.filter((each) => each !== "confirmed nothing")).toEqual([]);
  });

  it("stays where it was while nobody answers, and goes on after a short fault", async () => {
    const made = keeper();
    made.start();
    await pass(100);
    const before = made.lastAcknowledgedSentMs;
    store.isDown = true;
    await pass(6_000);
    expect(made.lastAcknowledgedSentMs).toBeLessThanOrEqual(before + TTL_MS / 4);
    expect(made.failedKeepalives).toBeGreaterThan(3);
    store.isDown = false;
    await pass(300);
    expect(made.lastAcknowledgedSentMs).toBeGreaterThan(before + 5_500);
    expect(made.lostCount).toBe(0);
  });

  it("that ended closes the fence at once, and is granted and registered again", async () => {
    const made = keeper();
    made.start();
    await pass(100);
    const [first] = cluster.leaseIds;
    let atLoss = 0;
    vi.spyOn(told, "push").mockImplementation((...words) => {
      if (words[0] === "lost") atLoss = made.lastAcknowledgedSentMs;
      return Array.prototype.push.apply(told, words);
    });
    cluster.endLease(first!);
    expect(cluster.keys).toEqual([]);
    await pass(TTL_MS / 2);
    expect(atLoss).toBe(NEVER_MS);
    expect(made.lostCount).toBe(1);
    expect(cluster.keys).toEqual(["/node"]);
    expect(made.leaseId).not.toBe(first);
    expect(made.lastAcknowledgedSentMs).toBeGreaterThan(0);
  });

  it("that ended before the node was registered is granted again", async () => {
    let isFirst = true;
    const made = keeper({
      register: async (lease) => {
        if (isFirst) cluster.endLease(lease.id);
        isFirst = false;
        return await store.compareAndSet("/node", 0, "me", lease.id);
      },
    });
    made.start();
    await pass(1_000);
    expect(made.lostCount).toBe(1);
    expect(made.leaseId).toBe("2");
  });

  it("counts as lost when the key under it was deleted, or written by somebody else", async () => {
    let mayReturn = true;
    const made = keeper({ mayReturn: () => mayReturn });
    made.start();
    await pass(100);
    for (const change of [
      () => cluster.remove("/node"), () => cluster.write("/node", "another", null),
    ]) {
      const [first] = cluster.leaseIds;
      told.length = 0;
      mayReturn = false;
      change();
      await pass(TTL_MS / 2);
      expect(told.filter((each) => each !== "confirmed nothing")).toEqual(["taken out", "lost"]);
      expect(made.lastAcknowledgedSentMs).toBe(NEVER_MS);
      expect(made.leaseId).toBeNull();
      await pass(2 * TTL_MS);
      expect(cluster.leaseIds).toEqual([]);
      mayReturn = true;
      await pass(1_000);
      expect(made.leaseId).not.toBe(first);
      expect(cluster.read("/node")?.value).toBe("me");
      expect(made.lastAcknowledgedSentMs).toBeGreaterThan(0);
    }
    expect(made.lostCount).toBe(2);
  });

  it("does not count by a keepalive whose read came after the key was deleted", async () => {
    const made = keeper();
    made.start();
    await pass(100);
    const deletedMs = cluster.nowMs;
    cluster.remove("/node");
    await pass(TTL_MS / 2);
    expect(made.lostCount).toBe(1);
    // What counts now is of another registration, never of the deleted one.
    expect(cluster.read("/node")!.revision).toBeGreaterThan(2);
    expect(made.lastAcknowledgedSentMs).toBeGreaterThan(deletedMs);
  });

  it("is left to end while a lane hangs", async () => {
    let hangs = false;
    const made = keeper({ mayRenew: () => !hangs });
    made.start();
    await pass(100);
    const before = made.lastAcknowledgedSentMs;
    hangs = true;
    await pass(TTL_MS + 3_000);
    expect(made.lastAcknowledgedSentMs).toBe(before);
    expect(cluster.keys).toEqual([]);
    hangs = false;
    await pass(1_000);
    expect(cluster.keys).toEqual(["/node"]);
    expect(made.lostCount).toBe(1);
  });

  it("is kept, and counts for nothing, while the node's name is taken", async () => {
    let isTaken = true;
    const made = keeper({
      register: async (lease) => {
        return isTaken ? null : await store.compareAndSet("/node", 0, "me", lease.id);
      },
    });
    made.start();
    await pass(3 * TTL_MS);
    expect(made.lastAcknowledgedSentMs).toBe(NEVER_MS);
    expect(made.leaseId).toBeNull();
    expect(cluster.leaseIds).toHaveLength(1);
    isTaken = false;
    await pass(500);
    expect(made.lastAcknowledgedSentMs).toBeGreaterThan(0);
  });

  it("ends with stop(), even when a keepalive is under way", async () => {
    const made = keeper();
    made.start();
    await pass(100);
    await made.stop();
    expect(cluster.leaseIds).toEqual([]);
    expect(made.lastAcknowledgedSentMs).toBe(NEVER_MS);
    const calls = store.calls.length;
    await pass(TTL_MS);
    expect(store.calls).toHaveLength(calls);
    const other = keeper();
    other.start();
    vi.advanceTimersByTime(0);
    await other.stop();
    await pass(TTL_MS);
    expect(cluster.leaseIds).toEqual([]);
    expect(other.lastAcknowledgedSentMs).toBe(NEVER_MS);
  });

  it("tells a fault that no other try mends, and stops", async () => {
    const made = keeper({ register: () => Promise.reject(new Error("no such format")) });
    made.start();
    await pass(2_000);
    expect(told).toEqual(["failed Error: no such format"]);
    expect(made.lastAcknowledgedSentMs).toBe(NEVER_MS);
    expect(store.calls).toEqual(["grantLease"]);
  });
});
