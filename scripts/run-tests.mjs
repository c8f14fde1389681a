// Every test of the project: type check, lint, then the tests in groups, each told as it goes. At
// the end, all that failed is said once more; the very last line is the sum, "N passed, N failed",
// and what was skipped stands before it. The exit code is 0 only when something ran and nothing
// failed. Plain JavaScript; `npm test` has set everything up (see setup.mjs).

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const reports = mkdtempSync(join(tmpdir(), "tailrace-tests-"));
/** A step that takes this long hangs: it is ended, and has failed. */
const STEP_MS_MAX = 20 * 60_000;
/** Between asking a step to end and making it. */
const END_MS = 10_000;
/** Lines of a failure's message that are said again at the end. */
const FAILURE_LINES_MAX = 30;

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
const total = { passed: 0, skipped: 0, failures: [] };
try {
  for (const check of CHECKS) add(await runCheck(check));
  for (const [number, group] of GROUPS.entries()) add(await runGroup(group, number));
} finally {
  rmSync(reports, { recursive: true, force: true });
}
const seconds = Math.round((Date.now() - startedAt) / 1000);
if (total.failures.length > 0) {
  title("what failed");
  for (const failure of total.failures) process.stdout.write(`\n${failure}\n`);
}
process.stdout.write(`\nfinished after ${seconds} s\n`);
if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`);
process.stdout.write(`${total.passed} passed, ${total.failures.length} failed\n`);
process.exitCode = total.failures.length === 0 && total.passed > CHECKS.length ? 0 : 1;

function add({ passed, skipped, failures }) {
  total.passed += passed;
  total.skipped += skipped;
  total.failures.push(...failures);
}

async function runCheck({ name, command }) {
  title(name);
  const began = Date.now();
  const fault = await run(command);
  if (fault !== null) return { passed: 0, skipped: 0, failures: [`${name}: ${fault}`] };
  process.stdout.write(`${name} passed after ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  return { passed: 1, skipped: 0, failures: [] };
}

async function runGroup({ name, folders, options = [], env = {} }, number) {
  title(name);
  const path = join(reports, `${number}.json`);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const fault = await run([
    process.execPath, vitest, "run", ...folders, ...options,
    "--reporter=default", "--reporter=json", `--outputFile.json=${path}`,
  ], env);
  const report = readReport(path);
  if (report === null) {
    const why = `${name} left no report: ${fault ?? "it ended early"}`;
    return { passed: 0, skipped: 0, failures: [why] };
  }
  const failures = listFailures(report);
  if (failures.length === 0) {
    if (report.numPassedTests === 0) failures.push(`${name}: nothing ran`);
    // All passed and yet it failed: an error outside of any test.
    else if (fault !== null) failures.push(`${name} failed outside of its tests: ${fault}`);
  }
  const skipped = report.numPendingTests + report.numTodoTests;
  return { passed: report.numPassedTests, skipped, failures };
}

/** What vitest wrote down; null when it did not. */
function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError || error.code === "ENOENT") return null;
    throw error;
  }
}

/** One text for each test that failed, and for each file that failed outside of its tests. */
function listFailures({ testResults }) {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((result) => result.status === "failed");
    if (status !== "failed" || failed.length > 0) {
      return failed.map(({ fullName, failureMessages }) =>
        `${file}: ${fullName}\n${shorten(failureMessages.join("\n"))}`);
    }
    return [`${file}, outside of its tests\n${shorten(message)}`];
  });
}

function shorten(message) {
  return message.split("\n").slice(0, FAILURE_LINES_MAX).map((line) => `  ${line}`).join("\n");
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
