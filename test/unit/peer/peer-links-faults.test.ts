import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import { Random } from "../../support/random.ts";
import { until } from "../../support/until.ts";
import { closeAll, framed, HOST, LinkNode, Way } from "./link-harness.ts";

const random = Random.fromEnvironment();
console.log(`peer links, faults: TAILRACE_SEED=${random.seed}`);

afterEach(closeAll);

describe("a connection that is cut", () => {
  it("is dialed again, once it is told", async () => {
    const [a, b] = [await LinkNode.start("a"), await LinkNode.start("b")];
    const way = await Way.to(b.port);
    a.links.setPeers([b.as(2, way.port)]);
    for (let round = 1; round <= 3; round++) {
      await until(() => a.count("up 2 0") === round && a.count("up 2 1") === round, "up");
      a.links.send(2, 0, framed(`round ${round}`));
      await until(() => b.taken.length === round, "a frame");
      way.cut();
      await until(() => a.count("down 2 0") === round && a.count("down 2 1") === round, "down");
    }
    expect(b.bodies(0)).toEqual(["round 1", "round 2", "round 3"]);
    expect(a.links.counts).toMatchObject({ linksLost: 6 });
    expect(a.links.reconnects).toBeGreaterThanOrEqual(4);
    expect(a.told.map(({ message }) => message))
      .toEqual(["the connection to another node was lost; it is dialed again"]);
    expect(a.told[0]?.fields).toMatchObject({ node: "b", reason: expect.any(String) });
    await until(() => b.count("inbound down log-a 0") >= 3, "the other side sees it");
  });

  it("at any moment leaves a beginning of what was sent, and no frame twice", async () => {
    const [a, b] = [await LinkNode.start("a"), await LinkNode.start("b")];
    const way = await Way.to(b.port);
    a.links.setPeers([b.as(2, way.port)]);
    for (let round = 0; round < 20; round++) {
      await a.becomesUp(2);
      const before = b.bodies(0).length;
      for (let count = 0; count < 200; count++) {
        a.links.send(2, 0, framed(`${round}/${count} ${"x".repeat(random.below(3_000))}`));
      }
      await sleep(random.below(8));
      const lost = a.count("down 2 0");
      way.cut();
      await until(() => a.count("down 2 0") > lost, "down");
      await sleep(5);
      const numbers = b.bodies(0).slice(before).map((body) => body.split(" ")[0]);
      expect(numbers).toEqual(numbers.map((_, index) => `${round}/${index}`));
    }
  });
});

describe("a node that says nothing", () => {
  const options = { silenceMsMax: 200 };

  it.each([
    ["nothing reaches it", true, false], ["nothing comes back", false, true],
    ["the way is dead", true, true],
  ])("is cut off when %s, and is found again", async (_, there, back) => {
    const [a, b] = [await LinkNode.start("a", options), await LinkNode.start("b", options)];
    const way = await Way.to(b.port);
    a.links.setPeers([b.as(2, way.port)]);
    await a.becomesUp(2);
    const began = performance.now();
    way.silence(there, back);
    await until(() => a.count("down 2 0") === 1 && a.count("down 2 1") === 1, "down");
    expect(performance.now() - began).toBeLessThan(2_000);
    if (there) await until(() => b.count("inbound down log-a 0") === 1, "seen by the receiver");
    way.silence(false, false);
    way.cut();
    await a.becomesUp(2);
  });

  it("for want of anything to say stays connected", async () => {
    const [a, b] = [await LinkNode.start("a", options), await LinkNode.start("b", options)];
    a.links.setPeers([b.as(2)]);
    await a.becomesUp(2);
    await sleep(900);
    expect([a.links.counts.linksLost, b.links.counts.linksLost]).toEqual([0, 0]);
    expect(a.links.waitingBytes(2, 0)).toBeLessThanOrEqual(4);
    expect(b.taken).toEqual([]); // pings are no frames
  });

  it("while this thread was busy is not cut off for that", async () => {
    const [a, b] = [await LinkNode.start("a", options), await LinkNode.start("b", options)];
    a.links.setPeers([b.as(2)]);
    await a.becomesUp(2);
    for (let round = 0; round < 3; round++) {
      const until = performance.now() + 500;
      while (performance.now() < until); // both nodes are in this thread
      await sleep(30);
    }
    expect([a.links.counts.linksLost, b.links.counts.linksLost]).toEqual([0, 0]);
  });

  it("from the beginning is given up and told of, and costs the others nothing", async () => {
    const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => LinkNode.start(name)));
    const way = await Way.to(c!.port);
    way.silence(true, true);
    a!.links.setPeers([b!.as(2), c!.as(3, way.port)]);
    await a!.becomesUp(2);
    a!.links.send(2, 0, framed("fine"));
    await until(() => b!.taken.length === 1, "a frame");
    await until(() => a!.told.length > 0, "told");
    expect(a!.told[0]).toMatchObject({ level: "warn", fields: { node: "c" } });
    expect(a!.told[0]?.fields["reason"]).toContain("no answer within");
  });
});

