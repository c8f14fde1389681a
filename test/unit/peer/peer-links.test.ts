import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Random } from "../../support/random.ts";
import { until } from "../../support/until.ts";
import { closeAll, framed, HOST, LinkNode, QUICK, Way } from "./link-harness.ts";

const random = Random.fromEnvironment();
console.log(`peer links: TAILRACE_SEED=${random.seed}`);

afterEach(closeAll);

async function pair(): Promise<[LinkNode, LinkNode]> {
  const [a, b] = await Promise.all([LinkNode.start("a"), LinkNode.start("b")]);
  a.links.setPeers([b.as(2)]);
  await a.becomesUp(2);
  return [a, b];
}

describe("two nodes", () => {
  it("have two connections each way, and hear whom frames are from", async () => {
    const a = await LinkNode.start("a", { secret: "s3cret" }, "run-7");
    const b = await LinkNode.start("b", { secret: "s3cret" });
    a.links.setPeers([b.as(2)]);
    b.links.setPeers([a.as(5)]);
    await Promise.all([a.becomesUp(2), b.becomesUp(5)]);
    a.links.send(2, 0, framed("parts"));
    a.links.send(2, 1, framed("decisions"));
    b.links.send(5, 1, framed("back"));
    await until(() => b.taken.length === 2 && a.taken.length === 1, "frames");
    const sender = { logId: "log-a", incarnation: "run-7" };
    expect(b.taken.find(({ stream }) => stream === 0))
      .toEqual({ ...sender, stream: 0, bytes: framed("parts") });
    expect(b.taken.find(({ stream }) => stream === 1))
      .toEqual({ ...sender, stream: 1, bytes: framed("decisions") });
    expect(a.taken[0]).toMatchObject({ logId: "log-b", stream: 1, bytes: framed("back") });
    expect([...b.events].sort()).toEqual(
      ["inbound up log-a 0", "inbound up log-a 1", "up 5 0", "up 5 1"]);
    await until(() => a.links.waitingBytes(2, 0) === 0, "acknowledged");
    await until(() => a.links.waitingBytes(2, 1) === 0, "acknowledged");
    expect(a.links.counts).toMatchObject({
      framesSent: 2, framesTaken: 1, bytesSent: 9 + 13, bytesTaken: 8, reconnects: 0, linksLost: 0,
    });
    expect([...a.told, ...b.told]).toEqual([]);
  });

  it("exchange thousands of frames of any size, in order on each stream", async () => {
    const [a, b] = await pair();
    // Now and then there is no room, for one stream or the other.
    let refused = 0;
    b.accepts = ({ stream }) => {
      const isTaken = !random.chance(stream === 0 ? 0.02 : 0.01);
      if (!isTaken) refused++;
      return isTaken;
    };
    const resuming = setInterval(() => b.links.resume(), 1);
    const sent: string[][] = [[], []];
    for (let count = 0; count < 6_000; count++) {
      const stream = random.below(2);
      const size = random.chance(0.01) ? random.below(300_000) : random.below(600);
      const body = `${count} ${"x".repeat(size)}`;
      sent[stream]!.push(body);
      a.links.send(2, stream, framed(body));
      if (random.chance(0.01)) await sleep(random.below(3));
    }
    await until(() => b.taken.length === 6_000, () => `${b.taken.length} of 6000 came`);
    clearInterval(resuming);
    for (const stream of [0, 1]) {
      expect(b.bodies(stream).map((body) => body.split(" ")[0]))
        .toEqual(sent[stream]!.map((body) => body.split(" ")[0]));
      expect(b.bodies(stream).every((body, index) => body === sent[stream]![index])).toBe(true);
      await until(() => a.links.waitingBytes(2, stream) === 0, "all acknowledged");
    }
    expect(refused).toBeGreaterThan(0);
    expect(b.links.counts.framesHeld).toBe(refused);
    expect(a.links.counts.linksLost).toBe(0);
  });
});

