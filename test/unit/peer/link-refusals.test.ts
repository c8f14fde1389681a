import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import {
  createNonce, LINK_FORMAT, proofOf, type Answer, type Hello,
} from "../../../engine/peer/handshake.ts";
import type { PeerLinksOptions } from "../../../engine/peer/peer-links.ts";
import { Random } from "../../support/random.ts";
import { until } from "../../support/until.ts";
import { closeAll, framed, HOST, LinkNode, QUICK, RawAnswerer, RawDialer } from "./link-harness.ts";

const random = Random.fromEnvironment();
console.log(`link refusals: TAILRACE_SEED=${random.seed}`);

afterEach(closeAll);

function helloTo(node: LinkNode, changes: Partial<Hello> = {}): Hello {
  const { logId, incarnation } = node.self;
  return {
    tailrace: LINK_FORMAT, oldest: LINK_FORMAT, cluster: "shop", stream: 0,
    to: { logId, incarnation }, from: { name: "raw", logId: "log-raw", incarnation: "1" },
    nonce: createNonce(), ...changes,
  };
}

/** Does the whole handshake by hand. */
async function linked(node: LinkNode, secret = ""): Promise<RawDialer> {
  const dialer = new RawDialer(node.port);
  const hello = helloTo(node);
  dialer.socket.write(`${JSON.stringify(hello)}\n`);
  const answer = await dialer.line(0) as unknown as Answer;
  const proof = proofOf(secret, "dialer", hello, answer);
  dialer.socket.write(`${JSON.stringify({ proof })}\n`);
  expect(await dialer.line(1)).toEqual({ proof: proofOf(secret, "answerer", hello, answer) });
  return dialer;
}

describe("two nodes that do not belong together", () => {
  it.each<[string, Partial<PeerLinksOptions>, Partial<PeerLinksOptions>, string]>([
    ["secrets", { secret: "one" }, { secret: "two" }, "ClusterSecret is not the same"],
    ["a secret on one side", { secret: "one" }, { secret: "" }, "ClusterSecret is not the same"],
    ["cluster names", { cluster: "x" }, { cluster: "y" },
      "ClusterName is \"y\" at \"b\" and \"x\" at \"a\""],
  ])("because of their %s say so on both sides, once", async (_, ofA, ofB, words) => {
    const [a, b] = [await LinkNode.start("a", ofA), await LinkNode.start("b", ofB)];
    a.links.setPeers([b.as(2)]);
    await until(() => a.links.refusedHandshakes > 4 && b.links.refusedHandshakes > 4, "refused");
    for (const { told } of [a, b]) {
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({ level: "warn" });
      expect(told[0]?.message).toBe("a connection between nodes was refused");
      expect(told[0]?.fields["reason"]).toContain(words);
    }
    expect(a.told[0]?.fields).toMatchObject({ node: "b", address: `${HOST}:${b.port}` });
    expect(b.told[0]?.fields).toMatchObject({ node: ofA.cluster === undefined ? "a" : undefined });
    expect([...a.events, ...b.events]).toEqual([]);
  });

  it("are told of again after a while", async () => {
    const limits = { ...QUICK, tellAgainMs: 100 };
    const a = await LinkNode.start("a", { secret: "one", limits });
    const b = await LinkNode.start("b", { secret: "two" });
    a.links.setPeers([b.as(2)]);
    await until(() => a.told.length === 3, "told");
    expect(b.told).toHaveLength(1);
  });
});

