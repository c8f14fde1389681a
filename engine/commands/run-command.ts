// Finds a command by its name. Each is loaded only when it is wanted, and none loads the engine.

import { nearestName } from "../../config/nearest-name.ts";
import { EXIT_OK, EXIT_REFUSED, type Command, type CommandInput } from "./command.ts";
import { helpPage } from "./help-pages.ts";

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  check: async () => (await import("./check.ts")).check,
  explain: async () => (await import("./explain.ts")).explain,
  status: async () => (await import("./status.ts")).status,
};
const HELP = "help";

/** Runs the command that `argv` begins with. @returns the exit code. */
export async function runCommand(input: CommandInput): Promise<number> {
  const { terminal } = input;
  const [first = "", ...rest] = input.argv;
  const name = first === HELP ? (rest[0] ?? "") : first;
  if (name === "" && first === HELP) {
    const { helpText } = await import("../../config/help.ts");
    terminal.write(helpText());
    return EXIT_OK;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const near = nearestName(name, [...Object.keys(COMMANDS), HELP]);
    terminal.complain(`tailrace: there is no command ${JSON.stringify(name)}`
      + `${near === null ? "" : `; did you mean ${near}?`}\n`
      + `The commands are ${Object.keys(COMMANDS).join(", ")}; without one the gateway runs.\n`
      + "See: tailrace --help\n");
    return EXIT_REFUSED;
  }
  if (first === HELP || rest.some((argument) => /^--?h(?:elp)?$/.test(argument))) {
    terminal.write(helpPage(name));
    return EXIT_OK;
  }
  const command = await COMMANDS[name]!(); // it is in the table
  return await command({ ...input, argv: rest });
}
