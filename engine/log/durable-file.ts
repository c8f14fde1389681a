// Small files that must be whole or absent after a crash, and directories that must not forget
// them.

import {
  closeSync, fsyncSync, openSync, readFileSync, renameSync, statfsSync, writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** Replaces a file in one step: readers and crashes see the old content or the new one. */
export function writeFileDurably(path: string, content: string): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, "w", 0o644);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** Makes the names in a directory survive a power loss. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Content of a file, null when there is none. */
export function readFileIfAny(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Bytes that this process may still write where `path` is. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Files that may still be made where `path` is; Infinity where the file system does not say. */
export function freeFiles(path: string): number {
  const { files, ffree } = statfsSync(path);
  return files === 0 ? Infinity : ffree;
}
