// The rules of the source that a tool can check, as data; a test runs them over the repository, and
// `node dist/scripts/tidy.js` at its root prints what it finds.

import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { functionLengths } from "./function-lengths.ts";
import { maskSource } from "./source-mask.ts";

/** Something to put right; `line` counts from 1. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;
const LINE_CHARACTERS_MAX = 100;

/** Where sources are; everything else in the root is somebody else's. */
const SOURCE_FOLDERS = ["config", "engine", "workers", "native-bench", "scripts", "test"];
const SOURCE_FILE = /\.(?:ts|mjs)$/;
/** A file is generated when its first line says so; no rule holds for it. */
const GENERATED = /^.*\bgenerated\b.*\bdo not edit\b/i;
const BANNED_NAMES = new Set([
  "utils", "util", "helpers", "helper", "common", "misc", "index",
]);

/**
 * Folders by height: a file may import its own folder and any lower row, never its own row or a
 * higher one. "engine" is the files right in it.
 */
const FOLDER_ROWS: readonly (readonly string[])[] = [
  ["config", "engine/base"],
  ["engine/part", "engine/ring", "engine/hash"],
  ["engine/wire", "engine/log", "engine/traces", "engine/peer"],
  ["engine/sampling", "engine/telemetry", "engine/forward", "engine/cluster"],
  ["engine/front-door", "engine/grpc-door", "engine/lane"],
  ["engine/pool"],
  ["engine/gateway"],
  ["engine/commands"],
  ["engine", "workers"],
  ["native-bench", "scripts"],
  ["test"],
];
/** Packages, and the only places (folders or files) that may import them. */
const PACKAGE_IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  "uWebSockets.js": ["engine/front-door"],
  "@grpc/grpc-js": ["engine/cluster", "engine/grpc-door"],
  "@opentelemetry/api": ["scripts"],
  "@opentelemetry/exporter-trace-otlp-http": ["scripts"],
  "@opentelemetry/exporter-trace-otlp-proto": ["scripts"],
  "@opentelemetry/exporter-zipkin": ["scripts"],
  "@opentelemetry/resources": ["scripts"],
  "@opentelemetry/sdk-trace-node": ["scripts"],
  "etcd3": ["engine/cluster"],
  "flatbuffers": ["engine/peer"],
  "jsonc-parser": ["config"],
  "lmdb": ["engine/log"],
  "piscina": ["engine/pool"],
  "prom-client": ["engine/telemetry"],
  "re2js": ["engine/part", "engine/sampling"],
  "undici": ["engine/forward"],
  "yaml": ["config"],
  "zod": ["config", "engine/cluster", "engine/lane", "engine/peer", "engine/sampling"],
};
/** Tests and benches use what they like. */
const FREE_OF_PACKAGES = ["test", "native-bench"];
/** Below these the environment has become settings; the door hands one value on to its library. */
const ENVIRONMENT_USERS = [
  "engine/main.ts", "engine/run-gateway.ts", "engine/front-door/uws-environment.ts", "workers",
  "native-bench", "scripts", "test",
];
/** Callbacks of `describe` are as long as their subject. */
const FREE_OF_FUNCTION_LENGTH = ["test"];

/** Searched in code, comments and strings blanked. */
const CODE_RULES: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  {
    pattern: /(?:[:<|&]\s*|\bas\s+|\btype\s+[\w$]+\s*=\s*)any\b(?!\s*[:(])|,\s*any\s*>/g,
    message: "`any` says nothing: use `unknown` and narrow it",
  },
  { pattern: /\benum\s+[A-Za-z_$]/g, message: "no `enum`: codes are const numbers and a union" },
];
/** Written in halves, or this file would find itself. */
const UNFINISHED_WORDS = ["TO" + "DO", "FIX" + "ME", "XX" + "X"];
const UNFINISHED = new RegExp(`\\b(?:${UNFINISHED_WORDS.join("|")})\\b`, "g");

/** All findings in the sources below a root, by path. */
export function tidyTree(root: string): Finding[] {
  return sourcePaths(root)
    .flatMap((path) => tidyFile(path, readFileSync(join(root, path), "utf8")));
}

/** Source files below a root, as paths with forward slashes, sorted. */
export function sourcePaths(root: string): string[] {
  return SOURCE_FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => SOURCE_FILE.test(name))
      .map((name) => posix.join(folder, name)),
  ).sort();
}

