// The text of a configuration file as a tree: YAML when its name ends so, else JSON with comments.
// Upper and lower case are the same in keys: two that differ only there are an error.

import type { DocumentNode } from "./document-node.ts";
import { Findings, type Problem } from "./findings.ts";
import { parseJsonText } from "./json-document.ts";
import { parseYamlText } from "./yaml-document.ts";

/** A configuration beyond this is not one: it is refused before it is parsed. */
const CONFIG_CHARACTERS_MAX = 4 * 1_024 * 1_024;
const YAML_FILE = /\.ya?ml$/i;

/** A key with its value; `path` is the way to it as the operator wrote it. */
export interface Member {
  readonly key: string;
  readonly keyAt: number;
  readonly path: string;
  readonly node: DocumentNode;
}

/** The members of one object by lower-case key. */
export type Members = Map<string, Member>;

/** The tree of a file, or null with the reasons in `findings.problems`. */
export function parseConfigText(
  file: string, content: string,
): { readonly root: DocumentNode | null; readonly findings: Findings } {
  const text = content.startsWith("\uFEFF") ? content.slice(1) : content;
  const findings = new Findings((offset) => placeOf(file, text, offset));
  if (text.length > CONFIG_CHARACTERS_MAX) {
    findings.problem("", `the file has more than ${CONFIG_CHARACTERS_MAX} characters`, 0);
    return { root: null, findings };
  }
  const { root, faults } = YAML_FILE.test(file) ? parseYamlText(text) : parseJsonText(text);
  for (const { message, offset } of faults) findings.problem("", message, offset);
  return { root, findings };
}

/** Members of an object by lower-case key; a key written twice in any case is a problem. */
export function readMembers(node: DocumentNode, path: string, findings: Findings): Members {
  const members: Members = new Map();
  for (const { key, keyAt, node: value } of node.entries) {
    const member = { key, keyAt, path: path === "" ? key : `${path}.${key}`, node: value };
    const earlier = members.get(key.toLowerCase());
    if (earlier === undefined) {
      members.set(key.toLowerCase(), member);
    } else {
      const spelled = earlier.key === key ? "is written twice" : `is "${earlier.key}" once more`;
      const message = `${spelled}: keys are the same in upper and lower case; remove one`;
      findings.problem(member.path, message, keyAt);
    }
  }
  return members;
}

/** Reports keys that are written twice in the same case, in everything below a node. */
export function reportTwins(node: DocumentNode, path: string, findings: Findings): void {
  const seen = new Set<string>();
  for (const { key, keyAt, node: value } of node.entries) {
    const inner = `${path}.${key}`;
    if (seen.has(key)) findings.problem(inner, "is written twice; remove one", keyAt);
    seen.add(key);
    reportTwins(value, inner, findings);
  }
  node.items.forEach((item, index) => reportTwins(item, `${path}[${index}]`, findings));
}

function placeOf(file: string, text: string, offset: number): Problem["place"] {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  return { file, line: before.length, column: before.at(-1)!.length + 1 };
}
