// The rules of the door without an HTTP engine: time and completions are stepped by hand.

import { expect, test } from "vitest";
import { ANSWERED, DoorCore } from "../../../engine/front-door/door-core.ts";
import { DoorCounters } from "../../../engine/front-door/door-counters.ts";
import { DoorListener } from "../../../engine/front-door/door-listener.ts";
import type { Reply } from "../../../engine/front-door/reply.ts";
import { RequestHeaders } from "../../../engine/front-door/request-headers.ts";
import { OTLP_ROUTES } from "../../../engine/front-door/routes.ts";
import { HealthWords, createHealthWords } from "../../../engine/part/health-words.ts";
import { WakeWord, createWakeWord } from "../../../engine/ring/wake-word.ts";
import { FakeLane, TEST_LIMITS } from "./door-harness.ts";

const LISTENER = new DoorListener({ name: "otlp", host: "", port: 0, routes: OTLP_ROUTES }, 0);
const BYTES = new Uint8Array([1, 2, 3]);

function coreWith(completionSlots: number) {
  const wake = createWakeWord();
  const lane = new FakeLane(0, 1024 * 1024, wake, completionSlots);
  const counters = new DoorCounters();
  const time = { nowMs: 0 };
  const core = new DoorCore<string>({
    engine: "node", listeners: [], lanes: [lane.ends], limits: TEST_LIMITS, reasons: [],
  }, {
    clock: { monotonicMs: () => time.nowMs, wallMs: () => 1_700_000_000_000 + time.nowMs },
    health: new HealthWords(createHealthWords()), counters, wake: new WakeWord(wake),
    onTurn: () => {}, onFailure: () => {}, log: () => {},
  });
  const headers = new RequestHeaders();
  headers.add("content-type", "application/x-protobuf");
  const begin = (exchange: string) => core.begin(LISTENER, "POST", "/v1/traces", headers, exchange);
  const replies: [string, string][] = [];
  const send = (exchange: string, reply: Reply) => { replies.push([exchange, reply.status]); };
  return { core, lane, counters, time, begin, replies, send };
}

test("completions answer the requests they belong to, in their order", () => {
  const { core, lane, begin, replies, send } = coreWith(8);
  const slots = ["a", "b", "c"].map(begin);
  for (const slot of slots.toReversed()) expect(core.bodyChunk(slot, BYTES, true)).toBe(null);
  lane.step();
  expect(core.drainCompletions(send)).toBe(3);
  expect(replies).toEqual([["c", "200 OK"], ["b", "200 OK"], ["a", "200 OK"]]);
  expect(core.table.taken).toBe(0);
});

test("a lane is woken once its completion ring may have been full, not for every reply", () => {
  const { core, lane, begin, send } = coreWith(4);
  const post = () => core.bodyChunk(begin("x"), BYTES, true);
  post();
  lane.step();
  const afterOne = lane.ends.wake.snapshot();
  core.drainCompletions(send);
  expect(lane.ends.wake.snapshot()).toBe(afterOne);
  for (let count = 0; count < 6; count++) post();
  lane.step();
  const whileFull = lane.ends.wake.snapshot();
  expect(core.drainCompletions(send)).toBe(4);
  expect(lane.ends.wake.snapshot()).toBe(whileFull + 1);
  lane.step();
  expect(core.drainCompletions(send)).toBe(2);
});

test("only bodies that are past their time are ended, and their memory comes back", () => {
  const { core, time, begin, replies, send, counters } = coreWith(4);
  const early = begin("early");
  core.bodyChunk(early, BYTES, false);
  const complete = begin("complete");
  core.bodyChunk(complete, BYTES, true);
  time.nowMs = 1_000;
  begin("late");
  time.nowMs = TEST_LIMITS.bodyMs + 500;
  core.expire(send);
  expect(replies).toEqual([["early", "408 Request Timeout"]]);
  expect(core.memory.heldBytes).toBe(0);
  expect(core.table.taken).toBe(2);
  core.expire(send);
  expect(replies.length).toBe(1);
  expect(counters.answered.reduce((sum, count) => sum + count)).toBe(1);
});

test("idle waits for requests of clients that are gone as well", async () => {
  const { core, lane, begin, replies, send } = coreWith(4);
  const slot = begin("gone");
  core.bodyChunk(slot, BYTES, true);
  core.abort(slot);
  let idle = false;
  const idled = core.idle().then(() => { idle = true; });
  await Promise.resolve();
  expect(idle).toBe(false);
  expect(() => core.abort(slot)).toThrow("aborted once");
  lane.step();
  core.drainCompletions(send);
  await idled;
  expect(replies).toEqual([]);
});

test("a body chunk for a request that is answered is a bug", () => {
  const { core, begin } = coreWith(4);
  const slot = begin("x");
  core.bodyChunk(slot, BYTES, true);
  expect(() => core.bodyChunk(slot, BYTES, true)).toThrow("waits for one");
});

test("while refusing, only health paths are answered", () => {
  const { core, begin } = coreWith(4);
  core.refusing = true;
  expect(begin("x")).toBe(ANSWERED);
  expect(core.reply.status).toBe("503 Service Unavailable");
  expect(core.begin(LISTENER, "GET", "/healthz", new RequestHeaders(), "y")).toBe(ANSWERED);
  expect(core.reply.body).toBe("not ready");
});
