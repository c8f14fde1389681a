// Standard output as a supervisor gives it: a pipe, or a socket (systemd's journal; Node's own
// pipes to its children are sockets, too), with a reader that is slow, stopped or gone.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { compileEngine, type CompiledEngine } from "../../support/compile-engine.ts";

const LOG = "engine/base/log.ts";
const LINES = 3_000;
const LINE_FILLING = 300;
const END_MS = 20_000;

let compiled: CompiledEngine;
beforeAll(() => {
  compiled = compileEngine([LOG]);
});
afterAll(() => compiled.remove());

/** Writes many lines from the main thread and as many from another one; then says how many. */
function program(): string {
  return `
    import { Worker, isMainThread, workerData } from "node:worker_threads";
    import { writeSync } from "node:fs";
    const { Log, createLogMemory } = await import(${JSON.stringify(compiled.url(LOG))});
    const options = isMainThread ? { file: "-", format: "json", bytesMax: 1, backupsMax: 1,
      secrets: [], memory: createLogMemory() } : workerData;
    const log = new Log(options);
    let worker = null;
    if (isMainThread) {
      worker = new Worker(new URL(import.meta.url), { workerData: options });
      worker.on("error", (error) => { throw error; });
    }
    for (let n = 0; n < ${LINES}; n++) log.fatal("m", { n, filling: "x".repeat(${LINE_FILLING}) });
    if (isMainThread) worker.on("exit", () => {
      writeSync(2, "totals " + log.totals().lost + "\\n");
      process.stdin.resume(); // and end with it
    });`;
}

function run(stdout: "pipe" | number): ChildProcess {
  const url = `data:text/javascript,${encodeURIComponent(program())}`;
  const code = `import ${JSON.stringify(url)}`;
  return spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["pipe", stdout, "pipe"], timeout: END_MS, killSignal: "SIGKILL",
  });
}

interface End {
  readonly code: number | null;
  readonly lost: number;
  /** Lines on standard error. */
  readonly told: number;
  /** What standard output held, when that is a socket. */
  readonly read: string;
}

/** Reads standard output only when everything was written. */
async function endOf(child: ChildProcess): Promise<End> {
  let said = "";
  let read = Promise.resolve("");
  child.stderr?.on("data", (chunk: Buffer) => {
    const before = said;
    said += chunk.toString();
    if (before.includes("totals") || !/^totals \d+$/m.test(said)) return;
    if (child.stdout !== null) read = text(child.stdout);
    child.stdin?.end();
  });
  const [code] = await once(child, "exit") as [number | null];
  return {
    code, lost: Number(/^totals (\d+)$/m.exec(said)?.[1]), read: await read,
    told: said.split("\n").filter((line) => line.startsWith("tailrace:")).length,
  };
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "tailrace-stdout-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Lines of the program; those that tell of lost ones may stand between. */
function linesIn(read: string): number {
  return read.trimEnd().split("\n").map((line) => JSON.parse(line) as { message: string })
    .filter(({ message }) => message === "m").length;
}

describe("two threads that write more than anybody reads", () => {
  it("to a socket end at once, and what is read are whole lines", async () => {
    const child = run("pipe");
    const { code, lost, told, read } = await endOf(child);
    expect([code, told]).toEqual([0, 1]);
    expect(lost).toBeGreaterThan(LINES);
    expect(linesIn(read)).toBe(2 * LINES - lost);
  });

  it("to a pipe do so as well", async () => {
    const pipe = join(directory(), "pipe");
    execFileSync("mkfifo", [pipe]);
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    onTestFinished(() => closeSync(reader));
    const writer = openSync(pipe, constants.O_WRONLY);
    const child = run(writer);
    closeSync(writer);
    const { code, lost } = await endOf(child);
    expect(code).toBe(0);
    expect(lost).toBeGreaterThan(LINES);
    expect(linesIn(readFileSync(reader, "utf8"))).toBe(2 * LINES - lost);
  });

  it("to a closed pipe end as if it were read", async () => {
    const pipe = join(directory(), "pipe");
    execFileSync("mkfifo", [pipe]);
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(pipe, constants.O_WRONLY);
    closeSync(reader);
    const child = run(writer);
    closeSync(writer);
    expect(await endOf(child)).toMatchObject({ code: 0, lost: 2 * LINES });
  });

  it("to a file lose nothing", async () => {
    const file = join(directory(), "out");
    const writer = openSync(file, "w");
    const child = run(writer);
    closeSync(writer);
    expect(await endOf(child)).toMatchObject({ code: 0, lost: 0 });
    expect(linesIn(readFileSync(file, "utf8"))).toBe(2 * LINES);
  });
});
