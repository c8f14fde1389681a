// What the process uses and may use, as the kernel sees it. Pages of files do not count: the kernel
// takes those back when it needs them.

import { readFileSync } from "node:fs";
import path from "node:path";

const STATUS_FILE = "/proc/self/status";
const RESIDENT = /^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm;
const CGROUP_FILE = "/proc/self/cgroup";
const CGROUP_ROOT = "/sys/fs/cgroup";
/** "0::/path" of version 2, "4:memory:/path" of version 1. */
const CGROUP_LINE = /^\d+:(memory)?:(\/.*)$/gm;
/** Version 1 says "no limit" with the largest number of pages. */
const UNLIMITED_BYTES = 2 ** 60;

/** Resident bytes that no file backs. */
export function residentBytes(): number {
  const status = readIfAny(STATUS_FILE);
  if (status === null) return process.memoryUsage.rss(); // not Linux
  let bytes = 0;
  for (const [, kib] of status.matchAll(RESIDENT)) bytes += Number(kib) * 1024;
  return bytes;
}

/**
 * The lowest memory limit of the process's control group and those around it.
 * @returns Infinity without one.
 */
export function cgroupBytesMax(cgroupFile = CGROUP_FILE, root = CGROUP_ROOT): number {
  let lowest = Infinity;
  for (const [, version1, group = "/"] of (readIfAny(cgroupFile) ?? "").matchAll(CGROUP_LINE)) {
    const base = version1 === undefined ? root : path.join(root, "memory");
    const file = version1 === undefined ? "memory.max" : "memory.limit_in_bytes";
    // In a container the group may be mounted as the root of the tree.
    for (let at = group; ; at = path.dirname(at)) {
      const bytes = Number(readIfAny(path.join(base, at, file)) ?? Infinity);
      if (bytes > 0 && bytes < UNLIMITED_BYTES) lowest = Math.min(lowest, bytes);
      if (at === "/") break;
    }
  }
  return lowest;
}

function readIfAny(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null; // there is no such thing here, which is an answer
  }
}
