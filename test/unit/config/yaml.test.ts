import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { LoadResult } from "../../../config/load.ts";
import { parsePolicies } from "../../../engine/sampling/policy-config.ts";
import { Random } from "../../support/random.ts";
import {
  configWith, loadFile, loadYaml, otlpForwarder, problemOf, problemsOf, settingsOf,
} from "./load-input.ts";

const validatePolicies = (policies: readonly unknown[], at: string): readonly string[] => {
  return parsePolicies(policies, at).problems;
};
const EXAMPLES = ["config/examples/gateway.conf", "config/examples/gateway.yaml"] as const;

/** Everything said, without where it stands and in any order. */
function saidBy(result: LoadResult): { problems: string[]; warnings: string[] } {
  if (result.kind === "print") throw new Error("a page where a configuration was loaded");
  const said = ({ path, message }: { path: string; message: string }): string => {
    return `${path}: ${message}`;
  };
  return {
    problems: result.kind === "refused" ? result.problems.map(said).toSorted() : [],
    warnings: result.warnings.map(said).toSorted(),
  };
}

function policyIn(text: string): LoadResult {
  return loadYaml(`ForwardTo:
  - Type: otlp
    URL: http://127.0.0.1:14318/v1/traces
    TraceSample:
      Policies:
${text.replace(/^/gm, "        ")}
`, { validatePolicies });
}

