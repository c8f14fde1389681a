// The operator's log of a real gateway: it tells the story alone, and neither a reader that went
// away nor one that never reads harms the process.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { encodeRequest } from "../support/otlp-builder.ts";
import { freePorts, GatewayProcess, type GatewayConfig, type Ports } from "../support/gateway.ts";
import { parseLogfmt } from "../support/logfmt.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const LOST = "tailrace_log_lines_lost_total";
/** Processor time of an idle gateway is far below; one that spins takes all there is. */
const IDLE_SHARE_MAX = 0.5;

async function postSpan(stage: Stage, port: number): Promise<number> {
  const spans = [{ traceId: stage.random.hex(16), spanId: stage.random.hex(8) }];
  const reply = await fetch(`http://127.0.0.1:${port}/v1/traces`, {
    method: "POST", headers: { "content-type": "application/x-protobuf" },
    body: encodeRequest([{ spans }]),
  });
  await reply.arrayBuffer();
  return reply.status;
}

/** Text of a configuration whose log goes to standard output. */
function textOf(stage: Stage, ports: Ports, forwarder: GatewayConfig): string {
  return JSON.stringify(stage.config([forwarder], {
    LogDir: "-", AdminAddress: `127.0.0.1:${ports.adminPort}`,
    ListenFrom: [{ Type: "otlp", ListenAddr: `127.0.0.1:${ports.port}` }],
  }));
}

/** A pipe with both ends in the hands of the test. */
function openPipe(stage: Stage): { reader: number; writer: number } {
  const file = path.join(stage.directory, "pipe");
  execFileSync("mkfifo", [file]);
  const { O_RDONLY, O_NONBLOCK, O_WRONLY } = fs.constants;
  const reader = fs.openSync(file, O_RDONLY | O_NONBLOCK);
  return { reader, writer: fs.openSync(file, O_WRONLY) };
}

function fill(writer: number): void {
  const { O_WRONLY, O_NONBLOCK } = fs.constants;
  const full = fs.openSync(`/proc/self/fd/${writer}`, O_WRONLY | O_NONBLOCK);
  try {
    for (let pieces = 0; pieces < 1_000; pieces++) fs.writeSync(full, Buffer.alloc(4_096, "-"));
    throw new Error("the pipe has no end");
  } catch (error) {
    expect(error).toMatchObject({ code: "EAGAIN" });
  } finally {
    fs.closeSync(full);
  }
}

function drain(reader: number): string {
  const chunk = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    try {
      const bytes = fs.readSync(reader, chunk);
      if (bytes === 0) return text;
      text += chunk.toString("utf8", 0, bytes);
    } catch (error) {
      expect(error).toMatchObject({ code: "EAGAIN" });
      return text;
    }
  }
}

