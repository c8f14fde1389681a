import { describe, expect, it } from "vitest";
import { createLogMemory, Log, type LogOptions } from "../../../engine/base/log.ts";
import { LINES_PER_PERIOD, PERIOD_MS } from "../../../engine/base/message-limit.ts";

const TOKEN = "tok-0123456789";

function open(more: Partial<LogOptions> = {}): {
  log: Log; lines: Record<string, unknown>[]; clock: { nowMs: number };
} {
  const clock = { nowMs: 0 };
  const lines: Record<string, unknown>[] = [];
  const options: LogOptions = {
    file: "/nowhere/gateway.log", format: "json", bytesMax: 1, backupsMax: 1, secrets: [TOKEN],
    memory: createLogMemory(), ...more,
  };
  const log = new Log(options, {
    clock: { monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs },
    tell: () => undefined,
    output: {
      write: (line) => void lines.push(JSON.parse(line.toString()) as Record<string, unknown>),
      close: () => undefined,
    },
  });
  return { log, lines, clock };
}

describe("a line", () => {
  it("shows no secret: not in its message, a field, a field's name, an error, an object", () => {
    const { log, lines } = open();
    log.warn(`sent ${TOKEN}`, {
      answer: `401 ${TOKEN} is unknown`, [TOKEN]: 1, nested: { deep: [TOKEN] },
      error: new Error(`bad ${TOKEN}`, { cause: new Error(TOKEN) }),
      cut: `... ${TOKEN.slice(0, 9)}`,
    });
    expect(JSON.stringify(lines)).not.toContain("tok-");
    expect(lines[0]).toMatchObject({ message: "sent (hidden)", answer: "401 (hidden) is unknown" });
  });

  it("that comes too often is counted, and the count is in the next one", () => {
    const { log, lines, clock } = open();
    for (let n = 0; n < LINES_PER_PERIOD + 5; n++) log.warn("full", { n });
    log.error("full", { n: -1 });
    expect(lines.map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1]);
    clock.nowMs += PERIOD_MS;
    log.warn("full", { n: 99 });
    log.warn("full", { n: 100 });
    expect(lines.slice(-2)).toMatchObject([{ n: 99, suppressed: 5 }, { n: 100 }]);
    expect(lines.at(-1)).not.toHaveProperty("suppressed");
    expect(log.totals()).toEqual({ lost: 0, suppressed: 5 });
  });

  it("about the end of the process is always written", () => {
    const { log, lines } = open();
    for (let n = 0; n < 3 * LINES_PER_PERIOD; n++) log.fatal("it ends", { n });
    expect(lines).toHaveLength(3 * LINES_PER_PERIOD);
    expect(lines[0]).toMatchObject({ level: "fatal" });
  });

  it("that was left out is told of when the log closes", () => {
    const { log, lines } = open();
    for (let n = 0; n < LINES_PER_PERIOD + 4; n++) log.warn("full");
    log.close();
    expect(lines.at(-1)).toMatchObject({ level: "info", of: "warn full", suppressed: 4 });
  });

  it("is counted over all threads: the memory is shared, the options can be sent", () => {
    const memory = createLogMemory();
    const one = open({ memory });
    const other = new Log(structuredClone({ ...one.log.options, secrets: [] }), {
      tell: () => undefined,
      output: {
        write: () => { throw Object.assign(new Error("no"), { code: "EIO", syscall: "write" }); },
        close: () => undefined,
      },
    });
    other.warn("lost");
    expect(one.log.totals().lost).toBe(1);
    one.log.info("next");
    expect(one.lines).toMatchObject([{ level: "warn", lost: 1 }, { message: "next" }]);
  });

  it("that fails for another reason than the system's is a bug and throws", () => {
    const log = new Log(open().log.options, {
      output: { write: () => { throw new TypeError("bug"); }, close: () => undefined },
    });
    expect(() => log.info("m")).toThrow("bug");
  });
});
