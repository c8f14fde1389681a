// One value of the configuration: what a row accepts, and the sentence for what it refuses.

import { resolve } from "node:path";
import { formatDuration, parseDuration } from "./durations.ts";
import { nearestName } from "./nearest-name.ts";
import type {
  Address, AddressRow, ChoiceRow, NumberRow, Row, TextRow, ValueRow,
} from "./setting-row.ts";
import { formatSize, parseSize } from "./sizes.ts";

/** A value in the form that the settings have, or why it is refused. */
export type ValueReading =
  | { readonly accepted: true; readonly value: unknown }
  | { readonly accepted: false; readonly message: string };

/** Values in messages are cut here. */
const SHOWN_CHARACTERS_MAX = 80;
/** A name is a file name and a metric label as well. */
const NAME_CHARACTERS_MAX = 64;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Set by the forwarder itself from what it sends. */
const HEADERS_OF_THE_FORWARDER = new Set([
  "connection", "content-encoding", "content-length", "content-type", "expect", "host",
  "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
]);
const ADDRESS = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]\s/]*)):(\d{1,5})$/;
const PORT_MAX = 65_535;

/**
 * Reads a JSON value by its row.
 * @param cwd absolute; paths are resolved against it.
 */
export function readValue(row: ValueRow, raw: unknown, cwd: string): ValueReading {
  switch (row.kind) {
    case "integer":
    case "size":
    case "duration":
      return readNumber(row, raw);
    case "choice":
      return readChoice(row, raw);
    case "address":
      return readAddress(row, raw);
    case "headers":
      return readHeaders(row, raw);
    case "textList":
      return readTextList(row, raw);
    default:
      return readText(row, raw, cwd);
  }
}

/** Reads the text of a variable or flag by its row; digits are numbers there. */
export function readValueText(row: ValueRow, text: string, cwd: string): ValueReading {
  if (row.kind === "textList") {
    const items = text.split(",").map((item) => item.replaceAll(" ", ""));
    return readValue(row, items.filter((item) => item !== ""), cwd);
  }
  const digits = row.kind === "integer" || row.kind === "size";
  return readValue(row, digits && /^-?\d+$/.test(text) ? Number(text) : text, cwd);
}

/** What a row accepts, in words. */
export function describeAllowed(row: Row): string {
  switch (row.kind) {
    case "structure":
      return row.form;
    case "integer":
    case "size":
    case "duration": {
      const noun = row.kind === "integer" ? "a whole number" : `a ${row.kind}`;
      const zero = row.zeroMeans === undefined ? "" : `, or 0 for ${row.zeroMeans}`;
      return `${noun} from ${formatNumber(row, row.min)} to ${formatNumber(row, row.max)}${zero}`;
    }
    case "choice":
      return row.values.map((value) => `"${value}"`).join(" or ")
        + (row.emptyMeans === undefined ? "" : `, or "" for "${row.emptyMeans}"`);
    case "address":
      return "host:port, port 0 to 65535";
    case "headers":
      return "an object of header names and string values";
    case "textList":
      return row.form ?? "an array of strings";
    case "url":
      return "an http:// or https:// address";
    case "name":
      return `1 to ${NAME_CHARACTERS_MAX} characters without / and \\`;
    case "headerName":
      return "the name of an HTTP header";
    case "headerValue":
      return "a string of printable characters";
    case "path":
      return "a path";
    case "logPath":
      return "a directory, or \"-\" for standard output";
    case "text":
      return row.form ?? "a string";
  }
}

/**
 * A raw value as it stands in a message, cut where it is long. What objects hold is not shown: it
 * may be a secret, or what an object was not expected to hold.
 */
export function showValue(raw: unknown): string {
  const text = shapeOf(raw);
  return text.length <= SHOWN_CHARACTERS_MAX
    ? text
    : `${text.slice(0, SHOWN_CHARACTERS_MAX)}... (${text.length} characters)`;
}

function shapeOf(raw: unknown): string {
  if (Array.isArray(raw)) return `[${raw.map(shapeOf).join(",")}]`;
  if (typeof raw === "object" && raw !== null) return "{...}";
  return JSON.stringify(raw) ?? String(raw);
}

/** The sentence of every refused value: value and fault; what is allowed; what to do. */
export function refusal(row: Row, raw: unknown, fault: string, advice: string): string {
  const hidden = row.kind !== "structure" && row.secret === true;
  const shown = hidden ? "the value (hidden)"
    : showValue(row.kind === "url" && typeof raw === "string" ? withoutSecrets(raw) : raw);
  return `${shown} ${fault}; allowed: ${describeAllowed(row)}; ${advice}`;
}

