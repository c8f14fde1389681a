import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DELIVERED, FAILURE_STORAGE, RETRY } from "../../../engine/forward/destination.ts";
import { FileDestination } from "../../../engine/forward/file-destination.ts";
import { ForwarderCounters } from "../../../engine/forward/forwarder-counters.ts";
import type { FileForwarderSettings } from "../../../engine/forward/forwarder-settings.ts";
import { file, Harness, payloadOf, spanIdOf } from "./harness.ts";

let directory = "";
const endings: (() => Promise<unknown> | void)[] = [];
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-file-"));
});
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
  fs.rmSync(directory, { recursive: true });
});

/** A destination under a clock that the test moves. */
function make(more: Partial<FileForwarderSettings> = {}, inside = "out") {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => 1e12 + clock.nowMs };
  const counters = new ForwarderCounters();
  const settings = file(path.join(directory, inside), more);
  const destination = new FileDestination(settings, { clock, counters });
  endings.unshift(() => destination.close());
  return { clock, counters, destination };
}

function batchOf(n: number, count = 1) {
  return { bytes: Buffer.from(payloadOf(n, count)), spans: count };
}

function names(inside = "out"): string[] {
  return fs.readdirSync(path.join(directory, inside)).sort();
}

/** Span ids in the lines of all files, every line parsed. */
function spanIds(inside = "out"): string[] {
  const ids: string[] = [];
  for (const name of names(inside).filter((each) => each.endsWith(".jsonl"))) {
    const text = fs.readFileSync(path.join(directory, inside, name), "utf8");
    expect(text === "" || text.endsWith("\n")).toBe(true);
    for (const line of text.split("\n").slice(0, -1)) {
      const request = JSON.parse(line) as {
        resourceSpans: { scopeSpans: { spans: { spanId: string }[] }[] }[];
      };
      for (const { scopeSpans } of request.resourceSpans) {
        for (const { spans } of scopeSpans) ids.push(...spans.map((span) => span.spanId));
      }
    }
  }
  return ids;
}

test("every batch is one line of OTLP JSON, in one file named by its time", async () => {
  const { destination } = make();
  expect((await destination.send(batchOf(0, 3))).verdict).toBe(DELIVERED);
  expect((await destination.send(batchOf(3))).verdict).toBe(DELIVERED);
  expect(names()).toEqual(["traces-20010909T014640Z-1.jsonl"]);
  const text = fs.readFileSync(path.join(directory, "out", names()[0]!), "utf8");
  expect(text.split("\n").length).toBe(3);
  expect(spanIds()).toEqual([0, 1, 2, 3].map(spanIdOf));
});

test("a large batch is one whole line although it is written in pieces", async () => {
  const { destination } = make({ durability: "disk" });
  const bytes = Buffer.from(payloadOf(0, 3_000, { attributes: { text: "漢".repeat(100) } }));
  expect(bytes.length).toBeGreaterThan(1_000_000);
  expect((await destination.send({ bytes, spans: 3_000 })).verdict).toBe(DELIVERED);
  expect(spanIds().length).toBe(3_000);
});

test("a file that is full or old gets no further line", async () => {
  const bySize = make({ maxFileBytes: 500 }, "size");
  for (let n = 0; n < 12; n++) await bySize.destination.send(batchOf(n));
  const sizes = names("size").map((name) => {
    return fs.statSync(path.join(directory, "size", name)).size;
  });
  expect(sizes.length).toBeGreaterThan(3);
  for (const size of sizes) expect(size).toBeLessThan(500 + 300);
  expect(spanIds("size").length).toBe(12);

  const byAge = make({ maxFileAgeMs: 60_000 }, "age");
  for (const atMs of [0, 59_999, 60_000, 119_999, 120_000]) {
    byAge.clock.nowMs = atMs;
    await byAge.destination.send(batchOf(atMs));
  }
  expect(names("age")).toEqual([
    "traces-20010909T014640Z-1.jsonl", "traces-20010909T014740Z-1.jsonl",
    "traces-20010909T014840Z-1.jsonl",
  ]);
  expect(spanIds("age")).toEqual([0, 59_999, 60_000, 119_999, 120_000].map(spanIdOf));
});

