import { afterEach, expect, test } from "vitest";
import { Harness, otlp, payloadOf, until } from "./harness.ts";
import { ScriptedBackend } from "./scripted-backend.ts";

const endings: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function backend(): Promise<ScriptedBackend> {
  const server = await ScriptedBackend.start();
  endings.push(() => server.stop());
  return server;
}

test("a dead backend delays no other forwarder", async () => {
  const good = await backend();
  const gone = await ScriptedBackend.start();
  await gone.stop();
  const hanging = await backend();
  hanging.answer = () => ({ hang: true });
  const harness = new Harness([
    otlp(gone.url, { slot: 2, name: "gone" }),
    otlp(good.url, { slot: 5, name: "good" }),
    otlp(hanging.url, { slot: 7, name: "hanging", timeoutMs: 60_000 }),
  ], { ringBytes: 64 * 1024 });
  endings.unshift(() => harness.stop(50));
  let n = 0;
  for (let round = 0; round < 20; round++) {
    for (let message = 0; message < 50; message++, n++) {
      // Full rings of the dead ones are the lane's business: it has its log and its outbox.
      harness.publish(payloadOf(n), n, 1, 2);
      harness.publish(payloadOf(n), n, 1, 7);
      expect(harness.publish(payloadOf(n), n, 1, 5)).toBe(true);
    }
    const startedMs = performance.now();
    await harness.acked(n, 5);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  }
  expect(good.acknowledged.size).toBe(1_000);
  expect(harness.progress[5]).toBe(1_000);
  expect([harness.progress[2], harness.progress[7]]).toEqual([0, 0]);
  expect(harness.readAcks().every((ack) => ack.slot === 5)).toBe(true);
  expect(harness.loop.counters[0]!.failures[1]).toBeGreaterThan(0);
});

test("a backend that comes back gets what waited, once", async () => {
  const first = await ScriptedBackend.start();
  const { port, url } = first;
  await first.stop();
  const harness = new Harness([otlp(url)]);
  endings.push(() => harness.stop());
  harness.publishSpans(0, 30);
  await until(() => harness.counters.retries > 2, "retries");
  const second = await ScriptedBackend.start(port);
  endings.push(() => second.stop());
  await harness.acked(30);
  expect(second.acknowledged.size).toBe(30);
  expect([...second.acknowledged.values()].every((times) => times === 1)).toBe(true);
  expect(harness.counters.unknownOutcomes).toBe(0);
});

test("a flush sends at once what is batched and what the rings hold", async () => {
  const server = await backend();
  server.answer = () => ({ delayMs: 20 });
  const harness = new Harness([otlp(server.url, { batchMs: 60_000, batchSpans: 40 })]);
  harness.publishSpans(0, 10);
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(server.received.length).toBe(0);
  harness.publishSpans(10, 500);
  await harness.stopLoop();
  const reading = setInterval(() => harness.readAcks(), 5);
  const report = await harness.loop.flush(4_000);
  clearInterval(reading);
  expect(report).toEqual({ complete: true, left: [], acksWaiting: 0 });
  expect(harness.readAcks().length).toBe(510);
  expect(server.acknowledged.size).toBe(510);
});

test("a flush ends at its deadline and says what is left", async () => {
  const server = await backend();
  server.answer = () => ({ hang: true });
  const good = await backend();
  const harness = new Harness([
    otlp(server.url, { name: "stuck", batchSpans: 10, requestsMax: 2 }),
    otlp(good.url, { name: "good", slot: 1 }),
  ]);
  harness.publishSpans(0, 50);
  harness.publishSpans(0, 5, 1);
  await until(() => server.received.length === 2, "both requests");
  await harness.stopLoop();
  const startedMs = performance.now();
  const report = await harness.loop.flush(150);
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeGreaterThan(140);
  expect(tookMs).toBeLessThan(1_000);
  expect(report.complete).toBe(false);
  expect(report.left.length).toBe(1);
  expect(report.left[0]).toMatchObject({ slot: 0, name: "stuck", messages: 20, spans: 20 });
  expect(report.left[0]!.ringBytes).toBeGreaterThan(30 * payloadOf(0).length);
  expect(harness.readAcks().filter((ack) => ack.slot === 0)).toEqual([]);
  expect(harness.readAcks().filter((ack) => ack.slot === 1).length).toBe(5);
  expect(harness.counters.unknownOutcomes).toBe(2);
});

test("a flush tries again at once where a retry was waiting", async () => {
  const server = await backend();
  server.answer = (_, index) => (index === 0
    ? { status: 503, headers: { "retry-after": "3600" } } : {});
  const harness = new Harness([otlp(server.url)]);
  harness.publishSpans(0, 5);
  await until(() => harness.counters.retryingBatches === 1, "a batch that waits");
  await harness.stopLoop();
  const report = await harness.loop.flush(2_000);
  expect(report.complete).toBe(true);
  expect(server.acknowledged.size).toBe(5);
});

test("acknowledgements that a lane did not read are reported", async () => {
  const server = await backend();
  const harness = new Harness([otlp(server.url)], { ackSlots: 8 });
  harness.publishSpans(0, 20);
  await until(() => server.acknowledged.size === 20, "delivery");
  await harness.stopLoop();
  const report = await harness.loop.flush(60);
  expect(report).toEqual({ complete: false, left: [], acksWaiting: 12 });
});
