import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { nearestName } from "../../../config/nearest-name.ts";
import {
  ORIGINAL_FORWARDER, ORIGINAL_LISTENER, ORIGINAL_TOP_LEVEL, ORIGINAL_TRACE_SAMPLE,
} from "../../../config/original-keys.ts";
import { defaultOf } from "../../../config/read-section.ts";
import { referenceText } from "../../../config/reference.ts";
import {
  FILE_FORWARDER, FORWARDER, LISTENER, OTLP_FORWARDER, SECTIONS, TOP_LEVEL, TRACE_SAMPLE,
} from "../../../config/settings.ts";

describe("the settings table", () => {
  it("has defaults that its own rows accept", () => {
    for (const { rows } of SECTIONS) {
      for (const row of Object.values(rows)) {
        if (row.kind !== "structure") expect(defaultOf(row, "/")).toBeDefined();
      }
    }
  });

  it("has one field and one sentence for each row", () => {
    for (const rows of [
      TOP_LEVEL, LISTENER, { ...FORWARDER, ...OTLP_FORWARDER }, { ...FORWARDER, ...FILE_FORWARDER },
      TRACE_SAMPLE,
    ]) {
      const fields = Object.values(rows)
        .flatMap((row) => row.kind === "structure" ? [] : [row.field]);
      expect(new Set(fields).size).toBe(fields.length);
      for (const row of Object.values(rows)) expect(row.doc).toMatch(/^[A-Z].*\.$/s);
    }
  });

  it("has no key that is also listed as without effect", () => {
    const overlaps = (rows: object, original: readonly { name: string }[]) => {
      const names = new Set(Object.keys(rows).map((name) => name.toLowerCase()));
      return original.filter(({ name }) => names.has(name.toLowerCase()));
    };
    expect(overlaps(TOP_LEVEL, ORIGINAL_TOP_LEVEL)).toEqual([]);
    expect(overlaps(LISTENER, ORIGINAL_LISTENER)).toEqual([]);
    expect(overlaps({ ...FORWARDER, ...OTLP_FORWARDER, ...FILE_FORWARDER }, ORIGINAL_FORWARDER))
      .toEqual([]);
    expect(overlaps(TRACE_SAMPLE, ORIGINAL_TRACE_SAMPLE)).toEqual([]);
  });

  it("is what REFERENCE.md says; run scripts/write-config-docs.ts when this fails", () => {
    expect(readFileSync("config/REFERENCE.md", "utf8")).toBe(referenceText());
  });
});

describe("nearestName", () => {
  it.each([
    ["MaxBodyByte", "MaxBodyBytes"], ["MaxBdoyBytes", "MaxBodyBytes"],
    ["drain_delay", "DrainDelay"],
    ["workers", "Workers"], ["Xyz", null], ["W", null],
  ])("of %s is %s", (written, near) => {
    expect(nearestName(written, Object.keys(TOP_LEVEL))).toBe(near);
  });

  it("prefers the nearest to the first", () => {
    expect(nearestName("abcdefghi", ["abcdefgxy", "abcdefghx"])).toBe("abcdefghx");
  });
});
