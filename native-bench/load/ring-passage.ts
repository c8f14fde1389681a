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

/** Every line of the cache that a message lies in is touched, and little else. */
const HASH_STRIDE_WORDS = 16;

/** Folds every sixteenth of words [at, end) into a hash. */
export function hashWords(words: Uint32Array, at: number, end: number, hash: number): number {
  let next = hash;
  for (let word = at; word < end; word += HASH_STRIDE_WORDS) {
    next = (Math.imul(next, 31) + words[word]!) | 0; // word < end
  }
  return next;
}
