// What a user installs: the tarball of `npm pack`, put into a prefix by npm without any network,
// and the command that it leaves.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectFirstUse, firstUseConfig } from "../support/first-use.ts";
import { freePorts, GatewayProcess } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const STEP_MS = 120_000;
const TARBALL_MIB_MAX = 32;
const MIB = 1024 * 1024;

interface LockEntry {
  readonly version: string;
  readonly dev?: boolean;
  readonly os?: readonly string[];
}
interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

function readJson(file: string): unknown {
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

function npm(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync("npm", args, {
    cwd: ROOT, encoding: "utf8", timeout: STEP_MS, maxBuffer: 64 * MIB,
  });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} ended with ${status}:\n${stderr}`);
  return stdout;
}

describe("the tarball of npm pack", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-package-"));
  afterAll(() => fs.rmSync(directory, { recursive: true }));
  const prefix = path.join(directory, "prefix");
  const installed = path.join(prefix, "lib/node_modules/tailrace");
  const command = path.join(prefix, "bin/tailrace");
  let packed: Packed;

  const run = (...args: string[]) => spawnSync(command, args, {
    cwd: directory, encoding: "utf8", timeout: STEP_MS,
  });

  beforeAll(() => {
    // An array in npm 10 and 11, and later an object by package name.
    const told = JSON.parse(npm("pack", "--json", "--pack-destination", directory)) as object;
    packed = Object.values(told)[0] as Packed;
    npm("install", "--global", "--prefix", prefix, "--offline",
      "--cache", path.join(directory, "empty-cache"), path.join(directory, packed.filename));
  }, 2 * STEP_MS);

  it("has the compiled gateway and what an operator copies, and nothing else of ours", () => {
    const own = packed.files.map((file) => file.path)
      .filter((file) => !file.startsWith("node_modules/"));
    const strange = own.filter((file) => !/^dist\/(?:config|engine|workers)\/.*\.js$/.test(file)
      && !/^config\/(?:examples|systemd|container)\/[^/]+$/.test(file));
    expect(strange.sort()).toEqual([
      "ARCHITECTURE.md", "LICENSE", "NOTICE", "README.md", "config/REFERENCE.md",
      "dist/.sources.sha256", "package.json", "scripts/install.sh",
    ]);
    expect(own).toContain("config/systemd/tailrace.service");
    expect(own).toContain("config/container/Containerfile");
    const modes = new Map(packed.files.map((file) => [file.path, file.mode]));
    expect(modes.get("dist/engine/main.js")! & 0o111).toBe(0o111);
    expect(packed.size / MIB).toBeLessThan(TARBALL_MIB_MAX);
  });

  it("installs without a network exactly the versions of package-lock.json", () => {
    const { packages } = readJson(path.join(ROOT, "package-lock.json")) as {
      packages: Record<string, LockEntry>;
    };
    const wanted = Object.entries(packages)
      .filter(([name, entry]) => name !== "" && entry.dev !== true)
      .filter(([name, entry]) => entry.os === undefined || fs.existsSync(path.join(ROOT, name)))
      .map(([name, { version }]) => `${name} ${version}`);
    const found = fs.readdirSync(installed, { recursive: true, encoding: "utf8" })
      .filter((file) => /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(file))
      .map((file) => `${path.dirname(file)} ${
        (readJson(path.join(installed, file)) as LockEntry).version}`);
    expect(found.sort()).toEqual(wanted.sort());
  });

  it("leaves a command that tells its version and its usage", () => {
    const { version } = readJson(path.join(ROOT, "package.json")) as { version: string };
    expect(run("--version")).toMatchObject({ status: 0, stderr: "" });
    const date = "(?:unknown|[0-9]{4}-[0-9]{2}-[0-9]{2})";
    expect(run("--version").stdout).toMatch(new RegExp(`^${version}\\n${date}\\n$`));
    const help = run("--help");
    expect(help.status).toBe(0);
    expect(help.stdout).toContain("--configfile");
  });

  it("is what scripts/install.sh unpacks, without npm", () => {
    const root = path.join(directory, "root");
    fs.mkdirSync(root);
    const made = spawnSync("sh", [path.join(installed, "scripts/install.sh"), "--root", root,
      "--package", path.join(directory, packed.filename)], { encoding: "utf8", timeout: STEP_MS });
    expect(made).toMatchObject({ status: 0, stderr: "" });
    const { status, stdout } = spawnSync(
      path.join(root, "opt/tailrace/dist/engine/main.js"), ["--version"], { encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout).toBe(run("--version").stdout);
  });

  it("leaves a gateway that takes spans, keeps what it should, and stops", async () => {
    const stage = Stage.open(path.join(directory, "run"));
    fs.mkdirSync(stage.directory);
    const ports = await freePorts();
    const file = path.join(stage.directory, "gateway.conf");
    fs.writeFileSync(file, JSON.stringify(firstUseConfig(stage.directory, ports)));
    const gateway = stage.watch(GatewayProcess.launchCommand(
      stage.directory, [command, "--configfile", file], ports));
    await gateway.ready();
    await expectFirstUse(gateway, stage.directory);
    expect((await gateway.stop()).code).toBe(0);
  });
});
