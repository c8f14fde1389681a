// Sizes in bytes: a whole number, or a string with a unit ("128MiB"; "100MB" is decimal).

export const KIB = 1_024;
export const MIB = 1_024 * KIB;
export const GIB = 1_024 * MIB;
export const TIB = 1_024 * GIB;

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["", 1], ["b", 1], ["kib", KIB], ["mib", MIB], ["gib", GIB], ["tib", TIB],
  ["kb", 1e3], ["mb", 1e6], ["gb", 1e9], ["tb", 1e12],
]);
/** Units of `formatSize`, largest first. */
const BINARY_UNITS = [["TiB", TIB], ["GiB", GIB], ["MiB", MIB], ["KiB", KIB]] as const;
const SIZE = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i;

/** Bytes of a size, rounded to a whole one, or null when the text is none. */
export function parseSize(text: string): number | null {
  const match = SIZE.exec(text);
  if (match === null) return null;
  const unitBytes = UNIT_BYTES.get(match[2]!.toLowerCase());
  return unitBytes === undefined ? null : Math.round(Number(match[1]) * unitBytes);
}

/** The shortest exact form: 20_971_520 is "20MiB", 1_000 is "1000". */
export function formatSize(bytes: number): string {
  for (const [unit, unitBytes] of BINARY_UNITS) {
    if (bytes > 0 && bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  }
  return String(bytes);
}
