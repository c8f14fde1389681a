// A file system that is really full: a small tmpfs, which needs root to mount.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freeBytes } from "../../../engine/log/durable-file.ts";
import { LOG_FULL, LOG_OK } from "../../../engine/log/log-status.ts";
import { ReserveFile } from "../../../engine/log/reserve-file.ts";
import {
  TestVisitor, openLog, recordParts, temporaryDirectory,
} from "../../support/log-fixture.ts";

const DISK_BYTES = 16 << 20;

let root: ReturnType<typeof temporaryDirectory>;
let disk: string;

function mountable(): boolean {
  const probe = temporaryDirectory();
  try {
    const mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", probe.path];
    execFileSync("mount", mount, { stdio: "ignore" });
    execFileSync("umount", [probe.path], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  } finally {
    probe.remove();
  }
}

const canMount = mountable();
if (!canMount) console.log("skipped: a full disk needs a tmpfs, and mounting one needs root");

beforeEach(() => {
  root = temporaryDirectory();
  disk = join(root.path, "disk");
  mkdirSync(disk);
});
afterEach(() => root.remove());

describe.skipIf(!canMount)("a full disk", () => {
  beforeEach(() => {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk]);
  });
  afterEach(() => {
    execFileSync("umount", ["-l", disk]);
  });

  const body = new Uint8Array(400_000).fill(5);

  function openOnDisk(reserveBytes: number, firstGeneration = 1) {
    return openLog(join(disk, "lane-0"), {
      generationBytes: 2 << 20, reserveBytes,
    }, { firstGeneration });
  }

  it("fails transactions whole, keeps what is committed, and goes on once there is space", () => {
    const filler = join(disk, "filler");
    writeFileSync(filler, new Uint8Array(4 << 20));
    const { log } = openOnDisk(0);
    const committed: [number, number][] = [];
    let status: number = LOG_OK;
    while (status === LOG_OK) {
      const appended: [number, number][] = [];
      status = log.transact(() => {
        for (let record = 0; record < 3; record++) {
          const entry = log.appendRecord(body, 0, body.length, recordParts([1, 1]), 1);
          appended.push([log.openGeneration, entry]);
        }
      });
      if (status === LOG_OK) committed.push(...appended);
      log.rotateIfDue();
    }
    expect(status).toBe(LOG_FULL);
    expect(committed.length).toBeGreaterThan(12);
    for (let round = 0; round < 5; round++) {
      expect(log.transact(() => {
        log.appendRecord(body, 0, body.length, recordParts([1]), 1);
        log.appendRecord(new Uint8Array(4 << 20), 0, 4 << 20, recordParts([1]), 1);
      })).toBe(LOG_FULL);
    }
    for (const [generation, entry] of committed) {
      expect(log.readRecord(generation, entry)!.bytes[100]).toBe(5);
    }
    rmSync(filler);
    expect(log.transact(() => {
      const entry = log.appendRecord(body, 0, body.length, recordParts([1, 1]), 1);
      committed.push([log.openGeneration, entry]);
    })).toBe(LOG_OK);
    log.close();
    const again = openOnDisk(0, 100);
    expect(again.log.recover(new TestVisitor())).toMatchObject({
      records: committed.length, corruptEntries: 0, unsettledParts: committed.length * 2,
    });
    again.log.close();
  });

  it("gives its reserve away so that it can be settled, and takes it back", () => {
    const { log, clock } = openOnDisk(2 << 20);
    expect(log.takesRecords).toBe(true);
    const committed: [number, number][] = [];
    let status: number = LOG_OK;
    while (status === LOG_OK) {
      let entry = 0;
      status = log.transact(() => {
        entry = log.appendRecord(body, 0, body.length, recordParts([1]), 1);
      });
      if (status === LOG_OK) committed.push([log.openGeneration, entry]);
      log.rotateIfDue();
    }
    log.seal();
    writeFileSync(join(disk, "filler"), new Uint8Array(freeBytes(disk)));
    for (const [generation, entry] of committed) log.states(generation)!.set(entry, 0, 0);
    expect(log.transact(() => undefined)).toBe(LOG_FULL);
    expect(log.takesRecords).toBe(false);
    expect(log.transact(() => undefined)).toBe(LOG_OK);
    const carrier = { appendKept: () => undefined, appendMemory: () => undefined };
    expect(log.retire(carrier, 100)).toBe(LOG_OK);
    while (log.removeGone());
    expect(freeBytes(disk)).toBeGreaterThan(8 << 20);
    clock.nowMs += 2000;
    log.rotateIfDue();
    expect(log.takesRecords).toBe(true);
    log.close();
  });

  it("comes up on a disk that is full already", () => {
    const { log } = openOnDisk(0);
    log.transact(() => {
      log.appendRecord(body, 0, body.length, recordParts([1]), 1);
    });
    log.close();
    writeFileSync(join(disk, "filler"), new Uint8Array(freeBytes(disk)));
    const again = openOnDisk(1 << 20, 100);
    expect(again.log.takesRecords).toBe(false);
    expect(again.log.recover(new TestVisitor()).records).toBe(1);
    expect(again.log.readRecord(1, 2)!.end).toBe(body.length + 8);
    expect(again.log.transact(() => undefined)).toBe(LOG_FULL);
    again.log.close();
  });
});

describe("a reserve", () => {
  it("is written out, found again, given away and taken back", () => {
    const path = join(disk, "reserve");
    const first = new ReserveFile(path, 3_000_000);
    expect(first.held).toBe(false);
    first.restore();
    expect(first.held).toBe(true);
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(3_000_000);
    const second = new ReserveFile(path, 3_000_000);
    expect(second.held).toBe(true);
    expect(second.release()).toBe(true);
    expect(second.release()).toBe(false);
    expect(second.held).toBe(false);
    second.restore();
    expect(second.held).toBe(true);
  });

  it("of no bytes is always held and never there", () => {
    const none = new ReserveFile(join(disk, "reserve"), 0);
    none.restore();
    expect(none.held).toBe(true);
    expect(none.release()).toBe(false);
  });
});
