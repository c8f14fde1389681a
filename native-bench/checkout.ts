// Where things lie, whether a bench runs compiled, from dist, or as source, inside a test.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory of package.json. */
export const CHECKOUT = rootAbove(dirname(fileURLToPath(import.meta.url)));

/** Absolute path of a file that tsc never touches, named from the root. */
export function checkoutFile(path: string): string {
  return join(CHECKOUT, path);
}

/**
 * Absolute path of the JavaScript of a source file, named from the root as in "engine/main.ts":
 * threads and processes can only run that.
 * @throws when it was not built.
 */
export function builtFile(sourcePath: string): string {
  const path = join(CHECKOUT, "dist", sourcePath.replace(/\.ts$/, ".js"));
  if (!existsSync(path)) throw new Error(`${path} is missing: run npm run build`);
  return path;
}

function rootAbove(start: string): string {
  let directory = start;
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`no package.json above ${start}`);
    directory = parent;
  }
  return directory;
}
