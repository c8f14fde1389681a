import { describe, expect, it } from "vitest";
import { scratchText, SCRATCH_TEXT_BYTES } from "../../../../engine/part/scratch-text.ts";
import { viewOf } from "../../../../engine/part/packed-text.ts";
import { endOfString, lastString, skipValue } from "../../../../engine/wire/json/cursor.ts";
import { FIELD_UNKNOWN, FieldNames } from "../../../../engine/wire/json/field-names.ts";
import { endOfText, isSameText } from "../../../../engine/wire/json/text.ts";
import { unescape } from "../../../../engine/wire/json/unescape.ts";
import { SCAN_BAD_JSON, SCAN_TOO_DEEP } from "../../../../engine/wire/scan-codes.ts";
import { Random } from "../../../support/random.ts";

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe("endOfText", () => {
  it("finds every byte that ends or breaks a string, at every place in a word", () => {
    for (let length = 0; length < 14; length++) {
      for (let at = 0; at <= length; at++) {
        for (let byte = 0; byte < 256; byte++) {
          const bytes = new Uint8Array(length + 9).fill(0x78);
          bytes[at] = byte;
          bytes[length + 8] = 0x22;
          const found = endOfText(bytes, viewOf(bytes), 0, bytes.length);
          const isEscaped = lastString.escaped;
          expect([byte, found]).toEqual([byte, endOfString(bytes, 0, bytes.length)]);
          expect(isEscaped).toBe(lastString.escaped);
        }
      }
    }
  });

  it("agrees with the plain walk about random strings, cut anywhere", () => {
    const random = Random.fromEnvironment();
    console.log(`endOfText: TAILRACE_SEED=${random.seed}`);
    const bytes = [0x22, 0x5c, 0x75, 0x20, 0x21, 0x23, 0x1f, 0x80, 0xa2, 0xdc, 0xff, 0x6e, 0x30];
    for (let round = 0; round < 20_000; round++) {
      const text = Uint8Array.from({ length: random.below(20) }, () =>
        random.chance(0.5) ? 0x61 : bytes[random.below(bytes.length)]!);
      const end = random.below(text.length + 1);
      const found = endOfText(text, viewOf(text), 0, end);
      const isEscaped = lastString.escaped;
      expect([...text, found]).toEqual([...text, endOfString(text, 0, end)]);
      if (found >= 0) expect(isEscaped).toBe(lastString.escaped);
    }
  });
});

describe("isSameText", () => {
  it("tells texts apart by any one byte, at every size", () => {
    for (let size = 4; size < 40; size++) {
      const text = Uint8Array.from({ length: size + 3 }, (_, at) => 0x30 + at);
      expect(isSameText(viewOf(text), 3, viewOf(text.slice(3)), 0, size)).toBe(true);
      for (let at = 0; at < size; at++) {
        const other = text.slice(3);
        other[at] = other[at]! ^ 0x80;
        expect(isSameText(viewOf(text), 3, viewOf(other), 0, size)).toBe(false);
      }
    }
  });
});

describe("unescape", () => {
  const textOf = (source: string): string => {
    const bytes = bytesOf(source);
    const size = unescape(bytes, 0, bytes.length);
    return Buffer.from(scratchText.subarray(0, size)).toString("latin1");
  };

  it("resolves escapes as JSON.parse does, half a surrogate pair to U+FFFD", () => {
    const sources = [
      "", "plain", "é\\u00e9", "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\\u0000\\u007f\\u0080\\u07ff\\u0800",
      "\\uffff", "\\ud83d\\ude00", "\\uD83D\\uDE00x", "\\ud800", "\\udc00", "\\ud800\\ud800\\udc00",
      "\\ud800x", "\\ud800\\n", "\\udbff\\udfff", "\\ud800\\u0041",
    ];
    for (const source of sources) {
      const text = JSON.parse(`"${source}"`) as string;
      expect(textOf(source)).toBe(Buffer.from(text).toString("latin1"));
    }
  });

  it("answers -1 for a text that does not fit", () => {
    const bytes = bytesOf("x".repeat(SCRATCH_TEXT_BYTES - 4));
    expect(unescape(bytes, 0, bytes.length)).toBe(bytes.length);
    const long = bytesOf("x".repeat(SCRATCH_TEXT_BYTES + 1));
    expect(unescape(long, 0, long.length)).toBe(-1);
  });
});

