// The log's file as several threads, logrotate, a full disk and a careless hand find it.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync,
  unlinkSync, writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { backupName, backupsAmong } from "../../../engine/base/log-file.ts";
import { LogMemory } from "../../../engine/base/log-memory.ts";
import { createLogMemory, Log, type LogOptions } from "../../../engine/base/log.ts";
import { compileEngine, type CompiledEngine } from "../../support/compile-engine.ts";
import { canMountTmpfs, tmpfs } from "../../support/tmpfs.ts";

const LOG = "engine/base/log.ts";
const WALL_MS = Date.UTC(2026, 10, 20, 21, 47, 9, 123);
const canMount = canMountTmpfs();
if (!canMount) console.log("skipped: full disks and bind mounts need a mount, and that needs root");

let compiled: CompiledEngine | null = null;
afterAll(() => compiled?.remove());

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "tailrace-log-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function optionsIn(path: string, more: Partial<LogOptions> = {}): LogOptions {
  return {
    file: join(path, "gateway.log"), format: "json", bytesMax: 1_000, backupsMax: 1_000,
    secrets: [], memory: createLogMemory(), ...more,
  };
}

interface Scene {
  readonly log: Log;
  readonly told: string[];
  readonly clock: { wallMs: number };
}

function open(options: LogOptions): Scene {
  const told: string[] = [];
  const clock = { wallMs: WALL_MS };
  const log = new Log(options, {
    clock: { monotonicMs: () => 0, wallMs: () => clock.wallMs },
    tell: (text) => void told.push(text),
  });
  onTestFinished(() => log.close());
  return { log, told, clock };
}

type Line = Record<string, unknown>;

/** Lines of some files; every one must be whole. */
function linesOf(path: string, names: readonly string[] = readdirSync(path)): Line[] {
  return names.filter((name) => name.startsWith("gateway")).flatMap((name) => {
    const text = readFileSync(join(path, name), "utf8");
    if (text === "") return [];
    expect(text.endsWith("\n")).toBe(true);
    return text.slice(0, -1).split("\n").map((line) => JSON.parse(line) as Line);
  });
}

/** Writes numbered lines in threads of their own, all at once. */
async function writeInThreads(
  options: LogOptions, threads: number, lines: number, meanwhile: () => void = () => undefined,
): Promise<void> {
  compiled ??= compileEngine([LOG]);
  const code = `
    import { workerData } from "node:worker_threads";
    const { Log } = await import(workerData.url);
    const log = new Log(workerData.options);
    for (let n = 0; n < workerData.lines; n++) {
      log.fatal("m", { thread: workerData.thread, n, filling: "x".repeat(n % 300) });
    }
    log.close();`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  let running = threads;
  const ends = Array.from({ length: threads }, async (_, thread) => {
    const worker = new Worker(url, {
      workerData: { url: compiled?.url(LOG), options, lines, thread },
    });
    await once(worker, "exit"); // rejects when the thread dies
    running--;
  });
  const timer = setInterval(() => {
    if (running > 0) meanwhile();
  }, 3);
  await Promise.all(ends).finally(() => clearInterval(timer));
}

function expectEveryLineOnce(lines: readonly Line[], threads: number, each: number): void {
  const seen = lines.filter(({ message }) => message === "m")
    .map(({ thread, n }) => Number(thread) * each + Number(n)).toSorted((a, b) => a - b);
  expect(seen).toEqual(Array.from({ length: threads * each }, (_, index) => index));
}

