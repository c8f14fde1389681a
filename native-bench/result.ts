// What a bench answers, and the one way to print it: a number without its machine and revision is
// worth nothing later.

import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

/** Answer of one bench. */
export interface BenchResult {
  readonly name: string;
  readonly spansPerSecond: number;
  /** Everything needed to compare two runs: seed, sizes, counts, a hash of the results. */
  readonly detail: Record<string, number | string>;
}

export interface BenchOptions {
  /** Smallest parameters that still touch all code; for the tests. */
  readonly smoke: boolean;
}

/** The machine, the runtime and the revision a result belongs to. */
export function benchContext(): Record<string, number | string> {
  const processors = cpus();
  return {
    node: process.version,
    machine: processors[0]?.model ?? "unknown",
    cores: processors.length,
    revision: revision(),
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

function revision(): string {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = {
      encoding: "utf8", stdio: ["ignore", "pipe", "ignore"],
    };
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], options).trim();
  } catch {
    return "unknown"; // no repository or no git: a packed copy
  }
}
