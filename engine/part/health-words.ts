// What every health endpoint of the process says, in two shared words: main writes, doors and the
// admin server read. A load balancer sees the same answer wherever it asks.

/** 1 while this node is recovered and in its place in the cluster. */
export const HEALTH_READY = 0;
/** 1 from the beginning of a drain to the end of the process. */
export const HEALTH_DRAINING = 1;
const HEALTH_WORDS = 2;

/** Memory of the health words: not ready, not draining. */
export function createHealthWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEALTH_WORDS * 4);
}

/** The health words seen from one thread. */
export class HealthWords {
  private readonly words: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory, 0, HEALTH_WORDS);
  }

  get ready(): boolean {
    return Atomics.load(this.words, HEALTH_READY) === 1;
  }

  set ready(ready: boolean) {
    Atomics.store(this.words, HEALTH_READY, ready ? 1 : 0);
  }

  get draining(): boolean {
    return Atomics.load(this.words, HEALTH_DRAINING) === 1;
  }

  set draining(draining: boolean) {
    Atomics.store(this.words, HEALTH_DRAINING, draining ? 1 : 0);
  }
}
