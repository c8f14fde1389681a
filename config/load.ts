// Flags, environment and file become frozen settings, or the full list of what is wrong with them.
// Precedence: flag, environment, file, default. Pure but for the given `readFile`.

import { findConfigFile, missingFile, DEFAULT_CONFIG_FILE } from "./config-file.ts";
import { readCommandLine } from "./command-line.ts";
import { checkCluster } from "./check-cluster.ts";
import { CLUSTER_ROWS, type ClusterRows } from "./cluster-rows.ts";
import { parseConfigText } from "./document.ts";
import { applyEnvironment } from "./environment.ts";
import { byPlace, formatProblems, type Problem, type Warning } from "./findings.ts";
import { helpText, usageText } from "./help.ts";
import { LANES_MAX } from "./limits.ts";
import { readCluster, type ClusterInput } from "./read-cluster.ts";
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
    readonly warnings: readonly Warning[];
  }
  | { readonly kind: "print"; readonly text: string }
  | {
    readonly kind: "refused"; readonly text: string; readonly problems: readonly Problem[];
    readonly warnings: readonly Warning[]; readonly source: string | null;
  };

/** Settings without a file: OTLP and Zipkin in, the default policies, kept traces in files. */
export const EMBEDDED_CONFIG = {
  ListenFrom: [{ Type: "otlp" }, { Type: "signalfx", ListenAddr: "127.0.0.1:8080" }],
  ForwardTo: [{ Type: "file", Name: "kept", Path: "./data/kept", TraceSample: {} }],
};
const EMBEDDED_SOURCE = "embedded defaults";

/** Loads everything once; see `LoadResult` for what comes back. */
export function load(input: LoadInput): LoadResult {
  const command = readCommandLine(input.argv);
  if (command.kind === "help") return { kind: "print", text: helpText() };
  if (command.kind === "version") {
    return { kind: "print", text: `${input.version}\n${input.buildDate}\n` };
  }
  if (command.kind === "refused") {
    const problem = { path: "", message: command.message, place: null };
    return refuse([problem], [], null, `tailrace: ${command.message}\n${usageText()}`);
  }
  const found = findConfigFile(command.configFile ?? DEFAULT_CONFIG_FILE, input);
  if (found.kind === "unreadable") return refuse([found.problem], [], null);
  if (found.kind === "missing" && command.configFile !== null) {
    return refuse([missingFile(command.configFile, found.looked)], [], null);
  }
  const [source, text] = found.kind === "found"
    ? [found.file, found.text]
    : [EMBEDDED_SOURCE, JSON.stringify(EMBEDDED_CONFIG)];
  const { root, findings } = parseConfigText(source, text);
  const context = { findings, cwd: input.cwd, env: input.env };
  const section = root === null ? null : openSection(root, "", context);
  if (section === null) return refuse(findings.problems, findings.warnings, source);
  const reading = readFileSections(section, context, input.validatePolicies);
  const settings = settle(reading, command.clusterOperation, input, context);
  if (findings.problems.length > 0) return refuse(findings.problems, findings.warnings, source);
  const warnings = findings.warnings.toSorted(byPlace);
  return { kind: "run", settings: deepFreeze(settings), source, warnings };
}

function refuse(
  problems: readonly Problem[], warnings: readonly Warning[], source: string | null, text?: string,
): LoadResult {
  const inOrder = problems.toSorted(byPlace);
  const warned = warnings.toSorted(byPlace);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const listed = `tailrace: ${count} in the configuration\n${formatProblems(inOrder)}\n`;
  const also = warned.length === 0
    ? "" : `and what would only be warned of\n${formatProblems(warned)}\n`;
  return {
    kind: "refused", text: text ?? listed + also, problems: inOrder, warnings: warned, source,
  };
}

/** The file's reading under environment and flags, with what depends on the machine filled in. */
function settle(
  reading: FileReading, clusterFlag: string | null, input: LoadInput, context: ReadContext,
): Settings {
  const { top, variables } = applyEnvironment(reading.top, context);
  const fromVariable = variables.has("backupLocation");
  if (!fromVariable) checkLocations(reading, context);
  const dataDirectory = fromVariable
    ? top.backupLocation
    : (reading.locations[0]?.directory ?? top.backupLocation);
  checkRelations(reading, top.adminAddress, dataDirectory, context);
  const serverName = top.serverName === "" ? input.hostname : top.serverName;
  const workers = top.workers === 0 ? workersOf(input.cpuCount) : top.workers;
  const { rows, others } = clusterApart(top);
  const clusterInput: ClusterInput = {
    rows, flag: clusterFlag, serverName, clusterName: top.clusterName, workers, variables,
    onShutdown: top.onShutdown, adminAddress: top.adminAddress, listeners: reading.listeners,
    section: reading.section, nodeKeys: reading.forwarding.nodeKeys,
  };
  const cluster = readCluster(clusterInput, context);
  if (cluster !== null) checkCluster(cluster, clusterInput, context.findings);
  const { backupLocation: _chosen, ...rest } = others;
  return {
    ...rest, cluster, serverName, workers, dataDirectory,
    // Other nodes go on with what this one has not judged.
    onShutdown: cluster === null ? top.onShutdown : "keep",
    listenFrom: reading.listeners,
    forwardTo: reading.forwarding.forwarders,
  };
}

/** The cluster's rows, which make a structure of their own, and all others. */
function clusterApart(top: FieldsOf<typeof TOP_LEVEL>): {
  readonly rows: ClusterRows;
  readonly others: Omit<FieldsOf<typeof TOP_LEVEL>, keyof ClusterRows>;
} {
  const fields = new Set<string>(Object.values(CLUSTER_ROWS).map(({ field }) => field));
  const apart = (ofCluster: boolean): object => Object.fromEntries(
    Object.entries(top).filter(([field]) => fields.has(field) === ofCluster));
  return {
    rows: apart(true) as ClusterRows, // just its fields
    others: apart(false) as Omit<FieldsOf<typeof TOP_LEVEL>, keyof ClusterRows>, // all but these
  };
}

function workersOf(cpuCount: number): number {
  return Math.min(Math.max(cpuCount - 1, 1), LANES_MAX);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
