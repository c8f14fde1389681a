// A look at an LMDB data file before LMDB opens it: lmdb-js 3.5.6 crashes the process when opening
// fails, and LMDB maps what a cut file no longer has. Whatever looks wrong is probed first, in
// another process.
//
// First two pages of a data file, LMDB's data version 2, 64-bit little-endian: each a meta page,
//   [24] magic u32 | [28] version u32 | [48] page bytes u32 | [144] last page u64

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { readWord } from "./entry-writer.ts";
import { DATA_FILE } from "./environment.ts";

const MAGIC_AT = 24;
const VERSION_AT = 28;
const PAGE_BYTES_AT = 48;
const LAST_PAGE_AT = 144;
const META_BYTES = 160;
const MAGIC = 0xbeef_c0de;
const VERSION = 2;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
const U32 = 0x1_0000_0000;

/**
 * False when a generation's data file is cut short or is none; true when it is missing or empty.
 */
export function looksWhole(directory: string): boolean {
  let file: number;
  try {
    file = openSync(join(directory, DATA_FILE), "r");
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT";
  }
  try {
    const fileBytes = fstatSync(file).size;
    if (fileBytes === 0) return true;
    const meta = new Uint8Array(META_BYTES);
    if (!metaLooksWhole(file, meta, 0, fileBytes)) return false;
    return metaLooksWhole(file, meta, readWord(meta, PAGE_BYTES_AT), fileBytes);
  } finally {
    closeSync(file);
  }
}

function metaLooksWhole(file: number, meta: Uint8Array, at: number, fileBytes: number): boolean {
  if (readSync(file, meta, 0, META_BYTES, at) < META_BYTES) return false;
  if (readWord(meta, MAGIC_AT) !== MAGIC || readWord(meta, VERSION_AT) !== VERSION) return false;
  const pageBytes = readWord(meta, PAGE_BYTES_AT);
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) return false;
  const lastPage = readWord(meta, LAST_PAGE_AT) + readWord(meta, LAST_PAGE_AT + 4) * U32;
  return (lastPage + 1) * pageBytes <= fileBytes;
}
