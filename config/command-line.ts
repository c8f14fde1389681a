// Flags: one or two leading dashes, `-x v` or `-x=v`, as the original took them.

import { parseArgs } from "node:util";
import { nearestName } from "./nearest-name.ts";

/** What the command line asks for. Null means that the flag is absent; "" is a value. */
export type CommandLine =
  | {
    readonly kind: "run"; readonly configFile: string | null;
    readonly clusterOperation: string | null;
  }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "refused"; readonly message: string };

const FLAGS = {
  "configfile": { type: "string" },
  "cluster-op": { type: "string" },
  "version": { type: "boolean" },
  "help": { type: "boolean", short: "h" },
} as const;

/** Flags of a command, as `parseArgs` takes them. */
export type Flags = Readonly<Record<string, {
  readonly type: "string" | "boolean"; readonly short?: string;
}>>;

/** Values by flag, and the arguments that are no flags; or the sentence for what is wrong. */
export type FlagReading =
  | {
    readonly values: Readonly<Record<string, string | boolean | undefined>>;
    readonly operands: readonly string[];
  }
  | { readonly refusal: string };

/** Reads the arguments after the script's name. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const reading = readFlags(argv, FLAGS, false);
  if ("refusal" in reading) return { kind: "refused", message: reading.refusal };
  const { values } = reading;
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  return {
    kind: "run",
    configFile: textOf(values["configfile"]),
    clusterOperation: textOf(values["cluster-op"]),
  };
}

/** Reads flags with one or two dashes; names the nearest one for an unknown. */
export function readFlags(argv: readonly string[], flags: Flags, operands: boolean): FlagReading {
  const args = argv.map((argument) => argument.replace(/^-(?=[^-].)/, "--"));
  try {
    const parsed = parseArgs({ args, options: flags, strict: true, allowPositionals: operands });
    // No flag may come several times, so no value is a list.
    const values = parsed.values as Record<string, string | boolean | undefined>;
    return { values, operands: parsed.positionals };
  } catch (cause) {
    return { refusal: refusalOf(args, Object.keys(flags), cause) };
  }
}

/** The value of a flag that takes one; null when it is absent, "" is a value. */
export function textOf(value: string | boolean | undefined): string | null {
  return typeof value === "string" ? value : null;
}

function refusalOf(args: readonly string[], names: readonly string[], cause: unknown): string {
  for (const argument of args) {
    const name = /^--?([^=]+)/.exec(argument)?.[1];
    if (name === undefined || names.includes(name) || name === "h") continue;
    const near = nearestName(name, names);
    return `unknown flag ${argument}${near === null ? "" : `; did you mean --${near}?`}`;
  }
  return cause instanceof Error ? cause.message : String(cause);
}
