// The etcd program: where it is, and which version.

import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { GatewayError } from "../base/errors.ts";
import type { EtcdVersion } from "./etcd-flags.ts";

/** It prints a few lines and ends. */
const VERSION_MS_MAX = 10_000;
const VERSION = /etcd Version: (\d+)\.(\d+)/;

/**
 * Path of the program.
 * @param binary a name to look for in `searchPath`, or a path.
 * @throws GatewayError CLUSTER_ETCD_MISSING
 */
export function findEtcd(binary: string, searchPath: string): string {
  const candidates = binary.includes("/")
    ? [binary]
    : searchPath.split(delimiter).filter(Boolean).map((directory) => join(directory, binary));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new GatewayError(
    "CLUSTER_ETCD_MISSING",
    `seed and join need the program etcd, and ${
      binary.includes("/") ? `${binary} is no program` : `no "${binary}" is in PATH`
    }: install it (Debian and Ubuntu: apt-get install etcd-server), or set EtcdBinary to its path`,
    { binary, searchPath },
  );
}

/** @throws GatewayError CLUSTER_ETCD_MISSING when it is not etcd. */
export async function etcdVersion(path: string): Promise<EtcdVersion> {
  let output: string;
  try {
    const { stdout } = await promisify(execFile)(
      path, ["--version"], { timeout: VERSION_MS_MAX, env: etcdEnvironment() });
    output = stdout;
  } catch (error) {
    throw notEtcd(path, error);
  }
  const found = VERSION.exec(output);
  if (found === null) throw notEtcd(path, output);
  return { major: Number(found[1]), minor: Number(found[2]) };
}

/** All variables a server gets. */
export function etcdEnvironment(): Record<string, string> {
  // etcd 3.4 asks for this word before it runs on arm64.
  return process.arch === "arm64" ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {};
}

function notEtcd(path: string, cause: unknown): GatewayError {
  return new GatewayError(
    "CLUSTER_ETCD_MISSING", `${path} does not answer --version as etcd does: set EtcdBinary`,
    { path }, cause,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // missing, or not for this user: the message names where was looked
  }
}
