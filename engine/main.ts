#!/usr/bin/env node
// Entry: commands and pages of help, or the gateway itself, which is this very process. Commands
// end quickly: what only a gateway needs is imported when it starts.

import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readCommandLine } from "../config/command-line.ts";
import type { PackageFacts } from "./base/package-facts.ts";

const EXIT_SAFE = 0;
const EXIT_BUG = 1;
/** Files dated before have no date of their own. */
const YEAR_MIN = 2000;

/** package.json lies above the compiled files; its build date is the date of this file. */
function packageFacts(): PackageFacts {
  const here = fileURLToPath(import.meta.url);
  let directory = path.dirname(here);
  while (!existsSync(path.join(directory, "package.json"))) directory = path.dirname(directory);
  const { version } = JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8")) as {
    version: string;
  };
  const built = statSync(here).mtime;
  // Archives of packages give all files one date, long before this program was.
  const buildDate = built.getFullYear() < YEAR_MIN ? "unknown" : built.toISOString().slice(0, 10);
  return { version, buildDate };
}

/** Answers what needs no gateway; false when one is to run. */
async function answered(argv: readonly string[], facts: PackageFacts): Promise<boolean> {
  if (argv[0] !== undefined && !argv[0].startsWith("-")) {
    const { runCommand } = await import("./commands/run-command.ts");
    const { createTerminal } = await import("./commands/terminal.ts");
    // The reader of a pipe may leave early, as `head` does.
    process.stdout.once("error", () => process.exit(EXIT_SAFE));
    const terminal = createTerminal(process.stdout, process.stderr, process.env);
    process.exitCode = await runCommand({
      ...facts, argv, env: process.env, cwd: process.cwd(), terminal,
    });
    return true;
  }
  const { kind } = readCommandLine(argv);
  if (kind === "version") process.stdout.write(`${facts.version}\n${facts.buildDate}\n`);
  if (kind !== "help") return kind === "version";
  const { helpText } = await import("../config/help.ts");
  process.stdout.write(helpText());
  return true;
}

async function main(): Promise<void> {
  const facts = packageFacts();
  if (await answered(process.argv.slice(2), facts)) return;
  const { runGateway } = await import("./run-gateway.ts");
  await runGateway(facts);
}

main().catch((error: unknown) => {
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  process.stderr.write(`tailrace: a bug, please report it: ${text}\n`);
  process.exit(EXIT_BUG);
});
