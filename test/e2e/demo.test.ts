// npm run demo, in a short form: it checks its own expectations and says so by its exit code.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { builtFile } from "../../native-bench/checkout.ts";
import { freePorts, GatewayProcess } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";
import { firstUseConfig } from "../support/first-use.ts";

const SECONDS = 5;
const RUN_MS = 60_000;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

let directory = "";
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-demo-test-"));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

/** Runs the demo with its data below `directory`; `act` may do something to it on the way. */
async function demo(
  words: readonly string[], act: Act = () => undefined,
): Promise<Ended> {
  const child = spawn(process.execPath, [builtFile("scripts/demo.ts"), ...words], {
    env: { ...process.env, TMPDIR: directory }, stdio: ["ignore", "pipe", "pipe"],
    timeout: RUN_MS,
  });
  let output = "";
  const take = (chunk: Buffer): void => {
    output += chunk.toString();
    act(output, () => child.kill("SIGINT"));
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}

type Act = (output: string, kill: () => void) => void;

/** Acts when the output has come that far. */
function once(pattern: RegExp, act: Act): Act {
  let acted = false;
  return (output, kill) => {
    if (acted || !pattern.test(output)) return;
    acted = true;
    act(output, kill);
  };
}

/** Whether anything answers at the admin address that the output names. */
async function answers(output: string): Promise<boolean> {
  const [, url] = /(http:\/\/127\.0\.0\.1:\d+)\/v1\/traces/.exec(output) ?? [];
  return await fetch(`${url}/healthz`).then(() => true, () => false);
}

it("every failed, slow and rare trace is kept, whatever protocol says it, and the rest is told",
  async () => {
    let upUntilTheEnd = Promise.resolve(false);
    const { code, output } = await demo(["--seconds", String(SECONDS), "--keep-running"],
      once(/The gateway runs on[^]*main\.js status/, (text, kill) => {
        upUntilTheEnd = answers(text).finally(kill);
      }));
    expect(output).toContain("As expected:");
    expect(code, output).toBe(0);
    for (const line of ["kept by errors", "kept by slow", "kept by returns", "dropped"]) {
      expect(output).toMatch(new RegExp(`^ {2}${line} +\\d+ +\\d+\\.\\d % +[0-9a-f]{32}$`, "m"));
    }
    expect(output).toMatch(/^ {2}([1-9]\d*) of \1 were kept with theirs, ([1-9]\d*) of \2 /m);
    expect(output).toContain("The balance closes:");
    expect(output).toMatch(/^ {4}errors +(?:keep|no) +a span with status ERROR$/m);
    expect(await upUntilTheEnd).toBe(true);
    expect(await answers(output)).toBe(false);
    // Only what it names is left: the configuration and the kept spans.
    const [own = ""] = fs.readdirSync(directory);
    expect(fs.readdirSync(path.join(directory, own)).sort()).toEqual(["gateway.conf", "kept"]);
    expect(output).toContain(path.join(directory, own, "kept"));
  }, RUN_MS);

it("Ctrl-C ends it, its gateway and its data", async () => {
  const { code, output } = await demo([], once(/\d+ s {3}\d+ spans/, (_, kill) => {
    setTimeout(kill, 1_000);
  }));
  expect(code, output).toBe(130);
  expect(await answers(output)).toBe(false);
  expect(fs.readdirSync(directory)).toEqual([]);
}, RUN_MS);

it("--attach sends to a gateway that runs, and expects nothing of its policies", async () => {
  const stage = Stage.open();
  const ports = await freePorts();
  const zipkin = (await freePorts()).port;
  const config = firstUseConfig(stage.directory, ports);
  const file = path.join(stage.directory, "gateway.conf");
  fs.writeFileSync(file, JSON.stringify({ ...config, ListenFrom: [
    { Type: "otlp", ListenAddr: `127.0.0.1:${ports.port}` },
    { Type: "signalfx", ListenAddr: `127.0.0.1:${zipkin}` },
  ] }));
  const gateway = stage.watch(
    GatewayProcess.launchWith(stage.directory, ["--configfile", file], ports));
  await gateway.ready();
  const { code, output } = await demo(["--seconds", "2", "--attach",
    "--otlp-port", String(ports.port), "--zipkin-port", String(zipkin),
    "--admin-port", String(ports.adminPort)]);
  expect(code, output).toBe(0);
  expect(output).toMatch(/kept by errors/);
  expect(output).not.toContain("As expected");
  expect(await gateway.metric("tailrace_spans_received_total")).toBeGreaterThan(100);
  expect(fs.readdirSync(directory)).toEqual([]);
}, RUN_MS);

it("without a gateway to attach to it says what to do", async () => {
  const { code, output } = await demo(["--attach", "--admin-port", "1"]);
  expect(code).toBe(1);
  expect(output).toContain("start a gateway first");
});
