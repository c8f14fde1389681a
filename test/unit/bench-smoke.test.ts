import { describe, expect, it } from "vitest";
import { BENCHES, RATIOS } from "../../native-bench/benches.ts";
import { runsNative } from "../../native-bench/native-program.ts";
import type { BenchResult } from "../../native-bench/result.ts";
import { detailText, headText, ratioText, rowText } from "../../native-bench/result-table.ts";
import { hasEtcd } from "../support/etcd-nodes.ts";

/** C programs and /proc are for Linux with a compiler; elsewhere these benches are skipped. */
const isNative = runsNative();
const LIMIT_MS = 120_000;
/** How much a lane decides while it is measured depends on the machine. */
const WITHOUT_HASH = ["lane"];
/** Fixed seeds: the same traces are kept on every machine. */
const CHAIN_HASHES: Readonly<Record<string, string>> = {
  "chain": "30000-3198", "long-wait": "30000-3198", "overload": "30000-3198",
  "memory": "80000-0", "small": "4000-328", "zipkin": "30000-3198", "otlp-json": "30000-3198",
};
/** The same number of requests with another seed, at one node, then at three. */
const NODES = "nodes";
const NODES_HASH = "30000-2886";

async function smoke(name: string): Promise<BenchResult> {
  const bench = BENCHES.find((each) => each.name === name);
  if (bench === undefined) throw new Error(`no bench is called ${name}`);
  return await bench.run({ smoke: true });
}

function expectWhole(result: BenchResult): void {
  expect(result.spansPerSecond).toBeGreaterThan(0);
  expect(result.detail["fault"]).toBeUndefined();
  expect(result.detail["seed"]).toBeTypeOf("number");
  for (const [key, value] of Object.entries(result.detail)) {
    expect(typeof value === "string" || Number.isFinite(value), `${key} is ${value}`).toBe(true);
  }
  const row = rowText(result.name, result, "about");
  expect(`${row}${detailText(result.name, result)}`).not.toMatch(/NaN|undefined|Infinity/);
}

describe("with its smallest parameters", () => {
  const others = BENCHES.filter(({ name }) => !(name in CHAIN_HASHES) && name !== NODES);
  for (const { name, needsNative } of others) {
    const test = it.skipIf(needsNative && !isNative);
    test(`the bench ${name} answers the same result for the same seed`, async () => {
      const first = await smoke(name);
      const second = await smoke(name);
      expectWhole(first);
      expect(first.detail["resultHash"]).toEqual(second.detail["resultHash"]);
      if (!WITHOUT_HASH.includes(name)) expect(first.detail["resultHash"]).toBeDefined();
    }, LIMIT_MS);
  }

  describe.skipIf(!isNative)("the bench of the chain", { concurrent: true }, () => {
    it.each(Object.entries(CHAIN_HASHES))("%s keeps the traces of its seed and loses none",
      async (name, hash) => {
        const result = await smoke(name);
        expectWhole(result);
        expect(result.detail["resultHash"]).toBe(hash);
        expect(result.detail).toMatchObject({ spansLost: 0, balance: "closes", exitCode: 0 });
      }, LIMIT_MS);
  });
});

it.skipIf(!isNative || !hasEtcd())("the bench of nodes keeps with three what it keeps with one",
  async () => {
    const result = await smoke(NODES);
    expectWhole(result);
    expect(result.detail["resultHash"]).toBe(NODES_HASH);
  }, LIMIT_MS);

describe("the table of benches", () => {
  it("has every name once", () => {
    const names = BENCHES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it("takes ratios of benches that exist", () => {
    const names = BENCHES.map(({ name }) => name);
    const used = RATIOS.flatMap(({ stage, floor }) => [stage[0], floor[0]]);
    expect(names).toEqual(expect.arrayContaining(used));
  });

  it("shows what a bench has, and a dash where it has nothing", () => {
    const result = { name: "a", spansPerSecond: 1_234_567, detail: { p99Ms: 2.5, seed: 12_345 } };
    const row = rowText("a", result, "about a");
    expect(row).toBe(`a${"1,234,567".padStart(23)}${"-".padStart(12)}${"-".padStart(9)}`
      + `${"2.5".padStart(9)}${"-".padStart(9)}  about a`);
    expect(row.indexOf("2.5") + 3).toBe(headText().indexOf("p99 ms") + 6);
    expect(detailText("a", result)).toContain("12345");
  });

  it("shows no ratio while one side is missing", () => {
    const one = { name: "scan", spansPerSecond: 50, detail: {} };
    const floor = { name: "floor", spansPerSecond: 0, detail: { walkSpansPerSecond: 200 } };
    expect(ratioText(new Map([["scan", one]]))).toBe("");
    expect(ratioText(new Map([["scan", one], ["floor", floor]]))).toContain("25 %");
  });
});
