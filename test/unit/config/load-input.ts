// What the tests of `load` give it: a machine made of a few files and variables.

import { load, type LoadInput, type LoadResult } from "../../../config/load.ts";
import type { Problem } from "../../../config/findings.ts";
import type { Settings } from "../../../config/settings-types.ts";

/** A machine with these files, by absolute path. */
export function inputWith(
  files: Readonly<Record<string, string>>, changes: Partial<LoadInput> = {},
): LoadInput {
  return {
    argv: [], env: { HOME: "/home/user" }, cwd: "/srv", hostname: "host-1", cpuCount: 8,
    version: "1.2.3", buildDate: "2030-01-02",
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return text;
    },
    validatePolicies: () => [],
    ...changes,
  };
}

/** Loads `/srv/gateway.conf` with this content. */
export function loadFile(config: unknown, changes: Partial<LoadInput> = {}): LoadResult {
  const text = typeof config === "string" ? config : JSON.stringify(config);
  const argv = ["--configfile", "/srv/gateway.conf"];
  return load(inputWith({ "/srv/gateway.conf": text }, { argv, ...changes }));
}

/** Loads `/srv/gateway.yaml` with this text. */
export function loadYaml(text: string, changes: Partial<LoadInput> = {}): LoadResult {
  const argv = ["--configfile", "/srv/gateway.yaml"];
  return load(inputWith({ "/srv/gateway.yaml": text }, { argv, ...changes }));
}

/** The settings, or an error that shows why there are none. */
export function settingsOf(result: LoadResult): Settings {
  if (result.kind === "run") return result.settings;
  throw new Error(`not loaded: ${result.text}`);
}

/** The problems of a refused load; an error when it was accepted. */
export function problemsOf(result: LoadResult): readonly Problem[] {
  if (result.kind === "refused") return result.problems;
  throw new Error(`${result.kind} where a refusal was expected`);
}

/** The one problem of a refused load. */
export function problemOf(result: LoadResult): Problem {
  const problems = problemsOf(result);
  if (problems.length === 1) return problems[0]!;
  throw new Error(`not one problem: ${problems.map((each) => each.message).join(" | ")}`);
}

/** The warnings of an accepted load, as `path: message`. */
export function warningsOf(result: LoadResult): string[] {
  if (result.kind !== "run") throw new Error(`${result.kind} where settings were expected`);
  return result.warnings.map(({ path, message }) => `${path}: ${message}`);
}

/** A smallest valid forwarder of type "otlp", changed. */
export function otlpForwarder(changes: Readonly<Record<string, unknown>> = {}) {
  return { Type: "otlp", URL: "http://127.0.0.1:14318/v1/traces", ...changes };
}

/** A smallest valid file around one forwarder. */
export function configWith(forwarder: Readonly<Record<string, unknown>>) {
  return { ListenFrom: [{ Type: "otlp" }], ForwardTo: [forwarder] };
}
