import { describe, expect, it } from "vitest";
import {
  formatLine, LINE_BYTES_MAX, type LogFields, type LogFormat,
} from "../../../engine/base/log-line.ts";
import { parseLogfmt } from "../../support/logfmt.ts";
import { Random } from "../../support/random.ts";

const WALL_MS = Date.UTC(2026, 10, 20, 21, 47, 9, 123);
const TIME = "2026-11-20T21:47:09.123Z";
const FORMATS: readonly LogFormat[] = ["json", "logfmt"];
/** What ends or hides a line for a program or a terminal. */
const FORGING = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const ALPHABET = [
  "a", "Z", "7", " ", "=", "\"", "\\", "'", "\n", "\r", "\t", "\0", "\u001b", "\u007f", "\u0085",
  "\u009b", "\u2028", "\u2029", "\u202e", "\ufeff", "é", "日", "😀", "\ud800", "\udc00", ",", "{",
  "level=fatal", "\n{\"level\":\"fatal\"}", "null", "\\n", "\\u000a",
];

function lineOf(format: LogFormat, message: string, fields: LogFields = {}): string {
  const line = formatLine(format, WALL_MS, "warn", message, fields, (text) => text).toString();
  expect(line.endsWith("\n")).toBe(true);
  return line.slice(0, -1);
}

function parse(format: LogFormat, line: string): Map<string, unknown> {
  return format === "json" ? new Map(Object.entries(JSON.parse(line) as object))
    : parseLogfmt(line);
}

describe("a line", () => {
  it("has time, level, message and then the fields, in both forms", () => {
    const fields = { forwarder: "backend", attempt: 3, open: true, last: null, none: undefined };
    expect(lineOf("json", "no answer", fields)).toBe(
      `{"time":"${TIME}","level":"warn","message":"no answer","forwarder":"backend","attempt":3,`
      + "\"open\":true,\"last\":null}");
    expect(lineOf("logfmt", "no answer", fields)).toBe(
      `time=${TIME} level=warn message="no answer" forwarder=backend attempt=3 open=true `
      + "last=null");
  });

  it("quotes in logfmt what a reader would take for something else", () => {
    const fields = {
      empty: "", null: "null", quote: "a\"b", equals: "a=b", slash: "a\\b", path: "/a",
    };
    expect(lineOf("logfmt", "m", fields)).toContain(
      "empty=\"\" null=\"null\" quote=\"a\\\"b\" equals=\"a=b\" slash=\"a\\\\b\" path=/a");
  });

  it.each(FORMATS)("of any strings is one line and gives them back, as %s", (format) => {
    const random = Random.fromEnvironment();
    console.log(`seed: TAILRACE_SEED=${random.seed}`);
    const text = (): string => {
      return Array.from({ length: random.below(12) }, () => ALPHABET[random.below(ALPHABET.length)])
        .join("");
    };
    for (let round = 0; round < 5_000; round++) {
      const values = [text(), text(), text()];
      const line = lineOf(format, values[0]!, { one: values[1], two: values[2] });
      expect(line).not.toMatch(FORGING);
      const read = parse(format, Buffer.from(line).toString());
      expect([...read.keys()]).toEqual(["time", "level", "message", "one", "two"]);
      expect([read.get("message"), read.get("one"), read.get("two")]).toEqual(values);
    }
  });

  it.each(FORMATS)("keeps its own keys whatever fields are called, as %s", (format) => {
    const line = lineOf(format, "m", { level: "info", message: "x", "a b=c\n": 1, "": 2, time: 3 });
    const read = parse(format, line);
    expect([...read.keys()]).toEqual(
      ["time", "level", "message", "level_", "message_", "a_b_c_", "_", "time_"]);
    expect([read.get("level"), read.get("message")]).toEqual(["warn", "m"]);
  });

  it.each(FORMATS)("never is longer than a pipe takes whole, as %s", (format) => {
    const long = "\u0001".repeat(100_000);
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`field${n}`, long]));
    const kinds: [string, LogFields][] = [
      ["m", { stack: "x".repeat(100_000) }], ["m", { odd: long }], [long, {}], ["m", many],
      [long, many], ["😀".repeat(50_000), { a: "日".repeat(9_000) }],
    ];
    for (const [message, fields] of kinds) {
      const line = lineOf(format, message, fields);
      expect(Buffer.byteLength(line) + 1).toBeLessThanOrEqual(LINE_BYTES_MAX);
      expect(parse(format, line).get("level")).toBe("warn");
      expect(line.isWellFormed()).toBe(true);
    }
    expect(lineOf(format, "m", { text: "y".repeat(9_000) })).toContain("... (9000 characters)");
    const cut = parse(format, lineOf(format, "m", Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`f${n}`, n]))));
    expect(Number(cut.get("fieldsLeftOut"))).toBe(40 - 21);
  });

  it("has errors with stack and cause, numbers that JSON lacks, and objects as text", () => {
    const error = new Error("outer", { cause: new Error("inner") });
    const round: Record<string, unknown> = {};
    round["self"] = round;
    const read = parse("json", lineOf("json", "m", {
      error, infinite: Infinity, big: 10n, list: [1, "a"], round,
    }));
    expect(read.get("error")).toMatch(/outer[^]*caused by Error: inner/);
    expect([read.get("infinite"), read.get("big"), read.get("list"), read.get("round")])
      .toEqual(["Infinity", "10", "[1,\"a\"]", "(a value that JSON cannot carry)"]);
  });
});
