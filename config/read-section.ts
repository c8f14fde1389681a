// Reads one object of the configuration by its rows of the table: values, defaults, unknown keys.

import { readMembers, type Member, type Members } from "./document.ts";
import { valueOfNode, type DocumentNode } from "./document-node.ts";
import type { Findings } from "./findings.ts";
import { nearestName } from "./nearest-name.ts";
import type { OriginalKey } from "./original-keys.ts";
import type { FieldsOf, Rows, ValueRow } from "./setting-row.ts";
import { SECTIONS } from "./settings.ts";
import { readValue, refusal, showValue } from "./values.ts";

/** One object of the file while it is read. */
export interface Section {
  /** As the operator wrote it; empty at the top. */
  readonly path: string;
  readonly node: DocumentNode;
  readonly members: Members;
}

/** What every reader needs besides the section. */
export interface ReadContext {
  readonly findings: Findings;
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens an object, or reports that the node is none and returns null. */
export function openSection(
  node: DocumentNode, path: string, context: ReadContext,
): Section | null {
  if (node.type !== "object") {
    const shown = showValue(valueOfNode(node));
    context.findings.problem(path, `${shown} is no object; write { ... }`, node.offset);
    return null;
  }
  return { path, node, members: readMembers(node, path, context.findings) };
}

/** A member by its name in the table; absent and null are the same. */
export function memberOf(section: Section, name: string): Member | null {
  const member = section.members.get(name.toLowerCase());
  return member === undefined || member.node.type === "null" ? null : member;
}

/** The plain value of a member. */
export function valueOf(member: Member): unknown {
  return valueOfNode(member.node);
}

/** The path that a key has, or would have, in this section. */
export function pathOf(section: Section, name: string): string {
  const written = section.members.get(name.toLowerCase());
  if (written !== undefined) return written.path;
  return section.path === "" ? name : `${section.path}.${name}`;
}

/** A field for every row with one: what was written, or the default where that is none. */
export function readRows<T extends Rows>(
  rows: T, section: Section, context: ReadContext,
): FieldsOf<T> {
  const values: Record<string, unknown> = {};
  for (const [name, row] of Object.entries(rows)) {
    if (row.kind === "structure") continue;
    const member = memberOf(section, name);
    const written = member === null ? null : readMember(row, member, context);
    values[row.field] = written === null ? defaultOf(row, context.cwd) : written.value;
    if (member === null && "required" in row && row.required === true) {
      const path = pathOf(section, name);
      context.findings.problem(path, `is missing: ${row.doc}`, section.node.offset);
    }
  }
  return values as FieldsOf<T>; // the loop above fills exactly these fields
}

/** The default of a row in the form that the settings have. */
export function defaultOf(row: ValueRow, cwd: string): unknown {
  if (row.default === "") return "";
  const reading = readValue(row, row.default, cwd);
  if (reading.accepted) return reading.value;
  throw new Error(`the default of ${row.field} breaks its own row: ${reading.message}`);
}

/** Tells of keys that nothing reads, and of keys of the original that have no effect here. */
export function reportOtherKeys(
  section: Section, known: readonly Rows[], original: readonly OriginalKey[], context: ReadContext,
): void {
  const names = known.flatMap((rows) => Object.keys(rows));
  const knownLower = new Set(names.map((name) => name.toLowerCase()));
  for (const [lower, member] of section.members) {
    if (knownLower.has(lower)) continue;
    const old = original.find((key) => key.name.toLowerCase() === lower);
    if (old !== undefined) {
      reportOriginalKey(old, member, context.findings);
    } else {
      const hint = hintFor(member.key, names);
      context.findings.warning(member.path, `unknown key, ignored${hint}`, member.keyAt, "unknown");
    }
  }
}

function reportOriginalKey({ kind, warning }: OriginalKey, member: Member, to: Findings): void {
  const { path, keyAt, node } = member;
  if (warning === null || kind === "quiet" || isEmpty(node)) return;
  if (kind === "refused") to.problem(path, warning, keyAt);
  else to.warning(path, `has no effect: ${warning}`, keyAt, kind);
}

/** null, "", [] and {}: as if the key were not there. */
function isEmpty({ value, entries, items }: DocumentNode): boolean {
  return value === "" || (value === null && entries.length + items.length === 0);
}

function hintFor(written: string, names: readonly string[]): string {
  const near = nearestName(written, names);
  if (near !== null) return `; did you mean ${near}?`;
  const lower = written.toLowerCase();
  for (const { path, title, rows } of SECTIONS) {
    const elsewhere = Object.keys(rows).find((name) => name.toLowerCase() === lower);
    if (elsewhere !== undefined) {
      return `; ${elsewhere} is a key of ${title}${path === "" ? "" : ` (${path})`}`;
    }
  }
  return "";
}

function readMember(
  row: ValueRow, member: Member, context: ReadContext,
): { value: unknown } | null {
  const { findings, cwd } = context;
  if (row.kind === "headers" && member.node.type === "object") {
    readMembers(member.node, member.path, findings); // reports names that are there twice
  }
  const reading = readValue(row, valueOf(member), cwd);
  if (reading.accepted) return reading;
  findings.problem(member.path, reading.message, member.node.offset);
  return null;
}

/** Reads an array of objects; what is no array or no object is reported and left out. */
export function readObjects(
  section: Section, name: string, countMax: number, context: ReadContext,
): Section[] {
  const member = memberOf(section, name);
  if (member === null) return [];
  const { findings } = context;
  if (member.node.type !== "array") {
    const message = `${showValue(valueOf(member))} is no array; write [ { ... } ]`;
    findings.problem(member.path, message, member.node.offset);
    return [];
  }
  const { items } = member.node;
  if (items.length > countMax) {
    const message = `has ${items.length} entries; allowed: at most ${countMax}; remove some`;
    findings.problem(member.path, message, member.node.offset);
  }
  return items.slice(0, countMax).flatMap((node, index) => {
    const item = openSection(node, `${member.path}[${index}]`, context);
    return item === null ? [] : [item];
  });
}

/**
 * Checks a `Type` against the types that exist.
 * @param original types of the original that do not, with what to do.
 */
export function readType<Type extends string>(
  section: Section, types: readonly Type[], original: Readonly<Record<string, string>>,
  noun: string, context: ReadContext,
): Type | null {
  const { findings } = context;
  const listed = types.map((type) => `"${type}"`).join(", ");
  const member = memberOf(section, "Type");
  if (member === null) {
    const message = `is missing; allowed: ${listed}`;
    findings.problem(pathOf(section, "Type"), message, section.node.offset);
    return null;
  }
  const written = valueOf(member);
  const type = types.find((candidate) => candidate === written);
  if (type !== undefined) return type;
  const name = typeof written === "string" ? written : "";
  const near = nearestName(name, types);
  const advice = Object.hasOwn(original, name) ? original[name]!
    : near === null ? "use one of them" : `did you mean "${near}"?`;
  const message = `${showValue(written)} is no type of ${noun} that this version has; `
    + `the types are ${listed}; ${advice}`;
  findings.problem(member.path, message, member.node.offset);
  return null;
}

/** As `refusal`, for a member of structure that only the caller understands. */
export function refuseMember(
  member: Member, row: Rows[string], fault: string, advice: string, context: ReadContext,
): void {
  const message = refusal(row, valueOf(member), fault, advice);
  context.findings.problem(member.path, message, member.node.offset);
}
