/** Small seeded generator for tests (mulberry32): the same seed gives the same run. */
export class Random {
  #state: number;
  readonly seed: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** The seed of the environment (TAILRACE_SEED) or a fresh one; print it. */
  static fromEnvironment(): Random {
    const given = process.env["TAILRACE_SEED"];
    return new Random(given === undefined ? Date.now() ^ (process.pid << 8) : Number(given));
  }

  /** A uniform 32-bit word. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** An integer in [0, below). */
  below(below: number): number {
    return this.word() % below;
  }

  chance(probability: number): boolean {
    return this.word() / 4_294_967_296 < probability;
  }

  hex(bytes: number): string {
    let text = "";
    while (text.length < bytes * 2) text += this.word().toString(16).padStart(8, "0");
    return text.slice(0, bytes * 2);
  }
}
