// The commands as people call them, against real gateways.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "../support/ports.ts";
import type { GatewayProcess } from "../support/gateway.ts";
import { fateSampler, Stage } from "../support/stage.ts";
import { postSpans, type Fate } from "../support/traffic.ts";
import { until } from "../support/until.ts";

const MAIN = path.resolve(import.meta.dirname, "../../dist/engine/main.js");
const TEST_MS = 60_000;

interface Result {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs the built command in a directory, without this process's settings. */
async function tailrace(
  directory: string, args: readonly string[], env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: directory, stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], HOME: directory, ...env },
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => { output += chunk.toString(); });
  child.stderr.on("data", (chunk: Buffer) => { errors += chunk.toString(); });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, output, errors };
}

async function sendTrace(stage: Stage, gateway: GatewayProcess, fate: Fate): Promise<string> {
  const traceId = stage.random.hex(16);
  const spans = [0, 1].map(() => ({ traceId, spanId: stage.random.hex(8), fate, marked: false }));
  expect(await postSpans(gateway.port, spans)).toBe(200);
  return traceId;
}

describe("commands beside a gateway", () => {
  it("explain its traces and show its status", async () => {
    const stage = Stage.open();
    const backend = await stage.backend();
    const gateway = await stage.start(stage.config([
      stage.otlpForwarder("sampled", backend, { TraceSample: fateSampler("4s") }),
      { Type: "file", Name: "all", Path: "./all", BatchTimeout: "50ms" },
    ]));
    const admin = `127.0.0.1:${gateway.adminPort}`;
    const run = async (...args: string[]) => await tailrace(stage.directory, args);

    const kept = await sendTrace(stage, gateway, "keep");
    const waiting = await run("explain", "--admin", admin, kept);
    expect(waiting).toMatchObject({ code: 0, errors: "" });
    expect(waiting.output).toMatch(/state +waiting[^]*first seen[^]*2 spans/);
    expect(waiting.output).toContain("sampled: not judged yet");

    const dropped = await sendTrace(stage, gateway, "drop");
    await gateway.settled();
    await until(async () => {
      const { output } = await run("explain", "--configfile", "./gateway.conf", kept);
      return output.includes("Delivered: nothing waits");
    }, "the kept trace is explained as delivered");
    const uuid = kept.toUpperCase().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    const card = await run("explain", ` ${uuid} `, "-admin", admin);
    expect(card).toMatchObject({ code: 0, errors: "" });
    expect(card.output).toMatch(/sampled: keep, by policy fate/);
    expect(card.output).toMatch(/ fate +keep +a span or resource with test\.fate = "keep"/);
    expect(card.output).toContain("all: keep, it has no sampler");
    expect(card.output).not.toContain("\u001b");

    const json = await run("explain", "--json", "--admin", admin, dropped);
    expect(JSON.parse(json.output)).toMatchObject({
      traceId: dropped, state: "decided", spans: 2, unsampled: ["all"],
      decisions: [{
        forwarder: "sampled", decision: "drop", policy: null,
        votes: [
          { policy: "fate", vote: "not_sampled", needs: expect.any(String) },
          { policy: "mark", vote: "not_sampled" },
        ],
      }],
    });

    const unknown = await run("explain", "--admin", admin, stage.random.hex(16));
    expect(unknown).toMatchObject({ code: 4, output: "" });
    expect(unknown.errors).toContain("knows nothing of trace");

    const status = await tailrace(stage.directory, ["status"], { TAILRACE_ADMIN_ADDRESS: admin });
    expect(status).toMatchObject({ code: 0, errors: "" });
    expect(status.output).toMatch(/^tailrace \S+: ready\n/);
    expect(status.output).toMatch(/spans +4 received[^\n]*otlp_http_protobuf 4/);
    expect(status.output).toMatch(/otlp +otlp +127\.0\.0\.1:\d+\n/);
    expect(status.output).toMatch(/\n {2}sampled +4 +2 +2 +0 +0\n {2}all +4 +4 +0 +0 +0\n/);
    expect(status.output).toContain("The balance closes");

    const report = JSON.parse((await run("status", "--json", "--admin", admin)).output) as object;
    expect(report).toMatchObject({
      ready: true, balanceCloses: true, lanes: expect.any(Array),
      forwarders: [{ name: "sampled", failedAttempts: [] }, { name: "all" }],
      process: {
        processId: gateway.pid,
        storageBytes: expect.any(Number),
        facts: {
          listeners: [{ name: "otlp", address: `127.0.0.1:${gateway.port}` }],
          forwarders: [{ name: "sampled", destination: backend.url }, { name: "all" }],
        },
      },
    });
  }, TEST_MS);

  it("say when the gateway is not ready, and when there is none", async () => {
    const stage = Stage.open();
    const gateway = await stage.start(stage.config(
      [{ Type: "file", Name: "all", Path: "./all" }], { DrainDelay: "20s" }));
    const admin = `127.0.0.1:${gateway.adminPort}`;
    gateway.signal("SIGTERM");
    await until(async () => (await gateway.get("/readyz")).status === 503, "it drains");
    const draining = await tailrace(stage.directory, ["status", "--admin", admin]);
    expect(draining.code).toBe(1);
    expect(draining.output).toMatch(/^tailrace \S+: draining \(stopping\)\n/);
    await gateway.kill();
    for (const command of [["status"], ["explain", stage.random.hex(16)]]) {
      const gone = await tailrace(stage.directory, [...command, "--admin", admin]);
      expect(gone).toMatchObject({ code: 1, output: "" });
      expect(gone.errors).toContain(`no gateway answers at ${admin} (nothing listens there)`);
      expect(gone.errors.trimEnd()).not.toContain("\n");
    }
  }, TEST_MS);

  it("agree with a start about a configuration", async () => {
    const stage = Stage.open();
    fs.writeFileSync(path.join(stage.directory, "bad.yaml"), "Workers: 99\nNoSuchKey: 1\n");
    const checked = await tailrace(stage.directory, ["check", "./bad.yaml"]);
    expect([checked.code, checked.errors]).toEqual([2, ""]);
    expect(checked.output).toMatch(/\n2 errors, \d warnings?: the gateway would refuse to start/);
    const started = await tailrace(stage.directory, ["--configfile", "./bad.yaml"]);
    expect(started).toMatchObject({ code: 2, output: "" });
    expect(started.errors).toContain("1 problem in the configuration");
    expect(started.errors).toContain("bad.yaml:1:10: Workers: 99 is too large");
  });

  it("start a gateway from YAML with the original's flags", async () => {
    const stage = Stage.open();
    const [port, adminPort] = [await freePort(), await freePort()];
    fs.writeFileSync(path.join(stage.directory, "gateway.yaml"), `
AdminAddress: 127.0.0.1:${adminPort}
DrainDelay: 0s
ListenFrom: [{Type: otlp, ListenAddr: "127.0.0.1:${port}"}]
ForwardTo: [{Type: file, Path: ./kept, TraceSample: {DecisionWait: 1s}}]
`);
    const { GatewayProcess: Launched } = await import("../support/gateway.ts");
    const args = ["-configfile=./gateway.yaml", "-cluster-op", ""];
    const gateway = stage.watch(Launched.launchWith(stage.directory, args, { port, adminPort }));
    await gateway.ready();
    await sendTrace(stage, gateway, "keep");
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    expect(gateway.output).toContain("The balance closes");
  }, TEST_MS);
});

