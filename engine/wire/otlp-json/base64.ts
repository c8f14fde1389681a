// Base64, decoded in place: what it becomes is shorter than what it was.

const PADDING = 0x3d;
const INVALID = 64;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Value of each byte; "-" and "_" of the alphabet for URLs as well. */
const SEXTETS = new Uint8Array(256).fill(INVALID);
for (let value = 0; value < ALPHABET.length; value++) SEXTETS[ALPHABET.charCodeAt(value)] = value;
SEXTETS["-".charCodeAt(0)] = 62;
SEXTETS["_".charCodeAt(0)] = 63;

/**
 * Decodes bytes[at, end) in place, padded or not.
 * @returns the end of the decoded bytes; -1 when it is no base64.
 * Source: RFC 4648, sections 4 and 5.
 */
export function decodeBase64(bytes: Uint8Array, at: number, end: number): number {
  let textEnd = end;
  if (textEnd > at && bytes[textEnd - 1] === PADDING) textEnd--;
  if (textEnd > at && bytes[textEnd - 1] === PADDING) textEnd--;
  const isPadded = textEnd < end;
  if (isPadded && (end - at) % 4 !== 0) return -1;
  if ((textEnd - at) % 4 === 1) return -1;
  let to = at;
  let bits = 0;
  let bitCount = 0;
  for (let next = at; next < textEnd; next++) {
    const sextet = SEXTETS[bytes[next]!]!;
    if (sextet === INVALID) return -1;
    bits = ((bits << 6) | sextet) & 0xfff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[to++] = bits >>> bitCount;
    }
  }
  return to;
}
