// The operator's log: one structured line for each event, in gateway.log or on standard output. A
// line that was logged is with the kernel when the call returns, and no call ever throws because of
// where lines go: what cannot be written is counted, and told when it can be written again.
//
// Every thread makes its own Log from the same options; lanes send their lines to the coordinator.

import { systemClock, type Clock } from "./clock.ts";
import { LogFile } from "./log-file.ts";
import {
  errorText, formatLine, type LogFields, type LogFormat, type LogLevel,
} from "./log-line.ts";
import { createLogMemory, LogMemory } from "./log-memory.ts";
import { MessageLimit, SUPPRESSED } from "./message-limit.ts";
import { Redaction } from "./redaction.ts";
import { StreamOutput } from "./stream-output.ts";
import { isSystemError } from "./system-error.ts";

export { createLogMemory, errorText, type LogFields, type LogFormat, type LogLevel };

/** The setting's value for standard output. */
export const LOG_TO_STDOUT = "-";
/** Standard error is told of a log that cannot be written at most this often. */
const TELL_MS = 60_000;
const NEWLINE = Buffer.of(0x0a);
const TOLD_LATER = "lines of this log were lost while it could not be written: give it space, or a"
  + " reader, and look at standard error of that time";
const NOT_SAID = "lines were left out because their message came too often; the count is of those"
  + " that no later line told of";

/** What a thread needs to log; can be sent to another thread. */
export interface LogOptions {
  /** Absolute path of the file, or LOG_TO_STDOUT. */
  readonly file: string;
  readonly format: LogFormat;
  /** The file is renamed before it grows larger. */
  readonly bytesMax: number;
  /** Renamed files that are kept. */
  readonly backupsMax: number;
  /** Never written in clear. */
  readonly secrets: readonly string[];
  /** From createLogMemory, the same for all threads. */
  readonly memory: SharedArrayBuffer;
}

/** Where a thread's lines go. */
export interface LogOutput {
  /** Writes a whole line. @throws a system error when it did not. */
  write(line: Buffer): void;
  close(): void;
}

/** What tests replace. */
export interface LogDependencies {
  readonly clock: Clock;
  /** Standard error. */
  readonly tell: (text: string) => void;
  readonly output: LogOutput;
}

/** One thread's way into the log. */
export class Log {
  readonly options: LogOptions;
  readonly #clock: Clock;
  readonly #tell: (text: string) => void;
  readonly #memory: LogMemory;
  readonly #output: LogOutput;
  readonly #limit: MessageLimit;
  readonly #redaction: Redaction;
  readonly #hide: (text: string) => string;

  constructor(options: LogOptions, dependencies: Partial<LogDependencies> = {}) {
    this.options = options;
    this.#clock = dependencies.clock ?? systemClock;
    this.#memory = new LogMemory(options.memory);
    this.#limit = new MessageLimit(this.#clock);
    this.#redaction = new Redaction(options.secrets);
    this.#hide = (text) => this.#redaction.hide(text);
    this.#tell = dependencies.tell ?? tellStandardError();
    this.#output = dependencies.output ?? this.#createOutput();
  }

  info(message: string, fields: LogFields = {}): void {
    this.say("info", message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.say("warn", message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.say("error", message, fields);
  }

  /** What ends the process. Never suppressed. */
  fatal(message: string, fields: LogFields = {}): void {
    this.say("fatal", message, fields);
  }

  /** A line of any level. The first ones of a message in a period are written, others counted. */
  say(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (level === "fatal") return this.#write(level, message, fields);
    const suppressed = this.#limit.admit(`${level} ${message}`);
    if (suppressed === SUPPRESSED) this.#memory.countSuppressed();
    else this.#write(level, message, suppressed === 0 ? fields : { ...fields, suppressed });
  }

  /** The text without the secrets of the settings, for what goes elsewhere. */
  redact(text: string): string {
    return this.#hide(text);
  }

  /** Lines that never were written, of all threads. */
  totals(): { readonly lost: number; readonly suppressed: number } {
    return this.#memory.totals();
  }

  /** Says what was suppressed and not told yet, and ends this thread's part. */
  close(): void {
    for (const { message, suppressed } of this.#limit.unsaid()) {
      this.#write("info", NOT_SAID, { of: message, suppressed });
    }
    this.#output.close();
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    const lost = this.#memory.takeLost();
    if (lost > 0 && !this.#tryWrite("warn", TOLD_LATER, { lost })) this.#memory.giveBackLost(lost);
    if (!this.#tryWrite(level, message, fields)) this.#memory.countLost();
  }

  #tryWrite(level: LogLevel, message: string, fields: LogFields): boolean {
    const { format } = this.options;
    const wallMs = this.#clock.wallMs();
    try {
      this.#output.write(formatLine(format, wallMs, level, message, fields, this.#hide));
      return true;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#trouble(`${this.#place()} cannot be written`, error);
      return false;
    }
  }

  #trouble(what: string, error: Error): void {
    if (!this.#memory.mayTell(this.#clock.wallMs(), TELL_MS)) return;
    const advice = this.options.file === LOG_TO_STDOUT
      ? "let something read it, or set LogDir to a directory"
      : "free space, or put the directory and its rights in order";
    this.#tell(`tailrace: ${what} (${error.message}): lines that find no place are lost and `
      + `counted; ${advice}\n`);
  }

  #place(): string {
    const { file } = this.options;
    return file === LOG_TO_STDOUT ? "the log on standard output" : `the log ${file}`;
  }

  #createOutput(): LogOutput {
    const { file, bytesMax, backupsMax } = this.options;
    if (file === LOG_TO_STDOUT) return new StreamLog(this.#memory);
    return new LogFile({ path: file, bytesMax, backupsMax }, this.#memory, {
      clock: this.#clock, onTrouble: (what, error) => this.#trouble(what, error),
    });
  }
}

/** Lines on standard output. Never waits: a line that finds it full or closed is lost. */
class StreamLog implements LogOutput {
  readonly #stream = new StreamOutput(1);
  readonly #memory: LogMemory;

  constructor(memory: LogMemory) {
    this.#memory = memory;
  }

  write(line: Buffer): void {
    const { torn } = this.#memory;
    const bytes = torn ? Buffer.concat([NEWLINE, line]) : line;
    const written = this.#stream.write(bytes);
    if (written === bytes.length) {
      if (torn) this.#memory.torn = false;
      return;
    }
    if (written > 0) this.#memory.torn = true;
    throw Object.assign(new Error("ENOSPC: a part of a line was taken"), {
      code: "ENOSPC", syscall: "write",
    });
  }

  close(): void {
    this.#stream.close();
  }
}

function tellStandardError(): (text: string) => void {
  const stream = new StreamOutput(2);
  return (text) => stream.print(text, 0);
}
