import { describe, expect, it } from "vitest";
import { viewOf } from "../../../../engine/part/packed-text.ts";
import {
  DECIMAL_FORM, DECIMAL_FRACTION, DECIMAL_HIGH, DECIMAL_HUGE, DECIMAL_LOW, DECIMAL_NEGATIVE,
  decimal, readDecimal,
} from "../../../../engine/wire/json/decimal.ts";
import {
  ID_NOT_HEX, ID_VALID, ID_ZERO, checkShortSpanId, checkSpanId, readShortTraceId, readTraceId,
} from "../../../../engine/wire/json/hex-id.ts";
import { SCAN_BAD_JSON } from "../../../../engine/wire/scan-codes.ts";
import { exactNumber } from "../../../support/json-nodes.ts";
import { Random } from "../../../support/random.ts";

const random = Random.fromEnvironment();
console.log(`JSON numbers: TAILRACE_SEED=${random.seed}`);

/** Reads the number with something after it, and compares with exact arithmetic. */
function expectNumber(text: string): void {
  for (const after of ["", ",", "\"      ", "}}}}}}}}}"]) {
    const bytes = new Uint8Array(Buffer.from(text + after));
    const wanted = exactNumber(text)!;
    expect([text, readDecimal(bytes, viewOf(bytes), 0, bytes.length)]).toEqual([text, text.length]);
    const form = decimal[DECIMAL_FORM]!;
    expect([text, (form & DECIMAL_NEGATIVE) !== 0]).toEqual([text, wanted.isNegative]);
    expect([text, (form & DECIMAL_HUGE) !== 0]).toEqual([text, wanted.value === null]);
    if (wanted.value === null) continue;
    expect([text, (form & DECIMAL_FRACTION) === 0]).toEqual([text, wanted.isInteger]);
    const value = (BigInt(decimal[DECIMAL_HIGH]!) << 32n) | BigInt(decimal[DECIMAL_LOW]!);
    expect([text, value]).toEqual([text, wanted.value]);
  }
}

describe("readDecimal", () => {
  it("is exact for integers of every size", () => {
    for (let bits = 0n; bits <= 64n; bits++) {
      for (const more of [-2n, -1n, 0n, 1n, 2n]) expectNumber(String(2n ** bits + more));
    }
    for (let digits = 1; digits < 30; digits++) {
      expectNumber("9".repeat(digits));
      expectNumber(`1${"0".repeat(digits)}`);
      const many = Array.from({ length: digits }, () => random.below(10)).join("");
      expectNumber(`${1 + random.below(9)}${many}`);
    }
  });

  it("reads a value in whatever form it is written", () => {
    const numbers = [
      "0", "-0", "0.0", "-0.0", "0e5", "0e-5", "-0.1", "0.1", "5.0", "5e0", "50e-1", "0.5e1",
      "500E-2", "5.5", "-5.5", "1e19", "1.8446744073709551615e19", "1.8446744073709551616e19",
      "18446744073709551615.9", "184467440737095516150e-1", "1e20", "1e400", "-1e400", "1e-400",
      "0.00000000000000000001e20", "123456789012345678.9e1", "1e99999999999999999999",
      "1e-99999999999999999999", "0e99999999999999999999", "100000000000000000000000e-20",
      "1234567890123456789.0", "12345678.5", "1.5e0", "15e-1", `0.${"0".repeat(300)}1`,
    ];
    for (const number of numbers) expectNumber(number);
    for (let round = 0; round < 5_000; round++) {
      const text = `${random.chance(0.3) ? "-" : ""}${random.below(10 ** random.below(10))}`
        + `${random.chance(0.5) ? `.${random.below(100_000)}` : ""}`
        + `${random.chance(0.5) ? `e${random.below(40) - 20}` : ""}`;
      expectNumber(text);
    }
  });

  it("refuses what is no number, and reads no further than one goes", () => {
    for (const text of ["", "-", "x", ".5", "1.", "1e", "1e+", "-x", "\"1\"", "+1", "1.e5"]) {
      const bytes = new Uint8Array(Buffer.from(text));
      expect([text, readDecimal(bytes, viewOf(bytes), 0, bytes.length)])
        .toEqual([text, -SCAN_BAD_JSON]);
    }
    const zeros = new Uint8Array(Buffer.from("0123"));
    expect(readDecimal(zeros, viewOf(zeros), 0, zeros.length)).toBe(1);
    const cut = new Uint8Array(Buffer.from("123456789012345678901234"));
    for (let end = 1; end <= cut.length; end++) {
      expect(readDecimal(cut, viewOf(cut), 0, end)).toBe(end);
    }
  });
});

describe("ids in digits", () => {
  it("are told from everything else by each single byte, at each place", () => {
    for (let at = 0; at < 32; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const bytes = new Uint8Array(32).fill(0x30);
        bytes[at] = byte;
        const character = String.fromCharCode(byte);
        const isHex = /^[0-9a-fA-F]$/.test(character);
        const state = isHex ? (byte === 0x30 ? ID_ZERO : ID_VALID) : ID_NOT_HEX;
        const words = new Uint32Array(5);
        expect([at, byte, readTraceId(viewOf(bytes), 0, words, 1)]).toEqual([at, byte, state]);
        if (isHex) {
          const text = [...words.slice(1)].map((word) => word.toString(16).padStart(8, "0"));
          expect(text.join("")).toBe(Buffer.from(bytes).toString("latin1").toLowerCase());
        }
        if (at < 16) expect(checkSpanId(viewOf(bytes), 0)).toBe(state);
      }
    }
  });

  it("are read with any two bytes next to each other", () => {
    const signs = [
      0x2f, 0x30, 0x39, 0x3a, 0x40, 0x41, 0x46, 0x47, 0x60, 0x61, 0x66, 0x67, 0xff, 0x10,
    ];
    for (const first of signs) {
      for (const second of signs) {
        const text = Buffer.from([...Buffer.alloc(14, 0x31), first, second]);
        const isHex = /^[0-9a-fA-F]+$/.test(text.toString("latin1"));
        expect(checkSpanId(viewOf(new Uint8Array(text)), 0)).toBe(isHex ? ID_VALID : ID_NOT_HEX);
      }
    }
  });

  it("of fewer digits are filled up on the left", () => {
    const words = new Uint32Array(4);
    for (let digits = 1; digits <= 32; digits++) {
      const text = random.hex(16).slice(0, digits);
      const bytes = new Uint8Array(Buffer.from(`"${text}"`));
      const state = /^0*$/.test(text) ? ID_ZERO : ID_VALID;
      expect(readShortTraceId(bytes, 1, digits + 1, words, 0)).toBe(state);
      expect([...words].map((word) => word.toString(16).padStart(8, "0")).join(""))
        .toBe(text.padStart(32, "0"));
      if (digits <= 16) expect(checkShortSpanId(bytes, 1, digits + 1)).toBe(state);
      else expect(checkShortSpanId(bytes, 1, digits + 1)).toBe(ID_NOT_HEX);
    }
    const none = new Uint8Array(40).fill(0x31);
    expect(readShortTraceId(none, 0, 0, words, 0)).toBe(ID_ZERO);
    expect(checkShortSpanId(none, 0, 0)).toBe(ID_ZERO);
    expect(readShortTraceId(none, 0, 33, words, 0)).toBe(ID_NOT_HEX);
  });
});
