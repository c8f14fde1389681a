/**
 * Copies source[from, end) to target[at..]; either may lie in shared memory that nobody else
 * touches meanwhile. TypedArray.set moves shared memory word by word, as if another thread were
 * writing it, at a third of the speed: Buffer.fill with a value as long as the range is a plain
 * memcpy. See native-bench/ring.bench.ts.
 */
export function copyBytes(
  source: Uint8Array, from: number, end: number, target: Buffer, at: number,
): void {
  if (end === from) return; // fill refuses an empty value
  target.fill(source.subarray(from, end), at, at + end - from);
}
