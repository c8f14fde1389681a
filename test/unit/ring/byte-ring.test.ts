import { expect, test } from "vitest";
import {
  ByteRingConsumer, ByteRingProducer, createByteRing, messageBytesMax,
} from "../../../engine/ring/byte-ring.ts";
import { RING_CONTROL_BYTES } from "../../../engine/ring/ring-layout.ts";

function pair(capacityBytes: number, firstSequence = 0) {
  const memory = createByteRing(capacityBytes, firstSequence);
  return {
    memory,
    producer: new ByteRingProducer(memory),
    consumer: new ByteRingConsumer(memory),
  };
}

function send(producer: ByteRingProducer, bytes: number, fill: number): boolean {
  const at = producer.reserve(bytes);
  if (at < 0) return false;
  producer.bytes.fill(fill, at, at + bytes);
  producer.publish(bytes);
  return true;
}

function read(consumer: ByteRingConsumer, at: number): number[] {
  return [...consumer.bytes.slice(at, at + consumer.messageBytes)];
}

function filled(bytes: number, fill: number): number[] {
  return Array.from({ length: bytes }, () => fill);
}

test("messages come out in order, with their bytes and sizes", () => {
  const { producer, consumer } = pair(256);
  expect(consumer.peek()).toBe(-1);
  for (let size = 0; size < 5; size++) expect(send(producer, size, size)).toBe(true);
  for (let size = 0; size < 5; size++) {
    const at = consumer.peek();
    expect(at % 8).toBe(0);
    expect(consumer.messageBytes).toBe(size);
    expect(read(consumer, at)).toEqual(filled(size, size));
    consumer.release();
  }
  expect(consumer.peek()).toBe(-1);
  expect(producer.usedBytes()).toBe(0);
});

test("a reservation is invisible until it is published, and a second one replaces it", () => {
  const { producer, consumer } = pair(256);
  const first = producer.reserve(100);
  expect(producer.reserve(16)).toBe(first);
  expect(consumer.peek()).toBe(-1);
  producer.bytes.fill(7, first, first + 9);
  producer.publish(9);
  expect(read(consumer, consumer.peek())).toEqual(filled(9, 7));
});

test("publishing more than was reserved, or twice, is a bug that stops the thread", () => {
  const { producer } = pair(256);
  expect(() => producer.publish(0)).toThrow("nothing reserved");
  producer.reserve(8);
  expect(() => producer.publish(9)).toThrow("more than reserved");
  producer.publish(8);
  expect(() => producer.publish(8)).toThrow("nothing reserved");
  expect(producer.reserve(100_000)).toBe(-1);
  expect(() => producer.publish(1)).toThrow("nothing reserved");
});

test("an empty ring takes the largest message wherever it stands, not one byte more", () => {
  const capacity = 256;
  const largest = messageBytesMax(capacity);
  for (let start = 0; start < capacity; start += 8) {
    const { producer, consumer } = pair(capacity, -16);
    for (let walked = 0; walked < start; walked += 16) {
      expect(send(producer, 8, 1)).toBe(true);
      consumer.peek();
      consumer.release();
    }
    expect(producer.reserve(largest + 1)).toBe(-1);
    expect(send(producer, largest, 9)).toBe(true);
    expect(read(consumer, consumer.peek())).toEqual(filled(largest, 9));
  }
});

test("a message behind the middle skips the end of the region and stays contiguous", () => {
  const { producer, consumer } = pair(128);
  expect(send(producer, 40, 1)).toBe(true);
  expect(send(producer, 40, 2)).toBe(true);
  expect(send(producer, 40, 3)).toBe(false);
  consumer.peek();
  consumer.release();
  expect(send(producer, 48, 3)).toBe(false);
  expect(send(producer, 40, 3)).toBe(true);
  expect(producer.usedBytes()).toBe(128);
  expect(read(consumer, consumer.peek())).toEqual(filled(40, 2));
  consumer.advance();
  expect(read(consumer, consumer.peek())).toEqual(filled(40, 3));
  consumer.advance();
  consumer.releaseAll();
  expect(producer.usedBytes()).toBe(0);
});

test("what was advanced over keeps its room until it is released", () => {
  const { producer, consumer } = pair(128);
  expect(send(producer, 56, 1)).toBe(true);
  expect(send(producer, 56, 2)).toBe(true);
  const first = consumer.peek();
  consumer.advance();
  const second = consumer.peek();
  consumer.advance();
  expect(consumer.peek()).toBe(-1);
  expect(consumer.heldBytes()).toBe(128);
  expect(producer.reserve(0)).toBe(-1);
  expect(consumer.bytes[first]).toBe(1);
  expect(consumer.bytes[second]).toBe(2);
  consumer.releaseAll();
  expect(consumer.heldBytes()).toBe(0);
  expect(producer.reserve(56)).toBeGreaterThanOrEqual(0);
});

test("advancing without a peeked message is a bug that stops the thread", () => {
  const { producer, consumer } = pair(128);
  expect(() => consumer.advance()).toThrow("advance follows a peek");
  send(producer, 1, 1);
  consumer.peek();
  consumer.release();
  expect(() => consumer.release()).toThrow("advance follows a peek");
});

test("a ring that is emptied between messages stays on its first pages", () => {
  const { memory, producer, consumer } = pair(4096);
  for (let round = 0; round < 1000; round++) {
    expect(send(producer, 100, 1 + (round & 0x7f))).toBe(true);
    expect(send(producer, 50, 1 + (round & 0x7f))).toBe(true);
    consumer.peek();
    consumer.advance();
    consumer.peek();
    consumer.release();
  }
  const data = new Uint8Array(memory, RING_CONTROL_BYTES);
  expect(data.findLastIndex((byte) => byte !== 0)).toBeLessThan(200);
});

test("a broken sequence or size in memory is noticed by the consumer", () => {
  const { memory, producer, consumer } = pair(128);
  send(producer, 8, 1);
  const headers = new Int32Array(memory, RING_CONTROL_BYTES);
  headers[1] = 4711;
  expect(() => consumer.peek()).toThrow("its own sequence");
  headers[1] = 0;
  headers[0] = 64;
  expect(() => consumer.peek()).toThrow("before the published sequence");
});

test("capacities that cannot work are refused", () => {
  expect(() => createByteRing(100)).toThrow("power of two");
  expect(() => createByteRing(32)).toThrow("at least 64");
  expect(() => createByteRing(64, 4)).toThrow("aligned");
});
