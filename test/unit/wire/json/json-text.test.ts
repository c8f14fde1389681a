import { describe, expect, it } from "vitest";
import { copied, copyPlain, copyText } from "../../../../engine/wire/json/json-text.ts";
import { Random } from "../../../support/random.ts";

const FREELY = 1_000_000;

/** The text of the string that begins behind the quote, as it was copied. */
function copy(source: Uint8Array, aheadMax = FREELY): Uint8Array {
  const target = new Uint8Array(source.length * 3 + 8).fill(0x21);
  copyText(source, 1, source.length, target, 3, aheadMax);
  expect(copied.sourceEnd).toBe(source.length);
  expect(target.subarray(0, 3)).toEqual(Uint8Array.of(0x21, 0x21, 0x21));
  expect(target[copied.targetEnd]).toBe(0x21);
  return target.slice(3, copied.targetEnd);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** A JSON string around raw bytes. */
function quoted(inside: Uint8Array): Uint8Array {
  return Uint8Array.from([0x22, ...inside, 0x22]);
}

describe("copying the text of a JSON string", () => {
  it("resolves every escape", () => {
    const samples = [
      "", "plain", "\" \\ / \b \f \n \r \t", "\u0000\u001f\u007f", "é ß 数 🚀", "\ufeffx", "\uffff",
    ];
    for (const sample of samples) {
      expect(text(copy(Buffer.from(JSON.stringify(sample))))).toBe(sample);
      const escaped = [...sample].flatMap((letter) => letter.split(""))
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
      expect(text(copy(Buffer.from(`"${escaped}"`)))).toBe(sample);
      expect(text(copy(Buffer.from(`"${escaped.toUpperCase().replaceAll("\\U", "\\u")}"`))))
        .toBe(sample);
    }
    expect(text(copy(Buffer.from("\"\\/\"")))).toBe("/");
  });

  it("replaces surrogates that are no pair", () => {
    const cases: [string, string][] = [
      ["\\ud83d\\ude80", "🚀"], ["\\ud83d", "\ufffd"], ["\\ude80", "\ufffd"],
      ["\\ude80\\ud83d", "\ufffd\ufffd"], ["\\ud83d\\ud83d\\ude80", "\ufffd🚀"],
      ["\\ud83dx", "\ufffdx"], ["\\ud83d\\n", "\ufffd\n"], ["\\ud83d\\u0041", "\ufffdA"],
      ["\\udbff\\udfff", "\u{10ffff}"], ["\\ud800\\udc00", "\u{10000}"],
    ];
    for (const [source, expected] of cases) {
      expect(text(copy(Buffer.from(`"${source}"`))), source).toBe(expected);
    }
  });

  it("replaces bytes that are no UTF-8 as a decoder of the Web does", () => {
    const random = Random.fromEnvironment();
    console.log(`json-text: TAILRACE_SEED=${random.seed}`);
    const edges = [
      0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
      0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from(
        { length: 1 + random.below(8) }, () => edges[random.below(edges.length)]!,
      );
      const expected = decoder.decode(bytes);
      expect(text(copy(quoted(bytes))), Buffer.from(bytes).toString("hex")).toBe(expected);
      const target = new Uint8Array(64);
      copyPlain(bytes, 0, bytes.length, target, 0, FREELY);
      expect(text(target.slice(0, copied.targetEnd))).toBe(expected);
    }
  });

  it("never becomes longer than its source where it may not", () => {
    const random = Random.fromEnvironment();
    console.log(`json-text: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < 2_000; round++) {
      const bytes = Uint8Array.from({ length: random.below(60) }, () => {
        const byte = random.below(256);
        return byte < 0x20 || byte === 0x22 || byte === 0x5c ? 0x80 + byte : byte;
      });
      const short = copy(quoted(bytes), -FREELY);
      expect(short.length).toBeLessThanOrEqual(bytes.length);
      text(short);
    }
    const all = copy(quoted(new Uint8Array(100).fill(0x80)), 2 + 20);
    expect(text(all)).toMatch(/^\ufffd{10,11}\?{89,90}$/);
  });

  it("stays inside of text that is no JSON", () => {
    for (const source of ["\"abc", "\"abc\\", "\"\\u12", "\"\\ud83d\\u", "\"\\x", "\"\xc3", "\""]) {
      const bytes = Buffer.from(source, "latin1");
      const target = new Uint8Array(64);
      copyText(bytes, 1, bytes.length, target, 0, FREELY);
      expect(copied.sourceEnd).toBe(bytes.length);
      text(target.slice(0, copied.targetEnd));
    }
  });
});
