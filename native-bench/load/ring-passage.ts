// What both threads of ring.bench.ts know.

/** What the thread gets when it starts. */
export interface RingConsumerPlan {
  readonly kind: "bodies" | "slots";
  readonly memory: SharedArrayBuffer;
  readonly count: number;
  /** The consumer waits on it. */
  readonly wake: SharedArrayBuffer;
  /** The producer waits on it when the ring is full. */
  readonly room: SharedArrayBuffer;
}

/** Folds words [at, end) into a hash. */
export function hashWords(words: Uint32Array, at: number, end: number, hash: number): number {
  let next = hash;
  for (let word = at; word < end; word++) next = (Math.imul(next, 31) + words[word]!) | 0;
  return next;
}