describe("a log file", () => {
  it.each(["json", "logfmt"] as const)("tells the whole story alone, as %s", async (format) => {
    const stage = Stage.open();
    const logs = path.join(stage.directory, "logs");
    const backend = await stage.backend();
    const config = stage.config([stage.otlpForwarder("kept", backend)], {
      LogDir: logs, LogFormat: format,
    });
    const gateway = await stage.start({ ...config, Nonsense: 1 });
    expect(await postSpan(stage, gateway.port)).toBe(200);
    await gateway.settled();
    expect((await gateway.stop()).code).toBe(0);
    const lines = fs.readFileSync(path.join(logs, "gateway.log"), "utf8").trimEnd().split("\n")
      .map((line) => format === "json" ? JSON.parse(line) as Record<string, unknown>
        : Object.fromEntries(parseLogfmt(line)));
    expect(lines.map(({ level, message }) => [level, String(message).split(":")[0]])).toEqual([
      ["info", "starting"], ["warn", "configuration"],
      ["info", "ready"], ["info", "stopping"], ["info", "balance of a forwarder, in spans"],
      ["info", "stopped"],
    ]);
    expect(lines[0]).toMatchObject({ listeners: `otlp=127.0.0.1:${gateway.port}` });
    expect(lines[1]!["message"]).toContain("Nonsense: unknown key");
    const [balance, stopped] = lines.slice(-2);
    expect([balance!["received"], balance!["acknowledged"], stopped!["exitCode"]].map(Number))
      .toEqual([1, 1, 0]);
    for (const { time } of lines) expect(new Date(String(time)).toISOString()).toBe(time);
    // People read the other side.
    expect(gateway.output).toContain("is ready");
    expect(gateway.output).toContain("The balance closes");
    expect(gateway.output).not.toContain("\"level\"");
  }, TEST_MS);

  it("says why a start was refused, as standard error does", async () => {
    const stage = Stage.open();
    const logs = path.join(stage.directory, "logs");
    const config = stage.config([{ Type: "file", Name: "kept", Path: "./kept" }], { LogDir: logs });
    const first = await stage.start(config);
    const ports = await freePorts();
    const second = stage.watch(await GatewayProcess.launch(stage.directory, config, ports));
    expect((await second.ended()).code).toBe(2);
    const data = path.join(stage.directory, "data");
    const sentence = new RegExp(`the data directory ${data} is in use: process ${first.pid} has it;`
      + " stop that gateway, or set BackupLocation");
    expect(second.output).toMatch(sentence);
    const lines = fs.readFileSync(path.join(logs, "gateway.log"), "utf8").trimEnd().split("\n");
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      level: "fatal", message: expect.stringMatching(sentence) as string, code: "DATA_IN_USE",
      exitCode: 2,
    });
  }, TEST_MS);

  it.each([
    ["LogDir", { LogDir: "./in-the-way" }, /LogDir \/.*in-the-way cannot be written \(E/],
    ["BackupLocation", { BackupLocation: "./in-the-way" },
      /cannot use the data directory \/.*in-the-way \(EEXIST.*a file has its name: move it away/],
    ["ListenAddr of another machine", {
      ListenFrom: [{ Type: "otlp", ListenAddr: "203.0.113.1:4318" }],
    }, /cannot listen on 203\.0\.113\.1:4318 for "otlp": this machine has no such address/],
  ])("that cannot be begun, by a wrong %s, ends with what to do", async (_, wrong, sentence) => {
    const stage = Stage.open();
    fs.writeFileSync(path.join(stage.directory, "in-the-way"), "");
    const config = stage.config([{ Type: "file", Name: "kept", Path: "./kept" }], wrong);
    const gateway = await stage.launch(config);
    expect((await gateway.ended()).code).toBe(2);
    expect(gateway.output).toMatch(sentence);
    expect(gateway.output.trimEnd().split("\n")).toHaveLength(1);
  }, TEST_MS);
});

describe("standard output", () => {
  it("that nobody reads costs lines, not requests, and is told of when it is read", async () => {
    const stage = Stage.open();
    const { reader, writer } = openPipe(stage);
    onTestFinished(() => fs.closeSync(reader));
    fill(writer);
    const ports = await freePorts();
    const backend = await stage.backend();
    const forwarder = stage.otlpForwarder("kept", backend);
    await backend.down();
    const gateway = stage.watch(GatewayProcess.launchText(
      stage.directory, textOf(stage, ports, forwarder), ports, { stdout: writer }));
    fs.closeSync(writer);
    await gateway.ready();
    expect(await postSpan(stage, ports.port)).toBe(200);
    await until(async () => await gateway.metric(LOST) > 0, "lines are lost");
    const beganSeconds = await gateway.metric("process_cpu_seconds_total");
    await sleep(2_000);
    expect(await gateway.metric("process_cpu_seconds_total") - beganSeconds)
      .toBeLessThan(2 * IDLE_SHARE_MAX);
    expect(gateway.output).toMatch(/^tailrace: the log on standard output cannot be .* \(EAGAIN/);
    expect(gateway.output.trimEnd().split("\n")).toHaveLength(1);
    drain(reader);
    await backend.up();
    let read = "";
    await until(() => (read += drain(reader)).includes("sending works again"), () => read);
    const lines = read.trimEnd().split("\n").map((line) => JSON.parse(line) as object);
    expect(lines[0]).toMatchObject({ level: "warn", lost: 1 });
    await gateway.settled();
    fill(fs.openSync(path.join(stage.directory, "pipe"), fs.constants.O_WRONLY));
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);

  it("that was closed costs lines, not the process", async () => {
    const stage = Stage.open();
    const { reader, writer } = openPipe(stage);
    fs.closeSync(reader);
    const ports = await freePorts();
    const backend = await stage.backend();
    const forwarder = stage.otlpForwarder("kept", backend);
    await backend.down();
    const gateway = stage.watch(GatewayProcess.launchText(
      stage.directory, textOf(stage, ports, forwarder), ports, { stdout: writer }));
    fs.closeSync(writer);
    await gateway.ready();
    expect(await postSpan(stage, ports.port)).toBe(200);
    await until(async () => await gateway.metric(LOST) > 0, "lines are lost");
    expect(gateway.output).toMatch(/^tailrace: the log on standard output cannot be .* \(EPIPE/);
    await backend.up();
    await gateway.settled();
    expect((await gateway.stop()).code).toBe(0);
  }, TEST_MS);
});
