// config/systemd/tailrace.service: right by systemd's own reckoning, fitting to the configuration
// that is installed with it, and loose enough for the gateway to run.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseDuration } from "../../config/durations.ts";
import { TOP_LEVEL } from "../../config/settings.ts";
import { nativeProgram, runsNative } from "../../native-bench/native-program.ts";
import { expectFirstUse, firstUseConfig } from "../support/first-use.ts";
import { freePorts, GatewayProcess } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";
import { callNumbers, hasSystemdAnalyze, UnitFile } from "../support/unit-file.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const UNIT = path.join(ROOT, "config/systemd/tailrace.service");
const MAIN = path.join(ROOT, "dist/engine/main.js");
const EXPOSURE_TENTHS_MAX = 20;
/** What a stop takes besides DrainDelay and MaxGracefulWaitTime. */
const STOP_REST_MS = 3_000;
/** Numbers of the kernel, the same on every machine. */
const FAMILIES: Readonly<Record<string, number>> = { AF_UNIX: 1, AF_INET: 2, AF_INET6: 10 };
const canAnalyze = hasSystemdAnalyze();
if (!canAnalyze) process.stderr.write("skipped: systemd-analyze is missing (package systemd)\n");

const unit = new UnitFile(UNIT);

describe.skipIf(!canAnalyze)("the unit, as systemd sees it,", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-unit-"));
  afterAll(() => fs.rmSync(directory, { recursive: true }));
  /** systemd-analyze ends with 0 on an unknown key and only warns. */
  const analyze = (...args: string[]) =>
    spawnSync("systemd-analyze", ["--no-pager", ...args], { encoding: "utf8" });
  /** The unit with the program that is here instead of the one that is installed. */
  const written = (change: (text: string) => string): string => {
    const file = path.join(directory, "tailrace.service");
    const text = fs.readFileSync(UNIT, "utf8").replaceAll("/opt/tailrace/", `${ROOT}/`);
    fs.writeFileSync(file, change(text));
    return file;
  };

  it("has nothing that systemd would complain about", () => {
    expect(analyze("verify", written((text) => text)))
      .toMatchObject({ status: 0, stdout: "", stderr: "" });
  });

  it("is checked by something that would notice", () => {
    const file = written((text) => text.replace("KillMode=", "KilMode="));
    expect(analyze("verify", file).stderr).toContain("KilMode");
  });

  it("exposes the host to no more than 2.0 of 10", () => {
    const seen = analyze(
      "security", "--offline=true", `--threshold=${EXPOSURE_TENTHS_MAX}`, UNIT);
    expect(seen.status, seen.stdout).toBe(0);
    expect(seen.stdout).toMatch(/Overall exposure level for tailrace\.service: [01]\.\d/);
  });
});

describe("the unit and the configuration installed with it", () => {
  const config = fs.readFileSync(path.join(ROOT, "config/examples/service.conf"), "utf8");

  it("agree about where data is written", () => {
    const places = [...config.matchAll(/"(?:BackupLocation|Path)": "([^"]+)"/g)]
      .map(([, place]) => place);
    expect(places).toHaveLength(2);
    const writable = unit.one("ReadWritePaths");
    expect(`/var/lib/${unit.one("StateDirectory")}`).toBe(writable);
    for (const place of places) expect(place?.startsWith(`${writable}/`), place).toBe(true);
  });

  it("give a stop the time that it may take by default", () => {
    const wanted = parseDuration(TOP_LEVEL.DrainDelay.default)!
      + parseDuration(TOP_LEVEL.MaxGracefulWaitTime.default)! + STOP_REST_MS;
    expect(Number(unit.one("TimeoutStopSec")) * 1000).toBeGreaterThan(wanted);
    expect(config).not.toMatch(/DrainDelay|MaxGracefulWaitTime/);
  });

  it("do not start again what was refused, and start again what died", () => {
    expect(unit.one("Restart")).toBe("on-failure");
    expect(unit.one("RestartPreventExitStatus")).toBe("2");
    expect(unit.all("ExecReload")).toEqual([]);
  });
});

const canConfine = canAnalyze && runsNative();
if (!canConfine) {
  process.stderr.write("skipped: confining needs systemd-analyze and a C compiler\n");
}

describe.skipIf(!canConfine)("under the unit's system calls, without capabilities,", () => {
  const confined = (unitFile: UnitFile, ...command: string[]): [string, ...string[]] => {
    const families = unitFile.one("RestrictAddressFamilies").split(" ").map((name) => {
      const number = FAMILIES[name];
      if (number === undefined) throw new Error(`${name} has no number here`);
      return number;
    });
    return [nativeProgram("test/support/confine.c"), callNumbers(unitFile.allowedCalls()).join(","),
      families.join(","), ...command];
  };

  it("the gateway takes spans, keeps what it should, recovers, and stops", async () => {
    const stage = Stage.open();
    const ports = await freePorts();
    const file = path.join(stage.directory, "gateway.conf");
    fs.writeFileSync(file, JSON.stringify(firstUseConfig(stage.directory, ports)));
    const start = async (): Promise<GatewayProcess> => {
      const gateway = stage.watch(GatewayProcess.launchCommand(stage.directory,
        confined(unit, process.execPath, MAIN, "--configfile", file), ports));
      await gateway.ready();
      return gateway;
    };
    const first = await start();
    await expectFirstUse(first, stage.directory);
    await first.kill();
    const second = await start();
    expect(await second.metric("tailrace_balance_difference_spans")).toBe(0);
    expect((await second.stop()).code).toBe(0);
  });

  it("what the unit forbids is refused", () => {
    const [file, ...args] = confined(unit, process.execPath, "-e",
      "require('os').setPriority(0, 5)");
    const { status, stderr } = spawnSync(file, args, { encoding: "utf8" });
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/EACCES|EPERM/);
  });
});
