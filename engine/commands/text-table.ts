// Aligned columns that fit the terminal.

import { printable, type Paint, type Style } from "./terminal.ts";

export interface Column {
  readonly head: string;
  /** Default left; numbers stand right. */
  readonly align?: "left" | "right";
}

/** A cell: its text, with a style where it has one. */
export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = "  ";
/** A column that must give way keeps this. */
const COLUMN_CHARACTERS_MIN = 8;

/**
 * Lines of a table, heads first. Where it is too wide the widest columns of text are cut, at their
 * ends, and show it by an ellipsis; numbers are never cut.
 */
export function tableLines(
  columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number, paint: Paint,
): string[] {
  const texts = rows.map((row) => row.map((cell) => {
    return printable(typeof cell === "string" ? cell : cell.text);
  }));
  const widths = fitted(columns.map(({ head }, column) => {
    return Math.max(head.length, ...texts.map((row) => (row[column] ?? "").length));
  }), columns, width - GAP.length * (columns.length - 1));
  const line = (cells: readonly string[], styles: readonly (Style | null)[]): string => {
    return cells.map((cell, column) => {
      const room = widths[column] ?? 0;
      const text = cell.length <= room ? cell : `${cell.slice(0, room - 1)}…`;
      const last = column === columns.length - 1;
      const padded = columns[column]?.align === "right" ? text.padStart(room)
        : last ? text : text.padEnd(room);
      const style = styles[column] ?? null;
      return style === null ? padded : paint(style, padded);
    }).join(GAP).trimEnd();
  };
  return [
    line(columns.map(({ head }) => head), columns.map(() => "faint" as const)),
    ...rows.map((row, index) => line(texts[index]!, row.map((cell) => { // one for each row
      return typeof cell === "string" ? null : cell.style;
    }))),
  ];
}

/** `head` and words behind it in lines of `width`; all but the first begin with `indent`. */
export function wrapped(head: string, text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = head;
  let words = 0;
  for (const word of text.split(" ")) {
    if (words > 0 && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      words = 0;
    }
    line += words === 0 ? word : ` ${word}`;
    words++;
  }
  return [...lines, line];
}

function fitted(widths: readonly number[], columns: readonly Column[], room: number): number[] {
  const result = [...widths];
  let excess = result.reduce((sum, width) => sum + width, 0) - room;
  for (; excess > 0; excess--) {
    let widest = -1;
    columns.forEach(({ align }, column) => {
      if (align !== "right" && (result[column] ?? 0) > (result[widest] ?? 0)) widest = column;
    });
    const characters = result[widest] ?? 0;
    if (characters <= COLUMN_CHARACTERS_MIN) break; // wraps: better than nothing readable
    result[widest] = characters - 1;
  }
  return result;
}
