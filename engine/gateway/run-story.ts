// What a log file alone must tell of a run: how it began, when it served, how it ended. On standard
// output people read the banner and the balance sheet instead.

import { formatProblem, type Problem } from "../../config/findings.ts";
import type { ForwarderSettings, Settings } from "../../config/settings-types.ts";
import { errorText, LOG_TO_STDOUT, type Log, type LogFields } from "../base/log.ts";
import { GatewayError } from "../base/errors.ts";
import { shownAddress } from "../base/shown-address.ts";
import type { StreamOutput } from "../base/stream-output.ts";
import type { Ending } from "./gateway.ts";
import { countShortTokens } from "./log-options.ts";

const SHORT_TOKENS = "access tokens of fewer than 4 characters cannot be hidden in this log, should"
  + " a backend or a client repeat them: use longer ones";

/** Lines of the main thread about the process itself. */
export class RunStory {
  readonly #log: Log;
  readonly #toFile: boolean;
  readonly #standardError: Pick<StreamOutput, "print">;
  readonly #beganMs = performance.now();

  constructor(log: Log, standardError: Pick<StreamOutput, "print">) {
    this.#log = log;
    this.#toFile = log.options.file !== LOG_TO_STDOUT;
    this.#standardError = standardError;
  }

  /** @param warnings of the configuration; standard error has them already. */
  starting(
    settings: Settings, source: string, version: string, warnings: readonly Problem[],
  ): void {
    this.#milestone("starting", {
      version, settings: source, pid: process.pid, node: process.version,
      workers: settings.workers, listeners: settings.listenFrom.map(({ name, address }) => {
        return `${name}=${address.host}:${address.port}`;
      }).join(" "),
      forwarders: settings.forwardTo.map(placeOf).join(" "),
      dataDirectory: settings.dataDirectory, durability: settings.durability,
    });
    const short = countShortTokens(settings);
    if (short > 0) this.#log.warn(SHORT_TOKENS, { tokens: short });
    if (!this.#toFile) return;
    for (const warning of warnings) this.#log.warn(`configuration: ${formatProblem(warning)}`);
  }

  ready(settings: Settings): void {
    const { host, port } = settings.adminAddress;
    this.#milestone("ready: the log is recovered and listeners are open", {
      ms: Math.round(performance.now() - this.#beganMs), admin: `${host}:${port}`,
    });
  }

  /** @param why the signal. */
  stopping(why: string): void {
    this.#milestone("stopping: draining, then forwarding what is kept", { signal: why });
  }

  /** The end of a process that finished nothing, which loses nothing. */
  leaving(why: string): void {
    this.#milestone("stopped at once: what was acknowledged is on disk", { reason: why });
  }

  /** The balance in one line for each forwarder, then the end. */
  stopped(ending: Ending, exitCode: number): void {
    for (const account of ending.sheet.forwarders) {
      const {
        forwarder, received, replayed, kept, dropped, inFlight, lost, keptBefore, acknowledged,
        waiting, keptLost, difference,
      } = account;
      this.#milestone("balance of a forwarder, in spans", {
        forwarder, received, replayed, kept, dropped, undecidedOnDisk: inFlight, lost, keptBefore,
        acknowledged, waitingOnDisk: waiting, keptLost, difference,
      });
    }
    const { sheet, lostRecords } = ending;
    this.#milestone("stopped", {
      exitCode, received: sheet.received, refused: sheet.refused, lostRecords,
    });
    this.#log.close();
  }

  /** Why there is no gateway, or none any more; for people, and in the log. */
  ends(error: unknown, exitCode: number): void {
    const expected = error instanceof GatewayError;
    const text = expected ? error.message : `a bug, please report it: ${errorText(error)}`;
    this.#standardError.print(`tailrace: ${this.#log.redact(text)}\n`, 0);
    if (!this.#toFile) return;
    if (expected) this.#log.fatal(`start refused: ${text}`, { code: error.code, exitCode });
    else this.#log.fatal("a bug ends the process: please report it", { error, exitCode });
  }

  /** A thread is gone, and with it the process. */
  threadDied(error: unknown, exitCode: number): void {
    const message = `a thread died and the process ends with exit code ${exitCode}: start it again,`
      + " it recovers from disk; please report the error";
    this.#log.fatal(message, { error: errorText(error), exitCode });
    // Here as well, wherever the log is: it may be what cannot be written.
    this.#standardError.print(`tailrace: ${message}: ${this.#log.redact(errorText(error))}\n`, 0);
  }

  #milestone(message: string, fields: LogFields): void {
    if (this.#toFile) this.#log.info(message, fields);
  }
}

function placeOf(forwarder: ForwarderSettings): string {
  const place = forwarder.type === "file" ? forwarder.path : shownAddress(forwarder.url);
  return `${forwarder.name}=${place}`;
}
