import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "../../../config/durations.ts";
import { formatSize, parseSize } from "../../../config/sizes.ts";

describe("durations", () => {
  it.each([
    ["0", 0], ["0s", 0], ["300ms", 300], ["1.5h", 5_400_000], ["2h45m", 9_900_000], [".5s", 500],
    ["1.s", 1_000], ["1m30.5s", 90_500], ["+2s", 2_000], ["-2s", -2_000], ["1s1s", 2_000],
    ["1.1h", 3_960_000], ["2.3m", 138_000],
  ])("reads %s as Go does", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it("rounds up to whole milliseconds, so that something short is never nothing", () => {
    expect(parseDuration("1ns")).toBe(1);
    expect(parseDuration("1500us")).toBe(2);
    expect(parseDuration("1500\u00b5s")).toBe(2);
    expect(parseDuration("1500\u03bcs")).toBe(2);
  });

  it.each(["", "1", "1d", "s", ".s", "1 s", "1s ", "1,5s", "1S", "1e3s", "--1s", "1s-1s", "NaN"])(
    "refuses %j as Go does", (text) => {
      expect(parseDuration(text)).toBeNull();
    });

  it("writes what it reads", () => {
    for (const [text, milliseconds] of [
      ["0s", 0], ["1ms", 1], ["30s", 30_000], ["1m30s", 90_000], ["1h", 3_600_000],
      ["25h1m1s1ms", 90_061_001],
    ] as const) {
      expect(formatDuration(milliseconds)).toBe(text);
      expect(parseDuration(text)).toBe(milliseconds);
    }
  });
});

describe("sizes", () => {
  it.each([
    ["0", 0], ["17", 17], ["128MiB", 134_217_728], ["1.5 KiB", 1_536], ["100MB", 100_000_000],
    ["1tib", 1_099_511_627_776], ["5b", 5],
  ])("reads %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(["", "MiB", "-1", "1M", "1k", "1 MiB 2", "1e3", "0x10"])("refuses %j", (text) => {
    expect(parseSize(text)).toBeNull();
  });

  it("writes the shortest exact form", () => {
    expect([0, 1_000, 1_024, 20_971_520, 1_073_741_824, 3 * 2 ** 40].map(formatSize))
      .toEqual(["0", "1000", "1KiB", "20MiB", "1GiB", "3TiB"]);
  });
});