describe("who dials", () => {
  it("with the secret and the words of a node is heard", async () => {
    const node = await LinkNode.start("b", { secret: "s" });
    const dialer = await linked(node, "s");
    dialer.socket.write(Buffer.concat([framed("one"), framed(""), framed("two")]));
    await until(() => node.taken.length === 2, "frames");
    expect(node.bodies(0)).toEqual(["one", "two"]);
    const acknowledged = (): number => Buffer.from(dialer.received, "latin1").subarray(-4)
      .readUInt32LE(0);
    await until(() => acknowledged() === 7 + 4 + 7, "acknowledged, with the ping");
  });

  it("and proves at once what only an answer allows is not", async () => {
    const node = await LinkNode.start("b", { secret: "s" });
    const dialer = new RawDialer(node.port);
    const hello = helloTo(node);
    const proof = proofOf("s", "dialer", hello, { tailrace: 1, from: node.self, nonce: "x" });
    dialer.socket.write(`${JSON.stringify(hello)}\n${JSON.stringify({ proof })}\n`);
    dialer.socket.write(framed("smuggled"));
    expect(await dialer.line(1)).toMatchObject({ refused: expect.stringContaining("Secret") });
    await until(() => dialer.isClosed, "closed");
    expect([node.taken, node.events]).toEqual([[], []]);
  });

  it("and plays an old proof back, or the node's own, is not", async () => {
    const node = await LinkNode.start("b", { secret: "s" });
    const first = new RawDialer(node.port);
    const hello = helloTo(node);
    first.socket.write(`${JSON.stringify(hello)}\n`);
    const answer = await first.line(0) as unknown as Answer;
    const proof = proofOf("s", "dialer", hello, answer);
    first.socket.write(`${JSON.stringify({ proof })}\n`);
    const own = await first.line(1);
    for (const played of [proof, String(own["proof"])]) {
      const second = new RawDialer(node.port);
      second.socket.write(`${JSON.stringify(hello)}\n${JSON.stringify({ proof: played })}\n`);
      expect(await second.line(1)).toMatchObject({ refused: expect.stringContaining("Secret") });
    }
    expect(node.events).toEqual(["inbound up log-raw 0"]);
  });

  it("in a newer format is told whom to upgrade, unless it speaks this one too", async () => {
    const node = await LinkNode.start("b");
    const newest = LINK_FORMAT + 1;
    const refused = new RawDialer(node.port);
    const hello = { ...helloTo(node, { tailrace: newest, oldest: newest }), stream: "new" };
    refused.socket.write(`${JSON.stringify(hello)}\n`);
    expect(await refused.line(0)).toEqual({
      refused: `"raw" speaks link format ${newest} or newer, "b" up to ${LINK_FORMAT}: upgrade "b"`,
    });
    const both = new RawDialer(node.port);
    both.socket.write(`${JSON.stringify(helloTo(node, { tailrace: newest }))}\n`);
    expect(await both.line(0)).toMatchObject({ tailrace: LINK_FORMAT, from: node.self });
  });

  it("and means another process gets no words", async () => {
    const node = await LinkNode.start("b");
    const dialer = new RawDialer(node.port);
    const to = { logId: node.self.logId, incarnation: "former" };
    dialer.socket.write(`${JSON.stringify(helloTo(node, { to }))}\n`);
    await until(() => dialer.isClosed, "closed");
    expect([dialer.received, node.told]).toEqual(["", []]);
  });

  it.each([
    ["another protocol", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["garbage with a line end", Buffer.from([0, 255, 10, 13])],
    ["a line without end", Buffer.alloc(100_000, "x")],
    ["a long line", `${"{".repeat(5_000)}\n`],
    ["frames", Buffer.concat([framed("\n"), framed("x")])],
  ])("with %s is answered in words and closed", async (_, bytes) => {
    const node = await LinkNode.start("b");
    const dialer = new RawDialer(node.port);
    dialer.socket.write(bytes);
    await until(() => dialer.isClosed, "closed");
    expect(dialer.received).toContain("ListenRebalanceAddress");
    expect(node.told).toHaveLength(1);
    expect(node.links.refusedHandshakes).toBe(1);
  });

  it("and then says half a word, or nothing, is closed after a while", async () => {
    const node = await LinkNode.start("b");
    const line = JSON.stringify(helloTo(node));
    const dialers = ["", line.slice(0, 40), `${line}\n`, `${line}\n{"proof"`].map((words) => {
      const dialer = new RawDialer(node.port);
      dialer.socket.write(words);
      return dialer;
    });
    await until(() => dialers.every(({ isClosed }) => isClosed), "closed");
    expect(node.links.counts.silentHandshakes).toBe(4);
    expect(node.told).toEqual([]);
  });

  it("among too many that have proved nothing is closed at once; nodes stay", async () => {
    const limits = { ...QUICK, unprovenMax: 3, handshakeMsMax: 2_000 };
    const [a, b] = [await LinkNode.start("a"), await LinkNode.start("b", { limits })];
    a.links.setPeers([b.as(2)]);
    await a.becomesUp(2);
    const idle = Array.from({ length: 8 }, () => new RawDialer(b.port));
    await until(() => b.links.counts.connectionsDropped === 5, "dropped");
    expect(idle.filter(({ isClosed }) => !isClosed).length).toBeGreaterThanOrEqual(3);
    a.links.send(2, 0, framed("still"));
    await until(() => b.taken.length === 1, "a frame");
    await until(() => idle.every(({ isClosed }) => isClosed), "the others' time is over");
    const next = await linked(b);
    expect(next.isClosed).toBe(false);
  });

  it("says a frame is larger than any is cut off", async () => {
    const node = await LinkNode.start("b");
    const dialer = await linked(node);
    const large = Buffer.alloc(4);
    large.writeUInt32LE(4 * 1024 * 1024, 0);
    dialer.socket.write(Buffer.concat([framed("fine"), large]));
    await until(() => dialer.isClosed, "closed");
    expect(node.bodies(0)).toEqual(["fine"]);
    expect(node.count("inbound down log-raw 0")).toBe(1);
  });

  it("sends anything else than a handshake: the node lives, and hears the next one", async () => {
    const node = await LinkNode.start("b", { limits: { ...QUICK, handshakeMsMax: 50 } });
    const whole = Buffer.from(`${JSON.stringify(helloTo(node))}\n{"proof":"${"x".repeat(44)}"}\n`);
    for (let round = 0; round < 200; round++) {
      const bytes = Buffer.from(whole.subarray(0, random.below(whole.length + 1)));
      for (let change = random.below(4); change > 0 && bytes.length > 0; change--) {
        bytes[random.below(bytes.length)] = random.below(256);
      }
      const socket = connect(node.port, HOST);
      socket.on("error", () => socket.destroy()); // resets are an answer, too
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + random.below(200);
        socket.write(bytes.subarray(at, end));
        at = end;
      }
      if (random.chance(0.5)) setTimeout(() => socket.destroy(), random.below(10));
      else socket.end();
      if (round % 20 === 0) await sleep(5);
    }
    await sleep(150);
    const dialer = await linked(node);
    dialer.socket.write(framed("well"));
    await until(() => node.bodies(0).includes("well"), "a frame");
    expect(node.taken).toHaveLength(1);
  });
});

