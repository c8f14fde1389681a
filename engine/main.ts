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
  if (result.warnings.length > 0) process.stderr.write(`${formatProblems(result.warnings)}\n`);
  return result;
}

async function main(): Promise<void> {
  const facts = packageFacts();
  const { settings, source } = readSettings(facts);
  const gateway = new Gateway(settings, facts.version);
  let stopping = false;
  let died = false;
  // When a thread died, what fails because of it says nothing new.
  const onFailure = async (error: unknown): Promise<void> => {
    if (!died) await refuse(error, gateway);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) {
      void gateway.abandon(EXIT_SAFE); // what was acknowledged is on disk
      return;
    }
    stopping = true;
    stop(gateway, signal).catch(onFailure);
  };
  gateway.threadsEnded().catch((error: unknown) => {
    died = true;
    writeLog(logFile(settings), "error", "a thread died; a restart recovers from disk", {
      error: error instanceof Error ? error.stack ?? error.message : String(error),
    });
    void gateway.abandon(EXIT_LANE_DIED);
  });
  // Until everything is up there is nothing to drain: the log has what it had.
  const beforeReady = (): void => void gateway.abandon(EXIT_SAFE);
  process.on("SIGTERM", beforeReady);
  process.on("SIGINT", beforeReady);
  try {
    await gateway.start();
  } catch (error) {
    return await onFailure(error);
  }
  process.off("SIGTERM", beforeReady);
  process.off("SIGINT", beforeReady);
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.stdout.write(banner(settings, source, facts.version, gateway));
}

async function stop(gateway: Gateway, signal: string): Promise<void> {
  process.stdout.write(
    `${signal}: stopping; a second signal ends at once, everything is on disk\n`);
  const { sheet, lostRecords } = await gateway.stop();
  process.stdout.write(balanceTable(sheet));
  process.exit(lostSpans(sheet) + lostRecords > 0 ? EXIT_LOST : EXIT_SAFE);
}

/** Says why there is no gateway, and ends; `gateway` when its threads have begun. */
async function refuse(error: unknown, gateway: Gateway | null): Promise<never> {
  const expected = error instanceof GatewayError;
  process.stderr.write(expected ? `tailrace: ${error.message}\n`
    : `tailrace: a bug: ${error instanceof Error ? error.stack : String(error)}\n`);
  const exitCode = expected ? EXIT_REFUSED : EXIT_BUG;
  if (gateway !== null) return await gateway.abandon(exitCode);
  process.exit(exitCode);
}

main().catch((error: unknown) => void refuse(error, null));
