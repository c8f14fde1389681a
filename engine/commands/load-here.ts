// Loads a configuration on this machine, for commands: files and host as a start sees them.

import { readFileSync } from "node:fs";
import os from "node:os";
import { load, type LoadResult, type ValidatePolicies } from "../../config/load.ts";
import type { CommandInput } from "./command.ts";

/** @param argv flags of a start. */
export function loadHere(
  argv: readonly string[],
  { env, cwd, version, buildDate }: Pick<CommandInput, "env" | "cwd" | "version" | "buildDate">,
  validatePolicies: ValidatePolicies,
): LoadResult {
  return load({
    argv, env, cwd, version, buildDate, validatePolicies,
    readFile: (file) => readFileSync(file, "utf8"),
    hostname: os.hostname(), cpuCount: os.availableParallelism(),
  });
}
