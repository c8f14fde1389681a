import { describe, expect, it } from "vitest";
import {
  DEFAULT_HASH_SALT, highWord, keepThreshold, lowWord, passesThreshold, saltState,
} from "../../../engine/sampling/probability.ts";
import { Random } from "../../support/random.ts";

const U64_MASK = 2n ** 64n - 1n;

/** FNV-1a, 64 bits, straight from its definition. */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & U64_MASK;
  return hash;
}

function idWords(id: string): Uint32Array {
  return Uint32Array.from([0, 8, 16, 24], (at) => Number.parseInt(id.slice(at, at + 8), 16));
}

function passes(salt: string, id: string, threshold: bigint): boolean {
  const state = saltState(salt);
  return passesThreshold(
    idWords(id), 0, highWord(state), lowWord(state), highWord(threshold), lowWord(threshold),
  ) === 1;
}

/** The hash is not returned by anything: it is the threshold where the answer changes. */
function expectHash(salt: string, id: string, hash: bigint): void {
  expect(passes(salt, id, hash), `${salt} ${id} at its hash`).toBe(true);
  expect(passes(salt, id, hash + 1n), `${salt} ${id} above`).toBe(true);
  expect(passes(salt, id, hash - 1n), `${salt} ${id} below`).toBe(false);
}

// Computed with Go's hash/fnv (New64a) over the salt and the 16 bytes.
const GO_HASHES: [string, string, bigint][] = [
  ["default-hash-seed", "00000000000000000000000000000001", 0xe19535eed1bbaa8an],
  ["default-hash-seed", "0102030405060708090a0b0c0d0e0f10", 0xdbcf64d5420f4cadn],
  ["default-hash-seed", "4bf92f3577b34da6a3ce929d0e0e4736", 0xa54533ba2e4970b5n],
  ["default-hash-seed", "ffffffffffffffffffffffffffffffff", 0x17bec3739634fe2dn],
  ["default-hash-seed", "80000000800000008000000080000000", 0x40bb025d834c6b3dn],
  ["default-hash-seed", "5b8efff798038103d269b633813fc60c", 0x95f176d291b1d3f7n],
  ["custom-salt", "00000000000000000000000000000001", 0x1211e05596f5af32n],
  ["custom-salt", "0102030405060708090a0b0c0d0e0f10", 0x71debceba3f6b115n],
  ["custom-salt", "4bf92f3577b34da6a3ce929d0e0e4736", 0xfcb74addd5ed06fdn],
  ["custom-salt", "ffffffffffffffffffffffffffffffff", 0xbc3cd541e27c3ad5n],
  ["söl☃", "00000000000000000000000000000001", 0x7683f6a3f31ef92bn],
  ["söl☃", "80000000800000008000000080000000", 0x120a328b774ac978n],
  ["söl☃", "5b8efff798038103d269b633813fc60c", 0x546746b8ad03975an],
];

// Computed with Go's math/big as the Collector does it: big.Float of MaxUint64, times percentage /
// 100.
const GO_THRESHOLDS: [number, bigint][] = [
  [0, 0n], [1e-18, 0n], [1e-9, 0x0afebff0n], [0.001, 0xa7c5ac471b47n], [0.1, 0x4189374bc6a7efn],
  [0.3, 0xc49ba5e353f7cfn], [1, 0x028f5c28f5c28f5fn], [2.5, 0x066666666666667fn],
  [7, 0x11eb851eb851ebffn], [10, 0x19999999999999ffn], [12.5, 0x1fffffffffffffffn],
  [15, 0x26666666666665ffn], [25, 0x3fffffffffffffffn], [29, 0x4a3d70a3d70a3bffn],
  [33.333333, 0x55555547044b6bffn], [50, 0x7fffffffffffffffn], [57, 0x91eb851eb851e7ffn],
  [66.6, 0xaa7ef9db22d0dfffn], [75, 0xbfffffffffffffffn], [99.9, 0xffbe76c8b4395fffn],
  [99.99999999999999, 0xfffffffffffff7ffn], [100, U64_MASK], [150, U64_MASK], [1e30, U64_MASK],
];

describe("the probabilistic hash", () => {
  it("has the published FNV-1a values for its state after the salt", () => {
    expect(saltState("")).toBe(0xcbf29ce484222325n);
    expect(saltState("a")).toBe(0xaf63dc4c8601ec8cn);
    expect(saltState("foobar")).toBe(0x85944171f73967e8n);
  });

  it("is that of the Collector, the id's bytes in network order", () => {
    for (const [salt, id, hash] of GO_HASHES) expectHash(salt, id, hash);
  });

  it("agrees with the definition for random ids and salts", () => {
    const random = Random.fromEnvironment();
    for (let run = 0; run < 500; run++) {
      const id = random.hex(16);
      const salt = run % 2 === 0 ? DEFAULT_HASH_SALT : random.hex(random.below(9));
      const bytes = Buffer.concat([Buffer.from(salt), Buffer.from(id, "hex")]);
      const hash = fnv1a(bytes);
      expect(hash > 0n && hash < U64_MASK, `seed ${random.seed}`).toBe(true);
      expectHash(salt, id, hash);
    }
  });

  it("reads the id at the offset it is given", () => {
    const words = new Uint32Array(9).fill(0xffffffff);
    words.set(idWords("0102030405060708090a0b0c0d0e0f10"), 3);
    const state = saltState("custom-salt");
    const hash = 0x71debceba3f6b115n;
    for (const [threshold, answer] of [[hash, 1], [hash - 1n, 0]] as const) {
      expect(passesThreshold(
        words, 3, highWord(state), lowWord(state), highWord(threshold), lowWord(threshold),
      )).toBe(answer);
    }
  });
});

describe("the probabilistic threshold", () => {
  it("is that of the Collector", () => {
    for (const [percentage, threshold] of GO_THRESHOLDS) {
      expect(keepThreshold(percentage), `${percentage} %`).toBe(threshold);
    }
  });

  it("keeps nothing of a percentage that is no number or negative, and all of 100 and more", () => {
    expect(keepThreshold(Number.NaN)).toBe(0n);
    expect(keepThreshold(-5)).toBe(0n);
    expect(keepThreshold(Number.MIN_VALUE)).toBe(0n);
    expect(keepThreshold(Infinity)).toBe(U64_MASK);
  });

  it("keeps about its share of ids", () => {
    const random = new Random(7);
    let kept = 0;
    for (let run = 0; run < 20_000; run++) {
      if (passes(DEFAULT_HASH_SALT, random.hex(16), keepThreshold(10))) kept++;
    }
    expect(kept).toBeGreaterThan(1_800);
    expect(kept).toBeLessThan(2_200);
  });
});