test("no more than maxFiles files stay, the oldest go, also those of an earlier run", async () => {
  const first = make({ maxFileBytes: 1, maxFiles: 3 });
  for (let n = 0; n < 3; n++) {
    first.clock.nowMs = n * 1_000;
    await first.destination.send(batchOf(n));
  }
  await first.destination.close();
  fs.writeFileSync(path.join(directory, "out", "notes.txt"), "stay");
  const second = make({ maxFileBytes: 1, maxFiles: 3 });
  second.clock.nowMs = 10_000;
  await second.destination.send(batchOf(3));
  await second.destination.send(batchOf(4));
  fs.rmSync(path.join(directory, "out", "notes.txt")); // throws if it was removed
  expect(spanIds()).toEqual([2, 3, 4].map(spanIdOf));
  expect(second.counters.filesRemoved).toBe(2);
});

test("all files together stay below maxBytes, but for the last line", async () => {
  const { counters, destination } = make({ maxFileBytes: 1_000, maxBytes: 3_000 });
  let lineBytes = 0;
  for (let n = 0; n < 60; n++) {
    await destination.send(batchOf(n));
    const sizes = names().map((name) => fs.statSync(path.join(directory, "out", name)).size);
    lineBytes ||= sizes[0]!;
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3_000 + 2 * lineBytes);
  }
  expect(counters.filesRemoved).toBeGreaterThan(3);
  expect(spanIds().at(-1)).toBe(spanIdOf(59));
});

test("what was cut while it was written is not continued: a run begins a new file", async () => {
  const first = make();
  await first.destination.send(batchOf(0));
  const torn = path.join(directory, "out", names()[0]!);
  fs.appendFileSync(torn, '{"resourceSpans":[');
  const second = make();
  await second.destination.send(batchOf(1));
  expect(names().length).toBe(2);
  expect(fs.readFileSync(torn, "utf8").endsWith("[")).toBe(true);
});

test("a place where nothing can be written is retried and used once it can", async () => {
  fs.writeFileSync(path.join(directory, "out"), "in the way");
  const { destination } = make();
  expect(await destination.send(batchOf(0)))
    .toMatchObject({ verdict: RETRY, failure: FAILURE_STORAGE, unknown: false });
  fs.rmSync(path.join(directory, "out"));
  expect((await destination.send(batchOf(0))).verdict).toBe(DELIVERED);
  expect(spanIds()).toEqual([spanIdOf(0)]);
});

test("values that cannot be written as JSON are counted", async () => {
  const { counters, destination } = make();
  const bytes = Buffer.concat([batchOf(0).bytes, Buffer.from([0x0a, 3, 0x12, 5, 1])]);
  expect((await destination.send({ bytes, spans: 1 })).verdict).toBe(DELIVERED);
  expect(counters.valuesLeftOut).toBe(1);
  expect(spanIds()).toEqual([spanIdOf(0)]);
});

/** Mounts a small file system; false where that is not allowed. */
function mountSmall(at: string): boolean {
  fs.mkdirSync(at);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", at], { stdio: "ignore" });
  } catch {
    return false;
  }
  endings.push(() => void execFileSync("umount", [at]));
  return true;
}

test("a full disk costs no line and leaves no half line", async (context) => {
  const small = path.join(directory, "small");
  if (!mountSmall(small)) return context.skip("mounting a file system needs root");
  const filler = path.join(small, "filler");
  fs.writeFileSync(filler, Buffer.alloc(40 * 1024));
  const { destination } = make({}, "small");
  let n = 0;
  while ((await destination.send(batchOf(n, 20))).verdict === DELIVERED) n++;
  expect(n).toBeGreaterThan(1);
  const again = await destination.send(batchOf(n, 20));
  expect(again).toMatchObject({ verdict: RETRY, failure: FAILURE_STORAGE });
  expect(again.text).toContain("ENOSPC");
  expect(spanIds("small").length).toBe(n * 20);
  fs.rmSync(filler);
  expect((await destination.send(batchOf(n, 20))).verdict).toBe(DELIVERED);
  const all = Array.from({ length: (n + 1) * 20 }, (_, index) => index);
  expect(spanIds("small").length).toBe(all.length);
});

test("a file forwarder acknowledges what is in the file", async () => {
  const settings = file(path.join(directory, "out"), { durability: "disk" });
  const harness = new Harness([settings]);
  endings.push(() => harness.stop());
  harness.publishSpans(0, 200, 1);
  await harness.acked(200);
  expect(spanIds().length).toBe(200);
});
