// A span worker: a Piscina task that never ends by itself. It runs one lane until it is told to
// stop.

import { buildLane } from "../engine/lane/lane-parts.ts";
import type { LanePlan } from "../engine/lane/lane-plan.ts";
import { Lane } from "../engine/lane/lane.ts";

/** Blocks this thread until the control word says STOP; a throw is a dead lane. */
export default function spanWorker(plan: LanePlan): void {
  const lane = new Lane(buildLane(plan));
  lane.load();
  lane.run();
}