describe("a configuration in YAML", () => {
  it("loads equal to its twin in JSON: the examples", () => {
    const [json, yaml] = EXAMPLES.map((file) => readFileSync(file, "utf8"));
    const loaded = settingsOf(loadYaml(yaml!, { validatePolicies }));
    expect(loaded).toEqual(settingsOf(loadFile(json, { validatePolicies })));
    expect(loaded.forwardTo[0]?.traceSample?.policies).toHaveLength(3);
  });

  it.each([
    [{ Workers: 65, LogMaxSize: "100", Durability: "disc" }],
    [{ Durabilty: "disk", NumProcs: 2, LateThreshold: "1s" }],
    [{ ListenFrom: [{ Type: "otpl" }, { Type: "carbon" }, 5, { ListenAddr: "x" }] }],
    [{ ListenFrom: {}, ForwardTo: { Type: "otlp", DefaultAuthToken: "s3cret" } }],
    [{ ForwardTo: [{ Type: "file", Name: "a/b", Path: "", MaxFiles: 0.5, MaxBytes: true }] }],
    [configWith(otlpForwarder({ Timeout: 30, TraceSample: { DecisionWait: "30", Policies: [] } }))],
    [configWith(otlpForwarder({ TraceSample: null, Headers: { a: 1, "b c": "" } }))],
    [configWith(otlpForwarder({ TraceSample: { Policies: [
      { name: "a", type: "latency", latency: { treshold_ms: 5 } },
      { name: "a", type: "string_attribute", string_attribute: { key: "k", values: [200] } },
      { name: "b", type: "rate_limiting", rate_limiting: { spans_per_second: 5 } },
    ] } }))],
    [{ AllowedOrigins: ["*"], ListenFrom: [{ Type: "otlp", AllowedOrigins: "*" }] }],
  ])("is found wrong in the same sentences as in JSON: %j", (config) => {
    const inJson = loadFile(config, { validatePolicies });
    const inYaml = loadYaml(stringify(config), { validatePolicies });
    expect(saidBy(inYaml)).toEqual(saidBy(inJson));
    const { problems, warnings } = saidBy(inJson);
    expect(problems.length + warnings.length).toBeGreaterThan(0);
  });

  it("has its findings placed by line and column", () => {
    const problems = problemsOf(loadYaml(`Workers: 65 # too many
ListenFrom:
  - Type: otlp
    ListenAddr: 4318
  - {Type: otlp, Name: b, ListenAddr: "nowhere"}
`));
    expect(problems.map(({ path, place }) => [path, place?.line, place?.column])).toEqual([
      ["Workers", 1, 10], ["ListenFrom[0].ListenAddr", 4, 17], ["ListenFrom[1].ListenAddr", 5, 39],
    ]);
    expect(problems[0]?.place?.file).toBe("/srv/gateway.yaml");
  });

  it("takes durations and addresses without quotes, numbers as numbers, and .yml", () => {
    const settings = settingsOf(loadYaml(`
DrainDelay: 1m30s
LogMaxSize: 100
MaxBodyBytes: 1MiB
AdminAddress: 127.0.0.1:9000
ListenFrom: [{Type: otlp, ListenAddr: ":4318"}]
`));
    expect(settings).toMatchObject({
      drainDelayMs: 90_000, logMegabytesMax: 100, bodyBytesMax: 1024 * 1024,
      adminAddress: { host: "127.0.0.1", port: 9000 },
    });
  });

  it("follows aliases and merge keys; what is written beside a merge wins", () => {
    const settings = settingsOf(loadYaml(`
ForwardTo:
  - &backend
    Type: otlp
    Name: first
    URL: http://127.0.0.1:1/v1/traces
    BatchTimeout: 100ms
    TraceSample: &sample {DecisionWait: 5s}
  - <<: *backend
    Name: second
  - <<: [{BatchTimeout: 1s}, *backend]
    Name: third
    TraceSample: *sample
`));
    const of = ({ name, batchMs, traceSample }: (typeof settings)["forwardTo"][number]) => {
      return [name, batchMs, traceSample?.decisionWaitMs];
    };
    expect(settings.forwardTo.map(of))
      .toEqual([["first", 100, 5_000], ["second", 100, 5_000], ["third", 1_000, 5_000]]);
  });

  it.each([
    ["a:\n\tb: 1\n", 2, 1, "a tab is used to indent"],
    ["LogDir: -\n", 1, 9, "put the value in double quotes"],
    ["a: [1, 2\nb: 3\n", 2, 1, "not valid YAML"],
    ["AdminAddress: [::]:4318\n", 1, 19, "double quotes"],
    ["a: \"open\nb: 1\n", 3, 1, "a quote, bracket, comma or colon is missing"],
    ["a: @b\n", 1, 4, "a value cannot begin with this character"],
    ["a: 1\n b: 2\n", 1, 4, "fix the indentation"],
    ["a: b: c\n", 1, 4, "a second colon in one line"],
    ["a: !secret b\n", 1, 4, "tags (!name) mean nothing here"],
    ["a: 1\n---\nb: 1\n", 2, 1, "one document"],
    ["AllowedOrigins:\n  - *\n", 2, 5, "double quotes"],
    ["a: *b\n", 1, 4, "no anchor"],
    ["a: .nan\n", 1, 4, "no values of this kind"],
    ["? [a]\n: 1\n", 1, 3, "a key must be text"],
    ["<<: 5\n", 1, 1, "<< takes an alias"],
    ["- a\n", 1, 1, "keys and values"],
    ["", 1, 1, "keys and values"],
    ["just words\n", 1, 1, "keys and values"],
  ])("that is no YAML is refused with a place and advice: %j", (text, line, column, sentence) => {
    const [problem] = problemsOf(loadYaml(text));
    expect(problem?.message).toContain(sentence);
    expect(problem?.place).toEqual({ file: "/srv/gateway.yaml", line, column });
  });

  it("has no key twice, in any case, also inside policies", () => {
    expect(problemOf(loadYaml("Workers: 1\nworkers: 2\n")).message).toContain("once more");
    expect(problemOf(loadYaml("Workers: 1\nWorkers: 1\n")).message).toContain("written twice");
    const inPolicy = "- {name: a, type: latency, latency: {threshold_ms: 1, threshold_ms: 2}}";
    const { path, message } = problemOf(policyIn(inPolicy));
    expect(path).toBe("ForwardTo[0].TraceSample.Policies[0].latency.threshold_ms");
    expect(message).toContain("written twice");
  });

  it("takes the policies that users of tail_sampling paste", () => {
    const result = policyIn(`- name: slow-or-long
  type: and
  and:
    and_sub_policy:
      - {name: slow, type: latency, latency: {threshold_ms: 5000, upper_threshold_ms: 10000}}
      - name: methods
        type: string_attribute
        string_attribute: {key: http.request.method, values: [GET, POST]}
- {name: errors, type: status_code, status_code: {status_codes: [ERROR, UNSET]}}
- {name: some, type: probabilistic, probabilistic: {sampling_percentage: 0.1}}`);
    expect(settingsOf(result).forwardTo[0]?.traceSample?.policies).toHaveLength(3);
  });

  it("keeps the parser's words, which quote the text, to itself", () => {
    for (const text of ["DefaultAuthToken: @s3cret", "DefaultAuthToken: *s3cret", "a: \"s3cret",
      "DefaultAuthToken: !s3cret x", "s3cret: b: c", "%s3cret\n---\na: 1"]) {
      const result = loadYaml(text);
      expect(result.kind === "refused" && result.text).not.toContain("s3cret");
    }
  });
});