/** host:port, IPv6 in brackets. */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** An address, however broken, without what could be its user, password or query. */
export function withoutSecrets(address: string): string {
  const userEnd = address.lastIndexOf("@");
  const from = address.indexOf("//") < 0 ? 0 : address.indexOf("//") + 2;
  const shown = userEnd < from ? address
    : `${address.slice(0, from)}(hidden)${address.slice(userEnd)}`;
  return shown.replace(/([?#]).*/s, "$1(hidden)");
}

function accept(value: unknown): ValueReading {
  return { accepted: true, value };
}

function refuse(row: ValueRow, raw: unknown, fault: string, advice: string): ValueReading {
  return { accepted: false, message: refusal(row, raw, fault, advice) };
}

function formatNumber(row: NumberRow, value: number): string {
  if (row.kind === "duration") return formatDuration(value);
  return row.kind === "size" ? formatSize(value) : String(value);
}

function readNumber(row: NumberRow, raw: unknown): ValueReading {
  let value: number | null = null;
  if (row.kind === "duration") {
    if (typeof raw === "number") {
      return refuse(row, raw, "has no unit", `write a string, such as "${raw}s" or "${raw}ms"`);
    }
    value = typeof raw === "string" ? parseDuration(raw) : null;
    if (value === null) {
      const advice = "write a string such as \"300ms\", \"30s\" or \"1h30m\"";
      return refuse(row, raw, "is no duration", advice);
    }
  } else if (row.kind === "size") {
    value = typeof raw === "string" ? parseSize(raw) : toInteger(raw);
    if (value === null) {
      const advice = "write bytes as a number, or a string such as \"20MiB\"";
      return refuse(row, raw, "is no size", advice);
    }
  } else {
    value = toInteger(raw);
    if (value === null) {
      return refuse(row, raw, "is no whole number", "write digits without quotes");
    }
  }
  if (value === 0 && row.zeroMeans !== undefined) return accept(0);
  if (value < row.min) {
    return refuse(row, raw, "is too small", `use at least ${formatNumber(row, row.min)}`);
  }
  if (value > row.max) {
    return refuse(row, raw, "is too large", `use at most ${formatNumber(row, row.max)}`);
  }
  return accept(value);
}

function toInteger(raw: unknown): number | null {
  return typeof raw === "number" && Number.isSafeInteger(raw) ? raw : null;
}

function readChoice(row: ChoiceRow, raw: unknown): ValueReading {
  if (typeof raw === "string" && row.values.includes(raw)) return accept(raw);
  if (raw === "" && row.emptyMeans !== undefined) return accept(row.emptyMeans);
  const near = typeof raw === "string" ? nearestName(raw, row.values) : null;
  return refuse(row, raw, "is none of them", near === null ? "use one of them" : `use "${near}"`);
}

function readAddress(row: AddressRow, raw: unknown): ValueReading {
  const match = typeof raw === "string" ? ADDRESS.exec(raw) : null;
  const port = match === null ? Number.NaN : Number(match[3]);
  if (match === null || port > PORT_MAX) {
    return refuse(row, raw, "is no address", `write it like "${row.default}"`);
  }
  const host = match[1] ?? match[2]!;
  return accept({ host: host === "" ? "0.0.0.0" : host, port });
}

function readHeaders(row: ValueRow, raw: unknown): ValueReading {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return refuse(row, raw, "is no object", "write { \"name\": \"value\" }");
  }
  for (const [name, value] of Object.entries(raw)) {
    if (!HEADER_NAME.test(name)) {
      return refuse(row, raw, "has a key that is no header name", "rename it");
    }
    if (HEADERS_OF_THE_FORWARDER.has(name.toLowerCase())) {
      return refuse(row, raw, `sets ${name}, which the forwarder sets itself`, "remove it");
    }
    if (typeof value !== "string" || !HEADER_VALUE.test(value)) {
      const fault = `has a value of ${name} that no header can carry`;
      return refuse(row, raw, fault, "write a plain string");
    }
  }
  return accept({ ...raw });
}

function readTextList(row: ValueRow, raw: unknown): ValueReading {
  if (!Array.isArray(raw)) return refuse(row, raw, "is no array", "write [ \"...\" ]");
  for (const value of raw) {
    if (typeof value !== "string" || value === "") {
      return refuse(row, raw, "has an entry that is no text", "put each one in double quotes");
    }
    if (!HEADER_VALUE.test(value)) {
      return refuse(row, raw, "has characters that no header can carry", "remove line ends");
    }
  }
  return accept([...raw]);
}

function readText(row: TextRow, raw: unknown, cwd: string): ValueReading {
  if (typeof raw !== "string") return refuse(row, raw, "is no string", "put it in double quotes");
  if (raw.includes("\0")) return refuse(row, raw, "has a NUL character", "remove it");
  if (raw === "" && row.refuseEmpty !== undefined) {
    return { accepted: false, message: row.refuseEmpty };
  }
  switch (row.kind) {
    case "text":
      return accept(raw);
    case "name":
      if (raw.length > NAME_CHARACTERS_MAX) return refuse(row, raw, "is too long", "shorten it");
      return /^\.{1,2}$|[/\\\p{Cc}]/u.test(raw)
        ? refuse(row, raw, "is no name", "choose one that could be a file name")
        : accept(raw);
    case "headerName":
      return HEADER_NAME.test(raw)
        ? accept(raw)
        : refuse(row, raw, "is no header name", `write it like "${row.default}"`);
    case "headerValue":
      return HEADER_VALUE.test(raw)
        ? accept(raw)
        : refuse(row, raw, "has characters that no header can carry", "remove line ends");
    case "url":
      return readUrl(row, raw);
    case "path":
      if (raw === "") return refuse(row, raw, "is empty", "write one, or leave the key out");
      return accept(resolve(cwd, raw));
    case "logPath":
      if (raw === "") return refuse(row, raw, "is empty", "write one, or leave the key out");
      return accept(raw === "-" ? raw : resolve(cwd, raw));
  }
}

function readUrl(row: TextRow, raw: string): ValueReading {
  const url = URL.canParse(raw) ? new URL(raw) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    const advice = "write it like \"http://127.0.0.1:14318/v1/traces\"";
    return refuse(row, raw, "is no such address", advice);
  }
  if (url.username !== "" || url.password !== "") {
    const message = `the address holds a user or password; allowed: ${describeAllowed(row)}; `
      + "send it with Headers: { \"Authorization\": ... }";
    return { accepted: false, message };
  }
  return accept(url.href);
}
