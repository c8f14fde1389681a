import { beforeEach, describe, expect, it } from "vitest";
import { ClusterWords, createClusterWords } from "../../../engine/cluster/cluster-words.ts";
import type { Peer } from "../../../engine/cluster/exchange-ports.ts";
import { MemberWatch } from "../../../engine/cluster/member-watch.ts";
import { planMap, type ShardMap } from "../../../engine/cluster/shard-map.ts";
import { STEADY_MS } from "../../../engine/cluster/silence-watch.ts";
import { mapMember } from "../../support/map-members.ts";

const TIMEOUT_MS = 5_000;
const [A, B, C] = [mapMember("a"), mapMember("b"), mapMember("c")];
const PEERS: readonly Peer[] = [{ number: 1, member: B }, { number: 2, member: C }];

let words: ClusterWords;
let map: ShardMap;
let reported: Uint32Array;
let progress: Uint32Array;
let notes: string[];
let down: Set<string>;
let watch: MemberWatch;
let nowMs: number;

beforeEach(() => {
  words = new ClusterWords(createClusterWords());
  map = planMap(planMap(planMap(null, [B, C]), [B, C]), [A, B, C]); // "a" joins at epoch 3
  reported = new Uint32Array(256);
  progress = new Uint32Array(256);
  notes = [];
  down = new Set();
  nowMs = 100_000;
  watch = new MemberWatch({
    incarnation: A.incarnation, lanes: 2, handoverTimeoutMs: TIMEOUT_MS, words,
    exchange: {
      peers: PEERS, map, heard: { reported, progress },
      sendNote: (node, note) => notes.push(`${node} ${note}`),
    },
    links: { isUp: (number, stream) => !down.has(`${number} ${stream}`) },
  });
});

/** Looks once a second. @returns names of those that are silent then. */
function pass(seconds: number, each: () => void = () => {}, isMember = true): string[] {
  for (let second = 0; second < seconds; second++) {
    nowMs += 1_000;
    each();
    watch.look(isMember, nowMs);
  }
  return watch.silent(nowMs).map(({ member }) => member.name);
}

describe("a member whose report is missing", () => {
  it("is silent when it shows nothing for HandoverTimeout", () => {
    reported[1] = 3;
    reported[2] = 2;
    expect(pass(5)).toEqual([]);
    expect(pass(1)).toEqual(["c"]);
    expect(watch.waitedMs(B, nowMs)).toBeNull();
    reported[2] = 3;
    expect(pass(1)).toEqual([]);
  });

  it("is not silent while it sends, or is not taken from", () => {
    reported[1] = 3;
    expect(pass(60, () => { if (nowMs % 4_000 === 0) progress[2]!++; })).toEqual([]);
  });

  it("is not silent for a node that is in no map", () => {
    expect(pass(60, () => {}, false)).toEqual([]);
    expect(pass(5)).toEqual([]);
  });

  it("is not silent when it says that it is at work, over a connection that lasts", () => {
    reported[1] = 3;
    const says = (): void => watch.takeWalking(PEERS[1]!, nowMs);
    expect(pass(7, says)).toEqual(["c"]); // by no connection at all
    watch.inbound(C.logId, 0, true, nowMs);
    expect(pass(STEADY_MS / 1_000 + 1, says)).toEqual([]);
    expect(pass(60, says)).toEqual([]);
    const breaks = (): void => {
      if (nowMs % 8_000 !== 0) return;
      watch.inbound(C.logId, 0, false, nowMs);
      watch.inbound(C.logId, 0, true, nowMs);
    };
    expect(pass(60, () => { breaks(); says(); })).toEqual(["c"]);
  });
});

describe("a witness", () => {
  beforeEach(() => {
    reported[1] = 3;
    reported[2] = 3;
  });

  it("is silent when the same batch of a lane lacks its answers for so long", () => {
    words.setAwaited(1, (77 << 8) | 2);
    expect(pass(5)).toEqual([]);
    expect(pass(1)).toEqual(["c"]);
    words.setAwaited(1, 0);
    expect(pass(1)).toEqual([]);
  });

  it("is not silent while batches come and go, or it answers", () => {
    let batch = 0;
    expect(pass(60, () => words.setAwaited(1, (++batch << 8) | 2))).toEqual([]);
    expect(pass(60, () => { if (nowMs % 3_000 === 0) progress[2]!++; })).toEqual([]);
  });
});

describe("connections", () => {
  it("are there when all four are", () => {
    for (const stream of [0, 1]) {
      expect(watch.isConnected(B)).toBe(false);
      watch.inbound(B.logId, stream, true, nowMs);
    }
    expect(watch.isConnected(B)).toBe(true);
    expect(watch.hears(C)).toBe(false);
    down.add("1 1");
    expect(watch.isConnected(B)).toBe(false);
    down.clear();
    watch.inbound(B.logId, 1, false, nowMs);
    expect(watch.isConnected(B)).toBe(false);
  });

  it("reach all when they reach those that are registered", () => {
    down.add("2 0");
    expect(watch.reachesAll([A, B])).toBe(true);
    expect(watch.reachesAll([A, B, C])).toBe(false);
    expect(watch.reachesAll([A, B, { ...C, incarnation: "second-of-c" }])).toBe(true);
  });
});

describe("the word that lanes are at work", () => {
  it("goes to members that wait for this node's report, when the lanes did something", () => {
    watch.tellWalking();
    expect(notes).toEqual([]);
    words.addWalked(1);
    words.setCompleteAt(1, 3);
    words.setCompleteAt(2, 0);
    watch.tellWalking();
    expect(notes).toEqual(['2 {"kind":"walking"}']);
    watch.tellWalking();
    expect(notes).toHaveLength(1);
  });
});
