// Collects everything wrong with a configuration, so that one start shows all of it.

/** One thing wrong, for the operator: where, what, what is allowed, what to do. */
export interface Problem {
  /** The key as it was written (`ForwardTo[0].TraceSample.DecisionWait`), a variable or a flag. */
  readonly path: string;
  readonly message: string;
  /** File with line and column, both from 1, where the path is in a file; else null. */
  readonly place: { readonly file: string; readonly line: number; readonly column: number } | null;
}

/** Turns an offset into a place; a document knows its own. */
export type PlaceOf = (offset: number) => Problem["place"];

/** Printed at most; the rest is counted. */
const PROBLEMS_PRINTED_MAX = 50;

/** Problems refuse the start; warnings do not. One load writes it. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #placeOf: PlaceOf;

  constructor(placeOf: PlaceOf) {
    this.#placeOf = placeOf;
  }

  /** @param offset of the value in the file; null when it is not in one. */
  problem(path: string, message: string, offset: number | null): void {
    this.problems.push({ path, message, place: offset === null ? null : this.#placeOf(offset) });
  }

  /** @param offset of the value in the file; null when it is not in one. */
  warning(path: string, message: string, offset: number | null): void {
    this.warnings.push({ path, message, place: offset === null ? null : this.#placeOf(offset) });
  }
}

/** `gateway.conf:7:23: ForwardTo[0].Timeout: 30 has no unit; ...` on one line. */
export function formatProblem({ path, message, place }: Problem): string {
  const where = place === null ? "" : `${place.file}:${place.line}:${place.column}: `;
  return path === "" ? `${where}${message}` : `${where}${path}: ${message}`;
}

/** A line for each problem, and how many were left out. */
export function formatProblems(problems: readonly Problem[]): string {
  const lines = problems.slice(0, PROBLEMS_PRINTED_MAX).map(formatProblem);
  if (problems.length > PROBLEMS_PRINTED_MAX) {
    lines.push(`and ${problems.length - PROBLEMS_PRINTED_MAX} more`);
  }
  return lines.join("\n");
}
