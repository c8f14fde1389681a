// The gateway as this process: settings, start, signals, exit codes.

import { readFileSync } from "node:fs";
import os from "node:os";
import { formatProblems, type Problem } from "../config/findings.ts";
import { load } from "../config/load.ts";
import type { Settings } from "../config/settings-types.ts";
import { GatewayError } from "./base/errors.ts";
import { errorText, Log } from "./base/log.ts";
import type { PackageFacts } from "./base/package-facts.ts";
import { StreamOutput } from "./base/stream-output.ts";
import { banner } from "./gateway/banner.ts";
import { Gateway } from "./gateway/gateway.ts";
import { logOptions, makeLogDirectory } from "./gateway/log-options.ts";
import { RunStory } from "./gateway/run-story.ts";
import { parsePolicies } from "./sampling/policy-config.ts";
import { lostSpans } from "./telemetry/balance-sheet.ts";
import { balanceTable } from "./telemetry/balance-table.ts";

const EXIT_SAFE = 0;
const EXIT_BUG = 1;
const EXIT_REFUSED = 2;
const EXIT_LOST = 3;
const EXIT_LANE_DIED = 70;
/** A reader that has stopped reading gets this long, where nothing else waits meanwhile. */
const PRINT_MS = 1_000;

/** For people; neither ever waits for its reader. */
const standardOutput = new StreamOutput(1);
const standardError = new StreamOutput(2);

function readSettings(
  facts: PackageFacts,
): { settings: Settings; source: string; warnings: readonly Problem[] } {
  const result = load({
    argv: process.argv.slice(2), env: process.env, cwd: process.cwd(),
    readFile: (file) => readFileSync(file, "utf8"),
    hostname: os.hostname(), cpuCount: os.availableParallelism(),
    version: facts.version, buildDate: facts.buildDate,
    validatePolicies: (policies, at) => parsePolicies(policies, at).problems,
  });
  if (result.kind === "print") {
    standardOutput.print(result.text, PRINT_MS);
    process.exit(EXIT_SAFE);
  }
  if (result.kind === "refused") {
    standardError.print(result.text, PRINT_MS);
    process.exit(EXIT_REFUSED);
  }
  const { warnings } = result;
  if (warnings.length > 0) standardError.print(`${formatProblems(warnings)}\n`, PRINT_MS);
  return result;
}

/** Runs until a signal or a failure ends the process; returns when the gateway is ready. */
export async function runGateway(facts: PackageFacts): Promise<void> {
  try {
    await run(facts);
  } catch (error) {
    // Before there is a log: its directory, or the settings themselves.
    standardError.print(error instanceof GatewayError ? `tailrace: ${error.message}\n`
      : `tailrace: a bug, please report it: ${errorText(error)}\n`, 0);
    process.exit(exitCodeOf(error));
  }
}

async function run(facts: PackageFacts): Promise<void> {
  const { settings, source, warnings } = readSettings(facts);
  makeLogDirectory(settings);
  const log = new Log(logOptions(settings));
  const story = new RunStory(log, standardError);
  story.starting(settings, source, facts.version, warnings);
  const gateway = createGateway(settings, facts.version, log, story);
  let stopping = false;
  let died = false;
  // When a thread died, what fails because of it says nothing new.
  const onFailure = (error: unknown): void => {
    if (died) return;
    died = true;
    const exitCode = exitCodeOf(error);
    story.ends(error, exitCode);
    void gateway.abandon(exitCode);
  };
  process.on("uncaughtException", onFailure);
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) {
      story.leaving(`a second signal, ${signal}`);
      void gateway.abandon(EXIT_SAFE); // what was acknowledged is on disk
      return;
    }
    stopping = true;
    stop(gateway, story, signal).catch(onFailure);
  };
  gateway.threadsEnded().catch((error: unknown) => {
    if (died) return;
    died = true;
    story.threadDied(error, EXIT_LANE_DIED);
    void gateway.abandon(EXIT_LANE_DIED);
  });
  // Until everything is up there is nothing to drain: the log has what it had.
  const beforeReady = (signal: NodeJS.Signals): void => {
    story.leaving(`${signal} before it was ready`);
    void gateway.abandon(EXIT_SAFE);
  };
  process.on("SIGTERM", beforeReady);
  process.on("SIGINT", beforeReady);
  try {
    await gateway.start();
  } catch (error) {
    onFailure(error);
    return;
  }
  process.off("SIGTERM", beforeReady);
  process.off("SIGINT", beforeReady);
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  story.ready(settings);
  standardOutput.print(banner(settings, source, facts.version, gateway), 0);
}

/** The gateway with its threads begun; ends the process where there can be none. */
function createGateway(
  settings: Settings, version: string, log: Log, story: RunStory,
): Gateway {
  try {
    return new Gateway(settings, version, log, process.env["PATH"] ?? "");
  } catch (error) {
    const exitCode = exitCodeOf(error);
    story.ends(error, exitCode);
    process.exit(exitCode);
  }
}

async function stop(gateway: Gateway, story: RunStory, signal: string): Promise<void> {
  story.stopping(signal);
  standardOutput.print(
    `${signal}: stopping; a second signal ends at once, everything is on disk\n`, 0);
  const ending = await gateway.stop();
  const lost = lostSpans(ending.sheet) + ending.lostRecords;
  const exitCode = lost > 0 ? EXIT_LOST : EXIT_SAFE;
  story.stopped(ending, exitCode);
  standardOutput.print(balanceTable(ending.sheet), PRINT_MS);
  process.exit(exitCode);
}

function exitCodeOf(error: unknown): number {
  return error instanceof GatewayError ? EXIT_REFUSED : EXIT_BUG;
}
