// What every command gets and answers.

import type { Terminal } from "./terminal.ts";

export const EXIT_OK = 0;
/** No gateway answers, or it is not ready, or its answer makes no sense. */
export const EXIT_NO_ANSWER = 1;
/** Usage, or a configuration that would be refused. */
export const EXIT_REFUSED = 2;
/** The gateway answers and knows nothing of the trace. */
export const EXIT_UNKNOWN = 4;

/** The world of a command; tests give their own. */
export interface CommandInput {
  /** Arguments after the command's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  readonly version: string;
  readonly buildDate: string;
  readonly terminal: Terminal;
}

/** Runs to its end; resolves with the exit code. */
export type Command = (input: CommandInput) => Promise<number>;

/** Says on standard error what is wrong with the arguments. */
export function refuseUsage({ terminal }: CommandInput, name: string, message: string): number {
  terminal.complain(`tailrace ${name}: ${message}\nSee: tailrace ${name} --help\n`);
  return EXIT_REFUSED;
}
