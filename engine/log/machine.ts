// The machine as a log sees it; tests pass their own.

import { systemClock } from "../base/clock.ts";
import { freeBytes, freeFiles } from "./durable-file.ts";
import { probeGeneration } from "./generation-probe.ts";

/** Dependencies of every log but the account its bytes are in. */
export const MACHINE = { clock: systemClock, freeBytes, freeFiles, probe: probeGeneration };
