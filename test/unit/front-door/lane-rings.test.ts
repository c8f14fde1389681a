import { expect, test } from "vitest";
import { LaneRings } from "../../../engine/front-door/lane-rings.ts";
import { createWakeWord } from "../../../engine/ring/wake-word.ts";
import { FakeLane, pattern } from "./door-harness.ts";

function ringsOf(count: number, creditBytes: number) {
  const wake = createWakeWord();
  const lanes = Array.from({ length: count }, (_, lane) => new FakeLane(lane, 4_096, wake, 64));
  const rings = new LaneRings(lanes.map((lane) => lane.ends), creditBytes, 1_000);
  const offer = (bytes: number) => rings.offer(7, 1, 0, 0, null, 0, pattern(bytes));
  return { lanes, rings, offer };
}

test("a body in two parts lies in the ring as one, with all of its header", () => {
  const { lanes, rings } = ringsOf(1, 4_096);
  const body = pattern(900);
  const arrivalMs = Date.now();
  const taken = rings.offer(
    0xffff_0001, 1, 2, arrivalMs, body.subarray(0, 600), 500, body.subarray(500),
  );
  expect(taken).toBe(true);
  lanes[0]!.step();
  expect(lanes[0]!.payloads).toEqual(
    [{ lane: 0, requestId: 0xffff_0001, format: 1, encoding: 2, arrivalMs, body }],
  );
});

test("payloads go where least is waiting, in turns among equals", () => {
  const { lanes, offer } = ringsOf(3, 4_096);
  for (let round = 0; round < 6; round++) expect(offer(10)).toBe(true);
  for (const lane of lanes) lane.step();
  expect(lanes.map((lane) => lane.payloads.length)).toEqual([2, 2, 2]);
  expect(offer(500)).toBe(true);
  for (let round = 0; round < 10; round++) expect(offer(10)).toBe(true);
  for (const lane of lanes) lane.step();
  expect(lanes.map((lane) => lane.payloads.length).toSorted()).toEqual([3, 7, 7]);
});

test("a lane at its credit is passed over, and all of them refuse", () => {
  const { lanes, rings, offer } = ringsOf(2, 1_000);
  expect(rings.isFull()).toBe(false);
  expect(offer(990)).toBe(true);
  expect(offer(990)).toBe(true);
  expect(rings.isFull()).toBe(true);
  expect(offer(1)).toBe(false);
  lanes[1]!.step();
  expect(rings.isFull()).toBe(false);
  for (let round = 0; round < 3; round++) offer(1);
  lanes[1]!.step();
  expect(lanes[1]!.payloads.length).toBe(4);
});

test("a lane without room for this body is passed over for one that has it", () => {
  const { lanes, offer } = ringsOf(2, 4_096);
  for (let round = 0; round < 8; round++) expect(offer(980)).toBe(true);
  expect(offer(980)).toBe(false);
  lanes[0]!.step();
  expect(offer(980)).toBe(true);
  lanes[0]!.step();
  expect(lanes[0]!.payloads.length).toBe(5);
});

test("rings that cannot hold the largest body are refused at start", () => {
  const lane = new FakeLane(0, 4_096, createWakeWord());
  expect(() => new LaneRings([lane.ends], 100, 2_040)).toThrow("largest body fits");
  expect(() => new LaneRings([], 100, 10)).toThrow("has lanes");
});
