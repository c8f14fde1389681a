// A command's world in tests: a terminal that is only text.

import type { CommandInput } from "../../../engine/commands/command.ts";
import type { Terminal } from "../../../engine/commands/terminal.ts";

/** What a command wrote. */
export class RecordedTerminal implements Terminal {
  readonly columns: number;
  readonly interactive = false;
  output = "";
  errors = "";

  constructor(columns = 100) {
    this.columns = columns;
  }

  readonly paint = (_style: string, text: string): string => text;
  readonly write = (text: string): void => void (this.output += text);
  readonly complain = (text: string): void => void (this.errors += text);
}

/** Arguments and variables in a directory. */
export function inputOf(
  argv: readonly string[], terminal: Terminal, changes: Partial<CommandInput> = {},
): CommandInput {
  return {
    argv, terminal, env: {}, cwd: "/srv", version: "1.2.3", buildDate: "2030-01-02", ...changes,
  };
}
