// What Linux says about a running process: processor time and resident memory.

import { readdirSync, readFileSync } from "node:fs";

/** The kernel tells times in these units, whatever its own clock is. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;
/** Fields of /proc/PID/stat after the command's name, from 0. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** Processor time of a process with all its threads, seconds. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
  /** Of the thread that the process began with: in a gateway, the front door. */
  readonly mainThread: number;
  /** Of the busiest other thread: in a gateway, a lane. */
  readonly busiestOther: number;
}

/** Time since the process began. @throws when there is no such process, or no Linux. */
export function cpuTime(pid: number): CpuTime {
  const [user, system] = ticks(`/proc/${pid}/stat`);
  let mainThread = 0;
  let busiestOther = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const seconds = threadSeconds(pid, thread);
    if (thread === String(pid)) mainThread = seconds;
    else busiestOther = Math.max(busiestOther, seconds);
  }
  return {
    user: user / TICKS_PER_SECOND, system: system / TICKS_PER_SECOND, mainThread, busiestOther,
  };
}

/** Bytes that only this process can use: anonymous and shared pages; mapped files can go. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return kibibytes(status, "RssAnon") + kibibytes(status, "RssShmem");
}

/** What a call that looks into /proc answers, or null when the process has just ended. */
export function whileAlive<Value>(look: () => Value): Value | null {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // fs throws these
    if (code === "ENOENT" || code === "ESRCH") return null;
    throw error;
  }
}

function kibibytes(status: string, key: string): number {
  const match = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(status);
  if (match === null) throw new Error(`/proc/PID/status has no ${key}: this needs Linux 4.5`);
  return Number(match[1]) * KIB;
}

function threadSeconds(pid: number, thread: string): number {
  const times = whileAlive(() => ticks(`/proc/${pid}/task/${thread}/stat`));
  return times === null ? 0 : (times[0] + times[1]) / TICKS_PER_SECOND;
}

/** User and system ticks of a stat file. The name in it may hold spaces and parentheses. */
function ticks(path: string): [number, number] {
  const text = readFileSync(path, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return [Number(fields[USER_TICKS]), Number(fields[SYSTEM_TICKS])];
}
