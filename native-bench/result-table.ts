// Results as text for a terminal: one row a bench, the ratios between them, then all details.

import { RATIOS } from "./benches.ts";
import type { BenchResult } from "./result.ts";

const NAME_COLUMNS = 12;
const RATE_COLUMNS = 12;
const SHORT_COLUMNS = 9;
const KEY_COLUMNS = 34;
/** Numbers that count nothing. */
const NAMES = new Set(["seed", "resultHash"]);
/** Columns of the table: keys of `detail`, see result.ts. */
const COLUMNS = [
  ["spans/CPU-s", "spansPerCpuSecond", RATE_COLUMNS],
  ["p50 ms", "p50Ms", SHORT_COLUMNS],
  ["p99 ms", "p99Ms", SHORT_COLUMNS],
  ["MiB", "memoryMib", SHORT_COLUMNS],
] as const;

/** Machine, runtime, revision and date, in two lines. */
export function contextText(context: Readonly<Record<string, number | string>>): string {
  const { machine, cores, memoryGib, kernel, node, revision, date } = context;
  return `${machine}, ${cores} cores, ${memoryGib} GiB, ${kernel}\n`
    + `Node ${node}, revision ${revision}, ${date}\n`;
}

/** Names of the columns. */
export function headText(): string {
  const head = COLUMNS.map(([title, , columns]) => title.padStart(columns)).join("");
  return `${"bench".padEnd(NAME_COLUMNS)}${"spans/s".padStart(RATE_COLUMNS)}${head}`;
}

/** One bench. */
export function rowText(name: string, result: BenchResult, about: string): string {
  const cells = COLUMNS.map(([, key, columns]) => valueText(result.detail[key]).padStart(columns));
  const rate = valueText(result.spansPerSecond).padStart(RATE_COLUMNS);
  const row = `${name.padEnd(NAME_COLUMNS)}${rate}${cells.join("")}  ${about}`;
  return result.detail["balance"] === undefined ? row : `${row}\n${accountText(result.detail)}`;
}

/** What became of the spans of a whole chain. */
function accountText(detail: BenchResult["detail"]): string {
  const say = (key: string): string => valueText(detail[key]);
  const indent = " ".repeat(NAME_COLUMNS + 2);
  return `${indent}${say("spansAccepted")} spans accepted (answers ${say("answers")}; `
    + `refused because ${say("refusedBecause")})\n`
    + `${indent}${say("spansKept")} kept, ${say("spansForwarded")} forwarded, `
    + `${say("spansLost")} lost; the balance ${say("balance")}\n`
    + `${indent}at most ${say("tracesLivePeak")} traces at once; slowest answer ${say("maxMs")} ms`;
}

/** What stages reach of their floors, as far as both have run. */
export function ratioText(results: ReadonlyMap<string, BenchResult>): string {
  const lines = RATIOS.flatMap(({ about, stage, floor }) => {
    const reached = figure(results, stage);
    const possible = figure(results, floor);
    if (reached === null || possible === null) return [];
    return [`  ${((100 * reached) / possible).toFixed(0).padStart(4)} %  ${about}`];
  });
  return lines.length === 0 ? "" : `\n${lines.join("\n")}`;
}

/** Everything a bench said, one line each. */
export function detailText(name: string, result: BenchResult): string {
  const lines = Object.entries(result.detail).map(([key, value]) =>
    `  ${key.padEnd(KEY_COLUMNS)} ${NAMES.has(key) ? value : valueText(value)}`);
  return [name, ...lines].join("\n");
}

function figure(
  results: ReadonlyMap<string, BenchResult>, [name, key]: readonly [string, string],
): number | null {
  const result = results.get(name);
  const value = key === "" ? result?.spansPerSecond : result?.detail[key];
  return typeof value === "number" ? value : null;
}

function valueText(value: number | string | undefined): string {
  if (value === undefined) return "-";
  return typeof value === "number" ? value.toLocaleString("en-US") : value;
}