describe("a frame that finds no room", () => {
  it("is offered again at resume before those behind it, and then acknowledged", async () => {
    const [a, b] = await pair();
    let hasRoom = false;
    const offered: string[] = [];
    b.accepts = ({ stream, bytes }) => {
      if (stream === 0) offered.push(bytes.toString("latin1", 4));
      return stream === 1 || hasRoom;
    };
    for (const body of ["first", "second"]) a.links.send(2, 0, framed(body));
    await until(() => offered.length > 0, "an offer");
    a.links.send(2, 1, framed("decision"));
    await until(() => b.bodies(1).length === 1, "the other stream goes on");
    await until(() => a.links.waitingBytes(2, 1) === 0, "the other stream is acknowledged");
    expect(offered).toEqual(["first"]);
    expect(a.links.waitingBytes(2, 0)).toBe(9 + 10);
    expect(a.links.stalledMs).toBeGreaterThan(0);
    b.links.resume();
    b.links.resume();
    expect(offered).toEqual(["first", "first", "first"]);
    hasRoom = true;
    b.links.resume();
    await until(() => a.links.waitingBytes(2, 0) === 0, "acknowledged");
    expect(b.bodies(0)).toEqual(["first", "second"]);
    expect(a.links.stalledMs).toBe(0);
  });

  it("stops the sender's bytes in the system, not in this process", async () => {
    const [a, b] = await pair();
    b.accepts = () => false;
    const frame = framed(Buffer.alloc(256 * 1024, 1));
    for (let count = 0; count < 256; count++) a.links.send(2, 0, frame);
    await until(() => b.links.counts.framesHeld === 1, "held");
    const before = process.memoryUsage().arrayBuffers;
    await sleep(300);
    expect(a.links.waitingBytes(2, 0)).toBeGreaterThanOrEqual(256 * frame.length);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect(b.links.counts.framesHeld).toBe(1);
    b.accepts = () => true;
    b.links.resume();
    await until(() => a.links.waitingBytes(2, 0) === 0, "acknowledged");
    expect(b.taken).toHaveLength(256);
  });

  it("keeps what cannot leave, though its memory is used again when the sender was told so",
    async () => {
      const [a, b] = await pair();
      b.accepts = () => false;
      const bodies = Array.from({ length: 200 }, (_, count) => `${count} ${"x".repeat(100_000)}`);
      let kept = 0;
      let memory = new Uint8Array();
      for (const body of bodies) {
        const frame = framed(body);
        if (memory.length < frame.length) memory = new Uint8Array(2 * frame.length);
        memory.set(frame);
        if (a.links.send(2, 0, memory.subarray(0, frame.length))) continue;
        memory = new Uint8Array();
        kept++;
      }
      expect(kept).toBe(1);
      b.accepts = () => true;
      b.links.resume();
      await until(() => b.taken.length === bodies.length, "all frames");
      expect(b.bodies(0)).toEqual(bodies);
    });

  it("costs no connection, however long it waits", async () => {
    const options = { silenceMsMax: 200 };
    const [a, b] = [await LinkNode.start("a", options), await LinkNode.start("b", options)];
    let hasRoom = false;
    b.accepts = () => hasRoom;
    a.links.setPeers([b.as(2)]);
    await a.becomesUp(2);
    a.links.send(2, 0, framed("patient"));
    await sleep(700);
    hasRoom = true;
    b.links.resume();
    await sleep(300);
    expect(b.bodies(0)).toEqual(["patient"]);
    expect([a.links.counts.linksLost, b.links.counts.linksLost]).toEqual([0, 0]);
    expect(a.events).toHaveLength(2);
  });

  it("of a lost connection is never taken, and what comes over the next one is", async () => {
    const [a, b] = [await LinkNode.start("a"), await LinkNode.start("b")];
    const way = await Way.to(b.port);
    b.accepts = ({ bytes }) => bytes.toString("latin1", 4) !== "old";
    a.links.setPeers([b.as(2, way.port)]);
    await a.becomesUp(2);
    a.links.send(2, 0, framed("old"));
    a.links.send(2, 0, framed("behind it"));
    await until(() => b.links.counts.framesHeld === 1, "held");
    way.cut();
    await until(() => a.count("up 2 0") === 2, "up again");
    a.links.send(2, 0, framed("new"));
    await until(() => b.taken.length === 1, "the new frame");
    b.accepts = () => true;
    b.links.resume();
    await sleep(50);
    expect(b.bodies(0)).toEqual(["new"]);
  });
});

