// Writes JSON as no exporter does: names in any order, white space and escapes anywhere, unknown
// fields with anything in them.

import type { Random } from "./random.ts";

/** Text that is written as it is: a number in an odd form. */
export class Literal {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
/** An object whose names may come twice. */
export class Members {
  readonly list: (readonly [string, JsonInput])[];
  constructor(list: readonly (readonly [string, JsonInput])[]) {
    this.list = [...list];
  }
}
export type JsonInput =
  string | number | boolean | null | Literal | Members | readonly JsonInput[];

/** Writes one payload; some have no white space and no escapes, as exporters write. */
export class JsonScribe {
  readonly #random: Random;
  readonly #isPlain: boolean;
  readonly #isOrdered: boolean;

  constructor(random: Random) {
    this.#random = random;
    this.#isPlain = random.chance(0.4);
    this.#isOrdered = random.chance(0.4);
  }

  write(value: JsonInput): string {
    return `${this.#space()}${this.#value(value)}${this.#space()}`;
  }

  #value(value: JsonInput): string {
    if (value instanceof Literal) return value.text;
    if (typeof value === "string") return this.#text(value);
    if (value instanceof Members) {
      return this.#list("{", value.list.map(([name, each]) =>
        `${this.#text(name)}${this.#space()}:${this.write(each)}`), "}", !this.#isOrdered);
    }
    if (value === null || typeof value !== "object") return JSON.stringify(value);
    return this.#list("[", value.map((each) => this.write(each)), "]", false);
  }

  #list(open: string, parts: string[], close: string, isShuffled: boolean): string {
    const ordered = isShuffled ? shuffled(this.#random, parts) : parts;
    const space = this.#space();
    return `${open}${space}${ordered.map((part) => `${part}`).join(`,${space}`)}${space}${close}`;
  }

  #text(text: string): string {
    if (this.#isPlain || !this.#random.chance(0.1)) return JSON.stringify(text);
    const escaped = [...Array(text.length).keys()].map((index) => {
      const unit = text.charCodeAt(index).toString(16).padStart(4, "0");
      if (text[index] === "/") return this.#random.chance(0.5) ? "\\/" : "/";
      const digits = this.#random.chance(0.5) ? unit : unit.toUpperCase();
      if (this.#random.chance(0.3)) return `\\u${digits}`;
      return JSON.stringify(text[index]).slice(1, -1);
    });
    return `"${escaped.join("")}"`;
  }

  #space(): string {
    if (this.#isPlain || !this.#random.chance(0.3)) return "";
    return [" ", "\n  ", "\t", "\r\n", "    ", " \t\n\r "][this.#random.below(6)]!;
  }
}

/** Members that no reader knows, and some that look like they did. */
export function unknownMembers(random: Random): (readonly [string, JsonInput])[] {
  if (!random.chance(0.1)) return [];
  const names = ["x", "", "trace_id", "TraceId", "tag", "héllo", "key\u0000"];
  return [[pick(random, names), anything(random, 0)]];
}

const ODD_NUMBERS = ["-0", "1e5", "1.25E-300", "9e999", "12345678901234567890123"];

/** Any value. */
export function anything(random: Random, depth: number): JsonInput {
  switch (random.below(depth > 3 ? 5 : 8)) {
    case 0: return null;
    case 1: return random.chance(0.5);
    case 2: return random.word() / 7;
    case 3: return pick(random, ["", "text", "\" \\ \u0001 \ud83d\ude00 \ud800", "{[,:]}"]);
    case 4: return new Literal(pick(random, ODD_NUMBERS));
    case 5: return Array.from({ length: random.below(3) }, () => anything(random, depth + 1));
    default: return new Members(Array.from({ length: random.below(3) }, (_, index) =>
      [`n${index}`, anything(random, depth + 1)] as const));
  }
}

/** An integer as JSON may write it. */
export function oddInteger(random: Random, value: bigint): Literal {
  const text = String(value);
  switch (random.below(5)) {
    case 0: return new Literal(`${text}.0`);
    case 1: return new Literal(`${text}E0`);
    case 2: return new Literal(value === 0n ? "0e-1" : `${text}0e-1`);
    case 3: return new Literal(`${text}.000e+0`);
    default: return new Literal(text);
  }
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}

export function shuffled<T>(random: Random, values: readonly T[]): T[] {
  const order = [...values];
  for (let index = order.length - 1; index > 0; index--) {
    const other = random.below(index + 1);
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  return order;
}
