// When to try again: exponential backoff with full jitter, unless the destination named a time.
// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; RFC 9110 section 10.2.3.

/**
 * Doublings after which the bound no longer grows: 2^20 × any initial delay is past every bound.
 */
const DOUBLINGS_MAX = 20;
/** No retry sooner than this, ms, or a refusing backend would cost a core. */
export const RETRY_MS_MIN = 10;
/** A destination cannot ask for more patience than this, ms: a hostile or broken header ends. */
export const RETRY_AFTER_MS_MAX = 300_000;

/**
 * Milliseconds to wait before attempt `attempt` + 1.
 * @param attempt failed attempts so far, at least 1.
 * @param retryAfterMs what the destination asked for, or -1; obeyed, but never below `initialMs`.
 * @param random uniform in [0, 1).
 */
export function retryDelayMs(
  attempt: number, initialMs: number, maxMs: number, retryAfterMs: number, random: number,
): number {
  if (retryAfterMs >= 0) return Math.max(initialMs, Math.min(retryAfterMs, RETRY_AFTER_MS_MAX));
  const bound = Math.min(maxMs, initialMs * 2 ** Math.min(attempt - 1, DOUBLINGS_MAX));
  return Math.max(RETRY_MS_MIN, Math.floor(bound * random));
}

/**
 * Reads a Retry-After header: whole seconds or an HTTP date.
 * @returns milliseconds from `wallMs`, at least 0; -1 when absent or unreadable.
 */
export function parseRetryAfter(value: string | string[] | undefined, wallMs: number): number {
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return -1;
  // The oldest of the three forms (asctime) names no zone and means GMT as well.
  const atMs = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(atMs) ? -1 : Math.max(0, atMs - wallMs);
}