describe("what is sent to a node that is not up", () => {
  it("is gone, and so is what is sent to nobody", async () => {
    const a = await LinkNode.start("a");
    const b = await LinkNode.start("b");
    a.links.send(2, 0, framed("nobody"));
    a.links.setPeers([b.as(2)]);
    a.links.send(2, 0, framed("too early"));
    a.links.send(2, 7, framed("no such stream"));
    expect([a.links.waitingBytes(2, 0), a.links.isUp(2, 0), a.links.isUp(3, 0)])
      .toEqual([0, false, false]);
    a.links.reset(3, 0);
    await a.becomesUp(2);
    a.links.send(2, 0, framed("now"));
    await until(() => b.taken.length === 1, "a frame");
    expect(b.bodies(0)).toEqual(["now"]);
  });

  it("does not count as acknowledged when its connection is lost", async () => {
    const [a, b] = await pair();
    b.accepts = () => false;
    a.links.send(2, 0, framed("unheard"));
    await until(() => b.links.counts.framesHeld === 1, "held");
    const waiting = a.links.waitingBytes(2, 0);
    await b.links.close();
    await until(() => !a.links.isUp(2, 0), "down");
    expect(a.links.waitingBytes(2, 0)).toBeGreaterThanOrEqual(waiting);
  });
});

describe("a sender", () => {
  it("gives up a connection on which too much waits, and tells", async () => {
    const limits = { ...QUICK, waitingBytesMax: 100_000 };
    const a = await LinkNode.start("a", { limits });
    const b = await LinkNode.start("b");
    b.accepts = () => false;
    a.links.setPeers([b.as(2)]);
    await a.becomesUp(2);
    for (let count = 0; count < 30; count++) a.links.send(2, 0, framed(Buffer.alloc(10_000)));
    await until(() => a.count("down 2 0") === 1, "down");
    expect(a.told[0]?.fields["reason"]).toBe("it takes too little of what comes");
    expect(a.count("down 2 1")).toBe(0);
    await a.becomesUp(2);
  });

  it("can give one up itself, and has another", async () => {
    const [a, b] = await pair();
    a.links.reset(2, 1);
    expect(a.links.isUp(2, 1)).toBe(false);
    a.links.send(2, 1, framed("between"));
    await until(() => a.count("up 2 1") === 2, "up again");
    a.links.send(2, 1, framed("after"));
    await until(() => b.taken.length === 1, "a frame");
    expect(b.bodies(1)).toEqual(["after"]);
    expect(a.events).toEqual(expect.arrayContaining(["up 2 0", "down 2 1"]));
    expect(a.count("down 2 0")).toBe(0);
  });
});

describe("the end", () => {
  it("comes at once during traffic, calls nothing afterwards and frees the port", async () => {
    const [a, b] = await pair();
    b.links.setPeers([a.as(1)]);
    await b.becomesUp(1);
    b.accepts = () => random.chance(0.9);
    const sending = setInterval(() => {
      for (let count = 0; count < 50; count++) {
        a.links.send(2, count % 2, framed(Buffer.alloc(20_000)));
        b.links.send(1, count % 2, framed(Buffer.alloc(20_000)));
      }
      b.links.resume();
    }, 1);
    await until(() => b.taken.length > 200, "traffic");
    for (const node of [a, b]) {
      const began = performance.now();
      await node.links.close();
      expect(performance.now() - began).toBeLessThan(500); // 100 ms, and a busy machine
      const events = node.events.length;
      const taken = node.taken.length;
      await sleep(60);
      expect([node.events.length, node.taken.length]).toEqual([events, taken]);
      node.links.setPeers([a.as(1), b.as(2)]);
      expect(node.links.isUp(1, 0)).toBe(false);
    }
    clearInterval(sending);
    const next = await LinkNode.start("b", { listen: { host: HOST, port: b.port } });
    expect(next.port).toBe(b.port);
    await b.links.close(); // again does nothing
  });

  it("lets frames leave that were sent before", async () => {
    const [a, b] = await pair();
    for (let count = 0; count < 100; count++) a.links.send(2, 1, framed(Buffer.alloc(1_000)));
    await a.links.close();
    await until(() => b.bodies(1).length === 100, () => `${b.taken.length} frames`);
  });
});
