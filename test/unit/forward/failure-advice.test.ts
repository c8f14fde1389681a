import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../../engine/base/clock.ts";
import { FAILURE_NAMES, failedOutcome, RETRY } from "../../../engine/forward/destination.ts";
import { adviceFor } from "../../../engine/forward/failure-advice.ts";
import { ForwarderCounters } from "../../../engine/forward/forwarder-counters.ts";
import { OtlpDestination } from "../../../engine/forward/otlp-destination.ts";
import { freePort } from "../../support/ports.ts";
import { otlp } from "./harness.ts";

/** Advice for a real attempt at a real address. */
async function adviceAt(url: string): Promise<string> {
  const destination = new OtlpDestination(otlp(url, { timeoutMs: 1_000 }), {
    clock: systemClock, counters: new ForwarderCounters(),
  });
  onTestFinished(async () => await destination.close());
  const batch = { bytes: Buffer.alloc(0), spans: 0 };
  return adviceFor(await destination.send(batch, new AbortController().signal));
}

async function listening(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe("what to do about a backend", () => {
  it.each([
    [401, /access token/], [403, /access token/], [404, /correct its path/],
    [405, /correct its path/], [413, /lower BatchBytes/], [429, /takes no more for now/],
    [302, /redirects/], [500, /look at its log/], [503, /out of service/], [418, /answer says why/],
  ])("that answers %i", async (status, advice) => {
    const port = await listening(http.createServer((request, response) => {
      request.resume().on("end", () => response.writeHead(status).end());
    }));
    expect(await adviceAt(`http://127.0.0.1:${port}/`)).toMatch(advice);
  });

  it("where nothing listens", async () => {
    expect(await adviceAt(`http://127.0.0.1:${await freePort()}/`)).toMatch(/nothing listens/);
  });

  it("that does not speak TLS", async () => {
    const port = await listening(http.createServer());
    expect(await adviceAt(`https://127.0.0.1:${port}/`)).toMatch(/does not speak TLS/);
  });

  it("that says nothing", async () => {
    const port = await listening(net.createServer());
    expect(await adviceAt(`http://127.0.0.1:${port}/`)).toMatch(/too slow/);
  });

  it("that cuts connections", async () => {
    const port = await listening(net.createServer((socket) => {
      socket.once("data", () => socket.destroy());
    }));
    expect(await adviceAt(`http://127.0.0.1:${port}/`)).toMatch(/cut the connection/);
  });

  it("for every kind of failure there is a sentence of its own", () => {
    const advices = FAILURE_NAMES.flatMap((name, failure) => {
      if (name === "none" || name === "aborted") return []; // no failures of the backend
      return [adviceFor(failedOutcome(RETRY, failure, false, ""))];
    });
    expect(new Set(advices).size).toBe(FAILURE_NAMES.length - 2);
    expect(advices).not.toContain("the answer says why");
  });
});
