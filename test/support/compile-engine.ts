// Compiles engine files to JavaScript in a directory of their own, for tests that start real
// threads: Node 20 cannot load TypeScript in a worker.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const repository = resolve(import.meta.dirname, "../..");

/** A compiled copy of some engine files; `url` gives what a worker imports. */
export interface CompiledEngine {
  url(sourcePath: string): string;
  remove(): void;
}

/** Compiles files, named from the repository's root ("engine/ring/byte-ring.ts"), with imports. */
export function compileEngine(sourcePaths: readonly string[]): CompiledEngine {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-compiled-"));
  const options = {
    extends: join(repository, "tsconfig.json"),
    compilerOptions: {
      rootDir: repository,
      outDir: directory,
      sourceMap: false,
      typeRoots: [join(repository, "node_modules/@types")],
    },
    include: [],
    files: sourcePaths.map((path) => join(repository, path)),
  };
  const optionsPath = join(directory, "tsconfig.json");
  writeFileSync(optionsPath, JSON.stringify(options));
  writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }));
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", optionsPath], { stdio: "pipe" });
  return {
    url: (path) => new URL(`file://${join(directory, path.replace(/\.ts$/, ".js"))}`).href,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
