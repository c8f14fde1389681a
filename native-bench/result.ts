// What a bench answers, and the one way to print it: a number without its machine and revision is
// worth nothing later.

import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import { cpus, release, totalmem, type } from "node:os";
import { fileURLToPath } from "node:url";
import { CHECKOUT } from "./checkout.ts";

/**
 * Answer of one bench. The table of `npm run bench` has columns for these keys of `detail`, where a
 * bench has them: spansPerCpuSecond, p50Ms, p99Ms, memoryMib. A `resultHash` is the same for the
 * same seed and parameters, whatever the machine. A `fault` says in words that the run does not
 * count: something was lost, or sums do not agree.
 */
export interface BenchResult {
  readonly name: string;
  readonly spansPerSecond: number;
  /** Everything needed to compare two runs: seed, sizes, counts, a hash of the results. */
  readonly detail: Readonly<Record<string, number | string>>;
}

export interface BenchOptions {
  /** Smallest parameters that still touch all code; for the tests. */
  readonly smoke: boolean;
}

/** The machine, the runtime and the revision a result belongs to. */
export function benchContext(): Record<string, number | string> {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    revision: revision(),
    node: process.version,
    machine: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
  };
}

/** Runs a bench whose file is the program and prints one JSON object; `--smoke` runs it briefly. */
export async function runWhenMain(
  moduleUrl: string, run: (options: BenchOptions) => BenchResult | Promise<BenchResult>,
): Promise<void> {
  if (process.argv[1] !== fileURLToPath(moduleUrl)) return;
  const result = await run({ smoke: process.argv.includes("--smoke") });
  process.stdout.write(`${JSON.stringify({ ...result, context: benchContext() }, null, 2)}\n`);
}

/** At most three digits after the point: more says nothing. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** The commit, with "-changed" when the files are not those of the commit. */
function revision(): string {
  try {
    const head = git(["rev-parse", "--short", "HEAD"]);
    const changed = git(["status", "--porcelain", "--untracked-files=no"]);
    return changed === "" ? head : `${head}-changed`;
  } catch {
    return "unknown"; // no repository or no git: a packed copy
  }
}

function git(words: readonly string[]): string {
  const options: ExecFileSyncOptionsWithStringEncoding = {
    cwd: CHECKOUT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"],
  };
  return execFileSync("git", words, options).trim();
}
