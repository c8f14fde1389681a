// The data directory on a file system that somebody else fills up, or that refuses to write.

import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { RecordingBackend } from "../support/backend.ts";
import { BalanceWatch } from "../support/balance-watch.ts";
import type { GatewayConfig } from "../support/gateway.ts";
import { ALL_IS_WELL, duplicates, reckonAll, reckonSampled } from "../support/reckoning.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { canMountTmpfs, tmpfs } from "../support/tmpfs.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const MIB = 1024 * 1024;
const DISK_BYTES = 96 * MIB;

const canMount = canMountTmpfs();
if (!canMount) console.log("skipped: a full disk needs a tmpfs, and mounting one needs root");

interface Backends {
  readonly kept: RecordingBackend;
  readonly all: RecordingBackend;
}

function configOn(
  stage: Stage, disk: string, backends: Backends, more: GatewayConfig = {},
): GatewayConfig {
  stage.run++;
  return stage.config([
    stage.otlpForwarder("kept", backends.kept, { TraceSample: fateSampler("3s") }),
    stage.otlpForwarder("all", backends.all),
  ], { Workers: 2, BackupLocation: path.join(disk, "data"), StorageLimit: "1GiB", ...more });
}

/** Takes what is free but for `leave` bytes. */
function fill(disk: string, leave: number): void {
  const { bavail, bsize } = fs.statfsSync(disk);
  fs.writeFileSync(path.join(disk, "filler"), new Uint8Array(Math.max(0, bavail * bsize - leave)));
}

function free(disk: string): void {
  fs.rmSync(path.join(disk, "filler"));
}

describe.skipIf(!canMount)("a full disk", () => {
  it("makes clients wait, loses nothing that was acknowledged, and heals by itself", async () => {
    const stage = Stage.open();
    const backends = { kept: await stage.backend(), all: await stage.backend() };
    const disk = tmpfs(DISK_BYTES);
    const gateway = await stage.start(configOn(stage, disk, backends));
    const traffic = stage.traffic({ spansPerSecond: 2000, padding: 2000 });
    const watch = new BalanceWatch(gateway);
    await until(() => traffic.answersWith(200) > 50, "spans are taken");
    for (let round = 0; round < 2; round++) {
      fill(disk, 2 * MIB);
      const refusedBefore = traffic.answersWith(503);
      await until(() => traffic.answersWith(503) > refusedBefore + 20, "clients are refused");
      await sleep(1_000);
      expect(await gateway.metric("tailrace_log_commit_failures_total", { reason: "disk_full" }))
        .toBeGreaterThan(0);
      free(disk);
      const takenBefore = traffic.answersWith(200);
      await until(() => traffic.answersWith(200) > takenBefore + 20, "spans are taken again");
    }
    await traffic.stop();
    await gateway.settled();
    expect((await watch.stop()).faults).toEqual([]);
    expect([...traffic.answers.keys()].toSorted()).toEqual([200, 503]);
    expect(traffic.impatient).toBe(0);
    expect(reckonSampled(traffic, backends.kept)).toEqual(ALL_IS_WELL);
    expect(reckonAll(traffic, backends.all)).toEqual(ALL_IS_WELL);
    expect(gateway.output).toContain("the disk is full: spans are refused with 503");
    expect((await gateway.stop()).code).toBe(0);
    expect([duplicates(backends.kept), duplicates(backends.all)]).toEqual([[], []]);
  }, TEST_MS);

  it("costs nothing acknowledged when the process is killed on it, and again while it starts",
    async () => {
      const stage = Stage.open();
      const backends = { kept: await stage.backend(), all: await stage.backend() };
      const disk = tmpfs(DISK_BYTES);
      const gateway = await stage.start(configOn(stage, disk, backends));
      const traffic = stage.traffic({ spansPerSecond: 2000, padding: 2000 });
      await until(() => traffic.answersWith(200) > 50, "spans are taken");
      fill(disk, MIB);
      await until(() => traffic.answersWith(503) > 20, "clients are refused");
      await gateway.kill();
      // On a full disk it may start or say why not; it must do no harm.
      const early = await stage.launch(configOn(stage, disk, backends));
      await sleep(2_000);
      if (early.running) await early.kill();
      else expect(await early.exited).toEqual({ code: 2, signal: null });
      free(disk);
      const again = await stage.start(configOn(stage, disk, backends));
      await traffic.stop();
      await again.settled();
      expect(reckonSampled(traffic, backends.kept)).toEqual(ALL_IS_WELL);
      expect(reckonAll(traffic, backends.all)).toEqual(ALL_IS_WELL);
      expect((await again.stop()).code).toBe(0);
    }, TEST_MS);
});

