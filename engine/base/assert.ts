/** Stops the thread on what only a bug can cause; stays on in production. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** A broken invariant. Never caught below a thread's entry: a dead lane ends the process. */
export class AssertionFailed extends Error {
  constructor(message: string) {
    super(`assertion failed: ${message}`);
    this.name = "AssertionFailed";
  }
}
