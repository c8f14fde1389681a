import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { load } from "../../../config/load.ts";
import type {
  ForwarderSettings as ForwardFolderSettings,
} from "../../../engine/forward/forwarder-settings.ts";
import type { ForwarderSettings } from "../../../config/settings-types.ts";
import { parsePolicies } from "../../../engine/sampling/policy-config.ts";
import {
  configWith, inputWith, loadFile, otlpForwarder, problemOf, settingsOf, warningsOf,
} from "./load-input.ts";

describe("load without a file", () => {
  it("listens for OTLP and Zipkin on loopback and keeps the traces of the default policies", () => {
    const result = load(inputWith({}));
    const settings = settingsOf(result);
    expect(settings).toMatchObject({
      serverName: "host-1", clusterName: "gateway", logDirectory: "-", workers: 7,
      adminAddress: { host: "127.0.0.1", port: 9464 }, durability: "process", onShutdown: "keep",
      dataDirectory: "/srv/data", bodyBytesMax: 20 * 1024 * 1024, storageLimitBytes: 0,
      gracefulWaitMsMax: 30_000, drainDelayMs: 2_000, decisionMemoryBytes: 64 * 1024 * 1024,
    });
    expect(settings.listenFrom).toMatchObject([
      { type: "otlp", name: "otlp", address: { host: "127.0.0.1", port: 4318 }, tlsCertFile: "" },
      { type: "signalfx", name: "signalfx", address: { host: "127.0.0.1", port: 8080 } },
    ]);
    expect(settings.forwardTo).toHaveLength(1);
    expect(settings.forwardTo[0]).toMatchObject({
      type: "file", name: "kept", path: "/srv/data/kept",
      traceSample: { decisionWaitMs: 30_000, decisionWaitAfterRootMs: 0 },
    });
    const policies = settings.forwardTo[0]!.traceSample!.policies;
    expect(policies.map((policy) => (policy as { name: string }).name))
      .toEqual(["errors", "slow", "normal"]);
    expect(result).toMatchObject({ source: "embedded defaults", warnings: [] });
  });

  it("gives policies that the sampling folder accepts", () => {
    const validatePolicies = (value: unknown, path: string) => parsePolicies(value, path).problems;
    settingsOf(load(inputWith({}, { validatePolicies })));
  });

  it("has at least one worker and at most 64", () => {
    expect(settingsOf(load(inputWith({}, { cpuCount: 1 }))).workers).toBe(1);
    expect(settingsOf(load(inputWith({}, { cpuCount: 500 }))).workers).toBe(64);
  });

  it("freezes settings to the bottom", () => {
    const settings = settingsOf(load(inputWith({})));
    expect(Object.isFrozen(settings)).toBe(true);
    expect(Object.isFrozen(settings.forwardTo[0]!.traceSample!.policies[0])).toBe(true);
    expect(Object.isFrozen(settings.adminAddress)).toBe(true);
  });
});

describe("the configuration file", () => {
  it("loads the shipped example without a warning", () => {
    const validatePolicies = (value: unknown, path: string) => parsePolicies(value, path).problems;
    const text = readFileSync("config/examples/gateway.conf", "utf8");
    const result = loadFile(text, { validatePolicies });
    expect(warningsOf(result)).toEqual([]);
    const { forwardTo } = settingsOf(result);
    expect(forwardTo.map(({ name, type }) => [name, type]))
      .toEqual([["backend", "otlp"], ["all", "file"]]);
    expect(forwardTo[0]).toMatchObject({
      url: "http://127.0.0.1:14318/v1/traces", compression: "gzip", gzipLevel: 1, requestsMax: 4,
      batchBytes: 4 * 1024 * 1024, batchSpans: 8192, batchMs: 200, timeoutMs: 30_000, token: "",
      tokenHeader: "X-SF-Token", headers: {},
    });
    expect(forwardTo[1]).toMatchObject({ path: "/srv/data/all", traceSample: null });
  });

  it("yields what the forward folder asks for, but for what only main knows", () => {
    const complete = (forwarder: ForwarderSettings): ForwardFolderSettings =>
      forwarder.type === "otlp"
        ? { ...forwarder, slot: 3 }
        : { ...forwarder, slot: 3, durability: "process", requestsMax: 1 };
    const settings = settingsOf(loadFile(configWith({ Type: "file", Path: "x" })));
    expect(settings.forwardTo.map(complete)).toMatchObject([{ type: "file", path: "/srv/x" }]);
  });

  it("matches keys without regard to case", () => {
    const settings = settingsOf(loadFile({
      servername: "n", LISTENFROM: [{ type: "otlp", listenaddr: ":0" }],
      forwardto: [{ TYPE: "otlp", url: "http://b/v1/traces", tracesample: { DECISIONWAIT: "1s" } }],
    }));
    expect(settings.serverName).toBe("n");
    expect(settings.listenFrom[0]!.address).toEqual({ host: "0.0.0.0", port: 0 });
    expect(settings.forwardTo[0]!.traceSample!.decisionWaitMs).toBe(1_000);
  });

  it("takes null for absent, comments and a byte order mark", () => {
    const result = loadFile("\uFEFF{ // a comment\n \"Workers\": null, \"ListenFrom\": null }");
    expect(settingsOf(result).workers).toBe(7);
  });

  it("takes sizes as numbers and as strings, and 0 where it has a meaning", () => {
    const settings = settingsOf(loadFile({
      MaxBodyBytes: 4096, MaxTraceBytes: "1MiB", StorageLimit: 0, DecisionMemory: "2MiB",
    }));
    expect(settings).toMatchObject({
      bodyBytesMax: 4096, traceBytesMax: 1024 * 1024, storageLimitBytes: 0,
      decisionMemoryBytes: 2 * 1024 * 1024,
    });
  });

  it("warns when nothing can come in or go out", () => {
    expect(warningsOf(loadFile({}))).toEqual([
      "ListenFrom: is empty: no spans can come in",
      "ForwardTo: is empty: spans are accepted, counted and then dropped",
    ]);
  });

  it("takes one data directory from wherever it is written", () => {
    const sample = configWith(otlpForwarder({ TraceSample: { BackupLocation: "/var/t" } }));
    expect(settingsOf(loadFile(sample)).dataDirectory).toBe("/var/t");
    expect(settingsOf(loadFile({ ...sample, BackupLocation: "/var/x/../t" })).dataDirectory)
      .toBe("/var/t");
    const env = { TAILRACE_BACKUP_LOCATION: "elsewhere" };
    expect(settingsOf(loadFile(sample, { env })).dataDirectory).toBe("/srv/elsewhere");
  });
});