describe("a node that is not there", () => {
  it("is dialed until it is", async () => {
    const [a, b] = [await LinkNode.start("a"), await LinkNode.start("b")];
    await b.links.close();
    a.links.setPeers([b.as(2)]);
    await until(() => a.told.length > 0, "told");
    expect(a.told[0]?.message).toContain("cannot be reached");
    expect(a.told[0]?.fields["reason"]).toBe("ECONNREFUSED");
    await LinkNode.start("b", { listen: { host: HOST, port: b.port } });
    await a.becomesUp(2);
    expect(a.told).toHaveLength(1);
  });

  it("has an address that nobody could dial: the others are served", async () => {
    const [a, b] = [await LinkNode.start("a"), await LinkNode.start("b")];
    const addresses = ["", "nowhere", `${HOST}:0`, `${HOST}:70000`, `${HOST}:1:2`, ":2382"];
    a.links.setPeers([
      ...addresses.map((address, index) =>
        ({ number: 10 + index, name: `n${index}`, logId: "x", incarnation: "1", address })),
      b.as(2),
    ]);
    await a.becomesUp(2);
    expect(a.told.map(({ fields }) => fields["address"])).toEqual(addresses);
    expect([a.links.isUp(10, 0), a.links.waitingBytes(10, 0)]).toEqual([false, 0]);
    a.links.send(10, 0, framed("x"));
  });
});

describe("a node that is another process", () => {
  it("at the same address is not sent what was meant for the former one", async () => {
    const a = await LinkNode.start("a");
    const b = await LinkNode.start("b");
    a.links.setPeers([b.as(2)]);
    await a.becomesUp(2);
    await b.links.close();
    const next = await LinkNode.start("b", { listen: { host: HOST, port: b.port } }, "2");
    await sleep(150); // a dials again and again
    expect([a.links.isUp(2, 0), next.events]).toEqual([false, []]);
    a.links.setPeers([next.as(2)]);
    await a.becomesUp(2);
    a.links.send(2, 0, framed("yours"));
    await until(() => next.taken.length === 1, "a frame");
    expect([a.count("up 2 0"), a.count("down 2 0")]).toEqual([2, 1]);
  });

  it("is dialed at once when the map says so, and the former one is down first", async () => {
    const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => LinkNode.start(name)));
    a!.links.setPeers([b!.as(2), c!.as(3)]);
    await Promise.all([a!.becomesUp(2), a!.becomesUp(3)]);
    a!.links.reset(2, 0); // the event of its end is still to come
    a!.events.length = 0;
    const next = await LinkNode.start("b", {}, "2");
    a!.links.setPeers([next.as(2), c!.as(3)]);
    expect(a!.events).toEqual(["down 2 0", "down 2 1"]);
    await a!.becomesUp(2);
    expect([...a!.events].sort()).toEqual(["down 2 0", "down 2 1", "up 2 0", "up 2 1"]);
    a!.links.setPeers([]);
    await until(() => c!.count("inbound down log-a 0") === 1, "gone");
    expect(a!.count("down 3 0")).toBe(1);
    expect(a!.links.isUp(3, 0)).toBe(false);
  });

  it("replaces its former connections, whose frames are not taken any more", async () => {
    const b = await LinkNode.start("b");
    b.accepts = ({ incarnation }) => incarnation === "2";
    const former = await LinkNode.start("a", {}, "1");
    former.links.setPeers([b.as(2)]);
    await former.becomesUp(2);
    former.links.send(2, 0, framed("former"));
    await until(() => b.links.counts.framesHeld === 1, "held");
    const next = await LinkNode.start("a", {}, "2");
    next.links.setPeers([b.as(2)]);
    await next.becomesUp(2);
    former.links.setPeers([]);
    await until(() => {
      // The former one may have dialed once more before it heard that it has no peer.
      if (b.taken.length === 0) next.links.send(2, 0, framed("next"));
      return b.taken.length > 0;
    }, "a frame");
    b.accepts = () => true;
    b.links.resume();
    await sleep(30);
    expect(new Set(b.bodies(0))).toEqual(new Set(["next"]));
    expect(b.events.slice(0, 2).sort()).toEqual(["inbound up log-a 0", "inbound up log-a 1"]);
    expect(b.count("inbound down log-a 0")).toBeGreaterThanOrEqual(1);
  });
});

describe("an address to listen on", () => {
  it("that is in use is refused by its setting", async () => {
    const a = await LinkNode.start("a");
    const b = new LinkNode("b", { listen: { host: HOST, port: a.port } });
    const error = await b.links.start().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ code: "ADDRESS_IN_USE" });
    expect((error as GatewayError).message).toContain("ListenRebalanceAddress");
    await b.links.close();
  });

  it("that is not of this machine is refused by its setting", async () => {
    const b = new LinkNode("b", { listen: { host: "192.0.2.1", port: 0 } });
    const error = await b.links.start().catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    expect((error as GatewayError).message).toContain("ListenRebalanceAddress");
  });
});
