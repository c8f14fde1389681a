// What the container image relies on, without a container engine: the gateway as process 1 of a
// process namespace, its configuration, and the commands that the image names.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { expectFirstUse, firstUseConfig } from "../support/first-use.ts";
import { freePorts, GatewayProcess, type Ports } from "../support/gateway.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const MAIN = path.join(ROOT, "dist/engine/main.js");
const NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] as const;
/** DrainDelay of these gateways, and what closing takes on a busy machine. */
const STOP_MS = 10_000;
const [unshare, ...unshareOptions] = NAMESPACE;
const canUnshare = spawnSync(unshare, [...unshareOptions, "true"]).status === 0;
if (!canUnshare) process.stderr.write("skipped: a process namespace needs root and unshare\n");

const containerfile = fs.readFileSync(path.join(ROOT, "config/container/Containerfile"), "utf8");
const config = fs.readFileSync(path.join(ROOT, "config/container/gateway.conf"), "utf8");

/** Arguments of an instruction in exec form. */
function execForm(instruction: string): string[] {
  const found = new RegExp(`^${instruction} (\\[.*\\])$`, "m").exec(containerfile);
  if (found === null) throw new Error(`no ${instruction} in exec form`);
  return JSON.parse(found[1]!) as string[]; // the group is there when the expression matched
}

/** The process that is number 1 inside, by its number outside. */
function innerPid(gateway: GatewayProcess): number {
  const children = fs.readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, "utf8");
  return Number(children.trim());
}

function numberInside(pid: number): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^NSpid:.*\t(\d+)$/m.exec(status)?.[1]);
}

describe.skipIf(!canUnshare)("as process 1 of its namespace the gateway", () => {
  const stageOf = async (): Promise<{ stage: Stage; ports: Ports; file: string }> => {
    const stage = Stage.open();
    const ports = await freePorts();
    const file = path.join(stage.directory, "gateway.conf");
    fs.writeFileSync(file, JSON.stringify(firstUseConfig(stage.directory, ports)));
    return { stage, ports, file };
  };
  const start = async (stage: Stage, file: string, ports: Ports): Promise<GatewayProcess> => {
    const gateway = stage.watch(GatewayProcess.launchCommand(
      stage.directory, [...NAMESPACE, process.execPath, MAIN, "--configfile", file], ports));
    await gateway.ready();
    return gateway;
  };

  it("keeps what it should, and ends with 0 soon after SIGTERM", async () => {
    const { stage, ports, file } = await stageOf();
    const gateway = await start(stage, file, ports);
    const pid = innerPid(gateway);
    expect(numberInside(pid)).toBe(1);
    await expectFirstUse(gateway, stage.directory);
    process.kill(pid, "SIGTERM");
    expect(await gateway.ended(STOP_MS)).toEqual({ code: 0, signal: null });
    expect(gateway.output).toContain("The balance closes");
  });

  it("lives with orphans that become its children", async () => {
    const { stage, ports, file } = await stageOf();
    const gateway = await start(stage, file, ports);
    const pid = innerPid(gateway);
    // What `docker exec` leaves behind: a process whose parent has gone.
    const left = spawnSync("nsenter", ["--target", String(pid), "--pid", "--mount", "sh", "-c",
      "(sleep 0.3; exit 7) & exit 0"], { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
    expect(left).toMatchObject({ status: 0, stderr: "" });
    const children = (): string[] => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .trim().split(" ").filter((child) => child !== "");
    const hasEnded = (child: string): boolean =>
      /^State:\tZ/m.test(fs.readFileSync(`/proc/${child}/status`, "utf8"));
    await until(() => children().some(hasEnded), "the orphan has ended");
    await expectFirstUse(gateway, stage.directory);
    process.kill(pid, "SIGTERM");
    expect(await gateway.ended(STOP_MS)).toEqual({ code: 0, signal: null });
  });

  it("is refused the data of another one that lives, though it cannot see it", async () => {
    const { stage, ports, file } = await stageOf();
    const first = await start(stage, file, ports);
    const second = stage.watch(GatewayProcess.launchCommand(
      stage.directory, [...NAMESPACE, process.execPath, MAIN, "--configfile", file], ports));
    expect((await second.ended(STOP_MS)).code).toBe(2);
    expect(second.output).toContain("is in use: a process of another container has it");
    expect(await first.metric("tailrace_balance_difference_spans")).toBe(0);
    process.kill(innerPid(first), "SIGTERM");
    expect(await first.ended(STOP_MS)).toEqual({ code: 0, signal: null });
  });

  it("has its data again after kill -9, as number 1 again", async () => {
    const { stage, ports, file } = await stageOf();
    const first = await start(stage, file, ports);
    await expectFirstUse(first, stage.directory);
    process.kill(innerPid(first), "SIGKILL");
    await first.ended(STOP_MS);
    const second = await start(stage, file, ports);
    expect(numberInside(innerPid(second))).toBe(1);
    expect(await second.metric("tailrace_balance_difference_spans")).toBe(0);
    process.kill(innerPid(second), "SIGTERM");
    expect(await second.ended(STOP_MS)).toEqual({ code: 0, signal: null });
  });
});

describe("the image", () => {
  it("runs the gateway itself, as a user, with its data in the volume", () => {
    expect(execForm("ENTRYPOINT")).toEqual(["tailrace"]);
    expect(execForm("CMD")).toEqual(["--configfile", "/etc/tailrace/gateway.conf"]);
    expect(containerfile).toMatch(/^STOPSIGNAL SIGTERM$/m);
    expect(containerfile).toMatch(/^USER (?!0)\d+:(?!0)\d+$/m);
    const volume = /^VOLUME (\S+)$/m.exec(containerfile)?.[1];
    for (const [, place] of config.matchAll(/"(?:BackupLocation|Path)": "([^"]+)"/g)) {
      expect(place?.startsWith(`${volume}/`), place).toBe(true);
    }
  });

  it("exposes the ports of its configuration, which listens on every address", () => {
    const exposed = /^EXPOSE (.+)$/m.exec(containerfile)?.[1]?.split(" ");
    const listening = [...config.matchAll(/"(?:ListenAddr|AdminAddress)": "([^"]+):(\d+)"/g)];
    expect(new Set(listening.map(([, host]) => host))).toEqual(new Set(["0.0.0.0"]));
    expect(listening.map(([, , port]) => port).sort()).toEqual(exposed?.sort());
  });

  it("is healthy while its gateway runs and not afterwards, by its own check", async () => {
    const stage = Stage.open();
    const ports = await freePorts();
    const file = path.join(stage.directory, "gateway.conf");
    const text = config.replaceAll("/var/lib/tailrace", stage.directory)
      .replaceAll("0.0.0.0", "127.0.0.1").replace("9464", String(ports.adminPort))
      .replace("4318", String(ports.port)).replace("8080", String((await freePorts()).port));
    fs.writeFileSync(file, text);
    const gateway = stage.watch(
      GatewayProcess.launchWith(stage.directory, ["--configfile", file], ports));
    await gateway.ready();
    const [, command] = /^HEALTHCHECK .*\\\n {2}CMD (\[.*\])$/m.exec(containerfile) ?? [];
    const [, ...args] = JSON.parse(command!) as string[]; // the line above must have found it
    const check = (): number | null => spawnSync(process.execPath,
      args.map((arg) => arg.replace("9464", String(ports.adminPort)))).status;
    expect(check()).toBe(0);
    await gateway.kill();
    expect(check()).toBe(1);
  });
});
