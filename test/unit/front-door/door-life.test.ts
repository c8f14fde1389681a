// Starting, draining, ending; and what happens when the door itself has a bug.

import { createServer } from "node:net";
import { describe, expect, test, vi } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import { systemClock } from "../../../engine/base/clock.ts";
import { DoorCounters } from "../../../engine/front-door/door-counters.ts";
import { Door } from "../../../engine/front-door/door.ts";
import { OTLP_ROUTES } from "../../../engine/front-door/routes.ts";
import { HealthWords, createHealthWords } from "../../../engine/part/health-words.ts";
import { WakeWord, createWakeWord } from "../../../engine/ring/wake-word.ts";
import { REQUEST_CONNECTIONS } from "../../../engine/telemetry/label-values.ts";
import {
  ENGINES, FakeLane, RawClient, TEST_LIMITS, delay, head, openDoor, pattern, until,
} from "./door-harness.ts";

const HEALTH = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

describe.each(ENGINES)("on the engine %s", (engine) => {
  function doorOn(ports: readonly number[]): Door {
    const wake = createWakeWord();
    return new Door({
      engine,
      listeners: ports.map((port, index) => (
        { name: `otlp-${index}`, host: "127.0.0.1", port, routes: OTLP_ROUTES }
      )),
      lanes: [new FakeLane(0, 1024 * 1024, wake).ends],
      limits: TEST_LIMITS,
      reasons: [],
    }, {
      clock: systemClock, health: new HealthWords(createHealthWords()),
      counters: new DoorCounters(), wake: new WakeWord(wake), onTurn: () => {}, onFailure: () => {},
      log: () => {},
    });
  }

  test("a drain answers health checks 404, ends connections and still takes spans", async () => {
    const harness = await openDoor({ engine });
    const idleClient = new RawClient(harness.port);
    await idleClient.send(HEALTH);
    expect((await idleClient.reply()).status).toBe(200);
    harness.door.beginDrain();
    await idleClient.send(`${head(["Content-Length: 3"])}abc`);
    const reply = await idleClient.reply();
    expect(reply.status).toBe(200);
    expect(reply.headers.get("connection")).toBe("close");
    await idleClient.closed;
    const check = new RawClient(harness.port);
    await check.send(HEALTH);
    const health = await check.reply();
    expect(health.status).toBe(404);
    expect(health.body.toString()).toBe("graceful shutdown");
    await check.closed;
    expect(harness.payloads().map((payload) => payload.body.toString())).toEqual(["abc"]);
    await harness.end();
  });

  test("after stopListening nothing new is taken and what was begun is finished", async () => {
    const harness = await openDoor({ engine });
    const begun = new RawClient(harness.port);
    await begun.send(head(["Content-Length: 6"]) + "abc");
    const kept = new RawClient(harness.port);
    await kept.send(HEALTH);
    await kept.reply();
    await until(() => harness.door.inFlight() === 1, "one request is in the middle of its body");
    harness.door.beginDrain();
    harness.door.stopListening();
    let idle = false;
    const idled = harness.door.idle().then(() => { idle = true; });
    await kept.send(`${head(["Content-Length: 3"])}new`);
    const refused = await kept.reply();
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("7");
    expect(refused.headers.get("connection")).toBe("close");
    const late = new RawClient(harness.port);
    await late.closed;
    await delay(10);
    expect(idle).toBe(false);
    await begun.send("def");
    expect((await begun.reply()).status).toBe(200);
    await idled;
    await harness.door.idle();
    expect(harness.payloads().map((payload) => payload.body.toString())).toEqual(["abcdef"]);
    await harness.end();
    kept.destroy();
  });

  test("close cuts off what is in flight and later completions are harmless", async () => {
    const harness = await openDoor({ engine });
    harness.lanes[0]!.paused = true;
    const waiting = new RawClient(harness.port);
    await waiting.send(`${head(["Content-Length: 3"])}abc`);
    const halfway = new RawClient(harness.port);
    await halfway.send(head(["Content-Length: 300000"]));
    await halfway.send(pattern(100_000));
    await until(() => harness.door.unfinishedBytes() > 0, "a body is unfinished");
    await until(() => harness.counters.payloads === 1, "a payload is with the lane");
    await harness.door.close();
    await waiting.closed;
    await halfway.closed;
    expect(harness.door.unfinishedBytes()).toBe(0);
    harness.lanes[0]!.paused = false;
    harness.lanes[0]!.step();
    expect(harness.door.drainCompletions()).toBe(1);
    expect(harness.door.inFlight()).toBe(0);
    expect(harness.failures).toEqual([]);
    await harness.end();
  });

  test("a port that is taken is refused with advice, and no listener stays open", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => { other.listen(0, "127.0.0.1", resolve); });
    const address = other.address();
    const taken = typeof address === "object" && address !== null ? address.port : 0;
    const free = doorOn([0]);
    await free.listen();
    const firstPort = free.port("otlp-0");
    await free.close();
    const error = await doorOn([firstPort, taken]).listen().then(() => null, (thrown) => thrown);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error.code).toBe("ADDRESS_IN_USE");
    expect(error.message).toContain(`127.0.0.1:${taken}`);
    expect(error.message).toContain("choose another port");
    const again = doorOn([firstPort]);
    await again.listen();
    await again.close();
    other.close();
  });

  test("two doors do not share a port silently", async () => {
    const first = doorOn([0]);
    await first.listen();
    await expect(doorOn([first.port("otlp-0")]).listen()).rejects.toThrow("cannot listen on");
    await first.close();
  });

  test("an address that is not this machine's is told as such", async () => {
    const wake = createWakeWord();
    const door = new Door({
      engine,
      listeners: [{ name: "far", host: "192.0.2.7", port: 4318, routes: OTLP_ROUTES }],
      lanes: [new FakeLane(0, 1024 * 1024, wake).ends], limits: TEST_LIMITS, reasons: [],
    }, {
      clock: systemClock, health: new HealthWords(createHealthWords()),
      counters: new DoorCounters(), wake: new WakeWord(wake), onTurn: () => {}, onFailure: () => {},
      log: () => {},
    });
    await expect(door.listen()).rejects.toThrow("no such address");
  });

  test("a throw inside a callback costs that request a 500 and nobody else anything", async () => {
    const harness = await openDoor({ engine });
    const { ends } = harness.lanes[0]!;
    const reserve = ends.payloads.reserve;
    ends.payloads.reserve = () => { throw new Error("broken on purpose"); };
    const unlucky = new RawClient(harness.port);
    await unlucky.send(`${head(["Content-Length: 3"])}abc`);
    expect((await unlucky.reply()).status).toBe(500);
    const usedBytes = ends.payloads.usedBytes;
    ends.payloads.usedBytes = () => { throw new Error("broken on purpose"); };
    await unlucky.send(`${head(["Content-Length: 3"])}abc`);
    expect((await unlucky.reply()).status).toBe(500);
    ends.payloads.reserve = reserve;
    ends.payloads.usedBytes = usedBytes;
    await unlucky.send(`${head(["Content-Length: 3"])}abc`);
    expect((await unlucky.reply()).status).toBe(200);
    expect(harness.failures.map(String)).toEqual(
      ["Error: broken on purpose", "Error: broken on purpose"],
    );
    expect(harness.counters.failures).toBe(2);
    expect(harness.door.inFlight()).toBe(0);
    await harness.end();
  });

  test("connections beyond the limit end at once, and those before them are served", async () => {
    const harness = await openDoor({ engine, limits: { connectionsMax: 3 } });
    const clients = Array.from({ length: 3 }, () => new RawClient(harness.port));
    for (const client of clients) {
      await client.send(HEALTH);
      expect((await client.reply()).status).toBe(200);
    }
    const refused = new RawClient(harness.port);
    await refused.closed;
    expect(harness.counters.refused[REQUEST_CONNECTIONS]).toBe(1);
    await clients[0]!.send(HEALTH);
    expect((await clients[0]!.reply()).status).toBe(200);
    clients[1]!.socket.destroy();
    await clients[1]!.closed;
    await vi.waitFor(async () => {
      const next = new RawClient(harness.port);
      await next.send(HEALTH);
      expect((await next.reply()).status).toBe(200);
    });
    await harness.end();
  });
});
