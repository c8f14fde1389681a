import { expect, test } from "vitest";
import {
  parseRetryAfter, RETRY_AFTER_MS_MAX, RETRY_MS_MIN, retryDelayMs,
} from "../../../engine/forward/retry-delay.ts";

test("the bound of a retry doubles with every attempt up to the maximum", () => {
  const bounds = [1, 2, 3, 4, 5, 6, 7, 100, 100_000]
    .map((attempt) => retryDelayMs(attempt, 1_000, 30_000, -1, 0.999999));
  expect(bounds).toEqual([999, 1999, 3999, 7999, 15999, 29999, 29999, 29999, 29999]);
});

test("the delay is anywhere below the bound, but never none", () => {
  expect(retryDelayMs(3, 1_000, 30_000, -1, 0.25)).toBe(1_000);
  expect(retryDelayMs(3, 1_000, 30_000, -1, 0)).toBe(RETRY_MS_MIN);
});

test("a destination's wish is obeyed between the initial delay and five minutes", () => {
  expect(retryDelayMs(1, 1_000, 30_000, 45_000, 0)).toBe(45_000);
  expect(retryDelayMs(9, 1_000, 30_000, 2_000, 0.9)).toBe(2_000);
  expect(retryDelayMs(1, 1_000, 30_000, 0, 0)).toBe(1_000);
  expect(retryDelayMs(1, 1_000, 30_000, 1e12, 0)).toBe(RETRY_AFTER_MS_MAX);
});

test("Retry-After is read as seconds and as an HTTP date in all three forms", () => {
  const wallMs = Date.UTC(1994, 10, 6, 8, 49, 0);
  expect(parseRetryAfter("120", wallMs)).toBe(120_000);
  expect(parseRetryAfter(["7", "9"], wallMs)).toBe(7_000);
  expect(parseRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", wallMs)).toBe(37_000);
  expect(parseRetryAfter("Sunday, 06-Nov-94 08:49:37 GMT", wallMs)).toBe(37_000);
  expect(parseRetryAfter("Sun Nov  6 08:49:37 1994", wallMs)).toBe(37_000);
});

test("a date in the past means now, and nonsense means nothing", () => {
  expect(parseRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", Date.UTC(2026, 0))).toBe(0);
  for (const value of [undefined, "", "soon", "-5", "1.5", "99999999999", "2030-01-01", []]) {
    expect(parseRetryAfter(value, 0), String(value)).toBe(-1);
  }
});
