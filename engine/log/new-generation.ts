// Begins a generation: its directory, its environment, its META, each on disk before the next.

import { rmSync } from "node:fs";
import { syncDirectory } from "./durable-file.ts";
import type { GenerationWriter } from "./generation-writer.ts";
import { Generation } from "./generation.ts";
import type { LaneLogOptions } from "./log-options.ts";
import type { PartStatesHint } from "./part-states.ts";

/** @throws EnvironmentFailed, disk full too; nothing is left behind then. */
export function newGeneration(
  options: LaneLogOptions, hint: PartStatesHint, writer: GenerationWriter,
): Generation {
  const { directory, durability, generationBytes } = options;
  const generation = new Generation({
    id: options.nextGeneration(), directory, durability, bytes: generationBytes, hint,
  });
  const { environment } = generation;
  try {
    environment.create();
    environment.transact(() => writer.putMeta(generation, options.meta()));
    if (durability === "disk") {
      syncDirectory(environment.directory);
      syncDirectory(directory);
    }
    return generation;
  } catch (error) {
    environment.close();
    rmSync(environment.directory, { recursive: true, force: true });
    throw error;
  }
}
