import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 25;

/**
 * Waits until `condition` holds, asking again and again.
 * @param what fails to happen, for the error; a function is asked for it at the end.
 * @throws Error when it does not hold within `limitMs`.
 */
export async function until(
  condition: () => boolean | Promise<boolean>, what: string | (() => string), limitMs = 20_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) {
      throw new Error(`not within ${limitMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await sleep(POLL_MS);
  }
}
