// Where a lane's parts go, node by node: to which nodes new parts are sent as they come, and from
// which record on the others still wait for theirs. What a node has not been sent stays in the log
// behind a cursor, never in memory.

import { NOBODY, SELF, NODES } from "../cluster/cluster-words.ts";


/** Nothing is to be sent to the node now. */
export const STAGE_IDLE = 0;
/** What is remembered of its shards is being sent. */
export const STAGE_SWEEP = 1;
/** What is undecided is being sent, from the cursor on. */
export const STAGE_WALK = 2;
/** All is sent but the word that it is. */
export const STAGE_COMPLETE = 3;

/** Written by its lane only; indices are numbers of nodes. */
export class Destinations {
  /** 1: new parts are sent as they come. */
  readonly live = new Uint8Array(NODES);
  readonly stage = new Uint8Array(NODES);
  /** 1: the walk is over only what waits too long; new parts go on meanwhile. */
  readonly overdueOnly = new Uint8Array(NODES);
  /** What is remembered is to be sent once more when the present stage is over. */
  readonly needsSweep = new Uint8Array(NODES);
  /** What waits too long is to be sent once more then. */
  readonly needsOverdue = new Uint8Array(NODES);
  /** Session of the connection that the present stage is for. */
  readonly session = new Int32Array(NODES);
  /** The first record that the node has not been sent all of. */
  readonly cursorGeneration = new Uint32Array(NODES);
  readonly cursorEntry = new Uint32Array(NODES);

  constructor() {
    this.live[SELF] = 1;
    this.live[NOBODY] = 0;
  }

  /** From this record on the node is not sent new parts: the walk will come by. */
  fallBehind(node: number, generation: number, entry: number): void {
    if (this.live[node] === 0) return;
    this.live[node] = 0;
    // A walk over what waits too long is before this record, and goes on as one over everything.
    if (this.overdueOnly[node] === 0) {
      this.cursorGeneration[node] = generation;
      this.cursorEntry[node] = entry;
    }
    this.overdueOnly[node] = 0;
    // What is under way is followed by a walk, because the node is not live.
    if (this.stage[node] === STAGE_IDLE) this.stage[node] = STAGE_WALK;
  }

  /** The node is sent everything again, from the start of the log. */
  beginAgain(node: number, withSweep: boolean): void {
    if (node !== SELF) this.live[node] = 0;
    this.overdueOnly[node] = 0;
    this.cursorGeneration[node] = 0;
    this.cursorEntry[node] = 0;
    this.needsSweep[node] = 0;
    this.needsOverdue[node] = 0;
    this.stage[node] = withSweep ? STAGE_SWEEP : STAGE_WALK;
  }

  /** What has waited too long is sent again, now or after what is under way. */
  askAgain(node: number): void {
    if (this.stage[node] !== STAGE_IDLE) {
      this.needsOverdue[node] = 1;
      return;
    }
    this.needsOverdue[node] = 0;
    this.overdueOnly[node] = this.live[node]!;
    this.cursorGeneration[node] = 0;
    this.cursorEntry[node] = 0;
    this.stage[node] = STAGE_WALK;
  }

  /** The present stage is over: on to what is to be sent once more, or what came meanwhile. */
  next(node: number): void {
    this.overdueOnly[node] = 0;
    this.stage[node] = STAGE_IDLE;
    if (this.needsSweep[node] === 1) this.stage[node] = STAGE_SWEEP;
    else if (this.needsOverdue[node] === 1) this.askAgain(node);
    else if (this.live[node] === 0) this.stage[node] = STAGE_WALK;
    this.needsSweep[node] = 0;
  }

  /** What is remembered of the node's shards is sent; new parts go on meanwhile. */
  tellRemembered(node: number): void {
    if (this.stage[node] === STAGE_IDLE) this.stage[node] = STAGE_SWEEP;
    else this.needsSweep[node] = 1;
  }

  /** The connection is gone: nothing is sent until there is another. */
  lose(node: number): void {
    this.live[node] = 0;
    this.stage[node] = STAGE_IDLE;
    this.needsSweep[node] = 0;
    this.needsOverdue[node] = 0;
  }
}
