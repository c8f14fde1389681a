import { expect, test } from "vitest";
import { WakeWord, createWakeWord } from "../../../engine/ring/wake-word.ts";

test("a wake after the snapshot ends the wait at once, a wake before it does not", async () => {
  const word = new WakeWord(createWakeWord());
  word.wake();
  const before = word.snapshot();
  const startedAt = performance.now();
  await word.waitAsync(before, 30);
  expect(performance.now() - startedAt).toBeGreaterThan(25);
  const stale = word.snapshot();
  word.wake();
  const wokenAt = performance.now();
  word.waitSync(stale, 10_000);
  await word.waitAsync(stale, 10_000);
  expect(performance.now() - wokenAt).toBeLessThan(2_000);
});

test("a blocking wait ends with its time", () => {
  const word = new WakeWord(createWakeWord());
  const startedAt = performance.now();
  word.waitSync(word.snapshot(), 20);
  expect(performance.now() - startedAt).toBeGreaterThan(15);
});

test("a wake during an asynchronous wait ends it, also after earlier waits timed out", async () => {
  const memory = createWakeWord();
  const owner = new WakeWord(memory);
  const other = new WakeWord(memory);
  for (let round = 0; round < 20; round++) {
    await owner.waitAsync(owner.snapshot(), 1);
    const startedAt = performance.now();
    const wait = owner.waitAsync(owner.snapshot(), 20_000);
    setImmediate(() => other.wake());
    await wait;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  }
});

test("waits that never block still let timers and sockets run", async () => {
  const word = new WakeWord(createWakeWord());
  let timerRan = false;
  setTimeout(() => { timerRan = true; }, 1);
  let turns = 0;
  while (!timerRan && turns < 1_000_000) {
    const snapshot = word.snapshot();
    word.wake();
    await word.waitAsync(snapshot, 1000);
    turns++;
  }
  expect(timerRan).toBe(true);
});

test("a thousand waits that time out leave one waiter behind, not a thousand", async () => {
  const memory = createWakeWord();
  const word = new WakeWord(memory);
  for (let round = 0; round < 200; round++) await word.waitAsync(word.snapshot(), 0);
  expect(Atomics.load(new Int32Array(memory), 1)).toBe(1);
  const wait = word.waitAsync(word.snapshot(), 20_000);
  word.wake();
  await wait;
  await new Promise((resolve) => setImmediate(resolve));
  expect(Atomics.load(new Int32Array(memory), 1)).toBe(0);
});

test("two waits at once are a bug", async () => {
  const word = new WakeWord(createWakeWord());
  const wait = word.waitAsync(word.snapshot(), 5);
  expect(() => word.waitAsync(word.snapshot(), 5)).toThrow("waits once");
  await wait;
});
