// Texts packed into u32 words, and payload bytes compared with them four at a time: keys and values
// of attributes are compared for every span (native-bench/scan.bench.ts).
//
// Packed: little-endian words, the last one filled with zero bytes. Sizes are compared apart.

/** Words that a text of `bytes` takes. */
export function packedWords(bytes: number): number {
  return (bytes + 3) >>> 2;
}

/** The text in words of its own. */
export function packText(text: Uint8Array): Uint32Array {
  const words = new Uint32Array(packedWords(text.length));
  packInto(viewOf(text), 0, text.length, words, 0);
  return words;
}

/** Packs the bytes [at, end) of the view into words from wordAt on. */
export function packInto(
  view: DataView, at: number, end: number, words: Uint32Array, wordAt: number,
): void {
  let word = wordAt;
  let next = at;
  for (; end - next >= 4; next += 4) words[word++] = view.getUint32(next, true);
  if (next !== end) words[word] = tailWord(view, next, end);
}

/** True when the bytes [at, end) of the view are those packed at wordAt; their sizes are equal. */
export function isPacked(
  view: DataView, at: number, end: number, words: Uint32Array, wordAt: number,
): boolean {
  let word = wordAt;
  let next = at;
  for (; end - next >= 4; next += 4) {
    if (view.getUint32(next, true) !== words[word++]) return false;
  }
  return next === end || tailWord(view, next, end) === words[word];
}

/** 32-bit hash of the bytes [at, end) of the view, low bits good. For tables that bound their walks
 *  themselves: whoever chooses the bytes can make it collide. */
export function hashText(view: DataView, at: number, end: number): number {
  let hash = end - at;
  let next = at;
  for (; end - next >= 4; next += 4) {
    hash = Math.imul(hash ^ view.getUint32(next, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  if (next !== end) hash = Math.imul(hash ^ tailWord(view, next, end), 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** A view of the same memory, offset by offset. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The last one to three bytes as a word. */
function tailWord(view: DataView, at: number, end: number): number {
  let word = view.getUint8(at);
  if (end - at > 1) word |= view.getUint8(at + 1) << 8;
  if (end - at > 2) word |= view.getUint8(at + 2) << 16;
  return word;
}
