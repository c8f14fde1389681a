// The directories of a server: <ClusterDataDir>/etcd with its data, and beside it what this gateway
// notes. Data of a member is never deleted as long as it could be needed: it is set aside under
// another name, and of those only the oldest go.
//
//   etcd/                      etcd's own: member/wal, member/snap
//   etcd.removed-<UTC time>    data of a member that its cluster has removed
//   etcd.log  etcd.pid         see etcd-log.ts and etcd-orphan.ts
//   member.json                which member of which cluster the data is

import {
  accessSync, chmodSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { GatewayError } from "../base/errors.ts";
import { readFileIfAny, writeFileDurably } from "../log/durable-file.ts";
import { etcdDirectory } from "./etcd-flags.ts";

const MEMBER_FILE = "member.json";
const LOG_FILE = "etcd.log";
const REMOVED_PREFIX = "etcd.removed-";
/** Data of removed members is of no use to a cluster; two are kept for whoever wants to look. */
export const REMOVED_KEPT_MAX = 2;
/** etcd wants its data to be its user's alone. */
const PRIVATE_MODE = 0o700;
const MODE_BITS = 0o777;

const identitySchema = z.object({ memberId: z.string().min(1), clusterId: z.string().min(1) });
/** Decimal ids, as etcd gives them. */
export type MemberIdentity = z.infer<typeof identitySchema>;

/** The directory of one gateway's server. */
export class EtcdDirectory {
  readonly path: string;
  readonly dataPath: string;

  constructor(clusterDataDirectory: string) {
    this.path = clusterDataDirectory;
    this.dataPath = etcdDirectory(clusterDataDirectory);
  }

  get logPath(): string {
    return join(this.path, LOG_FILE);
  }

  /** Makes the directories, for this user alone. @throws GatewayError DATA_DIRECTORY */
  prepare(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: PRIVATE_MODE });
      mkdirSync(this.dataPath, { recursive: true, mode: PRIVATE_MODE });
      if ((statSync(this.dataPath).mode & MODE_BITS) !== PRIVATE_MODE) {
        chmodSync(this.dataPath, PRIVATE_MODE);
      }
      for (const path of [this.path, this.dataPath]) {
        accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new GatewayError(
        "DATA_DIRECTORY",
        `ClusterDataDir ${this.path} cannot be used (${reason}): it must be a directory of this `
        + "process's user",
        { path: this.path }, error,
      );
    }
  }

  /** Whether there is a member's data: what a server wrote when it first had a cluster. */
  hasData(): boolean {
    const log = join(this.dataPath, "member", "wal");
    return existsSync(log) && readdirSync(log).some((name) => name.endsWith(".wal"));
  }

  /** What a start left that failed before the server was a member: nothing of it means anything. */
  clearUnstarted(): void {
    if (this.hasData()) return;
    rmSync(this.dataPath, { recursive: true, force: true });
    mkdirSync(this.dataPath, { mode: PRIVATE_MODE });
  }

  /** Which member the data is; null when that was never written, or not whole. */
  readIdentity(): MemberIdentity | null {
    const text = readFileIfAny(join(this.path, MEMBER_FILE));
    if (text === null) return null;
    try {
      return identitySchema.safeParse(JSON.parse(text)).data ?? null;
    } catch {
      return null; // not JSON: the member is found by its name and addresses
    }
  }

  writeIdentity(identity: MemberIdentity): void {
    writeFileDurably(join(this.path, MEMBER_FILE), JSON.stringify(identity));
  }

  /** Makes room for new data. @returns where the former is now. */
  setAside(now: Date): string {
    const name = `${REMOVED_PREFIX}${now.toISOString().replace(/[-:]|\.\d+/g, "")}`;
    let target = join(this.path, name);
    for (let number = 2; existsSync(target); number++) {
      target = join(this.path, `${name}-${number}`);
    }
    renameSync(this.dataPath, target);
    rmSync(join(this.path, MEMBER_FILE), { force: true });
    mkdirSync(this.dataPath, { mode: PRIVATE_MODE });
    const removed = readdirSync(this.path).filter((each) => each.startsWith(REMOVED_PREFIX)).sort();
    for (const each of removed.slice(0, -REMOVED_KEPT_MAX)) {
      rmSync(join(this.path, each), { recursive: true, force: true });
    }
    return target;
  }
}
