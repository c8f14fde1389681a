import { describe, expect, it } from "vitest";
import { integer, readDouble, readInteger } from "../../../../engine/wire/json/number-text.ts";
import { Random } from "../../../support/random.ts";

function read(text: string, truncates = false): bigint | null {
  const bytes = Buffer.from(`9${text}9`);
  if (!readInteger(bytes, 1, bytes.length - 1, truncates)) return null;
  const value = BigInt(integer.halves[1]!) << 32n | BigInt(integer.halves[0]!);
  return integer.negative ? -value : value;
}

function readsDouble(text: string): number {
  const bytes = Buffer.from(`9${text}9`);
  return readDouble(bytes, 1, bytes.length - 1);
}

describe("numbers as text", () => {
  it("are whole numbers to the last digit", () => {
    const random = Random.fromEnvironment();
    console.log(`number-text: TAILRACE_SEED=${random.seed}`);
    for (let round = 0; round < 20_000; round++) {
      const bits = 1n + BigInt(random.below(64));
      const value = (BigInt(random.word()) << 32n | BigInt(random.word())) % 2n ** bits;
      const signed = random.chance(0.3) ? -value : value;
      expect(read(`${signed}`)).toBe(signed);
    }
    for (const near of [2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n, 10n ** 19n, 10n ** 9n]) {
      for (let offset = -3n; offset <= 3n; offset++) {
        const value = near + offset;
        expect(read(`${value}`), `${value}`).toBe(value < 2n ** 64n ? value : null);
      }
    }
  });

  it("are whole numbers with a point or an exponent too, when they are whole or may be cut", () => {
    expect([read("1.0"), read("12e2"), read("-5E0"), read("1e19"), read("0.0")])
      .toEqual([1n, 1200n, -5n, 10n ** 19n, 0n]);
    expect([read("1.5"), read("1e-1"), read("1e20"), read("1e400")])
      .toEqual([null, null, null, null]);
    expect([read("1.5", true), read("-1.9", true), read("9e-1", true), read("2e19", true)])
      .toEqual([1n, -1n, 0n, null]);
  });

  it("are doubles as JSON.parse reads them", () => {
    const random = Random.fromEnvironment();
    console.log(`number-text: TAILRACE_SEED=${random.seed}`);
    const bits = new DataView(new ArrayBuffer(8));
    for (let round = 0; round < 20_000; round++) {
      bits.setUint32(0, random.word());
      bits.setUint32(4, random.word());
      const value = random.chance(0.5)
        ? bits.getFloat64(0) : random.word() / 10 ** random.below(12);
      if (!Number.isFinite(value)) continue;
      for (const text of [`${value}`, value.toExponential(), value.toFixed(3)]) {
        expect(readsDouble(text), text).toBe(JSON.parse(text));
      }
    }
    expect(readsDouble("-0")).toBe(-0);
  });

  it("are none when the grammar says so", () => {
    const texts = [
      "", "-", "+1", "01", "-01", "1.", ".1", "1e", "1e+", "0x1", "1_0", " 1", "1 ", "NaN", "--1",
      "1.2.3", "Infinity", "9".repeat(600),
    ];
    for (const text of texts) {
      expect(readsDouble(text), text).toBeNaN();
      if (!/^-?0?1?$/.test(text)) expect(read(text), text).toBe(null);
    }
  });
});
