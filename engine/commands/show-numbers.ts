// Numbers as people read them: groups of three digits, durations, bytes, shares.

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
const BINARY_STEP = 1_024;

/** 1234567 is "1,234,567". */
export function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** 3.2 ms, 812 ms, 12.3 s, 4 min 12 s, 3 h 12 min, 2 d 4 h. */
export function duration(milliseconds: number): string {
  if (milliseconds < 10) return `${rounded(milliseconds, 2)} ms`;
  if (milliseconds < SECOND_MS) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < MINUTE_MS) return `${rounded(milliseconds / SECOND_MS, 1)} s`;
  if (milliseconds < HOUR_MS) return pair(milliseconds, MINUTE_MS, "min", SECOND_MS, "s");
  if (milliseconds < DAY_MS) return pair(milliseconds, HOUR_MS, "h", MINUTE_MS, "min");
  return pair(milliseconds, DAY_MS, "d", HOUR_MS, "h");
}

/** 512 B, 1.5 MiB, 63 GiB. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= BINARY_STEP && unit < BINARY_UNITS.length - 1) {
    value /= BINARY_STEP;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : rounded(value, 1)} `
    + `${BINARY_UNITS[unit]!}`; // unit < the number of units
}

/** 12.5 %; "-" of nothing. */
export function share(part: number, whole: number): string {
  if (whole === 0) return "-";
  const percent = 100 * part / whole;
  return `${part > 0 && percent < 0.1 ? "<0.1" : rounded(percent, 1)} %`;
}

/** "1 span", "2,000 spans". */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function pair(
  milliseconds: number, largeMs: number, large: string, smallMs: number, small: string,
): string {
  const rest = Math.floor(milliseconds % largeMs / smallMs);
  const first = `${Math.floor(milliseconds / largeMs)} ${large}`;
  return rest === 0 ? first : `${first} ${rest} ${small}`;
}

function rounded(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
