import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { check, checkConfiguration } from "../../../engine/commands/check.ts";
import { inputOf, RecordedTerminal } from "./command-input.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), "tailrace-check-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Checks a file with this text. */
async function checkText(
  name: string, text: string, more: readonly string[] = [], env: Record<string, string> = {},
) {
  writeFileSync(path.join(directory, name), text);
  const terminal = new RecordedTerminal();
  const code = await check(inputOf([`./${name}`, ...more], terminal, { cwd: directory, env }));
  return { code, ...terminal };
}

describe("tailrace check", () => {
  it("lists everything at once: a golden page", async () => {
    const { code, output } = await checkText("bad.yaml", `Workers: 99
NumProcs: 4
Durabilty: disk
ListenFrom: [{Type: otlp}]
ForwardTo:
  - Type: csv
`);
    expect(code).toBe(2);
    expect(output.replace(directory, ".")).toBe(`./bad.yaml

Errors
  1:10  Workers
    99 is too large; allowed: a whole number from 1 to 64, or 0 for one less than the processor
    cores, at least 1; use at most 64
  3:1  Durabilty
    unknown key, ignored; did you mean Durability? (a start only warns of it)
  6:11  ForwardTo[0].Type
    "csv" is no type of forwarder that this version has; the types are "otlp", "file"; use "file"
    with a Path: it writes kept traces as lines of JSON

Warnings
  2:1  NumProcs
    has no effect: use Workers for the number of threads

3 errors, 1 warning: the gateway would refuse to start.
`);
  });

  it("says what the gateway would do, and what it did not look at", async () => {
    copyFileSync("config/examples/gateway.yaml", path.join(directory, "gateway.yaml"));
    const terminal = new RecordedTerminal();
    const argv = ["--configfile", "./gateway.yaml"];
    expect(await check(inputOf(argv, terminal, { cwd: directory }))).toBe(0);
    for (const part of [
      "otlp on 127.0.0.1:4318", "http://127.0.0.1:14318/v1/traces  [backend]",
      "judged 30 s after", "errors, slow, normal", "every span to OTLP JSON lines",
      `${directory}/data`, "80 % of the free disk", "4,000,000 undecided traces", "GiB for",
      "http://127.0.0.1:9464", "Not checked: whether ports are free",
      "0 errors, 0 warnings: the gateway would start with it.",
    ]) {
      expect(terminal.output.replaceAll(/\s+/g, " ")).toContain(part.replaceAll(/\s+/g, " "));
    }
  });

  it("takes for errors what a start only warns of, and says so", async () => {
    const { code, output } = await checkText("a.conf", "{ \"Worker\": 1, \"NumProcs\": 2 }");
    expect(code).toBe(2);
    expect(output).toContain("did you mean Workers? (a start only warns of it)");
    expect(output).toMatch(/\n1 error, 3 warnings: a start would only warn of them/);
    expect((await checkText("b.conf", "{ \"NumProcs\": 2 }")).code).toBe(0);
  });

  it("prints JSON for programs", async () => {
    const { code, output } = await checkText("a.yml", "Workers: 99\nNumProcs: 2\n", ["--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(output)).toEqual({
      ok: false, file: path.join(directory, "a.yml"),
      errors: [{ path: "Workers", line: 1, column: 10,
        message: expect.stringContaining("99 is too large") }],
      warnings: [{ path: "NumProcs", line: 2, column: 1,
        message: "has no effect: use Workers for the number of threads" }],
    });
    const fine = await checkText("b.yml", "Workers: 1\n", ["-json"], { TAILRACE_WORKERS: "" });
    expect(JSON.parse(fine.output)).toMatchObject({ ok: true, errors: [] });
  });

  it("counts variables and flags as a start does", async () => {
    const env = { TAILRACE_WORKERS: "x", TAILRACE_WORKER: "1" };
    const { output } = await checkText("a.conf", "{}", ["--cluster-op", "sprout", "--json"], env);
    const { errors } = JSON.parse(output) as { errors: { path: string; line: null }[] };
    expect(errors.map(({ path: at, line }) => [at, line]).toSorted()).toEqual([
      ["--cluster-op", null], ["TAILRACE_WORKER", null], ["TAILRACE_WORKERS", null],
    ]);
  });

  it("says what a node of a cluster would do: a golden page", async () => {
    const text = `ClusterName: prod
ServerName: node-1
TargetClusterAddresses: ["10.0.0.1:2379", "10.0.0.2:2379"]
AdvertiseClientAddress: 10.0.0.1:2379
ClusterDataDir: /var/lib/etcd
Workers: 3
OnShutdown: decide
ListenFrom: [{Type: otlp}]
ForwardTo: [{Type: file, Path: kept}]
`;
    const { code, output } = await checkText("node.yaml", text, ["--cluster-op", "new"]);
    expect(code).toBe(0);
    const page = output.replaceAll(directory, ".");
    expect(page.slice(0, page.indexOf("The gateway\n"))).toBe(`./node.yaml

Warnings
  AdvertisePeerAddress
    "127.0.0.1:2380" is this machine alone, and TargetClusterAddresses has others, which could not
    reach this node; write its address as they see it, such as "10.0.0.1:2380"
  ClusterSecret
    is empty: whoever reaches ListenRebalanceAddress can take part in the cluster; write the same
    long random text on every node
  7:13  OnShutdown
    "decide" means "keep" in a cluster: what this node has not judged, the other nodes judge

`);
    expect(page.slice(page.indexOf("  cluster  "))).toBe(`\
  cluster  begins prod as node-1, weight 3, found through 10.0.0.1:2379, 10.0.0.2:2379
  cluster  etcd for clients at 10.0.0.1:2379 and for servers at 127.0.0.1:2380, in /var/lib/etcd
  cluster  other nodes connect to 10.0.0.1:2382, and this one listens on 0.0.0.0:2382, without a
           secret

Not checked: whether ports are free, hosts answer, and directories can be written. A start looks at
these.

0 errors, 3 warnings: the gateway would start with it.
`);
  });

  it("shows neither the secret of a cluster nor an etcd server of a client", async () => {
    const env = {
      TAILRACE_CLUSTER_SECRET: "hush", SFX_CLUSTER_OPERATION: "client",
      SFX_TARGET_CLUSTER_ADDRESSES: "127.0.0.12:2379",
    };
    const { code, output } = await checkText("client.yaml", "ClusterName: prod\n", [], env);
    expect([code, output.match(/ {2}cluster {2}/g)?.length]).toEqual([0, 2]);
    expect(output).toContain("is a client of prod as ");
    expect(output).not.toMatch(/hush|etcd|without a secret/);
    const refused = await checkText("client.json", "{}", ["--json"], {
      ...env, SFX_TARGET_CLUSTER_ADDRESSES: "", SFX_ADVERTISE_CLIENT_ADDRESS: ":1",
    });
    expect(refused.code).toBe(2);
    expect((JSON.parse(refused.output) as { errors: { path: string }[] }).errors
      .map((error) => error.path))
      .toEqual(["SFX_ADVERTISE_CLIENT_ADDRESS", "TargetClusterAddresses"]);
  });

  it("finds what a start finds after loading: policies that do not fit together", () => {
    const policies = Array.from({ length: 70 }, (_, index) => ({
      name: `p${index}`, type: "string_attribute",
      string_attribute: { key: `k${index}`, values: ["v"] },
    }));
    writeFileSync(path.join(directory, "a.conf"), JSON.stringify({
      ForwardTo: [{ Type: "file", Path: "x", TraceSample: { Policies: policies } }],
    }));
    const { errors } = checkConfiguration(
      ["--configfile=./a.conf"],
      { env: {}, cwd: directory, version: "1", buildDate: "2030-01-02" });
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining("64")]);
  });

  it("checks the embedded defaults without a file, and refuses one that is missing", async () => {
    const terminal = new RecordedTerminal();
    expect(await check(inputOf([], terminal, { cwd: directory }))).toBe(0);
    expect(terminal.output).toMatch(/^embedded defaults\n/);
    expect(await check(inputOf(["./none.conf"], terminal, { cwd: directory }))).toBe(2);
    expect(terminal.output).toContain("there is no file ./none.conf");
  });

  it.each([
    [["a", "b"]], [["a", "--configfile", "b"]], [["--jsno"]], [["--configfile"]],
  ])("refuses %j with a line that leads to its help", async (argv) => {
    const terminal = new RecordedTerminal();
    expect(await check(inputOf(argv, terminal))).toBe(2);
    expect(terminal.errors).toMatch(/^tailrace check: .+\nSee: tailrace check --help\n$/);
    expect(terminal.output).toBe("");
  });
});

