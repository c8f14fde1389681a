// Logs of lanes that this run does not have go to lanes that it has, whole, before any lane starts.
// A lane's generations stay together for good: states of a part are only ever logged beside it.
//
// The move is a rename of each generation; a file says which move is under way, and the next start
// finishes it, whatever its number of lanes.

import {
  existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readFileIfAny, syncDirectory, writeFileDurably } from "./durable-file.ts";
import { readWord } from "./entry-writer.ts";

const LANE = /^lane-(\d+)$/;
/** Generations, and those set aside or renamed for removal. */
const GENERATION = /^\d{10}(\..+)?$/;
const INTENT_FILE = "adoption.json";
const MARKER_FILE = "touching";

/** Directory of a lane in `base`. */
export function laneDirectory(base: string, lane: number): string {
  return join(base, `lane-${lane}`);
}

/** Moves the lanes of `base` from number `lanes` on. @returns how many lanes were moved. */
export function adoptLanes(base: string, lanes: number): number {
  if (!existsSync(base)) return 0;
  let moved = finishMove(base) ? 1 : 0;
  for (const lane of lanesIn(base)) {
    if (lane < lanes) continue;
    const intent = { from: lane, to: lane % lanes };
    writeFileDurably(join(base, INTENT_FILE), JSON.stringify(intent));
    finishMove(base);
    moved++;
  }
  return moved;
}

/** Numbers of the lanes in `base`. */
export function lanesIn(base: string): number[] {
  if (!existsSync(base)) return [];
  const lanes: number[] = [];
  for (const name of readdirSync(base)) {
    const match = LANE.exec(name);
    if (match !== null) lanes.push(Number(match[1]));
  }
  return lanes.sort((left, right) => left - right);
}

/** Does the move that the intent file names. @returns false when there is none. */
function finishMove(base: string): boolean {
  const intent = readFileIfAny(join(base, INTENT_FILE));
  if (intent === null) return false;
  const { from, to } = JSON.parse(intent) as { from: number; to: number }; // written whole, by us
  const source = laneDirectory(base, from);
  const target = laneDirectory(base, to);
  mkdirSync(target, { recursive: true });
  if (existsSync(source)) {
    moveMarker(source, target);
    for (const name of readdirSync(source)) {
      if (GENERATION.test(name)) renameSync(join(source, name), join(target, name));
    }
    syncDirectory(target);
    rmSync(source, { recursive: true, force: true });
    syncDirectory(base);
  }
  rmSync(join(base, INTENT_FILE));
  return true;
}

/**
 * What the former lane was reading when it died stays suspicious, unless the other lane died too.
 */
function moveMarker(source: string, target: string): void {
  const from = join(source, MARKER_FILE);
  const to = join(target, MARKER_FILE);
  if (!existsSync(from)) return;
  const bytes = readFileSync(from);
  const taken = existsSync(to) && readFileSync(to).some((byte) => byte !== 0);
  if (bytes.length === 4 && readWord(bytes, 0) !== 0 && !taken) writeFileSync(to, bytes);
}
