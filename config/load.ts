// Flags, environment and file become frozen settings, or the full list of what is wrong with them.
// Precedence: flag, environment, file, default. Pure but for the given `readFile`.

import { findConfigFile, missingFile, DEFAULT_CONFIG_FILE } from "./config-file.ts";
import { readCommandLine } from "./command-line.ts";
import { parseDocument } from "./document.ts";
import { applyEnvironment } from "./environment.ts";
import { formatProblems, type Findings, type Problem } from "./findings.ts";
import { helpText, usageText } from "./help.ts";
import { LANES_MAX } from "./limits.ts";
import { checkLocations, checkRelations, readFileSections, type FileReading } from "./read-file.ts";
import type { ValidatePolicies } from "./read-forwarders.ts";
import { openSection, type ReadContext } from "./read-section.ts";
import type { Settings } from "./settings-types.ts";
import type { TOP_LEVEL } from "./settings.ts";
import type { FieldsOf } from "./setting-row.ts";

export type { Problem, ValidatePolicies };

/** What the outside world gives; tests give their own. */
export interface LoadInput {
  /** Arguments after the script's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; paths are resolved against it. */
  readonly cwd: string;
  /** Text of a file; throws as `readFileSync` does. */
  readonly readFile: (path: string) => string;
  readonly hostname: string;
  readonly cpuCount: number;
  readonly version: string;
  readonly buildDate: string;
  readonly validatePolicies: ValidatePolicies;
}

/**
 * What to do now. `print` goes to standard output, exit 0; the text of `refused` goes to standard
 * error, exit 2. `source` names the file, or says that there is none.
 */
export type LoadResult =
  | {
    readonly kind: "run"; readonly settings: Settings; readonly source: string;
    readonly warnings: readonly Problem[];
  }
  | { readonly kind: "print"; readonly text: string }
  | {
    readonly kind: "refused"; readonly text: string; readonly problems: readonly Problem[];
    readonly warnings: readonly Problem[];
  };

/** Settings without a file: OTLP in, the default policies, kept traces in files. */
export const EMBEDDED_CONFIG = {
  ListenFrom: [{ Type: "otlp" }],
  ForwardTo: [{ Type: "file", Name: "kept", Path: "./data/kept", TraceSample: {} }],
};
const EMBEDDED_SOURCE = "embedded defaults";

/** Operations of the original; known, but nothing clusters yet. */
const CLUSTER_OPERATIONS = ["seed", "new", "join", "existing", "client"];

/** Loads everything once; see `LoadResult` for what comes back. */
export function load(input: LoadInput): LoadResult {
  const command = readCommandLine(input.argv);
  if (command.kind === "help") return { kind: "print", text: helpText() };
  if (command.kind === "version") {
    return { kind: "print", text: `${input.version}\n${input.buildDate}\n` };
  }
  if (command.kind === "refused") {
    const problem = { path: "", message: command.message, place: null };
    return refuse([problem], [], `tailrace: ${command.message}\n${usageText()}`);
  }
  const found = findConfigFile(command.configFile ?? DEFAULT_CONFIG_FILE, input);
  if (found.kind === "unreadable") return refuse([found.problem], []);
  if (found.kind === "missing" && command.configFile !== null) {
    return refuse([missingFile(command.configFile, found.looked)], []);
  }
  const [source, text] = found.kind === "found"
    ? [found.file, found.text]
    : [EMBEDDED_SOURCE, JSON.stringify(EMBEDDED_CONFIG)];
  const { root, findings } = parseDocument(source, text);
  const context = { findings, cwd: input.cwd, env: input.env };
  const section = root === null ? null : openSection(root, "", context);
  if (section === null) return refuse(findings.problems, findings.warnings);
  const reading = readFileSections(section, context, input.validatePolicies);
  const settings = settle(reading, command.clusterOperation, input, context);
  if (findings.problems.length > 0) return refuse(findings.problems, findings.warnings);
  const warnings = findings.warnings.toSorted(byPlace);
  return { kind: "run", settings: deepFreeze(settings), source, warnings };
}

function refuse(
  problems: readonly Problem[], warnings: readonly Problem[], text?: string,
): LoadResult {
  const inOrder = problems.toSorted(byPlace);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const listed = `tailrace: ${count} in the configuration\n${formatProblems(inOrder)}\n`;
  const warned = warnings.length === 0
    ? ""
    : `and what would only be warned of\n${formatProblems(warnings.toSorted(byPlace))}\n`;
  return { kind: "refused", text: text ?? listed + warned, problems: inOrder, warnings };
}

/** Flags and variables first, then as the file goes. */
function byPlace(left: Problem, right: Problem): number {
  const lines = (left.place?.line ?? 0) - (right.place?.line ?? 0);
  return lines !== 0 ? lines : (left.place?.column ?? 0) - (right.place?.column ?? 0);
}

/** The file's reading under environment and flags, with what depends on the machine filled in. */
function settle(
  reading: FileReading, clusterFlag: string | null, input: LoadInput, context: ReadContext,
): Settings {
  const { top, variables } = applyEnvironment(reading.top, context);
  checkClusterOperation(top.clusterOperation, clusterFlag, variables, context.findings);
  const fromVariable = variables.has("backupLocation");
  if (!fromVariable) checkLocations(reading, context);
  const dataDirectory = fromVariable
    ? top.backupLocation
    : (reading.locations[0]?.directory ?? top.backupLocation);
  checkRelations(reading, top.adminAddress, dataDirectory, context);
  const { clusterOperation: _checked, backupLocation: _chosen, ...rest } = top;
  return {
    ...rest,
    serverName: top.serverName === "" ? input.hostname : top.serverName,
    workers: top.workers === 0 ? workersOf(input.cpuCount) : top.workers,
    dataDirectory,
    listenFrom: reading.listeners,
    forwardTo: reading.forwarding.forwarders,
  };
}

function workersOf(cpuCount: number): number {
  return Math.min(Math.max(cpuCount - 1, 1), LANES_MAX);
}

function checkClusterOperation(
  fromFileOrVariable: FieldsOf<typeof TOP_LEVEL>["clusterOperation"], flag: string | null,
  variables: ReadonlyMap<string, string>, findings: Findings,
): void {
  const operation = flag ?? fromFileOrVariable;
  if (operation === "") return;
  const written = variables.get("clusterOperation") ?? "ClusterOperation";
  const path = flag === null ? written : "--cluster-op";
  findings.problem(path, CLUSTER_OPERATIONS.includes(operation)
    ? `"${operation}" needs a cluster, and this version runs as a single node; leave it empty`
    : `unsupported cluster-op specified "${operation}"; leave it empty`, null);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
