// A server that outlived its gateway. The pid file names it, with what tells it from another
// process of that number; where the gateway was killed before it wrote the file, its command line
// does: no other server can have this data directory.

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import {
  identityOf, lives, parseIdentity, type ProcessIdentity,
} from "../base/process-identity.ts";
import { readFileIfAny, writeFileDurably } from "../log/durable-file.ts";

const PID_FILE = "etcd.pid";
const PROCESSES = "/proc";

export interface FoundServer {
  readonly identity: ProcessIdentity;
  /** Its arguments, without the program. */
  readonly arguments: readonly string[];
}

/** The server that runs on a data directory; null when none does. */
export function findServer(
  clusterDataDirectory: string, binary: string, dataDirectory: string,
): FoundServer | null {
  const text = readFileIfAny(join(clusterDataDirectory, PID_FILE));
  const named = text === null ? null : parseIdentity(text);
  if (named !== null && lives(named)) {
    const found = serverOf(named.pid, binary, dataDirectory);
    if (found !== null) return found;
  }
  for (const pid of processNumbers()) {
    const found = serverOf(pid, binary, dataDirectory);
    if (found !== null) return found;
  }
  return null;
}

/** Whether it still runs: a process that has ended but was not waited for has no arguments. */
export function isRunning({ identity }: FoundServer): boolean {
  return lives(identity) && commandLine(identity.pid).length > 0;
}

export function writePidFile(clusterDataDirectory: string, identity: ProcessIdentity): void {
  writeFileDurably(join(clusterDataDirectory, PID_FILE), JSON.stringify(identity));
}

export function removePidFile(clusterDataDirectory: string): void {
  rmSync(join(clusterDataDirectory, PID_FILE), { force: true });
}

function serverOf(pid: number, binary: string, dataDirectory: string): FoundServer | null {
  const identity = identityOf(pid); // before the command line: the number may change hands
  const [program, ...words] = commandLine(pid);
  if (program === undefined || basename(program) !== basename(binary)) return null;
  if (!words.includes(`--data-dir=${dataDirectory}`) || !lives(identity)) return null;
  return { identity, arguments: words };
}

/** Program and arguments of a process; empty when it is gone or another user's. */
function commandLine(pid: number): string[] {
  try {
    return readFileSync(join(PROCESSES, String(pid), "cmdline"), "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}

function processNumbers(): number[] {
  try {
    return readdirSync(PROCESSES).map(Number).filter(Number.isInteger);
  } catch {
    return []; // no /proc here: the pid file alone names it
  }
}
