import { afterEach, expect, test } from "vitest";
import type { Outcome, SendBatch } from "../../../engine/forward/destination.ts";
import {
  DELIVERED_OUTCOME, FAILURE_REFUSED, FAILURE_SERVER, REFUSED_CONTENT, RETRY_SUSPECT,
  failedOutcome,
} from "../../../engine/forward/destination.ts";
import type { OtlpForwarderSettings } from "../../../engine/forward/forwarder-settings.ts";
import { ACK_DELIVERED, ACK_REFUSED } from "../../../engine/forward/message-layout.ts";
import { decodeRequest } from "../../support/otlp-builder.ts";
import { ProtoWriter } from "../../support/proto-wire.ts";
import { Harness, type HarnessOptions, otlp, payloadOf, spanIdOf, until } from "./harness.ts";
import { ScriptedBackend } from "./scripted-backend.ts";

const endings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function start(
  more: Partial<OtlpForwarderSettings> = {}, options: HarnessOptions = {},
): Promise<{ server: ScriptedBackend; harness: Harness }> {
  const server = await ScriptedBackend.start();
  const harness = new Harness([otlp(server.url, more)], options);
  endings.push(() => harness.stop(), () => server.stop());
  return { server, harness };
}

/** A forwarder whose destination answers by function. */
function startWith(
  send: (ids: string[]) => Outcome | Promise<Outcome>, more: Partial<OtlpForwarderSettings> = {},
): { harness: Harness; sent: string[][] } {
  const sent: string[][] = [];
  const destination = {
    send: async (batch: SendBatch): Promise<Outcome> => {
      const ids = decodeRequest(batch.bytes).map((span) => span.spanId);
      expect(ids.length).toBe(batch.spans);
      sent.push(ids);
      return await send(ids);
    },
    close: async (): Promise<void> => {},
  };
  const settings = otlp("http://unused/", more);
  const harness = new Harness([settings], { createDestination: () => destination });
  endings.push(() => harness.stop());
  return { harness, sent };
}

function ids(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => spanIdOf(first + index));
}

