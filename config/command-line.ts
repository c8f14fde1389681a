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

/** Reads the arguments after the script's name. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const args = argv.map((argument) => argument.replace(/^-(?=[^-].)/, "--"));
  try {
    const { values } = parseArgs({ args, options: FLAGS, strict: true, allowPositionals: false });
    if (values.help === true) return { kind: "help" };
    if (values.version === true) return { kind: "version" };
    return {
      kind: "run",
      configFile: values.configfile ?? null,
      clusterOperation: values["cluster-op"] ?? null,
    };
  } catch (cause) {
    return { kind: "refused", message: refusalOf(args, cause) };
  }
}

function refusalOf(args: readonly string[], cause: unknown): string {
  const names = Object.keys(FLAGS);
  for (const argument of args) {
    const name = /^--?([^=]+)/.exec(argument)?.[1];
    if (name === undefined || names.includes(name) || name === "h") continue;
    const near = nearestName(name, names);
    return `unknown flag ${argument}${near === null ? "" : `; did you mean --${near}?`}`;
  }
  return cause instanceof Error ? cause.message : String(cause);
}
