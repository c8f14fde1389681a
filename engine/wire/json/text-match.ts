// Names and values in JSON handed to the policies' predicates by their text, escapes resolved.

import type { AttributeMatcher } from "../../part/attribute-matcher.ts";
import { scratchText } from "../../part/scratch-text.ts";
import { unescape } from "./unescape.ts";

/** Number of the key whose contents are bytes[at, close), or -1 when no predicate names it. */
export function findTextKey(
  matcher: AttributeMatcher, bytes: Uint8Array, at: number, close: number, isEscaped: boolean,
): number {
  if (matcher.keyCount === 0) return -1;
  if (!isEscaped) return matcher.findKey(bytes, at, close);
  const size = unescape(bytes, at, close);
  return size < 0 ? -1 : matcher.findKey(scratchText, 0, size);
}

/** Tests a string; one with escapes that is too long to resolve matches nothing and is counted. */
export function testText(
  matcher: AttributeMatcher, key: number, bytes: Uint8Array, at: number, close: number,
  isEscaped: boolean,
): void {
  if (!isEscaped) {
    matcher.testString(key, bytes, at, close);
    return;
  }
  const size = unescape(bytes, at, close);
  if (size < 0) matcher.untestedValues++;
  else matcher.testString(key, scratchText, 0, size);
}
