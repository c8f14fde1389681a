// npm run bench [-- OPTION... NAME...]: runs benches one after the other, each in a process of its
// own, so that none sees the heap and the compiled code of another, and prints a table.

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BENCHES } from "./benches.ts";
import { CHECKOUT } from "./checkout.ts";
import { runsNative } from "./native-program.ts";
import { benchContext, type BenchResult } from "./result.ts";
import { contextText, detailText, headText, ratioText, rowText } from "./result-table.ts";

const USAGE = `usage: npm run bench [-- [--smoke] [--save] [--details] [NAME...]]
  --smoke    seconds instead of minutes; the figures mean nothing
  --save     write the results to native-bench/results/
  --details  print everything that each bench says
  NAME       any of: ${BENCHES.map(({ name }) => name).join(" ")}; all without one
`;
const OPTIONS = ["--smoke", "--save", "--details"];
/** Runs one bench in this process and prints its result: how this file starts itself. */
const ONE = "--one";
const OUTPUT_BYTES_MAX = 1024 * 1024;
const EXIT_FAULT = 1;
const EXIT_USAGE = 2;

interface Command {
  readonly smoke: boolean;
  readonly save: boolean;
  readonly details: boolean;
  readonly names: readonly string[];
}

/** Null when the words mean nothing. */
function commandOf(words: readonly string[]): Command | null {
  const options = words.filter((word) => word.startsWith("-"));
  const names = words.filter((word) => !word.startsWith("-"));
  if (options.some((option) => !OPTIONS.includes(option))) return null;
  if (names.some((name) => !BENCHES.some((bench) => bench.name === name))) return null;
  const [smoke, save, details] = OPTIONS.map((option) => options.includes(option));
  return { smoke: smoke === true, save: save === true, details: details === true, names };
}

async function runAll(command: Command): Promise<void> {
  const context = benchContext();
  const chosen = BENCHES.filter(({ name }) =>
    command.names.length === 0 || command.names.includes(name));
  process.stdout.write(`${contextText(context)}\n${headText()}\n`);
  const results = new Map<string, BenchResult>();
  const isNative = runsNative();
  for (const { name, about, needsNative } of chosen) {
    if (needsNative && !isNative) {
      process.stdout.write(`${name}: skipped, it needs Linux and a C compiler\n`);
      continue;
    }
    try {
      const result = await runChild(name, command.smoke);
      results.set(name, result);
      process.stdout.write(`${rowText(name, result, about)}\n`);
    } catch (error) {
      process.exitCode = EXIT_FAULT;
      process.stdout.write(`${name} failed: ${complaintOf(error)}\n`);
    }
  }
  process.stdout.write(`${ratioText(results)}\n`);
  if (command.details) {
    for (const [name, result] of results) process.stdout.write(`\n${detailText(name, result)}\n`);
  }
  const faulty = [...results].filter(([, { detail }]) => detail["fault"] !== undefined);
  for (const [name, { detail }] of faulty) {
    process.exitCode = EXIT_FAULT;
    process.stdout.write(`\n${name} DOES NOT COUNT: ${detail["fault"]}\n`);
  }
  if (command.save) save({ context, smoke: command.smoke, results: Object.fromEntries(results) });
}

/** What the process of a bench said, or why it did not run. */
function complaintOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return stderr !== undefined && stderr !== "" ? stderr.trim() : message ?? String(error);
}

async function runChild(name: string, smoke: boolean): Promise<BenchResult> {
  const self = fileURLToPath(import.meta.url);
  const words = [self, ONE, name, ...(smoke ? ["--smoke"] : [])];
  const options = { encoding: "utf8", maxBuffer: OUTPUT_BYTES_MAX } as const;
  const { stdout } = await promisify(execFile)(process.execPath, words, options);
  return JSON.parse(stdout) as BenchResult; // this file printed it
}

async function runOne(name: string, smoke: boolean): Promise<void> {
  const bench = BENCHES.find((each) => each.name === name);
  if (bench === undefined) throw new Error(`no bench is called ${name}`);
  process.stdout.write(`${JSON.stringify(await bench.run({ smoke }))}\n`);
}

interface Report {
  readonly context: Record<string, number | string>;
  readonly smoke: boolean;
  readonly results: Record<string, BenchResult>;
}

function save(report: Report): void {
  const directory = join(CHECKOUT, "native-bench", "results");
  mkdirSync(directory, { recursive: true });
  const { date, revision } = report.context;
  const second = String(date).slice(0, 19).replaceAll(":", "");
  const file = join(directory, `${second}-${revision}.json`);
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`\nsaved ${file}\n`);
}

const words = process.argv.slice(2);
const command = commandOf(words);
if (words[0] === ONE) await runOne(words[1] ?? "", words.includes("--smoke"));
else if (words.includes("--help")) process.stdout.write(USAGE);
else if (command !== null) await runAll(command);
else {
  process.stderr.write(USAGE);
  process.exitCode = EXIT_USAGE;
}