describe.skipIf(!canMount)("a file system without free inodes", () => {
  it("makes clients wait, says so, and heals by itself", async () => {
    const stage = Stage.open();
    const backends = { kept: await stage.backend(), all: await stage.backend() };
    const disk = tmpfs(2 * DISK_BYTES, 120);
    const gateway = await stage.start(configOn(stage, disk, backends, { StorageLimit: "256MiB" }));
    const watch = new BalanceWatch(gateway);
    const traffic = stage.traffic({ spansPerSecond: 2000, padding: 8000 });
    await until(() => traffic.answersWith(200) > 50, "spans are taken");
    const directory = path.join(disk, "many");
    fs.mkdirSync(directory);
    let files = 0;
    for (; fs.statfsSync(disk).ffree > 0; files++) {
      fs.writeFileSync(path.join(directory, String(files)), "");
    }
    expect(files).toBeGreaterThan(10);
    await until(() => traffic.answersWith(503) > 20, "clients are refused");
    await sleep(500);
    expect(gateway.output).toContain("no free inodes");
    expect(await gateway.metric("tailrace_payloads_shed_total", { reason: "disk_full" }))
      .toBeGreaterThan(0);
    fs.rmSync(directory, { recursive: true });
    const takenBefore = traffic.answersWith(200);
    await until(() => traffic.answersWith(200) > takenBefore + 20, "spans are taken again");
    await traffic.stop();
    await gateway.settled();
    expect((await watch.stop()).faults).toEqual([]);
    expect(reckonSampled(traffic, backends.kept)).toEqual(ALL_IS_WELL);
    expect(reckonAll(traffic, backends.all)).toEqual(ALL_IS_WELL);
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);
});

/** Lets a process write no file beyond so many bytes: the kernel answers EFBIG. */
function limitFiles(pid: number, bytes: number | "unlimited"): void {
  spawnSync("prlimit", ["--pid", String(pid), `--fsize=${bytes}:unlimited`]); // it may be gone
}

function canLimitFiles(): boolean {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const limits = canLimitFiles();
if (!limits) console.log("skipped: failing writes need prlimit");

describe.skipIf(!limits)("writes that fail though there is space", () => {
  it("cost nothing acknowledged: clients are refused, or the process ends and is started again",
    async () => {
      const stage = Stage.open();
      const backends = { kept: await stage.backend(), all: await stage.backend() };
      let gateway = await stage.start(configOn(stage, stage.directory, backends));
      const traffic = stage.traffic({ spansPerSecond: 2000, padding: 8000 });
      await until(() => traffic.answersWith(200) > 50, "spans are taken");
      limitFiles(gateway.pid, MIB);
      await until(() => traffic.answersWith(503) > 20 || !gateway.running,
        "clients are refused, or nobody is there");
      await sleep(500);
      if (gateway.running) {
        // Told from a full disk by its reason; not every version of the library survives it.
        const page = await gateway.scrape().catch(() => null);
        const failures = page?.sum("tailrace_log_commit_failures_total", { reason: "disk_full" });
        expect(failures ?? 0).toBe(0);
      }
      const takenBefore = traffic.answersWith(200);
      if (gateway.running) limitFiles(gateway.pid, "unlimited");
      await until(() => traffic.answersWith(200) > takenBefore + 20 || !gateway.running,
        "spans are taken again, or nobody is there");
      if (!gateway.running) {
        const { code, signal } = await gateway.exited;
        // The library's heap, or a thread of ours that saw it first.
        expect(["SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", 70, 134]).toContain(signal ?? code);
        gateway = await stage.start(configOn(stage, stage.directory, backends));
        await until(() => traffic.answersWith(200) > takenBefore + 20, "spans are taken again");
      }
      await traffic.stop();
      await gateway.settled();
      expect(await gateway.metric("tailrace_balance_difference_spans")).toBe(0);
      expect(reckonSampled(traffic, backends.kept, 2)).toEqual(ALL_IS_WELL);
      expect(reckonAll(traffic, backends.all, 2)).toEqual(ALL_IS_WELL);
      expect((await gateway.stop()).code).toBe(0);
    }, TEST_MS);
});
