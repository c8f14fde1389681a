// Log lines: one JSON object a line, on standard output or in a file. Written at once and whole;
// the lanes never call this, their lines come through the coordinator.

import { appendFileSync, writeSync } from "node:fs";

export type LogLevel = "info" | "warn" | "error";
/** The setting's value for standard output. */
export const LOG_TO_STDOUT = "-";

/** Writes one line. @param file a path, or LOG_TO_STDOUT. */
export function writeLog(
  file: string, level: LogLevel, message: string,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  const line = `${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`;
  if (file === LOG_TO_STDOUT) writeSync(1, line);
  else appendFileSync(file, line);
}
