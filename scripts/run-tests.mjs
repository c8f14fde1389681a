// Every test of the project: type check, lint, then the tests in groups, each told as it goes. The
// very last line is the sum, "N passed, N failed"; what was skipped stands before it; the exit code
// is 0 only when something ran and nothing failed. Plain JavaScript; `npm test` has set everything
// up (see setup.mjs).

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const reports = mkdtempSync(join(tmpdir(), "tailrace-tests-"));
/** A step that takes this long hangs: it is ended, and has failed. */
const STEP_MS_MAX = 20 * 60_000;
/** Between asking a step to end and making it. */
const END_MS = 10_000;

/** Checks that are one test each. */
const CHECKS = [
  { name: "type check", command: ["npm", "run", "--silent", "check"] },
  { name: "lint", command: [join(root, "node_modules/.bin/oxlint"), "--deny-warnings"] },
];
/**
 * These load the machine or look at the time: each has it to itself. The other tests of real
 * gateways mostly wait, two files at once.
 */
const ALONE = [
  "fault/memory", "fault/slow-backend", "fault/stalled-clients", "e2e/cluster", "e2e/kill",
  "e2e/late-spans", "e2e/life-cycle",
];
/** What the tests left out here have to say about HTTP is nothing. */
const ON_NODE = { env: { TAILRACE_TEST_ENGINE: "node" } };
const GROUPS = [
  {
    name: "unit, model, simulation and fuzz tests",
    folders: ["test/unit", "test/model", "test/sim", "test/fuzz"],
  },
  {
    name: "fault and end-to-end tests", folders: ["test/fault", "test/e2e"],
    options: ALONE.map((name) => `--exclude=test/${name}*.test.ts`),
  },
  {
    name: "fault and end-to-end tests, one by one",
    folders: ALONE.map((name) => `test/${name}`), options: ["--no-file-parallelism"],
  },
  {
    ...ON_NODE, name: "end-to-end tests on Node's own HTTP engine",
    folders: ["bad-input", "limits", "sdk"].map((name) => `test/e2e/${name}.test.ts`),
  },
  {
    ...ON_NODE, name: "end-to-end tests on Node's own HTTP engine, one by one",
    folders: ["kill", "life-cycle"].map((name) => `test/e2e/${name}.test.ts`),
    options: ["--no-file-parallelism"],
  },
];

const startedAt = Date.now();
const total = { passed: 0, failed: 0, skipped: 0 };
try {
  for (const check of CHECKS) add(await runCheck(check));
  for (const [number, group] of GROUPS.entries()) add(await runGroup(group, number));
} finally {
  rmSync(reports, { recursive: true, force: true });
}
const seconds = Math.round((Date.now() - startedAt) / 1000);
process.stdout.write(`\nfinished after ${seconds} s\n`);
if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 && total.passed > CHECKS.length ? 0 : 1;

function add({ passed, failed, skipped: left = 0 }) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += left;
}

async function runCheck({ name, command }) {
  title(name);
  const began = Date.now();
  const fault = await run(command);
  if (fault !== null) {
    process.stdout.write(`${name} failed: ${fault}\n`);
    return { passed: 0, failed: 1 };
  }
  process.stdout.write(`${name} passed after ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  return { passed: 1, failed: 0 };
}

async function runGroup({ name, folders, options = [], env = {} }, number) {
  title(name);
  const report = join(reports, `${number}.json`);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const fault = await run([
    process.execPath, vitest, "run", ...folders, ...options,
    "--reporter=default", "--reporter=json", `--outputFile.json=${report}`,
  ], env);
  const counts = countReport(report);
  if (counts === null) {
    process.stdout.write(`${name} left no report: ${fault ?? "it ended early"}\n`);
    return { passed: 0, failed: 1 };
  }
  if (counts.passed + counts.failed === 0) {
    process.stdout.write(`${name}: nothing ran\n`);
    return { ...counts, failed: 1 };
  }
  // All passed and yet it failed: an error outside of any test.
  if (fault !== null && counts.failed === 0) {
    process.stdout.write(`${name} failed outside of its tests: ${fault}\n`);
    return { ...counts, failed: 1 };
  }
  return counts;
}

/** Counts of a report of vitest; null when there is none. A file that cannot run is one failure. */
function countReport(path) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError || error.code === "ENOENT") return null;
    throw error;
  }
  const broken = report.testResults.filter(({ status, assertionResults }) =>
    status === "failed" && assertionResults.length === 0).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function title(text) {
  process.stdout.write(`\n== ${text}\n`);
}

/** Runs a command with its output on ours. @returns null when it ended well, else how it ended. */
async function run([file, ...args], env = {}) {
  return await new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...env },
    });
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), END_MS).unref();
    }, STEP_MS_MAX);
    child.once("error", (error) => {
      clearTimeout(limit);
      resolve(error.message);
    });
    child.once("exit", (code, signal) => {
      clearTimeout(limit);
      if (late) resolve(`not done after ${STEP_MS_MAX / 60_000} minutes`);
      else resolve(code === 0 ? null : `exit ${signal ?? code}`);
    });
  });
}
