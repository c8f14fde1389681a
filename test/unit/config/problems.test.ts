import { describe, expect, it } from "vitest";
import { formatProblem, formatProblems } from "../../../config/findings.ts";
import { FORWARDERS_MAX as MASK_BITS } from "../../../engine/part/decision-layout.ts";
import { FORWARDERS_MAX } from "../../../config/settings.ts";
import {
  configWith, loadFile, otlpForwarder, problemOf, problemsOf, warningsOf,
} from "./load-input.ts";

describe("problems", () => {
  it("are all reported at once, with place, value, what is allowed and what to do", () => {
    const result = loadFile(`{
      "Workers": 65,
      "ForwardTo": [
        { "Type": "otlp", "URL": "ftp://b", "traceSample": { "decisionwait": 30 } }
      ],
      "Durability": "disc"
    }`);
    expect(problemsOf(result).map(formatProblem)).toEqual([
      "/srv/gateway.conf:2:18: Workers: 65 is too large; allowed: a whole number from 1 to 64, or "
        + "0 for one less than the processor cores, at least 1; use at most 64",
      "/srv/gateway.conf:4:34: ForwardTo[0].URL: \"ftp://b\" is no such address; allowed: an "
        + "http:// or https:// address; write it like \"http://127.0.0.1:14318/v1/traces\"",
      "/srv/gateway.conf:4:78: ForwardTo[0].traceSample.decisionwait: 30 has no unit; allowed: a "
        + "duration from 0s to 1h; write a string, such as \"30s\" or \"30ms\"",
      "/srv/gateway.conf:6:21: Durability: \"disc\" is none of them; allowed: \"process\" or "
        + "\"disk\"; use \"disk\"",
    ]);
    expect(result.kind === "refused" && result.text)
      .toContain("tailrace: 4 problems in the configuration\n/srv/gateway.conf:2:18: Workers: 65");
  });

  it.each([
    ["{\n  \"Workers\": 1,\n}", 3, 1, "one too many"],
    ["{\n  \"Workers\": }", 2, 14, "a value is expected"],
    ["{ \"Workers\" 1 }", 1, 13, "a colon is expected"],
    ["{ \"Workers\": 1", 1, 15, "closing brace"],
    ["{ 'Workers': 1 }", 1, 3, "double quotes"],
    ["{} {}", 1, 4, "nothing after it"],
    ["", 1, 1, "a value is expected"],
    ["[]", 1, 1, "one JSON object"],
  ])("tell line and column of broken JSON: %j", (text, line, column, sentence) => {
    const [problem] = problemsOf(loadFile(text));
    expect(problem!.place).toEqual({ file: "/srv/gateway.conf", line, column });
    expect(problem!.message).toContain(sentence);
  });

  it("refuse nesting that would exhaust the parser", () => {
    expect(problemOf(loadFile("[".repeat(100_000))).message).toContain("deeper than 64 levels");
  });

  it("refuse a file that is far too large", () => {
    expect(problemOf(loadFile(" ".repeat(4 * 1024 * 1024 + 1))).message).toContain("characters");
  });

  it("name keys that are there twice, in any case", () => {
    const { path, message, place } = problemOf(loadFile("{ \"Workers\": 1,\n \"workers\": 2 }"));
    expect([path, place?.line, place?.column]).toEqual(["workers", 2, 2]);
    expect(message).toContain("\"Workers\" once more");
    expect(problemOf(loadFile("{\"Workers\":1,\"Workers\":1}")).message).toContain("written twice");
  });

  it.each([
    [{ LogDir: "" }, "LogDir", "is empty"],
    [{ AdminAddress: "9464" }, "AdminAddress", "is no address"],
    [{ AdminAddress: "127.0.0.1:65536" }, "AdminAddress", "is no address"],
    [{ ClusterName: "" }, "ClusterName",
      "gateway now requires configuring ClusterName at top level of config"],
    [{ ServerName: "a\nb" }, "ServerName", "no header can carry"],
    [{ ServerName: 5 }, "ServerName", "is no string"],
    [{ MaxBodyBytes: "64.1MiB" }, "MaxBodyBytes", "use at most 64MiB"],
    [{ MaxBodyBytes: 1.5 }, "MaxBodyBytes", "is no size"],
    [{ StorageLimit: "1MiB" }, "StorageLimit", "use at least 256MiB"],
    [{ Workers: "3" }, "Workers", "write digits without quotes"],
    [{ DrainDelay: "-1s" }, "DrainDelay", "is too small"],
    [{ ListenFrom: {} }, "ListenFrom", "is no array"],
    [{ ListenFrom: [5] }, "ListenFrom[0]", "is no object"],
    [{ ListenFrom: [{}] }, "ListenFrom[0].Type", "is missing; allowed: \"otlp\""],
    [{ ListenFrom: [{ Type: "carbon" }] }, "ListenFrom[0].Type", "the types are \"otlp\""],
    [{ ForwardTo: [{ Type: "signalfx" }] }, "ForwardTo[0].Type",
      "the types are \"otlp\", \"file\""],
    [{ ForwardTo: [{ Type: "otpl" }] }, "ForwardTo[0].Type", "did you mean \"otlp\"?"],
    [{ ForwardTo: [{ Type: "file" }] }, "ForwardTo[0].Path", "is missing"],
    [{ ForwardTo: [{ Type: "file", Path: "" }] }, "ForwardTo[0].Path", "is empty"],
    [configWith(otlpForwarder({ URL: "http://u:p@b/" })), "ForwardTo[0].URL", "user or password"],
    [configWith(otlpForwarder({ Name: "a/b" })), "ForwardTo[0].Name", "is no name"],
    [configWith(otlpForwarder({ Name: ".." })), "ForwardTo[0].Name", "is no name"],
    [configWith(otlpForwarder({ Headers: { "a b": "" } })),
      "ForwardTo[0].Headers", "no header name"],
    [configWith(otlpForwarder({ Headers: { "Content-Type": "" } })),
      "ForwardTo[0].Headers", "itself"],
    [configWith(otlpForwarder({ Headers: { a: 1 } })),
      "ForwardTo[0].Headers", "no header can carry"],
    [configWith(otlpForwarder({ Headers: { a: "", A: "" } })),
      "ForwardTo[0].Headers.A", "once more"],
    [configWith(otlpForwarder({ Headers: { "x-sf-token": "1" }, DefaultAuthToken: "2" })),
      "ForwardTo[0].Headers", "carries the access token"],
    [configWith(otlpForwarder({ RetryInitial: "1m", RetryMax: "1s" })),
      "ForwardTo[0].RetryInitial", "is more than RetryMax"],
    [configWith(otlpForwarder({ TraceSample: { Policies: [] } })),
      "ForwardTo[0].TraceSample.Policies", "would keep nothing"],
    [configWith(otlpForwarder({ TraceSample: { Policies: {} } })),
      "ForwardTo[0].TraceSample.Policies", "is no array"],
    [configWith(otlpForwarder({ TraceSample: { BackupLocation: 5 } })),
      "ForwardTo[0].TraceSample.BackupLocation", "is no path"],
    [configWith(otlpForwarder({ TraceSample: [] })), "ForwardTo[0].TraceSample", "is no object"],
    [configWith(otlpForwarder({ TraceDistributor: {} })), "ForwardTo[0].TraceDistributor",
      "rename it to TraceSample"],
    [configWith(otlpForwarder({ TraceDistributor: {}, TraceSample: {} })),
      "ForwardTo[0].TraceDistributor",
      "please specify only TraceSample or TraceDistributor not both"],
    [configWith({ Type: "file", Path: "./data/log/x" }), "ForwardTo[0].Path", "keeps its log in"],
    [configWith({ Type: "file", Path: "x", MaxFileBytes: "2GiB", MaxBytes: "1GiB" }),
      "ForwardTo[0].MaxFileBytes", "is more than MaxBytes"],
  ])("refuse %j", (config, path, sentence) => {
    const problem = problemOf(loadFile(config));
    expect(problem.path).toBe(path);
    expect(problem.message).toContain(sentence);
    expect(problem.place).not.toBeNull();
  });

  it("never show a secret", () => {
    const result = loadFile(configWith(otlpForwarder({
      DefaultAuthToken: "s3cret\n", Headers: { a: "s3cret\n" },
    })));
    expect(problemsOf(result)).toHaveLength(2);
    expect(result.kind === "refused" && result.text).not.toContain("s3cret");
  });

  it("are printed up to a bound and counted past it", () => {
    const problem = { path: "a", message: "b", place: null };
    const lines = formatProblems(Array.from({ length: 60 }, () => problem)).split("\n");
    expect([lines.length, lines.at(-1)]).toEqual([51, "and 10 more"]);
  });
});

