// Which members this node waits for, and how long each of them has shown no progress. Pure: told of
// what was seen, asked for what follows.
//
// A node waits for a member
//   - whose report is missing for a shard that the node got: the shard is closed until it is there;
//   - whose answers, as a witness, decisions of a lane lack.
//
// Progress is what brings this node nearer to what it waits for. It is
//   - on the connection for parts: a remembered decision or fingerprint, a part that was sent again
//     by a walk, the word that the report is complete;
//   - on the connection for decisions: answers to questions;
//   - the member's word that its lanes still send other nodes theirs or walk over a long log, as
//     long as its connection for parts has lasted for STEADY_MS: one that breaks again and again
//     carries such words, and never a report;
//   - a frame that this node has not taken because it has no room, or not yet adopted its map;
//   - another batch than before: the former one had its answers.
//
// No progress are parts that come as spans do, decisions, pings, and a connection that was made:
// all of them may go on for ever while the report is missing. Neither is another map.
//
// While this thread does not look, because the machine or the process stands still, nobody is
// silent: the time counts for nobody.

/** A connection for parts that has lasted for this long is no passing one. */
export const STEADY_MS = 10_000;
/** A look later than this after the one before: this thread stood still. */
const LOOK_MS_MAX = 3_000;

/** A member as it is at one look. */
export interface WatchedMember {
  readonly incarnation: string;
  readonly isWaitedFor: boolean;
  /** Rises, or at least changes, with every progress. */
  readonly progress: string;
}

interface Wait {
  readonly progress: string;
  readonly sinceMs: number;
}

/** Times are monotonic. */
export class SilenceWatch {
  /** By incarnation: the members that are waited for. */
  #waits = new Map<string, Wait>();
  #lookedMs: number | null = null;

  /** Takes what is so now, a few times in a second or so. */
  look(members: readonly WatchedMember[], nowMs: number): void {
    const passedMs = nowMs - (this.#lookedMs ?? nowMs);
    const lostMs = passedMs > LOOK_MS_MAX ? passedMs : 0;
    this.#lookedMs = nowMs;
    const waits = new Map<string, Wait>();
    for (const { incarnation, isWaitedFor, progress } of members) {
      if (!isWaitedFor) continue;
      const before = this.#waits.get(incarnation);
      const sinceMs = before?.progress === progress ? before.sinceMs + lostMs : nowMs;
      waits.set(incarnation, { progress, sinceMs });
    }
    this.#waits = waits;
  }

  /** For how long the member is waited for without progress; null: it is not waited for. */
  waitedMs(incarnation: string, nowMs: number): number | null {
    const wait = this.#waits.get(incarnation);
    return wait === undefined ? null : Math.max(0, nowMs - wait.sinceMs);
  }
}
