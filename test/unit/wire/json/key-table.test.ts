import { describe, expect, it } from "vitest";
import { KeyTable } from "../../../../engine/wire/json/key-table.ts";

const NAMES = ["id", "traceId", "name", "kind", "a", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"];

describe("KeyTable", () => {
  it("finds every key by its number, and nothing else", () => {
    const table = new KeyTable(NAMES);
    const find = (text: string): number => {
      const bytes = Buffer.from(`x${text}x`);
      return table.find(bytes, 1, bytes.length - 1);
    };
    NAMES.forEach((name, number) => {
      expect(find(name)).toBe(number);
      expect(find(`${name}x`)).toBe(-1);
      expect(find(name.slice(1))).toBe(-1);
      expect(find(name.toUpperCase() === name ? name.toLowerCase() : name.toUpperCase())).toBe(-1);
    });
    expect(find("")).toBe(-1);
    expect(table.find(Buffer.from("id"), 2, 1)).toBe(-1);
  });

  it("tells a key that is guessed from any other", () => {
    const table = new KeyTable(NAMES);
    const bytes = Buffer.from('"name":1,"named":2,"nam');
    expect(table.endOfKey(bytes, 1, bytes.length, 2)).toBe(5);
    expect(table.endOfKey(bytes, 1, 5, 2)).toBe(-1);
    expect(table.endOfKey(bytes, 1, bytes.length, 1)).toBe(-1);
    expect(table.endOfKey(bytes, 10, bytes.length, 2)).toBe(-1);
    expect(table.endOfKey(bytes, 20, bytes.length, 2)).toBe(-1);
  });

  it("refuses names that it cannot tell apart", () => {
    expect(() => new KeyTable(["axbcdx", "aybcdx"])).toThrow("differ in what is hashed");
  });
});
