// File descriptors: LMDB crashes the process when it cannot have one, so clients must not use them
// up.

import { readFileSync } from "node:fs";

const LIMITS_FILE = "/proc/self/limits";
const OPEN_FILES = /^Max open files\s+(\d+)/m;
/** What systems give when they do not say. */
const OPEN_FILES_DEFAULT = 1024;
/** Standard streams, libraries, rings of the event loops, admin connections, log and files. */
const RESERVE = 256;
/** Environments of a lane's log and of one outbox: a data file and a lock file each, and spares. */
const RESERVE_PER_LOG = 24;
const CONNECTIONS_MIN = 64;

/** Connections that the front door may have at once under this process's limit of descriptors. */
export function connectionsMax(lanes: number, forwarders: number): number {
  const reserve = RESERVE + lanes * (1 + forwarders) * RESERVE_PER_LOG;
  return Math.max(CONNECTIONS_MIN, openFilesMax() - reserve);
}

function openFilesMax(): number {
  try {
    const found = OPEN_FILES.exec(readFileSync(LIMITS_FILE, "utf8"));
    return found === null ? OPEN_FILES_DEFAULT : Number(found[1]);
  } catch {
    return OPEN_FILES_DEFAULT; // not Linux
  }
}
