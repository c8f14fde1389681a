// Which engine serves what, and what only Node's engine does: uws refuses HTTP/1.0 and ends a
// connection at its second request, and nothing tells us what it refuses by itself.

import { afterEach, describe, expect, test } from "vitest";
import {
  REQUEST_ABORTED, REQUEST_BAD_HTTP, REQUEST_UNAVAILABLE, statusIndex,
} from "../../../engine/telemetry/label-values.ts";
import { PIPELINED_MAX } from "../../../engine/front-door/door-limits.ts";
import {
  HAS_UWS, type Harness, type HarnessOptions, RawClient, delay, head, openDoor, pattern, until,
} from "./door-harness.ts";

let harness: Harness;
const clients: RawClient[] = [];

async function start(options: HarnessOptions = {}): Promise<void> {
  harness = await openDoor({ engine: "node", ...options });
}

function client(): RawClient {
  const made = new RawClient(harness.port);
  clients.push(made);
  return made;
}

afterEach(async () => {
  for (const made of clients.splice(0)) made.destroy();
  await until(() => harness.door.unfinishedBytes() === 0, "all memory of bodies is given back");
  await until(() => harness.door.inFlight() === 0, "all requests end");
  expect(harness.failures).toEqual([]);
  await harness.end();
});

describe("the engine", () => {
  test.runIf(HAS_UWS)("is the one that was chosen", async () => {
    await start();
    expect(harness.door.engineOf("otlp")).toBe("node");
    await harness.end();
    await start({ engine: "uws" });
    expect(harness.door.engineOf("otlp")).toBe("uws");
    expect(harness.logged).toEqual([]);
  });

  test("is Node's where uWebSockets.js cannot be loaded, and one line says so", async () => {
    const missing = new Error("This version of uWS.js supports other versions\nof Node.js");
    await start({ engine: "uws", loadUws: () => Promise.reject(missing) });
    expect(harness.door.engineOf("otlp")).toBe("node");
    expect(harness.logged.map(({ level }) => level)).toEqual(["warn"]);
    expect(harness.logged[0]!.message).toContain("uWebSockets.js cannot be loaded");
    expect(harness.logged[0]!.fields).toMatchObject({
      node: process.version, error: "This version of uWS.js supports other versions",
    });
    const made = client();
    await made.send(`${head(["Content-Length: 3"])}abc`);
    expect((await made.reply()).status).toBe(200);
  });

  test("uWebSockets.js is not even loaded when it is not asked for", async () => {
    let loaded = 0;
    await start({ loadUws: () => { loaded++; return Promise.reject(new Error("no")); } });
    expect(loaded).toBe(0);
  });
});

