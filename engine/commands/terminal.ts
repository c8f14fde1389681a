// Where a command writes: how wide it is, and whether it shows colours.

import { styleText } from "node:util";

/** Styles in use; each says one thing everywhere. */
export type Style = "good" | "bad" | "doubtful" | "head" | "faint";
/** Text in a style, or the text alone where colours are off. */
export type Paint = (style: Style, text: string) => string;

const FORMATS = {
  good: "green", bad: "red", doubtful: "yellow", head: "bold", faint: "dim",
} as const;
/** Output that nobody sees is laid out for this. */
const COLUMNS_DEFAULT = 100;
const COLUMNS_MIN = 80;

/** What of a stream matters here; `process.stdout` is one. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A command's output. */
export interface Terminal {
  readonly columns: number;
  /** A person sees it, and it can be drawn again. */
  readonly interactive: boolean;
  readonly paint: Paint;
  /** To standard output. */
  readonly write: (text: string) => void;
  /** To standard error. */
  readonly complain: (text: string) => void;
}

/** Colours only where a person sees them and has not said no: https://no-color.org. */
export function createTerminal(
  output: OutputStream, errors: OutputStream,
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const interactive = output.isTTY === true;
  const coloured = interactive && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return {
    columns: Math.max(COLUMNS_MIN, (interactive ? output.columns : undefined) ?? COLUMNS_DEFAULT),
    interactive,
    paint: (style, text) => {
      return coloured ? styleText(FORMATS[style], text, { validateStream: false }) : text;
    },
    write: (text) => void output.write(text),
    complain: (text) => void errors.write(text),
  };
}

/** Names come from files and networks: control characters must not reach the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}
