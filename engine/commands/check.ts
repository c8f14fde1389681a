// tailrace check: everything wrong with a configuration, before a start meets it.

import { readFlags, textOf } from "../../config/command-line.ts";
import { byPlace, type Problem, type Warning } from "../../config/findings.ts";
import type { LoadResult } from "../../config/load.ts";
import type { Settings } from "../../config/settings-types.ts";
import { GatewayError } from "../base/errors.ts";
import { plannedMemory } from "../gateway/planned-memory.ts";
import { samplerInputs } from "../gateway/plans.ts";
import { compilePolicySet } from "../sampling/compile.ts";
import { parsePolicies } from "../sampling/policy-config.ts";
import { checkJson, checkText, type Checked } from "./check-report.ts";
import { checkTlsFiles } from "./check-tls.ts";
import { EXIT_OK, EXIT_REFUSED, refuseUsage, type CommandInput } from "./command.ts";
import { loadHere } from "./load-here.ts";

const FLAGS = {
  "configfile": { type: "string" }, "cluster-op": { type: "string" }, "json": { type: "boolean" },
} as const;

/** Kinds of warnings that are errors here. */
const STRICT_KINDS: readonly Warning["kind"][] = ["unknown", "without_effect"];

/** Prints the findings, or what a start would do. */
export async function check(input: CommandInput): Promise<number> {
  const reading = readFlags(input.argv, FLAGS, true);
  if ("refusal" in reading) return refuseUsage(input, "check", reading.refusal);
  const { values, operands } = reading;
  const named = [...operands, ...[textOf(values["configfile"])].filter((name) => name !== null)];
  if (named.length > 1) return refuseUsage(input, "check", "one file at a time");
  const checked = checkConfiguration(startFlags(named[0], textOf(values["cluster-op"])), input);
  const { terminal } = input;
  terminal.write(values["json"] === true ? checkJson(checked) : checkText(checked, terminal));
  return checked.errors.length === 0 ? EXIT_OK : EXIT_REFUSED;
}

/** @param argv flags of a start. */
export function checkConfiguration(
  argv: readonly string[], input: Omit<CommandInput, "argv" | "terminal">,
): Checked {
  const result = loadHere(argv, input, (policies, at) => parsePolicies(policies, at).problems);
  if (result.kind === "print") throw new Error("a check asks for no page");
  const problems = result.kind === "refused" ? result.problems : beyondLoading(result.settings);
  const strict = (warning: Warning): boolean => STRICT_KINDS.includes(warning.kind);
  return {
    file: fileOf(result, argv),
    errors: [
      ...problems.map((problem) => ({ ...problem, startWarns: false })),
      ...result.warnings.filter(strict).map((problem) => ({ ...problem, startWarns: true })),
    ].toSorted(byPlace),
    warnings: result.warnings.filter((warning) => !strict(warning)),
    settings: result.kind === "run" ? result.settings : null,
  };
}

/** What a start finds after loading, as far as it needs no port and no directory. */
function beyondLoading(settings: Settings): readonly Problem[] {
  const problems: Problem[] = [...checkTlsFiles(settings)];
  const slots = settings.forwardTo.map((_, index) => index);
  const attempt = (path: string, begin: () => void): void => {
    try {
      begin();
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      problems.push({ path, message: error.message, place: null });
    }
  };
  attempt("ForwardTo[].TraceSample.Policies", () => {
    compilePolicySet(samplerInputs(settings, slots));
  });
  attempt("MemoryLimit", () => {
    plannedMemory(settings);
  });
  return problems;
}

function startFlags(file: string | undefined, clusterOperation: string | null): string[] {
  return [
    ...(file === undefined ? [] : [`--configfile=${file}`]),
    ...(clusterOperation === null ? [] : [`--cluster-op=${clusterOperation}`]),
  ];
}

function fileOf(result: LoadResult, argv: readonly string[]): string {
  if (result.kind === "run") return result.source;
  const source = result.kind === "refused" ? result.source : null;
  return source ?? argv[0]?.replace("--configfile=", "") ?? "";
}