describe("TLS files", () => {
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: directory, stdio: "ignore" });
  };
  const certificate = (name: string): void => openssl(
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", "/CN=test", "-days", "2");
  const checkListener = async (keys: Record<string, string>) => {
    const config = { ListenFrom: [{ Type: "otlp", ...keys }] };
    return await checkText("tls.conf", JSON.stringify(config));
  };

  it("are there, parse and belong together", async () => {
    certificate("a");
    certificate("b");
    expect((await checkListener({ TLSCertFile: "a.pem", TLSKeyFile: "a.key" })).code).toBe(0);
    const other = await checkListener({ TLSCertFile: "a.pem", TLSKeyFile: "b.key" });
    expect([other.code, other.output]).toEqual([2, expect.stringContaining("is not the key of")]);
    const missing = await checkListener({ TLSCertFile: "none.pem", TLSKeyFile: "a.key" });
    expect(missing.output).toContain("cannot be read (ENOENT)");
    const swapped = await checkListener({ TLSCertFile: "a.key", TLSKeyFile: "a.pem" });
    expect(swapped.output).toContain("holds no certificate");
    expect(swapped.output).toContain("holds no private key");
    expect(swapped.output).not.toContain("BEGIN");
  });

  it("of a cluster's etcd are looked at as well", async () => {
    certificate("a");
    certificate("b");
    const node = { ClusterOperation: "seed", ClusterSecret: "x" };
    const checkNode = async (keys: Record<string, string>) =>
      await checkText("node.conf", JSON.stringify({ ...node, ...keys }));
    const client = { EtcdClientCertFile: "a.pem", EtcdClientKeyFile: "a.key" };
    const peer = { EtcdPeerCertFile: "b.pem", EtcdPeerKeyFile: "a.key" };
    expect((await checkNode({ ...client, EtcdClientTrustedCaFile: "b.pem" })).code).toBe(0);
    const wrong = await checkNode({ ...client, ...peer, EtcdClientTrustedCaFile: "none.pem" });
    expect(wrong.code).toBe(2);
    expect(wrong.output).toMatch(/EtcdClientTrustedCaFile\n.+none.pem cannot be read \(ENOENT\)/);
    expect(wrong.output).toMatch(/EtcdPeerKeyFile\n.+a.key is not the key of the/);
    const targets = { SFX_TARGET_CLUSTER_ADDRESSES: "127.0.0.12:2379" };
    const config = JSON.stringify({ ...node, ...client, ...peer });
    expect((await checkText("c.conf", config, ["--cluster-op", "client"], targets)).code).toBe(0);
  });
});
