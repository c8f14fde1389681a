// Reads a suspicious generation in a process of its own, where a damaged file can do no harm. A
// process that was killed while it read a healthy generation leaves the same marker, so the file
// decides.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

/** Reading 128 MB takes well under a second; a disk that needs this long cannot serve a lane. */
const PROBE_MS_MAX = 60_000;

/** True when another process could read all of a generation. */
export type Probe = (directory: string) => boolean;

// Runs with -e: source text, because there may be no other file that plain node can run.
const PROGRAM = `
  const [lmdbPath, directory] = process.argv.slice(1);
  const { open } = require(lmdbPath);
  const store = open(directory, {
    noSubdir: false, encoding: "binary", keyEncoding: "uint32", noSync: true,
    overlappingSync: false, maxDbs: 1,
  });
  store.transactionSync(() => {
    const last = store.getKeys({ reverse: true, limit: 1 }).asArray[0] ?? 0;
    for (let key = 1; key <= last; key++) store.getBinaryFast(key);
  }, 2);
  process.exit(0);
`;

/** The probe used by the gateway. Blocks: recovery only. */
export function probeGeneration(directory: string): boolean {
  const lmdbPath = createRequire(import.meta.url).resolve("lmdb");
  const { status } = spawnSync(process.execPath, ["-e", PROGRAM, lmdbPath, directory], {
    stdio: "ignore", timeout: PROBE_MS_MAX, killSignal: "SIGKILL",
  });
  return status === 0;
}
