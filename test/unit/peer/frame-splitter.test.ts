import { describe, expect, it } from "vitest";
import { FrameSplitter } from "../../../engine/peer/frame-splitter.ts";
import { Random } from "../../support/random.ts";
import { framed } from "./link-harness.ts";

const random = Random.fromEnvironment();
console.log(`frame splitter: TAILRACE_SEED=${random.seed}`);

function takeAll(splitter: FrameSplitter): Buffer[] {
  const frames: Buffer[] = [];
  for (let frame = splitter.peek(); frame !== null; frame = splitter.peek()) {
    frames.push(Buffer.from(frame));
    splitter.take();
  }
  return frames;
}

describe("a stream of frames", () => {
  it("is cut where frames end, however it comes", () => {
    for (let round = 0; round < 300; round++) {
      const frames = Array.from({ length: 1 + random.below(8) }, () => {
        const size = random.chance(0.2) ? 0 : random.below(random.chance(0.1) ? 200_000 : 40);
        return framed(Buffer.alloc(size, random.below(256)));
      });
      const stream = Buffer.concat(frames);
      const splitter = new FrameSplitter();
      const found: Buffer[] = [];
      const piece = 1 + random.below(random.chance(0.5) ? 7 : 70_000);
      for (let at = 0; at < stream.length; at += piece) {
        // In memory of its own, which is somebody else's when the next piece comes.
        splitter.push(Buffer.from(stream.subarray(at, at + piece)));
        found.push(...takeAll(splitter));
      }
      expect(found.length).toBe(frames.length);
      expect(Buffer.concat(found).equals(stream)).toBe(true);
    }
  });

  it("gives the same frame until it is taken, also when more comes", () => {
    const splitter = new FrameSplitter();
    const stream = Buffer.concat([framed("one"), framed("two"), framed("three")]);
    splitter.push(stream.subarray(0, 9));
    expect(splitter.peek()).toEqual(framed("one"));
    splitter.push(stream.subarray(9, 12));
    expect(splitter.peek()).toEqual(framed("one"));
    splitter.take();
    expect(splitter.peek()).toBeNull();
    splitter.push(stream.subarray(12, 15));
    expect(splitter.peek()).toEqual(framed("two")); // from pieces
    splitter.push(stream.subarray(15));
    expect(splitter.peek()).toEqual(framed("two"));
    expect(takeAll(splitter)).toEqual([framed("two"), framed("three")]);
  });

  it("is broken for good by a frame above the bound, whole or in pieces", () => {
    for (const cut of [1, 3, 4, 20]) {
      const splitter = new FrameSplitter(16);
      const stream = Buffer.concat([framed("123456789012"), framed("1234567890123")]);
      splitter.push(stream.subarray(0, 16));
      expect(takeAll(splitter)).toHaveLength(1);
      splitter.push(stream.subarray(16, 16 + cut));
      expect(splitter.peek()).toBeNull();
      splitter.push(stream.subarray(16 + cut));
      expect(splitter.peek()).toBeNull();
      expect(splitter.isBroken).toBe(true);
      splitter.push(framed("1"));
      expect(splitter.peek()).toBeNull();
    }
  });
});
