// One line of the log, as JSON or as logfmt. Whatever is in a value, a line ends where it ends: all
// control characters, line separators and marks that turn the direction of text are escaped, in
// both forms in the same way, and every form gives the value back.
//
//   {"time":"2026-11-20T21:47:09.123Z","level":"warn","message":"...","forwarder":"backend"}
//   time=2026-11-20T21:47:09.123Z level=warn message="..." forwarder=backend

export type LogLevel = "info" | "warn" | "error" | "fatal";
export type LogFormat = "json" | "logfmt";

/** Named values of a line. What is undefined is left out; objects become JSON in a string. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What a pipe takes whole or not at all (PIPE_BUF of Linux): such a line is never torn. */
export const LINE_BYTES_MAX = 4_096;
/** Fields beyond this are left out and counted in the line: nobody reads on. */
const FIELDS_MAX = 24;
const KEY_CHARACTERS_MAX = 64;
/** A text is looked at up to here; more than any line can show. */
const TEXT_CHARACTERS_MAX = 16_384;
/** Texts are cut at the first of these with which the line fits. */
const CUTS = [2_048, 1_024, 512, 256, 128, 64, 32];
/** Escaped although JSON allows them raw: C1 controls, line separators, marks of direction. */
const ESCAPED = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;
/** A logfmt value of these alone needs no quotes. */
const BARE = /^[!#-<>-[\]-~]+$/;

type Plain = string | number | boolean | null;

/**
 * The line with its line end, at most LINE_BYTES_MAX bytes; texts are cut where it takes that.
 * @param hide is applied to every text before it is cut.
 */
export function formatLine(
  format: LogFormat, wallMs: number, level: LogLevel, message: string, fields: LogFields,
  hide: (text: string) => string,
): Buffer {
  const values = new Map<string, Plain>();
  values.set("time", new Date(wallMs).toISOString());
  values.set("level", level);
  values.set("message", hide(shorten(message)));
  let leftOut = 0;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (values.size < FIELDS_MAX) values.set(freeKey(values, hide(name)), plain(value, hide));
    else leftOut++;
  }
  if (leftOut > 0) values.set(freeKey(values, "fieldsLeftOut"), leftOut);
  for (const cut of CUTS) {
    const line = Buffer.from(`${render(format, values, cut)}\n`);
    if (line.length <= LINE_BYTES_MAX) return line;
  }
  for (const key of [...values.keys()].slice(3)) values.delete(key);
  return Buffer.from(`${render(format, values, CUTS.at(-1)!)}\n`);
}

/** An error as text: its stack, and what caused it. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text}\ncaused by ${causeText(error.cause)}`;
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.stack ?? cause.message : String(cause);
}

function render(format: LogFormat, values: ReadonlyMap<string, Plain>, cut: number): string {
  const pairs: string[] = [];
  for (const [key, value] of values) {
    const shown = typeof value === "string" ? cutText(value, cut) : value;
    pairs.push(format === "json" ? `${quote(key)}:${jsonValue(shown)}`
      : `${key}=${typeof shown === "string" ? logfmtText(shown) : String(shown)}`);
  }
  return format === "json" ? `{${pairs.join(",")}}` : pairs.join(" ");
}

function jsonValue(value: Plain): string {
  return typeof value === "string" ? quote(value) : String(value);
}

/** "null" in quotes is the text, without them it is no value. */
function logfmtText(text: string): string {
  return BARE.test(text) && text !== "null" ? text : quote(text);
}

/** A JSON string, which logfmt readers know as well. */
function quote(text: string): string {
  return JSON.stringify(text).replace(ESCAPED, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** A key that both forms can carry and that no earlier one has. */
function freeKey(taken: ReadonlyMap<string, Plain>, name: string): string {
  let key = name.slice(0, KEY_CHARACTERS_MAX).replace(/[^A-Za-z0-9_.-]/g, "_");
  if (key === "") key = "_";
  while (taken.has(key)) key += "_";
  return key;
}

function plain(value: unknown, hide: (text: string) => string): Plain {
  switch (typeof value) {
    case "string":
      return hide(shorten(value));
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      return value;
    default:
      return value === null ? null : hide(shorten(textOf(value)));
  }
}

function textOf(value: unknown): string {
  if (value instanceof Error) return errorText(value);
  if (typeof value !== "object") return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return "(a value that JSON cannot carry)"; // it points at itself, or has a BigInt
  }
}

/** The cut lies beyond what any line shows, so that no half of a hidden text is ever seen. */
function shorten(text: string): string {
  return text.length <= TEXT_CHARACTERS_MAX ? text : text.slice(0, TEXT_CHARACTERS_MAX);
}

function cutText(text: string, cut: number): string {
  if (text.length <= cut) return text;
  const whole = text.slice(0, cut).replace(/[\ud800-\udbff]$/, ""); // no half of a pair
  return `${whole}... (${text.length} characters)`;
}
