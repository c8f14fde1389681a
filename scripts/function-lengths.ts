// How many lines each function of a file has, found by its braces: a check, not a parser.

/** Words before a parenthesis that open a block, not a function. */
const CONTROL_WORDS = new Set(["if", "for", "while", "switch", "catch", "with", "await"]);
/** A name with its type parameters is no longer than this. */
const CALLEE_CHARACTERS_MAX = 200;
/** Found between a colon and a brace, these say that no return type stands there. */
const NO_TYPE = /\b(?:class|interface|export|else|try|do|finally|static|type)\b|\}\s*\n/;
const OPENING: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{", ">": "<" };

/** One function: the line, from 1, of its parameters, and its lines up to the closing brace. */
export interface FunctionLength {
  readonly line: number;
  readonly lines: number;
}

/** Every function body in masked source (see `maskSource`); inner functions count in outer ones. */
export function functionLengths(masked: string): FunctionLength[] {
  const lengths: FunctionLength[] = [];
  const open: { startsAt: number }[] = [];
  for (let at = 0; at < masked.length; at++) {
    if (masked[at] === "{") open.push({ startsAt: functionStart(masked, at) });
    if (masked[at] !== "}") continue;
    const startsAt = open.pop()?.startsAt ?? -1;
    if (startsAt < 0) continue;
    const line = lineOf(masked, startsAt);
    lengths.push({ line, lines: lineOf(masked, at) - line + 1 });
  }
  return lengths;
}

function lineOf(text: string, at: number): number {
  let line = 1;
  for (let next = text.indexOf("\n"); next >= 0 && next < at; next = text.indexOf("\n", next + 1)) {
    line++;
  }
  return line;
}

/** Offset where the function of this brace begins, or -1 when the brace opens something else. */
function functionStart(masked: string, brace: number): number {
  const before = skipSpaceBack(masked, brace - 1);
  if (masked.slice(before - 1, before + 1) === "=>") return before;
  const close = masked[before] === ")" ? before : parameterEnd(masked, before);
  if (close < 0) return -1;
  const parenthesis = matchBack(masked, close);
  if (parenthesis < 0) return -1;
  const callee = masked.slice(Math.max(0, parenthesis - CALLEE_CHARACTERS_MAX), parenthesis);
  const word = /([\w$#]*)(?:<[^()]*>)?\s*$/.exec(callee);
  return CONTROL_WORDS.has(word?.[1] ?? "") ? -1 : parenthesis;
}

/** Walks back over a return type: offset of the `)` before its colon, or -1. */
function parameterEnd(masked: string, from: number): number {
  let at = from;
  while (at >= 0) {
    const character = masked[at]!;
    if (character === ":") {
      const before = skipSpaceBack(masked, at - 1);
      const isType = at < from && !NO_TYPE.test(masked.slice(at, from + 1));
      return masked[before] === ")" && isType ? before : -1;
    }
    if (OPENING[character] !== undefined) {
      at = matchBack(masked, at);
      if (at < 0) return -1;
    } else if (!/[\w$\s.|&,"']/.test(character)) {
      return -1;
    }
    at--;
  }
  return -1;
}

function skipSpaceBack(masked: string, from: number): number {
  let at = from;
  while (at >= 0 && /\s/.test(masked[at]!)) at--;
  return at;
}

/** Offset of the bracket that the one at `from` closes, or -1. */
function matchBack(masked: string, from: number): number {
  const closing = masked[from]!;
  const opening = OPENING[closing];
  let depth = 0;
  for (let at = from; at >= 0; at--) {
    if (masked[at] === closing && masked[at - 1] !== "=") depth++;
    if (masked[at] === opening && --depth === 0) return at;
  }
  return -1;
}
