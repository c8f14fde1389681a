import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import {
  DataDirectory, directoryName, logDirectory, outboxDirectory,
} from "../../../engine/log/data-directory.ts";
import { LaneLog } from "../../../engine/log/lane-log.ts";
import { LOG_OK } from "../../../engine/log/log-status.ts";
import {
  TestVisitor, openLog, recordParts, temporaryDirectory,
} from "../../support/log-fixture.ts";

let root: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => root.remove());

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error);
  }
  return "nothing thrown";
}

describe("a data directory", () => {
  it("keeps its identity and the slots of forwarders across runs", () => {
    const first = new DataDirectory(join(root.path, "deep", "data"), 2);
    expect(first.slots.assign(["a", "b"])).toEqual([0, 1]);
    first.close();
    const second = new DataDirectory(join(root.path, "deep", "data"), 2);
    expect(second.logId).toBe(first.logId);
    expect(second.logId).toMatch(/^[0-9a-f-]{36}$/);
    expect(second.fingerprintSeed).toBe(first.fingerprintSeed);
    expect(second.slots.assign(["c", "b"])).toEqual([2, 1]);
    expect(second.slots.names().slice(0, 4)).toEqual(["a", "b", "c", ""]);
    second.close();
  });

  it("refuses a seventeenth forwarder until a slot is free", () => {
    const data = new DataDirectory(root.path, 1);
    const names = Array.from({ length: 16 }, (_, slot) => `forwarder ${slot}`);
    data.slots.assign(names);
    expect(codeOf(() => data.slots.assign(["one more"]))).toBe("DATA_DIRECTORY");
    data.slots.release(["forwarder 7", "never known"]);
    expect(data.slots.assign(["one more"])).toEqual([7]);
    data.close();
  });

  it("refuses files that it did not write, and formats of newer releases", () => {
    const identity = join(root.path, "log.json");
    writeFileSync(identity, "{");
    expect(codeOf(() => new DataDirectory(root.path, 1))).toBe("DATA_DIRECTORY");
    writeFileSync(identity, '{"format": "1"}');
    expect(codeOf(() => new DataDirectory(root.path, 1))).toBe("DATA_DIRECTORY");
    writeFileSync(identity, '{"format": 99, "id": "x", "fingerprintSeed": 1}');
    expect(codeOf(() => new DataDirectory(root.path, 1))).toBe("LOG_VERSION");
    writeFileSync(identity, '{"format": 1, "id": "x", "fingerprintSeed": 1}');
    writeFileSync(join(root.path, "forwarders.json"), '{"slots": ["a"]}');
    expect(codeOf(() => new DataDirectory(root.path, 1))).toBe("DATA_DIRECTORY");
    expect(existsSync(join(root.path, "lock"))).toBe(false);
  });

  it("never gives a generation id out twice", () => {
    const first = new DataDirectory(root.path, 1);
    expect(first.highestGeneration).toBe(0);
    first.close();
    mkdirSync(join(logDirectory(root.path, 0), "0000005000.set-aside"), { recursive: true });
    mkdirSync(join(outboxDirectory(root.path, "a", 0), "0000006000"), { recursive: true });
    const second = new DataDirectory(root.path, 1);
    expect(second.highestGeneration).toBe(6000);
    second.close();
    const third = new DataDirectory(root.path, 1);
    expect(third.highestGeneration).toBeGreaterThan(6000);
    third.close();
  });

  it("names directories of forwarders readably and apart", () => {
    const names = ["a/b", "a_b", "..", "", "x".repeat(400), "x".repeat(401)];
    const directories = names.map(directoryName);
    expect(new Set(directories).size).toBe(names.length);
    for (const directory of directories) expect(directory).toMatch(/^[A-Za-z0-9_-]{1,60}$/);
  });

  it("counts what is on disk", () => {
    const data = new DataDirectory(root.path, 1);
    const before = data.usedBytes();
    writeFileSync(join(root.path, "log", "file"), new Uint8Array(100_000));
    expect(data.usedBytes() - before).toBeGreaterThanOrEqual(100_000);
    expect(data.freeBytes()).toBeGreaterThan(0);
    data.close();
  });
});

describe("the lock of a data directory", () => {
  it("lets one process in at a time", () => {
    const first = new DataDirectory(root.path, 1);
    expect(codeOf(() => new DataDirectory(root.path, 1))).toBe("DATA_IN_USE");
    first.close();
    new DataDirectory(root.path, 1).close();
    expect(readdirSync(root.path).filter((name) => name.startsWith("lock"))).toEqual([]);
  });

  it("refuses while another process lives, and takes over when it was killed", async () => {
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    new DataDirectory(root.path, 1).close();
    const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
    const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const lock = join(root.path, "lock");
    writeFileSync(lock, JSON.stringify({ pid: child.pid, startedAt, boot }));
    expect(codeOf(() => new DataDirectory(root.path, 1))).toBe("DATA_IN_USE");
    child.kill("SIGKILL");
    await once(child, "exit");
    new DataDirectory(root.path, 1).close();
    expect(existsSync(lock)).toBe(false);
  });

  it("does not take a number that was used again, another boot or garbage for the owner", () => {
    const lock = join(root.path, "lock");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    for (const content of [
      JSON.stringify({ pid: process.ppid, startedAt: "1", boot }),
      JSON.stringify({ pid: process.ppid, startedAt: "1", boot: "another" }),
      "", "{", '{"pid": 1}', "null",
    ]) {
      writeFileSync(lock, content);
      new DataDirectory(root.path, 1).close();
    }
  });
});

describe("adoption of lanes", () => {
  function fill(lane: number, generation: number): number {
    const { log } = openLog(logDirectory(root.path, lane), {}, { firstGeneration: generation });
    let entry = 0;
    expect(log.transact(() => {
      entry = log.appendRecord(new Uint8Array(10), 0, 10, recordParts([1, 1]), 1);
    })).toBe(LOG_OK);
    log.seal();
    log.states(generation)!.clear(entry, 1, 1);
    log.transact(() => undefined);
    log.close();
    return entry;
  }

  function recovered(lane: number): LaneLog {
    const { log } = openLog(logDirectory(root.path, lane), {}, { firstGeneration: 100 });
    log.recover(new TestVisitor());
    return log;
  }

  it("moves whole lanes to lanes that exist, states with them", () => {
    const entry = fill(0, 10);
    fill(3, 20);
    fill(2, 30);
    const data = new DataDirectory(root.path, 2);
    expect(data.adoptedLanes).toBe(2);
    expect(readdirSync(join(root.path, "log")).sort()).toEqual(["lane-0", "lane-1"]);
    const zero = recovered(0);
    expect(zero.generations()).toEqual([10, 11, 30, 31]);
    expect(zero.states(30)!.state(entry, 0)).toBe(1);
    expect(zero.states(30)!.state(entry, 1)).toBe(0);
    zero.close();
    const one = recovered(1);
    expect(one.generations()).toEqual([20, 21]);
    one.close();
    data.close();
    const again = new DataDirectory(root.path, 4);
    expect(again.adoptedLanes).toBe(0);
    again.close();
  });

  it("finishes a move that a crash cut short, whatever the number of lanes is now", () => {
    fill(3, 20);
    const base = join(root.path, "log");
    writeFileSync(join(base, "adoption.json"), '{"from":3,"to":1}');
    const data = new DataDirectory(root.path, 4);
    expect(readdirSync(base)).toEqual(["lane-1"]);
    data.close();
    const one = recovered(1);
    expect(one.generations()).toEqual([20, 21]);
    one.close();
  });
});
