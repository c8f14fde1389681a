// One run of the server: started by this process, or by a former one and found alive.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { GatewayError } from "../base/errors.ts";
import { identityOf } from "../base/process-identity.ts";
import { etcdEnvironment } from "./etcd-binary.ts";
import { isRunning, type FoundServer } from "./etcd-orphan.ts";

/** It hands over its leadership and closes its data: that takes a second or two. */
export const STOP_MS = 7_000;
const KILL_MS = 5_000;
const POLL_MS = 100;

/** How a run ended; both null for one that was not started by this process. */
export interface EtcdEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A running server. */
export class EtcdChild {
  readonly found: FoundServer;
  /** Never rejects. */
  readonly ended: Promise<EtcdEnd>;
  #hasEnded = false;

  private constructor(found: FoundServer, ended: Promise<EtcdEnd>) {
    this.found = found;
    this.ended = ended.then((end) => {
      this.#hasEnded = true;
      return end;
    });
  }

  /**
   * Starts a server in a process group and session of its own, so that a signal of the terminal
   * does not end it before its gateway has drained.
   * @throws GatewayError CLUSTER_ETCD_FAILED
   */
  static async start(
    program: string, words: readonly string[], output: number, directory: string,
  ): Promise<EtcdChild> {
    const child = spawn(program, words, {
      cwd: directory, detached: true, env: etcdEnvironment(), stdio: ["ignore", output, output],
    });
    try {
      await once(child, "spawn");
    } catch (error) {
      throw new GatewayError(
        "CLUSTER_ETCD_FAILED", `${program} cannot be started: ${String(error)}`, { program }, error,
      );
    }
    const ended = new Promise<EtcdEnd>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      if (child.exitCode !== null || child.signalCode !== null) {
        resolve({ code: child.exitCode, signal: child.signalCode });
      }
    });
    child.unref(); // whoever wants it to end says so
    return new EtcdChild({ identity: identityOf(child.pid!), arguments: words }, ended);
  }

  /** Takes a server over that another process started. */
  static adopt(found: FoundServer): EtcdChild {
    const ended = new Promise<EtcdEnd>((resolve) => {
      const timer = setInterval(() => {
        if (isRunning(found)) return;
        clearInterval(timer);
        resolve({ code: null, signal: null });
      }, POLL_MS).unref();
    });
    return new EtcdChild(found, ended);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** SIGTERM, then SIGKILL. @throws GatewayError CLUSTER_ETCD_FAILED when neither ends it. */
  async stop(limitMs = STOP_MS): Promise<void> {
    if (await this.#signal("SIGTERM", limitMs) || await this.#signal("SIGKILL", KILL_MS)) return;
    const { pid } = this.found.identity;
    throw new GatewayError(
      "CLUSTER_ETCD_FAILED", `etcd (process ${pid}) cannot be stopped: end it by hand`, { pid },
    );
  }

  async #signal(signal: NodeJS.Signals, limitMs: number): Promise<boolean> {
    if (this.#hasEnded) return true;
    sendSignal(this.found, signal);
    const limit = new AbortController();
    const late = sleep(limitMs, null, { signal: limit.signal }).catch(() => null);
    await Promise.race([this.ended, late]);
    limit.abort();
    return this.#hasEnded;
  }
}

function sendSignal(found: FoundServer, signal: NodeJS.Signals): void {
  if (!isRunning(found)) return;
  try {
    process.kill(found.identity.pid, signal);
    process.kill(found.identity.pid, "SIGCONT"); // one that was stopped takes no other signal
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (!isGone) throw error; // it ended in between
  }
}
