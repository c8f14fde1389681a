import { describe, expect, it } from "vitest";
import {
  Destinations, STAGE_COMPLETE, STAGE_IDLE, STAGE_SWEEP, STAGE_WALK,
} from "../../../engine/lane/destinations.ts";

const NODE = 3;

/** A node that was sent everything, and takes new parts as they come. */
function live(): Destinations {
  const destinations = new Destinations();
  destinations.beginAgain(NODE, true);
  destinations.live[NODE] = 1;
  destinations.stage[NODE] = STAGE_COMPLETE;
  destinations.next(NODE);
  expect(destinations.stage[NODE]).toBe(STAGE_IDLE);
  return destinations;
}

describe("a node that falls behind", () => {
  it("while the end is being said hears it, and then is walked to", () => {
    const destinations = live();
    destinations.fallBehind(NODE, 4, 5);
    expect(destinations.stage[NODE]).toBe(STAGE_WALK);
    destinations.live[NODE] = 1; // the walk is over
    destinations.stage[NODE] = STAGE_COMPLETE;
    destinations.fallBehind(NODE, 4, 6);
    expect(destinations.stage[NODE]).toBe(STAGE_COMPLETE);
    destinations.next(NODE);
    expect(destinations.stage[NODE]).toBe(STAGE_WALK);
    expect([destinations.cursorGeneration[NODE], destinations.cursorEntry[NODE]]).toEqual([4, 6]);
  });

  it("during a walk over what waits too long gets the rest of that, and what is new", () => {
    const destinations = live();
    destinations.askAgain(NODE);
    destinations.cursorGeneration[NODE] = 2;
    destinations.fallBehind(NODE, 4, 5);
    expect(destinations.overdueOnly[NODE]).toBe(0);
    expect([destinations.cursorGeneration[NODE], destinations.cursorEntry[NODE]]).toEqual([2, 0]);
  });

  it("is asked about what waits too long when it is not busy any more", () => {
    const destinations = live();
    destinations.tellRemembered(NODE);
    destinations.askAgain(NODE);
    expect(destinations.stage[NODE]).toBe(STAGE_SWEEP);
    destinations.next(NODE);
    expect([destinations.stage[NODE], destinations.overdueOnly[NODE]]).toEqual([STAGE_WALK, 1]);
  });
});