test("messages leave together after the batch time, and each is acknowledged once", async () => {
  const { server, harness } = await start({ batchMs: 60 });
  harness.publishSpans(0, 20);
  const acks = await harness.acked(20);
  expect(server.received.length).toBe(1);
  expect([...server.acknowledged.keys()]).toEqual(ids(0, 20));
  expect(acks.map((ack) => ack.id).sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
  expect(acks.every((ack) => ack.outcome === ACK_DELIVERED && ack.slot === 0)).toBe(true);
  expect(harness.progress[0]).toBe(20);
  expect(harness.counters).toMatchObject({
    sentBatches: 1, sentSpans: 20, ackedMessages: 20, retries: 0, inFlightBatches: 0,
    inFlightSpans: 0, sentBytes: server.received[0]!.body.length,
  });
});

test("a batch does not wait when it has its spans or its bytes", async () => {
  const bySpans = await start({ batchMs: 60_000, batchSpans: 5 });
  bySpans.harness.publishSpans(0, 10);
  await bySpans.harness.acked(10);
  expect(bySpans.server.received.length).toBe(2);
  const byBytes = await start({ batchMs: 60_000, batchBytes: 5 * payloadOf(0).length });
  byBytes.harness.publishSpans(0, 10);
  await byBytes.harness.acked(10);
  expect(byBytes.server.received.length).toBe(2);
});

test("a message larger than a batch travels alone and whole", async () => {
  const { server, harness } = await start({ batchBytes: 4_096 });
  harness.publishSpans(0, 2);
  const giant = payloadOf(2, 1, { attributes: { text: "x".repeat(300_000) } });
  expect(harness.publish(giant, 2, 1)).toBe(true);
  harness.publishSpans(3, 2);
  await harness.acked(5);
  const sizes = server.received.map((request) => request.body.length).sort((a, b) => a - b);
  expect(sizes).toEqual([2 * payloadOf(0).length, 2 * payloadOf(3).length, giant.length]
    .sort((a, b) => a - b));
  expect(server.acknowledged.size).toBe(5);
});

test("messages of several lanes are acknowledged to the lane they came from", async () => {
  const { harness } = await start({}, { lanes: 3 });
  for (let lane = 0; lane < 3; lane++) harness.publishSpans(lane * 100, 10, 0, lane);
  const acks = await harness.acked(30);
  for (const ack of acks) expect(Math.floor(ack.id / 100)).toBe(ack.lane);
});

test("nothing is acknowledged before the backend has answered", async () => {
  const { server, harness } = await start();
  server.answer = () => ({ delayMs: 120 });
  harness.publishSpans(0, 3);
  await until(() => server.received.length === 1, "the request");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(harness.readAcks()).toEqual([]);
  expect(harness.counters).toMatchObject({ inFlightBatches: 1, inFlightSpans: 3 });
  await harness.acked(3);
});

test.each([429, 502, 503, 504, 408, 500, 307])(
  "status %i is retried until the backend takes the batch", async (status) => {
    const { server, harness } = await start();
    server.answer = (_, index) => (index < 3 ? { status } : {});
    harness.publishSpans(0, 4);
    const acks = await harness.acked(4);
    expect(acks.every((ack) => ack.outcome === ACK_DELIVERED)).toBe(true);
    expect(server.received.length).toBe(4);
    expect(new Set(server.received.map(({ body }) => body.toString("hex"))).size).toBe(1);
    expect(harness.counters.retries).toBe(3);
    expect(harness.counters.lostSpans[0]).toBe(0);
    const unknown = status === 502 || status === 504 ? 3 : 0;
    expect(harness.counters.unknownOutcomes).toBe(unknown);
    expect(harness.counters.unknownSpans).toBe(unknown * 4);
    expect(harness.events.at(-1)!.message).toBe("sending works again");
  },
);

test("Retry-After holds back every batch of the forwarder", async () => {
  const { server, harness } = await start({ batchSpans: 2, requestsMax: 3 });
  const patience = { status: 503, headers: { "retry-after": "1" } };
  server.answer = (_, index) => (index === 0 ? patience : {});
  harness.publishSpans(0, 2);
  await until(() => server.received.length === 1, "the first request");
  await new Promise((resolve) => setTimeout(resolve, 30));
  harness.publishSpans(2, 2);
  await harness.acked(4);
  const [first, ...later] = server.received.map((request) => request.atMs);
  expect(later.length).toBe(2);
  for (const atMs of later) expect(atMs - first!).toBeGreaterThan(950);
});

test("an unknown outcome is counted and the batch sent again", async () => {
  const { server, harness } = await start({ timeoutMs: 100 });
  server.answer = (_, index) => (index === 0 ? { reset: true } : { hang: index === 1 });
  harness.publishSpans(0, 5);
  await harness.acked(5);
  expect(harness.counters).toMatchObject({ unknownOutcomes: 2, unknownSpans: 10, retries: 2 });
});

test.each([401, 403, 404, 405])(
  "status %i is final: counted as lost, acknowledged as refused, told once", async (status) => {
    const { server, harness } = await start({ batchSpans: 3 });
    server.answer = (_, index) => (index === 0 ? { status, body: Buffer.from("no") } : {});
    harness.publishSpans(0, 3);
    expect((await harness.acked(3)).map((ack) => ack.outcome)).toEqual([1, 1, 1]);
    expect(server.received.length).toBe(1);
    harness.publishSpans(3, 3);
    await harness.acked(6);
    expect(harness.acks.slice(3).map((ack) => ack.outcome)).toEqual([0, 0, 0]);
    expect([...harness.counters.lostSpans]).toEqual([3]);
    expect(harness.events.map((event) => event.level)).toEqual(["error"]);
    expect(harness.events[0]!.detail).toMatchObject({ spans: 3 });
  },
);

test("one message that the backend refuses does not cost its neighbours", async () => {
  const { server, harness } = await start({ batchMs: 50, batchSpans: 64 });
  const bad = spanIdOf(37);
  server.answer = ({ body }) => {
    return decodeRequest(body).some((span) => span.spanId === bad) ? { status: 400 } : {};
  };
  harness.publishSpans(0, 64);
  const acks = await harness.acked(64);
  expect(acks.filter((ack) => ack.outcome === ACK_REFUSED).map((ack) => ack.id)).toEqual([37]);
  expect(server.acknowledged.size).toBe(63);
  expect([...server.acknowledged.values()].every((times) => times === 1)).toBe(true);
  expect([...harness.counters.lostSpans]).toEqual([1]);
  expect(harness.counters.splits).toBe(6);
});

test("a batch that the backend finds too large is sent in smaller ones", async () => {
  const { server, harness } = await start({ batchMs: 50, batchSpans: 64 });
  server.answer = ({ body }) => (decodeRequest(body).length > 10 ? { status: 413 } : {});
  harness.publishSpans(0, 64);
  const acks = await harness.acked(64);
  expect(acks.every((ack) => ack.outcome === ACK_DELIVERED)).toBe(true);
  expect(harness.counters.sentBatches).toBe(8);
});

test("a backend that refuses everything is asked a bounded number of times", async () => {
  const refuse = failedOutcome(REFUSED_CONTENT, FAILURE_REFUSED, false, "400");
  const { harness, sent } = startWith(() => refuse, { batchSpans: 500, batchMs: 200 });
  harness.publishSpans(0, 500);
  await harness.acked(500);
  expect([...harness.counters.lostSpans]).toEqual([500]);
  expect(sent.length).toBe(65); // 32 cuts
});

test("a message that alone makes the backend fail is given up once others pass", async () => {
  const fail = failedOutcome(RETRY_SUSPECT, FAILURE_SERVER, false, "500");
  const bad = spanIdOf(3);
  const { harness } = startWith((batch) => (batch.includes(bad) ? fail : DELIVERED_OUTCOME), {
    batchSpans: 8, requestsMax: 1,
  });
  harness.publishSpans(0, 8);
  const acks = await harness.acked(8);
  expect(acks.filter((ack) => ack.outcome === ACK_REFUSED).map((ack) => ack.id)).toEqual([3]);
});

test("a backend that fails with 500 for a while loses nothing", async () => {
  const fail = failedOutcome(RETRY_SUSPECT, FAILURE_SERVER, false, "500");
  let failures = 18;
  const { harness } = startWith(() => (failures-- > 0 ? fail : DELIVERED_OUTCOME), {
    batchSpans: 8, requestsMax: 1,
  });
  harness.publishSpans(0, 8);
  const acks = await harness.acked(8);
  expect(acks.every((ack) => ack.outcome === ACK_DELIVERED)).toBe(true);
});

test("while the backend is down at most requestsMax batches are taken from the rings", async () => {
  const { server, harness } = await start(
    { batchSpans: 4, requestsMax: 3, retryInitialMs: 20 }, { ringBytes: 8_192 },
  );
  server.answer = () => ({ status: 503 });
  let published = 0;
  const fill = (): void => {
    while (harness.publish(payloadOf(published), published, 1)) published++;
  };
  fill();
  await until(() => server.received.length > 6, "several attempts");
  fill();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(harness.publish(payloadOf(published), published, 1)).toBe(false);
  expect(harness.counters.inFlightBatches).toBe(3);
  expect(harness.counters.inFlightSpans).toBe(12);
  server.answer = () => ({});
  await harness.acked(published);
  expect(server.acknowledged.size).toBe(published);
});

test("a lane that is slow to read acknowledgements gets all of them in the end", async () => {
  const { server, harness } = await start({ batchSpans: 10 }, { ackSlots: 4 });
  harness.publishSpans(0, 50);
  await until(() => server.acknowledged.size >= 10, "the first batch");
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Two batches were in memory when the ring became full; no more are taken for this lane.
  expect(server.acknowledged.size).toBeLessThanOrEqual(20);
  const acks = await harness.acked(50);
  expect(acks.map((ack) => ack.id).sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
});

test("a partial success is delivered, and the rejected spans are counted", async () => {
  const { server, harness } = await start();
  const partial = new ProtoWriter().number(1, 2).text(2, "too old").build();
  const body = Buffer.from(new ProtoWriter().bytes(1, partial).build());
  server.answer = () => ({ body });
  harness.publishSpans(0, 5);
  const acks = await harness.acked(5);
  expect(acks.every((ack) => ack.outcome === ACK_DELIVERED)).toBe(true);
  expect(harness.counters).toMatchObject({ sentSpans: 5, rejectedSpans: 2 });
  expect(harness.events[0]!.detail).toEqual({ spans: 5, rejected: 2, answer: "too old" });
});

test("repeated failures of a kind are told once in a while, with their number", async () => {
  const { server, harness } = await start({ retryMaxMs: 10 });
  server.answer = (_, index) => (index < 12 ? { status: 503 } : {});
  harness.publishSpans(0, 1);
  await harness.acked(1);
  expect(harness.events.map((event) => event.message))
    .toEqual(["sending failed, will retry", "sending works again"]);
  expect(harness.events[0]!.detail).toMatchObject({ failure: "unavailable", attempt: 1 });
});
