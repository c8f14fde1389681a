// What nodes send each other: entries gathered and written as frames, frames checked and read back
// into words, on one core without sockets; then frames over a connection of this machine, both ends
// in this thread. The figure is of parts through writer and reader; the hash is of what was read.
//
// A node has at most some 0.7 parts a span for others and as many decisions: at 0.15 µs written and
// 0.05 µs read an entry, frames cost less than what is in them.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import {
  FRAME_DECISION, FRAME_ENTRIES_MAX, FRAME_PART, FRAME_REMEMBERED, FRAME_WORDS, type FrameKind,
} from "../engine/peer/frame-layout.ts";
import { FrameReader } from "../engine/peer/frame-reader.ts";
import { FrameWriter } from "../engine/peer/frame-writer.ts";
import { PeerLinks } from "../engine/peer/peer-links.ts";
import { rounded, runWhenMain, type BenchOptions, type BenchResult } from "./result.ts";

/** Of the words of all entries. */
const SEED = 0x9ee7;
const KINDS: readonly (readonly [name: string, kind: FrameKind])[] = [
  ["part", FRAME_PART], ["decision", FRAME_DECISION], ["remembered", FRAME_REMEMBERED],
];
/** A turn of a busy coordinator, and one with little to do. */
const FULL_ENTRIES = FRAME_ENTRIES_MAX;
const SMALL_ENTRIES = 16;
const PART_WORDS = FRAME_WORDS[FRAME_PART]!;
const HOST = "127.0.0.1";
const PEER = 1;
const STREAM = 0;
/** Sent and not acknowledged, as lanes keep it. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

interface Node {
  readonly name: string;
  readonly logId: string;
  readonly incarnation: string;
}

interface Times {
  readonly writeUs: number;
  readonly readUs: number;
  readonly hash: number;
}

/** Many frames of each kind, written, then read; then parts over a connection. */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const entries = options.smoke ? 8_192 : 4_096_000;
  const words = randomWords();
  const detail: Record<string, number | string> = { seed: SEED, entries };
  let hash = 0;
  let partUs = 0;
  for (const [name, kind] of KINDS) {
    const times = measure(words, kind, FULL_ENTRIES, entries);
    detail[`${name}WriteUs`] = rounded(times.writeUs);
    detail[`${name}ReadUs`] = rounded(times.readUs);
    hash = (Math.imul(hash, 31) + times.hash) | 0;
    if (kind === FRAME_PART) partUs = times.writeUs + times.readUs;
  }
  const small = measure(words, FRAME_PART, SMALL_ENTRIES, Math.ceil(entries / 8));
  detail["smallFrameWriteUs"] = rounded(small.writeUs * SMALL_ENTRIES);
  detail["smallFrameReadUs"] = rounded(small.readUs * SMALL_ENTRIES);
  hash = (Math.imul(hash, 31) + small.hash) | 0;
  const linked = await measureLink(words, entries);
  detail["linkPartUs"] = rounded(linked.us);
  hash = (Math.imul(hash, 31) + linked.hash) | 0;
  return {
    name: "peer",
    spansPerSecond: Math.round(1e6 / partUs),
    detail: { ...detail, resultHash: (hash >>> 0).toString(16) },
  };
}

function measure(
  words: Uint32Array, kind: FrameKind, perFrame: number, entries: number,
): Times {
  const writer = new FrameWriter();
  const reader = new FrameReader();
  const frames = Math.ceil(entries / perFrame);
  const size = FRAME_WORDS[kind]!;
  let writeMs = 0;
  let readMs = 0;
  let hash = 0;
  for (let frame = 0; frame < frames; frame++) {
    const began = performance.now();
    for (let entry = 0; entry < perFrame; entry++) writer.add(kind, words, entry * size);
    const bytes = writer.encode(1, frame, "");
    const written = performance.now();
    if (!reader.read(bytes)) throw new Error("a frame that was written is read");
    const ended = performance.now();
    writeMs += written - began;
    readMs += ended - written;
    const last = reader.wordsAt(kind) + (reader.count(kind) - 1) * size;
    hash = (Math.imul(hash, 31) + reader.words[last]! + reader.sequence) | 0;
  }
  const us = 1000 / (frames * perFrame);
  return { writeUs: writeMs * us, readUs: readMs * us, hash };
}

/** Parts written, sent, received and read by two nodes in this thread: all that both have to do. */
async function measureLink(
  words: Uint32Array, entries: number,
): Promise<{ us: number; hash: number }> {
  const reader = new FrameReader();
  let hash = 0;
  let taken = 0;
  const [from, to] = ["a", "b"].map((name) => ({ name, logId: name, incarnation: "1" })) as
    [Node, Node];
  const receiver = links(to, (bytes) => {
    if (!reader.read(bytes)) throw new Error("a frame that was sent is read");
    taken += reader.count(FRAME_PART);
    hash = (Math.imul(hash, 31) + reader.words[reader.wordsAt(FRAME_PART)]! + reader.sequence) | 0;
    return true;
  });
  const sender = links(from, () => true);
  try {
    const port = await receiver.start();
    sender.setPeers([{ number: PEER, ...to, address: `${HOST}:${port}` }]);
    while (!sender.isUp(PEER, STREAM)) await sleep(1);
    const writer = new FrameWriter();
    const began = performance.now();
    for (let sent = 0; sent < entries; sent += FULL_ENTRIES) {
      for (let entry = 0; entry < FULL_ENTRIES; entry++) {
        writer.add(FRAME_PART, words, entry * PART_WORDS);
      }
      if (!sender.send(PEER, STREAM, writer.encode(1, sent, ""))) writer.handOver();
      do await nextTurn(); while (sender.waitingBytes(PEER, STREAM) > WAITING_BYTES_MAX);
    }
    while (sender.waitingBytes(PEER, STREAM) > 0) await nextTurn();
    return { us: ((performance.now() - began) * 1000) / taken, hash };
  } finally {
    await Promise.all([sender.close(), receiver.close()]);
  }
}

function links(self: Node, take: (bytes: Uint8Array) => boolean): PeerLinks {
  return new PeerLinks({
    self, cluster: "bench", secret: "bench", listen: { host: HOST, port: 0 }, silenceMsMax: 5_000,
    random: () => 0.5,
  }, {
    up: () => {}, down: () => {}, frame: (_logId, _incarnation, _stream, bytes) => take(bytes),
    log: (_level, message, fields) => {
      throw new Error(`${message} ${JSON.stringify(fields)}`);
    },
  });
}

function randomWords(): Uint32Array {
  const words = new Uint32Array(FULL_ENTRIES * Math.max(...FRAME_WORDS));
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(SEED + at, 0x9e3779b1);
  return words;
}

await runWhenMain(import.meta.url, run);
