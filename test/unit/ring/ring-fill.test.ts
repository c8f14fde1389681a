import { describe, expect, it } from "vitest";
import {
  ByteRingConsumer, ByteRingProducer, createByteRing,
} from "../../../engine/ring/byte-ring.ts";
import { ringFill } from "../../../engine/ring/ring-fill.ts";

describe("the fill of a ring", () => {
  it("rises with what is published, falls with what is released, and never passes the ring", () => {
    const memory = createByteRing(4_096);
    const producer = new ByteRingProducer(memory);
    const consumer = new ByteRingConsumer(memory);
    expect(ringFill(memory)).toEqual({ bytes: 0, capacityBytes: 4_096 });
    let published = 0;
    for (let round = 0; round < 100; round++) { // sequences go around the ring many times
      while (producer.reserve(1_000) >= 0) {
        producer.publish(1_000);
        published++;
      }
      const full = ringFill(memory).bytes;
      expect(full).toBeGreaterThanOrEqual(2_000);
      expect(full).toBeLessThanOrEqual(4_096);
      expect(consumer.peek()).toBeGreaterThanOrEqual(0);
      consumer.release();
      expect(ringFill(memory).bytes).toBeLessThan(full);
    }
    expect(published).toBeGreaterThan(90);
    while (consumer.peek() >= 0) consumer.release();
    expect(ringFill(memory).bytes).toBe(0);
  });
});
