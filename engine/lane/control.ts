// The control words of the process, one SharedArrayBuffer that every thread sees.
//
// [0] command, written by main: RUN, KEEP (stop and leave undecided traces on disk), DECIDE (judge
// all
//     now), STOP (commit and return), ABANDON (return at once: the process ends, the log has
// everything)
// [1] storage pressure, written by main: PRESSURE_ bits
// [2] generation counter: the last generation id given out, incremented by lanes
// [3] memory pressure, written by main: PRESSURE_ bits
// [4] sampling level, written by main: of new traces one in 2^level is stored
// [5] storage over what is aimed at, KiB, written by main | [6] StorageLimit, MiB
// [7] storage that belongs to no lane, KiB, written by main
// [8 + lane * 8 ..] per lane: phase, quiet, storage KiB

export const COMMAND_RUN = 0;
export const COMMAND_KEEP = 1;
export const COMMAND_DECIDE = 2;
export const COMMAND_STOP = 3;
export const COMMAND_ABANDON = 4;
export type Command = typeof COMMAND_RUN | typeof COMMAND_KEEP | typeof COMMAND_DECIDE
  | typeof COMMAND_STOP | typeof COMMAND_ABANDON;

/** Payloads, decisions or rendered spans are under way in the lane. */
export const QUIET_BUSY = 0;
/** Every forwarder's ring has all that it takes. */
export const QUIET_HANDED_OVER = 1;
/** Every forwarder has answered for all of it. */
export const QUIET_IDLE = 2;

/** Phases of a lane; each is entered by all lanes before any goes on to the next but one. */
export const PHASE_LOADED = 1;
export const PHASE_SENT = 2;
export const PHASE_STOPPED = 3;

export const PRESSURE_NONE = 0;
/** Traces are judged early. */
export const PRESSURE_DECIDE = 1;
/** Payloads are refused. */
export const PRESSURE_REFUSE = 2;
/** The limit is near, and the policy is not to judge early. */
export const PRESSURE_NEAR = 4;

const COMMAND_AT = 0;
const PRESSURE_AT = 1;
const GENERATION_AT = 2;
const MEMORY_PRESSURE_AT = 3;
const SAMPLING_LEVEL_AT = 4;
const EXCESS_KIB_AT = 5;
const LIMIT_MIB_AT = 6;
const OUTSIDE_KIB_AT = 7;
const LANES_AT = 8;
const LANE_WORDS = 8;
const LANE_PHASE = 0;
const LANE_QUIET = 1;
const LANE_STORAGE_KIB = 2;
const KIB = 1024;
const MIB = 1024 * 1024;

/** Memory for `lanes` lanes. */
export function createControl(lanes: number): SharedArrayBuffer {
  return new SharedArrayBuffer((LANES_AT + lanes * LANE_WORDS) * 4);
}

/** Every thread's view of the control words; each word has the one writer named above. */
export class Control {
  readonly #words: Int32Array;
  readonly lanes: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.lanes = (this.#words.length - LANES_AT) / LANE_WORDS;
  }

  get command(): Command {
    return Atomics.load(this.#words, COMMAND_AT) as Command;
  }

  set command(command: Command) {
    Atomics.store(this.#words, COMMAND_AT, command);
  }

  get pressure(): number {
    return Atomics.load(this.#words, PRESSURE_AT);
  }

  set pressure(pressure: number) {
    Atomics.store(this.#words, PRESSURE_AT, pressure);
  }

  get memoryPressure(): number {
    return Atomics.load(this.#words, MEMORY_PRESSURE_AT);
  }

  set memoryPressure(pressure: number) {
    Atomics.store(this.#words, MEMORY_PRESSURE_AT, pressure);
  }

  /** Of new traces one in 2^level is stored; 0 = all. */
  get samplingLevel(): number {
    return Atomics.load(this.#words, SAMPLING_LEVEL_AT);
  }

  set samplingLevel(level: number) {
    Atomics.store(this.#words, SAMPLING_LEVEL_AT, level);
  }

  /** Bytes that early decisions have to make room for; 0 without storage pressure. */
  get storageExcessBytes(): number {
    return (Atomics.load(this.#words, EXCESS_KIB_AT) >>> 0) * KIB;
  }

  set storageExcessBytes(bytes: number) {
    Atomics.store(this.#words, EXCESS_KIB_AT, Math.ceil(bytes / KIB));
  }

  /** Set once before the lanes start; 0 = none. */
  get storageLimitBytes(): number {
    return (Atomics.load(this.#words, LIMIT_MIB_AT) >>> 0) * MIB;
  }

  set storageLimitBytes(bytes: number) {
    Atomics.store(this.#words, LIMIT_MIB_AT, Math.floor(bytes / MIB));
  }

  /** Files in the data directory that count and that no lane has. */
  set outsideBytes(bytes: number) {
    Atomics.store(this.#words, OUTSIDE_KIB_AT, Math.ceil(bytes / KIB));
  }

  /** True when the limit is reached now, whatever main has seen of it yet. */
  get storageFull(): boolean {
    const limit = this.storageLimitBytes;
    return limit > 0 && this.storageBytes() >= limit;
  }

  /** Generation ids are unique in a data directory; main sets the highest found at start. */
  startGenerationsAfter(highest: number): void {
    Atomics.store(this.#words, GENERATION_AT, highest);
  }

  nextGeneration(): number {
    return (Atomics.add(this.#words, GENERATION_AT, 1) + 1) >>> 0;
  }

  phase(lane: number): number {
    return Atomics.load(this.#words, this.#at(lane, LANE_PHASE));
  }

  setPhase(lane: number, phase: number): void {
    Atomics.store(this.#words, this.#at(lane, LANE_PHASE), phase);
  }

  /** True when every lane has reached `phase`. */
  allReached(phase: number): boolean {
    for (let lane = 0; lane < this.lanes; lane++) if (this.phase(lane) < phase) return false;
    return true;
  }

  /** How far a lane is after KEEP or DECIDE: BUSY, HANDED_OVER or IDLE. */
  setQuiet(lane: number, quiet: number): void {
    Atomics.store(this.#words, this.#at(lane, LANE_QUIET), quiet);
  }

  /** True when every lane is at least as quiet. */
  allQuiet(least: number): boolean {
    for (let lane = 0; lane < this.lanes; lane++) {
      if (Atomics.load(this.#words, this.#at(lane, LANE_QUIET)) < least) return false;
    }
    return true;
  }

  setStorageBytes(lane: number, bytes: number): void {
    Atomics.store(this.#words, this.#at(lane, LANE_STORAGE_KIB), Math.ceil(bytes / KIB));
  }

  /** Everything that counts into StorageLimit. */
  storageBytes(): number {
    let kib = Atomics.load(this.#words, OUTSIDE_KIB_AT) >>> 0;
    for (let lane = 0; lane < this.lanes; lane++) {
      kib += Atomics.load(this.#words, this.#at(lane, LANE_STORAGE_KIB)) >>> 0;
    }
    return kib * KIB;
  }

  #at(lane: number, word: number): number {
    return LANES_AT + lane * LANE_WORDS + word;
  }
}