describe("commands without a gateway", () => {
  it("print help and version, and refuse what they do not know", async () => {
    const stage = Stage.open();
    const run = async (...args: string[]) => await tailrace(stage.directory, args);
    expect((await run("-help")).output).toMatch(/^tailrace: [^]*Usage: tailrace/);
    expect((await run("-version")).output).toMatch(/^\d+\.\d+\.\d+\n\d{4}-\d\d-\d\d\n$/);
    const misspelt = await run("stauts");
    expect(misspelt).toMatchObject({ code: 2, output: "" });
    expect(misspelt.errors).toContain("did you mean status?");
    const flag = await run("-confgfile", "x");
    expect(flag).toMatchObject({ code: 2, output: "" });
    expect(flag.errors).toContain("did you mean --configfile?");
  });

  it("load nothing of the engine", async () => {
    const stage = Stage.open();
    for (const args of [["--help"], ["--version"], ["status"], ["check"]]) {
      const { errors } = await tailrace(stage.directory, args, {
        NODE_DEBUG: "module,esm", TAILRACE_ADMIN_ADDRESS: "127.0.0.1:9",
      });
      expect(errors).toContain("dist/config/command-line.js"); // what is loaded is listed
      expect(errors).not.toMatch(
        /node_modules\/(?:uWebSockets\.js|lmdb|piscina|prom-client|undici)\//);
      expect(errors).not.toMatch(
        /dist\/engine\/(?:front-door|log|forward|pool)\/(?!message-layout)/);
    }
  });
});
