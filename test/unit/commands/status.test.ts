import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { ClusterReport, MemberReport } from "../../../engine/cluster/cluster-report.ts";
import { explain } from "../../../engine/commands/explain.ts";
import { runCommand } from "../../../engine/commands/run-command.ts";
import { status } from "../../../engine/commands/status.ts";
import { statusPage } from "../../../engine/commands/status-page.ts";
import { CounterBlock, createCounterBlock } from "../../../engine/telemetry/counters.ts";
import { batchIndex, failureIndex } from "../../../engine/telemetry/label-values.ts";
import {
  FORWARD_BATCHES, FORWARD_IN_FLIGHT, FORWARD_RETRIES, LOG_COMMIT_SECONDS, OUTBOX_BYTES,
  OUTBOX_SPANS, REQUESTS_REFUSED, SPANS_DROPPED, SPANS_IN_FLIGHT, SPANS_KEPT, SPANS_RECEIVED,
  TRACE_ROWS_MAX, TRACES_LIVE,
} from "../../../engine/telemetry/metric-table.ts";
import { statusReport, type StatusReport } from "../../../engine/telemetry/status-report.ts";
import { inputOf, RecordedTerminal } from "./command-input.ts";

const MIB = 1024 * 1024;
const READY = { ready: true, draining: false, reasons: [] };
const FACTS = {
  serverName: "node-1", clusterName: "c", workers: 1, durability: "process",
  dataDirectory: "/data", storageLimitBytes: 1_000 * MIB, tableBytesMax: 512 * MIB,
  ringBytesMax: 128 * MIB,
  listeners: [{ name: "in", type: "otlp", address: "127.0.0.1:4318", tls: true }],
  forwarders: [],
};

function exampleReport(received = 2_000_000, uptimeSeconds = 100): StatusReport {
  const lane = new CounterBlock("lane", createCounterBlock("lane"));
  const door = new CounterBlock("door", createCounterBlock("door"));
  const forward = new CounterBlock("forward", createCounterBlock("forward"));
  lane.addAt(SPANS_RECEIVED, 0, received);
  lane.addAt(SPANS_KEPT, 0, 500_000);
  lane.addAt(SPANS_DROPPED, 0, received - 500_000 - 1_000);
  lane.addAt(SPANS_IN_FLIGHT, 0, 1_000);
  lane.addAt(OUTBOX_SPANS, 0, 500_000);
  lane.addAt(OUTBOX_BYTES, 0, 3 * MIB);
  lane.set(TRACES_LIVE, 950);
  lane.set(TRACE_ROWS_MAX, 1_000);
  for (let commit = 0; commit < 99; commit++) lane.observe(LOG_COMMIT_SECONDS, 0.0004);
  lane.observe(LOG_COMMIT_SECONDS, 0.04);
  door.addAt(REQUESTS_REFUSED, 0, 7);
  forward.addAt(FORWARD_BATCHES, batchIndex(0, 0), 3);
  forward.addAt(FORWARD_RETRIES, failureIndex(0, 1), 12);
  forward.addAt(FORWARD_IN_FLIGHT, 0, 4);
  return statusReport("1.2.3", READY, {
    lane: lane.cells, door: door.cells, forward: forward.cells, lanes: [lane.cells], staleBlocks: 0,
  }, {
    forwarders: [{ name: "backend", receives: true }],
    policySets: [[{ name: "all", samplerSlot: 0 }]],
  }, {
    facts: FACTS, uptimeSeconds, processId: 7, nodeVersion: "20.0.0", residentBytes: 200 * MIB,
    storageBytes: 100 * MIB, rings: [{ bytes: 0, capacityBytes: MIB }],
  });
}

const MEMBER: MemberReport = {
  name: "node-1", isSelf: false, shards: 1_365, capacity: 1, hasLease: true, linked: true,
  heard: true, waitedForMs: null, samePolicies: true, readsPolicies: true, waitingBytes: 0,
  rebalanceAddress: "10.0.0.1:2382", ingestAddress: "",
};
const CLUSTER: ClusterReport = {
  name: "shop", node: "node-2", operation: "join", epoch: 1_207, ready: true, mayDecide: true,
  frozen: false, closedShards: 0, nodesBehind: 0, membersRemoved: 0, takenOut: 0,
  leasesLost: 0, keepalivesFailed: 0, reconnects: 0,
  refusedHandshakes: 0, etcdEndpoints: ["http://10.0.0.1:2379"],
  exchange: {
    partsSent: 1, partsReceived: 1, partsRefused: 0, decisionsSent: 1, decisionsReceived: 1,
    framesHeld: 0,
  },
  members: [
    { ...MEMBER, linked: false, waitingBytes: 3 * MIB, ingestAddress: "10.0.0.1:4318" },
    { ...MEMBER, name: "node-2", isSelf: true, linked: false },
    { ...MEMBER, name: "node-3", shards: 1_366, heard: false, waitedForMs: 12_345 },
    { ...MEMBER, name: "node-4", shards: 0, samePolicies: false },
    {
      ...MEMBER, name: "node-5", shards: 0, hasLease: false, linked: false, samePolicies: false,
      readsPolicies: false,
    },
  ],
};

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/**
 * Something that answers everything with this, but for /cluster. @returns its address.
 * @param cluster what it answers there; 404 and nothing on a single node.
 */
