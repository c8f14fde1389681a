// Durations as Go writes them: "300ms", "1.5h", "2h45m". Inside they are whole milliseconds.

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;

const NS_PER_MS = 1e6;
const UNIT_NS: ReadonlyMap<string, number> = new Map([
  ["ns", 1], ["us", 1e3], ["\u00b5s", 1e3], ["\u03bcs", 1e3], ["ms", NS_PER_MS],
  ["s", SECOND_MS * NS_PER_MS], ["m", MINUTE_MS * NS_PER_MS], ["h", HOUR_MS * NS_PER_MS],
]);
const DURATION = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)[a-z\u00b5\u03bc]+)+)$/;
const TERM = /(\d+\.?\d*|\.\d+)([a-z\u00b5\u03bc]+)/g;

/**
 * Milliseconds of a Go duration, rounded up to a whole one, or null when the text is none.
 * Source: `time.ParseDuration`; like there, "0" needs no unit.
 */
export function parseDuration(text: string): number | null {
  if (/^[+-]?0$/.test(text)) return 0;
  const match = DURATION.exec(text);
  if (match === null) return null;
  let totalNs = 0;
  for (const term of match[2]!.matchAll(TERM)) {
    const unitNs = UNIT_NS.get(term[2]!);
    if (unitNs === undefined) return null;
    totalNs += Math.round(Number(term[1]) * unitNs);
  }
  const milliseconds = Math.ceil(totalNs / NS_PER_MS);
  return match[1] === "-" && milliseconds !== 0 ? -milliseconds : milliseconds;
}

/** The shortest Go duration of whole milliseconds, 0 or more: 90_000 is "1m30s". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  const parts: string[] = [];
  let rest = milliseconds;
  for (const [unit, unitMs] of [["h", HOUR_MS], ["m", MINUTE_MS], ["s", SECOND_MS]] as const) {
    if (rest >= unitMs) parts.push(`${Math.floor(rest / unitMs)}${unit}`);
    rest %= unitMs;
  }
  if (rest > 0) parts.push(`${rest}ms`);
  return parts.join("");
}
