import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";

function mount(directory: string, bytes: number, files = 0): void {
  const limits = files === 0 ? `size=${bytes}` : `size=${bytes},nr_inodes=${files}`;
  const options = ["-t", "tmpfs", "-o", limits, "tmpfs", directory];
  execFileSync("mount", options, { stdio: "ignore" });
}

/** True where small file systems can be mounted: for root, where the kernel lets it. */
export function canMountTmpfs(): boolean {
  const probe = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-mount-"));
  try {
    mount(probe, 1024 * 1024);
    execFileSync("umount", [probe], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  } finally {
    fs.rmdirSync(probe);
  }
}

/** A file system of its own with room for `bytes`, and for `files`, until the test ends. */
export function tmpfs(bytes: number, files = 0): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-disk-"));
  mount(directory, bytes, files);
  onTestFinished(() => {
    execFileSync("umount", ["-l", directory]);
    fs.rmdirSync(directory);
  });
  return directory;
}
