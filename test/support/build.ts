// Before any test: end-to-end tests start what is in dist, so that must be of these sources.

import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

/** @throws Error when the sources do not compile. */
export default function build(): void {
  const program = resolve(import.meta.dirname, "../../scripts/setup.mjs");
  execFileSync(process.execPath, [program], { stdio: "inherit" });
}
