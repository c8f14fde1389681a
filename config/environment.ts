// Environment variables: TAILRACE_ and the name of a top-level setting, and those of the original.

import type { Findings } from "./findings.ts";
import { nearestName } from "./nearest-name.ts";
import type { ReadContext } from "./read-section.ts";
import type { FieldsOf, Row, ValueRow } from "./setting-row.ts";
import { TOP_LEVEL } from "./settings.ts";
import { readValueText } from "./values.ts";

const PREFIX = "TAILRACE_";
/** Kubernetes sets these for a service whose name begins like ours. */
const OF_KUBERNETES = /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT(?:_\d+_(?:TCP|UDP)(?:_|$)|$)/;

/** Variables of a top-level row, the winning one first; none for what is no single value. */
export function variablesOf(name: string, row: Row): string[] {
  if (row.kind === "structure" || row.kind === "headers") return [];
  const own = PREFIX + name
    .replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3_$2$4").toUpperCase();
  return [own, ...(row.originalEnv ?? [])];
}

/** Top-level values, replaced where a variable is set, and which variable set them, by field. */
export function applyEnvironment(
  top: FieldsOf<typeof TOP_LEVEL>, context: ReadContext,
): { readonly top: FieldsOf<typeof TOP_LEVEL>; readonly variables: ReadonlyMap<string, string> } {
  const values: Record<string, unknown> = { ...top };
  const variables = new Map<string, string>();
  const known: string[] = [];
  for (const [name, row] of Object.entries<Row>(TOP_LEVEL)) {
    const candidates = variablesOf(name, row);
    known.push(...candidates);
    const variable = candidates.find((candidate) => isSet(context.env[candidate]));
    if (variable === undefined || row.kind === "structure") continue;
    variables.set(row.field, variable);
    const value = readVariable(variable, row, context);
    if (value !== null) values[row.field] = value.value;
  }
  warnOfUnknown(known, context.env, context.findings);
  return { top: values as FieldsOf<typeof TOP_LEVEL>, variables }; // same fields, replaced by row
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}

function readVariable(
  variable: string, row: ValueRow, context: ReadContext,
): { value: unknown } | null {
  const reading = readValueText(row, context.env[variable] ?? "", context.cwd);
  if (reading.accepted) return reading;
  context.findings.problem(variable, reading.message, null);
  return null;
}

function warnOfUnknown(
  known: readonly string[], env: ReadContext["env"], findings: Findings,
): void {
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(PREFIX) || known.includes(variable) || OF_KUBERNETES.test(variable)) {
      continue;
    }
    const near = nearestName(variable, known.filter((name) => name.startsWith(PREFIX)));
    const hint = near === null ? "" : `; did you mean ${near}?`;
    findings.warning(variable, `unknown variable, ignored${hint}`, null, "unknown");
  }
}