describe("problems between settings", () => {
  it("are names that are there twice, with the original's sentence", () => {
    const { path, message } = problemOf(loadFile({
      ListenFrom: [{ Type: "otlp" }, { Type: "otlp", ListenAddr: ":1" }],
    }));
    expect(path).toBe("ListenFrom[1]");
    expect(message).toContain("cannot duplicate listener names or types without names");
    expect(problemOf(loadFile({ ForwardTo: [otlpForwarder(), otlpForwarder()] })).message)
      .toContain("cannot duplicate forwarder names or types without names");
  });

  it("are addresses that are there twice, unless the system chooses the port", () => {
    const twice = (port: number) => ({
      AdminAddress: `127.0.0.1:${port}`,
      ListenFrom: [{ Type: "otlp", ListenAddr: `127.0.0.1:${port}` }],
    });
    expect(problemOf(loadFile(twice(9464))).message).toContain("is taken by AdminAddress");
    expect(loadFile(twice(0)).kind).toBe("run");
  });

  it("are data directories that disagree, however they are written", () => {
    const forwarder = (name: string, directory: string) =>
      otlpForwarder({ Name: name, TraceSample: { BackupLocation: directory } });
    const { path, message } = problemOf(loadFile({
      ForwardTo: [forwarder("a", "./data"), forwarder("b", "data"), forwarder("c", "/data")],
    }));
    expect(path).toBe("ForwardTo[2].TraceSample.BackupLocation");
    expect(message).toContain("/data is not /srv/data, which ForwardTo[0]");
  });

  it("are not names that are empty: the type is the name then", () => {
    const config = configWith(otlpForwarder({ Name: "" }));
    expect(loadFile(config)).toMatchObject({ settings: { forwardTo: [{ name: "otlp" }] } });
  });

  it("are two file forwarders with one path", () => {
    const file = (name: string, path: string) => ({ Type: "file", Name: name, Path: path });
    expect(problemOf(loadFile({ ForwardTo: [file("a", "x"), file("b", "./x/../x")] })).message)
      .toContain("is written by ForwardTo[0].Path already");
  });

  it("are more forwarders than masks have bits", () => {
    expect(FORWARDERS_MAX).toBe(MASK_BITS);
    const many = Array.from({ length: 17 }, (_, index) => otlpForwarder({ Name: `f${index}` }));
    expect(problemOf(loadFile({ ForwardTo: many })).message).toContain("allowed: at most 16");
  });

  it("are what the sampling folder says of policies, placed in the file", () => {
    const { path, message, place } = problemOf(loadFile(`{ "ForwardTo": [
      { "Type": "otlp", "URL": "http://b", "TraceSample": { "Policies": [
        { "name": "x" },
        { "name": "y", "latency": { "threshold_ms": "5" } } ] } } ] }`, {
      validatePolicies: (_policies, base) => [`${base}[1].latency.threshold_ms: must be: a number`],
    }));
    expect(path).toBe("ForwardTo[0].TraceSample.Policies[1].latency.threshold_ms");
    expect(message).toBe("must be: a number");
    expect([place?.line, place?.column]).toEqual([4, 53]);
  });
});