describe("hostile YAML", () => {
  it("cannot make aliases stand for more than a bounded number of values", () => {
    const bomb = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"];
    for (let level = 1; level < 12; level++) {
      bomb.push(`a${level}: &a${level} [${`*a${level - 1}, `.repeat(10)}1]`);
    }
    const { message, place } = problemOf(loadYaml(bomb.join("\n")));
    expect(message).toContain("aliases add more than 10000 values");
    expect(place?.line).toBeGreaterThan(3);
  });

  it.each([
    ["a value within itself", "a: &a [*a]"],
    ["brackets", "[".repeat(50_000)],
    ["dashes", "- ".repeat(20_000)],
    ["questions", "? ".repeat(20_000)],
    ["indentation", Array.from({ length: 400 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
  ])("cannot nest without end: %s", (_what, text) => {
    const [problem] = problemsOf(loadYaml(text));
    expect(problem?.message).toMatch(/nested deeper than 64 levels|no anchor/);
  });

  it("is refused by its size before it is parsed", () => {
    expect(problemOf(loadYaml("a: 1\n".repeat(300_000))).message).toContain("characters");
  });
});

describe("mutated configurations", () => {
  const random = Random.fromEnvironment();
  const ROUNDS = 400;
  const PIECES = [
    "{", "}", "[", "]", ":", ",", "\"", "'", "\n", "\t", " ", "- ", "&a ", "*a", "<<: *a", "!!x ",
    "null", "1e999", "-0", "\u0000", "\uFEFF", "\u2028", "//", "/*", "#", "|", ">", "%",
    "__proto__", "\\u12", "ForwardTo", "TraceSample", "99999999999999999999",
  ];

  function mutated(text: string): string {
    let result = text;
    for (let times = 1 + random.below(4); times > 0; times--) {
      const at = random.below(result.length + 1);
      const end = Math.min(result.length, at + random.below(12));
      const piece = random.chance(0.3) ? "" : random.chance(0.3)
        ? text.slice(random.below(text.length)).slice(0, random.below(60))
        : PIECES[random.below(PIECES.length)]!;
      result = result.slice(0, at) + piece + result.slice(end);
    }
    return result;
  }

  it.each(EXAMPLES)("of %s are loaded or refused with places in the text, and never throw",
    (file) => {
      const text = readFileSync(file, "utf8");
      const load = file.endsWith(".yaml") ? loadYaml : loadFile;
      let refused = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const changed = mutated(text);
        const lines = changed.split(/\r\n|\r|\n/);
        const why = `TAILRACE_SEED=${random.seed}, round ${round}:\n${changed}`;
        let result: LoadResult;
        try {
          result = load(changed, { validatePolicies });
        } catch (cause) {
          throw new Error(why, { cause });
        }
        if (result.kind !== "refused") continue;
        refused++;
        expect(result.problems.length, why).toBeGreaterThan(0);
        for (const { place, message } of result.problems) {
          expect(message, why).not.toBe("");
          if (place === null) continue;
          expect(place.line, why).toBeLessThanOrEqual(lines.length);
          expect(place.column, why).toBeLessThanOrEqual(lines[place.line - 1]!.length + 1);
        }
      }
      expect(refused, `TAILRACE_SEED=${random.seed}`).toBeGreaterThan(ROUNDS / 4);
    });
});
