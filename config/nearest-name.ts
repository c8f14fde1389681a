// "Did you mean": the known name closest to what was written.

/** A third of the letters may be wrong, but never more than this many. */
const DISTANCE_MAX = 3;

/**
 * The known name nearest to `written`, or null when none is near. Case, `_` and `-` do not count,
 * so `decision_wait` is as good as `DecisionWait`.
 */
export function nearestName(written: string, known: Iterable<string>): string | null {
  const plain = plainOf(written);
  let nearest: string | null = null;
  let nearestDistance = Math.min(DISTANCE_MAX, Math.floor(plain.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(plain, plainOf(name), nearestDistance);
    if (distance < nearestDistance) {
      nearest = name;
      nearestDistance = distance;
    }
  }
  return nearest;
}

function plainOf(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours; `limit` when it is that or more. */
function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) >= limit) return limit;
  let twoAbove: number[] = [];
  let above = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1] ? 0 : 1;
      let best = Math.min(
        above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + same,
      );
      const swapped = row > 1 && column > 1
        && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) best = Math.min(best, twoAbove[column - 2]! + 1);
      current.push(best);
    }
    twoAbove = above;
    above = current;
  }
  return Math.min(above[right.length]!, limit);
}