async function answering(
  code: number, body: string, cluster: { code: number; body: string } = { code: 404, body: "" },
): Promise<string> {
  const server = createServer(({ url }, response) => {
    const answer = url === "/cluster" ? cluster : { code, body };
    response.writeHead(answer.code).end(answer.body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("the status page", () => {
  it("shows a gateway at one look: a golden page", () => {
    expect(statusPage(exampleReport(), null, new RecordedTerminal())).toBe(`\
tailrace 1.2.3: ready
  up        1 min 40 s, process 7, Node.js 20.0.0, server node-1
  storage   100 MiB of 1000 MiB (10 %) in /data, durability process
  memory    200 MiB resident; tables up to 512 MiB and rings up to 128 MiB of it

In
  spans     2,000,000 received, 20,000 a second since the start (otlp_http_protobuf 2,000,000)
  refused   0 spans, 7 requests (ring_full 7)
  listener  type  address
  in        otlp  127.0.0.1:4318 (TLS)

Lanes
  lane  live traces  rows used  ring  commits    mean      99 %  log  remembered
     0          950       95 %   0 %      100  0.8 ms  ≤ 0.5 ms  0 B           0

Judged, in spans
  forwarder   to judge     kept    dropped  in flight  lost
  backend    2,000,000  500,000  1,499,000      1,000     0

Delivered, in spans
  forwarder  to deliver  delivered  waiting  outbox  lost
  backend       500,000          0  500,000   3 MiB     0
  backend: 12 failed attempts to deliver (connect 12); 4 batches sent now or waiting for a retry

The balance closes: every span received is kept, dropped, in flight or lost for a named reason.
`);
  });

  it("shows rates of the time between two reports", () => {
    const page = statusPage(
      exampleReport(3_000_000, 110), exampleReport(), new RecordedTerminal());
    expect(page).toContain("3,000,000 received, 100,000 a second now");
  });

  it("says why a gateway is not ready, and when the books do not close", () => {
    const report = exampleReport();
    const page = (changes: Partial<StatusReport>): string => {
      return statusPage({ ...report, ready: false, ...changes }, null, new RecordedTerminal());
    };
    expect(page({ reasons: ["recovering the log"] })).toMatch(/not ready \(recovering the log\)/);
    expect(page({ draining: true, reasons: ["stopping"] })).toMatch(/: draining \(stopping\)/);
    expect(page({ balanceCloses: false })).toContain("THE BALANCE DOES NOT CLOSE");
    expect(page({ staleBlocks: 2 })).toContain("2 threads");
  });

  it("fits a narrow terminal", () => {
    const report = exampleReport();
    const [account] = report.balance.forwarders;
    const forwarders = [{ ...account!, forwarder: "n".repeat(60) }];
    const page = statusPage({ ...report, balance: { ...report.balance, forwarders } }, null,
      new RecordedTerminal(80));
    for (const line of page.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  it("survives its way through JSON", () => {
    const report = exampleReport();
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });
});

describe("tailrace status", () => {
  it("prints what the gateway answered with --json, and fails while it is not ready", async () => {
    const body = JSON.stringify({ ...exampleReport(), ready: false, reasons: ["recovering"] });
    const address = await answering(200, body);
    const terminal = new RecordedTerminal();
    expect(await status(inputOf(["--admin", `http://${address}/`, "--json"], terminal))).toBe(1);
    expect(terminal.output).toBe(body);
  });

  it.each([
    [200, "hello"], [200, "{}"], [200, JSON.stringify({ version: "0", ready: true })],
    [404, "nothing"], [500, "{\"error\":\"internal\",\"hint\":\"see log\"}"],
  ])("says that something else answers: %d %s", async (code, body) => {
    const address = await answering(code, body);
    const terminal = new RecordedTerminal();
    expect(await status(inputOf(["--admin", address], terminal))).toBe(1);
    expect(terminal.errors).toContain(`${address} answered ${code}`);
    expect(terminal.errors.trimEnd()).not.toContain("\n");
    expect(await explain(inputOf(["--admin", address, "a".repeat(32)], terminal))).toBe(1);
    expect(terminal.output).toBe("");
  });

  it("finds the address in the environment, and refuses to watch without a terminal", async () => {
    const env = { TAILRACE_ADMIN_ADDRESS: await answering(200, JSON.stringify(exampleReport())) };
    const terminal = new RecordedTerminal();
    expect(await status(inputOf([], terminal, { env }))).toBe(0);
    expect(terminal.output).toContain("tailrace 1.2.3: ready");
    expect(await status(inputOf(["--watch"], terminal, { env }))).toBe(2);
    expect(terminal.errors).toContain("--watch draws on a terminal");
  });
});

describe("the status of a node in a cluster", () => {
  const pageOf = (changes: Partial<ClusterReport>, columns = 100): string => statusPage(
    exampleReport(), null, new RecordedTerminal(columns), { ...CLUSTER, ...changes });

  it("has a section about it: a golden one", () => {
    expect(pageOf({})).toContain(`
Cluster
  cluster   shop, epoch 1,207; this is node-2 (join)
  state     ready, may decide, no shards closed
  member  shards  lease  link                waiting  awaited  takes spans at
  node-1   1,365  yes    down                  3 MiB        -  10.0.0.1:4318
  node-2   1,365  yes    -                       0 B        -  -
  node-3   1,366  yes    not heard               0 B   12.3 s  -
  node-4       0  yes    up, other policies      0 B        -  -
  node-5       0  no     policies unknown        0 B        -  -

Lanes
`);
  });

  it("says why it is not ready", () => {
    expect(pageOf({ ready: false, mayDecide: false })).toContain(
      "not ready, decides nothing: no lease in etcd, no shards closed");
    expect(pageOf({ ready: false, closedShards: 1 })).toContain(
      "not ready, may decide, 1 shard closed: it waits for other nodes' reports");
    expect(pageOf({ ready: false, closedShards: 1_024 })).toContain(
      "1,024 shards closed: they wait for");
    expect(pageOf({ ready: false, members: [MEMBER] })).toContain("not ready, not in the map,");
    expect(pageOf({ frozen: true })).toContain("ready, decides by a frozen map");
  });

  it("fits a narrow terminal", () => {
    for (const line of pageOf({ closedShards: 12 }, 80).split("\n")) {
      expect(line.length).toBeLessThanOrEqual(80);
    }
  });

  it("shows no control characters of another node's name", () => {
    expect(pageOf({ members: [{ ...MEMBER, name: "x\u001b[2J" }] })).not.toContain("\u001b");
    expect(pageOf({ name: "x\u001b[2J" })).not.toContain("\u001b");
  });

  it("is part of --json, and of the page that is asked for", async () => {
    const report = exampleReport();
    const address = await answering(
      200, JSON.stringify(report), { code: 200, body: JSON.stringify(CLUSTER) });
    const terminal = new RecordedTerminal();
    expect(await status(inputOf(["--admin", address, "--json"], terminal))).toBe(0);
    expect(JSON.parse(terminal.output)).toEqual({ ...report, cluster: CLUSTER });
    const page = new RecordedTerminal();
    expect(await status(inputOf(["--admin", address], page))).toBe(0);
    expect(page.output).toContain("shop, epoch 1,207; this is node-2 (join)");
  });

  it.each([[200, "{}"], [500, "{\"error\":\"internal\"}"], [200, "hello"]])(
    "is not known when something else comes, and the rest is shown: %d %s", async (code, body) => {
      const report = JSON.stringify(exampleReport());
      const address = await answering(200, report, { code, body });
      const page = new RecordedTerminal();
      expect(await status(inputOf(["--admin", address], page))).toBe(0);
      expect(page.output).toContain(`answered ${code} to /cluster`);
      expect(page.output).toContain("The balance closes");
      const json = new RecordedTerminal();
      expect(await status(inputOf(["--admin", address, "--json"], json))).toBe(0);
      expect(json.output).toBe(report);
      expect(json.errors).toContain(`answered ${code} to /cluster`);
    });

  it("is not mentioned by a single node", async () => {
    const address = await answering(200, JSON.stringify(exampleReport()));
    const terminal = new RecordedTerminal();
    expect(await status(inputOf(["--admin", address], terminal))).toBe(0);
    expect(terminal.output.toLowerCase()).not.toContain("cluster");
  });
});

describe("commands", () => {
  const run = async (argv: readonly string[]) => {
    const terminal = new RecordedTerminal();
    return { code: await runCommand(inputOf(argv, terminal)), ...terminal };
  };

  it.each(["check", "explain", "status"])("%s has a page of its own", async (name) => {
    const page = await run([name, "--help"]);
    expect(page).toMatchObject({ code: 0, errors: "" });
    expect(page.output).toContain(`Usage: tailrace ${name}`);
    expect(page.output).toContain("Exit codes");
    for (const line of page.output.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    expect((await run(["help", name])).output).toBe(page.output);
    expect((await run([name, "-h"])).output).toBe(page.output);
  });

  it("are listed by the overview", async () => {
    const { output } = await run(["help"]);
    for (const name of ["check", "explain", "status"]) expect(output).toContain(`tailrace ${name}`);
  });

  it.each([
    ["statsu", "did you mean status?"], ["", "there is no command \"\""],
    ["constructor", "there is no command"], ["seed", "The commands are check, explain, status"],
  ])("that do not exist are refused: %j", async (name, sentence) => {
    const { code, errors } = await run([name]);
    expect(code).toBe(2);
    expect(errors).toContain(sentence);
  });
});
