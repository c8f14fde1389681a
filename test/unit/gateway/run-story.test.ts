import { expect, it } from "vitest";
import { GatewayError } from "../../../engine/base/errors.ts";
import { createLogMemory, Log, LOG_TO_STDOUT } from "../../../engine/base/log.ts";
import { RunStory } from "../../../engine/gateway/run-story.ts";

const TOKEN = "tok-0123456789";

function open(file: string): { story: RunStory; lines: object[]; printed: string[] } {
  const lines: object[] = [];
  const printed: string[] = [];
  const log = new Log({
    file, format: "json", bytesMax: 1, backupsMax: 0, secrets: [TOKEN], memory: createLogMemory(),
  }, {
    output: {
      write: (line) => void lines.push(JSON.parse(line.toString()) as object),
      close: () => undefined,
    },
  });
  return { story: new RunStory(log, { print: (text) => void printed.push(text) }), lines, printed };
}

it("a thread that died is in the log and on standard error, without secrets", () => {
  const { story, lines, printed } = open("/nowhere/gateway.log");
  story.threadDied(new Error(`lane 3 with ${TOKEN}`), 70);
  expect(lines).toMatchObject([{
    level: "fatal", exitCode: 70, error: expect.stringContaining("lane 3 with (hidden)") as string,
  }]);
  expect(printed).toEqual([expect.stringMatching(/^tailrace: a thread died .* lane 3 with \(hid/)]);
});

it("a refused start is one sentence on standard error, and in a log file", () => {
  const refused = new GatewayError("DATA_DIRECTORY", `no room for ${TOKEN}: free space`);
  const toFile = open("/nowhere/gateway.log");
  toFile.story.ends(refused, 2);
  expect(toFile.printed).toEqual(["tailrace: no room for (hidden): free space\n"]);
  expect(toFile.lines).toMatchObject([{
    level: "fatal", message: "start refused: no room for (hidden): free space", exitCode: 2,
    code: "DATA_DIRECTORY",
  }]);
  const toStdout = open(LOG_TO_STDOUT);
  toStdout.story.ends(refused, 2);
  expect([toStdout.printed.length, toStdout.lines.length]).toEqual([1, 0]);
});

it("a bug is told with its stack", () => {
  const { story, printed } = open("/nowhere/gateway.log");
  story.ends(new TypeError("undefined is no lane"), 1);
  expect(printed[0]).toMatch(/^tailrace: a bug, please report it: TypeError: undefined is no l/);
  expect(printed[0]).toMatch(/\n +at /);
});
