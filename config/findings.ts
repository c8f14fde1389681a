// Collects everything wrong with a configuration, so that one start shows all of it.

/** One thing wrong, for the operator: where, what, what is allowed, what to do. */
export interface Problem {
  /** The key as it was written (`ForwardTo[0].TraceSample.DecisionWait`), a variable or a flag. */
  readonly path: string;
  readonly message: string;
  /** File with line and column, both from 1, where the path is in a file; else null. */
  readonly place: { readonly file: string; readonly line: number; readonly column: number } | null;
}

/**
 * What a warning is about. "unknown": a name that nothing reads. "without_effect": a key of the
 * original gateway that changed something there and does nothing here. "deprecated": one whose work
 * another setting does here. "advice": a valid setting that may not be what was meant.
 */
export type WarningKind = "unknown" | "without_effect" | "deprecated" | "advice";

/** A start goes on; `tailrace check` takes the first two kinds for errors. */
export interface Warning extends Problem {
  readonly kind: WarningKind;
}

/** Turns an offset into a place; a document knows its own. */
export type PlaceOf = (offset: number) => Problem["place"];

/** Printed at most; the rest is counted. */
const PROBLEMS_PRINTED_MAX = 50;

/** Problems refuse the start; warnings do not. One load writes it. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Warning[] = [];
  readonly #placeOf: PlaceOf;

  constructor(placeOf: PlaceOf) {
    this.#placeOf = placeOf;
  }

  /** @param offset of the value in the file; null when it is not in one. */
  problem(path: string, message: string, offset: number | null): void {
    this.problems.push({ path, message, place: offset === null ? null : this.#placeOf(offset) });
  }

  /** @param offset of the value in the file; null when it is not in one. */
  warning(
    path: string, message: string, offset: number | null, kind: WarningKind = "advice",
  ): void {
    const place = offset === null ? null : this.#placeOf(offset);
    this.warnings.push({ path, message, place, kind });
  }
}

/** Flags and variables first, then as the file goes. */
export function byPlace(left: Problem, right: Problem): number {
  const lines = (left.place?.line ?? 0) - (right.place?.line ?? 0);
  return lines !== 0 ? lines : (left.place?.column ?? 0) - (right.place?.column ?? 0);
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
