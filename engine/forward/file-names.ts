// Names of a file forwarder's files and which of them must go. Pure.
// <prefix>-<UTC time>-<n>.jsonl, such as traces-20260131T235959Z-1.jsonl; n starts at 1 in each
// second.

/** What the files of a forwarder's directory begin with; others in it are left alone. */
export const FILE_PREFIX = "traces";
const SUFFIX = ".jsonl";

/** A file as the directory shows it. */
export interface FileEntry {
  readonly name: string;
  readonly bytes: number;
}

/** Name of the n-th file of that second. */
export function fileName(prefix: string, wallMs: number, n: number): string {
  const time = new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, "");
  return `${prefix}-${time}-${n}${SUFFIX}`;
}

/** Sort key of one of our files; null for any other file. */
function keyOf(prefix: string, name: string): { time: string; n: number } | null {
  if (!name.startsWith(`${prefix}-`)) return null;
  const match = /^(\d{8}T\d{6}Z)-(\d{1,9})\.jsonl$/.exec(name.slice(prefix.length + 1));
  return match === null ? null : { time: match[1]!, n: Number(match[2]!) }; // groups of a match
}

/** Those of `files` that carry the prefix, oldest first. */
export function ownFiles(prefix: string, files: readonly FileEntry[]): FileEntry[] {
  return files
    .map((file) => ({ file, key: keyOf(prefix, file.name) }))
    .filter((each): each is { file: FileEntry; key: { time: string; n: number } } =>
      each.key !== null)
    .sort((a, b) => (a.key.time === b.key.time ? a.key.n - b.key.n
      : a.key.time < b.key.time ? -1 : 1))
    .map((each) => each.file);
}

/**
 * How many of the oldest files must go, so that they and the present one fit the limits.
 * @param files oldest first, without the present one, which holds `presentBytes`.
 */
export function planRemovals(
  files: readonly FileEntry[], presentBytes: number, filesMax: number, bytesMax: number,
): number {
  let count = files.length + 1;
  let bytes = files.reduce((sum, file) => sum + file.bytes, presentBytes);
  let removals = 0;
  while (removals < files.length && (count > filesMax || bytes > bytesMax)) {
    count--;
    bytes -= files[removals]!.bytes;
    removals++;
  }
  return removals;
}
