import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EtcdDirectory, REMOVED_KEPT_MAX } from "../../../engine/cluster/etcd-directory.ts";

let root: string;
let directory: EtcdDirectory;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tailrace-etcd-directory-"));
  directory = new EtcdDirectory(join(root, "deep/er"));
  directory.prepare();
});
afterEach(() => rmSync(root, { recursive: true }));

function writeData(text: string): void {
  mkdirSync(join(directory.dataPath, "member/wal"), { recursive: true });
  writeFileSync(join(directory.dataPath, "member/wal/0-0.wal"), text);
}

describe("the server's directory", () => {
  it("has data once there is a log of the member", () => {
    expect(directory.hasData()).toBe(false);
    mkdirSync(join(directory.dataPath, "member/snap"), { recursive: true });
    expect(directory.hasData()).toBe(false);
    writeData("x");
    expect(directory.hasData()).toBe(true);
  });

  it("is cleared of what never became a member, and of nothing else", () => {
    mkdirSync(join(directory.dataPath, "member/snap"), { recursive: true });
    directory.clearUnstarted();
    expect(readdirSync(directory.dataPath)).toEqual([]);
    writeData("x");
    directory.clearUnstarted();
    expect(directory.hasData()).toBe(true);
  });

  it("sets data aside under the time, and keeps the last ones", () => {
    const asides: string[] = [];
    for (let number = 0; number < REMOVED_KEPT_MAX + 2; number++) {
      writeData(String(number));
      directory.writeIdentity({ memberId: String(number), clusterId: "c" });
      asides.push(directory.setAside(new Date(Date.UTC(2026, 0, 2, 3, 4, 5 + number))));
      expect(directory.hasData()).toBe(false);
      expect(directory.readIdentity()).toBeNull();
    }
    expect(asides[0]).toMatch(/etcd\.removed-20260102T030405Z$/);
    expect(asides.map((path) => existsSync(path))).toEqual([false, false, true, true]);
  });

  it("sets data aside twice in a second", () => {
    const now = new Date();
    writeData("a");
    const first = directory.setAside(now);
    writeData("b");
    expect(directory.setAside(now)).toBe(`${first}-2`);
  });

  it("knows which member the data is, or that nobody wrote it whole", () => {
    expect(directory.readIdentity()).toBeNull();
    directory.writeIdentity({ memberId: "1", clusterId: "2" });
    expect(directory.readIdentity()).toEqual({ memberId: "1", clusterId: "2" });
    for (const text of ["", "{", "{}", "{\"memberId\":1}", "null"]) {
      writeFileSync(join(directory.path, "member.json"), text);
      expect(directory.readIdentity()).toBeNull();
    }
  });
});
