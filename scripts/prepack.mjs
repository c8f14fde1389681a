// Runs before `npm pack`: packages and build as `npm start` does it, then the tree that goes into
// the tarball is made what it should be. The tarball carries its dependencies (bundleDependencies):
// npm looks into no shrinkwrap of a tarball and no `overrides` of a dependency, so this is the only
// way in which an installation has the very versions that were tested, and it needs no network.

import { readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import "./setup.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ENGINES = join(root, "node_modules/uWebSockets.js/dist/bin");
/** The HTTP engine brings 24 binaries, 133 MB: systems times Node versions (115: 20, 127: 22). */
const SERVED = /^uws_linux_(?:x64|arm64)_(?:115|127)\.node$/;
const MIB = 1024 * 1024;

removeOtherEngines();

/** Never the binary that this machine itself uses. `npm ci` brings the others back. */
function removeOtherEngines() {
  const own = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  const others = readdirSync(ENGINES).filter((name) => !SERVED.test(name) && name !== own);
  if (others.length === 0) return;
  let bytes = 0;
  for (const name of others) {
    const file = join(ENGINES, name);
    bytes += statSync(file).size;
    rmSync(file);
  }
  // Standard error: `npm pack --json` owns standard output.
  process.stderr.write(`prepack: removed ${others.length} binaries (${Math.round(bytes / MIB)} MiB)`
    + " of systems that the package does not serve from node_modules/uWebSockets.js\n");
}
