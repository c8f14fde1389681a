import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { LoadResult } from "../../../config/load.ts";
import {
  configWith, loadFile, otlpForwarder, problemOf, problemsOf, settingsOf, warningsOf,
} from "./load-input.ts";

const TOKEN = "token-that-nobody-may-see";

function fixture(name: string): LoadResult {
  return loadFile(readFileSync(`test/fixtures/config/${name}`, "utf8"));
}

function listener(keys: Readonly<Record<string, unknown>>) {
  return {
    ListenFrom: [{ Type: "signalfx", ListenAddr: "127.0.0.1:8080", ...keys }],
    ForwardTo: [otlpForwarder()],
  };
}

describe("files of the original gateway", () => {
  it("of a single node need another type of forwarder, and nothing else", () => {
    const result = fixture("signalfx-single.conf");
    const { path, message } = problemOf(result);
    expect(path).toBe("ForwardTo[0].type");
    expect(message).toContain("use \"otlp\" with the URL of an OTLP backend");
    expect(result.kind === "refused" && result.warnings.map((each) => [each.path, each.kind]))
      .toEqual([["StatsDelay", "deprecated"], ["ListenFrom[0].Timeout", "without_effect"]]);
    expect(JSON.stringify(result)).not.toContain(TOKEN);
  });

  it("of a cluster are told everything that does not exist here, at once", () => {
    const result = fixture("signalfx-cluster.conf");
    expect(problemsOf(result).map(({ path }) => path)).toEqual([
      "ListenFrom[0].ObfuscateSpanTags", "ListenFrom[1].Type",
      "ListenFrom[2].Type", "ForwardTo[0].Type", "ForwardTo[1].Type",
    ]);
    const said = problemsOf(result).map(({ message }) => message).join("\n");
    for (const part of ["takes metrics", "use \"file\" with a Path"]) {
      expect(said).toContain(part);
    }
    expect(JSON.stringify(result)).not.toContain(TOKEN);
  });
});

describe("keys that change spans", () => {
  it.each(["ObfuscateSpanTags", "RemoveSpanTags", "obfuscatespantags"])(
    "%s refuses the start: what it hides would be forwarded", (key) => {
      const { path, message } = problemOf(loadFile(listener({ [key]: [{ Tags: ["card"] }] })));
      expect(path).toBe(`ListenFrom[0].${key}`);
      expect(message).toContain("would be forwarded");
    });

  it("say nothing when they hold nothing", () => {
    for (const value of [[], {}, null, ""]) {
      const keys = { ObfuscateSpanTags: value, RemoveSpanTags: value, AdditionalSpanTags: value };
      expect(warningsOf(loadFile(listener(keys)))).toEqual([]);
    }
  });

  it("only warn when nothing is revealed without them", () => {
    const keys = {
      AdditionalSpanTags: { env: "x" }, SpanNameReplacementRules: ["(?P<id>x)"],
      SpanNameReplacementBreakAfterMatch: false,
    };
    const warnings = warningsOf(loadFile(listener(keys)));
    expect(warnings).toHaveLength(3);
    for (const warning of warnings) expect(warning).toContain("spans are forwarded as they came");
  });
});

describe("values of the original", () => {
  it("take an empty LogFormat for logfmt", () => {
    expect(settingsOf(loadFile({ LogFormat: "" })).logFormat).toBe("logfmt");
    expect(settingsOf(loadFile({})).logFormat).toBe("json");
  });

  it("tell that a TraceSample of null keeps every span", () => {
    expect(warningsOf(loadFile(configWith(otlpForwarder({ TraceSample: null })))))
      .toEqual([expect.stringContaining("TraceSample: is empty, so every span is forwarded")]);
  });

  it("look into the sampler of a forwarder whose type does not exist", () => {
    const sample = { DecisionWait: 5, Policies: [] };
    const forwarder = { Type: "signalfx", TraceSample: sample };
    expect(problemsOf(loadFile({ ForwardTo: [forwarder] })).map(({ path }) => path).toSorted())
      .toEqual(["DecisionWait", "Policies"].map((key) => `ForwardTo[0].TraceSample.${key}`)
        .concat("ForwardTo[0].Type").toSorted());
  });
});

describe("the environment", () => {
  it("may have the variables that Kubernetes sets for a service of this name", () => {
    const env = {
      TAILRACE_SERVICE_HOST: "10.0.0.1", TAILRACE_PORT: "tcp://10.0.0.1:4318",
      TAILRACE_PORT_4318_TCP_ADDR: "10.0.0.1", TAILRACE_ADMIN_SERVICE_PORT_HTTP: "9464",
    };
    const config = configWith(otlpForwarder());
    expect(warningsOf(loadFile(config, { env }))).toEqual([]);
    expect(warningsOf(loadFile(config, { env: { TAILRACE_WORKER: "1" } })))
      .toEqual(["TAILRACE_WORKER: unknown variable, ignored; did you mean TAILRACE_WORKERS?"]);
  });
});

describe("secrets", () => {
  const SECRET = "s3cret-value";
  it.each([
    [configWith(otlpForwarder({ DefaultAuthToken: `${SECRET}\n` }))],
    [configWith(otlpForwarder({ DefaultAuthToken: [SECRET] }))],
    [configWith(otlpForwarder({ Headers: { Authorization: `${SECRET}\u0001` } }))],
    [configWith(otlpForwarder({ Headers: { [`Authorization: ${SECRET}`]: "" } }))],
    [configWith(otlpForwarder({ Headers: [SECRET] }))],
    [configWith(otlpForwarder({ URL: `htp://user:${SECRET}@host/` }))],
    [configWith(otlpForwarder({ URL: `http://user:${SECRET}@host/` }))],
    [configWith(otlpForwarder({ URL: `ftp://host/?token=${SECRET}` }))],
    [{ ListenFrom: [{ Type: "otlp", AcceptTokens: SECRET }] }],
    [{ ListenFrom: [{ Type: "otlp", AcceptTokens: [SECRET, `${SECRET}\n`] }] }],
    [{ ListenFrom: { Type: "otlp", AcceptTokens: [SECRET] } }],
    [{ ForwardTo: { Type: "otlp", DefaultAuthToken: SECRET } }],
    [{ ClusterSecret: [SECRET] }],
    [{ ClusterSecret: `${SECRET}\0` }],
    [{ ClusterSecret: SECRET, ClusterOperation: "sprout" }],
    [configWith({ Type: "otlp", URL: { DefaultAuthToken: SECRET } })],
    [configWith({ Type: { DefaultAuthToken: SECRET } })],
    [configWith(otlpForwarder({ Timeout: { a: SECRET }, Name: [{ b: SECRET }] }))],
  ])("are in no message: %j", (config) => {
    const result = loadFile(config);
    expect(problemsOf(result).length).toBeGreaterThan(0);
    expect(JSON.stringify(result)).not.toContain(SECRET);
  });

  it("are in no warning where one stands for the name of its variable", () => {
    const warnings = warningsOf(loadFile(configWith(otlpForwarder({ AuthTokenEnvVar: SECRET }))));
    expect(warnings).toEqual([expect.stringContaining("the variable is not set")]);
    expect(warnings.join()).not.toContain(SECRET);
  });
});