describe("who answers", () => {
  async function dialing(
    answer: (line: string, socket: Socket) => string, secret = "",
  ): Promise<{ a: LinkNode; answerer: RawAnswerer }> {
    const answerer = await RawAnswerer.start((line, socket) => {
      const words = answer(line, socket);
      if (words !== "") socket.write(words);
    });
    const a = await LinkNode.start("a", { secret });
    a.links.setPeers([{
      number: 2, name: "b", logId: "log-b", incarnation: "1", address: `${HOST}:${answerer.port}`,
    }]);
    return { a, answerer };
  }

  const answerOf = (changes: object): string => {
    const from = { name: "b", logId: "log-b", incarnation: "1" };
    return `${JSON.stringify({ tailrace: LINK_FORMAT, from, nonce: createNonce(), ...changes })}\n`;
  };

  it("as another process is left before anything is proved to it", async () => {
    for (const from of [
      { name: "b", logId: "log-b", incarnation: "2" },
      { name: "b", logId: "log-x", incarnation: "1" },
    ]) {
      const lines: string[] = [];
      const { a, answerer } = await dialing((line) => {
        lines.push(line);
        return answerOf({ from });
      });
      await until(() => answerer.connections > 6, "dialed again and again");
      expect(lines.some((line) => line.includes("proof"))).toBe(false);
      expect(a.events).toEqual([]);
      await until(() => a.told.length > 0, "told");
      expect(a.told[0]?.fields["reason"]).toContain("another process");
    }
  });

  it("without knowing the secret is refused", async () => {
    const { a } = await dialing((line) => {
      return line.includes("proof") ? `${JSON.stringify({ proof: "x" })}\n` : answerOf({});
    }, "s");
    await until(() => a.links.refusedHandshakes > 1, "refused");
    expect(a.told.map(({ fields }) => fields["reason"]))
      .toEqual(["ClusterSecret is not the same on both nodes"]);
    expect(a.events).toEqual([]);
  });

  it("with the dialer's own words or proof gets nowhere", async () => {
    const { a, answerer } = await dialing((line) =>
      line.includes("proof") ? `${line}\n` : answerOf({}), "s");
    await until(() => answerer.connections > 4, "dialed again and again");
    expect(a.events).toEqual([]);
    const mirror = await dialing((line) => `${line}\n`, "s");
    await until(() => mirror.answerer.connections > 4, "dialed again and again");
    expect(mirror.a.events).toEqual([]);
  });

  it.each([
    ["garbage", "\0\n"], ["no end", "x".repeat(10_000)], ["another protocol", "220 mail\r\n"],
    ["a format that is none", answerOf({ tailrace: LINK_FORMAT + 1 })],
  ])("with %s is left", async (_, words) => {
    const { a, answerer } = await dialing(() => words);
    await until(() => answerer.connections > 4, "dialed again and again");
    expect(a.events).toEqual([]);
  });

  it("and acknowledges what was not sent is left", async () => {
    const hellos = new Map<Socket, Hello>();
    const nonce = createNonce();
    const from = { name: "b", logId: "log-b", incarnation: "1" };
    const { a } = await dialing((line, socket) => {
      const hello = hellos.get(socket);
      if (hello === undefined) {
        hellos.set(socket, JSON.parse(line) as Hello);
        return answerOf({ nonce });
      }
      const proof = proofOf("", "answerer", hello, { tailrace: LINK_FORMAT, from, nonce });
      return `${JSON.stringify({ proof })}\n\x05\0\0\0`;
    });
    await until(() => a.count("down 2 0") > 0 || a.count("down 2 1") > 0, "down");
    expect(a.told[0]?.fields["reason"]).toBe("it acknowledges what was not sent");
  });
});