/** Findings of one file; `path` is relative to the root. */
export function tidyFile(path: string, text: string): Finding[] {
  if (GENERATED.test(text)) return [];
  const masked = maskSource(text);
  return [
    ...checkName(path),
    ...checkLines(path, text),
    ...checkFunctions(path, masked),
    ...checkPatterns(path, text, masked),
    ...checkImports(path, text, masked),
  ];
}

function checkName(path: string): Finding[] {
  const names = [...dirname(path).split("/"), basename(path).replace(/\..*$/, "")];
  return names.filter((name) => BANNED_NAMES.has(name)).map((name) =>
    ({ path, line: 1, message: `"${name}" is no name: say what the file owns` }));
}

function checkLines(path: string, text: string): Finding[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const findings: Finding[] = [];
  lines.forEach((content, index) => {
    if (content.length > LINE_CHARACTERS_MAX) {
      const message = `${content.length} characters, at most ${LINE_CHARACTERS_MAX}`;
      findings.push({ path, line: index + 1, message });
    }
    if (/\s$/.test(content)) findings.push({ path, line: index + 1, message: "trailing space" });
  });
  if (lines.length > FILE_LINES_MAX) {
    const message = `${lines.length} lines in the file, at most ${FILE_LINES_MAX}`;
    findings.push({ path, line: lines.length, message });
  }
  return findings;
}

function checkFunctions(path: string, masked: string): Finding[] {
  if (liesIn(path, FREE_OF_FUNCTION_LENGTH)) return [];
  return functionLengths(masked)
    .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
    .map(({ line, lines }) =>
      ({ path, line, message: `${lines} lines in a function, at most ${FUNCTION_LINES_MAX}` }));
}

function checkPatterns(path: string, text: string, masked: string): Finding[] {
  const findings: Finding[] = [];
  const search = (source: string, pattern: RegExp, message: string): void => {
    for (const match of source.matchAll(pattern)) {
      findings.push({ path, line: lineAt(source, match.index), message });
    }
  };
  for (const { pattern, message } of CODE_RULES) search(masked, pattern, message);
  search(text, UNFINISHED, "unfinished: do it, or leave it out");
  if (!liesIn(path, ENVIRONMENT_USERS)) {
    search(masked, /\bprocess\s*\.\s*env\b/g, "the environment is read by config and entries only");
  }
  return findings;
}

function checkImports(path: string, text: string, masked: string): Finding[] {
  const findings: Finding[] = [];
  for (const match of masked.matchAll(/\b(?:from|import)\s*\(?\s*(["'])( *)\1/g)) {
    const start = match.index + match[0].length - match[2]!.length - 1;
    const target = text.slice(start, start + match[2]!.length);
    const message = target.startsWith(".") ? refuseEdge(path, target) : refusePackage(path, target);
    if (message !== null) findings.push({ path, line: lineAt(text, match.index), message });
  }
  return findings;
}

function refuseEdge(path: string, target: string): string | null {
  const from = folderOf(path);
  const to = folderOf(posix.join(posix.dirname(path), target));
  const allowed = from === to || rowOf(to) < rowOf(from);
  if (rowOf(to) < 0) return `${to} is in no row of the folder table`;
  return allowed ? null : `${from} may not import ${to}: imports go downwards only`;
}

function refusePackage(path: string, target: string): string | null {
  if (target.startsWith("node:") || liesIn(path, FREE_OF_PACKAGES)) return null;
  const name = target.split("/").slice(0, target.startsWith("@") ? 2 : 1).join("/");
  const importers = PACKAGE_IMPORTERS[name];
  if (importers === undefined) return `${name} is not in the table of packages`;
  return liesIn(path, importers) ? null : `only ${importers.join(" and ")} may import ${name}`;
}

/** `engine/wire/otlp-proto/scan.ts` is in `engine/wire`, `engine/main.ts` in `engine`. */
function folderOf(path: string): string {
  const parts = posix.dirname(path).split("/");
  return parts.slice(0, parts[0] === "engine" ? 2 : 1).join("/");
}

function rowOf(folder: string): number {
  return FOLDER_ROWS.findIndex((row) => row.includes(folder));
}

function liesIn(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || path.startsWith(`${place}/`));
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const findings = tidyTree(process.cwd());
  for (const { path, line, message } of findings) {
    process.stdout.write(`${path}:${line}: ${message}\n`);
  }
  process.exitCode = findings.length === 0 ? 0 : 1;
}
