// Which file is read: the one that was named, else the original's default file, else none.

import { isAbsolute, join, resolve } from "node:path";
import type { Problem } from "./findings.ts";

/** The original's default, looked up like a named file; missing is no error. */
export const DEFAULT_CONFIG_FILE = "sf/gateway.conf";

/** The file with its text, or where it was looked for in vain, or why it cannot be read. */
export type FoundFile =
  | { readonly kind: "found"; readonly file: string; readonly text: string }
  | { readonly kind: "missing"; readonly looked: string[] }
  | { readonly kind: "unreadable"; readonly problem: Problem };

interface FileLookup {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Throws as `readFileSync` does. */
  readonly readFile: (path: string) => string;
}

/**
 * Reads a relative name from the XDG directories first and then from the working directory, as the
 * original did; a path that is absolute or begins with a dot is only itself.
 * Source: XDG Base Directory Specification.
 */
export function findConfigFile(name: string, lookup: FileLookup): FoundFile {
  const looked: string[] = [];
  for (const file of candidatesOf(name, lookup)) {
    looked.push(file);
    try {
      return { kind: "found", file, text: lookup.readFile(file) };
    } catch (cause) {
      const code = errorCode(cause);
      if (code === "ENOENT" || code === "ENOTDIR") continue;
      return { kind: "unreadable", problem: unreadable(file, code ?? String(cause)) };
    }
  }
  return { kind: "missing", looked };
}

/** The problem of a named file that is nowhere. */
export function missingFile(name: string, looked: readonly string[]): Problem {
  return {
    path: "--configfile", place: null,
    message: `there is no file ${name}; looked for ${looked.join(", ")}`,
  };
}

function candidatesOf(name: string, { env, cwd }: FileLookup): string[] {
  const plain = resolve(cwd, name);
  if (isAbsolute(name) || name.startsWith("./") || name.startsWith("../")) return [plain];
  const home = env["HOME"] ?? "";
  const userDirectory = env["XDG_CONFIG_HOME"] || (home === "" ? "" : join(home, ".config"));
  const shared = (env["XDG_CONFIG_DIRS"] || "/etc/xdg").split(":");
  const directories = [userDirectory, ...shared].filter((directory) => isAbsolute(directory));
  return [...directories.map((directory) => join(directory, name)), plain];
}

function errorCode(cause: unknown): string | null {
  return cause instanceof Error && "code" in cause ? String(cause.code) : null;
}

function unreadable(file: string, reason: string): Problem {
  const message = `${file} cannot be read (${reason}); it must be a file that this user may read`;
  return { path: "--configfile", message, place: null };
}
