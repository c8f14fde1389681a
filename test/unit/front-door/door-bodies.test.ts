// How bodies arrive: whole, in pieces, too large, too slow, never. Raw sockets against a real door.

import { afterEach, describe, expect, test } from "vitest";
import {
  REQUEST_ABORTED, REQUEST_BODY_MEMORY, REQUEST_RING_FULL, REQUEST_TIMEOUT, REQUEST_TOO_LARGE,
} from "../../../engine/telemetry/label-values.ts";
import { statusBody } from "../../../engine/wire/otlp-proto/reply.ts";
import {
  ENGINES, type Harness, type HarnessOptions, RawClient, delay, head, openDoor, pattern, until,
} from "./door-harness.ts";

describe.each(ENGINES)("on the engine %s", (engine) => {
  let harness: Harness;
  const clients: RawClient[] = [];

  async function start(options: HarnessOptions = {}): Promise<void> {
    harness = await openDoor({ engine, ...options });
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
    expect(harness.counters.failures).toBe(0);
    await harness.end();
  });

  function chunked(pieces: readonly Buffer[]): Buffer {
    const parts: Buffer[] = [];
    for (const piece of pieces) {
      parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
    }
    return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
  }

  /** Sends `whole` in two packets, cut at `at`, on a connection of its own. */
  async function sendCut(whole: Buffer, at: number): Promise<number> {
    const made = client();
    await made.send(whole.subarray(0, at));
    await delay(4);
    await made.send(whole.subarray(at));
    const { status } = await made.reply();
    made.destroy();
    return status;
  }

  async function sendCutEverywhere(whole: Buffer, accept: (at: number) => number[]): Promise<void> {
    const atOnce = 32;
    for (let from = 1; from < whole.length; from += atOnce) {
      const cuts = Array.from(
        { length: Math.min(atOnce, whole.length - from) }, (_, index) => from + index,
      );
      const statuses = await Promise.all(cuts.map((at) => sendCut(whole, at)));
      cuts.forEach((at, index) => expect(accept(at), `cut at ${at}`).toContain(statuses[index]));
    }
  }

  test("a request cut anywhere into two packets is the same request", async () => {
    await start();
    const body = pattern(40);
    const start1 = head(["Content-Length: 40", "X-Other: value"]);
    const whole = Buffer.concat([Buffer.from(start1), body]);
    // uws answers 505 when the first packet ends behind a space of the request line or inside the
    // version. It is a fault of its version; nothing else may go wrong.
    const methodEnd = whole.indexOf(" ") + 1;
    const versionAt = whole.indexOf("HTTP/1.1");
    const lineEnd = whole.indexOf("\r\n") + 2;
    const inFault = (at: number) => at === methodEnd || (at >= versionAt && at < lineEnd);
    await sendCutEverywhere(whole, (at) => engine === "uws" && inFault(at) ? [200, 505] : [200]);
    const payloads = harness.payloads();
    expect(payloads.length).toBeGreaterThanOrEqual(whole.length - 1 - (1 + lineEnd - versionAt));
    for (const payload of payloads) expect(payload.body.equals(body)).toBe(true);
  });

  test("a chunked request cut anywhere behind its request line is the same request", async () => {
    await start();
    const pieces = [pattern(5), pattern(17), pattern(1)];
    const start1 = head(["Transfer-Encoding: chunked"]);
    const whole = Buffer.concat([Buffer.from(start1), chunked(pieces)]);
    const lineEnd = whole.indexOf("\r\n") + 2;
    await sendCutEverywhere(whole, (at) => {
      return engine === "uws" && at < lineEnd ? [200, 505] : [200];
    });
    const body = Buffer.concat(pieces);
    for (const payload of harness.payloads()) expect(payload.body.equals(body)).toBe(true);
  });

  test("large bodies in many packets and many tiny chunks arrive whole", async () => {
    await start();
    const body = pattern(400_000);
    const whole = client();
    await whole.send(head(["Content-Length: 400000"]));
    for (let at = 0; at < body.length; at += 30_000) {
      await whole.send(body.subarray(at, at + 30_000));
      await delay(1);
    }
    expect((await whole.reply()).status).toBe(200);
    const tiny = client();
    await tiny.send(head(["Transfer-Encoding: chunked"]));
    await tiny.send(chunked(Array.from({ length: 20_000 }, (_, at) => body.subarray(at, at + 1))));
    expect((await tiny.reply()).status).toBe(200);
    const [first, second] = harness.payloads();
    expect(first!.body.equals(body)).toBe(true);
    expect(second!.body.equals(body.subarray(0, 20_000))).toBe(true);
  });

  test("Expect: 100-continue is answered before the body", async () => {
    await start();
    const made = client();
    await made.send(head(["Expect: 100-continue", "Content-Length: 3"]));
    await delay(20);
    await made.send("abc");
    expect((await made.reply()).status).toBe(200);
    expect(harness.payloads()[0]!.body.toString()).toBe("abc");
  });

  test("a body announced as too large is answered 413 before it is sent", async () => {
    await start();
    const made = client();
    await made.send(head(["Content-Length: 400001"]));
    const reply = await made.reply();
    expect(reply.status).toBe(413);
    expect(reply.body).toEqual(
      Buffer.from(statusBody(8, "the body is larger than 400000 bytes")),
    );
    await made.send(pattern(400_001));
    await made.send(`${head(["Content-Length: 3"])}abc`);
    expect((await made.reply()).status).toBe(200);
    expect(harness.payloads().map((payload) => payload.body.toString())).toEqual(["abc"]);
    expect(harness.counters.discardedBytes).toBe(400_001);
    expect(harness.counters.refused[REQUEST_TOO_LARGE]).toBe(1);
  });

  test("a body announced as absurdly large ends its connection with the 413", async () => {
    await start();
    const made = client();
    await made.send(head(["Content-Length: 99999999999999"]));
    const reply = await made.reply();
    expect(reply.status).toBe(413);
    expect(reply.headers.get("connection")).toBe("close");
    await made.closed;
    // The engine itself refuses a number of more than 64 bits.
    const beyond = client();
    await beyond.send(head(["Content-Length: 99999999999999999999999"]));
    expect([400, 413]).toContain((await beyond.reply()).status);
    await beyond.closed;
  });

  test("a chunked body is answered 413 in the moment it grows too large", async () => {
    await start();
    const made = client();
    await made.send(head(["Transfer-Encoding: chunked"]));
    for (let piece = 0; piece < 4; piece++) {
      await made.send("186a0\r\n");
      await made.send(pattern(100_000));
      await made.send("\r\n");
    }
    await until(() => harness.door.unfinishedBytes() > 0, "the body is being assembled");
    await made.send("1\r\nx\r\n");
    const reply = await made.reply();
    expect(reply.status).toBe(413);
    expect(reply.headers.get("connection")).toBe("close");
    expect(harness.door.unfinishedBytes()).toBe(0);
    await made.send("1\r\nx\r\n0\r\n\r\n");
    expect(harness.payloads()).toEqual([]);
  });

  test("a client that goes away in the middle of a body leaves nothing behind", async () => {
    await start();
    const made = client();
    await made.send(head(["Content-Length: 300000"]));
    await made.send(pattern(100_000));
    await until(() => harness.door.unfinishedBytes() >= 100_000, "a part of the body is here");
    made.destroy();
    await until(() => harness.door.inFlight() === 0, "the request is forgotten");
    expect(harness.door.unfinishedBytes()).toBe(0);
    expect(harness.counters.refused[REQUEST_ABORTED]).toBe(1);
  });

  test("a client that goes away while a lane works gets no reply and disturbs nobody", async () => {
    await start();
    const [lane] = harness.lanes;
    lane!.paused = true;
    const gone = client();
    await gone.send(`${head(["Content-Length: 4"])}gone`);
    await until(() => harness.counters.payloads === 1, "the payload is with the lane");
    gone.destroy();
    await gone.closed;
    await delay(20);
    const stays = client();
    await stays.send(`${head(["Content-Length: 5"])}stays`);
    await until(() => harness.counters.payloads === 2, "both payloads are with the lane");
    expect(harness.door.inFlight()).toBe(2);
    lane!.paused = false;
    expect((await stays.reply()).status).toBe(200);
    await until(() => harness.door.inFlight() === 0, "both completions are back");
    expect(harness.payloads().map((payload) => payload.body.toString())).toEqual(["gone", "stays"]);
    expect(harness.counters.answered[0]).toBe(1);
    expect(harness.counters.staleCompletions).toBe(0);
  });

  test("a hundred stalled clients hold only what they sent while others are served", async () => {
    await start();
    const stalled = Array.from({ length: 100 }, () => client());
    await Promise.all(stalled.map((made) => made.send(head(["Content-Length: 390000"]) + "x")));
    await until(() => harness.door.inFlight() === 100, "all have begun");
    await until(() => harness.door.unfinishedBytes() === 100 * 4_096, "each holds one small block");
    const busy = client();
    for (let round = 0; round < 100; round++) {
      await busy.send(head(["Transfer-Encoding: chunked"]));
      await busy.send(chunked([pattern(50_000), pattern(50_000)]));
      expect((await busy.reply()).status).toBe(200);
    }
    expect(harness.payloads().length).toBe(100);
  });

  test("memory of unfinished bodies is bounded: who needs more gets 503, others pass", async () => {
    await start({ limits: { unfinishedBodyBytes: 300_000 } });
    const greedy = [client(), client(), client()];
    for (const made of greedy) {
      await made.send(head(["Content-Length: 200000"]));
      await made.send(pattern(100_000));
    }
    const refused = await Promise.race(greedy.map((made) => made.reply()));
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("7");
    expect(harness.door.unfinishedBytes()).toBeLessThanOrEqual(300_000);
    expect(harness.counters.refused[REQUEST_BODY_MEMORY]).toBeGreaterThan(0);
    const whole = client();
    await whole.send(`${head(["Content-Length: 3"])}abc`);
    expect((await whole.reply()).status).toBe(200);
  });

  test("full rings are answered 503, before the body where it is known, and recover", async () => {
    await start({ ringBytes: 1024 * 1024, limits: { laneRingCreditBytes: 600_000 } });
    const [lane] = harness.lanes;
    lane!.paused = true;
    const waiting = [client(), client()];
    for (const made of waiting) {
      await made.send(head(["Content-Length: 350000"]));
      await made.send(pattern(350_000));
    }
    await until(() => harness.counters.payloads === 2, "the ring is over its credit");
    const early = client();
    await early.send(head(["Content-Length: 3"]));
    const reply = await early.reply();
    expect(reply.status).toBe(503);
    expect(reply.headers.get("retry-after")).toBe("7");
    await early.send("abc");
    lane!.paused = false;
    for (const made of waiting) expect((await made.reply()).status).toBe(200);
    await early.send(`${head(["Content-Length: 3"])}abc`);
    expect((await early.reply()).status).toBe(200);
    expect(harness.counters.refused[REQUEST_RING_FULL]).toBe(1);
  });

  test("a complete body that finds no room in the ring is answered 503", async () => {
    await start({ ringBytes: 1024 * 1024, limits: { laneRingCreditBytes: 1_040_000 } });
    const [lane] = harness.lanes;
    lane!.paused = true;
    const made = [client(), client(), client()];
    for (const each of made) {
      await each.send(head(["Content-Length: 390000"]));
      await each.send(pattern(390_000));
    }
    await until(() => harness.counters.refused[REQUEST_RING_FULL] === 1, "the third is refused");
    lane!.paused = false;
    const replies = await Promise.all(made.map((each) => each.reply()));
    expect(replies.map((reply) => reply.status).toSorted()).toEqual([200, 200, 503]);
  });

  test("more requests at once than slots are answered 503", async () => {
    await start({ limits: { requestsMax: 2 } });
    const open = [client(), client()];
    for (const made of open) await made.send(head(["Content-Length: 3"]));
    await until(() => harness.door.inFlight() === 2, "both slots are taken");
    const third = client();
    await third.send(`${head(["Content-Length: 3"])}abc`);
    expect((await third.reply()).status).toBe(503);
    for (const made of open) {
      await made.send("abc");
      expect((await made.reply()).status).toBe(200);
    }
  });

  test("a body that trickles past its time is answered 408 and cut off", async () => {
    await start({ limits: { bodyMs: 300 } });
    const made = client();
    await made.send(head(["Content-Length: 1000"]));
    const timer = setInterval(() => void made.send("x"), 50);
    try {
      expect((await made.reply()).status).toBe(408);
      await made.closed;
    } finally {
      clearInterval(timer);
    }
    expect(harness.counters.refused[REQUEST_TIMEOUT]).toBe(1);
  });

  test("a second request before the first is answered is answered after it, or ends its "
    + "connection only", async () => {
    await start();
    const [lane] = harness.lanes;
    lane!.paused = true;
    const impatient = client();
    await impatient.send(`${head(["Content-Length: 3"])}one`);
    await until(() => harness.counters.payloads === 1, "the first is with the lane");
    await impatient.send(`${head(["Content-Length: 3"])}two`);
    if (engine === "uws") await impatient.closed;
    else await until(() => harness.counters.payloads === 2, "the second is with the lane, too");
    lane!.judge = ({ body }) => body.toString() === "one" ? [1, 7, 0] : [0, 0, 0];
    lane!.paused = false;
    if (engine === "node") {
      expect((await impatient.reply()).body.toString()).toContain("7 spans have");
      expect((await impatient.reply()).body.length).toBe(0);
    }
    const patient = client();
    await patient.send(`${head(["Content-Length: 3"])}six`);
    expect((await patient.reply()).status).toBe(200);
  });
});
