// Brings a checkout to where it can run: packages, then the build, each only when it is needed.
// Runs before `npm start` and `npm test`, so it is plain JavaScript without any package. It trusts
// contents, not times: npm's own record of node_modules, and a digest of the sources in dist.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 20;
const NODE_MINOR_MIN = 19;
/** More output than this of a failed step is cut. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCE_FOLDERS = ["config", "engine", "workers", "native-bench", "scripts"];
const BUILD_FILES = ["tsconfig.json", "package.json", "package-lock.json"];
const BUILD_STAMP = join(root, "dist", ".sources.sha256");

requireNodeVersion();
const packagesReason = whyInstall();
if (packagesReason !== null) run(["ci", "--include=dev"], packagesReason);
const digest = digestSources();
const buildReason = whyBuild(digest);
if (buildReason !== null) {
  run(["run", "build"], buildReason);
  writeFileSync(BUILD_STAMP, digest);
}

function requireNodeVersion() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN)) return;
  process.stderr.write(
    `setup: this is Node ${process.versions.node}; `
    + `tailrace needs ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer\n`,
  );
  process.exit(1);
}

/** Null when what npm wrote down about node_modules is what package-lock.json asks for. */
function whyInstall() {
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return "node_modules is missing or not complete";
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = installed[path];
    if (found === undefined && (entry.optional === true || entry.devOptional === true)) continue;
    if (found === undefined) return `${path} is missing`;
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path} is not the one in package-lock.json`;
    }
  }
  return null;
}

/** Null when dist was built, to the end, from these very sources. */
function whyBuild(wanted) {
  if (!existsSync(BUILD_STAMP)) return "dist is missing or not complete";
  return readFileSync(BUILD_STAMP, "utf8") === wanted ? null : "the sources have changed";
}

function digestSources() {
  const hash = createHash("sha256");
  for (const path of [...BUILD_FILES, ...SOURCE_FOLDERS.flatMap(sourcesBelow)]) {
    const content = readFileSync(join(root, path));
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

function sourcesBelow(folder) {
  if (!existsSync(join(root, folder))) return [];
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sourcesBelow(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  }).sort();
}

function run(args, reason) {
  const startedAt = Date.now();
  process.stdout.write(`setup: npm ${args.join(" ")} (${reason}) ... `);
  const result = spawnSync("npm", args, {
    cwd: root, encoding: "utf8", maxBuffer: OUTPUT_BYTES_MAX, stdio: ["ignore", "pipe", "pipe"],
  });
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  if (result.status === 0) {
    process.stdout.write(`${seconds} s\n`);
    return;
  }
  process.stdout.write(`failed after ${seconds} s\n`);
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  process.stderr.write(`setup: ${result.error?.message ?? `npm ended with ${result.status}`}\n`);
  process.exit(1);
}
