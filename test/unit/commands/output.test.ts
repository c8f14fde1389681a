import { describe, expect, it } from "vitest";
import { bytes, counted, duration, grouped, share } from "../../../engine/commands/show-numbers.ts";
import { createTerminal, printable } from "../../../engine/commands/terminal.ts";
import { tableLines, wrapped } from "../../../engine/commands/text-table.ts";

const plain = (_style: string, text: string): string => text;

describe("numbers", () => {
  it.each([
    [0, "0 ms"], [0.123, "0.12 ms"], [9.5, "9.5 ms"], [812.4, "812 ms"], [12_345, "12.3 s"],
    [60_000, "1 min"], [252_000, "4 min 12 s"], [11_520_000, "3 h 12 min"],
    [187_200_000, "2 d 4 h"],
  ])("show %d ms as %s", (milliseconds, text) => expect(duration(milliseconds)).toBe(text));

  it.each([
    [0, "0 B"], [1_023, "1023 B"], [1_536, "1.5 KiB"], [200 * 1024, "200 KiB"],
    [63 * 1024 ** 3, "63 GiB"], [3 * 1024 ** 6, "3072 PiB"],
  ])("show %d bytes as %s", (count, text) => expect(bytes(count)).toBe(text));

  it("group digits, count nouns, and say when a share is next to nothing", () => {
    expect([grouped(1_234_567.4), counted(1, "span"), counted(2_000, "span")])
      .toEqual(["1,234,567", "1 span", "2,000 spans"]);
    expect([share(1, 8), share(0, 5), share(1, 1e9), share(1, 0)])
      .toEqual(["12.5 %", "0 %", "<0.1 %", "-"]);
  });
});

describe("a table", () => {
  const columns = [{ head: "name" }, { head: "spans", align: "right" }, { head: "" }] as const;

  it("aligns its columns and ends no line in blanks", () => {
    expect(tableLines(columns, [["a", "1", "x"], ["long name", "1,000", ""]], 80, plain)).toEqual([
      "name       spans",
      "a              1  x",
      "long name  1,000",
    ]);
  });

  it("cuts its widest column until it fits, and shows that it did", () => {
    const lines = tableLines(columns, [["n".repeat(200), "1,000", "rest"]], 40, plain);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
    expect(lines[1]).toMatch(/^n+…  1,000  rest$/);
  });

  it("lets no control character through", () => {
    const [, line] = tableLines(columns, [["\u001b[2J", "1", ""]], 80, plain);
    expect(line).toBe("?[2J      1");
    expect(printable("a\nb\u0007")).toBe("a?b?");
  });

  it("pads before it paints, so that colours do not move columns", () => {
    const paint = (_style: string, text: string): string => `<${text}>`;
    const [, line] = tableLines([{ head: "four", align: "right" }],
      [[{ text: "1", style: "bad" }]], 80, paint);
    expect(line).toBe("<   1>");
  });
});

describe("wrapped text", () => {
  it("breaks between words and indents what follows", () => {
    expect(wrapped("  a ", "bb ccc dddd", 9, "    ")).toEqual(["  a bb", "    ccc", "    dddd"]);
  });

  it("leaves a word that is longer than the line as it is", () => {
    expect(wrapped("", "x".repeat(12), 5, " ")).toEqual(["x".repeat(12)]);
  });
});

describe("a terminal", () => {
  const stream = (isTTY: boolean, columns?: number) => {
    return { isTTY, write: () => true, ...(columns === undefined ? {} : { columns }) };
  };
  const painted = (isTTY: boolean, env: Record<string, string>): string => {
    return createTerminal(stream(isTTY), stream(false), env).paint("bad", "x");
  };

  it("shows colours to a person who has not said no, and to nobody else", () => {
    expect(painted(true, {})).toBe("\u001b[31mx\u001b[39m");
    expect(painted(true, { NO_COLOR: "" })).toContain("\u001b");
    expect([painted(false, {}), painted(true, { NO_COLOR: "1" }), painted(true, { TERM: "dumb" })])
      .toEqual(["x", "x", "x"]);
  });

  it("is as wide as the window, 80 columns at least, 100 where nobody looks", () => {
    const width = (isTTY: boolean, columns?: number): number => {
      return createTerminal(stream(isTTY, columns), stream(false), {}).columns;
    };
    expect([width(true, 132), width(true, 20), width(false), width(false, 200)])
      .toEqual([132, 80, 100, 100]);
  });
});
