// Every piece of memory that threads share, allocated once at start. Large rings become resident
// only as far as they are used: an empty ring starts again at its beginning.

import { BODY_BYTES_MAX } from "../../config/limits.ts";
import { assert } from "../base/assert.ts";
import { ACK_WORDS } from "../forward/message-layout.ts";
import { createClusterWords } from "../cluster/cluster-words.ts";
import { createControl } from "../lane/control.ts";
import type { LaneMemory } from "../lane/lane-plan.ts";
import { QUESTION_WORDS } from "../lane/questions.ts";
import { DECISION_WORDS } from "../part/decision-layout.ts";
import { createHealthWords } from "../part/health-words.ts";
import { MESSAGE_WORDS } from "../part/part-layout.ts";
import { createByteRing } from "../ring/byte-ring.ts";
import { COMPLETION_WORDS } from "../ring/payload-layout.ts";
import { createSlotRing } from "../ring/slot-ring.ts";
import { createWakeWord } from "../ring/wake-word.ts";
import { createCounterBlock } from "../telemetry/counters.ts";

/** Requests begun and not answered; a lane's completions always have room for them. */
export const REQUESTS_MAX = 16_384;
/** Slots of each ring between a lane and the coordinator of a cluster. */
const PEER_SLOTS = 16_384;
/** Slots of the rings into one lane from all lanes together. */
const EXCHANGE_SLOTS = 32_768;
const EXCHANGE_SLOTS_MIN = 1024;
const ACK_SLOTS = 8192;
const QUESTION_SLOTS = 64;
const REPORT_BYTES = 1024 * 1024;
/** Room beside a body in its ring: headers, attributes added to spans. */
const BODY_ROOM_BYTES = 1024 * 1024;

/** All of it. */
export interface SharedMemory {
  readonly health: SharedArrayBuffer;
  readonly doorCounters: SharedArrayBuffer;
  readonly forwardCounters: SharedArrayBuffer;
  readonly lanes: readonly LaneMemory[];
  readonly payloadRingBytes: number;
  /** Bytes reserved in rings. */
  readonly bytes: number;
}

/** Capacity of a ring that holds a body of `bodyBytes`: a message fits half a ring. */
export function bodyRingBytes(bodyBytes: number): number {
  assert(bodyBytes <= BODY_BYTES_MAX, "a body fits a ring");
  return 2 ** Math.ceil(Math.log2(2 * (bodyBytes + BODY_ROOM_BYTES)));
}

/**
 * Allocates for `lanes` lanes and the forwarders of `slots`.
 * @param storedBytesMax the largest body that the log or an outbox may have, of former runs too.
 */
export function createSharedMemory(
  lanes: number, slots: readonly number[], bodyBytesMax: number, storedBytesMax = bodyBytesMax,
  clustered = false,
): SharedMemory {
  const ringBytes = bodyRingBytes(bodyBytesMax);
  const messageRingBytes = bodyRingBytes(Math.max(bodyBytesMax, storedBytesMax));
  const exchange = Math.max(EXCHANGE_SLOTS_MIN, EXCHANGE_SLOTS / 2 ** Math.ceil(Math.log2(lanes)));
  const numbers = Array.from({ length: lanes }, (_, lane) => lane);
  const parts = numbers.map(() => numbers.map(() => createSlotRing(exchange, MESSAGE_WORDS)));
  const decisions = numbers.map(() => numbers.map(() => createSlotRing(exchange, DECISION_WORDS)));
  const control = createControl(lanes);
  const cluster = clustered ? createClusterWords() : null;
  const withPeers = (rings: SharedArrayBuffer[], words: number): SharedArrayBuffer[] =>
    clustered ? [...rings, createSlotRing(PEER_SLOTS, words)] : rings;
  const wake = {
    main: createWakeWord(), forwarder: createWakeWord(), coordinator: createWakeWord(),
    lanes: numbers.map(() => createWakeWord()),
  };
  const memory = numbers.map((lane): LaneMemory => ({
    control, wake, cluster,
    counters: createCounterBlock("lane"),
    payloads: createByteRing(ringBytes),
    completions: createSlotRing(REQUESTS_MAX, COMPLETION_WORDS),
    partsTo: withPeers(parts[lane]!, MESSAGE_WORDS), // one row a lane
    partsFrom: withPeers(numbers.map((from) => parts[from]![lane]!), MESSAGE_WORDS),
    decisionsTo: withPeers(decisions[lane]!, DECISION_WORDS),
    decisionsFrom: withPeers(numbers.map((from) => decisions[from]![lane]!), DECISION_WORDS),
    forward: Object.fromEntries(slots.map((slot) => [slot, createByteRing(messageRingBytes)])),
    acknowledgements: createSlotRing(ACK_SLOTS, ACK_WORDS),
    questions: createSlotRing(QUESTION_SLOTS, QUESTION_WORDS),
    reports: createByteRing(REPORT_BYTES),
  }));
  return {
    health: createHealthWords(),
    doorCounters: createCounterBlock("door"),
    forwardCounters: createCounterBlock("forward"),
    lanes: memory,
    payloadRingBytes: ringBytes,
    bytes: bytesOf(memory),
  };
}

function bytesOf(lanes: readonly LaneMemory[]): number {
  const all = new Set<SharedArrayBuffer>();
  const add = (value: unknown): void => {
    if (value instanceof SharedArrayBuffer) all.add(value);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(add);
  };
  add(lanes);
  return [...all].reduce((bytes, memory) => bytes + memory.byteLength, 0);
}
