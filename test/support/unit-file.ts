// Reads a systemd unit and asks systemd-analyze about it; no systemd needs to run.

import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";

/** Values of every key of a unit file, in order; a line with a name alone ends what came before. */
export class UnitFile {
  readonly #values = new Map<string, string[]>();

  constructor(file: string) {
    for (const line of fs.readFileSync(file, "utf8").split("\n")) {
      const found = /^([A-Za-z]+)=(.*)$/.exec(line);
      if (found === null) continue;
      const [, key = "", value = ""] = found;
      this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
    }
  }

  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** @throws Error unless the key is there once. */
  one(key: string): string {
    const [value, second] = this.all(key);
    if (value === undefined || second !== undefined) throw new Error(`${key} is not there once`);
    return value;
  }

  /** Names of the system calls that its SystemCallFilter lines let through. */
  allowedCalls(): ReadonlySet<string> {
    const groups = systemCallGroups();
    const expand = (word: string): string[] =>
      word.startsWith("@") ? (groups.get(word) ?? []).flatMap(expand) : [word];
    const allowed = new Set<string>();
    for (const value of this.all("SystemCallFilter")) {
      const calls = value.replace(/^~/, "").split(" ").flatMap(expand);
      for (const call of calls) {
        if (value.startsWith("~")) allowed.delete(call);
        else allowed.add(call);
      }
    }
    return allowed;
  }
}

export function hasSystemdAnalyze(): boolean {
  return spawnSync("systemd-analyze", ["--version"], { stdio: "ignore" }).status === 0;
}

/** What each group as @system-service holds: calls and further groups. */
function systemCallGroups(): Map<string, string[]> {
  const text = execFileSync("systemd-analyze", ["--no-pager", "syscall-filter"], {
    encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, NO_COLOR: "1" },
  });
  const groups = new Map<string, string[]>();
  let group: string[] = [];
  for (const line of text.split("\n")) {
    const word = line.trim();
    if (line.startsWith("@")) groups.set(word, group = []);
    else if (/^\s+[a-z_@]/.test(line)) group.push(word);
  }
  return groups;
}

/**
 * Numbers of system calls on this machine, as its C headers have them; those that it does not have
 * are left out.
 */
export function callNumbers(names: Iterable<string>): number[] {
  const source = ["#include <asm/unistd.h>", ...[...names].map((name) => `=__NR_${name}`)];
  const { status, stdout, stderr } = spawnSync(
    process.env["CC"] ?? "cc", ["-E", "-P", "-x", "c", "-"],
    { input: `${source.join("\n")}\n`, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`the C compiler found no system calls: ${stderr}`);
  return [...stdout.matchAll(/^\s*=\s*(\d+)$/gm)].map(([, number]) => Number(number));
}
