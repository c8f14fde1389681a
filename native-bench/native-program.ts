// Small C programs of the benches: compiled on the machine that runs them, once, into a directory
// of this user below the system's temporary one. A changed source, compiler or flag makes a new
// program.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { checkoutFile } from "./checkout.ts";

const FLAGS = ["-O2", "-std=gnu11", "-Wall", "-Wextra"];
const DIGEST_CHARACTERS = 16;
const PRIVATE_MODE = 0o700;

/** True on Linux with a C compiler: elsewhere the benches that need both cannot run. */
export function runsNative(): boolean {
  return process.platform === "linux" && compilerVersion() !== null;
}

/**
 * Path of the program of a C source, named from the root as in "native-bench/load/sink.c".
 * @throws without a compiler, or with its messages when it refuses the source.
 */
export function nativeProgram(sourcePath: string): string {
  const version = compilerVersion();
  if (version === null) {
    throw new Error(`${sourcePath} needs a C compiler: install gcc or clang, or set CC to one`);
  }
  const source = checkoutFile(sourcePath);
  const digest = createHash("sha256").update(version).update(FLAGS.join(" "))
    .update(readFileSync(source)).digest("hex").slice(0, DIGEST_CHARACTERS);
  const program = join(programDirectory(), `${basename(sourcePath, ".c")}-${digest}`);
  if (existsSync(program)) return program;
  const unfinished = `${program}.${process.pid}`;
  const result = spawnSync(compiler(), [...FLAGS, "-o", unfinished, source], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${sourcePath}: ${result.stderr}`);
  renameSync(unfinished, program); // two benches may compile at once: the last one wins, whole
  return program;
}

function compiler(): string {
  return process.env["CC"] ?? "cc";
}

function compilerVersion(): string | null {
  const result = spawnSync(compiler(), ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout : null;
}

/** Ours alone: a program in a directory that others may write could be anybody's. */
function programDirectory(): string {
  const user = process.getuid?.() ?? 0;
  const directory = join(tmpdir(), `tailrace-bench-${user}`);
  mkdirSync(directory, { recursive: true, mode: PRIVATE_MODE });
  const facts = lstatSync(directory);
  const isOurs = facts.isDirectory() && facts.uid === user && (facts.mode & 0o022) === 0;
  if (!isOurs) throw new Error(`${directory} belongs to somebody else: remove it`);
  return directory;
}
