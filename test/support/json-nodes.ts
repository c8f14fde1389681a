// JSON as a tree that keeps what JSON.parse throws away: where each value lies, how it is written,
// and names that come twice. JSON.parse decides what is JSON at all.

/** A value; texts are latin1, one character a byte. */
export interface JsonNode {
  readonly kind: "object" | "array" | "string" | "number" | "boolean" | "null";
  readonly at: number;
  readonly end: number;
  /** As written, quotes and all. */
  readonly source: string;
  /** Of a string: its UTF-8, escapes resolved, as latin1. */
  readonly text: string;
  readonly members: readonly JsonMember[];
  readonly elements: readonly JsonNode[];
}
export interface JsonMember { readonly name: string; readonly value: JsonNode }

const DEPTH_MAX = 100;

/** The tree of the payload, or null when it is no JSON or nested too deeply. */
export function readJson(payload: Uint8Array): JsonNode | null {
  const source = Buffer.from(payload).toString("latin1");
  try {
    JSON.parse(source);
  } catch {
    return null;
  }
  return deepest(source) > DEPTH_MAX ? null : new Reader(source).value();
}

/** Brackets around the innermost value of well-formed text, its own included. */
function deepest(source: string): number {
  const bare = source.replace(/"(?:[^"\\]|\\.)*"/gs, "");
  let depth = 0;
  let most = 0;
  for (const character of bare) {
    if (character === "{" || character === "[") most = Math.max(most, ++depth);
    if (character === "}" || character === "]") depth--;
  }
  return most;
}

/** Reads text that is known to be well-formed. */
class Reader {
  #at = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  value(): JsonNode {
    this.#space();
    const at = this.#at;
    const first = this.#source[at]!;
    if (first === "{") return this.#object(at);
    if (first === "[") return this.#array(at);
    const token = /"(?:[^"\\]|\\.)*"|[^\s,\]}]+/sy;
    token.lastIndex = at;
    const source = token.exec(this.#source)![0];
    this.#at += source.length;
    if (first === "\"") return this.#node("string", at, { text: resolve(source) });
    if (first === "n") return this.#node("null", at, {});
    return this.#node(first === "t" || first === "f" ? "boolean" : "number", at, {});
  }

  #object(at: number): JsonNode {
    const members: JsonMember[] = [];
    this.#at++;
    for (this.#space(); this.#source[this.#at] !== "}"; this.#space()) {
      const name = this.value().text;
      this.#space();
      this.#at++; // the colon
      members.push({ name, value: this.value() });
      this.#space();
      if (this.#source[this.#at] === ",") this.#at++;
    }
    this.#at++;
    return this.#node("object", at, { members });
  }

  #array(at: number): JsonNode {
    const elements: JsonNode[] = [];
    this.#at++;
    for (this.#space(); this.#source[this.#at] !== "]"; this.#space()) {
      elements.push(this.value());
      this.#space();
      if (this.#source[this.#at] === ",") this.#at++;
    }
    this.#at++;
    return this.#node("array", at, { elements });
  }

  #node(kind: JsonNode["kind"], at: number, more: Partial<JsonNode>): JsonNode {
    const source = this.#source.slice(at, this.#at);
    return { kind, at, end: this.#at, source, text: "", members: [], elements: [], ...more };
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#source[this.#at] ?? "")) this.#at++;
  }
}

/** Escapes next to each other are resolved together, because two may be one character. */
function resolve(source: string): string {
  return source.slice(1, -1).replace(/(?:\\u[0-9a-fA-F]{4}|\\.)+/gs, (escapes) =>
    Buffer.from(JSON.parse(`"${escapes}"`) as string).toString("latin1"));
}

/** A number as an exact integer, cut towards zero. */
export interface ExactNumber {
  /** Null when its magnitude passes 64 bits. */
  readonly value: bigint | null;
  readonly isNegative: boolean;
  readonly isInteger: boolean;
}

/** The value of a number as JSON writes it; null when the text is no such number. */
export function exactNumber(text: string): ExactNumber | null {
  const match = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(text);
  if (match === null) return null;
  const fraction = match[3] ?? "";
  const digits = BigInt(match[2]! + fraction);
  const shift = Number(match[4] ?? "0") - fraction.length;
  const isNegative = match[1] === "-" && digits !== 0n;
  if (digits === 0n) return { value: 0n, isNegative, isInteger: true };
  if (shift > 20) return { value: null, isNegative, isInteger: true };
  const places = Math.min(-shift, match[2]!.length + fraction.length + 1);
  const unit = shift < 0 ? 10n ** BigInt(places) : 1n;
  const whole = shift < 0 ? digits / unit : digits * 10n ** BigInt(shift);
  const value = whole >= 2n ** 64n ? null : whole;
  return { value, isNegative, isInteger: whole * unit === digits || shift >= 0 };
}

/** The payload is refused as a whole. */
export class Refused extends Error {}