describe("the environment", () => {
  it("wins over the file", () => {
    const env = {
      TAILRACE_WORKERS: "3", TAILRACE_MAX_BODY_BYTES: "1MiB", TAILRACE_DURABILITY: "disk",
    };
    expect(settingsOf(loadFile({ Workers: 5, Durability: "process" }, { env })))
      .toMatchObject({ workers: 3, bodyBytesMax: 1024 * 1024, durability: "disk" });
  });

  it("has the original's variables, weaker than ours", () => {
    const original = { SFX_SERVER_NAME: "old", SFX_GATEWAY_CLUSTER_NAME: "c" };
    expect(settingsOf(load(inputWith({}, { env: original }))))
      .toMatchObject({ serverName: "old", clusterName: "c" });
    const both = { ...original, TAILRACE_SERVER_NAME: "new" };
    expect(settingsOf(load(inputWith({}, { env: both }))).serverName).toBe("new");
  });

  it("counts an empty variable as unset", () => {
    const env = { TAILRACE_CLUSTER_NAME: "", SFX_GATEWAY_CLUSTER_NAME: "" };
    expect(settingsOf(load(inputWith({}, { env }))).clusterName).toBe("gateway");
  });

  it("names the variable that cannot be read", () => {
    const env = { TAILRACE_DRAIN_DELAY: "2 seconds" };
    expect(problemOf(load(inputWith({}, { env })))).toEqual({
      path: "TAILRACE_DRAIN_DELAY", place: null,
      message: "\"2 seconds\" is no duration; allowed: a duration from 0s to 10m; "
        + "write a string such as \"300ms\", \"30s\" or \"1h30m\"",
    });
  });

  it("warns of a variable of ours that does not exist", () => {
    const result = load(inputWith({}, { env: { TAILRACE_WORKER: "3" } }));
    expect(warningsOf(result))
      .toEqual(["TAILRACE_WORKER: unknown variable, ignored; did you mean TAILRACE_WORKERS?"]);
  });
});

describe("access tokens", () => {
  const env = { SIGNALFX_ACCESS_TOKEN: "last", MY_TOKEN: "mine" };
  const tokenWith = (keys: Record<string, unknown>): string => {
    const [forwarder] = settingsOf(loadFile(configWith(otlpForwarder(keys)), { env })).forwardTo;
    return forwarder?.type === "otlp" ? forwarder.token : "no OTLP forwarder";
  };

  it("come from the named variable, then the file, then SIGNALFX_ACCESS_TOKEN", () => {
    expect(tokenWith({ DefaultAuthToken: "filed", AuthTokenEnvVar: "MY_TOKEN" })).toBe("mine");
    expect(tokenWith({ DefaultAuthToken: "filed", AuthTokenEnvVar: "UNSET" })).toBe("filed");
    expect(tokenWith({ DefaultAuthToken: "filed" })).toBe("filed");
    expect(tokenWith({})).toBe("last");
  });

  it("warn when the named variable is not set and nothing else is given", () => {
    const result = loadFile(configWith(otlpForwarder({ AuthTokenEnvVar: "UNSET" })));
    expect(warningsOf(result)).toEqual([
      "ForwardTo[0].AuthTokenEnvVar: the variable UNSET is not set and there is no "
        + "DefaultAuthToken; set it",
    ]);
  });
});
