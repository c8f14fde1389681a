import { cpSync, readdirSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LOG_FULL, LOG_OK } from "../../../engine/log/log-status.ts";
import { Outbox } from "../../../engine/log/outbox.ts";
import { STORAGE_OUTBOX, StorageAccount } from "../../../engine/log/storage-account.ts";
import { TestClock, temporaryDirectory } from "../../support/log-fixture.ts";

let root: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => root.remove());

let lastGeneration = 0;

function openOutbox(directory: string, bytesMax = 64 << 20, free = () => 1 << 30) {
  const storage = new StorageAccount();
  const clock = new TestClock();
  const outbox = new Outbox({
    directory, durability: "process", bytesMax, generationBytes: 16 << 20, generationAgeMs: 60_000,
    nextGeneration: () => ++lastGeneration,
  }, { clock, storage, freeBytes: free, freeFiles: () => 1e6, probe: () => true });
  return { outbox, storage, clock };
}

function append(outbox: Outbox, texts: readonly string[]): void {
  expect(outbox.transact(() => {
    for (const text of texts) {
      const bytes = new TextEncoder().encode(text);
      outbox.append(bytes, 0, bytes.length, text.length);
    }
  })).toBe(LOG_OK);
}

function takeAll(outbox: Outbox): { text: string; ticket: number }[] {
  const taken: { text: string; ticket: number }[] = [];
  for (let message = outbox.peek(); message !== null; message = outbox.peek()) {
    const text = new TextDecoder().decode(message.bytes.slice(message.at, message.end));
    expect(message.spans).toBe(text.length);
    taken.push({ text, ticket: outbox.take() });
  }
  return taken;
}

const textsOf = (outbox: Outbox): string[] => takeAll(outbox).map(({ text }) => text);

describe("an outbox", () => {
  it("shows messages in order, each until it is taken", () => {
    const { outbox } = openOutbox(root.path);
    expect(outbox.peek()).toBeNull();
    append(outbox, ["one", "two"]);
    append(outbox, ["three"]);
    expect(outbox.waiting).toBe(3);
    expect(outbox.peek()!.spans).toBe(3);
    expect(outbox.peek()!.spans).toBe(3);
    expect(textsOf(outbox)).toEqual(["one", "two", "three"]);
    expect(outbox.waiting).toBe(0);
    expect(outbox.isEmpty).toBe(false);
    append(outbox, ["four"]);
    expect(textsOf(outbox)).toEqual(["four"]);
    outbox.close();
  });

  it("sends nothing again that was acknowledged before a clean end, in any order", () => {
    const first = openOutbox(root.path);
    append(first.outbox, ["a", "bb", "ccc", "dddd"]);
    const taken = takeAll(first.outbox);
    expect(first.outbox.acknowledge(taken[2]!.ticket)).toBe(3);
    expect(first.outbox.acknowledge(taken[0]!.ticket)).toBe(1);
    expect(first.outbox.maintain()).toBe(LOG_OK);
    first.outbox.close();
    const second = openOutbox(root.path);
    expect(second.outbox.recover()).toBe(6);
    append(second.outbox, ["eeeee"]);
    expect(textsOf(second.outbox)).toEqual(["bb", "dddd", "eeeee"]);
    second.outbox.close();
  });

  it("sends again, after a kill, what was not committed as acknowledged", () => {
    const { outbox } = openOutbox(root.path);
    append(outbox, ["a", "bb"]);
    for (const { ticket } of takeAll(outbox)) outbox.acknowledge(ticket);
    const copy = `${root.path}-copy`;
    cpSync(root.path, copy, { recursive: true });
    const again = openOutbox(copy);
    expect(again.outbox.recover()).toBe(3);
    expect(textsOf(again.outbox)).toEqual(["a", "bb"]);
    again.outbox.close();
    rmSync(copy, { recursive: true });
    outbox.close();
  });

  it("leaves no file behind when it is drained", () => {
    const { outbox, storage } = openOutbox(root.path);
    append(outbox, ["a", "bb"]);
    expect(storage.bytes(STORAGE_OUTBOX)).toBeGreaterThan(0);
    for (const { ticket } of takeAll(outbox)) outbox.acknowledge(ticket);
    expect(outbox.isEmpty).toBe(true);
    expect(outbox.maintain()).toBe(LOG_OK);
    expect(readdirSync(root.path)).toEqual(["touching"]);
    expect(storage.total()).toBe(0);
    append(outbox, ["again"]);
    expect(textsOf(outbox)).toEqual(["again"]);
    outbox.close();
  });

  it("gives up its oldest messages past its limit, and counts their spans", () => {
    const { outbox, storage } = openOutbox(root.path, 8 << 20);
    const message = new Uint8Array(300_000);
    let appended = 0;
    let lost = 0;
    for (let round = 0; round < 60; round++) {
      expect(outbox.transact(() => outbox.append(message, 0, message.length, 10))).toBe(LOG_OK);
      appended += 10;
      expect(outbox.maintain()).toBe(LOG_OK);
      lost += outbox.evict();
      expect(outbox.bytesOnDisk()).toBeLessThanOrEqual(8 << 20);
    }
    expect(lost).toBeGreaterThan(0);
    let left = 0;
    for (let found = outbox.peek(); found !== null; found = outbox.peek()) {
      left += found.spans;
      outbox.take();
    }
    expect(left + lost).toBe(appended);
    // A generation is an eighth of the limit: it never gave up more than it had to.
    expect(left * 30_000).toBeGreaterThan((8 << 20) * 0.8);
    expect(storage.bytes(STORAGE_OUTBOX)).toBe(outbox.bytesOnDisk());
    outbox.close();
  });

  it("does not count as lost what is on its way when its generation is given up", () => {
    const { outbox } = openOutbox(root.path, 1 << 20);
    const message = new Uint8Array(500_000);
    outbox.transact(() => {
      for (let count = 0; count < 4; count++) outbox.append(message, 0, message.length, 10);
    });
    outbox.peek();
    const ticket = outbox.take();
    expect(outbox.evict()).toBe(30);
    expect(outbox.peek()).toBeNull();
    expect(outbox.isEmpty).toBe(false);
    expect(outbox.acknowledge(ticket)).toBe(10);
    expect(outbox.isEmpty).toBe(true);
    outbox.close();
  });

  it("gives space back on a full disk, where no acknowledgement can be committed", () => {
    let free = 1 << 30;
    const { outbox, storage } = openOutbox(root.path, 64 << 20, () => free);
    append(outbox, ["a", "bb"]);
    outbox.maintain();
    for (const { ticket } of takeAll(outbox)) outbox.acknowledge(ticket);
    outbox.close();
    // Sealed by the former run, so a commit needs a new generation.
    const again = openOutbox(root.path, 64 << 20, () => free);
    again.outbox.recover();
    free = 0;
    for (const { ticket } of takeAll(again.outbox)) again.outbox.acknowledge(ticket);
    expect(again.outbox.maintain()).toBe(LOG_FULL);
    expect(readdirSync(root.path)).toEqual(["touching"]);
    expect(again.outbox.isEmpty).toBe(true);
    expect(again.outbox.maintain()).toBe(LOG_OK);
    again.outbox.close();
    storage.total();
  });
});