describe("warnings", () => {
  it.each([
    [{ Worker: 1 }, "Worker: unknown key, ignored; did you mean Workers?"],
    [{ DecisionWait: "1s" },
      "DecisionWait: unknown key, ignored; DecisionWait is a key of trace sampling "
        + "(ForwardTo[].TraceSample)"],
    [{ Colour: 1 }, "Colour: unknown key, ignored"],
    [{ statsDelay: "1s" },
      "statsDelay: has no effect: metrics are served at AdminAddress, path /metrics"],
  ])("name a key without effect: %j", (config, warning) => {
    expect(warningsOf(loadFile({ ...configWith(otlpForwarder()), ...config }))).toEqual([warning]);
  });

  it("know the names of OpenTelemetry", () => {
    const config = configWith(otlpForwarder({ TraceSample: { decision_wait: "1s" } }));
    expect(warningsOf(loadFile(config))).toEqual([
      "ForwardTo[0].TraceSample.decision_wait: unknown key, ignored; did you mean DecisionWait?",
    ]);
  });

  it("are silent about cluster keys of the original", () => {
    const sample = {
      IngestAddress: "http://a:1", ListenRebalanceAddress: ":2", AdvertiseRebalanceAddress: "a:2",
      Distributor: false,
    };
    const config = {
      ...configWith(otlpForwarder({ TraceSample: sample })), TargetClusterAddresses: ["a:1"],
      EtcdServerStartTimeout: "90s",
    };
    expect(warningsOf(loadFile(config))).toEqual([]);
  });

  it("say where a key of another type belongs", () => {
    const config = configWith({ Type: "file", Path: "x", URL: "http://b/" });
    expect(warningsOf(loadFile(config))).toEqual([
      "ForwardTo[0].URL: unknown key, ignored; URL is a key of forwarders of type \"otlp\" "
        + "(ForwardTo[])",
    ]);
  });

  it("say that an address has no path", () => {
    expect(warningsOf(loadFile(configWith(otlpForwarder({ URL: "http://b:4318" })))))
      .toEqual([expect.stringContaining("ForwardTo[0].URL: has no path")]);
  });

  it("say when a wait never ends first", () => {
    const sample = { DecisionWait: "2s", DecisionWaitAfterRoot: "2s" };
    expect(warningsOf(loadFile(configWith(otlpForwarder({ TraceSample: sample })))))
      .toEqual([expect.stringContaining("DecisionWait is not longer, so it always ends first")]);
  });
});
