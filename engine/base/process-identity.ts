// Which process a number means. The kernel's start tick and boot id tell a process from another one
// that has its number now, and from one of before the machine started again.

import { readFileSync, readlinkSync } from "node:fs";

/** Field of /proc/<pid>/stat after the command's closing parenthesis: the 22nd of all. */
const START_TICK_FIELD = 19;

/** One process of this machine, for good. Empty texts where there is no /proc. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  readonly boot: string;
}

/** Identity of the process that has the number now. */
export function identityOf(pid: number): ProcessIdentity {
  return { pid, startedAt: startTick(pid), boot: bootId() };
}

/** Which numbers of processes this process sees: its process namespace; empty without /proc. */
export function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // no /proc: there are no namespaces either
  }
}

/** Whether the machine has started again since. */
export function isOfAnotherBoot(identity: ProcessIdentity): boolean {
  return identity.boot !== bootId();
}

/** Whether the very process still runs; one of another user counts as well. */
export function lives(identity: ProcessIdentity): boolean {
  if (isOfAnotherBoot(identity)) return false;
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    if (isCode(error, "ESRCH")) return false;
    if (!isCode(error, "EPERM")) throw error; // EPERM: it lives, under another user
  }
  return identity.startedAt === startTick(identity.pid);
}

/** The identity in a file's text; null for one that was not written whole, or by another. */
export function parseIdentity(text: string): ProcessIdentity | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { pid, startedAt, boot } = value as Record<string, unknown>;
    if (typeof pid !== "number" || typeof startedAt !== "string") return null;
    return typeof boot === "string" ? { pid, startedAt, boot } : null;
  } catch {
    return null; // not JSON
  }
}

/** Kernel start tick of a process; empty where there is no /proc. */
function startTick(pid: number): string {
  const stat = readIfAllowed(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TICK_FIELD] ?? "";
}

function bootId(): string {
  return readIfAllowed("/proc/sys/kernel/random/boot_id").trim();
}

function readIfAllowed(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // no /proc: the number of the process alone decides
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
