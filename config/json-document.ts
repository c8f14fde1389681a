// A configuration in JSON, comments allowed, as a tree.

import {
  createScanner, parseTree, printParseErrorCode, type Node, type ParseError,
} from "jsonc-parser";
import {
  arrayNode, NESTING_MAX, objectNode, scalarNode, SYNTAX_FAULTS_MAX,
  type DocumentEntry, type DocumentNode, type ParsedText, type TextFault,
} from "./document-node.ts";

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

/** Reads JSON with comments; offsets are into `text`. */
export function parseJsonText(text: string): ParsedText {
  const tooDeep = refuseNesting(text);
  if (tooDeep !== null) return { root: null, faults: [tooDeep] };
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: false, allowTrailingComma: false });
  const faults = errors.slice(0, SYNTAX_FAULTS_MAX).map((error): TextFault => {
    const code = printParseErrorCode(error.error);
    return { message: `not valid JSON: ${SYNTAX_SENTENCES[code] ?? code}`, offset: error.offset };
  });
  if (faults.length === 0 && root?.type !== "object") {
    const message = "the file must hold one JSON object: { ... }";
    faults.push({ message, offset: root?.offset ?? 0 });
  }
  return { root: faults.length === 0 && root !== undefined ? nodeOf(root) : null, faults };
}

/** The parser recurses, as this does: nesting is bounded before. */
function nodeOf(node: Node): DocumentNode {
  const children = node.children ?? [];
  if (node.type === "array") return arrayNode(node.offset, children.map(nodeOf));
  if (node.type !== "object") return scalarNode(node.offset, node.value as DocumentNode["value"]);
  return objectNode(node.offset, children.flatMap((property): DocumentEntry[] => {
    const [name, value] = property.children ?? [];
    if (name === undefined || value === undefined) return []; // only in a tree with errors
    return [{ key: String(name.value), keyAt: name.offset, node: nodeOf(value) }];
  }));
}

function refuseNesting(text: string): TextFault | null {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (;;) {
    const token: number = scanner.scan();
    if (token === END_OF_FILE) return null;
    if (token === OPEN_BRACE || token === OPEN_BRACKET) depth++;
    if (token === CLOSE_BRACE || token === CLOSE_BRACKET) depth--;
    if (depth > NESTING_MAX) {
      const message = `objects and arrays are nested deeper than ${NESTING_MAX} levels`;
      return { message, offset: scanner.getTokenOffset() };
    }
  }
}
