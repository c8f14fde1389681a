#!/usr/bin/env node
// Entry of the gateway: settings, start, signals, exit codes. The process is the gateway itself.

import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { formatProblems } from "../config/findings.ts";
import { load } from "../config/load.ts";
import type { Settings } from "../config/settings-types.ts";
import { GatewayError } from "./base/errors.ts";
import { writeLog } from "./base/log.ts";
import { banner } from "./gateway/banner.ts";
import { Gateway } from "./gateway/gateway.ts";
import { logFile } from "./gateway/plans.ts";
import { parsePolicies } from "./sampling/policy-config.ts";
import { lostSpans } from "./telemetry/balance-sheet.ts";
import { balanceTable } from "./telemetry/balance-table.ts";

const EXIT_SAFE = 0;
const EXIT_BUG = 1;
const EXIT_REFUSED = 2;
const EXIT_LOST = 3;
const EXIT_LANE_DIED = 70;

interface PackageFacts {
  readonly version: string;
  readonly buildDate: string;
}

/** package.json lies above the compiled files; its build date is the date of this file. */
function packageFacts(): PackageFacts {
  const here = fileURLToPath(import.meta.url);
  let directory = path.dirname(here);
  while (!existsSync(path.join(directory, "package.json"))) directory = path.dirname(directory);
  const { version } = JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8")) as {
    version: string;
  };
  const stamp = path.join(directory, "dist", ".sources.sha256");
  const buildDate = existsSync(stamp) ? readFileSync(stamp, "utf8").slice(0, 12) : "unknown";
  return { version, buildDate };
}

function readSettings(facts: PackageFacts): { settings: Settings; source: string } {
  const result = load({
    argv: process.argv.slice(2), env: process.env, cwd: process.cwd(),
    readFile: (file) => readFileSync(file, "utf8"),
    hostname: os.hostname(), cpuCount: os.availableParallelism(),
    version: facts.version, buildDate: facts.buildDate,
    validatePolicies: (policies, at) => parsePolicies(policies, at).problems,
  });
  if (result.kind === "print") {
    process.stdout.write(result.text);
    process.exit(EXIT_SAFE);
  }
  if (result.kind === "refused") {
    process.stderr.write(result.text);
    process.exit(EXIT_REFUSED);
  }
  if (result.warnings.length > 0) process.stderr.write(formatProblems(result.warnings));
  return result;
}

async function main(): Promise<void> {
  const facts = packageFacts();
  const { settings, source } = readSettings(facts);
  const gateway = new Gateway(settings, facts.version);
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(EXIT_SAFE); // what was acknowledged is on disk
    stopping = true;
    void stop(gateway, signal);
  };
  gateway.threadsEnded().catch((error: unknown) => {
    writeLog(logFile(settings), "error", "a thread died; a restart recovers from disk", {
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
    process.exit(EXIT_LANE_DIED);
  });
  await gateway.start();
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.stdout.write(banner(settings, source, facts.version, gateway));
}

async function stop(gateway: Gateway, signal: string): Promise<void> {
  process.stdout.write(`${signal}: stopping; a second signal ends at once, everything is on disk\n`);
  const sheet = await gateway.stop();
  process.stdout.write(balanceTable(sheet));
  process.exit(lostSpans(sheet) > 0 ? EXIT_LOST : EXIT_SAFE);
}

main().catch((error: unknown) => {
  if (error instanceof GatewayError) {
    process.stderr.write(`tailrace: ${error.message}\n`);
    process.exit(EXIT_REFUSED);
  }
  process.stderr.write(`tailrace: a bug: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(EXIT_BUG);
});
