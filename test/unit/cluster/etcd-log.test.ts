import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  EtcdLog, LINES_PER_SECOND_MAX, LOG_FILE_BYTES_MAX, readLine,
} from "../../../engine/cluster/etcd-log.ts";
import { until } from "../../support/until.ts";

let directory: string;
let path: string;
let told: string[];
let log: EtcdLog;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tailrace-etcd-log-"));
  path = join(directory, "etcd.log");
  told = [];
});
afterEach(() => {
  log.close();
  rmSync(directory, { recursive: true });
});

function open(): void {
  log = new EtcdLog(path, (level, message) => told.push(`${level} ${message}`));
}

function line(level: string, message: string): string {
  return `${JSON.stringify({ level, ts: "now", caller: "x", msg: message, error: "why" })}\n`;
}

describe("the server's log", () => {
  it("is followed from its present end; warnings and worse are told", () => {
    writeFileSync(path, line("fatal", "of a former run"));
    open();
    appendFileSync(path, line("info", "usual") + line("warn", "odd") + line("fatal", "the end"));
    log.follow();
    expect(told).toEqual([
      "warn etcd: odd {\"error\":\"why\"}", "error etcd: the end {\"error\":\"why\"}",
    ]);
    expect(log.lastWords).toEqual(["odd {\"error\":\"why\"}", "the end {\"error\":\"why\"}"]);
    log.forgetLastWords();
    expect(log.lastWords).toEqual([]);
  });

  it("waits for the rest of a line, whatever it was cut through", () => {
    open();
    const bytes = Buffer.from(line("error", "größer"));
    for (const byte of bytes) {
      appendFileSync(path, Buffer.of(byte));
      log.follow();
    }
    expect(told).toEqual(["error etcd: größer {\"error\":\"why\"}"]);
  });

  it("is told a bounded number of lines of, and how many more there were", async () => {
    open();
    appendFileSync(path, line("warn", "again").repeat(LINES_PER_SECOND_MAX + 50));
    log.follow();
    const lines = told.filter((each) => each.includes("again")).length;
    expect(lines).toBeGreaterThanOrEqual(LINES_PER_SECOND_MAX);
    expect(lines).toBeLessThanOrEqual(2 * LINES_PER_SECOND_MAX);
    await until(() => told.some((each) => each.includes("more lines of etcd")), "the rest is told");
    expect(told.at(-1)).toBe(
      `warn ${LINES_PER_SECOND_MAX + 50 - lines} more lines of etcd are in its log file only`);
  });

  it("is emptied when it is large, and followed on", () => {
    open();
    appendFileSync(path, Buffer.alloc(LOG_FILE_BYTES_MAX, line("info", "x".repeat(10_000))));
    log.follow();
    expect(statSync(path).size).toBe(0);
    told.length = 0;
    appendFileSync(path, line("error", "after"));
    log.follow();
    expect(told.filter((each) => each.includes("after")).length).toBeLessThanOrEqual(1);
    expect(log.lastWords.at(-1)).toContain("after");
  });

  it.each([
    ["{\"level\":\"warn\",\"msg\":\"a\"}", "warn", "a"],
    ["{\"level\":\"panic\",\"msg\":\"a\"}", "error", "a"],
    ["{\"level\":\"new\",\"msg\":\"a\"}", "error", "a"],
    ["2026-11-20 22:40:02.580203 W | etcdserver: slow", "warn", "etcdserver: slow"],
    ["2026-11-20 22:40:02.580203 C | etcdmain: flag", "error", "etcdmain: flag"],
    ["2026-11-20 22:40:02.580203 I | pkg: fine", "info", "pkg: fine"],
    ["WARNING: 2026/11/20 22:14:40 grpc", "info", "WARNING: 2026/11/20 22:14:40 grpc"],
    ["panic: runtime error", "error", "panic: runtime error"],
    ["7", "error", "7"],
  ])("reads %s", (text, level, message) => {
    expect(readLine(text)).toEqual({ level, message });
    open();
  });
});