describe("rotation", () => {
  it("begins a new file before the present one grows too large, and loses no line", () => {
    const path = directory();
    const { log } = open(optionsIn(path));
    for (let n = 0; n < 100; n++) log.fatal("m", { thread: 0, n, filling: "x".repeat(n) });
    expectEveryLineOnce(linesOf(path), 1, 100);
    for (const name of readdirSync(path)) {
      expect(statSync(join(path, name)).size).toBeLessThanOrEqual(1_000);
    }
    expect(readdirSync(path).length).toBeGreaterThan(15);
    expect(statSync(join(path, "gateway.log")).mode & 0o777).toBe(0o640);
  });

  it("by four threads at once tears no line, loses none and overwrites no file", async () => {
    const path = directory();
    await writeInThreads(optionsIn(path, { bytesMax: 20_000 }), 4, 2_000);
    expectEveryLineOnce(linesOf(path), 4, 2_000);
    expect(backupsAmong(readdirSync(path)).length).toBeGreaterThan(50);
    for (const name of readdirSync(path)) {
      // A thread that waited in vain for the others appends its line all the same.
      expect(statSync(join(path, name)).size).toBeLessThanOrEqual(20_000 + 4 * 400);
    }
  });

  it("by four threads while logrotate renames the file, too", async () => {
    const path = directory();
    let renamed = 0;
    await writeInThreads(optionsIn(path, { bytesMax: 50_000 }), 4, 2_000, () => {
      try {
        renameSync(join(path, "gateway.log"), join(path, `gateway.log.${renamed}`));
      } catch (error) {
        // A thread has renamed it, and the next file is not there yet.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        return;
      }
      renamed++;
    });
    expect(renamed).toBeGreaterThan(3);
    expectEveryLineOnce(linesOf(path), 4, 2_000);
  });

  it("keeps the newest files and touches no others", () => {
    const path = directory();
    for (const name of ["gateway-notes.log", "gateway-2026.log", "other.log"]) {
      writeFileSync(join(path, name), "{}\n");
    }
    const { log, clock } = open(optionsIn(path, { backupsMax: 3 }));
    for (let n = 0; n < 100; n++) {
      clock.wallMs += 1_000;
      log.fatal("m", { n, filling: "x".repeat(200) });
    }
    const names = readdirSync(path);
    expect(names).toEqual(expect.arrayContaining([
      "gateway-notes.log", "gateway-2026.log", "other.log", "gateway.log",
    ]));
    expect(names).toHaveLength(4 + 3);
    const kept = linesOf(path, ["gateway.log", ...backupsAmong(names)]).map(({ n }) => Number(n));
    expect(Math.max(...kept)).toBe(99);
    expect(Math.min(...kept)).toBe(100 - kept.length);
  });

  it("keeps none with 0", () => {
    const path = directory();
    const { log } = open(optionsIn(path, { backupsMax: 0 }));
    for (let n = 0; n < 30; n++) log.fatal("m", { filling: "x".repeat(200) });
    expect(readdirSync(path)).toEqual(["gateway.log"]);
  });

  it("takes a later name when the clock stands still or was set back", () => {
    const path = directory();
    writeFileSync(join(path, backupName(WALL_MS + 5_000)), "{\"older\":true}\n");
    const { log } = open(optionsIn(path));
    for (let n = 0; n < 40; n++) log.fatal("m", { thread: 0, n, filling: "x".repeat(200) });
    const backups = backupsAmong(readdirSync(path));
    expect(backups.slice(0, 2)).toEqual([backupName(WALL_MS + 5_000), backupName(WALL_MS + 5_001)]);
    expect(readFileSync(join(path, backups[0]!), "utf8")).toBe("{\"older\":true}\n");
    const order = linesOf(path, backups).map(({ n }) => n).slice(1);
    expect(order).toEqual(Array.from({ length: order.length }, (_, n) => n));
  });

  it.skipIf(!canMount)("of a file that cannot be renamed stops at twice the size", () => {
    const path = directory();
    const elsewhere = join(directory(), "mounted.log");
    writeFileSync(elsewhere, "");
    writeFileSync(join(path, "gateway.log"), "");
    execFileSync("mount", ["--bind", elsewhere, join(path, "gateway.log")]);
    onTestFinished(() => void execFileSync("umount", ["-l", join(path, "gateway.log")]));
    const { log, told } = open(optionsIn(path));
    for (let n = 0; n < 40; n++) log.fatal("m", { n, filling: "x".repeat(200) });
    expect(readdirSync(path)).toEqual(["gateway.log"]);
    expect(statSync(elsewhere).size).toBeLessThanOrEqual(2_000);
    expect(statSync(elsewhere).size).toBeGreaterThan(1_000);
    expect(log.totals().lost).toBe(40 - linesOf(path).length);
    expect(told).toEqual([expect.stringContaining("cannot be renamed (EBUSY")]);
  });
});

