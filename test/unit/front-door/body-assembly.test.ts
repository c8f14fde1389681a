import { expect, test } from "vitest";
import { BodyMemory } from "../../../engine/front-door/body-assembly.ts";
import { Random } from "../../support/random.ts";
import { pattern } from "./door-harness.ts";

const KIB = 1024;

test("a block doubles as a body grows and never passes the largest body", () => {
  const memory = new BodyMemory(1024 * KIB, 0, 20 * KIB);
  const body = pattern(20 * KIB);
  let block: Uint8Array | null = null;
  const sizes: number[] = [];
  for (let at = 0; at < body.length; at += KIB) {
    block = memory.append(block, at, body.subarray(at, at + KIB));
    sizes.push(block!.length / KIB);
    expect(memory.heldBytes).toBe(block!.length);
  }
  expect([...new Set(sizes)]).toEqual([4, 8, 16, 20]);
  expect(Buffer.from(block!).equals(body)).toBe(true);
  memory.give(block!);
  expect(memory.heldBytes).toBe(0);
});

test("without budget the block stays as it was and is still held", () => {
  const memory = new BodyMemory(10 * KIB, 0, 64 * KIB);
  const block = memory.append(null, 0, pattern(4 * KIB))!;
  expect(memory.append(block, 4 * KIB, pattern(1))).toBe(null);
  expect(memory.heldBytes).toBe(4 * KIB);
  expect(Buffer.from(block).equals(pattern(4 * KIB))).toBe(true);
  memory.give(block);
  expect(() => memory.give(block)).toThrow("given back once");
});

test("blocks are reused up to the pool's bound", () => {
  const memory = new BodyMemory(1024 * KIB, 4 * KIB, 64 * KIB);
  const first = memory.append(null, 0, pattern(10))!;
  const second = memory.append(null, 0, pattern(10))!;
  memory.give(first);
  memory.give(second);
  const again = memory.append(null, 0, pattern(10))!;
  expect(again).toBe(first);
  expect(memory.append(null, 0, pattern(10))).not.toBe(second);
});

test("bodies in random pieces come out whole and all memory comes back", () => {
  const random = Random.fromEnvironment();
  console.log(`body assembly seed ${random.seed} (TAILRACE_SEED repeats it)`);
  const memory = new BodyMemory(2 * 1024 * KIB, 64 * KIB, 100 * KIB);
  const bodies = Array.from({ length: 30 }, () => ({
    whole: pattern(1 + random.below(100 * KIB)), sent: 0, block: null as Uint8Array | null,
  }));
  let open = bodies.length;
  while (open > 0) {
    const body = bodies[random.below(bodies.length)]!;
    if (body.sent === body.whole.length) continue;
    const piece = body.whole.subarray(body.sent, body.sent + 1 + random.below(20 * KIB));
    const block = memory.append(body.block, body.sent, piece);
    if (block === null) continue;
    body.block = block;
    body.sent += piece.length;
    if (body.sent < body.whole.length) continue;
    expect(Buffer.from(block.subarray(0, body.sent)).equals(body.whole)).toBe(true);
    memory.give(block);
    open--;
  }
  expect(memory.heldBytes).toBe(0);
});
