// The findings of a check as a page for people or as JSON.

import type { Problem } from "../../config/findings.ts";
import type { ClusterSettings, Settings } from "../../config/settings-types.ts";
import { formatSize } from "../../config/sizes.ts";
import { addressText } from "../../config/values.ts";
import { gatewayFacts } from "../gateway/facts.ts";
import { plannedMemory } from "../gateway/planned-memory.ts";
import type { ForwarderFacts, GatewayFacts } from "../telemetry/gateway-facts.ts";
import { bytes, counted, duration, grouped } from "./show-numbers.ts";
import { printable, type Paint, type Style, type Terminal } from "./terminal.ts";
import { wrapped } from "./text-table.ts";

/** What a check found. */
export interface Checked {
  /** The file as it was found, or what stands for it. */
  readonly file: string;
  readonly errors: readonly (Problem & { /** A start warns and goes on. */ startWarns: boolean })[];
  readonly warnings: readonly Problem[];
  /** Null when loading refused it. */
  readonly settings: Settings | null;
}

const INDENT = "    ";
const LABEL_COLUMNS = 9;
const NOT_CHECKED = "Not checked: whether ports are free, hosts answer, and directories can be "
  + "written. A start looks at these.";
/** Listed at most; the rest is counted. */
const LISTED_MAX = 100;

/** One object, ending in a line break. */
export function checkJson({ file, errors, warnings }: Checked): string {
  const entries = (problems: readonly Problem[]) => problems.map(({ path, message, place }) => ({
    path, line: place?.line ?? null, column: place?.column ?? null, message,
  }));
  const report = {
    ok: errors.length === 0, file, errors: entries(errors), warnings: entries(warnings),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** The page, ending in a line break. */
export function checkText(checked: Checked, { columns, paint }: Terminal): string {
  const { file, errors, warnings, settings } = checked;
  const lines = [
    paint("head", printable(file)), "",
    ...group("Errors", "bad", errors, columns, paint),
    ...group("Warnings", "doubtful", warnings, columns, paint),
  ];
  if (errors.length === 0 && settings !== null) {
    lines.push(...plan(settings, columns), "");
  }
  lines.push(summary(checked, paint));
  return `${lines.join("\n")}\n`;
}

function group(
  title: string, style: Style, problems: readonly (Problem & { startWarns?: boolean })[],
  columns: number, paint: Paint,
): string[] {
  if (problems.length === 0) return [];
  const lines = [paint(style, title)];
  for (const { path, message, place, startWarns } of problems.slice(0, LISTED_MAX)) {
    const where = place === null ? "" : `${place.line}:${place.column}`;
    const head = [where, path].filter((part) => part !== "").join("  ");
    const text = startWarns === true ? `${message} (a start only warns of it)` : message;
    lines.push(`  ${paint("head", printable(head === "" ? "the file" : head))}`);
    lines.push(...wrapped(INDENT, printable(text), columns, INDENT));
  }
  if (problems.length > LISTED_MAX) lines.push(`  and ${problems.length - LISTED_MAX} more`);
  return [...lines, ""];
}

function summary({ errors, warnings }: Checked, paint: Paint): string {
  const counts = `${counted(errors.length, "error")}, ${counted(warnings.length, "warning")}`;
  if (errors.length === 0) return `${paint("good", counts)}: the gateway would start with it.`;
  const tells = errors.every(({ startWarns }) => startWarns)
    ? "a start would only warn of them, and go on without what they say."
    : "the gateway would refuse to start.";
  return `${paint("bad", counts)}: ${tells}`;
}

/** What the gateway would do, and what was not looked at. */
function plan(settings: Settings, columns: number): string[] {
  const { memory, ringBytes } = plannedMemory(settings);
  const facts = gatewayFacts(
    settings, settings.storageLimitBytes, memory.tableBytes, ringBytes);
  const { adminAddress } = settings;
  const entries: [string, string][] = [
    ...facts.listeners.map(({ name, type, address, tls }): [string, string] => {
      return ["takes", `${type} on ${address}${tls ? ", TLS" : ""}  [${name}]`];
    }),
    ...facts.forwarders.map((forwarder): [string, string] => ["sends", destination(forwarder)]),
    ["stores", storage(settings, facts)],
    ["limits", limits(settings)],
    ["memory", `tables up to ${bytes(facts.tableBytesMax)} for ${counted(facts.workers, "worker")},`
      + ` and rings up to ${bytes(facts.ringBytesMax)}, resident as they are used`],
    ["admin", `http://${addressText(adminAddress)}`],
    ...(settings.cluster === null ? []
      : clusterLines(settings.cluster).map((text): [string, string] => ["cluster", text])),
  ];
  const indent = " ".repeat(2 + LABEL_COLUMNS);
  return [
    "The gateway",
    ...entries.flatMap(([label, text]) =>
      wrapped(`  ${label.padEnd(LABEL_COLUMNS)}`, printable(text), columns, indent)),
    "",
    ...wrapped("", NOT_CHECKED, columns, ""),
  ];
}

const DOES: Readonly<Record<ClusterSettings["operation"], string>> = {
  seed: "begins", join: "joins", client: "is a client of",
};

function clusterLines(cluster: ClusterSettings): string[] {
  const { operation, rebalance, targetClusterAddresses: targets } = cluster;
  const through = targets.length === 0 ? "" : `, found through ${targets.join(", ")}`;
  const server = `etcd for clients at ${cluster.advertiseClientAddresses.join(", ")} and for `
    + `servers at ${cluster.advertisePeerAddresses.join(", ")}, in ${cluster.clusterDataDirectory}`;
  return [
    `${DOES[operation]} ${cluster.clusterName} as ${cluster.serverName}, weight `
      + `${cluster.capacity}${through}`,
    ...(operation === "client" ? [] : [server]),
    `other nodes connect to ${rebalance.advertise}, and this one listens on `
      + `${addressText(rebalance.listen)}${cluster.secret === "" ? ", without a secret" : ""}`,
  ];
}

function destination({ name, type, destination: where, sampler }: ForwarderFacts): string {
  const to = type === "file" ? `OTLP JSON lines in ${where}` : where;
  if (sampler === null) return `every span to ${to}  [${name}]`;
  // Checked when the settings were read.
  const policies = sampler.policies.map((policy) => (policy as { name: string }).name).join(", ");
  return `kept traces to ${to}  [${name}], judged ${duration(sampler.decisionWaitMs)} after `
    + `their first span by: ${policies}`;
}

function storage(settings: Settings, facts: GatewayFacts): string {
  const limit = settings.storageLimitBytes === 0
    ? "80 % of the free disk at the start" : bytes(settings.storageLimitBytes);
  return `${facts.dataDirectory} (at most ${limit}, then ${settings.storagePolicy}; durability `
    + `${facts.durability})`;
}

function limits(settings: Settings): string {
  return `${grouped(settings.tracesMax)} undecided traces; a trace of `
    + `${grouped(settings.traceSpansMax)} spans or ${formatSize(settings.traceBytesMax)}; a body `
    + `of ${formatSize(settings.bodyBytesMax)}`;
}
