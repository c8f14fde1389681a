import type { Settings } from "../../config/settings-types.ts";
import { planMemory, type MemoryPlan } from "./memory-plan.ts";
import { createSharedMemory } from "./shared-memory.ts";

/** What a start with these settings would plan. */
export interface PlannedMemory {
  readonly memory: MemoryPlan;
  readonly ringBytes: number;
}

/**
 * Plans without a start. The rings are made and forgotten: nothing of them becomes resident.
 * @throws GatewayError CONFIG_INVALID, as a start would.
 */
export function plannedMemory(settings: Settings): PlannedMemory {
  const slots = settings.forwardTo.map((_, index) => index);
  const { bytes } = createSharedMemory(settings.workers, slots, settings.bodyBytesMax,
    settings.bodyBytesMax, settings.cluster !== null);
  // Without a limit the disk decides, which nobody has looked at.
  const storageLimitBytes = settings.storageLimitBytes || Infinity;
  return { memory: planMemory(settings, bytes, storageLimitBytes), ringBytes: bytes };
}
