// What the server writes. It writes to a file of its own and not into a pipe: a server whose
// gateway was killed would die of the broken pipe at its next line, and it should go on serving its
// cluster until the gateway is back. The file is followed, and emptied when it is large; warnings
// and worse go into this node's log, a bounded number of them.

import {
  closeSync, fstatSync, ftruncateSync, openSync, readSync,
} from "node:fs";
import { StringDecoder } from "node:string_decoder";
import type { LogLevel } from "../base/log.ts";
import type { ClusterLog } from "./cluster-options.ts";

/** A day or so of a healthy server; enough to read what went wrong. */
export const LOG_FILE_BYTES_MAX = 8 * 1024 * 1024;
/** A server in trouble writes hundreds of lines a second that say the same. */
export const LINES_PER_SECOND_MAX = 10;
const FOLLOW_MS = 200;
const READ_BYTES = 64 * 1024;
/** Longer lines are cut in this node's log. */
const LINE_CHARACTERS_MAX = 2_000;
/** Last words told when the server ends. */
const LAST_WORDS = 3;
const SECOND_MS = 1_000;

/** Words of etcd's log; what has none of them is no log line: a panic, or a wrong flag. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  debug: "info", info: "info", warn: "warn", error: "error", dpanic: "error", panic: "error",
  fatal: "error",
};

/** Letters of the logger that parts of etcd 3.4 still write with. */
const OLD_LINE = /^\d{4}-\d\d-\d\d [\d:.]+ ([CEWNIDT]) \| /;
const OLD_LEVELS: Readonly<Record<string, LogLevel>> = { C: "error", E: "error", W: "warn" };
/** What a healthy server warns of: answers to this node's own look at its health, and its start. */
const USUAL_WARNINGS = [
  /\/health error/, /^simple token is not cryptographically signed/,
  /^established TCP streaming connection/,
];

interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
}

/** Follows one log file from its present end. */
export class EtcdLog {
  readonly #log: ClusterLog;
  readonly #file: number;
  readonly #timer: NodeJS.Timeout;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #decoder = new StringDecoder("utf8");
  #at: number;
  #rest = "";
  #lastWords: string[] = [];
  #second = 0;
  #linesOfSecond = 0;
  #leftOut = 0;

  constructor(path: string, log: ClusterLog) {
    this.#log = log;
    this.#file = openSync(path, "a+", 0o600);
    this.#at = fstatSync(this.#file).size;
    this.#timer = setInterval(() => this.follow(), FOLLOW_MS);
  }

  /** Descriptor for the server's output; it appends, so the file may be emptied under it. */
  get descriptor(): number {
    return this.#file;
  }

  /** The last warnings and errors, oldest first. */
  get lastWords(): readonly string[] {
    return this.#lastWords;
  }

  forgetLastWords(): void {
    this.#lastWords = [];
  }

  /** Takes what was written since the last time. */
  follow(): void {
    const { size } = fstatSync(this.#file);
    if (size < this.#at) this.#begin(); // emptied by hand
    while (this.#at < size) {
      const bytes = readSync(this.#file, this.#buffer, 0, READ_BYTES, this.#at);
      if (bytes === 0) break;
      this.#at += bytes;
      this.#takeText(this.#decoder.write(this.#buffer.subarray(0, bytes)));
    }
    // A line written between reading and this is lost to this node's log: it is about an etcd that
    // has written 8 MiB.
    if (this.#at >= LOG_FILE_BYTES_MAX) {
      ftruncateSync(this.#file, 0);
      this.#begin();
    }
    this.#tellLeftOut();
  }

  close(): void {
    clearInterval(this.#timer);
    this.follow();
    closeSync(this.#file);
  }

  #begin(): void {
    this.#at = 0;
    this.#rest = "";
  }

  #takeText(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!.slice(-READ_BYTES);
    for (const line of lines) {
      if (line !== "") this.#takeLine(readLine(line));
    }
  }

  #takeLine({ level, message }: LogLine): void {
    if (level === "info" || USUAL_WARNINGS.some((usual) => usual.test(message))) return;
    const text = message.slice(0, LINE_CHARACTERS_MAX);
    this.#lastWords = [...this.#lastWords, text].slice(-LAST_WORDS);
    const second = Math.floor(performance.now() / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#linesOfSecond = 0;
    }
    this.#linesOfSecond++;
    if (this.#linesOfSecond > LINES_PER_SECOND_MAX) this.#leftOut++;
    else this.#log(level, `etcd: ${text}`);
  }

  #tellLeftOut(): void {
    const isNewSecond = Math.floor(performance.now() / SECOND_MS) !== this.#second;
    if (this.#leftOut === 0 || !isNewSecond) return;
    this.#log("warn", `${this.#leftOut} more lines of etcd are in its log file only`);
    this.#leftOut = 0;
  }
}

/** One line of the file: JSON of etcd's logger, or anything. */
export function readLine(line: string): LogLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    const old = OLD_LINE.exec(line);
    if (old !== null) {
      return { level: OLD_LEVELS[old[1]!] ?? "info", message: line.slice(old[0].length) };
    }
    // gRPC inside of etcd writes in its own form.
    return { level: /^(?:INFO|WARNING)\b/.test(line) ? "info" : "error", message: line };
  }
  if (typeof value !== "object" || value === null) return { level: "error", message: line };
  const { level, msg, ts: _ts, caller: _caller, stacktrace: _stack, ...rest } =
    value as Record<string, unknown>;
  const facts = Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
  return { level: LEVELS[String(level)] ?? "error", message: `${String(msg)}${facts}` };
}