describe("FieldNames", () => {
  const read = (names: FieldNames, text: string, before: number): [number, number] => {
    const bytes = bytesOf(text);
    return [names.read(bytes, viewOf(bytes), 0, bytes.length, before), names.valueAt];
  };

  it("finds names in any order, written in any way, and what is unknown", () => {
    const names = new FieldNames(["a", "traceId", "id"]);
    for (let round = 0; round < 3; round++) {
      expect(read(names, "\"traceId\":1", 0)).toEqual([2, 10]);
      expect(read(names, "\"id\":1", 2)).toEqual([3, 5]);
      expect(read(names, "\"id\" : \n1", 0)).toEqual([3, 8]);
      expect(read(names, "\"a\":1", 2)).toEqual([1, 4]);
      expect(read(names, "\"a\": 1", 3)).toEqual([1, 5]);
      expect(read(names, "\"\\u0061\":1", 3)).toEqual([1, 9]);
      expect(read(names, "\"b\":1", 1)).toEqual([FIELD_UNKNOWN, 4]);
      expect(read(names, "\"\":1", 1)).toEqual([FIELD_UNKNOWN, 3]);
      expect(read(names, "\"traceid\":1", 1)[0]).toBe(FIELD_UNKNOWN);
    }
  });

  it("refuses what is no name", () => {
    const names = new FieldNames(["a"]);
    for (const text of ["", "a", "\"a", "\"a\"", "\"a\" 1", "}", "\"\n\":1", "\"\\x\":1"]) {
      expect([text, read(names, text, 0)[1]]).toEqual([text, -SCAN_BAD_JSON]);
    }
  });
});

describe("skipValue", () => {
  it("accepts exactly what JSON.parse accepts", () => {
    const values = [
      "1", "-1", "0", "-0", "01", "-", "1.", "1.5", ".5", "1e5", "1E+5", "1e-5", "1e", "1e+", "+1",
      "true", "false", "null", "tru", "True", "nul", "nulll", "\"\"", "\"\\u12aF\"", "\"\\u12g0\"",
      "\"\\x\"", "\"\n\"", "\"\u007f\"", "[]", "[1]", "[1,]", "[,1]", "[1 2]", "{}", "{\"a\":1}",
      "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{\"a\":}", "[}", "{]", "NaN", "Infinity", "\ufeff1", "[",
      "{\"a\":[{\"b\":[null,{}]}]}", "'a'", "\u00a01", "1\u00a0",
    ];
    for (const value of values) {
      const bytes = bytesOf(value);
      const isJson = ((): boolean => {
        try {
          JSON.parse(Buffer.from(bytes).toString("latin1"));
          return true;
        } catch {
          return false;
        }
      })();
      expect([value, skipValue(bytes, 0, bytes.length, 0) === bytes.length])
        .toEqual([value, isJson]);
    }
  });

  it("refuses values within values beyond the limit", () => {
    const nested = (depth: number): Uint8Array => bytesOf("[".repeat(depth) + "]".repeat(depth));
    expect(skipValue(nested(100), 0, 200, 0)).toBe(200);
    expect(skipValue(nested(101), 0, 202, 0)).toBe(-SCAN_TOO_DEEP);
    expect(skipValue(nested(100), 0, 200, 1)).toBe(-SCAN_TOO_DEEP);
    const objects = bytesOf("{\"a\":".repeat(101));
    expect(skipValue(objects, 0, objects.length, 0)).toBe(-SCAN_TOO_DEEP);
  });
});
