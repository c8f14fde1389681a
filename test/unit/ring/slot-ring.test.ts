import { expect, test } from "vitest";
import {
  SlotRingConsumer, SlotRingProducer, createSlotRing,
} from "../../../engine/ring/slot-ring.ts";

function pair(slots: number, slotWords: number, firstSequence = 0) {
  const memory = createSlotRing(slots, slotWords, firstSequence);
  return { producer: new SlotRingProducer(memory), consumer: new SlotRingConsumer(memory) };
}

test("staged slots become visible with the flush, released ones free with theirs", () => {
  const { producer, consumer } = pair(4, 3, -2);
  for (let round = 0; round < 6; round++) {
    for (let slot = 0; slot < 4; slot++) {
      const at = producer.reserve();
      expect(producer.reserve()).toBe(at);
      const value = round * 100 + slot * 10;
      for (let word = 0; word < 3; word++) producer.words[at + word] = value + word;
      producer.publish();
    }
    expect(producer.reserve()).toBe(-1);
    expect(producer.free()).toBe(0);
    expect(consumer.peek()).toBe(-1);
    expect(producer.flush()).toBe(true);
    expect(producer.flush()).toBe(false);
    expect(consumer.waiting()).toBe(4);
    for (let slot = 0; slot < 4; slot++) {
      const at = consumer.peek();
      expect(consumer.words[at + 2]).toBe(round * 100 + slot * 10 + 2);
      consumer.release();
    }
    expect(consumer.peek()).toBe(-1);
    expect(producer.reserve()).toBe(-1);
    expect(consumer.flush()).toBe(true);
    expect(consumer.flush()).toBe(false);
    expect(producer.free()).toBe(4);
  }
});

test("publishing into a full ring and releasing from an empty one are bugs", () => {
  const { producer, consumer } = pair(1, 1);
  expect(() => consumer.release()).toThrow("without a peeked slot");
  producer.publish();
  expect(() => producer.publish()).toThrow("without room");
});

test("sizes that cannot work are refused", () => {
  expect(() => createSlotRing(3, 1)).toThrow("power of two");
  expect(() => createSlotRing(4, 0)).toThrow("has words");
});
