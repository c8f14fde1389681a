// scripts/install.sh with --root: everything that it does to a file system, below a directory of
// the test. The package is the checkout's build beside a link to its node_modules.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { expectFirstUse } from "../support/first-use.ts";
import { freePorts, GatewayProcess } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const RUN_MS = 60_000;
const NOBODY = 65_534;
const CONFIG = "etc/tailrace/gateway.conf";
const UNIT = "etc/systemd/system/tailrace.service";
const LINK = "usr/local/bin/tailrace";

describe("install.sh", () => {
  let directory = "";
  let root = "";

  const makePackage = (version: string): string => {
    const made = path.join(directory, `package-${version}`);
    fs.mkdirSync(path.join(made, "scripts"), { recursive: true });
    for (const part of ["dist/config", "dist/engine", "dist/workers", "config"]) {
      fs.cpSync(path.join(ROOT, part), path.join(made, part), { recursive: true });
    }
    fs.copyFileSync(
      path.join(ROOT, "scripts/install.sh"), path.join(made, "scripts/install.sh"));
    const text = fs.readFileSync(path.join(ROOT, "package.json"), "utf8");
    fs.writeFileSync(path.join(made, "package.json"),
      text.replace(/"version": "[^"]+"/, `"version": "${version}"`));
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(made, "node_modules"));
    return made;
  };
  const install = (from: string, ...args: string[]) => spawnSync(
    "sh", [path.join(from, "scripts/install.sh"), ...args], { encoding: "utf8", timeout: RUN_MS });
  const below = (file: string): string => path.join(root, file);
  const read = (file: string): string => fs.readFileSync(below(file), "utf8");
  const mode = (file: string): number => fs.statSync(below(file)).mode & 0o777;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-install-"));
    root = path.join(directory, "root");
    fs.mkdirSync(root);
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  it("puts program, command, configuration, data directory and unit in place", () => {
    const { status, stdout, stderr } = install(makePackage("1.0.0"), "--root", root);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("tailrace 1.0.0 is installed");
    expect(fs.readlinkSync(below(LINK))).toBe("/opt/tailrace/dist/engine/main.js");
    expect(mode("opt/tailrace/dist/engine/main.js")).toBe(0o755);
    expect(read(CONFIG)).toBe(fs.readFileSync(
      path.join(ROOT, "config/examples/service.conf"), "utf8"));
    expect(mode(CONFIG)).toBe(0o640);
    expect(mode("var/lib/tailrace")).toBe(0o750);
    expect(read(UNIT)).toBe(fs.readFileSync(
      path.join(ROOT, "config/systemd/tailrace.service"), "utf8"));
  });

  it("replaces the program at the second run, and keeps configuration and data", () => {
    install(makePackage("1.0.0"), "--root", root);
    fs.writeFileSync(below(CONFIG), "{ \"mine\": true }");
    fs.writeFileSync(below("var/lib/tailrace/precious"), "spans");
    fs.writeFileSync(below("opt/tailrace/dist/left-over.js"), "");
    const { status, stdout } = install(makePackage("1.1.0"), "--root", root);
    expect(status).toBe(0);
    expect(stdout).toContain("tailrace 1.0.0 was replaced by 1.1.0");
    expect(read(CONFIG)).toBe("{ \"mine\": true }");
    expect(read("var/lib/tailrace/precious")).toBe("spans");
    expect(read("opt/tailrace/package.json")).toContain("\"version\": \"1.1.0\"");
    expect(fs.readdirSync(below("opt"))).toEqual(["tailrace"]);
    expect(fs.existsSync(below("opt/tailrace/dist/left-over.js"))).toBe(false);
  });

  it("names another prefix in the unit and in the command", () => {
    install(makePackage("1.0.0"), "--root", root, "--prefix", "/srv/trace-gateway/");
    expect(read(UNIT)).toContain("ExecStart=/srv/trace-gateway/dist/engine/main.js ");
    expect(read(UNIT)).not.toContain("/opt/tailrace");
    expect(fs.readlinkSync(below(LINK))).toBe("/srv/trace-gateway/dist/engine/main.js");
  });

  it("does nothing in a dry run but say what it would do", () => {
    const { status, stdout } = install(makePackage("1.0.0"), "--root", root, "--dry-run");
    expect(status).toBe(0);
    expect(stdout).toContain(`would run: install -d -m 0750 ${root}/var/lib/tailrace`);
    expect(fs.readdirSync(root)).toEqual([]);
  });

  it("uninstalls without touching configuration and data, and with --purge takes them too", () => {
    const from = makePackage("1.0.0");
    install(from, "--root", root);
    fs.writeFileSync(below("var/lib/tailrace/precious"), "spans");
    expect(install(from, "--root", root, "--uninstall").stdout).toContain("stay");
    expect(fs.existsSync(below("opt/tailrace"))).toBe(false);
    expect(fs.readdirSync(path.dirname(below(LINK)))).toEqual([]);
    expect(fs.existsSync(below(UNIT))).toBe(false);
    expect(read("var/lib/tailrace/precious")).toBe("spans");
    expect(fs.existsSync(below(CONFIG))).toBe(true);
    expect(install(from, "--root", root, "--uninstall", "--purge").status).toBe(0);
    expect(fs.existsSync(below("var/lib/tailrace"))).toBe(false);
    expect(fs.existsSync(below("etc/tailrace"))).toBe(false);
  });

  it("leaves what is not its own alone", () => {
    const from = makePackage("1.0.0");
    fs.mkdirSync(below("opt/tailrace"), { recursive: true });
    fs.writeFileSync(below("opt/tailrace/theirs"), "");
    const refused = install(from, "--root", root);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("something else");
    expect(install(from, "--root", root, "--uninstall").status).toBe(0);
    expect(fs.existsSync(below("opt/tailrace/theirs"))).toBe(true);
    expect(fs.existsSync(below("etc"))).toBe(false);
  });

  it("refuses unknown words and packages that are none before it changes anything", () => {
    const from = makePackage("1.0.0");
    fs.writeFileSync(path.join(directory, "no.tgz"), "no");
    for (const [args, status] of [
      [["--prefix", "relative"], 2], [["--prefix", "/"], 2], [["--prefix", "/a b"], 2],
      [["--prefix", "/home/me/tailrace"], 2], [["--purge"], 2], [["--verbose"], 2], [["--root"], 2],
      [["--package", path.join(directory, "no.tgz")], 1], [["--package", "/no/such"], 1],
    ] as const) {
      const { status: found, stderr } = install(from, "--root", root, ...args);
      expect(found, args.join(" ")).toBe(status);
      expect(stderr).toMatch(/^(?:tar:.*\n|gzip:.*\n|\n)*install\.sh: /);
    }
    expect(fs.readdirSync(root)).toEqual([]);
  });

  it("says that it needs root", () => {
    const from = makePackage("1.0.0");
    fs.chmodSync(directory, 0o755);
    const { status, stderr } = spawnSync("sh", [path.join(from, "scripts/install.sh")], {
      encoding: "utf8", ...(process.getuid?.() === 0 ? { uid: NOBODY } : {}),
    });
    expect({ status, stderr }).toEqual({ status: 1, stderr:
      "install.sh: needs root: run it with sudo, or with --root DIR for an image\n" });
  });

  it("leaves a gateway that runs with the installed configuration", async () => {
    install(makePackage("1.0.0"), "--root", root);
    const stage = Stage.open(path.join(directory, "run"));
    const ports = await freePorts();
    // The very file, with places and ports of the test.
    const text = read(CONFIG).replaceAll("/var/lib/tailrace", stage.directory)
      .replace("127.0.0.1:9464", `127.0.0.1:${ports.adminPort}`)
      .replace("127.0.0.1:4318", `127.0.0.1:${ports.port}`)
      .replace("127.0.0.1:8080", `127.0.0.1:${(await freePorts()).port}`)
      .replace("\"30s\"", "\"500ms\"").replace(": 10 ", ": 0 ");
    fs.mkdirSync(stage.directory);
    fs.writeFileSync(below(CONFIG), text);
    const gateway = stage.watch(GatewayProcess.launchCommand(stage.directory,
      [below("opt/tailrace/dist/engine/main.js"), "--configfile", below(CONFIG)], ports));
    await gateway.ready();
    expect(gateway.output).not.toContain("warn");
    await expectFirstUse(gateway, stage.directory);
    expect((await gateway.stop()).code).toBe(0);
  });
});