describe("the file", () => {
  it("is opened again when something renamed it, or removed it", () => {
    const path = directory();
    const { log } = open(optionsIn(path));
    const file = join(path, "gateway.log");
    log.fatal("first");
    renameSync(file, join(path, "gateway.log.1"));
    log.fatal("second");
    unlinkSync(file);
    log.fatal("third");
    expect(linesOf(path, ["gateway.log.1"]).map(({ message }) => message)).toEqual(["first"]);
    expect(linesOf(path, ["gateway.log"]).map(({ message }) => message)).toEqual(["third"]);
  });

  it("comes back with its directory", () => {
    const path = join(directory(), "a", "b");
    const { log, told } = open(optionsIn(path));
    log.fatal("first");
    rmSync(path, { recursive: true });
    log.fatal("second");
    expect(linesOf(path).map(({ message }) => message)).toEqual(["second"]);
    expect(told).toEqual([]);
  });

  it("that ends in the middle of a line gets its next one on a line of its own", () => {
    const path = directory();
    writeFileSync(join(path, "gateway.log"), "{\"message\":\"whole\"}\n{\"mess");
    open(optionsIn(path)).log.fatal("next");
    expect(readFileSync(join(path, "gateway.log"), "utf8"))
      .toMatch(/^\{"message":"whole"\}\n\{"mess\n\{"time":.*"next"\}\n$/);
  });

  it("that was cut to nothing under the gateway (copytruncate) goes on", () => {
    const path = directory();
    const { log } = open(optionsIn(path));
    log.fatal("first");
    writeFileSync(join(path, "gateway.log"), "");
    log.fatal("second");
    expect(linesOf(path).map(({ message }) => message)).toEqual(["second"]);
  });
});

describe("a thread that hangs with the lock", () => {
  it("keeps no other one from its line", () => {
    const path = directory();
    const options = optionsIn(path);
    const { log } = open(options);
    log.fatal("first");
    expect(new LogMemory(options.memory).take(0)).toBe(true);
    log.fatal("second");
    expect(linesOf(path).map(({ message }) => message)).toEqual(["first", "second"]);
  });
});

describe("a place that takes no lines", () => {
  it("never throws, is told of once a minute, and how many were lost is in the next line", () => {
    const path = join(directory(), "logs");
    writeFileSync(path, "a file where the directory should be");
    const { log, told, clock } = open(optionsIn(path));
    for (let n = 0; n < 5; n++) log.fatal("m", { n });
    expect(told).toEqual([expect.stringMatching(
      /^tailrace: the log .*gateway\.log cannot be written \(E(NOTDIR|EXIST).*\n$/)]);
    clock.wallMs += 60_000;
    log.fatal("m", { n: 5 });
    expect(told).toHaveLength(2);
    unlinkSync(path);
    mkdirSync(path);
    log.fatal("m", { n: 6 });
    log.fatal("m", { n: 7 });
    expect(linesOf(path).map(({ n, lost }) => [n, lost]))
      .toEqual([[undefined, 6], [6, undefined], [7, undefined]]);
    expect(log.totals()).toEqual({ lost: 6, suppressed: 0 });
  });

  it.skipIf(!canMount)("because the disk is full leaves no piece of a line, and recovers", () => {
    const path = tmpfs(256 * 1024);
    const { log, told } = open(optionsIn(path, { bytesMax: 1_000_000 }));
    log.fatal("m", { n: 0 });
    const filler = join(path, "filler");
    writeFileSync(filler, Buffer.alloc(128 * 1024));
    let n = 1;
    while (log.totals().lost < 20 && n < 5_000) {
      log.fatal("m", { n: n++, filling: "x".repeat(n % 300) });
    }
    expect(log.totals().lost).toBe(20);
    expect(told).toEqual([expect.stringContaining("ENOSPC")]);
    linesOf(path);
    unlinkSync(filler);
    for (const end = n + 100; n < end;) log.fatal("m", { n: n++ });
    const lines = linesOf(path);
    expect(lines.filter(({ message }) => message === "m")).toHaveLength(n - 20);
    const lost = lines.map((line) => Number(line["lost"] ?? 0)).reduce((a, b) => a + b);
    expect(lost).toBe(20);
    expect(lines.at(-1)).toMatchObject({ n: n - 1 });
  });

  it.skipIf(!canMount)("for four threads at once counts every line that is missing", async () => {
    const path = tmpfs(64 * 1024);
    const options = optionsIn(path, { bytesMax: 1_000_000 });
    await writeInThreads(options, 4, 500);
    const { log } = open(options);
    const lines = linesOf(path);
    expect(lines.length).toBeGreaterThan(100);
    expect(log.totals().lost).toBeGreaterThan(100);
    expect(lines.filter(({ message }) => message === "m").length + log.totals().lost)
      .toBe(4 * 500);
  });
});
