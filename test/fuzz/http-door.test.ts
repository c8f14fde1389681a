// Requests with random damage, in random pieces, against a real door on each engine: whatever is
// sent, the door lives, forgets it, answers in whole replies and serves the next client.

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Random } from "../support/random.ts";
import {
  ENGINES, RawClient, head, openDoor, pattern, until,
} from "../unit/front-door/door-harness.ts";

const random = Random.fromEnvironment();
console.log(`http door fuzz: TAILRACE_SEED=${random.seed}`);

const CONNECTIONS = 600;
const WIDTH = 16;
const ANSWER_MS = 40;
const STATUSES = [
  "100", "200", "204", "400", "403", "404", "405", "408", "413", "415", "431", "501", "503", "505",
];
const LINES = [
  "Content-Length: 5", "Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close",
  "Origin: https://shop.example", "Content-Encoding: gzip", "X-SF-Token: x", "Host: y",
  "Connection: upgrade", "Upgrade: h2c", "Trailer: X", "TE: trailers", ":", "\t", "a\tb: c",
];

function request(): Buffer {
  const body = pattern(random.below(2_000));
  if (random.chance(0.2)) return Buffer.from("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  if (random.chance(0.5)) {
    return Buffer.concat([Buffer.from(head([`Content-Length: ${body.length}`])), body]);
  }
  const pieces: Buffer[] = [Buffer.from(head(["Transfer-Encoding: chunked"]))];
  for (let at = 0; at < body.length;) {
    const piece = body.subarray(at, at + 1 + random.below(700));
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
    at += piece.length;
  }
  return Buffer.concat([...pieces, Buffer.from("0\r\n\r\n")]);
}

/** Does one of several kinds of damage; sometimes none. */
function damaged(whole: Buffer): Buffer {
  const at = random.below(whole.length + 1);
  switch (random.below(7)) {
    case 0: return whole.subarray(0, at);
    case 1: return Buffer.concat([whole.subarray(0, at), whole.subarray(random.below(at + 1))]);
    case 2: {
      const changed = Buffer.from(whole);
      for (let count = 1 + random.below(4); count > 0; count--) {
        changed[random.below(Math.min(changed.length, 200))] = random.below(256);
      }
      return changed;
    }
    case 3: {
      const line = LINES[random.below(LINES.length)]!;
      const lineEnd = whole.indexOf("\r\n") + 2;
      return Buffer.concat([
        whole.subarray(0, lineEnd), Buffer.from(`${line}\r\n`), whole.subarray(lineEnd),
      ]);
    }
    case 4: {
      const cut = [0x0d, 0x0a, 0x00, 0x20, 0x3a][random.below(5)]!;
      return Buffer.concat([whole.subarray(0, at), Buffer.from([cut]), whole.subarray(at)]);
    }
    default: return whole;
  }
}

/** Sends bytes in random pieces and returns what came back until then. */
async function converse(port: number, bytes: Buffer, breaks: boolean): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.on("data", (chunk) => { received += chunk.toString("latin1"); });
  socket.on("error", () => {}); // resets are what the other side answers with, too
  for (let at = 0; at < bytes.length && !socket.destroyed;) {
    const end = Math.min(bytes.length, at + 1 + random.below(1_500));
    socket.write(bytes.subarray(at, end));
    at = end;
    if (random.chance(0.3)) await sleep(1);
  }
  if (!breaks) await sleep(ANSWER_MS);
  if (random.chance(0.5)) socket.destroy();
  else socket.resetAndDestroy();
  return received;
}

/** Status codes of the replies; throws when the text is anything but whole replies. */
function repliesIn(text: string): string[] {
  const statuses: string[] = [];
  for (let rest = text; rest !== "";) {
    const found = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest);
    if (found === null) throw new Error(`no reply: ${JSON.stringify(rest.slice(0, 200))}`);
    const status = found[1]!;
    statuses.push(status);
    rest = rest.slice(found[0].length);
    const length = /^content-length: (\d+)\r$/im.exec(found[2]!)?.[1];
    if (length !== undefined) rest = rest.slice(Number(length));
    else if (/^transfer-encoding: chunked\r$/im.test(found[2]!)) rest = withoutEnd(rest);
    else if (Number(status) >= 400) return statuses; // what uws itself says, to the end
  }
  return statuses;
}

/** Node's own answer to a request without Host is an empty body in chunks. */
function withoutEnd(rest: string): string {
  if (!rest.startsWith("0\r\n\r\n")) throw new Error(`no body: ${JSON.stringify(rest)}`);
  return rest.slice("0\r\n\r\n".length);
}

describe.each(ENGINES)("a door on the engine %s", (engine) => {
  test("outlives whatever is sent to it", async () => {
    const harness = await openDoor({
      engine, listener: { allowedOrigins: ["https://shop.example"] },
    });
    const seen = new Map<string, number>();
    let left = CONNECTIONS;
    await Promise.all(Array.from({ length: WIDTH }, async () => {
      while (left-- > 0) {
        const requests = Array.from({ length: 1 + random.below(3) }, request);
        const bytes = damaged(Buffer.concat(requests));
        const answer = await converse(harness.port, bytes, random.chance(0.2));
        for (const status of repliesIn(answer)) seen.set(status, (seen.get(status) ?? 0) + 1);
      }
    }));
    expect([...seen.keys()].filter((status) => !STATUSES.includes(status))).toEqual([]);
    expect(seen.get("200")).toBeGreaterThan(CONNECTIONS / 10);
    expect(seen.get("400")).toBeGreaterThan(0);
    await until(() => harness.door.inFlight() === 0, "every request is forgotten");
    expect(harness.door.unfinishedBytes()).toBe(0);
    expect(harness.failures).toEqual([]);
    expect(harness.counters.failures).toBe(0);
    expect(harness.counters.staleCompletions).toBe(0);
    const client = new RawClient(harness.port);
    await client.send(`${head(["Content-Length: 3"])}abc`);
    expect((await client.reply()).status).toBe(200);
    client.destroy();
    await harness.end();
  }, 60_000);
});
