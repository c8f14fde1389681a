// A thousand clients that stop in the middle of what they send: others are served as quickly as
// before, and what the stalled ones hold is bounded.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { ProvingGround } from "../support/proving-ground.ts";
import { headOf, RawClient, RawConnection } from "../support/raw-client.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 90_000;
const STALLED = 1_000;
const SENT_BYTES = 20_000;
const REQUESTS = 300;
/** On a busy machine the slowest tenth says more about the machine than about the gateway. */
const SERVED_MS_MAX = 50;
const MIB = 1024 * 1024;

/** Time of each of REQUESTS requests, one after the other, ascending, ms. */
async function timesOf(ground: ProvingGround): Promise<number[]> {
  const client = new RawClient(ground.gateway.port, 1);
  const times: number[] = [];
  for (let count = 0; count < REQUESTS; count++) {
    const body = ground.body(10);
    ground.owe(body);
    const beganMs = performance.now();
    expect(await client.post(body.bytes)).toBe(200);
    times.push(performance.now() - beganMs);
    await sleep(1);
  }
  client.close();
  return times.toSorted((left, right) => left - right);
}

function shown(times: readonly number[]): string {
  return [0.5, 0.9, 0.99, 1].map((share) => {
    const at = Math.min(times.length - 1, Math.floor(times.length * share));
    return `p${share * 100} ${times[at]!.toFixed(1)} ms`;
  }).join(", ");
}

it.each(["uws", "node"])("a thousand clients stalled in their bodies slow nobody down, on the "
  + "engine %s", async (engine) => {
  const stage = Stage.open();
  const ground = await ProvingGround.open(stage, {
    spansMax: 50_000, config: { HttpEngine: engine },
  });
  const before = await timesOf(ground);
  const memoryBefore = ground.memoryBytes();
  const piece = Buffer.alloc(SENT_BYTES, 1);
  const stalled = await Promise.all(Array.from({ length: STALLED }, async (_, index) => {
    const connection = await RawConnection.open(ground.gateway.port);
    const isChunked = index % 2 === 0;
    connection.write(
      headOf([isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 400000"]),
      isChunked ? `${(2 * SENT_BYTES).toString(16)}\r\n` : "", piece,
    );
    return connection;
  }));
  await until(async () => {
    const page = await ground.gateway.scrape();
    return page.sum("tailrace_requests_in_flight") >= STALLED
      && page.sum("tailrace_unfinished_body_bytes") >= STALLED * SENT_BYTES;
  }, "all of them stall");
  const during = await timesOf(ground);
  process.stdout.write(`engine ${engine}: alone ${shown(before)}; with ${STALLED} stalled clients `
    + `${shown(during)}\n`);
  expect(during[Math.floor(REQUESTS * 0.5)]!).toBeLessThan(SERVED_MS_MAX);
  expect(during[Math.floor(REQUESTS * 0.9)]!).toBeLessThan(SERVED_MS_MAX);
  // A body holds at most twice what was sent of it.
  const held = await ground.gateway.metric("tailrace_unfinished_body_bytes");
  expect(held).toBeLessThanOrEqual(STALLED * 2 * SENT_BYTES);
  // Blocks on their way to twice their size leave their halves to the garbage collector.
  expect(ground.memoryBytes() - memoryBefore).toBeLessThan(200 * MIB);
  for (const connection of stalled) connection.close();
  await until(async () => {
    return await ground.gateway.metric("tailrace_unfinished_body_bytes") === 0;
  }, "their memory is given back");
  await ground.close();
}, TEST_MS);