describe("Node's engine", () => {
  test("answers HTTP/1.0 clients, whole, and ends their connection", async () => {
    await start();
    const made = client();
    await made.send("POST /v1/traces HTTP/1.0\r\nContent-Type: application/json\r\n"
      + "Content-Length: 3\r\n\r\nabc");
    const reply = await made.reply();
    expect([reply.status, reply.body.toString()]).toEqual([200, "{}"]);
    await made.closed;
    const check = client();
    await check.send("GET /healthz HTTP/1.0\r\n\r\n");
    expect((await check.reply()).body.toString()).toBe("OK");
    await check.closed;
  });

  test("refuses what two readers could read differently, counts it and ends the connection",
    async () => {
      await start();
      const heads = [
        ["Content-Length: 3", "Content-Length: 4"], ["Content-Length: 3", "Content-Length: 3"],
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 3"], ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: chunked, identity"], ["Content-Length : 3"], ["X: a\r\n folded"],
        ["X: a\0b"], ["Content-Length: 3 3"],
      ];
      for (const lines of heads) {
        const made = client();
        await made.send(`${head(lines)}0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`);
        const { status } = await made.reply();
        expect([400, 501], JSON.stringify(lines)).toContain(status);
        await made.closed;
        await expect(made.reply(), JSON.stringify(lines)).rejects.toThrow("without a reply");
      }
      expect(harness.payloads()).toEqual([]);
      expect(harness.counters.refused[REQUEST_BAD_HTTP]).toBeGreaterThan(heads.length - 4);
    });

  test("refuses a chunk without a size in the middle of a body, and forgets the body", async () => {
    await start();
    const made = client();
    await made.send(`${head(["Transfer-Encoding: chunked"])}3\r\nabc\r\n`);
    await until(() => harness.door.inFlight() === 1, "the body has begun");
    await made.send("zz\r\nabc\r\n0\r\n\r\n");
    expect((await made.reply()).status).toBe(400);
    await made.closed;
    expect(harness.counters.refused[REQUEST_BAD_HTTP]).toBe(1);
    expect(harness.counters.refused[REQUEST_ABORTED]).toBe(0);
    expect(harness.payloads()).toEqual([]);
  });

  test("refuses headers beyond 16 KiB, few large ones and many small ones", async () => {
    await start();
    const many = Array.from({ length: 2_000 }, (_, index) => `X-${index}: y`);
    for (const lines of [[`X: ${"y".repeat(17_000)}`], many]) {
      const made = client();
      await made.send(head([...lines, "Content-Length: 0"]));
      expect((await made.reply()).status).toBe(431);
      await made.closed;
    }
    expect(harness.counters.answered[statusIndex(431)]).toBe(2);
    expect(harness.counters.refused[REQUEST_BAD_HTTP]).toBe(2);
  });

  test("reads every header, however many came before it", async () => {
    await start({ listener: { acceptTokens: ["token"] } });
    const many = Array.from({ length: 2_500 }, () => "a:");
    const made = client();
    await made.send(`${head([...many, "X-SF-Token: token", "Content-Length: 3"])}abc`);
    expect((await made.reply()).status).toBe(200);
  });

  test("asks for a body only when it wants it", async () => {
    await start();
    const wanted = client();
    await wanted.send(head(["Expect: 100-continue", "Content-Length: 3"]));
    let answer = "";
    wanted.socket.on("data", (chunk) => { answer += chunk.toString("latin1"); });
    await until(() => answer.startsWith("HTTP/1.1 100 Continue"), "the client is told to go on");
    await wanted.send("abc");
    expect((await wanted.reply()).status).toBe(200);
    const refused = client();
    await refused.send(head(["Expect: 100-continue", "Content-Length: 400001"]));
    expect((await refused.reply()).status).toBe(413);
    await refused.closed; // the body may come or not: nobody could tell it from a request
    expect(harness.payloads().map(({ body }) => body.toString())).toEqual(["abc"]);
  });

  test("answers pipelined requests in their order, refused ones among them", async () => {
    await start();
    const [lane] = harness.lanes;
    lane!.paused = true;
    lane!.judge = ({ body }) => [1, Number(body.toString()), 0];
    const made = client();
    const requests = Array.from({ length: 10 }, (_, index) => {
      return index % 3 === 2
        ? head(["Content-Length: 3"], "text/plain") + "abc"
        : head(["Content-Length: 1"], "application/json") + String(index + 1).slice(0, 1);
    });
    await made.send(requests.join(""));
    await until(() => harness.counters.payloads === 7, "those that are taken are with the lane");
    lane!.paused = false;
    for (let index = 0; index < 10; index++) {
      const reply = await made.reply();
      if (index % 3 === 2) {
        expect(reply.status).toBe(415);
        continue;
      }
      const { partialSuccess } = JSON.parse(reply.body.toString()) as {
        partialSuccess: { rejectedSpans: string };
      };
      expect(partialSuccess.rejectedSpans).toBe(String(index + 1).slice(0, 1));
    }
  });

  test("answers what was pipelined before a drain ends the connection, and takes nothing after",
    async () => {
      await start();
      harness.lanes[0]!.paused = true;
      const made = client();
      await made.send(`${head(["Content-Length: 1"])}1${head(["Content-Length: 1"])}2`);
      await until(() => harness.counters.payloads === 2, "both are with the lane");
      harness.door.beginDrain();
      harness.lanes[0]!.paused = false;
      const [first, second] = [await made.reply(), await made.reply()];
      expect([first.status, second.status]).toEqual([200, 200]);
      expect(first.headers.get("connection")).not.toBe("close");
      expect(second.headers.get("connection")).toBe("close");
      await made.closed;
      const late = client();
      const health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
      await late.send(`${health}${head(["Content-Length: 1"])}3`);
      expect((await late.reply()).status).toBe(404);
      await late.closed;
      expect(harness.payloads().map(({ body }) => body.toString())).toEqual(["1", "2"]);
    });

  test("ends a connection with more unanswered requests than one may have", async () => {
    await start();
    harness.lanes[0]!.paused = true;
    const made = client();
    await made.send(`${head(["Content-Length: 1"])}x`.repeat(PIPELINED_MAX + 20));
    await made.closed;
    expect(harness.counters.payloads).toBe(PIPELINED_MAX);
    expect(harness.counters.refused[REQUEST_UNAVAILABLE]).toBe(1);
    const other = client();
    await other.send(`${head(["Content-Length: 1"])}x`);
    await until(() => harness.counters.payloads === PIPELINED_MAX + 1, "others are served");
    harness.lanes[0]!.paused = false;
    expect((await other.reply()).status).toBe(200);
  });

  test("reads away no more of a refused body than is bounded", async () => {
    await start();
    const made = client();
    await made.send(head(["Transfer-Encoding: chunked"], "text/plain"));
    expect((await made.reply()).status).toBe(415);
    const piece = pattern(1_000_000);
    for (let count = 0; count < 100 && !made.isClosed; count++) {
      await made.send("f4240\r\n");
      await made.send(piece);
      await made.send("\r\n");
    }
    await made.closed;
    expect(harness.counters.discardedBytes).toBeGreaterThan(64_000_000);
    expect(harness.counters.discardedBytes).toBeLessThan(70_000_000);
  });

  test("does not take a lane's silence for the client's, and ends a silent client", async () => {
    await start();
    harness.lanes[0]!.paused = true;
    const waits = client();
    await waits.send(`${head(["Content-Length: 3"])}abc`);
    const stalls = client();
    await stalls.send(`${head(["Content-Length: 3"])}a`);
    const idle = client();
    await idle.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    await idle.reply();
    const mute = client();
    const halfway = client();
    await halfway.send(head(["Content-Length: 3"]).slice(0, 40));
    await Promise.all([stalls.closed, idle.closed, mute.closed, halfway.closed]);
    expect(waits.isClosed).toBe(false);
    harness.lanes[0]!.paused = false;
    expect((await waits.reply()).status).toBe(200);
    expect(harness.counters.refused[REQUEST_ABORTED]).toBe(1);
  }, 30_000);

  test("survives clients that are cut off at every point of a request and its answer", async () => {
    await start();
    const whole = Buffer.concat([Buffer.from(head(["Content-Length: 50"])), pattern(50)]);
    for (let at = 0; at <= whole.length; at += 3) {
      const made = client();
      await made.send(whole.subarray(0, at));
      if (at % 2 === 0) await delay(1);
      made.socket.resetAndDestroy();
    }
    await delay(50);
    const made = client();
    await made.send(whole);
    expect((await made.reply()).status).toBe(200);
  });
});
