// The text of a configuration file as a tree that remembers where everything stands. JSON; comments
// are allowed. Upper and lower case are the same in keys: two that differ only there are an error.

import {
  createScanner, parseTree, printParseErrorCode, type Node, type ParseError,
} from "jsonc-parser";
import { Findings, type Problem } from "./findings.ts";

export type { Node };

/** A configuration beyond this is not one: it is refused before it is parsed. */
const CONFIG_CHARACTERS_MAX = 4 * 1_024 * 1_024;
/** The parser recurses; no setting lies deeper than a dozen levels. */
const NESTING_MAX = 64;
/** A syntax error breaks what follows it: the first ones are the true ones. */
const SYNTAX_PROBLEMS_MAX = 3;

// Token kinds of jsonc-parser's scanner; its const enum cannot be imported by isolated modules.
const OPEN_BRACE = 1;
const CLOSE_BRACE = 2;
const OPEN_BRACKET = 3;
const CLOSE_BRACKET = 4;
const END_OF_FILE = 17;

const SYNTAX_SENTENCES: Readonly<Record<string, string>> = {
  InvalidSymbol: "this is no JSON value; strings need double quotes",
  InvalidNumberFormat: "this is no JSON number",
  PropertyNameExpected: "a key in double quotes is expected; is the comma before it one too many?",
  ValueExpected: "a value is expected here",
  ColonExpected: "a colon is expected after the key",
  CommaExpected: "a comma is expected before this",
  CloseBraceExpected: "a closing brace } is missing",
  CloseBracketExpected: "a closing bracket ] is missing",
  EndOfFileExpected: "the file must hold one JSON object and nothing after it",
  UnexpectedEndOfComment: "this comment is not closed",
  UnexpectedEndOfString: "this string is not closed on its line",
  UnexpectedEndOfNumber: "this number is not complete",
  InvalidUnicode: "this \\u escape needs four hexadecimal digits",
  InvalidEscapeCharacter: "this escape is unknown; write a backslash as \\\\",
  InvalidCharacter: "this character must be escaped in a string",
};

/** A key with its value; `path` is the way to it as the operator wrote it. */
export interface Member {
  readonly key: string;
  readonly keyAt: number;
  readonly path: string;
  readonly node: Node;
}

/** The members of one object by lower-case key. */
export type Members = Map<string, Member>;

/** The tree of a file, or null with the reasons in `findings.problems`. */
export function parseDocument(
  file: string, content: string,
): { readonly root: Node | null; readonly findings: Findings } {
  const text = content.startsWith("\uFEFF") ? content.slice(1) : content;
  const findings = new Findings((offset) => placeOf(file, text, offset));
  const refusal = refuseShape(text);
  if (refusal !== null) {
    findings.problem("", refusal.message, refusal.at);
    return { root: null, findings };
  }
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: false, allowTrailingComma: false });
  for (const error of errors.slice(0, SYNTAX_PROBLEMS_MAX)) {
    const code = printParseErrorCode(error.error);
    findings.problem("", `not valid JSON: ${SYNTAX_SENTENCES[code] ?? code}`, error.offset);
  }
  if (errors.length === 0 && root?.type !== "object") {
    findings.problem("", "the file must hold one JSON object: { ... }", root?.offset ?? 0);
  }
  return { root: findings.problems.length === 0 ? (root ?? null) : null, findings };
}

/** Members of an object by lower-case key; a key written twice in any case is a problem. */
export function readMembers(node: Node, path: string, findings: Findings): Members {
  const members: Members = new Map();
  for (const property of node.children ?? []) {
    const [name, value] = property.children ?? [];
    if (name === undefined || value === undefined) continue; // only in a tree with syntax errors
    const key = String(name.value);
    const member = {
      key, keyAt: name.offset, path: path === "" ? key : `${path}.${key}`, node: value,
    };
    const earlier = members.get(key.toLowerCase());
    if (earlier === undefined) {
      members.set(key.toLowerCase(), member);
    } else {
      const spelled = earlier.key === key ? "is written twice" : `is "${earlier.key}" once more`;
      const message = `${spelled}: keys are the same in upper and lower case; remove one`;
      findings.problem(member.path, message, name.offset);
    }
  }
  return members;
}

/** Offset of the deepest node below `root` that a path such as `ForwardTo[0].Name` reaches. */
export function offsetOf(root: Node, path: string): number {
  let node = root;
  for (const [, key, index] of path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)) {
    const next = index === undefined
      ? node.children?.find((property) => property.children?.[0]?.value === key)?.children?.[1]
      : node.children?.[Number(index)];
    if (next === undefined) break;
    node = next;
  }
  return node.offset;
}

function refuseShape(text: string): { message: string; at: number } | null {
  if (text.length > CONFIG_CHARACTERS_MAX) {
    return { message: `the file has more than ${CONFIG_CHARACTERS_MAX} characters`, at: 0 };
  }
  const scanner = createScanner(text, true);
  let depth = 0;
  for (;;) {
    const token: number = scanner.scan();
    if (token === END_OF_FILE) return null;
    if (token === OPEN_BRACE || token === OPEN_BRACKET) depth++;
    if (token === CLOSE_BRACE || token === CLOSE_BRACKET) depth--;
    if (depth > NESTING_MAX) {
      return {
        message: `objects and arrays are nested deeper than ${NESTING_MAX} levels`,
        at: scanner.getTokenOffset(),
      };
    }
  }
}

function placeOf(file: string, text: string, offset: number): Problem["place"] {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  return { file, line: before.length, column: before.at(-1)!.length + 1 };
}
