import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { LimitWatch } from "../../../engine/gateway/limit-watch.ts";
import { cgroupBytesMax, residentBytes } from "../../../engine/gateway/process-memory.ts";
import {
  Control, createControl, PRESSURE_DECIDE, PRESSURE_NONE, PRESSURE_REFUSE,
} from "../../../engine/lane/control.ts";

const MIB = 1024 * 1024;

describe("the watch over limits", () => {
  function watchOf(policy: "decide-early" | "hash-sample" | "refuse") {
    const control = new Control(createControl(2));
    const said: [string, string][] = [];
    const state = { resident: 0, outside: 0 };
    const watch = new LimitWatch(
      { storagePolicy: policy, storageLimitBytes: 1000 * MIB, memoryBytesMax: 1000 * MIB },
      {
        control, residentBytes: () => state.resident, outsideBytes: () => state.outside,
        say: (level, message) => said.push([level, message]),
      });
    const look = (mebibytes: number): void => {
      control.setStorageBytes(0, mebibytes * MIB / 2);
      control.setStorageBytes(1, mebibytes * MIB / 2);
      for (let turn = 0; turn < 5; turn++) watch.look();
    };
    return { control, said, state, look };
  }

  it("says once when storage runs short, when clients are refused, and when each ends", () => {
    const { control, said, look } = watchOf("decide-early");
    for (const used of [100, 899, 901, 950, 990, 1001, 1010, 980, 960, 900, 849, 100]) look(used);
    expect(said.map(([level]) => level)).toEqual(["warn", "warn", "info", "info"]);
    expect(said[0]?.[1]).toContain("judged early");
    expect(said[1]?.[1]).toContain("refused with 503");
    expect(control.pressure).toBe(PRESSURE_NONE);
    look(920);
    expect(control.storageExcessBytes).toBe(70 * MIB);
    expect(control.storageFull).toBe(false);
    look(1000);
    expect(control.storageFull).toBe(true);
  });

  it("tells lanes which share of new traces to store", () => {
    const { control, said, look } = watchOf("hash-sample");
    look(905);
    expect(control.samplingLevel).toBe(1);
    expect(control.pressure & PRESSURE_DECIDE).toBe(0);
    look(930);
    expect(control.samplingLevel).toBe(3);
    look(800);
    expect(control.samplingLevel).toBe(0);
    expect(said[0]?.[1]).toContain("share of the new traces");
  });

  it("counts what lies in the data directory and belongs to no lane", () => {
    const { control, state, look } = watchOf("refuse");
    state.outside = 300 * MIB;
    for (let turn = 0; turn < 60; turn++) look(500);
    expect(control.storageBytes()).toBe(800 * MIB);
  });

  it("holds the tables when resident memory nears its limit, then refuses, and heals", () => {
    const { control, said, state, look } = watchOf("refuse");
    const seen = [100, 890, 910, 960, 980, 950, 930, 870, 840].map((mebibytes) => {
      state.resident = mebibytes * MIB;
      look(10);
      return control.memoryPressure;
    });
    const held = PRESSURE_DECIDE;
    const refused = PRESSURE_DECIDE | PRESSURE_REFUSE;
    expect(seen).toEqual([0, 0, held, held, refused, refused, held, held, PRESSURE_NONE]);
    expect(said.map(([level]) => level)).toEqual(["warn", "warn", "info"]);
  });
});

describe("the memory of the process", () => {
  it("is what the kernel says, without pages of files", () => {
    const bytes = residentBytes();
    expect(bytes).toBeGreaterThan(10 * MIB);
    expect(bytes).toBeLessThanOrEqual(process.memoryUsage.rss());
  });

  it("is limited by the narrowest control group around it, of either version", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-cgroup-"));
    onTestFinished(() => fs.rmSync(root, { recursive: true }));
    const groups = path.join(root, "groups");
    const write = (file: string, text: string): void => {
      fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      fs.writeFileSync(path.join(root, file), text);
    };
    write("self2", "0::/system.slice/tailrace.service\n");
    write("groups/system.slice/tailrace.service/memory.max", "max\n");
    expect(cgroupBytesMax(path.join(root, "self2"), groups)).toBe(Infinity);
    write("groups/system.slice/memory.max", "2147483648\n");
    expect(cgroupBytesMax(path.join(root, "self2"), groups)).toBe(2048 * MIB);
    write("groups/system.slice/tailrace.service/memory.max", "1073741824\n");
    expect(cgroupBytesMax(path.join(root, "self2"), groups)).toBe(1024 * MIB);
    write("self1", "9:name=systemd:/\n4:memory:/a/b\n0::/\n");
    write("groups/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    expect(cgroupBytesMax(path.join(root, "self1"), groups)).toBe(Infinity);
    write("groups/memory/a/memory.limit_in_bytes", "536870912\n");
    expect(cgroupBytesMax(path.join(root, "self1"), groups)).toBe(512 * MIB);
    expect(cgroupBytesMax(path.join(root, "absent"), groups)).toBe(Infinity);
  });
});
